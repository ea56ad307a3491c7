/**
 * Lowers what a TCP SYN says of the largest segment that its sender takes (RFC 9293 §3.7.1), so that
 * segments fit a path of which the ends know nothing. RFC 9293 has the option in SYNs alone; what is
 * not as it should be passes as it is. Nothing here allocates or throws.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { finishSum } from "./checksum.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, NEXT_HEADER } from "./ipv6.ts";
import { TCP_FIELD, TCP_FLAG, TCP_HEADER_LENGTH, tcpHeaderLength } from "./tcp.ts";

/** Kinds of options (RFC 9293 §3.2), and the length of that for the largest segment. */
const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const MAXIMUM_SEGMENT_SIZE = 2;
const MAXIMUM_SEGMENT_SIZE_LENGTH = 4;

const TCP = IPV6_HEADER_LENGTH;
const OPTIONS = TCP + TCP_HEADER_LENGTH;

/** Whether an inner packet begins with the headers of IPv6 and of a TCP SYN, whoever sends it. */
export function isTcpSyn({ bytes, start, length }: PacketBuffer): boolean {
  return bytes[start + IPV6_FIELD.nextHeader] === NEXT_HEADER.tcp && length >= OPTIONS &&
    (bytes[start + TCP + TCP_FIELD.flags]! & TCP_FLAG.syn) !== 0;
}

/**
 * Makes the TCP SYN in an IPv6 packet ask for no packets longer than `innerLimit`. The checksum stays
 * as right, or as wrong, as it was.
 *
 * @param innerLimit Octets of an IPv6 packet, 1280 or more.
 */
export function lowerMss(syn: PacketBuffer, innerLimit: number): void {
  const { bytes, start, end } = syn;
  const tcp = start + TCP;
  const optionsEnd = tcp + tcpHeaderLength(bytes, tcp);
  if (optionsEnd > end) return;
  for (let at = start + OPTIONS; at < optionsEnd;) {
    const kind = bytes[at];
    if (kind === END_OF_OPTIONS) return;
    if (kind === NO_OPERATION) {
      at++;
      continue;
    }
    const length = at + 1 < optionsEnd ? bytes[at + 1]! : 0;
    if (length < 2 || at + length > optionsEnd) return;
    if (kind === MAXIMUM_SEGMENT_SIZE && length === MAXIMUM_SEGMENT_SIZE_LENGTH) {
      lowerValue(syn, at + 2, innerLimit - OPTIONS);
    }
    at += length;
  }
}

/** Writes `most` at `at` if a larger number stands there. */
function lowerValue({ view, start }: PacketBuffer, at: number, most: number): void {
  const before = view.getUint16(at);
  if (before <= most) return;
  view.setUint16(at, most);
  const checksum = start + TCP + TCP_FIELD.checksum;
  // RFC 1624 eqn. 3; a value at an odd octet is a half of two words, that is, one word swapped.
  const isSwapped = ((at - start) & 1) !== 0;
  const removed = ~(isSwapped ? swap(before) : before) & 0xffff;
  const added = isSwapped ? swap(most) : most;
  view.setUint16(checksum, finishSum((~view.getUint16(checksum) & 0xffff) + removed + added));
}

function swap(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
