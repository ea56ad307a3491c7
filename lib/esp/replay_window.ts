/**
 * Anti-replay with 64-bit extended sequence numbers: which high word a packet must have had, and
 * whether its number was seen (RFC 4303 §3.4.3, appendix A2; RFC 6479 for the ring of words).
 *
 * T = (Th, Tl) is the highest authenticated number. The window covers T - W + 1 to T. `check`
 * changes nothing but its answer; `commit` is for packets whose ICV was right. The state is 32-bit
 * words in a block that may be shared memory; nothing is held as a floating-point 64-bit number.
 */

import type { DropReason } from "../base/drop_reason.ts";

/** Packets; wide enough for links that reorder across many queues. */
export const DEFAULT_REPLAY_WINDOW = 1024;

/** RFC 4303 §3.4.3 demands at least 32. */
const SMALLEST_WINDOW = 32;
const LARGEST_WINDOW = 1 << 20;

const HIGH = 0;
const LOW = 1;
const RING = 2;

/** Words of state that a window of `size` packets takes. */
export function replayWindowWords(size: number): number {
  return RING + ringWords(size);
}

/**
 * Words in the ring: one more than the window fills, so that a window that is not aligned to words
 * fits, and a power of two, so that the index goes on unbroken where the low word wraps.
 */
function ringWords(size: number): number {
  if (
    !Number.isInteger(size) || size % 32 !== 0 || size < SMALLEST_WINDOW || size > LARGEST_WINDOW
  ) {
    throw new RangeError(
      `Cannot make a replay window of ${size}: need a multiple of 32 from ${SMALLEST_WINDOW} to ` +
        `${LARGEST_WINDOW}`,
    );
  }
  let words = 1;
  while (words < size / 32 + 1) words *= 2;
  return words;
}

/** The window of one inbound SA. */
export class ReplayWindow {
  /** Packets the window is wide. */
  readonly size: number;
  readonly #words: Uint32Array;
  readonly #offset: number;
  readonly #mask: number;
  #inferredHigh = 0;

  /**
   * @param words The block; `replayWindowWords(size)` words of it from `offset` on are ours.
   * @throws {RangeError} When `size` is not a multiple of 32 from 32 to 2^20.
   */
  constructor(words: Uint32Array, offset: number, size: number) {
    this.#mask = ringWords(size) - 1;
    this.size = size;
    this.#words = words;
    this.#offset = offset;
  }

  /** High word of the highest number accepted. */
  get highestHigh(): number {
    return this.#words[this.#offset + HIGH]!;
  }

  /** Low word of the highest number accepted. */
  get highestLow(): number {
    return this.#words[this.#offset + LOW]!;
  }

  /** The high word that the last `check` settled on; for the ICV and for `commit`. */
  get inferredHigh(): number {
    return this.#inferredHigh;
  }

  /**
   * Infers the high word of a packet and judges its number (RFC 4303 appendix A2.2).
   *
   * @param low The sequence number in the packet.
   * @returns Why to drop the packet; undefined when `inferredHigh` is to be tried.
   */
  check(low: number): DropReason | undefined {
    const highestHigh = this.highestHigh;
    const highestLow = this.highestLow;
    const bottom = (highestLow - this.size + 1) >>> 0;
    if (highestLow >= this.size - 1) {
      // Case A: the whole window lies in subspace Th.
      if (low < bottom) {
        if (highestHigh === 0xffffffff) return "esp-left-of-window";
        this.#inferredHigh = highestHigh + 1;
        return undefined;
      }
    } else if (low >= bottom) {
      // Case B: the window began in subspace Th - 1, which does not exist when Th is 0.
      if (highestHigh === 0) return "esp-left-of-window";
      this.#inferredHigh = highestHigh - 1;
      return this.#isSeen(low) ? "esp-replayed" : undefined;
    }
    // No sender uses number 0 of subspace 0 (RFC 4303 §3.3.3).
    if (highestHigh === 0 && low === 0) return "esp-replayed";
    this.#inferredHigh = highestHigh;
    return low <= highestLow && this.#isSeen(low) ? "esp-replayed" : undefined;
  }

  /**
   * Marks an authenticated number as seen and moves the window on to it when it is the highest.
   * Must follow a `check` of the same packet, with no other `commit` between them.
   */
  commit(high: number, low: number): void {
    const highestHigh = this.highestHigh;
    const highestLow = this.highestLow;
    if (high > highestHigh || (high === highestHigh && low > highestLow)) {
      this.#advance(high, low);
    }
    this.#words[this.#offset + RING + ((low >>> 5) & this.#mask)]! |= 1 << (low & 31);
  }

  /** Clears the words that the window enters, and moves T. */
  #advance(high: number, low: number): void {
    const oldWord = this.highestLow >>> 5;
    const newWord = low >>> 5;
    // In words, exact below 2^53: the difference of the high words is 0, 1 or far away.
    const distance = (high - this.highestHigh) * 0x8000000 + newWord - oldWord;
    const clear = Math.min(distance, this.#mask + 1);
    for (let i = 1; i <= clear; i++) {
      this.#words[this.#offset + RING + ((oldWord + i) & this.#mask)] = 0;
    }
    this.#words[this.#offset + HIGH] = high;
    this.#words[this.#offset + LOW] = low;
  }

  #isSeen(low: number): boolean {
    const word = this.#words[this.#offset + RING + ((low >>> 5) & this.#mask)]!;
    return (word & (1 << (low & 31))) !== 0;
  }
}
