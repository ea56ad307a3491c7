/**
 * ICMP errors about what we sent: a smaller path MTU for an SA, a hint for an exchange that waits
 * for its R1. Nothing else follows from them, since nobody vouches for them (RFC 7401 §6.6.2, §8;
 * RFC 4301 §6.1.1, §8.2).
 *
 * Before anything is used, the quoted packet must be one of ours: an ESP packet by its SPI, both
 * addresses, the peer's port and a sequence number of late; a HIP packet by both HITs of an exchange
 * that sent it there. Work per message: its checksum, a look-up, and after that many per second nothing.
 */

import { bytesEqual } from "../base/bytes.ts";
import type { DropCounters, DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { PerSecond } from "../base/per_second.ts";
import type { Instant } from "../base/time.ts";
import { lowerPathMtu } from "../esp/path_mtu.ts";
import type { SaDatabase } from "../esp/sa_database.ts";
import type { AssociationTable } from "../hip/association_table.ts";
import type { ControlSettings } from "../hip/constants.ts";
import { ESP_HEADER_LENGTH, espSequence, espSpi } from "../wire/esp.ts";
import { HIP_FIELD, HIP_PROTOCOL } from "../wire/hip/packet.ts";
import { type IcmpError, parseIcmpError, type QuotedPacket } from "../wire/icmp_error.ts";
import { isUnspecified } from "../wire/ip_address.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";

/** Errors per second that are looked up: a path that shrinks under every SA of a busy host. */
const MOST = 1000;

/** Packets of an SA that may have left since the one that is quoted: a second at gigabits. */
const RECENT = 1 << 17;

export interface IcmpInputParts {
  readonly saDatabase: SaDatabase;
  readonly associations: AssociationTable;
  readonly drops: DropCounters;
  readonly settings: Pick<ControlSettings, "acceptedIcmp" | "pathMtuLifetime">;
}

export class IcmpInput {
  readonly #parts: IcmpInputParts;
  readonly #budget = new PerSecond(MOST);

  constructor(parts: IcmpInputParts) {
    this.#parts = parts;
  }

  /** A message behind its IP header, the path as for any datagram. */
  handle(now: Instant, buffer: PacketBuffer): void {
    const reason = this.#judge(now, buffer);
    if (reason !== undefined) this.#parts.drops.count(reason);
  }

  /** @returns Why nothing follows from it. */
  #judge(now: Instant, buffer: PacketBuffer): DropReason | undefined {
    const { protocol, peerAddress, localAddress } = buffer.path;
    const error = parseIcmpError(buffer.contents(), protocol, peerAddress, localAddress);
    if (error === undefined) return "icmp-malformed";
    if (!this.#parts.settings.acceptedIcmp.includes(error.kind)) return "icmp-not-accepted";
    if (!this.#budget.allow(now)) return "icmp-rate-limited";
    switch (error.quoted.protocol) {
      case NEXT_HEADER.esp:
        return this.#handleAboutEsp(now, error);
      case HIP_PROTOCOL:
        return this.#handleAboutHip(error);
      default:
        return "icmp-not-ours";
    }
  }

  #handleAboutEsp(now: Instant, error: IcmpError): DropReason | undefined {
    const { payload, source, destination, peerPort } = error.quoted;
    if (payload.length < ESP_HEADER_LENGTH) return "icmp-malformed";
    const sa = this.#parts.saDatabase.outboundBySpi(espSpi(payload), destination);
    if (sa === undefined || sa.peerPort !== peerPort) return "icmp-not-ours";
    const isFromUs = isUnspecified(sa.localAddress) || bytesEqual(sa.localAddress, source);
    const age = (sa.sequenceLow - espSequence(payload)) >>> 0;
    if (!isFromUs || age >= RECENT) return "icmp-not-ours";
    if (error.kind !== "too-big") return "icmp-no-use";
    const { pathMtuLifetime } = this.#parts.settings;
    return lowerPathMtu(sa, error.mtu, now, pathMtuLifetime) ? undefined : "icmp-no-use";
  }

  #handleAboutHip(error: IcmpError): DropReason | undefined {
    const { payload, source, destination, peerPort } = error.quoted;
    if (payload.length < HIP_FIELD.receiverHit + 16) return "icmp-malformed";
    const association = this.#parts.associations.find(...hitsOf(error.quoted));
    if (association === undefined) return "icmp-not-ours";
    // What is too big of HIP the system cuts up.
    if (error.kind !== "unreachable") return "icmp-no-use";
    const way = { local: source, peer: destination, peerPort };
    return association.noteUnreachable(way, error.isProhibited) ? undefined : "icmp-no-use";
  }
}

/** Ours and the peer's in a packet that we sent. */
function hitsOf({ payload }: QuotedPacket): [localHit: Uint8Array, peerHit: Uint8Array] {
  const { senderHit, receiverHit } = HIP_FIELD;
  return [
    payload.subarray(senderHit, senderHit + 16),
    payload.subarray(receiverHit, receiverHit + 16),
  ];
}
