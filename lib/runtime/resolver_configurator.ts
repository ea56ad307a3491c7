/**
 * Points the system's resolver at the proxy and puts everything back: `/etc/resolv.conf` and
 * `/etc/gai.conf`.
 *
 * Invariants: what was there is on disk, synced, before anything is replaced; a file is replaced
 * by rename only, never written in place; what somebody else wrote meanwhile is never overwritten
 * by a restore; a saved state is dealt with before another is written. So a crash at any point
 * leaves the next start with everything it needs.
 */

import { dirname } from "node:path";
import { createHash } from "node:crypto";

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { addHitPrecedence } from "./gai_conf.ts";
import {
  formatProxyResolvConf,
  namesResolvedStub,
  parseResolvConf,
  upstreamsOf,
} from "./resolv_conf.ts";

export interface ResolverPaths {
  readonly resolvConf: string;
  readonly gaiConf: string;
  /** Where the backup is kept; its folder exists. */
  readonly stateFile: string;
  /** systemd-resolved's list of real servers. */
  readonly resolvedConf: string;
  /** Mounts of this process, to recognise a bind-mounted file. */
  readonly mountInfo: string;
}

/** The paths of a running system, with the backup in the given state folder. */
export function systemResolverPaths(stateFolder: string): ResolverPaths {
  return {
    resolvConf: "/etc/resolv.conf",
    gaiConf: "/etc/gai.conf",
    stateFile: `${stateFolder}/resolver.json`,
    resolvedConf: "/run/systemd/resolve/resolv.conf",
    mountInfo: "/proc/self/mountinfo",
  };
}

/** What `/etc/resolv.conf` is. */
export type ResolvConfKind = "absent" | "file" | "symlink" | "bind-mount";

export interface ResolverSituation {
  readonly kind: ResolvConfKind;
  /** Where a symlink leads, as it is written in it. */
  readonly target: string | undefined;
  /** Servers to ask, in order, without our own addresses. */
  readonly upstreams: readonly string[];
  /** What the user should know, a sentence each. */
  readonly warnings: readonly string[];
}

/** A file as it was before, and the digest of what replaced it. */
interface SavedFile {
  readonly path: string;
  readonly kind: "absent" | "file" | "symlink";
  /** Base64 of the content, for a file. */
  readonly content?: string;
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** SHA-256 of the content that we wrote. */
  readonly writtenSha256: string;
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
   * Looks without touching anything. Call `restore` first, so that what is read is not our own.
   *
   * @param ownAddresses Where the proxy listens.
   */
  inspect(ownAddresses: readonly string[]): ResolverSituation {
    const { resolvConf, resolvedConf } = this.#paths;
    const kind = this.#kindOf(resolvConf);
    const warnings: string[] = [];
    const text = readText(resolvConf) ?? "";
    let file = parseResolvConf(text);
    if (file.options.includes("no-aaaa")) {
      warnings.push(
        `${resolvConf} has "options no-aaaa", which keeps programs from asking for HITs; it is ` +
          "left out while hip is up.",
      );
    }
    if (namesResolvedStub(file)) {
      const full = readText(resolvedConf);
      if (full === undefined) {
        warnings.push(
          `${resolvConf} leads to systemd-resolved, but ${resolvedConf} cannot be read.`,
        );
      } else file = parseResolvConf(full);
    }
    const upstreams = upstreamsOf(file, ownAddresses);
    if (upstreams.length === 0) {
      warnings.push(
        `${resolvConf} names no server that could be asked; only static names will resolve.`,
      );
    }
    const target = kind === "symlink" ? Deno.readLinkSync(resolvConf) : undefined;
    return { kind, target, upstreams, warnings };
  }

  /**
   * Makes the proxy the system's resolver. The proxy must be answering already.
   *
   * @param proxyAddress Where it listens on port 53.
   * @throws {UserError} When a file cannot be replaced; then nothing has changed.
   */
  takeOver(proxyAddress: string): void {
    this.restore();
    const { resolvConf, gaiConf } = this.#paths;
    if (this.#kindOf(resolvConf) === "bind-mount") {
      throw new UserError(
        `${resolvConf} is a bind mount, as in a container, and cannot be replaced. Put ` +
          `"nameserver ${proxyAddress}" into it from outside, or run hip without its resolver.`,
      );
    }
    const original = parseResolvConf(readText(resolvConf) ?? "");
    const plans = [
      { path: resolvConf, content: formatProxyResolvConf(original, proxyAddress) },
    ];
    const gai = readText(gaiConf) ?? "";
    const wanted = addHitPrecedence(gai);
    if (wanted !== gai) {
      if (this.#kindOf(gaiConf) === "bind-mount") {
        this.#logger.log("warning", `${gaiConf} is a bind mount and stays as it is.`);
      } else plans.push({ path: gaiConf, content: wanted });
    }
    const state: SavedState = {
      version: 1,
      files: plans.map(({ path, content }) => saveFile(path, content)),
    };
    // Each file gets its replacement beside it first: a full disk or a read-only folder shows
    // before anything is changed.
    const temporaries: string[] = [];
    try {
      for (const [i, { path, content }] of plans.entries()) {
        temporaries.push(writeTemporary(path, new TextEncoder().encode(content), state.files[i]!));
      }
      this.#writeState(state);
      for (const [i, { path }] of plans.entries()) Deno.renameSync(temporaries[i]!, path);
      for (const { path } of plans) syncFolder(path);
    } catch (error) {
      for (const temporary of temporaries) removeIfPresent(temporary);
      this.restore();
      throw new UserError(
        `Cannot replace ${resolvConf} (${reasonOf(error)}). Put "nameserver ${proxyAddress}" ` +
          "into it by hand, or run hip without its resolver.",
      );
    }
  }

  /** Whether the resolver still points at the proxy. */
  isInForce(): boolean {
    const saved = this.#readState()?.files.find(({ path }) => path === this.#paths.resolvConf);
    return saved !== undefined && isOurs(saved);
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

function saveFile(path: string, written: string): SavedFile {
  const writtenSha256 = sha256(new TextEncoder().encode(written));
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { path, kind: "absent", writtenSha256 };
    throw error;
  }
  if (info.isSymlink) {
    return { path, kind: "symlink", target: Deno.readLinkSync(path), writtenSha256 };
  }
  return {
    path,
    kind: "file",
    content: Deno.readFileSync(path).toBase64(),
    mode: (info.mode ?? 0o644) & 0o7777,
    uid: info.uid ?? 0,
    gid: info.gid ?? 0,
    writtenSha256,
  };
}

/** Whether the file is a plain one with the content that we wrote. */
function isOurs(saved: SavedFile): boolean {
  try {
    if (!Deno.lstatSync(saved.path).isFile) return false;
    return sha256(Deno.readFileSync(saved.path)) === saved.writtenSha256;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether the file is still, or again, as it was before the take-over. */
function isOriginal(saved: SavedFile): boolean {
  let now: SavedFile;
  try {
    now = saveFile(saved.path, "");
  } catch {
    return false;
  }
  return now.kind === saved.kind && now.content === saved.content && now.target === saved.target;
}

function putBack(saved: SavedFile): void {
  if (saved.kind === "absent") {
    Deno.removeSync(saved.path);
    return;
  }
  if (saved.kind === "symlink") {
    const temporary = temporaryName(saved.path);
    removeIfPresent(temporary);
    Deno.symlinkSync(saved.target!, temporary);
    Deno.renameSync(temporary, saved.path);
    return;
  }
  const content = Uint8Array.fromBase64(saved.content!);
  const temporary = writeTemporary(saved.path, content, saved);
  try {
    Deno.renameSync(temporary, saved.path);
  } catch (error) {
    removeIfPresent(temporary);
    throw error;
  }
}

/** A full copy beside `path`, synced, with mode and owner of what it replaces. */
function writeTemporary(path: string, content: Uint8Array, like: SavedFile): string {
  const temporary = temporaryName(path);
  removeIfPresent(temporary);
  try {
    writeSynced(temporary, content, like.mode ?? 0o644);
    if (like.uid !== undefined && like.gid !== undefined) {
      const info = Deno.lstatSync(temporary);
      if (info.uid !== like.uid || info.gid !== like.gid) {
        Deno.chownSync(temporary, like.uid, like.gid);
      }
    }
  } catch (error) {
    removeIfPresent(temporary);
    throw error;
  }
  return temporary;
}

function temporaryName(path: string): string {
  return `${path}.hip-new`;
}

function writeSynced(path: string, content: Uint8Array, mode: number): void {
  const file = Deno.openSync(path, { write: true, createNew: true, mode });
  try {
    for (let written = 0; written < content.length;) {
      written += file.writeSync(content.subarray(written));
    }
    file.syncSync();
  } finally {
    file.close();
  }
  // The mode given to open is subject to the umask.
  Deno.chmodSync(path, mode);
}

/** Makes a rename in the folder of `path` survive a loss of power. */
function syncFolder(path: string): void {
  const folder = Deno.openSync(dirname(path), { read: true });
  try {
    folder.syncSync();
  } finally {
    folder.close();
  }
}

function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function readText(path: string): string | undefined {
  try {
    return new TextDecoder().decode(Deno.readFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
}
