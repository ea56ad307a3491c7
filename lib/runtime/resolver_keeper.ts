/**
 * Keeps the system's resolver on the proxy: chooses how, follows what the system's own servers are,
 * and chooses anew when either changes. Nothing is touched before a server has answered, since the
 * host must not lose names that it can resolve without us.
 */

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { ResolverMode } from "./config.ts";
import { PathWatcher } from "./path_watcher.ts";
import { asksResolvedDirectly } from "./resolv_conf.ts";
import type {
  ResolverConfigurator,
  ResolverPaths,
  ResolverSituation,
} from "./resolver_configurator.ts";
import type { ResolvedLink, ResolvedState } from "./resolved_link.ts";
import { readText } from "./saved_file.ts";

/** Changes within this time are one, in milliseconds; files are seen within 2 s (DNS-204). */
const SETTLE_MS = 150;

/** Waits between two questions whether any server answers, in milliseconds; the last one repeats. */
const RETRY_MS = [1000, 2000, 4000, 8000, 16_000, 30_000] as const;

/** So often within a minute the file is taken back from another program (DNS-204). */
const MAX_CONFLICTS = 5;
const CONFLICT_WINDOW_MS = 60_000;

/** How programs are brought to the proxy. */
export interface TakeOver {
  /** By resolv.conf. */
  readonly file: boolean;
  /** By systemd-resolved's settings for the HIP device. */
  readonly link: boolean;
}

export interface ResolverKeeperOptions {
  readonly mode: ResolverMode;
  /** Servers from the settings; empty for those of the system. */
  readonly configured: readonly string[];
  /** Where the proxy listens, the address for resolv.conf first. */
  readonly listening: readonly string[];
  readonly paths: ResolverPaths;
  readonly files: ResolverConfigurator;
  readonly link: Pick<ResolvedLink, "look" | "isInForce" | "upstreams" | "takeOver" | "restore">;
  /** Called whenever the servers to ask are others. */
  readonly setUpstreams: (addresses: readonly string[]) => void;
  /** Whether one of these servers answers anything. */
  readonly hasAnswer: (addresses: readonly string[]) => Promise<boolean>;
  /** Milliseconds on any scale that never goes back. */
  readonly now: () => number;
  readonly logger: Logger;
}

export class ResolverKeeper {
  readonly #options: ResolverKeeperOptions;
  readonly #watcher: PathWatcher;
  #warnings: readonly string[] = [];
  #upstreams: readonly string[] | undefined;
  #applied: TakeOver | undefined;
  #conflicts: number[] = [];
  #staysOut = false;
  #hasAnswered = false;
  #retries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #isClosed = false;

  constructor(options: ResolverKeeperOptions) {
    this.#options = options;
    this.#watcher = new PathWatcher(SETTLE_MS, options.logger, () => void this.reconsider());
  }

  /** Sentences for the user about the resolver as it is now. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Servers that the proxy asks. */
  get upstreams(): readonly string[] {
    return this.#upstreams ?? [];
  }

  /** How programs come to the proxy; undefined when they do not. */
  get takeOver(): TakeOver | undefined {
    const applied = this.#applied;
    return applied?.file || applied?.link ? applied : undefined;
  }

  /**
   * Looks at the system and does what is to be done; called by itself when files change. Several
   * calls at a time are one. Never rejects.
   */
  reconsider(): Promise<void> {
    this.#isWanted = true;
    this.#running ??= this.#work().finally(() => this.#running = undefined);
    return this.#running;
  }

  /** Ends the watch and gives the resolver back. @throws {UserError} When a file cannot be. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#watcher.close();
    await this.#running;
    const applied = this.#applied;
    this.#applied = undefined;
    if (applied?.link) {
      await this.#options.link.restore().catch((error) =>
        // The settings go with the device.
        this.#options.logger.log("debug", `systemd-resolved: ${String(error)}`)
      );
    }
    this.#options.files.restore();
  }

  async #work(): Promise<void> {
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false;
      clearTimeout(this.#timer);
      const warnings: string[] = [];
      try {
        await this.#settle(warnings);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        warnings.push(error.message);
      }
      for (const warning of warnings) {
        if (!this.#warnings.includes(warning)) this.#options.logger.log("warning", warning);
      }
      this.#warnings = warnings;
    }
  }

  async #settle(warnings: string[]): Promise<void> {
    const { mode, configured, listening, files, link, logger } = this.#options;
    const situation = files.inspect(listening);
    const resolved = await this.#lookAtResolved();
    this.#watch(situation);
    const byLink = resolved === undefined ? [] : link.upstreams(resolved, listening);
    const found = situation.leadsToStub && byLink.length > 0 ? byLink : situation.upstreams;
    const upstreams = configured.length > 0 ? configured : found;
    if (configured.length === 0) warnings.push(...situation.warnings);
    if (upstreams.length === 0) {
      warnings.push(
        `${this.#options.paths.resolvConf} names no server that could be asked; only static ` +
          "names will resolve.",
      );
    }
    this.#follow(upstreams);
    const address = listening[0]!;
    if (mode === "none") {
      warnings.push(
        `The resolver is left alone, as configured. To use HIP names put "nameserver ${address}" ` +
          "into /etc/resolv.conf.",
      );
      return;
    }
    if (resolved?.dnssec === "yes") {
      throw new UserError(
        "systemd-resolved insists on DNSSEC (DNSSEC=yes) and would refuse answers with HITs; the " +
          "resolver stays as it is. Set DNSSEC=allow-downgrade in /etc/systemd/resolved.conf.",
      );
    }
    const wanted = this.#choose(situation, resolved);
    if (this.#isInForce(wanted, resolved, address)) return;
    if (!await this.#mayTakeOver(upstreams, warnings)) return;
    await this.#apply(wanted, address);
    logger.log("info", `The resolver asks ${address}: ${describeTakeOver(wanted)}`);
  }

  /** Files that decide; the folder of systemd-resolved appears when it starts. */
  #watch(situation: ResolverSituation): void {
    const { paths } = this.#options;
    this.#watcher.watch([
      ...new Set([...situation.sources, paths.nsswitchConf, paths.resolvedConf]),
    ]);
  }

  async #lookAtResolved(): Promise<ResolvedState | undefined> {
    const { paths, link, logger } = this.#options;
    if (readText(paths.resolvedConf) === undefined) return undefined;
    try {
      return await link.look();
    } catch (error) {
      logger.log("debug", `systemd-resolved cannot be asked: ${String(error)}`);
      return undefined;
    }
  }

  #choose(situation: ResolverSituation, resolved: ResolvedState | undefined): TakeOver {
    if (resolved === undefined) return { file: true, link: false };
    const isDirect = asksResolvedDirectly(readText(this.#options.paths.nsswitchConf) ?? "");
    return { file: !situation.leadsToStub, link: situation.leadsToStub || isDirect };
  }

  #isInForce(wanted: TakeOver, resolved: ResolvedState | undefined, address: string): boolean {
    const { files, link } = this.#options;
    const applied = this.#applied;
    if (applied === undefined || applied.file !== wanted.file || applied.link !== wanted.link) {
      return false;
    }
    const holdsFile = !wanted.file || files.isInForce();
    const holdsLink = !wanted.link || (resolved !== undefined && link.isInForce(resolved, address));
    return holdsFile && holdsLink;
  }

  #follow(upstreams: readonly string[]): void {
    const before = this.#upstreams;
    if (before?.join() === upstreams.join()) return;
    this.#upstreams = upstreams;
    this.#options.setUpstreams(upstreams);
    if (before === undefined) return;
    this.#retries = 0;
    this.#options.logger.log("info", `DNS servers are now ${upstreams.join(", ") || "none"}`);
  }

  /** Whether a server has answered, and nobody fights us for the file. */
  async #mayTakeOver(upstreams: readonly string[], warnings: string[]): Promise<boolean> {
    const { hasAnswer, logger, now, paths } = this.#options;
    if (!this.#hasAnswered && upstreams.length > 0) {
      if (!await hasAnswer(upstreams)) {
        warnings.push(
          `No DNS server answers (${upstreams.join(", ")}); the resolver stays as it is until ` +
            "one does.",
        );
        const wait = RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)]!;
        if (!this.#isClosed) this.#timer = setTimeout(() => void this.reconsider(), wait);
        return false;
      }
      this.#hasAnswered = true;
    }
    if (this.#applied?.file && !this.#options.files.isInForce()) {
      this.#conflicts = this.#conflicts.filter((at) => now() - at < CONFLICT_WINDOW_MS);
      this.#conflicts.push(now());
      this.#staysOut ||= this.#conflicts.length > MAX_CONFLICTS;
      logger.log("info", `${paths.resolvConf} was written by another program`);
    }
    if (!this.#staysOut) return true;
    this.#applied = { ...this.#applied ?? { link: false }, file: false };
    warnings.push(
      `Another program keeps writing ${paths.resolvConf}; it stays as it is until hip starts anew.`,
    );
    return false;
  }

  async #apply(wanted: TakeOver, address: string): Promise<void> {
    const { files, link } = this.#options;
    const before = this.#applied;
    this.#applied = undefined;
    files.takeOver(address, wanted.file);
    this.#applied = { file: wanted.file, link: false };
    if (wanted.link) await link.takeOver(address);
    else if (before?.link) await link.restore().catch(() => {});
    this.#applied = wanted;
  }
}

/** "by systemd-resolved, for its HIP device". */
export function describeTakeOver({ file, link }: TakeOver): string {
  const byLink = "by systemd-resolved, for its HIP device";
  if (file && link) return `by /etc/resolv.conf and ${byLink}`;
  return link ? byLink : "by /etc/resolv.conf";
}
