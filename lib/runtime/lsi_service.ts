/**
 * LSIs on this host: which addresses of the pool may be LSIs, the routes that lead to them, the
 * programs that they reach, and the file in which they outlive the agent.
 */

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { elapsed, type Instant, instant } from "../base/time.ts";
import type { DnsLsis } from "../dns/proxy.ts";
import { lsiRoute, type LsiWish } from "../host/host_plan.ts";
import { formatHit } from "../identity/hit.ts";
import {
  LSI_QUARANTINE,
  type LsiEntry,
  lsiNumber,
  type LsiPool,
  type LsiTable,
  type LsiWatcher,
  mappedAddress,
} from "../identity/lsi.ts";
import { formatIpAddress, isIpv4, parseIpAddress } from "../wire/ip_address.ts";
import { emitAddressQuery, parseAddress } from "../wire/netlink/address.ts";
import { MESSAGE } from "../wire/netlink/message.ts";
import { emitRouteQuery, parseRoute, TABLE } from "../wire/netlink/route.ts";
import { readIfThere, systemProblem, writeFileAtomically } from "./atomic_file.ts";
import type { HostConfigurator } from "./host_configurator.ts";
import { Ipv4Servers } from "./ipv4_servers.ts";
import { formatLsis, parseLsis, type StoredLsi } from "./lsi_file.ts";
import type { NetlinkClient } from "./netlink_client.ts";

/** Changes that come within this many milliseconds are written at once. */
const SETTLE_MS = 1000;

/** What the kernel said of its routes is believed for so many milliseconds. */
const FRESH_MS = 10_000;

export interface LsiServiceOptions {
  readonly table: LsiTable;
  readonly mode: "on" | "v4only";
  readonly pool: LsiPool;
  /** Whether the pool is routed as a whole, and not each LSI. */
  readonly routesPool: boolean;
  readonly interfaceIndex: number;
  readonly ownHits: readonly Uint8Array[];
  readonly client: NetlinkClient;
  readonly configurator: Pick<HostConfigurator, "change">;
  readonly file: string;
  readonly nameOf: (hit: Uint8Array) => string;
  readonly now: () => Instant;
  readonly logger: Logger;
}

/** A block of addresses, 32 bits each. */
interface Block {
  readonly first: number;
  readonly last: number;
}

export class LsiService implements DnsLsis, LsiWatcher {
  readonly mode: "on" | "v4only";
  /** Names that peers of the agent before had, by HIT. */
  readonly formerNames: readonly Pick<StoredLsi, "hit" | "name">[];
  readonly #options: LsiServiceOptions;
  readonly #table: LsiTable;
  #resolvers: readonly Block[] = [];
  #taken: { readonly blocks: readonly Block[]; readonly until: Instant } | undefined;
  #timer: number | undefined;

  /**
   * Takes the LSIs of the agent before over and gives our own HITs theirs. What `wish` says then has
   * to be installed before `listen`.
   *
   * @throws {UserError} When the pool is in use on this host.
   */
  constructor(options: LsiServiceOptions) {
    this.#options = options;
    this.mode = options.mode;
    this.#table = options.table;
    this.#table.setPool(options.pool);
    const owner = this.#takenBlocks().find(({ first, last }) =>
      first <= options.pool.first && last >= options.pool.first + span(options.pool) - 1
    );
    if (owner !== undefined) {
      throw new UserError(
        `The addresses ${formatPool(options.pool)}, the pool of LSIs, are in use on this host. ` +
          "Name another block of private addresses with lsi_pool, or set lsi = off.",
      );
    }
    this.#table.isForbidden = (lsi) => this.#isTaken(lsi);
    this.formerNames = this.#restore();
  }

  /** Addresses and routes that the LSIs need. */
  get wish(): LsiWish {
    const { pool, routesPool } = this.#options;
    const entries = [...this.#table.entries()];
    return {
      own: entries.filter(({ isOwn }) => isOwn).map(({ address }) => address),
      peers: entries.filter(({ isOwn }) => !isOwn).map(({ address }) => address),
      ...(routesPool
        ? { pool: { prefix: mappedAddress(pool.first), length: 96 + pool.prefixLength } }
        : {}),
    };
  }

  /** From now on every LSI is routed when it is assigned. */
  listen(): void {
    const servers = new Ipv4Servers(this.wish.own, readIfThere, () => this.#options.now());
    this.#table.hasIpv4Server = (protocol, port) => servers.has(protocol, port);
    this.#table.watcher = this;
  }

  /**
   * Servers that are asked: their addresses are theirs.
   *
   * @throws {UserError} When the pool is routed as a whole and one lies in it.
   */
  setResolvers(addresses: readonly string[]): void {
    this.#resolvers = addresses.map(parsed).filter(isIpv4).map(blockOf);
    this.#taken = undefined;
    const { pool, routesPool } = this.#options;
    const inside = addresses.find((address) => this.isInPool(parsed(address)));
    if (routesPool && inside !== undefined) {
      throw new UserError(
        `The DNS server ${inside} lies in ${formatPool(pool)}, the pool of LSIs, all of which is ` +
          "to be routed to HIP. Set lsi_route_pool = no, or name another block with lsi_pool.",
      );
    }
  }

  ofHit(now: Instant, hit: Uint8Array): Uint8Array | undefined {
    return this.#table.assign(hit, now)?.address.subarray(12);
  }

  /** The LSI of a HIT, 4 octets, if it has one. */
  lookup(hit: Uint8Array): Uint8Array | undefined {
    return this.#table.ofHit(hit)?.address.subarray(12);
  }

  hitOf(lsi: Uint8Array): Uint8Array | undefined {
    return this.#table.ofLsi(lsiNumber(lsi))?.hit;
  }

  isInPool(address: Uint8Array): boolean {
    return isIpv4(address) && this.#table.isInPool(lsiNumber(address));
  }

  /** Gives a HIT the LSI, IPv4-mapped, that the operator wants. @returns Whether that could be done. */
  fix(lsi: Uint8Array, hit: Uint8Array): boolean {
    return this.#table.fix(lsiNumber(lsi), hit, this.#options.now()) !== undefined;
  }

  assigned(entry: LsiEntry): boolean {
    const { configurator, logger, nameOf, routesPool } = this.#options;
    const who = `${formatHit(entry.hit)} ${nameOf(entry.hit)}`.trim();
    const lsi = formatIpAddress(entry.address);
    try {
      if (!routesPool) configurator.change({ kind: "add-route", route: this.#routeOf(entry) });
    } catch (error) {
      logger.log("warning", `No LSI for ${who}: ${(error as Error).message}`);
      return false;
    }
    logger.log("debug", `${lsi} stands for ${who}`);
    this.#touch();
    return true;
  }

  released(entry: LsiEntry): void {
    const { configurator, logger, routesPool } = this.#options;
    try {
      if (!routesPool) configurator.change({ kind: "remove-route", route: this.#routeOf(entry) });
    } catch (error) {
      logger.log("debug", `An LSI keeps its route: ${(error as Error).message}`);
    }
    this.#touch();
  }

  /** Writes down who has which LSI. */
  close(): void {
    clearTimeout(this.#timer);
    this.#write();
  }

  #routeOf({ address }: LsiEntry) {
    // The LSI from which programs send that choose none.
    const source = this.#table.ofHit(this.#options.ownHits[0]!)?.address;
    return lsiRoute(this.#options.interfaceIndex, address, source);
  }

  #restore(): StoredLsi[] {
    const { file, logger, now, ownHits } = this.#options;
    let stored: StoredLsi[] = [];
    try {
      stored = parseLsis(readIfThere(file) ?? "");
    } catch (error) {
      logger.log("warning", `Cannot read ${file}: ${systemProblem(error)}`);
    }
    const isOwn = (hit: Uint8Array) => ownHits.some((own) => formatHit(own) === formatHit(hit));
    const calendar = Date.now();
    // Ours first: they must be had whatever else is in the file.
    for (const { lsi, hit } of stored) if (isOwn(hit)) this.#table.fix(lsi, hit, now(), true);
    for (const hit of ownHits) this.#table.assign(hit, now(), true);
    const former = stored.filter(({ hit, lastUse }) =>
      !isOwn(hit) && calendar - lastUse < LSI_QUARANTINE
    );
    for (const { lsi, hit, lastUse } of former) {
      const age = Math.max(0, calendar - lastUse);
      this.#table.fix(lsi, hit, instant(now() - age));
    }
    return former;
  }

  #touch(): void {
    this.#timer ??= setTimeout(() => this.#write(), SETTLE_MS);
  }

  #write(): void {
    this.#timer = undefined;
    const { file, logger, nameOf, now } = this.#options;
    const calendar = Date.now();
    const stored = [...this.#table.entries()].map(({ lsi, hit, lastUse }) => ({
      lsi,
      hit,
      lastUse: calendar - Math.max(0, elapsed(lastUse, now())),
      name: nameOf(hit),
    }));
    try {
      writeFileAtomically(file, formatLsis(stored), { mode: 0o600 });
    } catch (error) {
      logger.log("warning", `Cannot write ${file}: ${systemProblem(error)}`);
    }
  }

  #isTaken(lsi: number): boolean {
    for (const { first, last } of this.#takenBlocks()) if (lsi >= first && lsi <= last) return true;
    return false;
  }

  /** Resolvers, addresses of other interfaces, and routes through them that are as narrow as the pool. */
  #takenBlocks(): readonly Block[] {
    const { client, interfaceIndex, now, pool } = this.#options;
    if (this.#taken !== undefined && now() < this.#taken.until) return this.#taken.blocks;
    const addresses = client.list("list addresses", MESSAGE.GET_ADDRESS, emitAddressQuery())
      .map(({ payload }) => parseAddress(payload))
      .filter((address) => address !== undefined)
      .filter((found) => found.interfaceIndex !== interfaceIndex && isIpv4(found.address))
      .map(({ address }) => blockOf(address));
    const routes = client.list("list routes", MESSAGE.GET_ROUTE, emitRouteQuery())
      .map(({ payload }) => parseRoute(payload))
      .filter((route) => route !== undefined)
      .filter((route) =>
        route.interfaceIndex !== interfaceIndex && route.table !== TABLE.LOCAL &&
        isIpv4(route.destination) && route.prefixLength >= 96 + pool.prefixLength
      )
      .map(({ destination, prefixLength }) => {
        const first = lsiNumber(destination);
        return { first, last: first + 2 ** (128 - prefixLength) - 1 };
      });
    const blocks = [...this.#resolvers, ...addresses, ...routes].filter(({ first, last }) =>
      last >= pool.first && first < pool.first + span(pool)
    );
    this.#taken = { blocks, until: instant(now() + FRESH_MS) };
    return blocks;
  }
}

function span({ prefixLength }: LsiPool): number {
  return 2 ** (32 - prefixLength);
}

/** "198.18.0.0/15". */
export function formatPool({ first, prefixLength }: LsiPool): string {
  return `${formatIpAddress(mappedAddress(first))}/${prefixLength}`;
}

/** A server's address without its zone. */
function parsed(address: string): Uint8Array {
  return parseIpAddress(address.replace(/%.*/, ""));
}

/** One address. */
function blockOf(address: Uint8Array): Block {
  return { first: lsiNumber(address), last: lsiNumber(address) };
}
