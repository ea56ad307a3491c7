/**
 * HIT_SUITE_LIST: HIT Suite IDs, one octet each with the ID in the high four bits, most preferred
 * first (RFC 7401 §5.2.10).
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface HitSuiteList {
  /** 0 to 15, as in the HIT: not shifted. */
  readonly suiteIds: readonly number[];
}

export const HIT_SUITE_LIST: ParameterCodec<HitSuiteList> = {
  type: PARAMETER.HIT_SUITE_LIST,
  name: "HIT_SUITE_LIST",
  length: (list) => list.suiteIds.length,
  parse(reader) {
    if (reader.remaining === 0) reader.fail("no HIT Suite ID");
    // The low four bits are reserved for longer IDs.
    return { suiteIds: Array.from(reader.rest(), (octet) => octet >>> 4) };
  },
  emit(writer, list) {
    for (const suiteId of list.suiteIds) writer.uint8(suiteId << 4);
  },
};
