/**
 * One association: the state machine of RFC 7401 §4.4 for one pair of HITs.
 *
 * Read first RFC 7401 §4.4.3, §6.6, §6.8 to §6.10, §6.14, §6.15. The association decides what to
 * do and tells its context; it computes nothing long itself. Public-key work is a job whose result
 * comes back through `handleJobDone`; a result that no state waits for any more is ignored.
 * `#transition` is the only assignment to the state.
 */

import { isAllZero } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import { MalformedPacketError } from "../base/errors.ts";
import { after, elapsed, type Instant } from "../base/time.ts";
import { PACKET } from "../wire/hip/code_points.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import { type HipPacket, isAnonymous, parseHipPacket } from "../wire/hip/packet.ts";
import { ECHO_REQUEST_SIGNED, ECHO_RESPONSE_SIGNED } from "../wire/hip/parameters/echo.ts";
import {
  type AddressPair,
  type AssociationContext,
  type AssociationHandle,
  isInUdp,
  type StateName,
} from "./association_context.ts";
import { AssociationHits } from "./association_hits.ts";
import {
  ALLOWED_TRANSITIONS,
  type AssociationState,
  closedState,
  keysOf,
  securityOf,
  timeoutOf,
} from "./association_state.ts";
import { AwaitingCompletion } from "./awaiting_completion.ts";
import { AwaitingR2, type SentI2 } from "./awaiting_r2.ts";
import { Closing } from "./closing.ts";
import { AnsweredI2 } from "./answered_i2.ts";
import { admitControl } from "./control_admission.ts";
import { ControlChannel, type SignedPacket, type VerifiedPacket } from "./control_channel.ts";
import { type ControlKeys, pathOf, type Security } from "./control_keys.ts";
import { StoredKeys, wipeSecrets } from "./control_keys.ts";
import { establishedState, noteUnsigned, tendEstablished } from "./established.ts";
import { ExchangeAttempt } from "./exchange_attempt.ts";
import { ExchangeRecord } from "./exchange_record.ts";
import { type Initiation, type R1Candidate, r1Generation } from "./initiation.ts";
import type { AcceptI2Result, BuildI2Result, Job, JobResult } from "./jobs.ts";
import { discardSecrets, PEER_SILENT, Rekeying } from "./rekeying.ts";
import { installSecurity, makeInboundSa, makeSecurity } from "./security.ts";
import { NO_TRAFFIC, type Traffic, withTraffic } from "./traffic.ts";

export class Association implements AssociationHandle {
  /** What is remembered of its exchanges. */
  readonly record = new ExchangeRecord();
  readonly #context: AssociationContext;
  readonly #channel: ControlChannel;
  readonly #hits: AssociationHits;
  /** The last attempt of ours. */
  #attempt: ExchangeAttempt | undefined;
  #state: AssociationState = { kind: "UNASSOCIATED" };
  /** For opportunistic mode: the only address to send I1 to. */
  readonly #opportunisticAddress: Uint8Array | undefined;

  /** @param peerHit All zero for opportunistic mode, with `opportunisticAddress` (§4.1.8). */
  constructor(
    context: AssociationContext,
    localHit: Uint8Array,
    peerHit: Uint8Array,
    opportunisticAddress?: Uint8Array,
  ) {
    this.#context = context;
    this.#channel = new ControlChannel(context, this);
    // It may stand in a packet, of which nothing else is to be kept.
    this.#hits = new AssociationHits(localHit, peerHit.slice());
    this.#opportunisticAddress = opportunisticAddress;
  }

  get localHit(): Uint8Array {
    return this.#hits.localHit;
  }

  /** All zero until R1 of an opportunistic exchange has named it. */
  get peerHit(): Uint8Array {
    return this.#hits.peerHit;
  }

  /** The address that alone vouches for the peer in opportunistic mode (RFC 7401 §8). */
  get opportunisticAddress(): Uint8Array | undefined {
    return this.#opportunisticAddress;
  }

  get state(): StateName {
    return this.#state.kind;
  }

  /** The SAs in force, or undefined. */
  get security(): Security | undefined {
    return securityOf(this.#state);
  }

  /** What it has carried, over all rekeys. */
  get traffic(): Traffic {
    if (this.#state.kind === "ESTABLISHED") return this.#state.rekeying.traffic;
    return withTraffic(NO_TRAFFIC, this.security?.inbound, this.security?.outbound);
  }

  get keys(): ControlKeys | undefined {
    return keysOf(this.#state);
  }

  /** Whether an I1 of the peer is answered while ours is under way (RFC 7401 §6.7 step 3). */
  get yieldsToI1(): boolean {
    return this.#state.kind !== "I1-SENT" || isAllZero(this.peerHit) || this.#hits.isOursGreater;
  }

  /** Whether an I2 of the peer may make or replace this association (§6.9 step 5). */
  get yieldsToI2(): boolean {
    return this.#state.kind !== "I2-SENT" || this.#hits.isOursGreater;
  }

  /** Whether an exchange that we started is under way. */
  get isInitiating(): boolean {
    return this.#state.kind === "I2-SENT" || this.#initiation !== undefined;
  }

  // ---- Initiator -------------------------------------------------------------------------------

  /**
   * Data wants to go out, or the user asked: starts an exchange where the state allows it.
   *
   * @param options `mayChangeHit`: nothing is bound to our HIT yet, so that another may do.
   */
  initiate(
    now: Instant,
    options: { readonly mayChangeHit?: boolean; readonly why?: string } = {},
  ): void {
    switch (this.#state.kind) {
      case "UNASSOCIATED":
      case "CLOSING": {
        const initiation = this.#begin(now, options.mayChangeHit ?? false);
        this.record.begin();
        this.#wipeKeys();
        this.#transition(now, { kind: "I1-SENT", initiation }, options.why ?? "data to send");
        initiation.handleTimeout(now);
        return;
      }
      case "CLOSED":
        // FSM-051: I1 goes out while the old association still answers CLOSE.
        if (this.#state.initiation !== undefined) return;
        this.#state.initiation = this.#begin(now, false);
        this.#state.initiation.handleTimeout(now);
        return;
      case "E-FAILED":
        // FSM-056: not before the wait is over.
        this.#context.unreachable(now, this, this.#state.why);
        return;
      case "I1-SENT":
      case "I2-SENT":
      case "R2-SENT":
      case "ESTABLISHED":
        return;
    }
  }

  #begin(now: Instant, mayChangeHit: boolean): Initiation {
    this.#attempt = new ExchangeAttempt(this.#context, this, {
      initiationFailed: (at, why) => this.#fail(at, why),
      i2Built: (at, r1, result, spi) => this.#handleI2Built(at, r1, result, spi),
      adoptPeer: (peerHit) =>
        this.#hits.change({ peerHit: peerHit.slice() }, (old) => this.#context.moved(this, old)),
      adoptLocal: (at, localHit) => this.#adoptLocal(at, localHit),
    }, {
      address: this.#opportunisticAddress,
      mayChangeHit,
      knownGeneration: this.record.peerGeneration,
    });
    return this.#attempt.begin(now);
  }

  get #initiation(): Initiation | undefined {
    const state = this.#state;
    if (state.kind === "I2-SENT") return state.awaiting.renewal;
    return state.kind === "I1-SENT" || state.kind === "CLOSED" ? state.initiation : undefined;
  }

  /**
   * RFC 7401 §6.8 steps 1 and 2. In I2-SENT an R1 of a later generation starts the work over: the
   * one that was answered may have been an old one, replayed (R1 counter, §4.1.4). What comes over
   * another transport than that one answers an I1 that has lost (RFC 9028 §4.7.3).
   */
  handleR1(now: Instant, packet: HipPacket, addresses: AddressPair): DropReason | undefined {
    const state = this.#state;
    if (state.kind === "I2-SENT" && state.awaiting.renewal === undefined) {
      const { awaiting } = state;
      if (isInUdp(addresses) !== isInUdp(awaiting.sent.addresses)) return "hip-wrong-state";
      const generation = r1Generation(packet);
      if (generation <= awaiting.sent.r1.generation) {
        return awaiting.keepR1({ bytes: packet.bytes, addresses, receivedAt: now, generation });
      }
      this.#attempt!.renew(awaiting);
    }
    const initiation = this.#initiation;
    return initiation === undefined
      ? "hip-wrong-state"
      : initiation.handleR1(now, packet, addresses);
  }

  /** ICMP says that I1 does not get there: a hint, and only while an R1 is awaited (§6.6.2, §8). */
  noteUnreachable(addresses: AddressPair, isProhibited: boolean): boolean {
    const state = this.#state;
    if (state.kind !== "I1-SENT" && state.kind !== "CLOSED") return false;
    return state.initiation?.noteUnreachable(addresses, isProhibited) === true;
  }

  /** §6.8 step 6: what waits for the HIT of before has nobody left who would take it. */
  #adoptLocal(now: Instant, localHit: Uint8Array): boolean {
    return this.#hits.change({ localHit }, (old) => {
      if (!this.#context.moved(this, old)) return false;
      this.#context.unreachable(now, old, "the peer does not support the HIT suite");
      return true;
    });
  }

  /** §6.8 steps 16 to 19. */
  #handleI2Built(now: Instant, r1: R1Candidate, result: BuildI2Result, spi: number): void {
    const initiation = this.#initiation!;
    const keys = new StoredKeys(result, this.peerHit);
    this.#hits.holdPeerIn(keys.peerHit);
    this.#removeSecurity();
    // RFC 7402 §6.4: the inbound SA stands before I2 leaves, and carries nothing before R2.
    const inbound = makeInboundSa(this.#context, this.localHit, this.peerHit, spi, keys);
    this.record.isPeerAnonymous = isAnonymous(r1.bytes);
    this.record.puzzleTime = initiation.puzzleTime;
    this.record.peerGeneration = r1.generation;
    const awaiting = new AwaitingR2(now, this.#context, this, {
      startedAt: initiation.startedAt,
      r1,
      i2: result.i2,
      keys,
      inbound,
      addresses: r1.addresses,
    });
    this.#transition(now, { kind: "I2-SENT", awaiting }, "R1 processed");
    this.#context.transmit(now, r1.addresses, result.i2);
    for (const waiting of initiation.takeCandidates()) {
      this.handleR1(now, parseHipPacket(waiting.bytes), waiting.addresses);
    }
  }

  /** RFC 7401 §6.10 steps 1 to 4. */
  handleR2(now: Instant, packet: HipPacket): DropReason | undefined {
    const state = this.#state;
    return state.kind === "I2-SENT"
      ? state.awaiting.handleR2(now, packet.bytes)
      : "hip-wrong-state";
  }

  // ---- Responder: an I2 was found right --------------------------------------------------------

  /**
   * A retransmitted I2 gets the stored R2 again (§6.9 step 4), in ESTABLISHED too: R2-SENT may have
   * ended by time while every R2 was lost, and a late copy must not replace the association.
   *
   * @returns Whether it was one.
   */
  repeatR2(now: Instant, i2: Uint8Array, addresses: AddressPair): boolean {
    const answered = this.#answered;
    if (answered?.isBy(i2) !== true) return false;
    if (this.#state.kind === "R2-SENT") this.#state.awaiting.restart(now);
    this.#context.transmit(now, addresses, answered.r2);
    return true;
  }

  get #answered(): AnsweredI2 | undefined {
    const state = this.#state;
    if (state.kind === "R2-SENT") return state.awaiting.answered;
    return state.kind === "ESTABLISHED" ? state.answered : undefined;
  }

  /** RFC 7401 §6.9 steps 18 to 21: replaces whatever there was. */
  acceptI2(
    now: Instant,
    i2: Uint8Array,
    receivedAt: Instant,
    addresses: AddressPair,
    result: AcceptI2Result,
    spi: number,
  ): void {
    const { r2, outboundSpi } = result;
    const keys = new StoredKeys(result, this.peerHit);
    this.#hits.holdPeerIn(keys.peerHit);
    this.#removeSecurity();
    const spis = { inbound: spi, outbound: outboundSpi };
    const security = makeSecurity(this.#context, this, keys, spis, addresses);
    // The Initiator may send at once; what it sends is what ends R2-SENT.
    security.inbound.isActive = true;
    this.#context.awaitData(security.inbound, this);
    this.record.accept(elapsed(receivedAt, now), isAnonymous(i2));
    this.#attempt = undefined;
    const answered = new AnsweredI2(now, i2, r2);
    const awaiting = new AwaitingCompletion(now, this.#context, this, security, answered);
    this.#transition(now, { kind: "R2-SENT", awaiting }, "I2 accepted");
    this.#context.transmit(now, addresses, r2);
  }

  /** The first authenticated packet, or the Exchange Complete timeout, ends R2-SENT (step 21). */
  handleData(now: Instant, spi: number): void {
    const state = this.#state;
    if (state.kind === "R2-SENT") {
      this.#establish(now, state.awaiting.security, "first packet from the peer");
    } else if (state.kind === "ESTABLISHED") {
      state.rekeying.handleData(now, spi);
    }
  }

  /** @param answered For a peer of whom it is not known that it has heard our R2. */
  #establish(now: Instant, security: Security, why: string, answered?: AnsweredI2): void {
    security.inbound.isActive = true;
    security.outbound.isActive = true;
    this.record.establishedAt = now;
    this.#attempt = undefined;
    const { access, settings } = this.#context;
    const period = access.idleTimeoutFor(this.peerHit, this.record.isPeerAnonymous) ??
      settings.unusedAssociationLifetime;
    const rekeying = new Rekeying(now, security, {
      context: this.#context,
      association: this,
      channel: this.#channel,
      roundTrip: this.#state.kind === "I2-SENT" ? this.#state.awaiting.roundTrip : undefined,
    });
    const state = establishedState(now, rekeying, answered, period, settings);
    this.#transition(now, state, why);
    this.#context.established(now, this);
    // What the exchange has looked at may rest from now on.
    security.inbound.dropViews();
    security.outbound.dropViews();
  }

  /** What looks after the SAs while ESTABLISHED. */
  get rekeying(): Rekeying | undefined {
    return this.#state.kind === "ESTABLISHED" ? this.#state.rekeying : undefined;
  }

  // ---- closing ---------------------------------------------------------------------------------

  /** RFC 7401 §6.14: tells the peer and stops carrying data at once. */
  close(now: Instant, why: string): void {
    const state = this.#state;
    switch (state.kind) {
      case "R2-SENT":
      case "ESTABLISHED": {
        const security = securityOf(state)!;
        const closing = new Closing(now, this.#context, security.keys, pathOf(security));
        this.#removeSecurity({ keepKeys: true });
        this.#transition(now, { kind: "CLOSING", closing }, why);
        closing.start(this.#channel);
        return;
      }
      case "I1-SENT":
      case "I2-SENT":
        this.#removeSecurity();
        this.#transition(now, { kind: "UNASSOCIATED" }, why);
        this.#context.unreachable(now, this, why);
        return;
      case "UNASSOCIATED":
      case "CLOSING":
      case "CLOSED":
      case "E-FAILED":
        return;
    }
  }

  /** UPDATE, CLOSE, CLOSE_ACK and NOTIFY: the MAC first, then the signature as a job (§4.1.4). */
  handleControl(now: Instant, packet: HipPacket, addresses: AddressPair): DropReason | undefined {
    const state = this.#state;
    const keys = keysOf(state);
    if (keys === undefined) return "hip-wrong-state";
    const verdict = admitControl(now, state, packet);
    if (verdict !== undefined) return verdict === "handled" ? undefined : verdict;
    return this.#channel.verify(packet, addresses, keys);
  }

  #handleVerified(now: Instant, verified: VerifiedPacket): void {
    try {
      this.#handleVerifiedControl(now, verified);
    } catch (error) {
      if (!(error instanceof MalformedPacketError)) throw error;
      this.#channel.noteMalformed(now, verified, error);
    }
  }

  #handleVerifiedControl(now: Instant, { packet, addresses, keys }: VerifiedPacket): void {
    if (keysOf(this.#state) !== keys) return;
    if (packet.packetType === PACKET.UPDATE) {
      if (this.#state.kind === "R2-SENT") {
        this.#establish(now, this.#state.awaiting.security, "UPDATE from the peer");
      }
      if (this.#state.kind === "ESTABLISHED") {
        this.#state.rekeying.handleUpdate(now, packet, addresses);
      }
      return;
    }
    if (packet.packetType === PACKET.NOTIFY) {
      this.#context.notified(now, this, packet);
      if (this.#state.kind !== "I2-SENT") return;
      this.#attempt!.handleNotify(now, this.#state.awaiting, packet);
      return;
    }
    if (packet.packetType === PACKET.CLOSE_ACK) {
      // Crossing CLOSEs end in CLOSED; an I1 sent from there still waits for its R1.
      if (this.#initiation === undefined) this.#leave(now, "CLOSE_ACK received");
      return;
    }
    const { opaque } = packet.require(ECHO_REQUEST_SIGNED);
    this.#removeSecurity({ keepKeys: true });
    if (this.#state.kind !== "CLOSED") {
      const closed = closedState(now, this.#state, this.#context.settings);
      this.#transition(now, closed, "CLOSE received");
    }
    const response = encodeParameter(ECHO_RESPONSE_SIGNED, { opaque });
    this.#channel.sign(PACKET.CLOSE_ACK, [response], addresses, keys);
  }

  #handleSigned(now: Instant, id: number, signed: SignedPacket): void {
    const { packetType, packet, addresses, keys } = signed;
    const state = this.#state;
    if (keysOf(state) !== keys) return;
    if (packetType === PACKET.UPDATE) {
      if (state.kind === "ESTABLISHED") state.rekeying.handleSigned(now, id, packet);
      return;
    }
    if (packetType === PACKET.NOTIFY) {
      if (state.kind !== "ESTABLISHED") return;
      state.keepalive?.handleSigned(packet);
    }
    if (state.kind === "CLOSING" && packetType === PACKET.CLOSE) {
      state.closing.handleSigned(packet);
    }
    this.#context.transmit(now, addresses, packet);
  }

  // ---- jobs and timers -------------------------------------------------------------------------

  /** The result of a job that this association submitted. */
  handleJobDone(now: Instant, id: number, job: Job, result: JobResult): void {
    const state = this.#state;
    const control = this.#channel.finish(id, job, result);
    if (control !== undefined) {
      if (control.kind === "refused") {
        this.#channel.noteRefused(now, control, result);
        if (state.kind === "ESTABLISHED") noteUnsigned(now, state, id, control);
      } else if (control.kind === "verified") this.#handleVerified(now, control);
      else this.#handleSigned(now, id, control);
      return;
    }
    if (state.kind === "ESTABLISHED" && state.rekeying.handleJobDone(now, id, job, result)) return;
    discardSecrets(job, result);
    if (state.kind === "I2-SENT" && state.awaiting.finishVerifying(id)) {
      const { sent, lastR1 } = state.awaiting;
      if (result.kind === "verify-r2") {
        this.record.lastR1 = lastR1;
        this.#handleVerifiedR2(now, sent, result.outboundSpi);
      }
      if (result.kind === "failed") this.#context.drop(now, result.reason, result.detail);
      return;
    }
    this.#initiation?.handleJobDone(now, id, job, result);
    // Keys for an I2 that is not wanted any more.
    if (result.kind === "build-i2") wipeSecrets(result);
  }

  /** RFC 7401 §6.10 step 6. */
  #handleVerifiedR2(now: Instant, sent: SentI2, outboundSpi: number): void {
    const { keys, inbound, addresses } = sent;
    const security = installSecurity(this.#context, this, keys, inbound, outboundSpi, addresses);
    this.record.baseExchangeTime = elapsed(sent.startedAt, now);
    this.#establish(now, security, "R2 verified");
  }

  /** When `handleTimeout` has work. */
  nextTimeout(): Instant | undefined {
    return timeoutOf(this.#state);
  }

  /** Does what is due; harmless when nothing is. */
  handleTimeout(now: Instant): void {
    const due = this.nextTimeout();
    if (due === undefined || due > now) return;
    const state = this.#state;
    switch (state.kind) {
      case "UNASSOCIATED":
        return;
      case "I1-SENT":
        state.initiation.handleTimeout(now);
        return;
      case "I2-SENT":
        if (!state.awaiting.handleTimeout(now)) {
          if (this.#attempt!.tryOthers(now, state.awaiting)) break;
          this.#fail(now, "the peer did not answer I2");
          return;
        }
        break;
      case "R2-SENT":
        if (!state.awaiting.handleTimeout(now)) {
          const { security, answered } = state.awaiting;
          this.#establish(now, security, "Exchange Complete timeout", answered);
          return;
        }
        break;
      case "ESTABLISHED": {
        const why = tendEstablished(now, state, this.#context, this.#channel);
        if (why === undefined) break;
        this.close(now, why);
        // Data has been going out, and more of it will (FSM-062).
        if (why === PEER_SILENT) this.initiate(now);
        return;
      }
      case "CLOSING":
        if (!state.closing.handleTimeout(now)) {
          this.#leave(now, "no CLOSE_ACK");
          return;
        }
        break;
      case "CLOSED":
        if (state.until <= now) this.#leave(now, "UAL + 2 MSL over");
        else state.initiation?.handleTimeout(now);
        return;
      case "E-FAILED":
        this.#leave(now, "wait over");
        return;
    }
    this.#context.reschedule(this);
  }

  // ---- state -----------------------------------------------------------------------------------

  #fail(now: Instant, what: string): void {
    const why = this.#attempt?.describeFailure(what) ?? what;
    this.record.failure = why;
    if (this.#state.kind === "CLOSED") {
      this.#state.initiation = undefined;
      this.#context.reschedule(this);
    } else {
      this.#removeSecurity();
      const until = after(now, this.#context.failedWait(now, this));
      this.#transition(now, { kind: "E-FAILED", until, why }, why);
    }
    this.#context.unreachable(now, this, why);
  }

  #leave(now: Instant, why: string): void {
    this.#wipeKeys();
    this.#transition(now, { kind: "UNASSOCIATED" }, why);
  }

  /** Takes the SAs out of the data path; the keys too, unless a later state needs them. */
  #removeSecurity(options: { keepKeys?: boolean } = {}): void {
    if (this.#state.kind === "ESTABLISHED") this.#state.rekeying.stop();
    const inbound = this.#state.kind === "I2-SENT"
      ? this.#state.awaiting.sent.inbound
      : this.security?.inbound;
    if (inbound !== undefined) this.#context.removeSas(inbound, this.security?.outbound);
    if (options.keepKeys !== true) this.#wipeKeys();
  }

  #wipeKeys(): void {
    if (this.keys !== undefined) wipeSecrets(this.keys);
  }

  #transition(now: Instant, next: AssociationState, why: string): void {
    const from = this.#state.kind;
    if (!ALLOWED_TRANSITIONS[from].includes(next.kind)) {
      throw new Error(`Association cannot go from ${from} to ${next.kind} (${why})`);
    }
    this.#state = next;
    this.#context.changed(now, this, from, next.kind, why);
    this.#context.reschedule(this);
  }
}
