/**
 * How hard the puzzles are that we pose: the configured #K while there is little to do, more while
 * I1s flood in or I2s queue for public-key work (RFC 7401 §4.1.1, §7).
 *
 * Load is counted in windows. One busy window raises #K by a step; it takes a row of quiet ones to
 * lower it again, and what lies between leaves it. So #K changes at most once per window, which
 * bounds the R1s to sign, however the load swings. Without load nothing asks for a timer.
 */

import { after, type Instant, seconds } from "../base/time.ts";

/** How long load is counted before it is judged; also the least time between two changes. */
export const LOAD_WINDOW = seconds(2);

/** I1s answered per window above which we are busy, and below which quiet. */
const BUSY_I1S = 4000;
const QUIET_I1S = 1000;

/** Shares of the room for pending I2s: at or above the first is busy, below the second quiet. */
const BUSY_PENDING_SHARE = 1 / 4;
const QUIET_PENDING_SHARE = 1 / 16;

/** Quiet windows in a row before #K falls by a step. */
export const QUIET_WINDOWS = 5;

/** The least #K that costs an Initiator more than a message, and what is added to it. */
const FIRST_K = 8;
const STEP_K = 4;

export interface LoadPolicyOptions {
  /** #K without load, 0 to 20. */
  readonly baseK: number;
  /** #K at the most; not above `baseK` switches the policy off. */
  readonly maximumK: number;
  /** I2s that may be in public-key work at once. */
  readonly maxPendingI2: number;
}

export class LoadPolicy {
  readonly #options: LoadPolicyOptions;
  #difficultyK: number;
  #windowEnd: Instant | undefined;
  #i1s = 0;
  #mostPending = 0;
  #quietWindows = 0;

  constructor(options: LoadPolicyOptions) {
    this.#options = options;
    this.#difficultyK = options.baseK;
  }

  /** #K of the R1s to make. */
  get difficultyK(): number {
    return this.#difficultyK;
  }

  /** An I1 was answered. */
  noteI1(now: Instant): void {
    this.#open(now);
    this.#i1s++;
  }

  /** An I2 with a right solution came when this many were in public-key work, itself included. */
  noteI2(now: Instant, pending: number): void {
    this.#open(now);
    this.#mostPending = Math.max(this.#mostPending, pending);
  }

  /** Judges a window that is over. @param pending I2s in public-key work now. */
  handleTimeout(now: Instant, pending: number): void {
    if (this.#windowEnd === undefined || this.#windowEnd > now) return;
    const { baseK, maximumK, maxPendingI2 } = this.#options;
    const mostPending = Math.max(this.#mostPending, pending);
    const isBusy = this.#i1s >= BUSY_I1S || mostPending >= maxPendingI2 * BUSY_PENDING_SHARE;
    const isQuiet = this.#i1s < QUIET_I1S && mostPending < maxPendingI2 * QUIET_PENDING_SHARE;
    this.#quietWindows = isQuiet ? this.#quietWindows + 1 : 0;
    if (isBusy && this.#difficultyK < maximumK) {
      const harder = this.#difficultyK < FIRST_K ? FIRST_K : this.#difficultyK + STEP_K;
      this.#difficultyK = Math.min(maximumK, Math.max(harder, baseK));
    } else if (this.#quietWindows >= QUIET_WINDOWS && this.#difficultyK > baseK) {
      const easier = this.#difficultyK - STEP_K;
      this.#difficultyK = easier < FIRST_K ? baseK : Math.max(easier, baseK);
      this.#quietWindows = 0;
    }
    this.#i1s = 0;
    this.#mostPending = 0;
    // Only a difficulty that has to come down again wants windows without packets in them.
    this.#windowEnd = this.#difficultyK > baseK ? after(now, LOAD_WINDOW) : undefined;
  }

  /** When a window is over that has to be judged. */
  nextTimeout(): Instant | undefined {
    return this.#windowEnd;
  }

  #open(now: Instant): void {
    this.#windowEnd ??= after(now, LOAD_WINDOW);
  }
}
