/**
 * Knows the addresses of this host and notices when they change: notifications of the kernel say
 * that something happened, a new listing says what is so now.
 */

import { type LocalLocator, localLocators, sameLocators } from "../host/local_locators.ts";
import { emitAddressQuery, parseAddress } from "../wire/netlink/address.ts";
import { emitLinkQuery, parseLink } from "../wire/netlink/link.ts";
import { GROUP, MESSAGE, type NetlinkMessage, parseMessages } from "../wire/netlink/message.ts";
import { emitRouteQuery, isDefaultRoute, parseRoute } from "../wire/netlink/route.ts";
import type { NetlinkClient } from "./netlink_client.ts";
import type { NetlinkGroup, NetlinkSocket, Pollable } from "./ports.ts";

/** The groups that the socket for notifications must have joined. */
export const LOCATOR_GROUPS: readonly NetlinkGroup[] = [
  GROUP.LINK,
  GROUP.IPV4_ADDRESS,
  GROUP.IPV4_ROUTE,
  GROUP.IPV6_ADDRESS,
  GROUP.IPV6_ROUTE,
];

/** Notifications read at one go; the rest waits for the next. */
const MAX_DATAGRAMS = 256;

export class LocatorMonitor {
  /** Called when `locators` has become another list. */
  onChange: () => void = () => {};
  readonly #notifications: NetlinkSocket;
  readonly #client: NetlinkClient;
  readonly #ownInterfaceIndex: number;
  #locators: readonly LocalLocator[];

  /**
   * @param notifications A socket in `LOCATOR_GROUPS`, opened before the first listing.
   * @param ownInterfaceIndex The TUN device, whose addresses are no locators.
   */
  constructor(notifications: NetlinkSocket, client: NetlinkClient, ownInterfaceIndex: number) {
    this.#notifications = notifications;
    this.#client = client;
    this.#ownInterfaceIndex = ownInterfaceIndex;
    this.#locators = this.#list();
  }

  /** Readable when `drain` has something to look at. */
  get source(): Pollable {
    return this.#notifications;
  }

  /** Best first. */
  get locators(): readonly LocalLocator[] {
    return this.#locators;
  }

  /** Reads what has come. Returns whether `locators` is another list than before. */
  drain(): boolean {
    let isStale = false;
    for (let i = 0; i < MAX_DATAGRAMS; i++) {
      const datagram = this.#notifications.receive();
      if (datagram === undefined) break;
      if (datagram === "overrun" || parseMessages(datagram).some(concernsLocators)) isStale = true;
    }
    if (!isStale) return false;
    const locators = this.#list();
    if (sameLocators(locators, this.#locators)) return false;
    this.#locators = locators;
    this.onChange();
    return true;
  }

  close(): void {
    this.#notifications.close();
  }

  #list(): LocalLocator[] {
    const list = (what: string, type: number, query: Uint8Array) =>
      this.#client.list(what, type, query).map((message) => message.payload);
    return localLocators({
      links: list("list links", MESSAGE.GET_LINK, emitLinkQuery()).map(parseLink),
      addresses: list("list addresses", MESSAGE.GET_ADDRESS, emitAddressQuery())
        .map(parseAddress).filter((address) => address !== undefined),
      routes: list("list routes", MESSAGE.GET_ROUTE, emitRouteQuery())
        .map(parseRoute).filter((route) => route !== undefined),
    }, this.#ownInterfaceIndex);
  }
}

/** Of routes, of which a router may see many changes, only default ones matter. */
function concernsLocators(message: NetlinkMessage): boolean {
  if (message.type !== MESSAGE.NEW_ROUTE && message.type !== MESSAGE.DELETE_ROUTE) return true;
  const route = parseRoute(message.payload);
  return route !== undefined && isDefaultRoute(route);
}
