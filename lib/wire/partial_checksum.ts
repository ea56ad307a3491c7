/**
 * Completes a checksum that the sender left to its device: the field holds the sum of the
 * pseudo-header, as the kernel's `CHECKSUM_PARTIAL` and virtio's NEEDS_CSUM have it.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { finishSum } from "./checksum.ts";
import { sumLanes } from "./checksum_lanes.ts";
import { IPV4_HEADER_LENGTH } from "./ipv4.ts";
import { IPV6_HEADER_LENGTH, ipVersion } from "./ipv6.ts";

/**
 * Sums from `checksumStart` to the end and writes the result `checksumOffset` octets behind it.
 * Zero is written in its other form, since UDP takes it for "no checksum" (RFC 768) and everybody
 * else for the same.
 *
 * @param checksumStart Octets from the buffer's start; a header of IP must lie before it.
 * @returns False, and nothing changed, when the field would not lie in the packet.
 */
export function completeChecksum(
  buffer: PacketBuffer,
  checksumStart: number,
  checksumOffset: number,
): boolean {
  const { bytes, start, end, view } = buffer;
  const shortest = ipVersion(bytes, start) === 6 ? IPV6_HEADER_LENGTH : IPV4_HEADER_LENGTH;
  if (checksumStart < shortest) return false;
  const from = start + checksumStart;
  if (from + checksumOffset + 2 > end) return false;
  const checksum = finishSum(sumLanes(view, from, end));
  view.setUint16(from + checksumOffset, checksum === 0 ? 0xffff : checksum);
  return true;
}
