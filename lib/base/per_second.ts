/** The simplest bound on what may happen often: so many in a second, whoever causes it. */

import { elapsed, type Instant, seconds } from "./time.ts";

const SECOND = seconds(1);

export class PerSecond {
  readonly #most: number;
  #since: Instant | undefined;
  #count = 0;

  /** @param most Events in a second. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether one more event is within the bound; counts it. */
  allow(now: Instant): boolean {
    if (this.#since === undefined || elapsed(this.#since, now) >= SECOND) {
      this.#since = now;
      this.#count = 0;
    }
    return ++this.#count <= this.#most;
  }
}
