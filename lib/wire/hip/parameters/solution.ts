/**
 * SOLUTION (RFC 7401 §5.2.5).
 *
 * ```text
 * |             Type              |             Length            |
 * |  #K, 1 octet  |   Reserved    |        Opaque, 2 octets       |
 * |                      Random #I, n octets                      |
 * |            Puzzle solution #J, RHASH_len/8 octets             |
 * ```
 *
 * #I and #J have the same length, so each is half of what stands behind the first four octets.
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface Solution {
  /** #K, 0 to 255. */
  readonly difficultyK: number;
  /** Sent as zero, not inspected. */
  readonly reserved: number;
  /** 2 octets, copied from the PUZZLE. */
  readonly opaque: Uint8Array;
  readonly randomI: Uint8Array;
  /** #J, as long as #I. */
  readonly solutionJ: Uint8Array;
}

export const SOLUTION: ParameterCodec<Solution> = {
  type: PARAMETER.SOLUTION,
  name: "SOLUTION",
  length: (solution) => 4 + solution.randomI.length + solution.solutionJ.length,
  parse(reader) {
    const difficultyK = reader.uint8();
    const reserved = reader.uint8();
    const opaque = reader.bytes(2);
    if (reader.remaining === 0 || reader.remaining % 2 !== 0) {
      reader.fail(`${reader.remaining} octets cannot be #I and #J of equal length`);
    }
    const half = reader.remaining / 2;
    return {
      difficultyK,
      reserved,
      opaque,
      randomI: reader.bytes(half),
      solutionJ: reader.bytes(half),
    };
  },
  emit(writer, solution) {
    writer.uint8(solution.difficultyK);
    writer.uint8(solution.reserved);
    writer.bytes(solution.opaque);
    writer.bytes(solution.randomI);
    writer.bytes(solution.solutionJ);
  },
};
