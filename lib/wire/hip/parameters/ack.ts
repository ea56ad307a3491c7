/** ACK: the peer Update IDs that are acknowledged, at least one (RFC 7401 §5.2.17). */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface Ack {
  /** 32 bits each. */
  readonly updateIds: readonly number[];
}

export const ACK: ParameterCodec<Ack> = {
  type: PARAMETER.ACK,
  name: "ACK",
  length: (ack) => 4 * ack.updateIds.length,
  parse(reader) {
    if (reader.remaining === 0) reader.fail("no peer Update ID");
    const updateIds: number[] = [];
    while (reader.remaining > 0) updateIds.push(reader.uint32());
    return { updateIds };
  },
  emit(writer, ack) {
    for (const updateId of ack.updateIds) writer.uint32(updateId);
  },
};
