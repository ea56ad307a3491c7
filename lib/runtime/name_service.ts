/**
 * Names: the DNS proxy with its sockets, the static names, and the system's resolver pointed at
 * the proxy. Started when HITs can be bound, and taken down first.
 */

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Instant } from "../base/time.ts";
import { NameModes } from "../dns/name_modes.ts";
import { type DnsLsis, DnsProxy } from "../dns/proxy.ts";
import { StaticNames } from "../dns/static_names.ts";
import type { Engine } from "../engine/engine.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import type { DnsReport, LookupReport } from "./api_protocol.ts";
import { readIfThere } from "./atomic_file.ts";
import type { Config } from "./config.ts";
import { hasDnsAnswer } from "./dns_client.ts";
import { DEFAULT_LISTEN, DnsServer } from "./dns_server.ts";
import { HostsWatcher, namesOfSystemHosts } from "./hosts_watcher.ts";
import type { LsiService } from "./lsi_service.ts";
import { lookupName } from "./name_lookup.ts";
import { resolverPathsOf } from "./repair.ts";
import { ResolvedLink } from "./resolved_link.ts";
import { ResolverConfigurator } from "./resolver_configurator.ts";
import { ResolverKeeper } from "./resolver_keeper.ts";
import type { StatePaths } from "./state_paths.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";
import type { UndoStack } from "./undo_stack.ts";

const DNS_PORT = 53;

/** What the C library reads before it asks DNS. */
const SYSTEM_HOSTS = "/etc/hosts";

/** How long `lookup` waits for the proxy, in milliseconds; it answers within 4 s (DNS-066). */
const LOOKUP_TIMEOUT_MS = 4500;

/** How long the proxy goes on when the resolver points elsewhere again, in milliseconds. */
const LINGER_MS = 250;

/** What names need of the rest. */
export interface NameServiceOptions {
  readonly config: Config;
  readonly paths: StatePaths;
  /** The HIP device. */
  readonly interfaceIndex: number;
  readonly engine: Pick<Engine, "accepts" | "association" | "learnPeer" | "peers">;
  /** For programs that know only IPv4. */
  readonly lsis?: DnsLsis & Pick<LsiService, "fix" | "formerNames" | "lookup" | "setResolvers">;
  readonly ownHits: readonly { readonly hit: Uint8Array; readonly name: string }[];
  readonly now: () => Instant;
  readonly logger: Logger;
}

/** The running service. */
export class NameService {
  readonly #warnings: string[] = [];
  readonly #options: NameServiceOptions;
  readonly #proxy: DnsProxy;
  readonly #watcher: HostsWatcher;
  #staticNames = StaticNames.NONE;
  #server: DnsServer | undefined;
  #keeper: ResolverKeeper | undefined;
  #conflict: UserError | undefined;

  private constructor(options: NameServiceOptions) {
    const { config, engine, logger, lsis, ownHits, paths } = options;
    this.#options = options;
    this.#proxy = new DnsProxy({
      learn: (at, mapping, done) => done(at, engine.learnPeer(at, mapping)),
      confirm: (name, hits) => engine.peers.confirm(name, hits),
      modes: new NameModes(config.nameModes),
      removesHints: config.removeHints,
      requireDnssec: config.requireDnssec,
      ...(lsis === undefined ? {} : { lsis }),
      ownHits,
      random: SYSTEM_RANDOM,
      logger,
    });
    for (const { hit, name } of lsis?.formerNames ?? []) engine.peers.remember(hit, name);
    engine.peers.isInUse = (hit) => engine.association(hit) !== undefined;
    // RFC 8005 §4.2: only what DNS says now leads to a new exchange.
    engine.peers.renew = (name) => {
      this.#server?.resolve(name);
      return this.#server !== undefined;
    };
    this.#watcher = new HostsWatcher(
      paths.hostsFile,
      logger,
      (entries) => this.#adopt(new StaticNames(entries)),
      config.lsiPool,
    );
  }

  /**
   * Reads the static names, serves, tests itself, and takes the resolver over.
   *
   * @throws {UserError} When `resolver = required` and it cannot be had.
   */
  static async start(options: NameServiceOptions, undo: UndoStack): Promise<NameService> {
    const service = new NameService(options);
    undo.push("Closing the hosts file", () => service.#watcher.close());
    service.#watcher.load();
    try {
      await service.#serve(undo);
      await service.#takeOver(undo);
    } catch (error) {
      if (!(error instanceof UserError) || options.config.resolver === "required") throw error;
      service.#warn(error.message);
    }
    if (service.#conflict !== undefined) throw service.#conflict;
    return service;
  }

  /** Static names take the place of those before, all at once. */
  #adopt(names: StaticNames): void {
    const { engine, logger, lsis, now, paths } = this.#options;
    this.#staticNames = names;
    engine.peers.forgetSource("static");
    for (const mapping of names.mappings()) {
      // One without addresses would only keep those out that DNS has (DNS-178).
      if (mapping.locators.length > 0) engine.learnPeer(now(), mapping);
    }
    for (const { lsi, hit, line } of names.lsis()) {
      if (lsis === undefined || lsis.fix(lsi, hit)) continue;
      logger.log(
        "warning",
        `${paths.hostsFile}, line ${line} is passed over: ${formatIpAddress(lsi)} is in use on ` +
          "this host or stands for another peer",
      );
    }
    const shadowed = namesOfSystemHosts(readIfThere(SYSTEM_HOSTS) ?? "", names.hostNames);
    if (shadowed.length > 0) {
      logger.log(
        "warning",
        `${SYSTEM_HOSTS} has ${shadowed.join(", ")} too, so that programs get what stands there ` +
          "and no HIT. Take them out of it",
      );
    }
    this.#proxy.setStaticNames(names);
  }

  /** Sentences for the user: what could not be had. */
  get warnings(): readonly string[] {
    return [...this.#warnings, ...this.#keeper?.warnings ?? []];
  }

  /** Reads the hosts file anew; how many lines it has. */
  reloadHosts(): number {
    return this.#watcher.load();
  }

  /** Forgets what DNS servers have said: the network is another one, or the user says so. */
  flush(): void {
    this.#proxy.flushCache();
  }

  /** Names of a HIT that did not answer are answered without it for a while. */
  noteUnreachable(hit: Uint8Array): void {
    this.#proxy.noteUnreachable(this.#options.now(), hit);
  }

  noteReachable(hit: Uint8Array): void {
    this.#proxy.noteReachable(hit);
  }

  report(): DnsReport {
    const takeOver = this.#keeper?.takeOver;
    return {
      isServing: this.#server !== undefined,
      listen: this.#server?.addresses[0] ?? null,
      upstream: this.#keeper?.upstreams ?? [],
      isResolver: takeOver !== undefined,
      takeOver: [
        ...takeOver?.file ? ["file" as const] : [],
        ...takeOver?.link ? ["systemd-resolved" as const] : [],
      ],
      counters: this.#proxy.counters.toJSON(),
    };
  }

  /** What is known of a name. @throws {ApiRefusal} When it is no name. */
  lookup(name: string): Promise<LookupReport> {
    const { engine, lsis, now } = this.#options;
    const address = this.#server?.addresses[0];
    return lookupName({
      proxy: address === undefined
        ? undefined
        : { address, port: DNS_PORT, timeoutMs: LOOKUP_TIMEOUT_MS },
      staticNames: this.#staticNames,
      accepts: (hit) => engine.accepts(hit),
      mappingOf: (hit) => engine.peers.lookup(now(), hit),
      lsiOf: (hit) => lsis?.lookup(hit),
      lsisAreForAll: lsis?.mode === "on",
      now,
    }, name);
  }

  async #serve(undo: UndoStack): Promise<void> {
    const { config, logger, now } = this.#options;
    const isDefault = config.listen === "127.0.0.1";
    const server = await DnsServer.start({
      proxy: this.#proxy,
      now,
      logger,
      listen: isDefault ? DEFAULT_LISTEN : [[config.listen], ["127.0.0.139"]],
      port: DNS_PORT,
    });
    undo.push("Closing the DNS proxy", async () => {
      this.#server = undefined;
      await server.close();
    });
    for (const warning of server.warnings) {
      this.#warn(
        `${warning.replace(/\.$/, "")}; the proxy listens on ${server.addresses[0]} instead.`,
      );
    }
    await server.selfTest();
    this.#server = server;
  }

  async #takeOver(undo: UndoStack): Promise<void> {
    const { config, interfaceIndex, logger, now, paths } = this.#options;
    const server = this.#server!;
    const resolverPaths = resolverPathsOf(paths);
    const keeper = new ResolverKeeper({
      mode: config.resolver,
      configured: config.upstream,
      listening: server.addresses,
      paths: resolverPaths,
      files: new ResolverConfigurator(resolverPaths, logger),
      link: new ResolvedLink(interfaceIndex, resolverPaths.systemBus),
      setUpstreams: (addresses) => {
        server.setUpstreams(
          addresses.map((address) => ({
            address,
            port: DNS_PORT,
            isTrusted: config.trustUpstream,
          })),
        );
        this.#setResolvers(addresses);
      },
      hasAnswer: hasDnsAnswer,
      now,
      logger,
    });
    this.#keeper = keeper;
    undo.push("Restoring the resolver", async () => {
      await keeper.close();
      // No more HITs: they are about to go.
      this.#proxy.setOffersHits(false);
      // Who read the file just before, or waits for an answer, is still served.
      await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
    });
    await keeper.reconsider();
    if (config.resolver === "required" && keeper.takeOver === undefined) {
      throw new UserError(keeper.warnings.at(-1) ?? "The resolver cannot be had.");
    }
  }

  /** LSIs keep clear of the servers that are asked; at the start it must be possible. */
  #setResolvers(addresses: readonly string[]): void {
    try {
      this.#options.lsis?.setResolvers(addresses);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#conflict = error;
      this.#warn(error.message);
    }
  }

  #warn(sentence: string): void {
    this.#warnings.push(sentence);
    this.#options.logger.log("warning", sentence);
  }
}
