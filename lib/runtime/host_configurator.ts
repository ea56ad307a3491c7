/**
 * Brings the host into the wanted state over netlink. It always compares with what is installed
 * now, so that it may be called again with any plan, mends what others changed, and clears what a
 * killed process left. Applying the empty plan restores the host.
 */

import type { Logger } from "../base/logger.ts";
import { describeChange, type HostChange, hostDiff } from "../host/host_diff.ts";
import {
  EMPTY_PLAN,
  HIT_PREFIX,
  HIT_PREFIX_LENGTH,
  type HostState,
  type PlannedLink,
  RULE_OWNER,
} from "../host/host_plan.ts";
import { bytesEqual } from "../base/bytes.ts";
import { hasPrefix, isIpv4 } from "../wire/ip_address.ts";
import {
  emitAddress,
  emitAddressLabel,
  emitAddressLabelQuery,
  emitAddressQuery,
  parseAddress,
  parseAddressLabel,
} from "../wire/netlink/address.ts";
import {
  emitLinkChange,
  emitLinkQuery,
  emitNoLinkLocal,
  LINK_FLAG,
  parseLink,
} from "../wire/netlink/link.ts";
import { FLAG, MESSAGE } from "../wire/netlink/message.ts";
import {
  emitRoute,
  emitRouteQuery,
  parseRoute,
  ROUTE_PROTOCOL,
  TABLE,
} from "../wire/netlink/route.ts";
import { emitRule, emitRuleQuery, parseRule } from "../wire/netlink/rule.ts";
import { NETLINK_ERRNO, type NetlinkClient, NetlinkError } from "./netlink_client.ts";

/** Answers that say that there is nothing left to do. */
const ALREADY_GONE: ReadonlySet<number> = new Set([
  NETLINK_ERRNO.ENOENT,
  NETLINK_ERRNO.ESRCH,
  NETLINK_ERRNO.ENODEV,
  NETLINK_ERRNO.EADDRNOTAVAIL,
]);

/** Answers of a kernel that was built without a facility. */
const NOT_BUILT_IN: ReadonlySet<number> = new Set([
  NETLINK_ERRNO.EOPNOTSUPP,
  NETLINK_ERRNO.EAFNOSUPPORT,
]);

/**
 * Packets the device holds while the agent is busy. At the kernel's 500 a single TCP connection
 * loses 4 in 100 packets here; at 2,000 none, and the agent empties it within 60 ms.
 */
const QUEUE_LENGTH = 2000;

export class HostConfigurator {
  readonly #client: NetlinkClient;
  readonly #interfaceIndex: number | undefined;
  readonly #logger: Logger;

  /**
   * @param interfaceIndex Our TUN device; undefined when there is none, to clear up only.
   */
  constructor(client: NetlinkClient, interfaceIndex: number | undefined, logger: Logger) {
    this.#client = client;
    this.#interfaceIndex = interfaceIndex;
    this.#logger = logger;
  }

  /**
   * Makes the host as `wanted`. Labels and rules that the kernel was built without are left out
   * with a warning. When it throws, some of the changes were made: `restore` undoes them.
   *
   * @throws {NetlinkError}
   * @throws {UserError} No right to change the network.
   */
  apply(wanted: HostState): void {
    for (const change of hostDiff(this.installed(), wanted)) {
      this.#logger.log("debug", describeChange(change));
      this.#perform(change);
    }
  }

  /**
   * Takes away everything of ours; the device itself belongs to whoever opened it.
   *
   * @param left What stays nevertheless.
   */
  restore(left: HostState = EMPTY_PLAN): void {
    this.apply(left);
  }

  /** Makes one change, known to be needed, without a look at the whole. @throws As `apply`. */
  change(change: HostChange): void {
    this.#logger.log("debug", describeChange(change));
    this.#perform(change);
  }

  /** What of a plan is installed now, whoever installed it. */
  installed(): HostState {
    const client = this.#client;
    const addresses = client.list("list addresses", MESSAGE.GET_ADDRESS, emitAddressQuery())
      .map((message) => parseAddress(message.payload))
      .filter((address) => address !== undefined)
      .filter((address) =>
        address.interfaceIndex === this.#interfaceIndex && isOurs(address.address)
      );
    const routes = client.list("list routes", MESSAGE.GET_ROUTE, emitRouteQuery())
      .map((message) => parseRoute(message.payload))
      .filter((route) => route !== undefined)
      .filter((route) =>
        route.interfaceIndex === this.#interfaceIndex && route.table === TABLE.MAIN &&
        // The kernel makes one of its own for every address of ours.
        route.protocol === ROUTE_PROTOCOL.STATIC &&
        isOurs(route.destination)
      );
    const labels = this.#listIfBuiltIn(
      "list address labels",
      MESSAGE.GET_ADDRESS_LABEL,
      emitAddressLabelQuery(),
    ).map(parseAddressLabel)
      .filter((label) =>
        label.prefixLength === HIT_PREFIX_LENGTH && bytesEqual(label.prefix, HIT_PREFIX)
      );
    const rules = this.#listIfBuiltIn("list rules", MESSAGE.GET_RULE, emitRuleQuery())
      .map(parseRule)
      .filter((rule) => rule !== undefined)
      .filter((rule) => rule.protocol === RULE_OWNER);
    return { link: this.#installedLink(), addresses, routes, labels, rules };
  }

  #installedLink(): PlannedLink | undefined {
    for (const { payload } of this.#client.list("list links", MESSAGE.GET_LINK, emitLinkQuery())) {
      const link = parseLink(payload);
      if (link.index !== this.#interfaceIndex) continue;
      return { index: link.index, isUp: (link.flags & LINK_FLAG.UP) !== 0, mtu: link.mtu };
    }
    return undefined;
  }

  #listIfBuiltIn(what: string, type: number, payload: Uint8Array): Uint8Array[] {
    try {
      return this.#client.list(what, type, payload).map((message) => message.payload);
    } catch (error) {
      if (error instanceof NetlinkError && NOT_BUILT_IN.has(error.errno)) return [];
      throw error;
    }
  }

  #perform(change: HostChange): void {
    try {
      this.#request(change);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (change.kind.startsWith("remove-") && ALREADY_GONE.has(error.errno)) return;
      if (change.kind.startsWith("add-") && error.errno === NETLINK_ERRNO.EEXIST) return;
      const isOptional = change.kind.endsWith("-label") || change.kind.endsWith("-rule");
      if (!isOptional || !NOT_BUILT_IN.has(error.errno)) throw error;
      this.#logger.log("warning", `${error.message} (this kernel was built without it)`);
    }
  }

  #request(change: HostChange): void {
    const what = describeChange(change);
    const add = FLAG.CREATE | FLAG.EXCLUSIVE;
    const client = this.#client;
    switch (change.kind) {
      case "set-link": {
        // Set by itself, before the device is up: the kernel would have made the address by then.
        const noLinkLocal = emitNoLinkLocal(change.link.index);
        if (change.link.isUp) client.change(what, MESSAGE.SET_LINK, 0, noLinkLocal);
        const link = { ...change.link, queueLength: QUEUE_LENGTH };
        return client.change(what, MESSAGE.SET_LINK, 0, emitLinkChange(link));
      }
      case "add-address":
        return client.change(what, MESSAGE.NEW_ADDRESS, add, emitAddress(change.address));
      case "remove-address":
        return client.change(what, MESSAGE.DELETE_ADDRESS, 0, emitAddress(change.address));
      case "add-route":
        return client.change(what, MESSAGE.NEW_ROUTE, add, emitRoute(change.route));
      case "remove-route":
        return client.change(what, MESSAGE.DELETE_ROUTE, 0, emitRoute(change.route));
      case "add-label":
        return client.change(what, MESSAGE.NEW_ADDRESS_LABEL, add, emitAddressLabel(change.label));
      case "remove-label":
        return client.change(what, MESSAGE.DELETE_ADDRESS_LABEL, 0, emitAddressLabel(change.label));
      case "add-rule":
        return client.change(what, MESSAGE.NEW_RULE, add, emitRule(change.rule));
      case "remove-rule":
        return client.change(what, MESSAGE.DELETE_RULE, 0, emitRule(change.rule));
    }
  }
}

/** Whether an address on our device is a HIT or, as IPv4, an LSI: it has no other. */
function isOurs(address: Uint8Array): boolean {
  return hasPrefix(address, HIT_PREFIX, HIT_PREFIX_LENGTH) || isIpv4(address);
}
