/** Network interfaces (linux/rtnetlink.h struct ifinfomsg; linux/if_link.h IFLA_*). */

import {
  type Attribute,
  emitAttributes,
  parseAttributes,
  readText,
  readUint32,
  uint32Value,
} from "./attribute.ts";
import { FAMILY, familyHeader, viewOf } from "./message.ts";

const HEADER_LENGTH = 16;
const FIELD = { family: 0, type: 2, index: 4, flags: 8, change: 12 } as const;
const IFLA = { NAME: 3, MTU: 4, TXQLEN: 13, AF_SPEC: 26 } as const;
/** linux/if_link.h: IFLA_INET6_ADDR_GEN_MODE and its value IN6_ADDR_GEN_MODE_NONE. */
const INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_MODE_NONE = 1;

/** Flags of an interface (linux/if.h, IFF_*). */
export const LINK_FLAG = { UP: 0x1, LOOPBACK: 0x8, RUNNING: 0x40 } as const;

export interface Link {
  readonly index: number;
  /** LINK_FLAG bits. */
  readonly flags: number;
  readonly name: string;
  /** Octets. */
  readonly mtu: number;
}

/** @throws {MalformedPacketError} */
export function parseLink(payload: Uint8Array): Link {
  const header = familyHeader(payload, HEADER_LENGTH, "netlink link");
  const attributes = parseAttributes(payload, HEADER_LENGTH);
  return {
    index: header.getInt32(FIELD.index, true),
    flags: header.getUint32(FIELD.flags, true),
    name: readText(attributes.get(IFLA.NAME)),
    mtu: readUint32(attributes.get(IFLA.MTU)) ?? 0,
  };
}

/** As the kernel reports it. */
export function emitLink(link: Link): Uint8Array {
  return emitAttributes(emitHeader(link.index, link.flags, 0), [
    [IFLA.NAME, new TextEncoder().encode(`${link.name}\0`)],
    [IFLA.MTU, uint32Value(link.mtu)],
  ]);
}

/** What SET_LINK changes. */
export interface LinkChange {
  readonly index: number;
  readonly isUp: boolean;
  /** Octets. */
  readonly mtu?: number;
  /** Packets that the kernel keeps for a reader that is late. */
  readonly queueLength?: number;
}

/** Payload of SET_LINK that brings an interface up or down, and sets what else is given. */
export function emitLinkChange(change: LinkChange): Uint8Array {
  const flags = change.isUp ? LINK_FLAG.UP : 0;
  const { mtu, queueLength } = change;
  const attributes: Attribute[] = [];
  if (mtu !== undefined) attributes.push([IFLA.MTU, uint32Value(mtu)]);
  if (queueLength !== undefined) attributes.push([IFLA.TXQLEN, uint32Value(queueLength)]);
  return emitAttributes(emitHeader(change.index, flags, LINK_FLAG.UP), attributes);
}

/**
 * Payload of SET_LINK that keeps the kernel from giving an interface a link-local IPv6 address, and
 * so from soliciting routers through it. It takes effect when the interface next comes up.
 */
export function emitNoLinkLocal(index: number): Uint8Array {
  const none = new Uint8Array(0);
  const inet6 = emitAttributes(none, [[INET6_ADDR_GEN_MODE, Uint8Array.of(ADDR_GEN_MODE_NONE)]]);
  const families = emitAttributes(none, [[FAMILY.IPV6, inet6]]);
  return emitAttributes(emitHeader(index, 0, 0), [[IFLA.AF_SPEC, families]]);
}

/** Payload of a GET_LINK that asks for all interfaces, or for the one with `index`. */
export function emitLinkQuery(index: number = 0): Uint8Array {
  return emitHeader(index, 0, 0);
}

function emitHeader(index: number, flags: number, change: number): Uint8Array {
  const header = new Uint8Array(HEADER_LENGTH);
  const view = viewOf(header);
  view.setInt32(FIELD.index, index, true);
  view.setUint32(FIELD.flags, flags, true);
  view.setUint32(FIELD.change, change, true);
  return header;
}
