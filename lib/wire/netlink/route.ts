/** Routes (linux/rtnetlink.h: struct rtmsg, RTA_*). */

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
import { FAMILY, familyHeader, viewOf } from "./message.ts";

const HEADER_LENGTH = 12;
const FIELD = {
  family: 0,
  destinationLength: 1,
  table: 4,
  protocol: 5,
  scope: 6,
  type: 7,
  flags: 8,
} as const;
const RTA = {
  DESTINATION: 1,
  OUTGOING_INTERFACE: 4,
  PRIORITY: 6,
  PREFERRED_SOURCE: 7,
  MULTIPATH: 9,
  TABLE: 15,
} as const;

/** Routing tables (RT_TABLE_*). */
export const TABLE = { MAIN: 254, LOCAL: 255 } as const;
/** Kinds of route (RTN_*). */
export const ROUTE_TYPE = { UNICAST: 1 } as const;
/** Who made a route (RTPROT_*). */
export const ROUTE_PROTOCOL = { STATIC: 4 } as const;
/** The route was copied from another one for one destination (RTM_F_CLONED). */
const CLONED = 0x200;

export interface Route {
  /** 16 octets, IPv4 as mapped; the prefix. */
  readonly destination: Uint8Array;
  /** 0 to 128, IPv4 with 96 added. A default route has 0 or 96. */
  readonly prefixLength: number;
  readonly interfaceIndex: number;
  readonly table: number;
  /** ROUTE_TYPE. */
  readonly type: number;
  /** ROUTE_PROTOCOL. */
  readonly protocol: number;
  /** Lower is preferred. */
  readonly metric: number;
  /** The source address of packets that have none yet; undefined: the kernel chooses. */
  readonly preferredSource: Uint8Array | undefined;
}

/** Whether a route serves every destination of its family. */
export function isDefaultRoute(route: Route): boolean {
  return route.prefixLength === (familyOf(route.destination) === FAMILY.IPV4 ? 96 : 0);
}

/**
 * A route; undefined for families other than IPv4 and IPv6 and for copies in the cache. Of a route
 * over several interfaces the first one is named.
 *
 * @throws {MalformedPacketError}
 */
export function parseRoute(payload: Uint8Array): Route | undefined {
  const header = familyHeader(payload, HEADER_LENGTH, "netlink route");
  const family = header.getUint8(FIELD.family);
  if (family !== FAMILY.IPV4 && family !== FAMILY.IPV6) return undefined;
  if ((header.getUint32(FIELD.flags, true) & CLONED) !== 0) return undefined;
  const attributes = parseAttributes(payload, HEADER_LENGTH);
  const own = header.getUint8(FIELD.destinationLength);
  return {
    destination: readAddress(attributes.get(RTA.DESTINATION)) ?? anyAddress(family),
    prefixLength: mappedPrefixLength(family, own),
    interfaceIndex: readUint32(attributes.get(RTA.OUTGOING_INTERFACE)) ??
      firstHop(attributes.get(RTA.MULTIPATH)),
    table: readUint32(attributes.get(RTA.TABLE)) ?? header.getUint8(FIELD.table),
    type: header.getUint8(FIELD.type),
    protocol: header.getUint8(FIELD.protocol),
    metric: readUint32(attributes.get(RTA.PRIORITY)) ?? 0,
    preferredSource: readAddress(attributes.get(RTA.PREFERRED_SOURCE)),
  };
}

/** Payload of NEW_ROUTE and DELETE_ROUTE. */
export function emitRoute(route: Route): Uint8Array {
  const family = familyOf(route.destination);
  const header = new Uint8Array(HEADER_LENGTH);
  const own = ownPrefixLength(family, route.prefixLength);
  header[FIELD.family] = family;
  header[FIELD.destinationLength] = own;
  header[FIELD.table] = route.table < 256 ? route.table : 0;
  header[FIELD.protocol] = route.protocol;
  header[FIELD.type] = route.type;
  const attributes: Attribute[] = [];
  if (own > 0) attributes.push([RTA.DESTINATION, addressValue(route.destination)]);
  attributes.push(
    [RTA.OUTGOING_INTERFACE, uint32Value(route.interfaceIndex)],
    [RTA.PRIORITY, uint32Value(route.metric)],
    [RTA.TABLE, uint32Value(route.table)],
  );
  if (route.preferredSource) {
    attributes.push([RTA.PREFERRED_SOURCE, addressValue(route.preferredSource)]);
  }
  return emitAttributes(header, attributes);
}

/** Payload of a GET_ROUTE that asks for all routes of both families. */
export function emitRouteQuery(): Uint8Array {
  return new Uint8Array(HEADER_LENGTH);
}

/** All zeros, IPv4 as mapped. */
function anyAddress(family: number): Uint8Array {
  const address = new Uint8Array(16);
  if (family === FAMILY.IPV4) address.fill(0xff, 10, 12);
  return address;
}

/** The interface in the first struct rtnexthop; 0 when there is none. */
function firstHop(value: Uint8Array | undefined): number {
  return value === undefined || value.length < 8 ? 0 : viewOf(value).getInt32(4, true);
}
