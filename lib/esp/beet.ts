/**
 * BEET mode: the inner IPv6 header, which holds the HITs, is not sent but made again at the other
 * end from the SA and the outer header (RFC 7402 appendix B).
 *
 *     inner   | IPv6 (HITs) | upper-layer data |
 *     wire    | IP (addresses) | ESP | upper-layer data, padding, trailer | ICV |
 *
 * Traffic class and hop limit travel in the outer header, ECN included, since there is no other
 * copy of them. The flow label is not carried. What stands after the IPv6 header travels as it is,
 * destination options included; fragments of the local stack were put together before.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { InboundSa, OutboundSa } from "./security_association.ts";

/** Octets of an IPv6 header (RFC 8200 §3). */
export const INNER_HEADER_LENGTH = 40;

const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;
const HOP_LIMIT = 7;
const SOURCE = 8;
const DESTINATION = 24;

/** ESP by itself and in UDP, in the outer header's protocol field. */
const ESP_PROTOCOL = 50;
const UDP_PROTOCOL = 17;

/** Next header of a dummy packet (RFC 4303 §2.6). */
export const DUMMY_NEXT_HEADER = 59;

/**
 * Whether a next header has no place inside a HIP SA: hop-by-hop (0) and routing (43) headers
 * belong before ESP (RFC 7402 appendix B.1.2), 4 and 41 would open a tunnel and 139 a HIP header
 * where only host-to-host traffic goes, and 94 announces IPv4 options, which an IPv6 inner packet
 * cannot have (appendix B.1.7).
 */
export function isForbiddenNextHeader(nextHeader: number): boolean {
  switch (nextHeader) {
    case 0:
    case 4:
    case 41:
    case 43:
    case 94:
    case 139:
      return true;
    default:
      return false;
  }
}

/** The Next Header field of the inner header at the buffer's start. */
export function innerNextHeader(buffer: PacketBuffer): number {
  return buffer.bytes[buffer.start + NEXT_HEADER]!;
}

/**
 * Judges an inner packet before anything is changed: a whole IPv6 packet between exactly the HITs
 * of the SA, with a next header that may travel.
 */
export function checkInnerPacket(sa: OutboundSa, buffer: PacketBuffer): DropReason | undefined {
  const { bytes, start } = buffer;
  if (buffer.length < INNER_HEADER_LENGTH || bytes[start]! >>> 4 !== 6) return "tun-not-ipv6";
  const payload = (bytes[start + PAYLOAD_LENGTH]! << 8) | bytes[start + PAYLOAD_LENGTH + 1]!;
  if (payload !== buffer.length - INNER_HEADER_LENGTH) return "tun-malformed";
  const { localHit, peerHit } = sa;
  for (let i = 0; i < 16; i++) {
    if (
      bytes[start + SOURCE + i] !== localHit[i] || bytes[start + DESTINATION + i] !== peerHit[i]
    ) {
      return "esp-wrong-inner-address";
    }
  }
  return isForbiddenNextHeader(innerNextHeader(buffer)) ? "esp-forbidden-next-header" : undefined;
}

/**
 * Moves what the outer header needs from the inner header into the buffer's path and takes the
 * inner header off. The hop limit is not decremented by the host that sends.
 */
export function removeInnerHeader(sa: OutboundSa, buffer: PacketBuffer): void {
  const { bytes, start } = buffer;
  const inner = ((bytes[start]! & 0x0f) << 4) | (bytes[start + 1]! >>> 4);
  setOuterPath(sa, buffer, sa.outerTrafficClass(inner), bytes[start + HOP_LIMIT]!);
  buffer.start = start + INNER_HEADER_LENGTH;
}

/** Fills in the path of an ESP packet of this SA. */
export function setOuterPath(
  sa: OutboundSa,
  buffer: PacketBuffer,
  trafficClass: number,
  hopLimit: number,
): void {
  const { path } = buffer;
  const { peerPort } = sa;
  path.protocol = peerPort === 0 ? ESP_PROTOCOL : UDP_PROTOCOL;
  path.peerPort = peerPort;
  path.trafficClass = trafficClass;
  path.hopLimit = hopLimit;
  path.localAddress.set(sa.localAddress);
  path.peerAddress.set(sa.peerAddress);
}

/**
 * Puts the inner header before the upper-layer data at the buffer's start: addresses from the SA,
 * never from the packet; traffic class and hop limit from the outer header. There must be 40
 * octets before `start`.
 */
export function rebuildInnerHeader(sa: InboundSa, buffer: PacketBuffer, nextHeader: number): void {
  const { bytes, path } = buffer;
  const payload = buffer.length;
  const start = buffer.start - INNER_HEADER_LENGTH;
  bytes[start] = 0x60 | (path.trafficClass >>> 4);
  bytes[start + 1] = (path.trafficClass & 0x0f) << 4;
  bytes[start + 2] = 0;
  bytes[start + 3] = 0;
  bytes[start + PAYLOAD_LENGTH] = payload >>> 8;
  bytes[start + PAYLOAD_LENGTH + 1] = payload & 0xff;
  bytes[start + NEXT_HEADER] = nextHeader;
  bytes[start + HOP_LIMIT] = path.hopLimit;
  const { localHit, peerHit } = sa;
  for (let i = 0; i < 16; i++) {
    bytes[start + SOURCE + i] = peerHit[i]!;
    bytes[start + DESTINATION + i] = localHit[i]!;
  }
  buffer.start = start;
}
