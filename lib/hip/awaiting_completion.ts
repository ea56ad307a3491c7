/**
 * R2-SENT: the Responder has sent R2 and does not know whether it has arrived (RFC 7401 §4.4.1,
 * §4.4.3, §6.9 step 21).
 *
 * The first authenticated packet of the peer ends this, or the Exchange Complete timeout: the last
 * I2 that may come has come by then. Our own data does not wait that long: when no I2 has come again
 * for a while, R2 has most likely arrived.
 */

import { after, type Duration, earliest, type Instant } from "../base/time.ts";
import type { AnsweredI2 } from "./answered_i2.ts";
import type { AssociationContext, AssociationHandle } from "./association_context.ts";
import { backOffTotal } from "./back_off.ts";
import type { ControlSettings } from "./constants.ts";
import type { Security } from "./control_keys.ts";

export class AwaitingCompletion {
  readonly security: Security;
  readonly answered: AnsweredI2;
  readonly #context: AssociationContext;
  readonly #association: AssociationHandle;
  #completeAt: Instant;
  /** When our own data may pass; undefined once it may. */
  #dataAt: Instant | undefined;

  constructor(
    now: Instant,
    context: AssociationContext,
    association: AssociationHandle,
    security: Security,
    answered: AnsweredI2,
  ) {
    this.#context = context;
    this.#association = association;
    this.security = security;
    this.answered = answered;
    this.#completeAt = after(now, exchangeCompleteTime(context.settings));
    this.#dataAt = after(now, context.settings.responderDataWait);
  }

  /** R2 was sent again: both waits begin anew (§6.9 step 4). */
  restart(now: Instant): void {
    const { settings } = this.#context;
    this.#completeAt = after(now, exchangeCompleteTime(settings));
    if (this.#dataAt !== undefined) this.#dataAt = after(now, settings.responderDataWait);
    this.#context.reschedule(this.#association);
  }

  /** When `handleTimeout` has work. */
  nextTimeout(): Instant {
    return earliest(this.#completeAt, this.#dataAt)!;
  }

  /** Lets our data pass when it is time. @returns False when the exchange is complete. */
  handleTimeout(now: Instant): boolean {
    if (this.#completeAt <= now) return false;
    this.#dataAt = undefined;
    this.security.outbound.isActive = true;
    this.#context.dataMayPass(this.#association);
    return true;
  }
}

/** Exchange Complete: all the waits of an Initiator whose I2 timers are ours (§4.4.1). */
export function exchangeCompleteTime(
  { i2Timeout, i2TimeoutMax, i2RetriesMax }: ControlSettings,
): Duration {
  return backOffTotal(i2Timeout, i2TimeoutMax, i2RetriesMax);
}
