/**
 * What a datagram of the HIP port carries (RFC 9028 §5.1, §5.11; RFC 3948 §2).
 *
 * ```text
 * UDP header | 00 00 00 00 | HIP header, checksum zero | parameters
 * UDP header | SPI, 256 and above | sequence number | ESP payload, trailer, ICV
 * UDP header | FF
 * ```
 *
 * UDP's own checksum covers HIP; the last form keeps a NAT's mapping and says nothing.
 */

import { HIP_FIELD } from "./hip/packet.ts";

/** Where hosts listen for HIP and ESP in UDP (RFC 9028 §8). */
export const HIP_UDP_PORT = 10500;

/** Zero octets before a HIP packet, where ESP has its SPI (RFC 9028 §5.1). */
export const ZERO_MARKER_LENGTH = 4;

/** The only octet of a keepalive (RFC 3948 §2.3). */
const KEEPALIVE = 0xff;

/** SPIs below are reserved (RFC 4303 §2.1). */
const LOWEST_SPI = 256;

/** "short": not long enough to be told apart; "reserved": an SPI of 1 to 255. */
export type UdpContent = "hip" | "esp" | "keepalive" | "short" | "reserved";

/** What lies in `bytes` from `start` to `end`. Looks at four octets. */
export function classifyUdp(bytes: Uint8Array, start: number, end: number): UdpContent {
  const length = end - start;
  if (length < ZERO_MARKER_LENGTH) {
    return length === 1 && bytes[start] === KEEPALIVE ? "keepalive" : "short";
  }
  const word = bytes[start]! * 0x1000000 +
    ((bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!);
  if (word === 0) return "hip";
  return word < LOWEST_SPI ? "reserved" : "esp";
}

/** What carries a HIP packet, which is not changed: the marker, and the packet without checksum. */
export function udpPayload(packet: Uint8Array): Uint8Array {
  const payload = new Uint8Array(ZERO_MARKER_LENGTH + packet.length);
  payload.set(packet, ZERO_MARKER_LENGTH);
  payload.fill(
    0,
    ZERO_MARKER_LENGTH + HIP_FIELD.checksum,
    ZERO_MARKER_LENGTH + HIP_FIELD.checksum + 2,
  );
  return payload;
}
