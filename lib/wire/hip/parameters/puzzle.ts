/**
 * PUZZLE (RFC 7401 §5.2.4).
 *
 * ```text
 * |             Type              |             Length            |
 * |  #K, 1 octet  |    Lifetime   |        Opaque, 2 octets       |
 * |                      Random #I, RHASH_len/8 octets            |
 * ```
 *
 * The length of #I follows from the responder's HIT suite, which the parser does not know; it
 * takes any length but none.
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

/** Where Opaque and #I stand in the TLV, its Type included. */
export const PUZZLE_OPAQUE = 6;
export const PUZZLE_RANDOM_I = 8;

export interface Puzzle {
  /** Number of low-order bits that must be zero: #K, 0 to 255. */
  readonly difficultyK: number;
  /** The octet v of a lifetime of 2^(v - 32) seconds. */
  readonly lifetime: number;
  /** 2 octets. */
  readonly opaque: Uint8Array;
  /** #I, as long as the output of RHASH. */
  readonly randomI: Uint8Array;
}

export const PUZZLE: ParameterCodec<Puzzle> = {
  type: PARAMETER.PUZZLE,
  name: "PUZZLE",
  length: (puzzle) => 4 + puzzle.randomI.length,
  parse(reader) {
    const difficultyK = reader.uint8();
    const lifetime = reader.uint8();
    const opaque = reader.bytes(2);
    if (reader.remaining === 0) reader.fail("#I is empty");
    return { difficultyK, lifetime, opaque, randomI: reader.rest() };
  },
  emit(writer, puzzle) {
    writer.uint8(puzzle.difficultyK);
    writer.uint8(puzzle.lifetime);
    writer.bytes(puzzle.opaque);
    writer.bytes(puzzle.randomI);
  },
};
