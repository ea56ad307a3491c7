/**
 * The SAs of an established association and how they are replaced (RFC 7402 §3.3.2, §6.8 to §6.10).
 *
 * ```
 *   starter                                              answerer
 *     UPDATE(ESP_INFO, SEQ [, DIFFIE_HELLMAN])  ->
 *                                                        new inbound SA stands
 *                                               <-       UPDATE(ESP_INFO, SEQ, ACK [, DH])
 *     new inbound SA stands, new outbound SA in use
 *     UPDATE(ACK)                               ->       new outbound SA in use: on this ACK, or on
 *                                                        data that comes in on the new SA
 * ```
 *
 * When both start at once, each takes the other's request for the answer. Invariants: a peer's
 * ESP_INFO is acknowledged only after the inbound SA that it leads to stands, so that nothing sent
 * on a new SA is lost; old inbound SAs stay for late packets; octets of KEYMAT are drawn once; until
 * a rekey is finished the old SAs and the old KEYMAT stay as they are.
 */

import { wipe } from "../base/bytes.ts";
import { randomBytes, randomUint32 } from "../base/random.ts";
import { after, earliest, type Instant, milliseconds } from "../base/time.ts";
import { rhashLength } from "../crypto/rhash.ts";
import { type EsnMode, NO_REKEY_LIMITS } from "../esp/security_association.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { DIFFIE_HELLMAN } from "../wire/hip/parameters/diffie_hellman.ts";
import { ECHO_RESPONSE_SIGNED } from "../wire/hip/parameters/echo.ts";
import { ESP_INFO, type EspInfo } from "../wire/hip/parameters/esp_info.ts";
import type { AddressPair, AssociationContext, AssociationHandle } from "./association_context.ts";
import { pathOf, type Security } from "./control_keys.ts";
import type { DropReason } from "../base/drop_reason.ts";
import type { Job, JobResult } from "./jobs.ts";
import { Liveness } from "./liveness.ts";
import { isElsewhere, PathCheck } from "./path_check.ts";
import type { PeerOffer, PendingRekey } from "./pending_rekey.ts";
import { FirstMaterial, type Material } from "./rekey_material.ts";
import { type RekeyMeaning, rekeyMeaning } from "./rekey_meaning.ts";
import { espKeymatLength, makeInboundSa, makeOutboundSa } from "./security.ts";
import { RetiringSas } from "./retiring_sas.ts";
import { type Traffic, withTraffic } from "./traffic.ts";
import { readUpdate, type UpdateContents, Updates, type UpdatesOptions } from "./update.ts";

/** What `Updates` needs but for the path and the keys. */
export type RekeyingOptions = Omit<UpdatesOptions, "path" | "keys">;

/** Why an association ends whose peer has lost its own. */
export const PEER_SILENT = "the peer gave no sign of life";

export class Rekeying {
  readonly #context: AssociationContext;
  readonly #association: AssociationHandle;
  readonly #options: RekeyingOptions;
  /** Made for the first UPDATE: an association that rests has none. */
  #begunUpdates: Updates | undefined;
  /** Made for the first packet that goes out. */
  #liveness: Liveness | undefined;
  #security: Security;
  #material: Material;
  #pending: PendingRekey | undefined;
  /** A rekey that is held back. */
  #held: { readonly withDh: boolean } | undefined;
  readonly #retiring: RetiringSas;
  /** The outbound SPI before the last rekey. */
  #formerSpi: number | undefined;
  /** The peer may have another path. */
  #pathCheck: PathCheck | undefined;
  /** When to start by ourselves; undefined for never. */
  #startAt: Instant | undefined;

  /** @param security What R2 has led to. */
  constructor(
    now: Instant,
    security: Security,
    options: RekeyingOptions,
  ) {
    this.#context = options.context;
    this.#association = options.association;
    this.#options = options;
    this.#security = security;
    this.#material = new FirstMaterial(security.keys);
    this.#retiring = new RetiringSas(options.context);
    this.#arm(now);
  }

  get #updates(): Updates {
    return this.#begunUpdates ??= new Updates({
      ...this.#options,
      keys: this.#security.keys,
      path: () => this.#pathCheck?.addresses ?? pathOf(this.#security),
    });
  }

  /** The SAs in force. */
  get security(): Security {
    return this.#security;
  }

  get traffic(): Traffic {
    const { inbound, outbound } = this.#security;
    return withTraffic(this.#retiring.traffic, inbound, outbound);
  }

  /** Data goes out from now on; see `Liveness`. */
  watch(now: Instant): void {
    this.#security.outbound.isWatched = true;
    this.#liveness ??= new Liveness({
      settings: this.#context.settings,
      traffic: () => this.traffic,
      ask: (at) => this.ask(at),
      release: () => this.#security.outbound.isWatched = false,
    });
    this.#liveness.watch(now);
    this.#context.reschedule(this.#association);
  }

  /**
   * Sends an UPDATE that says nothing and that the peer must acknowledge.
   *
   * @returns False while a rekey is outstanding, which allows no other (RFC 7402 §6.8). Its own
   *   UPDATE must be acknowledged as well.
   */
  ask(now: Instant): boolean {
    if (this.#pending?.sent !== undefined || this.#updates.hasDependents) return false;
    this.#updates.send(now, [], []);
    this.#context.reschedule(this.#association);
    return true;
  }

  // ---- starting --------------------------------------------------------------------------------

  /**
   * Starts a rekey, one at a time, and not before the last one's UPDATE has its ACK: this one would
   * name as old an SPI that is new in the other (RFC 7401 §6.11).
   *
   * @returns False when one is under way or no SPI is free.
   */
  start(now: Instant, withDh: boolean): boolean {
    if (this.#pending !== undefined) return false;
    if (this.#begunUpdates?.hasDependents === true) {
      this.#held = { withDh };
      this.#startAt = undefined;
      return true;
    }
    this.#held = undefined;
    const isExhausted = !this.#fits(this.#material.nextIndex);
    const isStarted = this.#begin(now, true, withDh || isExhausted, undefined);
    if (isStarted) this.#advance(now);
    else this.#startLater(now);
    this.#context.reschedule(this.#association);
    return isStarted;
  }

  #begin(
    now: Instant,
    isStarter: boolean,
    withDh: boolean,
    peer: PeerOffer | undefined,
  ): boolean {
    const newSpi = this.#context.allocateSpi();
    if (newSpi === undefined) return false;
    this.#held = undefined;
    this.#pending = {
      isStarter,
      withDh,
      newSpi,
      until: after(now, this.#context.settings.rekeyTimeout),
      keyPair: undefined,
      job: undefined,
      sent: undefined,
      isAcknowledged: false,
      peer,
      keymat: undefined,
      ready: undefined,
    };
    return true;
  }

  /** Whether a pair of SAs can be drawn at `index` (RFC 5869 §2.3, RFC 7402 §5.1.1). */
  #fits(index: number): boolean {
    const { espSuite, rhash } = this.#security.keys;
    return index <= 0xffff && index + espKeymatLength(espSuite) <= 255 * rhashLength(rhash);
  }

  // ---- the steps, each as soon as it can be taken ----------------------------------------------

  #advance(now: Instant): void {
    const pending = this.#pending;
    if (pending === undefined || pending.job !== undefined) return;
    const { peer } = pending;
    if (pending.withDh && pending.keyPair === undefined) {
      pending.job = this.#context.submit(this.#association, {
        kind: "generate-dh",
        seed: randomBytes(this.#context.random, 32),
        dhGroup: this.#security.keys.dhGroup,
      });
      return;
    }
    if (pending.isStarter && pending.sent === undefined) {
      this.#sendOffer(now, pending, this.#material.nextIndex, []);
    }
    if (peer !== undefined && pending.ready === undefined && !this.#prepare(now, pending, peer)) {
      return;
    }
    if (peer !== undefined && peer.toAcknowledge.length > 0) {
      const updateIds = peer.toAcknowledge;
      peer.toAcknowledge = [];
      if (pending.sent !== undefined) this.#updates.acknowledge(updateIds);
      // The index was settled when the SA was prepared.
      else this.#sendOffer(now, pending, pending.ready!.keymatIndex, updateIds);
    }
    if (pending.isAcknowledged) this.#finish(now);
  }

  /** @param index Of KEYMAT; counts only without new Diffie-Hellman keys (RFC 7402 §6.8 step 2). */
  #sendOffer(now: Instant, pending: PendingRekey, index: number, acknowledges: number[]): void {
    const { keyPair, peer, newSpi } = pending;
    const isNewKeymat = keyPair !== undefined ||
      (!pending.isStarter && peer?.publicValue !== undefined);
    const keymatIndex = isNewKeymat ? 0 : index;
    const oldSpi = this.#security.inbound.spi;
    const parameters = [encodeParameter(ESP_INFO, { keymatIndex, oldSpi, newSpi })];
    if (keyPair !== undefined) parameters.push(encodeParameter(DIFFIE_HELLMAN, keyPair));
    pending.sent = { updateId: this.#updates.send(now, parameters, acknowledges), keymatIndex };
  }

  /**
   * RFC 7402 §6.10 steps 1 to 3: KEYMAT, index, the new inbound SA.
   *
   * @returns Whether it stands; if not, a job is under way or the rekey was given up.
   */
  #prepare(now: Instant, pending: PendingRekey, peer: PeerOffer): boolean {
    const old = this.#material;
    const keyPair = pending.keyPair ?? old.keyPair;
    const peerPublicValue = peer.publicValue ?? old.peerPublicValue;
    const isNewKeymat = pending.keyPair !== undefined || peer.publicValue !== undefined;
    const { localHit, peerHit } = this.#association;
    const { keys } = this.#security;
    if (isNewKeymat && pending.keymat === undefined) {
      const { rhash, randomI, solutionJ } = keys;
      pending.job = this.#context.submit(this.#association, {
        kind: "agree-dh",
        rhash,
        // A copy: the association may end, and wipe its own, while the job waits for its turn.
        keyPair: { ...keyPair, privateKey: keyPair.privateKey.slice() },
        peerPublicValue,
        randomI,
        solutionJ,
        localHit,
        peerHit,
      });
      return false;
    }
    const sentIndex = pending.sent?.keymatIndex ?? old.nextIndex;
    const keymatIndex = isNewKeymat ? 0 : Math.max(sentIndex, peer.espInfo.keymatIndex);
    if (!this.#fits(keymatIndex)) {
      this.#giveUp(now, `KEYMAT has nothing at octet ${keymatIndex}`);
      return false;
    }
    const nextIndex = keymatIndex + espKeymatLength(keys.espSuite);
    const material = isNewKeymat
      ? { keymat: pending.keymat!, nextIndex, keyPair, peerPublicValue }
      : old;
    // Drawn octets count as used even if this rekey comes to nothing.
    material.nextIndex = nextIndex;
    const source = { keymat: material.keymat, keymatIndex, espSuite: keys.espSuite };
    const { newSpi } = pending;
    const inbound = makeInboundSa(this.#context, localHit, peerHit, newSpi, source, this.#esn);
    inbound.isActive = true;
    pending.ready = { inbound, material, keymatIndex };
    this.#context.awaitData(inbound, this.#association);
    return true;
  }

  /** What the SAs in force have shown of the form of the peer's ICV. */
  get #esn(): EsnMode {
    const { inbound } = this.#security;
    if (!inbound.isFormKnown) return this.#context.settings.esn;
    return inbound.omitsHigh ? "off" : "on";
  }

  /** RFC 7402 §6.10 step 4: sends on the new SA from now on. */
  #finish(now: Instant): void {
    const { peer, ready } = this.#pending!;
    if (peer === undefined || ready === undefined) return;
    const { oldSaLifetime, latePacketTime } = this.#context.settings;
    const { keys, inbound, outbound } = this.#security;
    const addresses = pathOf(this.#security);
    const { material, keymatIndex } = ready;
    const source = { keymat: material.keymat, keymatIndex, espSuite: keys.espSuite };
    const { newSpi } = peer.espInfo;
    const next = makeOutboundSa(this.#context, this.#association, newSpi, source, addresses);
    ready.inbound.pairWith(next);
    next.isActive = true;
    this.#formerSpi = outbound.spi;
    inbound.rekeyLimits = NO_REKEY_LIMITS;
    const linger = ready.inbound.packets > 0n ? latePacketTime : oldSaLifetime;
    this.#retiring.add(inbound, outbound, after(now, linger));
    this.#security = { keys, inbound: ready.inbound, outbound: next };
    const isNewKeymat = material !== this.#material;
    if (isNewKeymat) {
      wipe(this.#material.keymat.prk);
      if (material.keyPair !== this.#material.keyPair) wipe(this.#material.keyPair.privateKey);
    }
    this.#material = material;
    this.#pending = undefined;
    this.#arm(now);
    this.#context.rekeyed(now, this.#association, isNewKeymat);
    this.#context.reschedule(this.#association);
  }

  /** The rekey came to nothing; the old SAs stay (RFC 7402 §6.8 step 4). */
  #giveUp(now: Instant, why: string): void {
    this.#context.drop(now, "hip-rekey-failed", why);
    const { sent, peer } = this.#pending!;
    // Neither end may go on with what is gone here: ours is not sent again, the peer's begins anew.
    if (sent !== undefined) this.#updates.cancel(sent.updateId);
    for (const updateId of peer?.toAcknowledge ?? []) this.#updates.putBack(updateId);
    this.#discardPending();
    this.#startLater(now);
  }

  #discardPending(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    if (pending.ready !== undefined) this.#context.removeSas(pending.ready.inbound, undefined);
    else this.#context.releaseSpi(pending.newSpi);
    if (pending.keyPair !== undefined) wipe(pending.keyPair.privateKey);
    if (pending.keymat !== undefined) wipe(pending.keymat.prk);
  }

  // ---- what comes in ---------------------------------------------------------------------------

  /** See `Updates.admit`. */
  admit(now: Instant, packet: HipPacket): DropReason | "handled" | undefined {
    return this.#updates.admit(now, packet, readUpdate(packet));
  }

  /** An UPDATE whose MAC and signature are right: the ACK, then the rest (RFC 7401 §6.12). */
  handleUpdate(now: Instant, packet: HipPacket, addresses: AddressPair): void {
    this.#liveness?.heard();
    const update = readUpdate(packet);
    const { acknowledged, isNew } = this.#updates.take(now, packet, update);
    const check = this.#pathCheck;
    if (check !== undefined && acknowledged.includes(check.updateId)) {
      if (check.isPassedBy(packet, addresses)) this.#moveTo(check.addresses);
      this.#pathCheck = undefined;
    } else if (isNew) this.#lookWhence(now, addresses);
    const pending = this.#pending;
    if (pending?.sent !== undefined && acknowledged.includes(pending.sent.updateId)) {
      pending.isAcknowledged = true;
      // With another offer it does not complete the former one.
      if (!isNew || this.#meaningOf(update.espInfo) !== "instead") this.#advance(now);
    }
    if (isNew) this.#handleParameters(now, update.updateId!, update);
    if (this.#held !== undefined) this.start(now, this.#held.withDh);
    this.#context.reschedule(this.#association);
  }

  /** Nothing an attacker has recorded comes here: an old Update ID is not new. */
  #lookWhence(now: Instant, addresses: AddressPair): void {
    if (this.#updates.hasDependents || !isElsewhere(addresses, pathOf(this.#security))) return;
    this.#pathCheck = new PathCheck(now, addresses, this.#context.random);
    this.#pathCheck.updateId = this.#updates.send(now, [this.#pathCheck.question], []);
  }

  #moveTo({ local, peer, peerPort }: AddressPair): void {
    this.#security.outbound.setAddresses(local, peer, peerPort);
  }

  #meaningOf(espInfo: EspInfo | undefined): RekeyMeaning {
    if (espInfo === undefined) return "nothing";
    return rekeyMeaning(espInfo, {
      current: this.#security.outbound.spi,
      former: this.#formerSpi,
      asked: this.#pending?.peer?.espInfo,
    });
  }

  #handleParameters(now: Instant, updateId: number, update: UpdateContents): void {
    const { espInfo, diffieHellman, echoRequest } = update;
    if (espInfo === undefined) {
      const answers = echoRequest && [encodeParameter(ECHO_RESPONSE_SIGNED, echoRequest)];
      this.#updates.acknowledge([updateId], answers);
      return;
    }
    // RFC 7402 §6.9 step 1.
    const isWrong = diffieHellman === undefined
      ? undefined
      : diffieHellman.groupId !== this.#security.keys.dhGroup
      ? "hip-wrong-group"
      : espInfo.keymatIndex !== 0
      ? "hip-keymat-index"
      : undefined;
    if (isWrong !== undefined) {
      this.#context.drop(now, isWrong, "UPDATE");
      return;
    }
    const offer = {
      updateId,
      espInfo,
      publicValue: diffieHellman?.publicValue.slice(),
      toAcknowledge: [updateId],
    };
    const asked = this.#pending?.peer;
    switch (this.#meaningOf(espInfo)) {
      case "nothing":
        this.#updates.acknowledge([updateId]);
        return;
      case "again":
        this.#pending!.peer!.toAcknowledge.push(updateId);
        this.#advance(now);
        return;
      case "too early":
        this.#updates.putBack(updateId);
        this.#context.drop(now, "hip-busy", "the peer starts a rekey before the last one is over");
        return;
      case "error":
        this.#context.drop(now, "hip-spi-invalid", `${espInfo.oldSpi} to ${espInfo.newSpi}`);
        return;
      case "instead":
        // An UPDATE that was overtaken by a later one tells nothing new.
        if (((updateId - asked!.updateId) | 0) < 0) this.#updates.acknowledge([updateId]);
        else this.#handleRestart(now, offer);
        return;
      case "rekey":
        this.#handleOffer(now, offer);
        return;
    }
  }

  /** RFC 7402 §6.9 steps 2 and 3, §6.9.1. */
  #handleOffer(now: Instant, peer: PeerOffer): void {
    if (this.#pending === undefined) {
      const index = Math.max(peer.espInfo.keymatIndex, this.#material.nextIndex);
      const withDh = peer.publicValue !== undefined || !this.#fits(index);
      if (!this.#begin(now, false, withDh, peer)) {
        for (const updateId of peer.toAcknowledge) this.#updates.putBack(updateId);
        this.#context.drop(now, "hip-busy", "no SPI is free");
        return;
      }
    } else {
      this.#pending.peer = peer;
    }
    this.#advance(now);
  }

  /**
   * The peer has begun its rekey anew (RFC 7402 §6.8). What we have told it stays: our SPI, index
   * and key; what was made from its former offer goes.
   */
  #handleRestart(now: Instant, peer: PeerOffer): void {
    const pending = this.#pending!;
    peer.toAcknowledge.unshift(...pending.peer!.toAcknowledge);
    if (pending.sent === undefined && !pending.isStarter) {
      this.#discardPending();
      this.#handleOffer(now, peer);
      return;
    }
    pending.peer = peer;
    // A key agreement with the former key; that our own key is made is still awaited.
    if (!pending.withDh || pending.keyPair !== undefined) pending.job = undefined;
    if (pending.keymat !== undefined) wipe(pending.keymat.prk);
    pending.keymat = undefined;
    if (pending.ready !== undefined) this.#context.removeSas(pending.ready.inbound, undefined);
    pending.ready = undefined;
    this.#advance(now);
  }

  /** A Diffie-Hellman job is done. @returns Whether it was one of ours. */
  handleJobDone(now: Instant, id: number, job: Job, result: JobResult): boolean {
    if (job.kind !== "generate-dh" && job.kind !== "agree-dh") return false;
    const pending = this.#pending;
    if (pending === undefined || pending.job !== id) {
      discardSecrets(job, result);
      return true;
    }
    if (job.kind === "agree-dh") wipe(job.keyPair.privateKey);
    pending.job = undefined;
    if (result.kind === "generate-dh") pending.keyPair = result.keyPair;
    else if (result.kind === "agree-dh") pending.keymat = result.keymat;
    else {
      this.#giveUp(now, result.kind === "failed" ? `${result.reason}: ${result.detail}` : "");
      return true;
    }
    this.#advance(now);
    this.#context.reschedule(this.#association);
    return true;
  }

  /** See `Updates.handleSigned`. */
  handleSigned(now: Instant, job: number, packet: Uint8Array | undefined): void {
    this.#begunUpdates?.handleSigned(now, job, packet);
    this.#context.reschedule(this.#association);
  }

  /** The first packet has come in on an SA that we awaited data on. */
  handleData(now: Instant, spi: number): void {
    const pending = this.#pending;
    if (pending?.ready?.inbound.spi === spi) {
      // RFC 7402 §3.3.2: as good as the ACK, for the one who answered.
      if (!pending.isStarter) this.#finish(now);
    } else if (this.#security.inbound.spi === spi) {
      this.#retiring.hurry(after(now, this.#context.settings.latePacketTime));
      this.#context.reschedule(this.#association);
    }
  }

  // ---- time ------------------------------------------------------------------------------------

  /** Sets the limits of the SAs in force. */
  #arm(now: Instant): void {
    const { rekeyAge, rekeyOctets, rekeySequence } = this.#context.settings;
    const limits = { octets: rekeyOctets, sequence: rekeySequence };
    this.#security.inbound.rekeyLimits = limits;
    this.#security.outbound.rekeyLimits = limits;
    const share = 0.9 + randomUint32(this.#context.random) / 2 ** 32 / 10;
    this.#startAt = Number.isFinite(rekeyAge)
      ? after(now, milliseconds(rekeyAge * share))
      : undefined;
  }

  #startLater(now: Instant): void {
    this.#startAt = after(now, this.#context.settings.rekeyRetryWait);
    this.#context.reschedule(this.#association);
  }

  /** Not while the peer may be done with this rekey: then an UPDATE without ACK ends everything. */
  get #giveUpAt(): Instant | undefined {
    const { sent, isAcknowledged, until } = this.#pending!;
    return sent !== undefined && !isAcknowledged ? undefined : until;
  }

  /** When `handleTimeout` has work. */
  nextTimeout(): Instant | undefined {
    const rekey = this.#pending === undefined ? this.#startAt : this.#giveUpAt;
    let next = earliest(rekey, this.#begunUpdates?.nextTimeout());
    next = earliest(next, earliest(this.#liveness?.dueAt, this.#pathCheck?.until));
    return earliest(next, this.#retiring.dueAt);
  }

  /** Does what is due. @returns Why the association is broken (§6.11 step 4), if it is. */
  handleTimeout(now: Instant): string | undefined {
    this.#retiring.handleTimeout(now);
    if (this.#liveness?.handleTimeout(now) === false) return PEER_SILENT;
    if (this.#pathCheck !== undefined && this.#pathCheck.until <= now) {
      this.#updates.cancel(this.#pathCheck.updateId);
      this.#pathCheck = undefined;
      if (this.#held !== undefined) this.start(now, this.#held.withDh);
    }
    if (this.#begunUpdates?.handleTimeout(now) === false) {
      return "the peer did not acknowledge UPDATE";
    }
    if (this.#pending !== undefined) {
      if ((this.#giveUpAt ?? Infinity) <= now) this.#giveUp(now, "the peer did not finish it");
    } else if (this.#startAt !== undefined && this.#startAt <= now) {
      this.start(now, this.#context.settings.rekeyWithDh);
    }
    return undefined;
  }

  /** The association ends: nothing of a rekey stays, neither keys nor SAs beside those in force. */
  stop(): void {
    this.#discardPending();
    this.#retiring.stop();
    wipe(this.#material.keymat.prk, this.#material.keyPair.privateKey);
  }
}

/** Overwrites what a job was given and made when nobody waits for it any more. */
export function discardSecrets(job: Job, result: JobResult): void {
  if (job.kind === "agree-dh") wipe(job.keyPair.privateKey);
  if (result.kind === "generate-dh") wipe(result.keyPair.privateKey);
  if (result.kind === "agree-dh") wipe(result.keymat.prk);
}
