/**
 * I2-SENT: an I2 waits for its R2 (RFC 7401 §4.4.3, §6.8 steps 16 to 19, §6.10).
 *
 * I2 is sent again until its tries are used up. An R2 that fails its check changes nothing: the
 * right one may still come. Another I2 may be made meanwhile, by a renewal: from an R1 of a later
 * generation, from an older R1 when this I2 has led nowhere, or from a fresh R1 when the Responder
 * was too busy (§4.1.4, §5.2.19).
 */

import { bytesEqual } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import { after, type Duration, elapsed, type Instant } from "../base/time.ts";
import type { InboundSa } from "../esp/security_association.ts";
import type { AddressPair, AssociationContext, AssociationHandle } from "./association_context.ts";
import { backOff } from "./back_off.ts";
import { MAX_R1_CANDIDATES } from "./constants.ts";
import type { ControlKeys } from "./control_keys.ts";
import type { Initiation, R1Candidate } from "./initiation.ts";
import { verifyR2Job } from "./jobs.ts";

/** What an I2 was made from and has led to. */
export interface SentI2 {
  /** When the exchange began. */
  readonly startedAt: Instant;
  /** The R1 that was answered. */
  readonly r1: R1Candidate;
  readonly i2: Uint8Array;
  readonly keys: ControlKeys;
  /** Stands, and carries nothing before R2 (RFC 7402 §6.4). */
  readonly inbound: InboundSa;
  readonly addresses: AddressPair;
}

export class AwaitingR2 {
  readonly sent: SentI2;
  /** The last R1 of ours that had left when the R2 came that is being checked. */
  lastR1 = -1;
  readonly #context: AssociationContext;
  readonly #association: AssociationHandle;
  /** Work on another I2. */
  #renewal: Initiation | undefined;
  /** Whether the renewal alone is what may still help: this I2 is not sent again. */
  #isGivenUp = false;
  /** R1s of earlier generations than the one that was answered; bounded. */
  #others: R1Candidate[] = [];
  /** From I2 to R2, the Responder's work included; unknown when I2 was sent more than once. */
  #roundTrip: Duration | undefined;
  #attempts = 1;
  readonly #sentAt: Instant;
  #retryAt: Instant;
  #isAcknowledged = false;
  /** An R2 whose signature is being checked. */
  #verifying: number | undefined;

  constructor(
    now: Instant,
    context: AssociationContext,
    association: AssociationHandle,
    sent: SentI2,
  ) {
    this.#context = context;
    this.#association = association;
    this.sent = sent;
    this.#sentAt = now;
    this.#retryAt = after(now, context.settings.i2Timeout);
  }

  get renewal(): Initiation | undefined {
    return this.#renewal;
  }

  // ---- R1 --------------------------------------------------------------------------------------

  /** Begins work on another I2; this one is still sent again, and its R2 still counts. */
  renew(renewal: Initiation): void {
    this.#renewal = renewal;
  }

  /**
   * The Responder will not take this I2: it is not sent again (§5.2.19). Should its R2 come all the
   * same, it counts.
   */
  giveUp(renewal: Initiation): void {
    this.#renewal = renewal;
    this.#isGivenUp = true;
  }

  /** Keeps an R1 that is no newer than the one answered, for when this I2 leads nowhere (§4.1.4). */
  keepR1(r1: R1Candidate): DropReason | undefined {
    const isKnown = [this.sent.r1, ...this.#others].some(({ bytes }) =>
      bytesEqual(bytes, r1.bytes)
    );
    if (isKnown || r1.generation === this.sent.r1.generation) return "hip-wrong-state";
    if (this.#others.length >= MAX_R1_CANDIDATES) return "hip-busy";
    this.#others.push(r1);
    return undefined;
  }

  /** The R1s that were kept, now the caller's. */
  takeOthers(): R1Candidate[] {
    return this.#others.splice(0);
  }

  // ---- R2 --------------------------------------------------------------------------------------

  get roundTrip(): Duration | undefined {
    return this.#roundTrip;
  }

  /** §6.10 steps 1 to 4. */
  handleR2(now: Instant, r2: Uint8Array): DropReason | undefined {
    if (this.#verifying !== undefined) return "hip-busy";
    this.#roundTrip = this.#attempts === 1 ? elapsed(this.#sentAt, now) : undefined;
    const { r1, keys } = this.sent;
    this.lastR1 = this.#context.lastR1();
    this.#verifying = this.#context.submit(this.#association, verifyR2Job(r2, r1.bytes, keys));
    return undefined;
  }

  /** The check of an R2 is done. @returns Whether this was the job awaited. */
  finishVerifying(id: number): boolean {
    if (this.#verifying !== id) return false;
    this.#verifying = undefined;
    return true;
  }

  // ---- time ------------------------------------------------------------------------------------

  /** The Responder says that R2 will take its time: I2 gets all its tries once more, once. */
  waitLonger(now: Instant): void {
    if (this.#isAcknowledged) return;
    this.#isAcknowledged = true;
    this.#attempts = 1;
    this.#retryAt = after(now, this.#context.settings.i2TimeoutMax);
  }

  /** When `handleTimeout` has work. */
  get retryAt(): Instant {
    return this.#isGivenUp ? this.#renewal!.retryAt : this.#retryAt;
  }

  /** Sends I2 again. @returns False when the tries are used up. */
  handleTimeout(now: Instant): boolean {
    if (this.#isGivenUp) {
      this.#renewal!.handleTimeout(now);
      return true;
    }
    const { i2RetriesMax } = this.#context.settings;
    if (this.#attempts >= i2RetriesMax) return false;
    this.#attempts++;
    this.#retryAt = after(now, this.#waitAfter(this.#attempts));
    this.#context.transmit(now, this.sent.addresses, this.sent.i2);
    return true;
  }

  #waitAfter(attempts: number): Duration {
    const { i2Timeout, i2TimeoutMax } = this.#context.settings;
    return backOff(i2Timeout, i2TimeoutMax, attempts);
  }
}
