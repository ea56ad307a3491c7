/** Inbound SAs that were replaced and wait for late packets, and what all that is gone has carried. */

import { earliest, type Instant } from "../base/time.ts";
import type { InboundSa, OutboundSa } from "../esp/security_association.ts";
import type { AssociationContext } from "./association_context.ts";
import { MAX_RETIRING_SAS } from "./constants.ts";
import { NO_TRAFFIC, type Traffic, withTraffic } from "./traffic.ts";

interface Retiring {
  readonly inbound: InboundSa;
  removeAt: Instant;
}

export class RetiringSas {
  readonly #context: AssociationContext;
  /** Oldest first. */
  #sas: Retiring[] = [];
  /** What SAs that are gone have carried. */
  #gone: Traffic = NO_TRAFFIC;

  constructor(context: AssociationContext) {
    this.#context = context;
  }

  /** What SAs before those in force have carried. */
  get traffic(): Traffic {
    return this.#sas.reduce((sum, { inbound }) => withTraffic(sum, inbound), this.#gone);
  }

  /** A pair was replaced; of too many the oldest goes. */
  add(inbound: InboundSa, outbound: OutboundSa, removeAt: Instant): void {
    this.#gone = withTraffic(this.#gone, undefined, outbound);
    this.#sas.push({ inbound, removeAt });
    if (this.#sas.length > MAX_RETIRING_SAS) this.#remove(this.#sas.shift()!.inbound);
  }

  /** None is kept for longer. */
  hurry(removeAt: Instant): void {
    for (const old of this.#sas) if (old.removeAt > removeAt) old.removeAt = removeAt;
  }

  /** When `handleTimeout` has work. */
  get dueAt(): Instant | undefined {
    let next: Instant | undefined;
    for (const { removeAt } of this.#sas) next = earliest(next, removeAt);
    return next;
  }

  handleTimeout(now: Instant): void {
    this.#sas = this.#sas.filter(({ inbound, removeAt }) => {
      if (removeAt > now) return true;
      this.#remove(inbound);
      return false;
    });
  }

  /** Removes all. */
  stop(): void {
    for (const { inbound } of this.#sas.splice(0)) this.#remove(inbound);
  }

  #remove(inbound: InboundSa): void {
    this.#gone = withTraffic(this.#gone, inbound);
    this.#context.removeSas(inbound, undefined);
  }
}
