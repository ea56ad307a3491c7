/**
 * Between IPv4 packets with LSIs and IPv6 packets with HITs, in two steps each way (RFC 7401
 * §4.5.1, RFC 7402 §6.2; the forms as in RFC 7915):
 *
 *     IPv4 (LSIs)  <- widen, narrow ->  IPv6 (LSIs as IPv4-mapped)  <- readdress ->  IPv6 (HITs)
 *
 * Between the two steps stands what IPv4 has cut up, until it is whole. Checksums of TCP and UDP
 * are moved from one pseudo-header to the other by the difference, so that a wrong one stays wrong;
 * ICMP and ICMPv6 have no checksum in common, and it is made anew. IPv4 options end here (RFC 7402
 * appendix B.1.5). Nothing here allocates or throws but for errors of ICMP.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { finishSum, sumBytes, upperLayerChecksum } from "../wire/checksum.ts";
import { translateIcmpError, translateIcmpv6Error } from "../wire/icmp_translation.ts";
import { IPV4_FIELD, IPV4_HEADER_LENGTH, ipv4HeaderLength, ipv4TotalLength } from "../wire/ipv4.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, NEXT_HEADER } from "../wire/ipv6.ts";

const FRAGMENT_HEADER_LENGTH = 8;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;

/** Whether the sender of the IPv4 packet at `start` allows that it is cut up. */
export function mayBeCutUp(bytes: Uint8Array, start: number): boolean {
  return (readWord(bytes, start + IPV4_FIELD.flagsAndFragment) & DONT_FRAGMENT) === 0;
}

/**
 * IPv4 becomes IPv6 between the same addresses, as IPv4-mapped ones; a fragment stays one. Options
 * go. The upper-layer packet stays as it is, with the protocol number of IPv4.
 */
export function widen(buffer: PacketBuffer): DropReason | undefined {
  const { bytes, start } = buffer;
  if (buffer.length < IPV4_HEADER_LENGTH) return "tun-malformed";
  const headerLength = ipv4HeaderLength(bytes, start);
  const total = ipv4TotalLength(bytes, start);
  if (headerLength < IPV4_HEADER_LENGTH || headerLength > total || total !== buffer.length) {
    return "tun-malformed";
  }
  const trafficClass = bytes[start + IPV4_FIELD.typeOfService]!;
  const identification = readWord(bytes, start + IPV4_FIELD.identification);
  const fragment = readWord(bytes, start + IPV4_FIELD.flagsAndFragment);
  const hopLimit = bytes[start + IPV4_FIELD.timeToLive]!;
  const protocol = bytes[start + IPV4_FIELD.protocol]!;
  const source = readLong(bytes, start + IPV4_FIELD.source);
  const destination = readLong(bytes, start + IPV4_FIELD.destination);
  const isFragment = (fragment & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0;
  let at = start + headerLength;
  if (isFragment) {
    at -= FRAGMENT_HEADER_LENGTH;
    bytes[at] = protocol;
    bytes[at + 1] = 0;
    const more = (fragment & MORE_FRAGMENTS) === 0 ? 0 : 1;
    writeWord(bytes, at + 2, ((fragment & OFFSET_MASK) << 3) | more);
    writeWord(bytes, at + 4, 0);
    writeWord(bytes, at + 6, identification);
  }
  const payload = buffer.end - at;
  at -= IPV6_HEADER_LENGTH;
  bytes[at] = 0x60 | (trafficClass >>> 4);
  bytes[at + 1] = (trafficClass & 0x0f) << 4;
  writeWord(bytes, at + 2, 0);
  writeWord(bytes, at + IPV6_FIELD.payloadLength, payload);
  bytes[at + IPV6_FIELD.nextHeader] = isFragment ? NEXT_HEADER.fragment : protocol;
  bytes[at + IPV6_FIELD.hopLimit] = hopLimit;
  writeMapped(bytes, at + IPV6_FIELD.source, source);
  writeMapped(bytes, at + IPV6_FIELD.destination, destination);
  buffer.start = at;
  return undefined;
}

/** The reverse of `widen` for whole packets. The peer's host has set what bounds its size: DF. */
export function narrow(buffer: PacketBuffer): DropReason | undefined {
  const { bytes, start } = buffer;
  const total = buffer.length - IPV6_HEADER_LENGTH + IPV4_HEADER_LENGTH;
  if (total > 0xffff) return "tun-malformed";
  const trafficClass = ((bytes[start]! & 0x0f) << 4) | (bytes[start + 1]! >>> 4);
  const protocol = bytes[start + IPV6_FIELD.nextHeader]!;
  const hopLimit = bytes[start + IPV6_FIELD.hopLimit]!;
  const source = readLong(bytes, start + IPV6_FIELD.source + 12);
  const destination = readLong(bytes, start + IPV6_FIELD.destination + 12);
  const at = start + IPV6_HEADER_LENGTH - IPV4_HEADER_LENGTH;
  bytes[at] = 0x45;
  bytes[at + IPV4_FIELD.typeOfService] = trafficClass;
  writeWord(bytes, at + IPV4_FIELD.totalLength, total);
  writeWord(bytes, at + IPV4_FIELD.identification, 0);
  writeWord(bytes, at + IPV4_FIELD.flagsAndFragment, DONT_FRAGMENT);
  bytes[at + IPV4_FIELD.timeToLive] = hopLimit;
  bytes[at + IPV4_FIELD.protocol] = protocol;
  writeWord(bytes, at + IPV4_FIELD.headerChecksum, 0);
  writeLong(bytes, at + IPV4_FIELD.source, source);
  writeLong(bytes, at + IPV4_FIELD.destination, destination);
  const checksum = finishSum(sumBytes(bytes, at, at + IPV4_HEADER_LENGTH));
  writeWord(bytes, at + IPV4_FIELD.headerChecksum, checksum);
  buffer.start = at;
  return undefined;
}

/**
 * Puts other addresses, 16 octets each, into a whole IPv6 packet and makes the checksum right for
 * them: from LSIs to HITs or back, which decides whether ICMP becomes ICMPv6 or the reverse.
 */
export function readdress(
  buffer: PacketBuffer,
  source: Uint8Array,
  destination: Uint8Array,
): DropReason | undefined {
  const { bytes, start } = buffer;
  const upper = start + IPV6_HEADER_LENGTH;
  const length = buffer.end - upper;
  switch (bytes[start + IPV6_FIELD.nextHeader]) {
    case NEXT_HEADER.tcp:
      if (length < TCP_CHECKSUM + 2) return "tun-malformed";
      moveChecksum(buffer, upper + TCP_CHECKSUM, source, destination);
      break;
    case NEXT_HEADER.udp:
      if (length < UDP_CHECKSUM + 2) return "tun-malformed";
      if (readWord(bytes, upper + UDP_CHECKSUM) === 0) {
        // IPv6 has no packets without one (RFC 8200 §8.1); over IPv4 it was not asked for.
        const sum = upperLayerChecksum(
          source,
          destination,
          NEXT_HEADER.udp,
          bytes,
          upper,
          buffer.end,
        );
        writeWord(bytes, upper + UDP_CHECKSUM, sum === 0 ? 0xffff : sum);
      } else {
        moveChecksum(buffer, upper + UDP_CHECKSUM, source, destination);
        if (readWord(bytes, upper + UDP_CHECKSUM) === 0) {
          writeWord(bytes, upper + UDP_CHECKSUM, 0xffff);
        }
      }
      break;
    case NEXT_HEADER.icmp:
      if (!toIcmpv6(buffer, source, destination)) return "lsi-untranslatable";
      break;
    case NEXT_HEADER.icmpv6:
      if (!toIcmp(buffer, source, destination)) return "lsi-untranslatable";
      break;
  }
  bytes.set(source, start + IPV6_FIELD.source);
  bytes.set(destination, start + IPV6_FIELD.destination);
  return undefined;
}

/** RFC 1624: by the difference of the sums over the addresses; all else is the same. */
function moveChecksum(
  { bytes, start }: PacketBuffer,
  at: number,
  source: Uint8Array,
  destination: Uint8Array,
): void {
  const old = start + IPV6_FIELD.source;
  // The mapped form adds 0xffff, which is no difference in one's complement.
  const before = finishSum(sumBytes(bytes, old, old + 32));
  const now = sumBytes(source, 0, 16, sumBytes(destination, 0, 16));
  const value = ~readWord(bytes, at) & 0xffff;
  writeWord(bytes, at, finishSum(value + before + now));
}

/** Types of echo messages; the rest of them is alike. */
const ECHO = { request4: 8, reply4: 0, request6: 128, reply6: 129 } as const;

function toIcmpv6(buffer: PacketBuffer, source: Uint8Array, destination: Uint8Array): boolean {
  const { bytes, start } = buffer;
  const at = start + IPV6_HEADER_LENGTH;
  if (buffer.end - at < 8 || finishSum(sumBytes(bytes, at, buffer.end)) !== 0) return false;
  const type = bytes[at]!;
  if (type === ECHO.request4 || type === ECHO.reply4) {
    bytes[at] = type === ECHO.request4 ? ECHO.request6 : ECHO.reply6;
  } else {
    const error = translateIcmpError(bytes.subarray(at, buffer.end), source, destination);
    if (error === undefined) return false;
    replaceUpper(buffer, error);
  }
  bytes[start + IPV6_FIELD.nextHeader] = NEXT_HEADER.icmpv6;
  writeWord(bytes, at + 2, 0);
  const sum = upperLayerChecksum(
    source,
    destination,
    NEXT_HEADER.icmpv6,
    bytes,
    at,
    buffer.end,
  );
  writeWord(bytes, at + 2, sum);
  return true;
}

function toIcmp(buffer: PacketBuffer, source: Uint8Array, destination: Uint8Array): boolean {
  const { bytes, start } = buffer;
  const at = start + IPV6_HEADER_LENGTH;
  if (buffer.end - at < 8) return false;
  const from = start + IPV6_FIELD.source;
  const length = buffer.end - at;
  const pseudo = sumBytes(bytes, from, from + 32) + NEXT_HEADER.icmpv6 + length;
  if (finishSum(sumBytes(bytes, at, buffer.end, pseudo)) !== 0) return false;
  const type = bytes[at]!;
  if (type === ECHO.request6 || type === ECHO.reply6) {
    bytes[at] = type === ECHO.request6 ? ECHO.request4 : ECHO.reply4;
  } else {
    const error = translateIcmpv6Error(bytes.subarray(at, buffer.end), source, destination);
    if (error === undefined) return false;
    replaceUpper(buffer, error);
  }
  bytes[start + IPV6_FIELD.nextHeader] = NEXT_HEADER.icmp;
  writeWord(bytes, at + 2, 0);
  writeWord(bytes, at + 2, finishSum(sumBytes(bytes, at, buffer.end)));
  return true;
}

/** An error has another length than the one it was made from. */
function replaceUpper(buffer: PacketBuffer, octets: Uint8Array): void {
  const { bytes, start } = buffer;
  bytes.set(octets, start + IPV6_HEADER_LENGTH);
  buffer.end = start + IPV6_HEADER_LENGTH + octets.length;
  writeWord(bytes, start + IPV6_FIELD.payloadLength, octets.length);
}

function writeMapped(bytes: Uint8Array, at: number, address: number): void {
  bytes.fill(0, at, at + 10);
  writeWord(bytes, at + 10, 0xffff);
  writeLong(bytes, at + 12, address);
}

function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function writeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function readLong(bytes: Uint8Array, at: number): number {
  return readWord(bytes, at) * 0x10000 + readWord(bytes, at + 2);
}

function writeLong(bytes: Uint8Array, at: number, value: number): void {
  writeWord(bytes, at, value >>> 16);
  writeWord(bytes, at + 2, value & 0xffff);
}
