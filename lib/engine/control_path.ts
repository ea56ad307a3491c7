/**
 * The story of a HIP packet: cheap checks, parsing, and who it is for (RFC 7401 §5.4, §6.7 to
 * §6.15). Here malformed packets end, and here it is decided whether a drop is answered.
 */

import type { DropReason } from "../base/drop_reason.ts";
import { MalformedPacketError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { PacketBuffer, PacketPath } from "../base/packet_buffer.ts";
import type { Instant } from "../base/time.ts";
import type { Association } from "../hip/association.ts";
import { type AddressPair, isInUdp } from "../hip/association_context.ts";
import type { AssociationTable } from "../hip/association_table.ts";
import { wipeSecrets } from "../hip/control_keys.ts";
import type { IcmpAnswers } from "../hip/icmp_answers.ts";
import type { AcceptI2Result } from "../hip/jobs.ts";
import { CONTROL_ERRORS, controlHits, I2_ERRORS, type Notifier } from "../hip/notify.ts";
import type { PendingI2, ResponderDesk } from "../hip/responder_desk.ts";
import { PACKET } from "../wire/hip/code_points.ts";
import { type HipPacket, parseHipPacket } from "../wire/hip/packet.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";
import type { OutgoingPacket } from "./effects.ts";
import type { EventLog } from "./event_log.ts";
import {
  admitHipPacket,
  admitParsed,
  type AdmittedPacket,
  notificationData,
  takeIn,
} from "./hip_admission.ts";

/** What the control path works with. */
export interface ControlPathParts {
  readonly associations: AssociationTable;
  readonly desk: ResponderDesk;
  readonly notifier: Notifier;
  readonly icmp: IcmpAnswers;
  readonly events: EventLog;
  readonly logger: Logger;
  isLocal(hit: Uint8Array): boolean;
  /** The association of a pair of HITs, made when there is none; undefined at the limit. */
  ensureAssociation(localHit: Uint8Array, peerHit: Uint8Array): Association | undefined;
  /** Whether exchanges with a peer may not pass over what a packet of it came by. */
  refusesTransport(peerHit: Uint8Array, addresses: AddressPair): boolean;
  /** An UPDATE of no association: a peer may not know yet that this host has lost its state. */
  meetAgain(now: Instant, addresses: AddressPair, peerHit: Uint8Array): void;
  transmit(packet: OutgoingPacket): void;
  /** Counts a packet that is not used. */
  drop(now: Instant, reason: DropReason, detail: string): void;
}

export class ControlPath {
  readonly #parts: ControlPathParts;

  constructor(parts: ControlPathParts) {
    this.#parts = parts;
  }

  /** The one place where malformed packets end (RFC 7401 §5.4, §6). The marker of UDP is off. */
  handleHipPacket(now: Instant, buffer: PacketBuffer): void {
    const addresses = addressesOf(buffer.path);
    const octets = buffer.contents();
    const reason = admitHipPacket(octets, addresses) ??
      this.#handleAdmitted(now, takeIn(octets, addresses));
    if (reason === undefined) return;
    this.#parts.drop(now, reason, "");
    this.answerDrop(now, buffer, reason);
  }

  #handleAdmitted(now: Instant, { octets, addresses }: AdmittedPacket): DropReason | undefined {
    try {
      const packet = parseHipPacket(octets);
      this.#parts.events.addPacket(now, "in", packet.bytes, addresses);
      return admitParsed(packet) ?? this.#dispatch(now, packet, addresses);
    } catch (error) {
      if (!(error instanceof MalformedPacketError)) throw error;
      this.#parts.logger.log("debug", error.message);
      return error.what === "parameter order" ? "hip-parameter-order" : "hip-malformed";
    }
  }

  #dispatch(now: Instant, packet: HipPacket, addresses: AddressPair): DropReason | undefined {
    const { associations, desk, notifier } = this.#parts;
    const localHit = packet.receiverHit;
    const peerHit = packet.senderHit;
    if (this.#parts.isLocal(peerHit)) return "hip-own-packet";
    const association = associations.find(localHit, peerHit);
    if (BEGINNINGS.has(packet.packetType) && this.#parts.refusesTransport(peerHit, addresses)) {
      return "hip-wrong-transport";
    }
    switch (packet.packetType) {
      case PACKET.I1:
        if (association?.yieldsToI1 === false) return "hip-tie-break";
        return desk.handleI1(now, packet, addresses);
      case PACKET.R1: {
        const initiating = association ?? associations.find(localHit, new Uint8Array(16));
        return initiating?.handleR1(now, packet, addresses) ?? noAssociation(initiating);
      }
      case PACKET.I2:
        if (association?.repeatR2(now, packet.bytes, addresses)) return undefined;
        if (desk.isPending(localHit, packet)) return "hip-replayed";
        if (association?.yieldsToI2 === false) return "hip-tie-break";
        return desk.handleI2(now, packet, addresses);
      case PACKET.R2:
        return association?.handleR2(now, packet) ?? noAssociation(association);
      default:
        // A stranger's packet takes nothing from the share of a peer.
        if (association === undefined) {
          if (packet.packetType === PACKET.UPDATE) {
            this.#parts.meetAgain(now, addresses, peerHit);
          }
          return "hip-no-association";
        }
        if (!notifier.admits(now, packet)) return "hip-rate-limited";
        return association.handleControl(now, packet, addresses);
    }
  }

  /** An I2 was right in everything: its association stands from here on (RFC 7401 §6.9). */
  acceptI2(now: Instant, pending: PendingI2, result: AcceptI2Result): void {
    const { localHit, peerHit, i2, receivedAt, addresses, inboundSpi } = pending;
    const association = this.#parts.ensureAssociation(localHit, peerHit);
    if (association === undefined) {
      wipeSecrets(result);
      this.#parts.drop(now, "hip-busy", "too many associations");
      this.#parts.notifier.report(now, pending, addresses, I2_ERRORS["hip-busy"]);
    } else if (!association.yieldsToI2) {
      // The state has changed while the I2 was verified: the tie-break once more (§6.9 step 5).
      wipeSecrets(result);
      this.#parts.drop(now, "hip-tie-break", "");
    } else if (association.record.hasOvertaken(pending.r1Number)) {
      wipeSecrets(result);
      this.#parts.drop(now, "hip-overtaken", "");
    } else {
      association.acceptI2(now, i2, receivedAt, addresses, result, inboundSpi);
      association.record.lastR1 = pending.r1Number;
    }
  }

  /**
   * Few drops are answered: strangers by ICMP, peers by NOTIFY (RFC 7401 §4.3, §5.4). To strangers in
   * UDP nothing is said: ICMP would be about the datagram, which is right.
   */
  answerDrop(now: Instant, buffer: PacketBuffer, reason: DropReason): void {
    const { associations, notifier, icmp } = this.#parts;
    const { protocol } = buffer.path;
    const addresses = addressesOf(buffer.path);
    const refused = { protocol, addresses, octets: buffer.contents(), reason };
    const hits = protocol === NEXT_HEADER.esp ? undefined : controlHits(refused.octets);
    const association = hits && associations.find(hits.localHit, hits.peerHit);
    if (association?.keys !== undefined) {
      const data = notificationData(reason, refused.octets);
      const { local, peer, peerPort } = addresses;
      const kept = { local: local.slice(), peer: peer.slice(), peerPort };
      notifier.report(now, association, kept, CONTROL_ERRORS[reason], { data });
      return;
    }
    if (isInUdp(addresses)) return;
    const isKnown = (hit: Uint8Array) => associations.withPeer(hit).length > 0;
    const answer = icmp.answer(now, refused, isKnown);
    if (answer !== undefined) this.#parts.transmit(answer);
  }
}

/** Packets that lead to an association; later ones go where it goes. */
const BEGINNINGS: ReadonlySet<number> = new Set([PACKET.I1, PACKET.R1, PACKET.I2]);

/** Views of where a datagram came from and came to. */
export function addressesOf({ protocol, localAddress, peerAddress, peerPort }: PacketPath) {
  const port = protocol === NEXT_HEADER.udp ? peerPort : 0;
  return { local: localAddress, peer: peerAddress, peerPort: port };
}

/** Told apart from "the association had no use for it". */
function noAssociation(association: Association | undefined): DropReason | undefined {
  return association === undefined ? "hip-no-association" : undefined;
}
