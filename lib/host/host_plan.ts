/**
 * What the host should look like while HIP runs: the TUN device up with its MTU, the local HITs on
 * it, the route for all HITs through it, an address label that keeps HITs among themselves
 * (RFC 6724 §5 rule 6), and rules that keep HITs off every other interface; for programs that know
 * only IPv4 our LSIs and routes to those of peers. The empty plan is the host without us.
 */

import { ADDRESS_FLAG, type AddressLabel, type InterfaceAddress } from "../wire/netlink/address.ts";
import { type Route, ROUTE_PROTOCOL, ROUTE_TYPE, TABLE } from "../wire/netlink/route.ts";
import { type Rule, RULE_ACTION } from "../wire/netlink/rule.ts";

/** 2001:20::/28, the ORCHIDv2 prefix (RFC 7343 §2). */
export const HIT_PREFIX: Uint8Array = Uint8Array.of(
  ...[0x20, 0x01, 0x00, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
);
export const HIT_PREFIX_LENGTH = 28;

/** Our label; the kernel's own table ends far below. */
export const HIT_LABEL = 139;

/** Our mark on rules, so that those of a process that was killed are found again. */
export const RULE_OWNER = 139;

/** Places of our rules: behind the local table (0), before the main one (32766). */
const RULE_PRIORITY = {
  TO_HITS: 5201,
  NO_OTHER_WAY: 5202,
  FROM_HITS: 5203,
  LSIS_TO_LSIS: 5204,
  FROM_LSIS: 5205,
  NO_SOURCE: 5206,
} as const;

const ROUTE_METRIC = 1024;

/** The state of our device. */
export interface PlannedLink {
  readonly index: number;
  readonly isUp: boolean;
  /** Octets; at least 1280, the least that IPv6 takes. */
  readonly mtu: number;
}

/** A state of the host, as far as it concerns us; wanted or installed. */
export interface HostState {
  readonly link: PlannedLink | undefined;
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
  readonly labels: readonly AddressLabel[];
  readonly rules: readonly Rule[];
}

/** Nothing of ours. */
export const EMPTY_PLAN: HostState = {
  link: undefined,
  addresses: [],
  routes: [],
  labels: [],
  rules: [],
};

const HITS = { address: HIT_PREFIX, length: HIT_PREFIX_LENGTH } as const;

/**
 * Nothing to or from a HIT leaves by another device. It also holds when our device is gone, killed
 * with its agent: connections live on, and what they send again would go out as it is.
 */
const GUARD_RULES: readonly Rule[] = [
  {
    priority: RULE_PRIORITY.NO_OTHER_WAY,
    source: undefined,
    destination: HITS,
    action: RULE_ACTION.UNREACHABLE,
    table: 0,
    suppressPrefixLength: undefined,
    protocol: RULE_OWNER,
  },
  {
    priority: RULE_PRIORITY.FROM_HITS,
    source: HITS,
    destination: undefined,
    // ENETUNREACH, as on a host without IPv6: EACCES would end getaddrinfo() of musl.
    action: RULE_ACTION.UNREACHABLE,
    table: 0,
    suppressPrefixLength: undefined,
    protocol: RULE_OWNER,
  },
];

/** The host without us, while connections are open that were made over HIP, some by these LSIs. */
export function guardPlan(ownLsis: readonly Uint8Array[]): HostState {
  return { ...EMPTY_PLAN, rules: [...GUARD_RULES, ...lsiGuards(ownLsis)] };
}

/** LSIs of ours that rules keep in. */
export function guardedLsis(rules: readonly Rule[]): Uint8Array[] {
  return rules.filter(({ priority }) => priority === RULE_PRIORITY.FROM_LSIS)
    .flatMap(({ source }) => source === undefined ? [] : [source.address]);
}

/** What comes from an LSI of ours goes nowhere but where the rules before let it. */
function lsiGuards(ownLsis: readonly Uint8Array[]): Rule[] {
  return ownLsis.map((address) => ({
    priority: RULE_PRIORITY.FROM_LSIS,
    source: { address, length: 128 },
    destination: undefined,
    action: RULE_ACTION.PROHIBIT,
    table: 0,
    suppressPrefixLength: undefined,
    protocol: RULE_OWNER,
  }));
}

/** LSIs are IPv4 addresses, 16 octets, mapped. */
export interface LsiWish {
  /** Ours; the first is the source of packets whose application chose none. */
  readonly own: readonly Uint8Array[];
  /** Of peers: one route each. */
  readonly peers: readonly Uint8Array[];
  /** The whole pool, where it is to be routed at once; its length with 96 added. */
  readonly pool?: { readonly prefix: Uint8Array; readonly length: number };
}

/** Where IPv6 destinations beyond the link are: ::/3, 2000::/3 and fc00::/7. */
const BEYOND_THE_LINK: readonly (readonly [first: number, length: number])[] = [
  [0x00, 3],
  [0x20, 3],
  [0xfc, 7],
];

/**
 * On a host without another IPv6 address for destinations beyond the link the kernel would send to
 * them from a HIT, since it asks rules before it chooses a source, and not again. They are as out of
 * reach as they are without us. What the host hands on for others goes its way.
 */
const NO_SOURCE_RULES: readonly Rule[] = BEYOND_THE_LINK.map(([first, length]) => ({
  priority: RULE_PRIORITY.NO_SOURCE,
  source: undefined,
  destination: { address: Uint8Array.of(first, ...new Array<number>(15).fill(0)), length },
  inputDevice: "lo",
  action: RULE_ACTION.UNREACHABLE,
  table: 0,
  suppressPrefixLength: undefined,
  protocol: RULE_OWNER,
}));

/** What the plan depends on. */
export interface HostWish {
  readonly interfaceIndex: number;
  /** MTU of the device, octets. */
  readonly innerMtu: number;
  /** Local HITs; the first is the source of packets whose application chose none. */
  readonly hits: readonly Uint8Array[];
  /** Peers for which another local HIT is the source. */
  readonly routes?: readonly { readonly peerHit: Uint8Array; readonly localHit: Uint8Array }[];
  readonly lsis?: LsiWish;
  /** Whether IPv6 packets that go beyond the link have a source that is no HIT. Default yes. */
  readonly hasIpv6Source?: boolean;
}

/** The route that leads to our device. */
function routeOf(
  interfaceIndex: number,
  destination: Uint8Array,
  prefixLength: number,
  preferredSource: Uint8Array | undefined,
): Route {
  return {
    destination,
    prefixLength,
    interfaceIndex,
    table: TABLE.MAIN,
    type: ROUTE_TYPE.UNICAST,
    protocol: ROUTE_PROTOCOL.STATIC,
    metric: ROUTE_METRIC,
    preferredSource,
  };
}

/** The route to the LSI of one peer. */
export function lsiRoute(interfaceIndex: number, lsi: Uint8Array, ownLsi?: Uint8Array): Route {
  return routeOf(interfaceIndex, lsi, 128, ownLsi);
}

/** The state that serves `wish`. */
export function hostPlan(wish: HostWish): HostState {
  const route = (destination: Uint8Array, prefixLength: number, source?: Uint8Array) =>
    routeOf(wish.interfaceIndex, destination, prefixLength, source);
  const { own = [], peers = [], pool } = wish.lsis ?? {};
  return {
    link: { index: wish.interfaceIndex, isUp: true, mtu: wish.innerMtu },
    addresses: [...wish.hits, ...own].map((address) => ({
      interfaceIndex: wish.interfaceIndex,
      address,
      prefixLength: 128,
      // Nobody else can have a HIT of ours, and the address must be usable at once.
      flags: ADDRESS_FLAG.NO_DAD | ADDRESS_FLAG.PERMANENT,
    })),
    routes: [
      route(HIT_PREFIX, HIT_PREFIX_LENGTH, wish.hits[0]),
      ...(wish.routes ?? []).map(({ peerHit, localHit }) => route(peerHit, 128, localHit)),
      ...(pool === undefined
        ? peers.map((lsi) => route(lsi, 128, own[0]))
        : [route(pool.prefix, pool.length, own[0])]),
    ],
    labels: [{ prefix: HIT_PREFIX, prefixLength: HIT_PREFIX_LENGTH, label: HIT_LABEL }],
    rules: [
      {
        priority: RULE_PRIORITY.TO_HITS,
        source: undefined,
        destination: HITS,
        action: RULE_ACTION.TO_TABLE,
        table: TABLE.MAIN,
        // Our route, and no default route.
        suppressPrefixLength: HIT_PREFIX_LENGTH - 1,
        protocol: RULE_OWNER,
      },
      ...GUARD_RULES,
      ...own.map((address) => ({
        priority: RULE_PRIORITY.LSIS_TO_LSIS,
        source: { address, length: 128 },
        destination: undefined,
        action: RULE_ACTION.TO_TABLE,
        table: TABLE.MAIN,
        // The routes to LSIs, and none that is less narrow.
        suppressPrefixLength: (pool?.length ?? 128) - 96 - 1,
        protocol: RULE_OWNER,
      })),
      ...lsiGuards(own),
      ...(wish.hasIpv6Source === false ? NO_SOURCE_RULES : []),
    ],
  };
}
