/**
 * The fixed IPv6 header (RFC 8200 §3): where its fields stand, in-place accessors, emit.
 *
 * ```text
 * |Version| Traffic Class |           Flow Label                  |
 * |         Payload Length        |  Next Header  |   Hop Limit   |
 * |                  Source Address, 16 octets                    |
 * |               Destination Address, 16 octets                  |
 * ```
 *
 * Accessors take for granted that 40 octets are there. Nothing here makes an object, so the data
 * path may use all of it but `buildIpv6Packet`.
 */

/** Octets of the fixed header. */
export const IPV6_HEADER_LENGTH = 40;

/** Octets that every link carries (RFC 8200 §5). */
export const IPV6_MINIMUM_MTU = 1280;

/** Where the fields stand. */
export const IPV6_FIELD = {
  versionAndClass: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
} as const;

/** IP protocol and extension header numbers that the program must tell apart. */
export const NEXT_HEADER = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  esp: 50,
  icmpv6: 58,
  none: 59,
  destinationOptions: 60,
  hip: 139,
} as const;

/** 4 or 6 for IP packets; the same four bits in both families. */
export function ipVersion(bytes: Uint8Array, offset = 0): number {
  return bytes[offset]! >>> 4;
}

/** DSCP and ECN. */
export function ipv6TrafficClass(bytes: Uint8Array, offset = 0): number {
  return ((bytes[offset]! & 0x0f) << 4) | (bytes[offset + 1]! >>> 4);
}

/** 20 bits. */
export function ipv6FlowLabel(bytes: Uint8Array, offset = 0): number {
  return ((bytes[offset + 1]! & 0x0f) << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
}

/** Octets behind the fixed header. */
export function ipv6PayloadLength(bytes: Uint8Array, offset = 0): number {
  const at = offset + IPV6_FIELD.payloadLength;
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function ipv6NextHeader(bytes: Uint8Array, offset = 0): number {
  return bytes[offset + IPV6_FIELD.nextHeader]!;
}

export function ipv6HopLimit(bytes: Uint8Array, offset = 0): number {
  return bytes[offset + IPV6_FIELD.hopLimit]!;
}

/** A view; makes an object. */
export function ipv6Source(bytes: Uint8Array, offset = 0): Uint8Array {
  return bytes.subarray(offset + IPV6_FIELD.source, offset + IPV6_FIELD.source + 16);
}

/** A view; makes an object. */
export function ipv6Destination(bytes: Uint8Array, offset = 0): Uint8Array {
  return bytes.subarray(offset + IPV6_FIELD.destination, offset + IPV6_FIELD.destination + 16);
}

/**
 * Whether `bytes[start..end)` is an IPv6 packet whose Payload Length says exactly what is there.
 * Jumbograms (Payload Length 0 with a payload) are not.
 */
export function isIpv6Packet(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= IPV6_HEADER_LENGTH && ipVersion(bytes, start) === 6 &&
    ipv6PayloadLength(bytes, start) === end - start - IPV6_HEADER_LENGTH;
}

/**
 * Writes the 40 octets of a header at `offset`; flow label 0.
 *
 * @param payloadLength Octets behind the header, 0 to 65535.
 */
export function emitIpv6Header(
  bytes: Uint8Array,
  offset: number,
  payloadLength: number,
  nextHeader: number,
  source: Uint8Array,
  destination: Uint8Array,
  hopLimit = 64,
  trafficClass = 0,
): void {
  bytes[offset] = 0x60 | (trafficClass >>> 4);
  bytes[offset + 1] = (trafficClass & 0x0f) << 4;
  bytes[offset + 2] = 0;
  bytes[offset + 3] = 0;
  bytes[offset + 4] = payloadLength >>> 8;
  bytes[offset + 5] = payloadLength;
  bytes[offset + IPV6_FIELD.nextHeader] = nextHeader;
  bytes[offset + IPV6_FIELD.hopLimit] = hopLimit;
  for (let i = 0; i < 16; i++) {
    bytes[offset + IPV6_FIELD.source + i] = source[i]!;
    bytes[offset + IPV6_FIELD.destination + i] = destination[i]!;
  }
}

/** A whole packet around `payload`, in a new array. */
export function buildIpv6Packet(
  source: Uint8Array,
  destination: Uint8Array,
  nextHeader: number,
  payload: Uint8Array,
  hopLimit = 64,
): Uint8Array {
  if (payload.length > 0xffff) {
    throw new RangeError(`Cannot build an IPv6 packet around ${payload.length} octets`);
  }
  const bytes = new Uint8Array(IPV6_HEADER_LENGTH + payload.length);
  emitIpv6Header(bytes, 0, payload.length, nextHeader, source, destination, hopLimit);
  bytes.set(payload, IPV6_HEADER_LENGTH);
  return bytes;
}
