/**
 * The replay window as plainly as it can be said, to compare the quick one with: whole 64-bit
 * numbers and a set (RFC 4303 appendix A2).
 */

const WORDS = 1n << 32n;

export class SlowReplayWindow {
  readonly #size: bigint;
  readonly #seen = new Set<bigint>();
  highest = 0n;

  constructor(size: number) {
    this.#size = BigInt(size);
  }

  /**
   * The one number with this low word among the 2^32 that begin at the bottom of the window, or
   * why it cannot be.
   */
  check(low: number): bigint | "esp-left-of-window" | "esp-replayed" {
    const bottom = this.highest - this.#size + 1n;
    let number = (bottom >> 32n) * WORDS + BigInt(low);
    if (number < bottom) number += WORDS;
    if (number < 0n || number >= WORDS * WORDS) return "esp-left-of-window";
    if (number === 0n || this.#seen.has(number)) return "esp-replayed";
    return number;
  }

  commit(number: bigint): void {
    this.#seen.add(number);
    if (number > this.highest) this.highest = number;
  }
}
