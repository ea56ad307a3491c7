/**
 * The puzzle (RFC 7401 §4.1.2, §6.3, appendix A): the #K lowest-order bits of
 * `RHASH(#I | HIT-I | HIT-R | #J)` are zero.
 *
 * RHASH is the hash of the Responder's HIT suite; #I and #J are as wide as its output.
 */

import { constantTimeEqual } from "../base/bytes.ts";
import { type Digest, digest, type Rhash, rhashLength } from "../crypto/rhash.ts";
import type { SolvePuzzleJob, SolvePuzzleResult } from "./jobs.ts";

/** To whom a puzzle is posed. Everything in it comes back with the I2 or is known without state. */
export interface PuzzleSubject {
  readonly initiatorHit: Uint8Array;
  readonly responderHit: Uint8Array;
  /** Source of I1 and I2, 16 octets. */
  readonly initiatorAddress: Uint8Array;
  /** Destination of I1 and I2, 16 octets. */
  readonly responderAddress: Uint8Array;
  /** PUZZLE's Opaque field, which SOLUTION repeats: keeps #I from being issued twice. */
  readonly opaque: Uint8Array;
}

/**
 * The #I of a puzzle, such that its issuer needs no memory of it (RFC 7401 appendix A):
 *
 * `#I = RHASH(S | HIT-I | HIT-R | IP-I | IP-R | Opaque)`
 *
 * Opaque is our addition: with a counter in it no Initiator gets the same #I twice (§4.1.2).
 *
 * @param secret S, known to the Responder alone and renewed with its R1.
 * @param compute Who hashes.
 */
export function puzzleRandomI(
  rhash: Rhash,
  secret: Uint8Array,
  subject: PuzzleSubject,
  compute: Digest = digest,
): Uint8Array {
  return compute(
    rhash,
    secret,
    subject.initiatorHit,
    subject.responderHit,
    subject.initiatorAddress,
    subject.responderAddress,
    subject.opaque,
  );
}

/** Why an answer to a puzzle of ours is refused. */
export type PuzzleRefusal = "hip-unknown-puzzle" | "hip-puzzle-failed";

/**
 * The Responder's check of SOLUTION: that it issued this #I, then the one hash (§6.9 step 8).
 *
 * @param difficultyK The #K that was issued; the one in SOLUTION is not asked.
 * @param compute Who hashes.
 * @returns Undefined when the solution is right.
 */
export function checkSolution(
  rhash: Rhash,
  secret: Uint8Array,
  subject: PuzzleSubject,
  difficultyK: number,
  { randomI, solutionJ }: { readonly randomI: Uint8Array; readonly solutionJ: Uint8Array },
  compute: Digest = digest,
): PuzzleRefusal | undefined {
  if (!constantTimeEqual(randomI, puzzleRandomI(rhash, secret, subject, compute))) {
    return "hip-unknown-puzzle";
  }
  const { initiatorHit, responderHit } = subject;
  return solves(rhash, difficultyK, randomI, initiatorHit, responderHit, solutionJ, compute)
    ? undefined
    : "hip-puzzle-failed";
}

/**
 * Whether #J solves the puzzle. HIT-I stands before HIT-R whichever header field holds it.
 *
 * @param difficultyK 0 to 255; with 0 every #J is a solution.
 */
export function solves(
  rhash: Rhash,
  difficultyK: number,
  randomI: Uint8Array,
  initiatorHit: Uint8Array,
  responderHit: Uint8Array,
  solutionJ: Uint8Array,
  compute: Digest = digest,
): boolean {
  const length = rhashLength(rhash);
  if (randomI.length !== length || solutionJ.length !== length) return false;
  return lowBitsAreZero(
    compute(rhash, randomI, initiatorHit, responderHit, solutionJ),
    difficultyK,
  );
}

/** One slice of the search; the caller goes on from `nextJ` while the lifetime lasts. */
export function solvePuzzle(job: SolvePuzzleJob, compute: Digest = digest): SolvePuzzleResult {
  const { rhash, randomI, initiatorHit, responderHit, difficultyK, firstJ, tries } = job;
  const offset = randomI.length + initiatorHit.length + responderHit.length;
  const input = new Uint8Array(offset + firstJ.length);
  input.set(randomI, 0);
  input.set(initiatorHit, randomI.length);
  input.set(responderHit, randomI.length + initiatorHit.length);
  const candidate = input.subarray(offset);
  candidate.set(firstJ);
  for (let tried = 1; tried <= tries; tried++) {
    const isSolved = lowBitsAreZero(compute(rhash, input), difficultyK);
    const solutionJ = isSolved ? candidate.slice() : undefined;
    increment(candidate);
    if (isSolved) {
      return { kind: "solve-puzzle", solutionJ, nextJ: candidate.slice(), tries: tried };
    }
  }
  return { kind: "solve-puzzle", solutionJ: undefined, nextJ: candidate.slice(), tries };
}

/** Whether the last `count` bits are zero: those of the last octets, low bits first. */
export function lowBitsAreZero(bytes: Uint8Array, count: number): boolean {
  if (count > bytes.length * 8) return false;
  let index = bytes.length - 1;
  let left = count;
  for (; left >= 8; left -= 8) {
    if (bytes[index--] !== 0) return false;
  }
  return left === 0 || (bytes[index]! & ((1 << left) - 1)) === 0;
}

/** Adds one to a big-endian integer in place; all ones become zero. */
function increment(bytes: Uint8Array): void {
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = (bytes[i]! + 1) & 0xff;
    if (bytes[i] !== 0) return;
  }
}
