/**
 * The story of a data packet: from an application to the wire, and back (RFC 7401 §6.1, §6.2;
 * RFC 7402 §6.1, §6.2).
 *
 * A packet for which there is no SA yet waits in `Staging` while the exchange runs. Nothing here
 * allocates or throws for a packet that has its SA.
 */

import { bytesEqual } from "../base/bytes.ts";
import type { DropCounters, DropReason } from "../base/drop_reason.ts";
import { PacketBuffer } from "../base/packet_buffer.ts";
import { PerSecond } from "../base/per_second.ts";
import type { Instant } from "../base/time.ts";
import { auditEventOf } from "../esp/audit_event.ts";
import { decapsulate } from "../esp/decapsulate.ts";
import { encapsulate } from "../esp/encapsulate.ts";
import { InnerFragments, isInnerFragment } from "../esp/inner_fragments.ts";
import type { Refusal } from "../esp/lane_records.ts";
import { isPathMtuInForce } from "../esp/path_mtu.ts";
import { SaDatabase } from "../esp/sa_database.ts";
import type { SaNews, SaOffload } from "../esp/sa_offload.ts";
import { type InboundSa, NO_REKEY_LIMITS, type OutboundSa } from "../esp/security_association.ts";
import type { Association } from "../hip/association.ts";
import type { ControlSettings } from "../hip/constants.ts";
import type { AssociationHandle, HitPair } from "../hip/association_context.ts";
import { isHit } from "../identity/hit.ts";
import type { LsiTable } from "../identity/lsi.ts";
import { ESP_HEADER_LENGTH, espSequence, espSpi } from "../wire/esp.ts";
import { isUdpPortUnreachable } from "../wire/icmpv6.ts";
import { isTcpSyn, lowerMss } from "../wire/tcp_mss.ts";
import type { Audit } from "./audit.ts";
import { type OutgoingPacket, outgoingPacket, type TableSizes } from "./effects.ts";
import { packetTooBigAnswer, unreachableAnswer } from "./inner_answers.ts";
import { hasNoSource, writeSource } from "./source_hit.ts";
import { isIpv4Packet, LsiPath } from "./lsi_path.ts";
import { Staging } from "./staging.ts";

const IPV6_HEADER = 40;
const INNER_SOURCE = 8;
const INNER_DESTINATION = 24;
/** Largest inner packet that can be staged and sealed later. */
const STAGED_CAPACITY = 65_535;
/** Packet Too Big per second: as many streams as may meet a smaller path at once. */
const TOO_BIG_PER_SECOND = 100;

/** Inbound: the one in force, the next one, and those that still wait for late packets. */
const SAS_PER_ASSOCIATION = 5;

/** What the data path asks of the engine. */
export interface DataPathOwner {
  isLocal(hit: Uint8Array): boolean;
  /** The HIT under which this host meets a peer; undefined while it is being made. */
  localHitFor(peerHit: Uint8Array): Uint8Array | undefined;
  /** The association of a pair of HITs, made when there is none; undefined, and counted, at the limit. */
  associationFor(
    now: Instant,
    localHit: Uint8Array,
    peerHit: Uint8Array,
  ): Association | undefined;
  /** The SAs of the association between two HITs. */
  securityOf(
    sa: InboundSa | OutboundSa,
  ): { readonly inbound: InboundSa; readonly outbound: OutboundSa } | undefined;
  /** The SA begins to send, and nobody looks after answers. */
  unwatched(now: Instant, sa: OutboundSa): void;
  /** The SA has carried what its keys are good for. */
  rekeyDue(now: Instant, sa: InboundSa | OutboundSa): void;
  /** `packets` wait for an association. */
  staged(now: Instant, localHit: Uint8Array, peerHit: Uint8Array, packets: number): void;
  /** Sends an ESP packet that had waited. */
  transmit(packet: OutgoingPacket): void;
  /** Hands an inner packet to the applications. */
  deliver(packet: Uint8Array): void;
  /** An SA carries nothing any more: its numbers or its keys are used up. */
  spent(now: Instant, sa: InboundSa | OutboundSa): void;
  /** An ESP packet without an SA: the sender may be told, or be a peer that has to be met again. */
  unknownSpi(now: Instant, buffer: PacketBuffer): void;
}

/** What the data path works with. */
export interface DataPathParts {
  readonly drops: DropCounters;
  readonly audit: Audit;
  readonly lsis: LsiTable;
  readonly limits: Pick<ControlSettings, "maxAssociations" | "maxPendingI2" | "stagedLifetime">;
}

/** The data path, as whoever runs data threads sees it. */
export interface ThreadSide {
  /** Memory of a `SpiFilter` that knows every inbound SA. */
  readonly knownSpis: SharedArrayBuffer;
  /** Data threads take over SAs that carry data from now on; undefined: there are none any more. */
  setOffload(offload: SaOffload | undefined): void;
  /** Judges an inner packet that a thread has opened. @returns Whether it is to be delivered. */
  handleInnerPacket(now: Instant, buffer: PacketBuffer): "deliver" | "consumed";
  /** Something has happened to an SA that was lent. */
  handleNews(now: Instant, sa: InboundSa | OutboundSa, news: SaNews): void;
  /** A thread has refused a packet, and counted it. */
  handleRefusal(now: Instant, refusal: Refusal): void;
}

export class DataPath implements ThreadSide {
  readonly saDatabase: SaDatabase;
  readonly #owner: DataPathOwner;
  readonly #drops: DropCounters;
  readonly #audit: Audit;
  readonly #lsiPath: LsiPath;
  readonly #staging: Staging;
  /** Who is to hear of the first packet on an inbound SA, by SPI: few, and not for long. */
  readonly #awaitingData = new Map<number, AssociationHandle>();
  readonly #fragments = new InnerFragments();
  readonly #tooBigBudget = new PerSecond(TOO_BIG_PER_SECOND);
  readonly #scratch = new PacketBuffer(STAGED_CAPACITY);
  #offload: SaOffload | undefined;

  constructor(owner: DataPathOwner, parts: DataPathParts) {
    this.#owner = owner;
    this.#drops = parts.drops;
    this.#audit = parts.audit;
    this.#lsiPath = new LsiPath(parts.lsis, (peerHit) => this.#judgeAllOf(peerHit));
    const { maxAssociations, maxPendingI2, stagedLifetime } = parts.limits;
    // An I2 that is being verified has its SPI already.
    this.saDatabase = new SaDatabase(maxAssociations * SAS_PER_ASSOCIATION + maxPendingI2);
    this.#staging = new Staging(stagedLifetime);
  }

  get knownSpis(): SharedArrayBuffer {
    return this.saDatabase.spiFilter;
  }

  setOffload(offload: SaOffload | undefined): void {
    this.#offload = offload;
  }

  // ---- outbound --------------------------------------------------------------------------------

  /** See `Engine.handleTunPacket`. */
  handleTunPacket(now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    const { bytes, start } = buffer;
    if (this.#lsiPath.isUsed && isIpv4Packet(buffer)) return this.#handleIpv4(now, buffer);
    if (buffer.length < IPV6_HEADER || bytes[start]! >> 4 !== 6) {
      return this.#drop("tun-not-ipv6");
    }
    if (isInnerFragment(bytes, start)) return this.#handleFragment(now, buffer);
    if (
      this.#lsiPath.isUsed && isUdpPortUnreachable(bytes, start, buffer.end) &&
      this.#lsiPath.redirect(now, buffer)
    ) {
      return this.#drop("lsi-redirected");
    }
    const sa = this.#outboundFor(buffer);
    if (sa !== undefined && sa.isActive) return this.#sendIfItFits(now, sa, buffer);
    if (sa === undefined && hasNoSource(buffer)) return this.#chooseSource(now, buffer);
    return this.#hold(now, sa, buffer);
  }

  /** RFC 7401 §6.1 step 2: local policy names a source, then all is as if the packet had had it. */
  #chooseSource(now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    const { bytes, start } = buffer;
    const peerHit = bytes.slice(start + INNER_DESTINATION, start + INNER_DESTINATION + 16);
    const localHit = isHit(peerHit) ? this.#owner.localHitFor(peerHit) : undefined;
    if (localHit === undefined || !writeSource(buffer, localHit)) {
      return this.#drop("tun-source-not-local");
    }
    return this.handleTunPacket(now, buffer);
  }

  /** A program that knows only IPv4 has written to an LSI. */
  #handleIpv4(now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    const outcome = this.#lsiPath.fromApplication(now, buffer);
    if (outcome === "waiting") return "consumed";
    if (typeof outcome === "string") return this.#drop(outcome);
    const sa = this.#outboundFor(buffer);
    if (!sa?.isActive) return this.#hold(now, sa, buffer);
    return outcome.mayBeCutUp ? this.#send(now, sa, buffer) : this.#sendIfItFits(now, sa, buffer);
  }

  #outboundFor({ bytes, start }: PacketBuffer): OutboundSa | undefined {
    const source = start + INNER_SOURCE;
    const destination = start + INNER_DESTINATION;
    return this.saDatabase.outboundFor(bytes, source, bytes, destination);
  }

  #sendIfItFits(now: Instant, sa: OutboundSa, buffer: PacketBuffer): "transmit" | "consumed" {
    if (isTcpSyn(buffer)) lowerMss(buffer, sa.innerLimit);
    return buffer.length > sa.innerLimit && isPathMtuInForce(sa, now)
      ? this.#refuseTooBig(now, sa, buffer)
      : this.#send(now, sa, buffer);
  }

  #send(now: Instant, sa: OutboundSa, buffer: PacketBuffer): "transmit" | "consumed" {
    if (sa.isOffloaded || this.#lend(now, sa)) return this.#passOutbound(sa, buffer);
    const reason = encapsulate(sa, buffer);
    if (sa.isRekeyDue) this.#askForRekey(now, sa);
    if (!sa.isWatched) this.#owner.unwatched(now, sa);
    if (reason === undefined) return "transmit";
    if (reason === "sequence-exhausted") this.#owner.spent(now, sa);
    const event = auditEventOf(reason);
    if (event !== undefined) this.#audit.noteSent(now, event, sa.spi, sa.sequenceLow, sa);
    return this.#drop(reason);
  }

  /** Lends an SA to a data thread, once there is somebody to look after what it sends. */
  #lend(now: Instant, sa: OutboundSa): boolean {
    if (this.#offload === undefined) return false;
    if (!sa.isWatched) this.#owner.unwatched(now, sa);
    return sa.isWatched && this.#offload.takeOutbound(sa, this.#owner.securityOf(sa)?.inbound);
  }

  /** Hands a packet to the thread that has its SA, unless that is about to give it back. */
  #passOutbound(sa: OutboundSa, buffer: PacketBuffer): "consumed" {
    if (this.#offload === undefined) return this.#drop("thread-busy");
    this.#offload.passOutbound(sa, buffer);
    return "consumed";
  }

  /** What waits for an SA, or finds one that is at its end: then another one is negotiated. */
  #hold(now: Instant, sa: OutboundSa | undefined, buffer: PacketBuffer): "consumed" {
    if (sa?.isSpent) this.#owner.spent(now, sa);
    this.#stage(now, buffer.contents());
    return "consumed";
  }

  /** RFC 4301 §8.2.1: the sender makes smaller packets; the message costs more than a packet. */
  #refuseTooBig(now: Instant, sa: OutboundSa, buffer: PacketBuffer): "consumed" {
    if (this.#tooBigBudget.allow(now)) {
      const answer = packetTooBigAnswer(buffer.contents(), sa.innerLimit);
      if (answer !== undefined) this.#deliver(answer);
    }
    return this.#drop("tun-too-big");
  }

  /**
   * ESP is for whole datagrams (RFC 4303 §3.3.4). One that was cut up here may be cut up again
   * behind ESP, by the system: nobody is told that it is too big.
   */
  #handleFragment(now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    const whole = this.#fragments.take(now, buffer.contents());
    if (typeof whole === "number") {
      for (let lost = 0; lost < whole; lost++) this.#drops.count("tun-fragment");
      return "consumed";
    }
    if (whole.length > buffer.capacity) return this.#drop("tun-malformed");
    buffer.load(whole);
    const sa = this.#outboundFor(buffer);
    return sa?.isActive ? this.#send(now, sa, buffer) : this.#hold(now, sa, buffer);
  }

  /** No SA yet: the packet waits, the exchange starts (RFC 7401 §6.1). */
  #stage(now: Instant, packet: Uint8Array): void {
    const localHit = packet.slice(INNER_SOURCE, INNER_SOURCE + 16);
    const peerHit = packet.slice(INNER_DESTINATION, INNER_DESTINATION + 16);
    if (!isHit(peerHit)) {
      this.#drops.count("tun-not-a-hit");
      return;
    }
    if (!this.#owner.isLocal(localHit) || this.#owner.isLocal(peerHit)) {
      this.#drops.count("tun-source-not-local");
      return;
    }
    const association = this.#owner.associationFor(now, localHit, peerHit);
    if (association === undefined) return;
    const dropped = this.#staging.stage(now, localHit, peerHit, packet);
    if (dropped > 0) this.#drops.count("staged-overflow");
    this.#owner.staged(now, localHit, peerHit, this.#staging.waiting(localHit, peerHit));
    association.initiate(now);
  }

  /** What waited for an association goes out through its SA. */
  releaseStaged({ localHit, peerHit, security }: AssociationHandle): void {
    if (security === undefined) return;
    for (const packet of this.#staging.release(localHit, peerHit)) {
      const buffer = this.#scratch;
      buffer.load(packet);
      if (security.outbound.isOffloaded) {
        this.#passOutbound(security.outbound, buffer);
        continue;
      }
      const reason = encapsulate(security.outbound, buffer);
      if (reason === undefined) this.#owner.transmit(outgoingPacket(buffer));
      else this.#drops.count(reason);
    }
  }

  /** What waited for an association that does not come about is answered. */
  refuseStaged({ localHit, peerHit }: HitPair): void {
    for (const packet of this.#staging.release(localHit, peerHit)) {
      this.#drops.count("association-closed");
      this.#answerUnreachable(packet);
    }
  }

  /** Answers what waited too long. */
  handleTimeout(now: Instant): void {
    for (const packet of this.#staging.expire(now)) {
      this.#drops.count("staged-expired");
      this.#answerUnreachable(packet);
    }
  }

  /** When `handleTimeout` has work. */
  nextTimeout(): Instant | undefined {
    return this.#staging.nextTimeout();
  }

  // ---- inbound ---------------------------------------------------------------------------------

  /** See `Engine.handleDatagram`; `buffer` holds ESP. */
  handleEsp(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    if (buffer.length < ESP_HEADER_LENGTH) return this.#drop("esp-too-short");
    if (buffer.path.isFragment) return this.#refuse(now, buffer, "esp-fragment");
    const spi = espSpi(buffer.bytes, buffer.start);
    const sa = this.saDatabase.inboundBySpi(spi);
    if (sa === undefined) {
      this.#owner.unknownSpi(now, buffer);
      return this.#refuse(now, buffer, "esp-unknown-spi");
    }
    if (sa.isOffloaded && sa.isActive) {
      if (this.#offload === undefined) return this.#drop("thread-busy");
      this.#offload.passInbound(sa, buffer);
      return "consumed";
    }
    const reason = decapsulate(sa, buffer);
    if (reason === "esp-hard-limit") this.#owner.spent(now, sa);
    if (reason === "esp-dummy") this.#drops.count(reason);
    else if (reason !== undefined) return this.#refuse(now, buffer, reason);
    if (sa.isRekeyDue) this.#askForRekey(now, sa);
    if (sa.isAwaited) {
      sa.isAwaited = false;
      this.#noteArrival(now, spi);
    }
    if (reason !== undefined) return "consumed";
    const outcome = this.handleInnerPacket(now, buffer);
    this.#lendInbound(sa);
    return outcome;
  }

  #lendInbound(sa: InboundSa): void {
    if (this.#offload === undefined || sa.isOffloaded) return;
    if (!sa.isFormKnown || this.#isForIpv4(sa)) return;
    this.#offload.takeInbound(sa, this.#owner.securityOf(sa)?.outbound);
  }

  #noteArrival(now: Instant, spi: number): void {
    const awaiting = this.#awaitingData.get(spi);
    this.#awaitingData.delete(spi);
    awaiting?.handleData(now, spi);
  }

  /** See `ThreadSide`. */
  handleInnerPacket(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    if (isTcpSyn(buffer)) {
      // What a peer asks for in its SYN has to fit the way back.
      const { bytes, start } = buffer;
      const [local, peer] = [start + INNER_DESTINATION, start + INNER_SOURCE];
      const sa = this.saDatabase.outboundFor(bytes, local, bytes, peer);
      if (sa !== undefined) lowerMss(buffer, sa.innerLimit);
    }
    const refused = this.#lsiPath.isUsed ? this.#lsiPath.toApplication(now, buffer) : undefined;
    return refused === undefined ? "deliver" : this.#drop(refused);
  }

  /** Whether each packet must be looked at here; such an SA is not lent. */
  #isForIpv4(sa: InboundSa): boolean {
    if (!this.#lsiPath.isUsed) return false;
    return sa.mayBeForIpv4 ||= this.#lsiPath.serves(sa.peerHit);
  }

  /** From now on packets of a peer may be for programs of IPv4: none passes the engine by. */
  #judgeAllOf(peerHit: Uint8Array): void {
    for (const sa of this.saDatabase.inbound()) {
      if (bytesEqual(sa.peerHit, peerHit)) sa.mayBeForIpv4 = true;
      sa.dropViews();
    }
  }

  /** A drop that leaves the ESP header where it was. */
  #refuse(now: Instant, { bytes, start, path }: PacketBuffer, reason: DropReason): "consumed" {
    const event = auditEventOf(reason);
    if (event !== undefined) {
      const [spi, sequence] = [espSpi(bytes, start), espSequence(bytes, start)];
      this.#audit.noteReceived(now, event, spi, sequence, path);
    }
    return this.#drop(reason);
  }

  /** How much is kept here. */
  get tableSizes(): Pick<
    TableSizes,
    "inboundSas" | "outboundSas" | "reservedSpis" | "awaitedSas" | "stagedPackets"
  > {
    const { inboundCount, outboundCount, reservedCount } = this.saDatabase;
    return {
      inboundSas: inboundCount,
      outboundSas: outboundCount,
      reservedSpis: reservedCount,
      awaitedSas: this.#awaitingData.size,
      stagedPackets: this.#staging.size,
    };
  }

  // ---- what data threads say -------------------------------------------------------------------

  handleNews(now: Instant, sa: InboundSa | OutboundSa, news: SaNews): void {
    if (news === "unwatched") this.#owner.unwatched(now, sa as OutboundSa);
    else if (news === "rekey-due") this.#askForRekey(now, sa);
    else if (news === "arrived") this.#noteArrival(now, sa.spi);
    else this.#owner.spent(now, sa);
  }

  handleRefusal(now: Instant, { reason, spi, sequence, ...path }: Refusal): void {
    const event = auditEventOf(reason);
    if (event !== undefined) this.#audit.noteReceived(now, event, spi, sequence, path);
  }

  // ---- SAs -------------------------------------------------------------------------------------

  /**
   * Calls `handleData` once, when the first right packet has come in on an SA. One that follows
   * another of the same peer is lent before that: packets that came by two ways would overtake each
   * other by more than the replay window.
   */
  awaitData(sa: InboundSa, association: AssociationHandle): void {
    this.#awaitingData.set(sa.spi, association);
    sa.isAwaited = true;
    this.#lendInbound(sa);
  }

  /** New SAs are in force: what is sent to the peer goes on where it went before. */
  lendSuccessor(now: Instant, { security }: AssociationHandle): void {
    if (security !== undefined && !security.outbound.isOffloaded) {
      this.#lend(now, security.outbound);
    }
  }

  /** Takes SAs out of the data path and wipes their keys. */
  removeSas(inbound: InboundSa, outbound: OutboundSa | undefined): void {
    this.#awaitingData.delete(inbound.spi);
    this.saDatabase.removeInbound(inbound.spi);
    if (outbound !== undefined) {
      this.saDatabase.removeOutbound(outbound.localHit, outbound.peerHit);
    }
  }

  /** Asked once: while the rekey runs, the SA does not ask again. */
  #askForRekey(now: Instant, sa: InboundSa | OutboundSa): void {
    sa.rekeyLimits = NO_REKEY_LIMITS;
    this.#owner.rekeyDue(now, sa);
  }

  #answerUnreachable(packet: Uint8Array): void {
    const answer = unreachableAnswer(packet);
    if (answer !== undefined) this.#deliver(answer);
  }

  /** An inner packet made here, in the form that its program understands. */
  #deliver(packet: Uint8Array): void {
    if (!this.#lsiPath.isUsed) {
      this.#owner.deliver(packet);
      return;
    }
    const buffer = this.#scratch;
    buffer.load(packet);
    const refused = this.#lsiPath.answer(buffer);
    if (refused === undefined) this.#owner.deliver(buffer.contents().slice());
    else this.#drops.count(refused);
  }

  #drop(reason: DropReason): "consumed" {
    this.#drops.count(reason);
    return "consumed";
  }
}
