/**
 * Looks for the highest rate at which nothing to speak of is lost: doubles or halves until one
 * trial passed and one failed, then tries the rates between. Pure.
 */

/** What became of one trial. */
export interface RateTrial {
  /** Packets per second that arrived. */
  readonly arrived: number;
  readonly isLossless: boolean;
  /** Whether the sender kept to the rate; else a higher one would tell nothing. */
  readonly isReached: boolean;
}

/** Where to begin and how finely to end. */
export interface RateSearchPlan {
  /** Rate of the first trial, in packets per second. */
  readonly start: number;
  /** From one trial to the next until one passed and one failed, above 1. */
  readonly factor: number;
  /** Ends when a failed rate is at most so many times a passed one, above 1. */
  readonly resolution: number;
}

/** Below this nobody looks: packets per second. */
const LOWEST_RATE = 500;

export class RateSearch {
  readonly #plan: RateSearchPlan;
  #rate: number;
  #passed: number | undefined;
  #failed: number | undefined;
  #best = 0;
  #isDone = false;

  constructor(plan: RateSearchPlan) {
    this.#plan = plan;
    this.#rate = plan.start;
  }

  /** Rate of the next trial; undefined when there is none. */
  get rate(): number | undefined {
    return this.#isDone ? undefined : this.#rate;
  }

  /** Packets per second that arrived in the best trial that passed; 0 when none did. */
  get best(): number {
    return this.#best;
  }

  /** Takes the outcome of a trial at `rate`. */
  report({ arrived, isLossless, isReached }: RateTrial): void {
    const { factor, resolution } = this.#plan;
    if (isLossless) {
      this.#best = Math.max(this.#best, arrived);
      this.#passed = this.#rate;
      this.#isDone = !isReached;
    } else {
      this.#failed = this.#rate;
    }
    const passed = this.#passed;
    const failed = this.#failed;
    if (failed === undefined) this.#rate *= factor;
    else if (passed === undefined) this.#rate /= factor;
    else {
      this.#rate = Math.sqrt(passed * failed);
      this.#isDone ||= failed / passed <= resolution;
    }
    this.#isDone ||= this.#rate < LOWEST_RATE;
  }
}
