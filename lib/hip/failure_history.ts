/**
 * How often exchanges with a peer have failed in a row: E-FAILED lasts longer each time, so that a
 * peer that is gone costs ever fewer packets (RFC 7401 §4.4.3 leaves the wait to us).
 *
 * Bounded: the peer that failed longest ago is forgotten first.
 */

import { isAllZero } from "../base/bytes.ts";
import { after, type Duration, elapsed, type Instant } from "../base/time.ts";
import { pairKey } from "./association_table.ts";
import type { HitPair } from "./association_context.ts";
import { backOff } from "./back_off.ts";
import { type ControlSettings, MAX_FAILING_PEERS } from "./constants.ts";

interface Failures {
  readonly count: number;
  /** When the wait was over. */
  readonly until: Instant;
}

export class FailureHistory {
  readonly #settings: Pick<ControlSettings, "failedWait" | "failedWaitMax">;
  /** Oldest first. */
  readonly #byPair = new Map<string, Failures>();

  constructor(settings: Pick<ControlSettings, "failedWait" | "failedWaitMax">) {
    this.#settings = settings;
  }

  /** An exchange has failed. @returns How long no other is to be tried. */
  note(now: Instant, { localHit, peerHit }: HitPair): Duration {
    const { failedWait, failedWaitMax } = this.#settings;
    // Of opportunistic attempts each may be for another address.
    if (isAllZero(peerHit)) return failedWait;
    const key = pairKey(localHit, peerHit);
    const before = this.#byPair.get(key);
    // Whoever was left alone for long may be tried as if for the first time.
    const isInRow = before !== undefined && elapsed(before.until, now) < failedWaitMax;
    const count = isInRow ? before.count + 1 : 1;
    const wait = backOff(failedWait, failedWaitMax, count);
    this.#byPair.delete(key);
    this.#byPair.set(key, { count, until: after(now, wait) });
    if (this.#byPair.size > MAX_FAILING_PEERS) {
      const [oldest] = this.#byPair.keys();
      if (oldest !== undefined) this.#byPair.delete(oldest);
    }
    return wait;
  }

  /** The peer has been met: the next failure is the first again. */
  forget({ localHit, peerHit }: HitPair): void {
    this.#byPair.delete(pairKey(localHit, peerHit));
  }
}
