/** What an association remembers of its exchanges: for those who look at it, and for the next one. */

import type { Duration, Instant } from "../base/time.ts";

export class ExchangeRecord {
  role: "initiator" | "responder" = "initiator";
  /** First I1, or I2 taken in, to ESTABLISHED. */
  baseExchangeTime: Duration | undefined;
  puzzleTime: Duration | undefined;
  establishedAt: Instant | undefined;
  /** Whether the peer's R1 or I2 said that its identity is anonymous (RFC 7401 §5.1.2). */
  isPeerAnonymous = false;
  /** Why the last attempt failed, in words. */
  failure: string | undefined;
  /** R1_COUNTER of the peer's R1 that was used last (§6.8 step 11). */
  peerGeneration: bigint | undefined;
  /**
   * The last R1 of ours that an I2 can have answered before the peer agreed to what there is. When
   * exchanges cross or are repeated, an I2 of the other one may come late, or come again: the peer
   * has no use for what it would make, and neither end would notice that the two do not fit.
   */
  lastR1 = -1;

  /** Whether an I2 that answers this R1 of ours comes from an exchange that the peer has given up. */
  hasOvertaken(r1Number: number): boolean {
    return r1Number <= this.lastR1;
  }

  /** An exchange of ours begins. */
  begin(): void {
    this.role = "initiator";
    this.baseExchangeTime = undefined;
    this.puzzleTime = undefined;
    this.failure = undefined;
  }

  /** An I2 of the peer was accepted. @param took From its arrival on. */
  accept(took: Duration, isPeerAnonymous: boolean): void {
    this.role = "responder";
    this.baseExchangeTime = took;
    this.puzzleTime = undefined;
    this.failure = undefined;
    this.isPeerAnonymous = isPeerAnonymous;
  }
}
