/**
 * IP addresses as 16 octets, IPv4 ones as IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2): text
 * form (RFC 5952), comparison, and the ranges the program must tell apart.
 */

import { toHex } from "../base/bytes.ts";

/** Octets of an address. */
export const ADDRESS_LENGTH = 16;

/** The address `::`. */
export const UNSPECIFIED: Uint8Array = new Uint8Array(ADDRESS_LENGTH);

/**
 * Reads an IPv4 or IPv6 address.
 *
 * @throws {SyntaxError} When `text` is neither; zone identifiers ("%eth0") are not accepted.
 */
export function parseIpAddress(text: string): Uint8Array {
  const address = text.includes(":") ? parseIpv6Text(text) : parseIpv4Text(text);
  if (address === undefined) throw new SyntaxError(`Cannot read "${text}" as an IP address`);
  return address;
}

/** The text of an address: RFC 5952 for IPv6, dotted for IPv4-mapped ones. */
export function formatIpAddress(address: Uint8Array): string {
  if (isIpv4(address)) return address.subarray(12, 16).join(".");
  const groups: number[] = [];
  for (let i = 0; i < ADDRESS_LENGTH; i += 2) {
    groups.push((address[i]! << 8) | address[i + 1]!);
  }
  const run = longestZeroRun(groups);
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (run.length < 2) return text(groups); // RFC 5952 §4.2.2: never for one group
  return `${text(groups.slice(0, run.start))}::${text(groups.slice(run.start + run.length))}`;
}

/** Whether the address is IPv4-mapped, `::ffff:0:0/96`. */
export function isIpv4(address: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) {
    if (address[i] !== 0) return false;
  }
  return address[10] === 0xff && address[11] === 0xff;
}

/** The 16 octets of the IPv4 address that stands at `offset` of `bytes`. */
export function mapIpv4(bytes: Uint8Array, offset = 0): Uint8Array {
  const address = new Uint8Array(ADDRESS_LENGTH);
  address[10] = 0xff;
  address[11] = 0xff;
  address.set(bytes.subarray(offset, offset + 4), 12);
  return address;
}

/** Whether the address is in fe80::/10 or 169.254.0.0/16. */
export function isLinkLocal(address: Uint8Array): boolean {
  if (isIpv4(address)) return address[12] === 169 && address[13] === 254;
  return address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** Whether the address is ::1 or in 127.0.0.0/8. */
export function isLoopback(address: Uint8Array): boolean {
  if (isIpv4(address)) return address[12] === 127;
  for (let i = 0; i < 15; i++) {
    if (address[i] !== 0) return false;
  }
  return address[15] === 1;
}

/** Whether the address is in ff00::/8 or 224.0.0.0/4. */
export function isMulticast(address: Uint8Array): boolean {
  if (isIpv4(address)) return (address[12]! & 0xf0) === 0xe0;
  return address[0] === 0xff;
}

/** Whether the address is :: or 0.0.0.0. */
export function isUnspecified(address: Uint8Array): boolean {
  for (let i = isIpv4(address) ? 12 : 0; i < ADDRESS_LENGTH; i++) {
    if (address[i] !== 0) return false;
  }
  return true;
}

/** A string that two addresses share exactly when they are equal; for map keys. */
export function addressKey(address: Uint8Array): string {
  return toHex(address);
}

/**
 * Whether the first `bits` bits of both are the same.
 *
 * @param bits 0 to 128; for IPv4 prefixes 96 more than in the dotted form.
 */
export function hasPrefix(address: Uint8Array, prefix: Uint8Array, bits: number): boolean {
  return commonPrefixLength(address, prefix) >= bits;
}

/** The number of leading bits that both have in common, 0 to 128. */
export function commonPrefixLength(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < ADDRESS_LENGTH; i++) {
    const difference = a[i]! ^ b[i]!;
    if (difference !== 0) return 8 * i + Math.clz32(difference) - 24;
  }
  return 8 * ADDRESS_LENGTH;
}

function parseIpv4Text(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const octets = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    // No leading zeros: some readers take them for octal.
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    octets[i] = Number(part);
  }
  return mapIpv4(octets);
}

function parseIpv6Text(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  if (head === undefined) return undefined;
  const address = new Uint8Array(ADDRESS_LENGTH);
  if (halves.length === 1) {
    if (head.length !== ADDRESS_LENGTH) return undefined;
    address.set(head);
    return address;
  }
  const tail = parseGroups(halves[1]!, true);
  // "::" stands for at least one group of zeros.
  if (tail === undefined || head.length + tail.length > ADDRESS_LENGTH - 2) return undefined;
  address.set(head);
  address.set(tail, ADDRESS_LENGTH - tail.length);
  return address;
}

/** The octets of groups parted by single colons; the last may be dotted when `mayEndDotted`. */
function parseGroups(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === "") return [];
  const octets: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    if (group.includes(".") && mayEndDotted && i === groups.length - 1) {
      const dotted = parseIpv4Text(group);
      if (dotted === undefined) return undefined;
      octets.push(...dotted.subarray(12));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
      const value = parseInt(group, 16);
      octets.push(value >>> 8, value & 0xff);
    }
  }
  return octets;
}

/** The first of the longest runs of zero groups (RFC 5952 §4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}
