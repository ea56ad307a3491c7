/** DH_GROUP_LIST: DH Group IDs, one octet each, most preferred first (RFC 7401 §5.2.6). */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface DhGroupList {
  readonly groupIds: readonly number[];
}

export const DH_GROUP_LIST: ParameterCodec<DhGroupList> = {
  type: PARAMETER.DH_GROUP_LIST,
  name: "DH_GROUP_LIST",
  length: (list) => list.groupIds.length,
  parse(reader) {
    if (reader.remaining === 0) reader.fail("no DH Group ID");
    return { groupIds: [...reader.rest()] };
  },
  emit(writer, list) {
    for (const groupId of list.groupIds) writer.uint8(groupId);
  },
};
