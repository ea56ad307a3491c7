/** SEQ: the Update ID of this packet (RFC 7401 §5.2.16). */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface Seq {
  /** 32 bits. */
  readonly updateId: number;
}

export const SEQ: ParameterCodec<Seq> = {
  type: PARAMETER.SEQ,
  name: "SEQ",
  length: () => 4,
  parse: (reader) => ({ updateId: reader.uint32() }),
  emit: (writer, seq) => writer.uint32(seq.updateId),
};
