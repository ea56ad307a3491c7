/**
 * Looks for the highest rate at which nothing to speak of is lost: goes up or down until one rate
 * passed and one failed, then tries those between. A rate fails when two trials in a row do, as a
 * neighbour's load can spoil one. Pure.
 */

/** What became of one trial. */
export interface RateTrial {
  /** Packets per second that arrived. */
  readonly arrived: number;
  readonly isLossless: boolean;
  /** Whether the sender kept to the rate. */
  readonly isReached: boolean;
}

/** Where to begin and how finely to end. */
export interface RateSearchPlan {
  /** Rate of the first trial, in packets per second. */
  readonly start: number;
  /** From one rate to the next until one passed and one failed, above 1. */
  readonly factor: number;
  /** Ends when a failed rate is at most so many times a passed one, above 1. */
  readonly resolution: number;
}

/** Below this nobody looks: packets per second. */
const LOWEST_RATE = 500;

/** What rounding may add to a ratio. */
const EPSILON = 1e-9;

/** Trials that must fail for their rate to fail. */
const TRIALS = 2;

export class RateSearch {
  readonly #plan: RateSearchPlan;
  #rate: number;
  #failures = 0;
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

  /** Packets per second that arrived in the best trial without loss; 0 when there was none. */
  get best(): number {
    return this.#best;
  }

  /** Takes the outcome of a trial at `rate`. */
  report({ arrived, isLossless, isReached }: RateTrial): void {
    const { factor, resolution } = this.#plan;
    if (isLossless) this.#best = Math.max(this.#best, arrived);
    if (isLossless && isReached) this.#passed = this.#rate;
    else if (++this.#failures < TRIALS) return;
    else this.#failed = this.#rate;
    this.#failures = 0;
    const passed = this.#passed;
    const failed = this.#failed;
    if (failed === undefined) this.#rate *= factor;
    else if (passed === undefined) this.#rate /= factor;
    else {
      this.#rate = Math.sqrt(passed * failed);
      this.#isDone = failed / passed <= resolution * (1 + EPSILON);
    }
    this.#isDone ||= this.#rate < LOWEST_RATE;
  }
}
