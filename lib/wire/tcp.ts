/**
 * The TCP header (RFC 9293 §3.1), as far as a tunnel looks into it. Accessors take for granted that
 * 20 octets are there.
 */

/** Octets of a header without options. */
export const TCP_HEADER_LENGTH = 20;

/** Where the fields stand. */
export const TCP_FIELD = {
  sourcePort: 0,
  destinationPort: 2,
  sequenceNumber: 4,
  acknowledgmentNumber: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgentPointer: 18,
} as const;

/** Bits of the flags octet. */
export const TCP_FLAG = {
  fin: 1 << 0,
  syn: 1 << 1,
  rst: 1 << 2,
  psh: 1 << 3,
  ack: 1 << 4,
  urg: 1 << 5,
  ece: 1 << 6,
  cwr: 1 << 7,
} as const;

export function tcpSourcePort(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + TCP_FIELD.sourcePort);
}

export function tcpDestinationPort(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + TCP_FIELD.destinationPort);
}

/** Octets of the header, options included. */
export function tcpHeaderLength(bytes: Uint8Array, offset = 0): number {
  return (bytes[offset + TCP_FIELD.dataOffset]! >>> 4) * 4;
}

export function tcpFlags(bytes: Uint8Array, offset = 0): number {
  return bytes[offset + TCP_FIELD.flags]!;
}

export function tcpChecksum(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + TCP_FIELD.checksum);
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}
