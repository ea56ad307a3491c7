/** Rules that choose a routing table (linux/fib_rules.h: struct fib_rule_hdr, FRA_*). IPv6 only. */

import {
  type Attribute,
  emitAttributes,
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
  PRIORITY: 6,
  SUPPRESS: 14,
  TABLE: 15,
  PROTOCOL: 21,
} as const;

/** What a rule does (FR_ACT_*). */
export const RULE_ACTION = { TO_TABLE: 1, UNREACHABLE: 7, PROHIBIT: 8 } as const;

/** An IPv6 prefix that a packet's address is compared with. */
export interface Prefix {
  /** 16 octets. */
  readonly address: Uint8Array;
  /** 1 to 128. */
  readonly length: number;
}

export interface Rule {
  /** Rules are tried from the lowest; 0 to 2^32 - 1. */
  readonly priority: number;
  /** Undefined: any address. */
  readonly source: Prefix | undefined;
  readonly destination: Prefix | undefined;
  /** RULE_ACTION. */
  readonly action: number;
  /** The table for TO_TABLE, else 0. */
  readonly table: number;
  /** Of TO_TABLE: routes with prefixes of this length or shorter do not count; undefined: all do. */
  readonly suppressPrefixLength: number | undefined;
  /** Who made it, 0 to 255; our own mark is 139. */
  readonly protocol: number;
}

/**
 * A rule; undefined for families other than IPv6.
 *
 * @throws {MalformedPacketError}
 */
export function parseRule(payload: Uint8Array): Rule | undefined {
  const header = familyHeader(payload, HEADER_LENGTH, "netlink rule");
  if (header.getUint8(FIELD.family) !== FAMILY.IPV6) return undefined;
  const attributes = parseAttributes(payload, HEADER_LENGTH);
  const prefix = (type: number, length: number): Prefix | undefined => {
    const address = readAddress(attributes.get(type));
    return address === undefined ? undefined : { address, length };
  };
  return {
    priority: readUint32(attributes.get(FRA.PRIORITY)) ?? 0,
    source: prefix(FRA.SOURCE, header.getUint8(FIELD.sourceLength)),
    destination: prefix(FRA.DESTINATION, header.getUint8(FIELD.destinationLength)),
    action: header.getUint8(FIELD.action),
    table: readUint32(attributes.get(FRA.TABLE)) ?? header.getUint8(FIELD.table),
    suppressPrefixLength: suppressed(readUint32(attributes.get(FRA.SUPPRESS))),
    protocol: attributes.get(FRA.PROTOCOL)?.[0] ?? 0,
  };
}

/** The kernel says -1 when no route is left out. */
function suppressed(value: number | undefined): number | undefined {
  return value === 0xffffffff ? undefined : value;
}

/** Payload of NEW_RULE and DELETE_RULE. */
export function emitRule(rule: Rule): Uint8Array {
  const header = new Uint8Array(HEADER_LENGTH);
  header[FIELD.family] = FAMILY.IPV6;
  header[FIELD.destinationLength] = rule.destination?.length ?? 0;
  header[FIELD.sourceLength] = rule.source?.length ?? 0;
  header[FIELD.table] = rule.table < 256 ? rule.table : 0;
  header[FIELD.action] = rule.action;
  const attributes: Attribute[] = [[FRA.PRIORITY, uint32Value(rule.priority)]];
  if (rule.source) attributes.push([FRA.SOURCE, rule.source.address]);
  if (rule.destination) attributes.push([FRA.DESTINATION, rule.destination.address]);
  if (rule.action === RULE_ACTION.TO_TABLE) attributes.push([FRA.TABLE, uint32Value(rule.table)]);
  if (rule.suppressPrefixLength !== undefined) {
    attributes.push([FRA.SUPPRESS, uint32Value(rule.suppressPrefixLength)]);
  }
  attributes.push([FRA.PROTOCOL, Uint8Array.of(rule.protocol)]);
  return emitAttributes(header, attributes);
}

/** Payload of a GET_RULE that asks for all IPv6 rules. */
export function emitRuleQuery(): Uint8Array {
  const header = new Uint8Array(HEADER_LENGTH);
  header[FIELD.family] = FAMILY.IPV6;
  return header;
}
