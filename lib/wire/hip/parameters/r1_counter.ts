/**
 * R1_COUNTER (RFC 7401 §5.2.3).
 *
 * ```text
 * |             Type              |             Length            |
 * |                       Reserved, 4 octets                      |
 * |                R1 generation counter, 8 octets                |
 * ```
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface R1Counter {
  /** 32 bits, sent as zero; the copy in I2 repeats what R1 had. */
  readonly reserved: number;
  /** 64 bits. */
  readonly generation: bigint;
}

export const R1_COUNTER: ParameterCodec<R1Counter> = {
  type: PARAMETER.R1_COUNTER,
  name: "R1_COUNTER",
  length: () => 12,
  parse: (reader) => ({ reserved: reader.uint32(), generation: reader.uint64() }),
  emit(writer, counter) {
    writer.uint32(counter.reserved);
    writer.uint64(counter.generation);
  },
};
