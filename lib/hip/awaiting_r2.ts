/**
 * I2-SENT: an I2 waits for its R2 (RFC 7401 §4.4.3, §6.8 steps 16 to 19, §6.10).
 *
 * I2 is sent again until its tries are used up. An R2 that fails its check changes nothing: the
 * right one may still come.
 */

import type { DropReason } from "../base/drop_reason.ts";
import { after, type Instant } from "../base/time.ts";
import type { InboundSa } from "../esp/security_association.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import type { AddressPair, AssociationContext, AssociationHandle } from "./association_context.ts";
import { backOff } from "./back_off.ts";
import type { ControlKeys } from "./control_keys.ts";
import type { Initiation } from "./initiation.ts";
import { verifyR2Job } from "./jobs.ts";

/** What an I2 was made from and has led to. */
export interface SentI2 {
  /** When the exchange began. */
  readonly startedAt: Instant;
  /** The R1 that was answered. */
  readonly r1: Uint8Array;
  readonly i2: Uint8Array;
  readonly keys: ControlKeys;
  /** Stands, and carries nothing before R2 (RFC 7402 §6.4). */
  readonly inbound: InboundSa;
  readonly addresses: AddressPair;
}

export class AwaitingR2 {
  readonly sent: SentI2;
  /** A newer R1 has come: work on another I2 (RFC 7401 §6.8, R1 counter). */
  renewal: Initiation | undefined;
  readonly #context: AssociationContext;
  readonly #association: AssociationHandle;
  #attempts = 1;
  #retryAt: Instant;
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
    this.#retryAt = after(now, context.settings.i2Timeout);
  }

  /** §6.10 steps 1 to 4. */
  handleR2(packet: HipPacket): DropReason | undefined {
    if (this.#verifying !== undefined) return "hip-busy";
    const { r1, keys } = this.sent;
    this.#verifying = this.#context.submit(
      this.#association,
      verifyR2Job(packet.bytes, r1, keys),
    );
    return undefined;
  }

  /** The check of an R2 is done. @returns Whether this was the job awaited. */
  finishVerifying(id: number): boolean {
    if (this.#verifying !== id) return false;
    this.#verifying = undefined;
    return true;
  }

  /** When `handleTimeout` has work. */
  get retryAt(): Instant {
    return this.#retryAt;
  }

  /** Sends I2 again. @returns False when the tries are used up. */
  handleTimeout(now: Instant): boolean {
    const { i2RetriesMax, i2Timeout, i2TimeoutMax } = this.#context.settings;
    if (this.#attempts >= i2RetriesMax) return false;
    this.#attempts++;
    this.#retryAt = after(now, backOff(i2Timeout, i2TimeoutMax, this.#attempts));
    this.#context.transmit(now, this.sent.addresses, this.sent.i2);
    return true;
  }
}
