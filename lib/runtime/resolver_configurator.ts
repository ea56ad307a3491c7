/**
 * Points the system's resolver at the proxy by its files, `/etc/resolv.conf` and `/etc/gai.conf`,
 * and puts everything back.
 *
 * Invariants: what was there is on disk, synced, before anything is replaced; a file is replaced
 * by rename only, never written in place; what somebody else wrote meanwhile is never overwritten
 * by a restore; a saved state is dealt with before another is written. So a crash at any point
 * leaves the next start with everything it needs.
 */

import { dirname, resolve } from "node:path";

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { addHitPrecedence } from "./gai_conf.ts";
import {
  formatProxyResolvConf,
  managerOf,
  namesResolvedStub,
  parseResolvConf,
  type ResolvConfManager,
  upstreamsOf,
} from "./resolv_conf.ts";
import {
  isOriginal,
  isOurs,
  putBack,
  readText,
  removeIfPresent,
  type SavedFile,
  saveFile,
  syncFolder,
  writeSynced,
  writeTemporary,
} from "./saved_file.ts";

export interface ResolverPaths {
  readonly resolvConf: string;
  readonly gaiConf: string;
  /** Where the backup is kept; its folder exists. */
  readonly stateFile: string;
  /** systemd-resolved's list of real servers. */
  readonly resolvedConf: string;
  /** NetworkManager's own list of servers, which it keeps whatever `resolvConf` is. */
  readonly networkManagerConf: string;
  readonly nsswitchConf: string;
  /** Mounts of this process, to recognise a bind-mounted file. */
  readonly mountInfo: string;
  /** Socket of the system's message bus. */
  readonly systemBus: string;
}

/** The paths of a running system, with the backup in the given state folder. */
export function systemResolverPaths(stateFolder: string): ResolverPaths {
  return {
    resolvConf: "/etc/resolv.conf",
    gaiConf: "/etc/gai.conf",
    stateFile: `${stateFolder}/resolver.json`,
    resolvedConf: "/run/systemd/resolve/resolv.conf",
    networkManagerConf: "/run/NetworkManager/resolv.conf",
    nsswitchConf: "/etc/nsswitch.conf",
    mountInfo: "/proc/self/mountinfo",
    systemBus: "/run/dbus/system_bus_socket",
  };
}

/** What `/etc/resolv.conf` is. */
export type ResolvConfKind = "absent" | "file" | "symlink" | "bind-mount";

export interface ResolverSituation {
  readonly kind: ResolvConfKind;
  /** Where a symlink leads, as it is written in it. */
  readonly target: string | undefined;
  /** Who keeps the file up to date. */
  readonly manager: ResolvConfManager;
  /** Whether programs are led to systemd-resolved's listener on this host. */
  readonly leadsToStub: boolean;
  /** Servers to ask, in order, without our own addresses. */
  readonly upstreams: readonly string[];
  /** Files that tell of other servers when they change. */
  readonly sources: readonly string[];
  /** What the user should know, a sentence each. */
  readonly warnings: readonly string[];
}

interface SavedState {
  readonly version: 1;
  readonly files: readonly SavedFile[];
}

export class ResolverConfigurator {
  readonly #paths: ResolverPaths;
  readonly #logger: Logger;

  constructor(paths: ResolverPaths, logger: Logger) {
    this.#paths = paths;
    this.#logger = logger;
  }

  /**
   * How the system would resolve names without us, looked up without touching anything: while a
   * take-over is in force, by what it replaced.
   *
   * @param ownAddresses Where the proxy listens.
   */
  inspect(ownAddresses: readonly string[]): ResolverSituation {
    const { resolvConf, resolvedConf, networkManagerConf } = this.#paths;
    const { kind, target, text, place } = this.#original();
    const manager = managerOf(target === undefined ? undefined : place, text);
    const warnings: string[] = [];
    const sources = [resolvConf, ...(target === undefined ? [] : [place])];
    let file = parseResolvConf(text);
    if (file.options.includes("no-aaaa")) {
      warnings.push(
        `${resolvConf} has "options no-aaaa", which keeps programs from asking for HITs; it is ` +
          "left out while hip is up.",
      );
    }
    if (manager === "NetworkManager") {
      sources.push(networkManagerConf);
      const newest = readText(networkManagerConf);
      if (newest !== undefined) file = parseResolvConf(newest);
    }
    const leadsToStub = namesResolvedStub(file);
    if (leadsToStub) {
      sources.push(resolvedConf);
      const full = readText(resolvedConf);
      if (full === undefined) {
        warnings.push(
          `${resolvConf} leads to systemd-resolved, but ${resolvedConf} cannot be read.`,
        );
      } else file = parseResolvConf(full);
    }
    const upstreams = upstreamsOf(file, ownAddresses);
    return { kind, target, manager, leadsToStub, upstreams, sources, warnings };
  }

  /**
   * Makes the proxy the system's resolver. The proxy must be answering already.
   *
   * @param proxyAddress Where it listens on port 53.
   * @param replacesResolvConf False where programs come to the proxy another way and only the
   *   order of addresses is to be set.
   * @throws {UserError} When a file cannot be replaced; then nothing has changed.
   */
  takeOver(proxyAddress: string, replacesResolvConf = true): void {
    const before = this.#savedResolvConf();
    this.restore();
    const { resolvConf, gaiConf } = this.#paths;
    const plans: { path: string; content: string }[] = [];
    if (replacesResolvConf) {
      if (this.#kindOf(resolvConf) === "bind-mount") {
        throw new UserError(
          `${resolvConf} is a bind mount, as in a container, and cannot be replaced. Put ` +
            `"nameserver ${proxyAddress}" into it from outside, or run hip without its resolver.`,
        );
      }
      const original = parseResolvConf(readText(resolvConf) ?? "");
      plans.push({ path: resolvConf, content: formatProxyResolvConf(original, proxyAddress) });
    }
    const gai = readText(gaiConf) ?? "";
    const wanted = addHitPrecedence(gai);
    if (wanted !== gai) {
      if (this.#kindOf(gaiConf) === "bind-mount") {
        this.#logger.log("warning", `${gaiConf} is a bind mount and stays as it is.`);
      } else plans.push({ path: gaiConf, content: wanted });
    }
    this.#replace(
      plans,
      plans.map(({ path, content }) => keepLink(saveFile(path, content), before)),
      proxyAddress,
    );
  }

  /** Whether resolv.conf still points at the proxy. */
  isInForce(): boolean {
    const saved = this.#savedResolvConf();
    return saved !== undefined && isOurs(saved);
  }

  /** Whether a take-over has not been taken back, by this agent or one that was killed. */
  hasBackup(): boolean {
    return this.#readState() !== undefined;
  }

  /**
   * Puts back what a take-over replaced, also one of an earlier run that crashed. Files that
   * somebody else changed meanwhile stay. Does nothing when there is nothing to restore.
   *
   * @returns The files that were put back.
   * @throws {UserError} When a file cannot be put back; the backup is then kept.
   */
  restore(): string[] {
    const state = this.#readState();
    if (state === undefined) return [];
    const restored: string[] = [];
    for (const saved of state.files) {
      if (!isOurs(saved)) {
        if (!isOriginal(saved)) {
          this.#logger.log("warning", `${saved.path} was changed by another program; it stays.`);
        }
        continue;
      }
      try {
        putBack(saved);
      } catch (error) {
        throw new UserError(
          `Cannot restore ${saved.path} (${reasonOf(error)}). Its former content is in ` +
            `${this.#paths.stateFile}; run hip down again as root.`,
        );
      }
      restored.push(saved.path);
    }
    for (const { path } of state.files) syncFolder(path);
    removeIfPresent(this.#paths.stateFile);
    syncFolder(this.#paths.stateFile);
    return restored;
  }

  /** Each file gets its replacement beside it first: a full disk shows before anything changes. */
  #replace(
    plans: readonly { readonly path: string; readonly content: string }[],
    files: readonly SavedFile[],
    proxyAddress: string,
  ): void {
    const temporaries: string[] = [];
    try {
      for (const [i, { path, content }] of plans.entries()) {
        temporaries.push(writeTemporary(path, new TextEncoder().encode(content), files[i]!));
      }
      if (plans.length > 0) this.#writeState({ version: 1, files });
      for (const [i, { path }] of plans.entries()) Deno.renameSync(temporaries[i]!, path);
      for (const { path } of plans) syncFolder(path);
    } catch (error) {
      for (const temporary of temporaries) removeIfPresent(temporary);
      this.restore();
      throw new UserError(
        `Cannot replace ${this.#paths.resolvConf} (${reasonOf(error)}). Put ` +
          `"nameserver ${proxyAddress}" into it by hand, or run hip without its resolver.`,
      );
    }
  }

  /** What resolv.conf is without us. */
  #original(): {
    readonly kind: ResolvConfKind;
    readonly target: string | undefined;
    readonly text: string;
    /** The file that holds the text. */
    readonly place: string;
  } {
    const { resolvConf } = this.#paths;
    const saved = this.#savedResolvConf();
    const atLink = (target: string) => {
      const place = resolve(dirname(resolvConf), target);
      return { kind: "symlink", target, text: readText(place) ?? "", place } as const;
    };
    if (saved !== undefined && isOurs(saved)) {
      if (saved.kind === "symlink") return atLink(saved.target!);
      const content = Uint8Array.fromBase64(saved.content ?? "");
      const text = new TextDecoder().decode(content);
      return { kind: saved.kind, target: undefined, text, place: resolvConf };
    }
    const kind = this.#kindOf(resolvConf);
    if (kind === "symlink") return atLink(Deno.readLinkSync(resolvConf));
    return { kind, target: undefined, text: readText(resolvConf) ?? "", place: resolvConf };
  }

  #kindOf(path: string): ResolvConfKind {
    let info: Deno.FileInfo;
    try {
      info = Deno.lstatSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "absent";
      throw error;
    }
    if (info.isSymlink) return "symlink";
    return isMountPoint(readText(this.#paths.mountInfo) ?? "", path) ? "bind-mount" : "file";
  }

  #savedResolvConf(): SavedFile | undefined {
    return this.#readState()?.files.find(({ path }) => path === this.#paths.resolvConf);
  }

  #writeState(state: SavedState): void {
    const { stateFile } = this.#paths;
    const temporary = `${stateFile}.new`;
    removeIfPresent(temporary);
    writeSynced(temporary, new TextEncoder().encode(`${JSON.stringify(state, null, 2)}\n`), 0o600);
    Deno.renameSync(temporary, stateFile);
    syncFolder(stateFile);
  }

  #readState(): SavedState | undefined {
    const { stateFile } = this.#paths;
    const text = readText(stateFile);
    if (text === undefined) return undefined;
    try {
      const state = JSON.parse(text) as SavedState;
      if (state.version === 1 && Array.isArray(state.files)) return state;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw new UserError(
      `Cannot read the resolver backup ${stateFile}. Check ${this.#paths.resolvConf} by hand, ` +
        "then delete the backup.",
    );
  }
}

/**
 * Who finds our file in place of the link to their own writes into that place what their own says:
 * the link is still the original.
 */
function keepLink(found: SavedFile, before: SavedFile | undefined): SavedFile {
  if (before?.kind !== "symlink" || before.path !== found.path || found.kind !== "file") {
    return found;
  }
  const own = readText(resolve(dirname(before.path), before.target!));
  const isCopy = own !== undefined &&
    new TextEncoder().encode(own).toBase64() === found.content;
  return isCopy ? { ...before, writtenSha256: found.writtenSha256 } : found;
}

/** Whether `path` is a mount point of its own, by the text of `/proc/self/mountinfo`. */
export function isMountPoint(mountInfo: string, path: string): boolean {
  return mountInfo.split("\n").some((line) => {
    const place = line.split(" ")[4];
    // Spaces and the like are written in octal there (proc(5)).
    return place !== undefined &&
      place.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8))) ===
        path;
  });
}

/** What the system said, and the usual cause where the words do not tell. */
function reasonOf(error: unknown): string {
  const reason = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
  if (error instanceof Deno.errors.PermissionDenied && Deno.uid() === 0) {
    return `${reason}; look whether it is immutable with lsattr`;
  }
  return reason;
}
