/**
 * The Internet checksum (RFC 1071) and the pseudo-headers over which upper layers compute it:
 * RFC 8200 §8.1 for IPv6, RFC 768 for IPv4, RFC 7401 §5.1.1 for HIP over both.
 *
 * A running sum is a plain number, not yet folded. Every part but the last must have an even
 * number of octets, or the words of the next part would be shifted.
 */

import { isIpv4 } from "./ip_address.ts";

/**
 * Adds the 16-bit words of `bytes[start..end)` to a running sum; an odd last octet counts as the
 * high half of a word.
 *
 * @param initial Running sum of the parts before.
 */
export function sumBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  initial = 0,
): number {
  let sum = initial;
  let i = start;
  for (; i + 1 < end; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (i < end) sum += bytes[i]! << 8;
  return sum;
}

/** Folds a running sum and returns its one's complement: the value of a checksum field. */
export function finishSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/**
 * Running sum of the pseudo-header; the IPv4 form when both addresses are IPv4-mapped.
 *
 * @param length Octets of the upper-layer packet, header included.
 */
export function pseudoHeaderSum(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): number {
  // In the IPv4 form the sum runs over the last four octets of each address (CKS-003).
  const from = isIpv4(source) && isIpv4(destination) ? 12 : 0;
  const sum = sumBytes(destination, from, 16, sumBytes(source, from, 16));
  return sum + (length >>> 16) + (length & 0xffff) + protocol;
}

/**
 * The checksum of the upper-layer packet `bytes[start..end)` with its pseudo-header. With the
 * checksum field at zero this is the value for the field; with the field filled it is 0 when the
 * packet is intact.
 */
export function upperLayerChecksum(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): number {
  const pseudo = pseudoHeaderSum(source, destination, protocol, end - start);
  return finishSum(sumBytes(bytes, start, end, pseudo));
}
