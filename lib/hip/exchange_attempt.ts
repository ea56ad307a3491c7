/**
 * One attempt of ours at an exchange, through all its I1s and I2s: the ways that lead to an I2, and
 * what the Responder says of it.
 *
 * A NOTIFY may be an old one, replayed. No state follows from it (RFC 7401 §6.13), a true R2 still
 * counts whatever was said, and only so many are heeded.
 */

import { after, type Duration, type Instant } from "../base/time.ts";
import { isNotifyError, NOTIFY, notifyTypeName } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { NOTIFICATION } from "../wire/hip/parameters/notification.ts";
import type { AssociationContext, AssociationHandle } from "./association_context.ts";
import type { AwaitingR2 } from "./awaiting_r2.ts";
import { backOff } from "./back_off.ts";
import { Initiation, type InitiationOptions, type InitiationOwner } from "./initiation.ts";

export class ExchangeAttempt {
  readonly #context: AssociationContext;
  readonly #association: AssociationHandle;
  readonly #owner: InitiationOwner;
  readonly #options: InitiationOptions;
  /** How often the Responder was too busy. */
  #busyAnswers = 0;
  /** The last error that it found in what we sent. */
  #error: string | undefined;

  /** @param options Of the first way; later ones take any R1 as it comes. */
  constructor(
    context: AssociationContext,
    association: AssociationHandle,
    owner: InitiationOwner,
    options: InitiationOptions,
  ) {
    this.#context = context;
    this.#association = association;
    this.#owner = owner;
    this.#options = options;
  }

  /** The way to the first I2. */
  begin(now: Instant): Initiation {
    return this.#initiation(now, this.#options);
  }

  /** A newer R1 has come: work on another I2 (§6.8, R1 counter). */
  renew(awaiting: AwaitingR2): void {
    awaiting.renew(this.#another(awaiting));
  }

  /** The I2 has led nowhere: an R1 that was passed over may (§4.1.4). @returns Whether there is one. */
  tryOthers(now: Instant, awaiting: AwaitingR2): boolean {
    const others = awaiting.takeOthers();
    if (others.length === 0) return false;
    const way = this.#another(awaiting);
    awaiting.giveUp(way);
    way.addCandidates(now, others);
    return true;
  }

  /** What an authentic NOTIFY says of our I2 (§5.2.19). */
  handleNotify(now: Instant, awaiting: AwaitingR2, packet: HipPacket): void {
    for (const { messageType } of packet.all(NOTIFICATION)) {
      if (messageType === NOTIFY.I2_ACKNOWLEDGEMENT) {
        awaiting.waitLonger(now);
      } else if (messageType === NOTIFY.RESPONDER_BUSY_PLEASE_RETRY) {
        const wait = this.#busyWait();
        // Another solution is asked for, so another puzzle.
        if (wait !== undefined) awaiting.giveUp(this.#another(awaiting, after(now, wait)));
      } else if (isNotifyError(messageType)) {
        this.#error = notifyTypeName(messageType);
      }
    }
    this.#context.reschedule(this.#association);
  }

  /** Undefined when it has been busy too often. */
  #busyWait(): Duration | undefined {
    const { busyRetriesMax, busyRetryWait, busyRetryWaitMax } = this.#context.settings;
    if (this.#busyAnswers >= busyRetriesMax) return undefined;
    this.#busyAnswers++;
    return backOff(busyRetryWait, busyRetryWaitMax, this.#busyAnswers);
  }

  /** Why it has failed, in words: what we saw, and what the Responder said. */
  describeFailure(what: string): string {
    return this.#error === undefined ? what : `${what}; it reported ${this.#error}`;
  }

  #another({ sent }: AwaitingR2, firstI1At?: Instant): Initiation {
    const { address, mayChangeHit } = this.#options;
    const options = { address, mayChangeHit, knownGeneration: undefined };
    return this.#initiation(
      sent.startedAt,
      firstI1At === undefined ? options : { ...options, firstI1At },
    );
  }

  #initiation(startedAt: Instant, options: InitiationOptions): Initiation {
    return new Initiation(startedAt, this.#context, this.#association, this.#owner, options);
  }
}
