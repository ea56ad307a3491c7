/**
 * The story of a data packet: from an application to the wire, and back (RFC 7401 §6.1, §6.2;
 * RFC 7402 §6.1, §6.2).
 *
 * A packet for which there is no SA yet waits in `Staging` while the exchange runs. Nothing here
 * allocates or throws for a packet that has its SA.
 */

import type { DropCounters, DropReason } from "../base/drop_reason.ts";
import { PacketBuffer } from "../base/packet_buffer.ts";
import type { Duration, Instant } from "../base/time.ts";
import { decapsulate } from "../esp/decapsulate.ts";
import { encapsulate } from "../esp/encapsulate.ts";
import { SaDatabase } from "../esp/sa_database.ts";
import { type InboundSa, NO_REKEY_LIMITS, type OutboundSa } from "../esp/security_association.ts";
import type { Association } from "../hip/association.ts";
import type { AssociationHandle } from "../hip/association_context.ts";
import { isHit } from "../identity/hit.ts";
import { type OutgoingPacket, outgoingPacket } from "./effects.ts";
import { Staging } from "./staging.ts";
import { unreachableAnswer } from "./unreachable.ts";

const IPV6_HEADER = 40;
const INNER_SOURCE = 8;
const INNER_DESTINATION = 24;
/** Largest inner packet that can be staged and sealed later. */
const STAGED_CAPACITY = 65_535;

/** What the data path asks of the engine. */
export interface DataPathOwner {
  isLocal(hit: Uint8Array): boolean;
  /** The association of a pair of HITs, made when there is none; undefined, and counted, at the limit. */
  associationFor(
    now: Instant,
    localHit: Uint8Array,
    peerHit: Uint8Array,
  ): Association | undefined;
  /** The SA has carried what its keys are good for. */
  rekeyDue(now: Instant, sa: InboundSa | OutboundSa): void;
  /** `packets` wait for an association. */
  staged(now: Instant, localHit: Uint8Array, peerHit: Uint8Array, packets: number): void;
  /** Sends an ESP packet that had waited. */
  transmit(packet: OutgoingPacket): void;
  /** Hands an inner packet to the applications. */
  deliver(packet: Uint8Array): void;
  /** An ESP packet without an SA: the sender may be told. */
  unknownSpi(now: Instant, buffer: PacketBuffer): void;
}

export class DataPath {
  readonly saDatabase = new SaDatabase();
  readonly #owner: DataPathOwner;
  readonly #drops: DropCounters;
  readonly #staging: Staging;
  /** Who is to hear of the first packet on an inbound SA, by SPI: few, and not for long. */
  readonly #awaitingData = new Map<number, AssociationHandle>();
  readonly #scratch = new PacketBuffer(STAGED_CAPACITY);

  /** @param stagedLifetime How long a packet waits for its association. */
  constructor(owner: DataPathOwner, drops: DropCounters, stagedLifetime: Duration) {
    this.#owner = owner;
    this.#drops = drops;
    this.#staging = new Staging(stagedLifetime);
  }

  // ---- outbound --------------------------------------------------------------------------------

  /** See `Engine.handleTunPacket`. */
  handleTunPacket(now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    const { bytes, start } = buffer;
    if (buffer.length < IPV6_HEADER || bytes[start]! >> 4 !== 6) {
      return this.#drop("tun-not-ipv6");
    }
    const sa = this.saDatabase.outboundFor(
      bytes,
      start + INNER_SOURCE,
      bytes,
      start + INNER_DESTINATION,
    );
    if (sa !== undefined && sa.isActive) {
      const reason = encapsulate(sa, buffer);
      if (sa.isRekeyDue) this.#askForRekey(now, sa);
      return reason === undefined ? "transmit" : this.#drop(reason);
    }
    this.#stage(now, buffer.contents());
    return "consumed";
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
      const reason = encapsulate(security.outbound, buffer);
      if (reason === undefined) this.#owner.transmit(outgoingPacket(buffer));
      else this.#drops.count(reason);
    }
  }

  /** What waited for an association that does not come about is answered. */
  refuseStaged({ localHit, peerHit }: AssociationHandle): void {
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
    if (buffer.length < 8) return this.#drop("esp-too-short");
    const spi = buffer.view.getUint32(buffer.start);
    const sa = this.saDatabase.inboundBySpi(spi);
    if (sa === undefined) {
      this.#drops.count("esp-unknown-spi");
      this.#owner.unknownSpi(now, buffer);
      return "consumed";
    }
    const reason = decapsulate(sa, buffer);
    if (reason !== undefined) {
      this.#drops.count(reason);
      if (reason !== "esp-dummy") return "consumed";
    }
    if (sa.isRekeyDue) this.#askForRekey(now, sa);
    if (this.#awaitingData.size > 0) {
      const awaiting = this.#awaitingData.get(spi);
      this.#awaitingData.delete(spi);
      awaiting?.handleData(now, spi);
    }
    return reason === undefined ? "deliver" : "consumed";
  }

  // ---- SAs -------------------------------------------------------------------------------------

  /** Calls `handleData` once, when the first right packet has come in on an SA. */
  awaitData({ spi }: InboundSa, association: AssociationHandle): void {
    this.#awaitingData.set(spi, association);
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
    if (answer !== undefined) this.#owner.deliver(answer);
  }

  #drop(reason: DropReason): "consumed" {
    this.#drops.count(reason);
    return "consumed";
  }
}
