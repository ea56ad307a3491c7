/** A source HIT for packets whose application chose none (RFC 7401 §6.1 step 2). */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { finishSum, sumBytes } from "../wire/checksum.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";

const IPV6_HEADER = 40;
const NEXT_HEADER_FIELD = 6;
const SOURCE = 8;

/** Where the checksum over the IPv6 pseudo-header stands, behind the IPv6 header. */
const CHECKSUM_OFFSET: ReadonlyMap<number, number> = new Map([
  [NEXT_HEADER.tcp, 16],
  [NEXT_HEADER.udp, 6],
  [NEXT_HEADER.icmpv6, 2],
]);

/** Whether the source of an inner IPv6 packet is the unspecified address. */
export function hasNoSource({ bytes, start }: PacketBuffer): boolean {
  for (let i = 0; i < 16; i++) if (bytes[start + SOURCE + i] !== 0) return false;
  return true;
}

/**
 * Puts a HIT where the source was unspecified, and mends the checksum of TCP, UDP or ICMPv6, which
 * covers it (RFC 1624 eqn. 3, the old words being zero).
 *
 * @returns False, having changed nothing, for other protocols and for packets that are too short.
 */
export function writeSource({ bytes, start, length }: PacketBuffer, hit: Uint8Array): boolean {
  const inPayload = CHECKSUM_OFFSET.get(bytes[start + NEXT_HEADER_FIELD]!);
  if (inPayload === undefined || length < IPV6_HEADER + inPayload + 2) return false;
  const at = start + IPV6_HEADER + inPayload;
  const old = bytes[at]! << 8 | bytes[at + 1]!;
  const sum = finishSum(sumBytes(hit, 0, 16, ~old & 0xffff));
  // In UDP zero would mean that there is none.
  const checksum = sum === 0 ? 0xffff : sum;
  bytes.set(hit, start + SOURCE);
  bytes[at] = checksum >>> 8;
  bytes[at + 1] = checksum & 0xff;
  return true;
}
