/**
 * The UDP header (RFC 768): ports, length, checksum. Accessors take for granted that 8 octets are
 * there.
 */

import { upperLayerChecksum } from "./checksum.ts";
import { NEXT_HEADER } from "./ipv6.ts";

export const UDP_HEADER_LENGTH = 8;

/** Where the fields stand. */
export const UDP_FIELD = { sourcePort: 0, destinationPort: 2, length: 4, checksum: 6 } as const;

export function udpSourcePort(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + UDP_FIELD.sourcePort);
}

export function udpDestinationPort(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + UDP_FIELD.destinationPort);
}

/** Octets of the datagram, header included. */
export function udpLength(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + UDP_FIELD.length);
}

export function udpChecksum(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + UDP_FIELD.checksum);
}

/**
 * A datagram with its checksum. The addresses, 16 octets each, are those of the pseudo-header: HITs
 * inside a HIP association (RFC 7401 §4.5.1).
 *
 * @throws {RangeError} When the payload does not fit.
 */
export function buildUdpDatagram(
  source: Uint8Array,
  sourcePort: number,
  destination: Uint8Array,
  destinationPort: number,
  payload: Uint8Array,
): Uint8Array {
  const length = UDP_HEADER_LENGTH + payload.length;
  if (length > 0xffff) {
    throw new RangeError(`Cannot build a UDP datagram of ${length} octets`);
  }
  const bytes = new Uint8Array(length);
  setUint16(bytes, UDP_FIELD.sourcePort, sourcePort);
  setUint16(bytes, UDP_FIELD.destinationPort, destinationPort);
  setUint16(bytes, UDP_FIELD.length, length);
  bytes.set(payload, UDP_HEADER_LENGTH);
  const checksum = upperLayerChecksum(source, destination, NEXT_HEADER.udp, bytes);
  // Zero means "no checksum", so a sum of zero goes as its other form (RFC 768).
  setUint16(bytes, UDP_FIELD.checksum, checksum === 0 ? 0xffff : checksum);
  return bytes;
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

function setUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}
