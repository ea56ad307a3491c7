/** Rules that choose a routing table (linux/fib_rules.h: struct fib_rule_hdr, FRA_*). */

import {
  addressValue,
  type Attribute,
  emitAttributes,
  familyOf,
  mappedPrefixLength,
  ownPrefixLength,
  parseAttributes,
  readAddress,
  readUint32,
  uint32Value,
} from "./attribute.ts";
import { FAMILY, familyHeader } from "./message.ts";

const HEADER_LENGTH = 12;
const FIELD = { family: 0, destinationLength: 1, sourceLength: 2, table: 4, action: 7 } as const;
const FRA = {
  DESTINATION: 1,
  SOURCE: 2,
  INPUT_DEVICE: 3,
  PRIORITY: 6,
  SUPPRESS: 14,
  TABLE: 15,
  PROTOCOL: 21,
} as const;

/** What a rule does (FR_ACT_*). */
export const RULE_ACTION = { TO_TABLE: 1, UNREACHABLE: 7, PROHIBIT: 8 } as const;

/** A prefix that a packet's address is compared with. */
export interface Prefix {
  /** 16 octets, IPv4 as mapped. */
  readonly address: Uint8Array;
  /** 1 to 128, IPv4 with 96 added. */
  readonly length: number;
}

/** A rule is one of IPv4 where a prefix of it is, else of IPv6. */
export interface Rule {
  /** Rules are tried from the lowest; 0 to 2^32 - 1. */
  readonly priority: number;
  /** Undefined: any address. */
  readonly source: Prefix | undefined;
  readonly destination: Prefix | undefined;
  /** Device by which packets come, "lo" for those of this host; undefined: any. */
  readonly inputDevice?: string;
  /** RULE_ACTION. */
  readonly action: number;
  /** The table for TO_TABLE, else 0. */
  readonly table: number;
  /**
   * Of TO_TABLE: routes with prefixes of this length or shorter do not count; undefined: all do. Of
   * the rule's own family, nothing added.
   */
  readonly suppressPrefixLength: number | undefined;
  /** Who made it, 0 to 255; our own mark is 139. */
  readonly protocol: number;
}

/**
 * A rule; undefined for families other than IPv4 and IPv6, and for those of IPv4 without a prefix,
 * which are never ours.
 *
 * @throws {MalformedPacketError}
 */
export function parseRule(payload: Uint8Array): Rule | undefined {
  const header = familyHeader(payload, HEADER_LENGTH, "netlink rule");
  const family = header.getUint8(FIELD.family);
  if (family !== FAMILY.IPV4 && family !== FAMILY.IPV6) return undefined;
  const attributes = parseAttributes(payload, HEADER_LENGTH);
  const prefix = (type: number, length: number): Prefix | undefined => {
    const address = readAddress(attributes.get(type));
    return address === undefined
      ? undefined
      : { address, length: mappedPrefixLength(family, length) };
  };
  const source = prefix(FRA.SOURCE, header.getUint8(FIELD.sourceLength));
  const destination = prefix(FRA.DESTINATION, header.getUint8(FIELD.destinationLength));
  if (family === FAMILY.IPV4 && source === undefined && destination === undefined) return undefined;
  const device = attributes.get(FRA.INPUT_DEVICE);
  return {
    ...(device === undefined ? {} : { inputDevice: readDeviceName(device) }),
    priority: readUint32(attributes.get(FRA.PRIORITY)) ?? 0,
    source,
    destination,
    action: header.getUint8(FIELD.action),
    table: readUint32(attributes.get(FRA.TABLE)) ?? header.getUint8(FIELD.table),
    suppressPrefixLength: suppressed(readUint32(attributes.get(FRA.SUPPRESS))),
    protocol: attributes.get(FRA.PROTOCOL)?.[0] ?? 0,
  };
}

/** A name ends with a zero octet. */
function readDeviceName(value: Uint8Array): string {
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** The kernel says -1 when no route is left out. */
function suppressed(value: number | undefined): number | undefined {
  return value === 0xffffffff ? undefined : value;
}

/** Payload of NEW_RULE and DELETE_RULE. */
export function emitRule(rule: Rule): Uint8Array {
  const header = new Uint8Array(HEADER_LENGTH);
  const prefix = rule.source ?? rule.destination;
  const family = prefix === undefined ? FAMILY.IPV6 : familyOf(prefix.address);
  const ownLength = (of: Prefix | undefined) =>
    of === undefined ? 0 : ownPrefixLength(family, of.length);
  header[FIELD.family] = family;
  header[FIELD.destinationLength] = ownLength(rule.destination);
  header[FIELD.sourceLength] = ownLength(rule.source);
  header[FIELD.table] = rule.table < 256 ? rule.table : 0;
  header[FIELD.action] = rule.action;
  const attributes: Attribute[] = [[FRA.PRIORITY, uint32Value(rule.priority)]];
  if (rule.source) attributes.push([FRA.SOURCE, addressValue(rule.source.address)]);
  if (rule.destination) attributes.push([FRA.DESTINATION, addressValue(rule.destination.address)]);
  if (rule.inputDevice !== undefined) {
    attributes.push([FRA.INPUT_DEVICE, new TextEncoder().encode(`${rule.inputDevice}\0`)]);
  }
  if (rule.action === RULE_ACTION.TO_TABLE) attributes.push([FRA.TABLE, uint32Value(rule.table)]);
  if (rule.suppressPrefixLength !== undefined) {
    attributes.push([FRA.SUPPRESS, uint32Value(rule.suppressPrefixLength)]);
  }
  attributes.push([FRA.PROTOCOL, Uint8Array.of(rule.protocol)]);
  return emitAttributes(header, attributes);
}

/** Payload of a GET_RULE that asks for all rules of all families. */
export function emitRuleQuery(): Uint8Array {
  return new Uint8Array(HEADER_LENGTH);
}
