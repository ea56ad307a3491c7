/**
 * Outbound: an inner IPv6 packet between HITs becomes an ESP packet (RFC 4303 §3.3, RFC 7402
 * appendix B.1.5). Nothing here allocates or throws.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { ESP_HEADER_LENGTH, writeWord } from "../crypto/esp_suite.ts";
import {
  checkInnerPacket,
  DUMMY_NEXT_HEADER,
  innerNextHeader,
  removeInnerHeader,
  setOuterPath,
} from "./beet.ts";
import type { OutboundSa } from "./security_association.ts";

/** Pad Length and Next Header. */
const TRAILER_LENGTH = 2;

/** Hop limit of packets that have no inner header to copy it from. */
const DUMMY_HOP_LIMIT = 64;

/**
 * Seals the inner packet in `buffer` in place.
 *
 * @param buffer From the first octet of the inner IPv6 header to the end of the packet. On success
 *   from the SPI to the end of the ICV, with `path` filled in. On a drop before sealing unchanged.
 * @returns Why the packet must not be sent; undefined when it must.
 */
export function encapsulate(sa: OutboundSa, buffer: PacketBuffer): DropReason | undefined {
  if (!sa.isActive) return sa.isSpent ? "esp-hard-limit" : "esp-not-established";
  const unfit = checkInnerPacket(sa, buffer);
  if (unfit !== undefined) return unfit;
  if (!sa.advanceSequence()) return "sequence-exhausted";
  const nextHeader = innerNextHeader(buffer);
  removeInnerHeader(sa, buffer);
  return sealPayload(sa, buffer, nextHeader);
}

/**
 * Makes a dummy packet, which the peer discards without a word (RFC 4303 §2.6).
 *
 * @param buffer Overwritten: holds the ESP packet afterwards, like after `encapsulate`.
 * @param length Octets of zeros it carries, 0 to the buffer's capacity.
 */
export function encapsulateDummy(
  sa: OutboundSa,
  buffer: PacketBuffer,
  length: number,
): DropReason | undefined {
  if (!sa.isActive) return sa.isSpent ? "esp-hard-limit" : "esp-not-established";
  if (!sa.advanceSequence()) return "sequence-exhausted";
  buffer.reset();
  buffer.end = buffer.start + length;
  buffer.bytes.fill(0, buffer.start, buffer.end);
  setOuterPath(sa, buffer, sa.outerTrafficClass(0), DUMMY_HOP_LIMIT);
  return sealPayload(sa, buffer, DUMMY_NEXT_HEADER);
}

/** Puts header and trailer round the payload in `buffer` and seals it. */
function sealPayload(
  sa: OutboundSa,
  buffer: PacketBuffer,
  nextHeader: number,
): DropReason | undefined {
  const { bytes } = buffer;
  const { ivLength, padModulus, icvLength } = sa.suite;
  const payload = buffer.length;
  // The least padding that reaches the boundary (RFC 4106 §3.2); the modulus is a power of two.
  const padLength = -(payload + TRAILER_LENGTH) & (padModulus - 1);
  let at = buffer.end;
  for (let i = 1; i <= padLength; i++) bytes[at++] = i;
  bytes[at++] = padLength;
  bytes[at++] = nextHeader;
  const start = buffer.start - ivLength - ESP_HEADER_LENGTH;
  const { sequenceHigh, sequenceLow } = sa;
  writeWord(bytes, start, sa.spi);
  writeWord(bytes, start + 4, sequenceLow);
  sa.sealer.omitsHigh = sa.omitsHigh;
  if (!sa.sealer.seal(bytes, start, at, sequenceHigh, sequenceLow)) return "seal-failed";
  buffer.start = start;
  buffer.end = at + icvLength;
  sa.countPacket(payload + padLength + TRAILER_LENGTH);
  return undefined;
}
