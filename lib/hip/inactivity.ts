/**
 * When an association has done nothing for too long (RFC 7401 §4.4.1 UAL, RFC 7402 §3.3.7). It is
 * looked at once per period, so that a packet costs nothing here; what ends, ends between one and
 * two periods after its last packet.
 */

import { after, type Duration, type Instant } from "../base/time.ts";
import type { Traffic } from "./traffic.ts";

/** "unused": no packet passed. "silent": we sent, and nothing came back. */
export type Activity = "used" | "unused" | "silent";

export class Inactivity {
  readonly #period: Duration;
  #packetsIn = 0n;
  #packetsOut = 0n;
  #dueAt: Instant;

  constructor(now: Instant, period: Duration) {
    this.#period = period;
    this.#dueAt = after(now, period);
  }

  /** When `look` is to be called. */
  get dueAt(): Instant {
    return this.#dueAt;
  }

  /** What has passed since the last look. */
  look(now: Instant, { packetsIn, packetsOut }: Traffic): Activity {
    const hasReceived = packetsIn !== this.#packetsIn;
    const hasSent = packetsOut !== this.#packetsOut;
    this.#packetsIn = packetsIn;
    this.#packetsOut = packetsOut;
    this.#dueAt = after(now, this.#period);
    if (hasReceived) return "used";
    return hasSent ? "silent" : "unused";
  }
}
