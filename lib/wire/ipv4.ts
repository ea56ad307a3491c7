/**
 * The IPv4 header (RFC 791 §3.1): where its fields stand, accessors over a packet that lies
 * somewhere in an array, parse, and build.
 *
 * ```text
 * |Version|  IHL  |Type of Service|          Total Length         |
 * |         Identification        |Flags|      Fragment Offset    |
 * |  Time to Live |    Protocol   |         Header Checksum       |
 * |                       Source Address                          |
 * |                    Destination Address                        |
 * ```
 *
 * Accessors take for granted that the header is complete; `parseIpv4Header` checks it.
 */

import { MalformedPacketError } from "../base/errors.ts";
import { finishSum, sumBytes } from "./checksum.ts";
import { isIpv4, mapIpv4 } from "./ip_address.ts";

/** Octets of a header without options. */
export const IPV4_HEADER_LENGTH = 20;

/** Where the fields stand. */
export const IPV4_FIELD = {
  versionAndIhl: 0,
  typeOfService: 1,
  totalLength: 2,
  identification: 4,
  flagsAndFragment: 6,
  timeToLive: 8,
  protocol: 9,
  headerChecksum: 10,
  source: 12,
  destination: 16,
} as const;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET_MASK = 0x1fff;

/** Octets of the header, options included, as IHL says. */
export function ipv4HeaderLength(bytes: Uint8Array, offset = 0): number {
  return (bytes[offset]! & 0x0f) * 4;
}

export function ipv4TotalLength(bytes: Uint8Array, offset = 0): number {
  return uint16(bytes, offset + IPV4_FIELD.totalLength);
}

export function ipv4Protocol(bytes: Uint8Array, offset = 0): number {
  return bytes[offset + IPV4_FIELD.protocol]!;
}

/** Whether the packet is a piece of a larger one: More Fragments set or offset not zero. */
export function isIpv4Fragment(bytes: Uint8Array, offset = 0): boolean {
  const field = uint16(bytes, offset + IPV4_FIELD.flagsAndFragment);
  return (field & (MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK)) !== 0;
}

/** The fields of a header, addresses as 16 octets. */
export interface Ipv4Header {
  /** Octets, options included. */
  readonly headerLength: number;
  /** DSCP and ECN. */
  readonly typeOfService: number;
  /** Octets of the packet, header included. */
  readonly totalLength: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** Octets, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly timeToLive: number;
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/**
 * Reads the header of the packet `bytes[start..end)`; octets behind Total Length are allowed, as
 * link layers pad. The header checksum is not verified: the kernel has done so.
 *
 * @throws {MalformedPacketError} When version, IHL or Total Length do not fit the octets.
 */
export function parseIpv4Header(bytes: Uint8Array, start = 0, end = bytes.length): Ipv4Header {
  const available = end - start;
  if (available < IPV4_HEADER_LENGTH) {
    throw new MalformedPacketError("IPv4 header", `need 20 octets, have ${available}`);
  }
  const version = bytes[start]! >>> 4;
  if (version !== 4) throw new MalformedPacketError("IPv4 header", `version is ${version}`);
  const headerLength = ipv4HeaderLength(bytes, start);
  const totalLength = ipv4TotalLength(bytes, start);
  if (
    headerLength < IPV4_HEADER_LENGTH || headerLength > totalLength || totalLength > available
  ) {
    throw new MalformedPacketError(
      "IPv4 header",
      `header of ${headerLength} in packet of ${totalLength} octets, have ${available}`,
    );
  }
  const fragment = uint16(bytes, start + IPV4_FIELD.flagsAndFragment);
  return {
    headerLength,
    typeOfService: bytes[start + IPV4_FIELD.typeOfService]!,
    totalLength,
    identification: uint16(bytes, start + IPV4_FIELD.identification),
    dontFragment: (fragment & DONT_FRAGMENT) !== 0,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    fragmentOffset: (fragment & FRAGMENT_OFFSET_MASK) * 8,
    timeToLive: bytes[start + IPV4_FIELD.timeToLive]!,
    protocol: ipv4Protocol(bytes, start),
    source: mapIpv4(bytes, start + IPV4_FIELD.source),
    destination: mapIpv4(bytes, start + IPV4_FIELD.destination),
  };
}

/** What a builder must be told. */
export interface Ipv4Packet {
  /** Both 16 octets, IPv4-mapped. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly payload: Uint8Array;
  /** Default 0. */
  readonly typeOfService?: number;
  /** Default 0. */
  readonly identification?: number;
  /** Default false. */
  readonly dontFragment?: boolean;
  /** Default false. */
  readonly moreFragments?: boolean;
  /** Octets, a multiple of 8; default 0. */
  readonly fragmentOffset?: number;
  /** Default 64. */
  readonly timeToLive?: number;
}

/**
 * A packet with a header of 20 octets and its checksum.
 *
 * @throws {RangeError} When an address is not IPv4-mapped, or a number does not fit its field.
 */
export function buildIpv4Packet(packet: Ipv4Packet): Uint8Array {
  const { source, destination, payload, fragmentOffset = 0 } = packet;
  const totalLength = IPV4_HEADER_LENGTH + payload.length;
  if (!isIpv4(source) || !isIpv4(destination)) {
    throw new RangeError("Cannot build an IPv4 packet: both addresses must be IPv4-mapped");
  }
  if (totalLength > 0xffff || fragmentOffset % 8 !== 0 || fragmentOffset > 0xfff8) {
    throw new RangeError(
      `Cannot build an IPv4 packet of ${totalLength} octets at offset ${fragmentOffset}`,
    );
  }
  const bytes = new Uint8Array(totalLength);
  const flags = (packet.dontFragment ? DONT_FRAGMENT : 0) |
    (packet.moreFragments ? MORE_FRAGMENTS : 0);
  bytes[0] = 0x45;
  bytes[IPV4_FIELD.typeOfService] = packet.typeOfService ?? 0;
  setUint16(bytes, IPV4_FIELD.totalLength, totalLength);
  setUint16(bytes, IPV4_FIELD.identification, packet.identification ?? 0);
  setUint16(bytes, IPV4_FIELD.flagsAndFragment, flags | (fragmentOffset / 8));
  bytes[IPV4_FIELD.timeToLive] = packet.timeToLive ?? 64;
  bytes[IPV4_FIELD.protocol] = packet.protocol;
  bytes.set(source.subarray(12), IPV4_FIELD.source);
  bytes.set(destination.subarray(12), IPV4_FIELD.destination);
  setUint16(
    bytes,
    IPV4_FIELD.headerChecksum,
    finishSum(sumBytes(bytes, 0, IPV4_HEADER_LENGTH)),
  );
  bytes.set(payload, IPV4_HEADER_LENGTH);
  return bytes;
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

function setUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}
