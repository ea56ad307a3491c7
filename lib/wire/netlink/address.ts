/**
 * Addresses of interfaces (linux/if_addr.h: struct ifaddrmsg, IFA_*) and the address label table
 * that orders source addresses (linux/if_addrlabel.h; RFC 6724 §5 rule 6).
 */

import { MalformedPacketError } from "../../base/errors.ts";
import {
  addressValue,
  emitAttributes,
  familyOf,
  mappedPrefixLength,
  ownPrefixLength,
  parseAttributes,
  readAddress,
  readUint32,
  uint32Value,
} from "./attribute.ts";
import { FAMILY, familyHeader, viewOf } from "./message.ts";

const HEADER_LENGTH = 8;
const FIELD = { family: 0, prefixLength: 1, flags: 2, scope: 3, index: 4 } as const;
const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;

/** Flags of an address (IFA_F_*). */
export const ADDRESS_FLAG = {
  /** IPv6: a temporary address (RFC 8981). IPv4: a secondary one. */
  TEMPORARY: 0x01,
  /** No duplicate address detection. */
  NO_DAD: 0x02,
  OPTIMISTIC: 0x04,
  DAD_FAILED: 0x08,
  DEPRECATED: 0x20,
  TENTATIVE: 0x40,
  PERMANENT: 0x80,
  /** No route for the prefix comes with the address. */
  NO_PREFIX_ROUTE: 0x200,
} as const;

export interface InterfaceAddress {
  readonly interfaceIndex: number;
  /** 16 octets, IPv4 as mapped. */
  readonly address: Uint8Array;
  /** 0 to 128, IPv4 with 96 added. */
  readonly prefixLength: number;
  /** ADDRESS_FLAG bits. */
  readonly flags: number;
}

/**
 * An address; undefined for families other than IPv4 and IPv6.
 *
 * @throws {MalformedPacketError}
 */
export function parseAddress(payload: Uint8Array): InterfaceAddress | undefined {
  const header = familyHeader(payload, HEADER_LENGTH, "netlink address");
  const family = header.getUint8(FIELD.family);
  if (family !== FAMILY.IPV4 && family !== FAMILY.IPV6) return undefined;
  const attributes = parseAttributes(payload, HEADER_LENGTH);
  // On a point-to-point link ADDRESS is the other end's and LOCAL is ours.
  const address = readAddress(attributes.get(IFA.LOCAL) ?? attributes.get(IFA.ADDRESS));
  if (address === undefined) throw new MalformedPacketError("netlink address", "no address");
  return {
    interfaceIndex: header.getUint32(FIELD.index, true),
    address,
    prefixLength: mappedPrefixLength(family, header.getUint8(FIELD.prefixLength)),
    flags: readUint32(attributes.get(IFA.FLAGS)) ?? header.getUint8(FIELD.flags),
  };
}

/** Payload of NEW_ADDRESS and DELETE_ADDRESS. */
export function emitAddress(address: InterfaceAddress): Uint8Array {
  const family = familyOf(address.address);
  const header = new Uint8Array(HEADER_LENGTH);
  const view = viewOf(header);
  view.setUint8(FIELD.family, family);
  view.setUint8(FIELD.prefixLength, ownPrefixLength(family, address.prefixLength));
  view.setUint8(FIELD.flags, address.flags & 0xff);
  view.setUint32(FIELD.index, address.interfaceIndex, true);
  return emitAttributes(header, [
    [IFA.LOCAL, addressValue(address.address)],
    [IFA.ADDRESS, addressValue(address.address)],
    [IFA.FLAGS, uint32Value(address.flags)],
  ]);
}

/** Payload of a GET_ADDRESS that asks for all addresses of both families. */
export function emitAddressQuery(): Uint8Array {
  return new Uint8Array(HEADER_LENGTH);
}

const LABEL_HEADER_LENGTH = 12;
const LABEL_FIELD = { family: 0, prefixLength: 2, index: 4 } as const;
const IFAL = { ADDRESS: 1, LABEL: 2 } as const;

/** One line of the label table; on any interface. */
export interface AddressLabel {
  /** 16 octets, an IPv6 prefix. */
  readonly prefix: Uint8Array;
  readonly prefixLength: number;
  /** 0 to 2^32 - 2. */
  readonly label: number;
}

/** @throws {MalformedPacketError} */
export function parseAddressLabel(payload: Uint8Array): AddressLabel {
  const header = familyHeader(payload, LABEL_HEADER_LENGTH, "netlink address label");
  const attributes = parseAttributes(payload, LABEL_HEADER_LENGTH);
  const prefix = readAddress(attributes.get(IFAL.ADDRESS));
  const label = readUint32(attributes.get(IFAL.LABEL));
  if (prefix === undefined || label === undefined) {
    throw new MalformedPacketError("netlink address label", "no prefix or no label");
  }
  return { prefix, prefixLength: header.getUint8(LABEL_FIELD.prefixLength), label };
}

/** Payload of NEW_ADDRESS_LABEL and DELETE_ADDRESS_LABEL. */
export function emitAddressLabel(label: AddressLabel): Uint8Array {
  const header = new Uint8Array(LABEL_HEADER_LENGTH);
  header[LABEL_FIELD.family] = FAMILY.IPV6;
  header[LABEL_FIELD.prefixLength] = label.prefixLength;
  return emitAttributes(header, [
    [IFAL.ADDRESS, label.prefix],
    [IFAL.LABEL, uint32Value(label.label)],
  ]);
}

/** Payload of a GET_ADDRESS_LABEL that asks for the whole table. */
export function emitAddressLabelQuery(): Uint8Array {
  const header = new Uint8Array(LABEL_HEADER_LENGTH);
  header[LABEL_FIELD.family] = FAMILY.IPV6;
  return header;
}
