/**
 * Which addresses of this host may be locators, and which of them to send from (RFC 6724 §5, as far
 * as it can be decided without the whole routing table).
 */

import { bytesEqual } from "../base/bytes.ts";
import {
  commonPrefixLength,
  hasPrefix,
  isIpv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
} from "../wire/ip_address.ts";
import { ADDRESS_FLAG, type InterfaceAddress } from "../wire/netlink/address.ts";
import { type Link, LINK_FLAG } from "../wire/netlink/link.ts";
import { isDefaultRoute, type Route, ROUTE_TYPE, TABLE } from "../wire/netlink/route.ts";
import { HIT_PREFIX, HIT_PREFIX_LENGTH } from "./host_plan.ts";

/** One address of this host that peers may be told of. */
export interface LocalLocator {
  /** 16 octets, IPv4 as mapped. Never a HIT, loopback or multicast address. */
  readonly address: Uint8Array;
  readonly interfaceIndex: number;
  /** On-link prefix, 0 to 128 bits (IPv4: 96 added). */
  readonly prefixLength: number;
  /** Whether its interface carries the default route of its family. */
  readonly isDefault: boolean;
}

/** The host as the kernel lists it. */
export interface HostListing {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
}

/** Flags of an address that is not to be used for anything new, or not yet. */
const UNUSABLE = ADDRESS_FLAG.TENTATIVE | ADDRESS_FLAG.DAD_FAILED | ADDRESS_FLAG.DEPRECATED;

/**
 * The usable addresses, best first: those with the default route before others, wide scope before
 * link-local, IPv6 before IPv4, lasting ones before temporary ones; else in the kernel's order.
 *
 * @param ownInterfaceIndex The TUN device, whose addresses never count.
 */
export function localLocators(listing: HostListing, ownInterfaceIndex: number): LocalLocator[] {
  const usableLinks = new Set<number>();
  for (const link of listing.links) {
    const isUsable = (link.flags & LINK_FLAG.UP) !== 0 && (link.flags & LINK_FLAG.LOOPBACK) === 0;
    if (isUsable && link.index !== ownInterfaceIndex) usableLinks.add(link.index);
  }
  const ranked: { rank: number; locator: LocalLocator }[] = [];
  for (const entry of listing.addresses) {
    const { address, interfaceIndex, prefixLength, flags } = entry;
    if (!usableLinks.has(interfaceIndex) || !isUsableAddress(entry)) continue;
    const isDefault = !isLinkLocal(address) &&
      listing.routes.some((route) =>
        isUsableDefaultRoute(route) && route.interfaceIndex === interfaceIndex &&
        isIpv4(route.destination) === isIpv4(address)
      );
    const isTemporary = !isIpv4(address) && (flags & ADDRESS_FLAG.TEMPORARY) !== 0;
    const rank = (isDefault ? 0 : 8) + (isLinkLocal(address) ? 4 : 0) +
      (isIpv4(address) ? 2 : 0) + (isTemporary ? 1 : 0);
    ranked.push({ rank, locator: { address, interfaceIndex, prefixLength, isDefault } });
  }
  return ranked.sort((a, b) => a.rank - b.rank).map(({ locator }) => locator);
}

function isUsableAddress(entry: InterfaceAddress): boolean {
  const { address, flags } = entry;
  // An optimistic address is tentative too, and may be used (RFC 4429); it is soon decided.
  return (flags & UNUSABLE) === 0 && !isUnspecified(address) && !isLoopback(address) &&
    !isMulticast(address) && !hasPrefix(address, HIT_PREFIX, HIT_PREFIX_LENGTH);
}

function isUsableDefaultRoute(route: Route): boolean {
  return isDefaultRoute(route) && route.type === ROUTE_TYPE.UNICAST && route.table === TABLE.MAIN;
}

/** Whether two lists hold the same locators in the same order. */
export function sameLocators(a: readonly LocalLocator[], b: readonly LocalLocator[]): boolean {
  return a.length === b.length && a.every((one, i) => {
    const other = b[i]!;
    return bytesEqual(one.address, other.address) && one.prefixLength === other.prefixLength &&
      one.interfaceIndex === other.interfaceIndex && one.isDefault === other.isDefault;
  });
}

/**
 * The address to send from to `destination`: of the same family; the destination itself when it is
 * ours (rule 1); of no smaller scope than the destination unless on the same link (rule 2); then on
 * the destination's link, of the same kind (unique local or global, rule 6), on the interface with
 * the default route (rule 5, for which the table stands in), with the longest common prefix
 * (rule 8); then the first.
 *
 * @returns Undefined when no address of the host reaches there.
 */
export function chooseSource(
  locators: readonly LocalLocator[],
  destination: Uint8Array,
): Uint8Array | undefined {
  let best: LocalLocator | undefined;
  let bestScore = -1;
  for (const locator of locators) {
    const score = sourceScore(locator, destination);
    if (score > bestScore) {
      best = locator;
      bestScore = score;
    }
  }
  return best?.address;
}

/** How well a source serves; negative when it does not. Each criterion outweighs all later ones. */
function sourceScore(locator: LocalLocator, destination: Uint8Array): number {
  const { address } = locator;
  if (isIpv4(address) !== isIpv4(destination)) return -1;
  if (bytesEqual(address, destination)) return 2 ** 20;
  const isOnLink = hasPrefix(destination, address, locator.prefixLength);
  const sourceIsLocal = isLinkLocal(address);
  const destinationIsLocal = isLinkLocal(destination);
  if (sourceIsLocal && !destinationIsLocal) return -1;
  // A link-local IPv6 peer can answer only to an address of the same link.
  if (destinationIsLocal && !sourceIsLocal && !isIpv4(destination)) return -1;
  return (sourceIsLocal === destinationIsLocal ? 2 ** 13 : 0) +
    (isOnLink ? 2 ** 12 : 0) +
    (isUniqueLocal(address) === isUniqueLocal(destination) ? 2 ** 11 : 0) +
    (locator.isDefault ? 2 ** 10 : 0) +
    Math.min(commonPrefixLength(address, destination), locator.prefixLength);
}

/** fc00::/7 (RFC 4193), which has a label of its own in RFC 6724 §2.1. */
function isUniqueLocal(address: Uint8Array): boolean {
  return (address[0]! & 0xfe) === 0xfc;
}

/** For each destination that an address of ours reaches, the pair to use; in the given order. */
export function pathsTo(
  locators: readonly LocalLocator[],
  destinations: readonly Uint8Array[],
): { local: Uint8Array; peer: Uint8Array }[] {
  return destinations.flatMap((peer) => {
    const local = chooseSource(locators, peer);
    return local === undefined ? [] : [{ local, peer }];
  });
}
