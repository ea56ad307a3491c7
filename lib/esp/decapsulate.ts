/**
 * Inbound: an ESP packet becomes an inner IPv6 packet between HITs (RFC 4303 §3.4, RFC 7402
 * appendix B.1.6). Nothing here allocates or throws.
 *
 * The outer addresses are not looked at: a peer may move (RFC 7402 §6.2). The replay window and
 * the counters change only after the ICV was found right.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { ESP_HEADER_LENGTH } from "../crypto/esp_suite.ts";
import { DUMMY_NEXT_HEADER, isForbiddenNextHeader, rebuildInnerHeader } from "./beet.ts";
import { isResynchronisationDue, openLost } from "./resynchronisation.ts";
import type { InboundSa } from "./security_association.ts";

/** Pad Length and Next Header. */
const TRAILER_LENGTH = 2;

/**
 * Opens the ESP packet in `buffer` in place.
 *
 * @param buffer From the SPI, whose SA is `sa`, to the end of the ICV; `path.trafficClass` and
 *   `path.hopLimit` as the outer header had them; at least 32 octets free before the SPI. On
 *   success an inner IPv6 packet.
 * @returns Why the packet is discarded; undefined when it is to be delivered. "esp-dummy",
 *   "esp-bad-padding" and "esp-forbidden-next-header" come only after the ICV was found right.
 */
export function decapsulate(sa: InboundSa, buffer: PacketBuffer): DropReason | undefined {
  if (!sa.isActive) return sa.isSpent ? "esp-hard-limit" : "esp-not-established";
  const { bytes, start, end } = buffer;
  const { ivLength, padModulus, icvLength } = sa.suite;
  const ciphertext = start + ESP_HEADER_LENGTH + ivLength;
  const ciphertextLength = end - icvLength - ciphertext;
  if (ciphertextLength < padModulus) return "esp-too-short";
  if ((ciphertextLength & (padModulus - 1)) !== 0) return "esp-misaligned";

  const sequenceLow = readWord(bytes, start + 4);
  const { window } = sa;
  const replayed = window.check(sequenceLow);
  if (replayed !== undefined) return replayed;
  const inferredHigh = window.inferredHigh;
  let sequenceHigh: number | undefined = inferredHigh;
  if (isResynchronisationDue(sa)) sequenceHigh = openLost(sa, bytes, start, end, inferredHigh);
  else if (!sa.open(bytes, start, end, inferredHigh)) sequenceHigh = undefined;
  if (sequenceHigh === undefined) {
    sa.failuresInRow++;
    return "esp-icv-failed";
  }
  sa.failuresInRow = 0;
  window.commit(sequenceHigh, sequenceLow);
  sa.countPacket(ciphertextLength);

  const trailer = ciphertext + ciphertextLength - TRAILER_LENGTH;
  const padLength = bytes[trailer]!;
  const nextHeader = bytes[trailer + 1]!;
  if (padLength > ciphertextLength - TRAILER_LENGTH) return "esp-bad-padding";
  const padding = trailer - padLength;
  for (let i = 0; i < padLength; i++) {
    if (bytes[padding + i] !== i + 1) return "esp-bad-padding";
  }
  if (nextHeader === DUMMY_NEXT_HEADER) return "esp-dummy";
  if (isForbiddenNextHeader(nextHeader)) return "esp-forbidden-next-header";
  buffer.start = ciphertext;
  buffer.end = padding;
  rebuildInnerHeader(sa, buffer, nextHeader);
  return undefined;
}

/** The 32-bit word at `offset` in network byte order. */
function readWord(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) |
    bytes[offset + 3]!) >>> 0;
}
