/**
 * Attributes of netlink messages (linux/netlink.h, struct nlattr): length and type in 16 bits each,
 * then the value, padded to 4 octets. The two highest bits of the type are flags.
 */

import { MalformedPacketError } from "../../base/errors.ts";
import { ADDRESS_LENGTH, isIpv4, mapIpv4 } from "../ip_address.ts";
import { aligned, FAMILY, viewOf } from "./message.ts";

const HEADER_LENGTH = 4;
const TYPE_MASK = 0x3fff;

/** One attribute: type and value. */
export type Attribute = readonly [type: number, value: Uint8Array];

/** `header`, padded, and the attributes after it: the payload of a message. */
export function emitAttributes(header: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  let length = aligned(header.length);
  for (const [, value] of attributes) length += aligned(HEADER_LENGTH + value.length);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  bytes.set(header);
  let offset = aligned(header.length);
  for (const [type, value] of attributes) {
    view.setUint16(offset, HEADER_LENGTH + value.length, true);
    view.setUint16(offset + 2, type, true);
    bytes.set(value, offset + HEADER_LENGTH);
    offset += aligned(HEADER_LENGTH + value.length);
  }
  return bytes;
}

/**
 * The attributes behind a family header of `headerLength` octets. Of an attribute that occurs more
 * than once the last one stays, which is what the kernel does.
 *
 * @throws {MalformedPacketError}
 */
export function parseAttributes(
  payload: Uint8Array,
  headerLength: number,
): ReadonlyMap<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  const view = viewOf(payload);
  let offset = aligned(headerLength);
  while (offset + HEADER_LENGTH <= payload.length) {
    const length = view.getUint16(offset, true);
    if (length < HEADER_LENGTH || offset + length > payload.length) {
      throw new MalformedPacketError(
        "netlink attribute",
        `length ${length} with ${payload.length - offset} octets left`,
      );
    }
    const type = view.getUint16(offset + 2, true) & TYPE_MASK;
    attributes.set(type, payload.subarray(offset + HEADER_LENGTH, offset + length));
    offset += aligned(length);
  }
  return attributes;
}

/** An unsigned 32-bit value. */
export function uint32Value(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}

/** The value of an attribute as an unsigned 32-bit number; undefined when absent or too short. */
export function readUint32(value: Uint8Array | undefined): number | undefined {
  return value === undefined || value.length < 4 ? undefined : viewOf(value).getUint32(0, true);
}

/** The value of an attribute as text, up to its final zero. */
export function readText(value: Uint8Array | undefined): string {
  if (value === undefined) return "";
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** The family that the kernel files an address under. */
export function familyOf(address: Uint8Array): number {
  return isIpv4(address) ? FAMILY.IPV4 : FAMILY.IPV6;
}

/** An address as the kernel writes it: 4 octets for IPv4, 16 for IPv6. */
export function addressValue(address: Uint8Array): Uint8Array {
  return isIpv4(address) ? address.slice(12) : address.slice();
}

/** The other way round: 16 octets; undefined when absent or of another length. */
export function readAddress(value: Uint8Array | undefined): Uint8Array | undefined {
  if (value?.length === 4) return mapIpv4(value);
  return value?.length === ADDRESS_LENGTH ? value.slice() : undefined;
}

/** A prefix length of `family` on the scale of mapped addresses: IPv4 counts from 96. */
export function mappedPrefixLength(family: number, prefixLength: number): number {
  return family === FAMILY.IPV4 ? 96 + prefixLength : prefixLength;
}

/** The other way round. */
export function ownPrefixLength(family: number, mappedLength: number): number {
  return family === FAMILY.IPV4 ? mappedLength - 96 : mappedLength;
}
