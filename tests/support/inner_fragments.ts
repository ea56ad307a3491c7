/** An inner IPv6 packet cut up as the local stack would do it (RFC 8200 §4.5). */

import { IPV6_HEADER_LENGTH, ipv6NextHeader } from "../../lib/wire/ipv6.ts";

/** @param mtu Octets of a fragment at most, header included. */
export function fragmentsOf(packet: Uint8Array, mtu: number, identification = 1): Uint8Array[] {
  const body = packet.subarray(IPV6_HEADER_LENGTH);
  const room = Math.floor((mtu - IPV6_HEADER_LENGTH - 8) / 8) * 8;
  const fragments: Uint8Array[] = [];
  for (let offset = 0; offset < body.length; offset += room) {
    const piece = body.subarray(offset, offset + room);
    const isLast = offset + room >= body.length;
    const fragment = new Uint8Array(IPV6_HEADER_LENGTH + 8 + piece.length);
    const view = new DataView(fragment.buffer);
    fragment.set(packet.subarray(0, IPV6_HEADER_LENGTH));
    view.setUint16(4, 8 + piece.length);
    fragment[6] = 44;
    fragment[40] = ipv6NextHeader(packet);
    view.setUint16(42, offset | (isLast ? 0 : 1));
    view.setUint32(44, identification);
    fragment.set(piece, 48);
    fragments.push(fragment);
  }
  return fragments;
}
