/**
 * The hosts file in use: read at start and whenever it changes, at once and as a whole (DNS-183).
 *
 * Its folder is watched, since editors replace files; while the folder does not exist the nearest
 * one above it is. Nothing wakes up while nothing changes.
 */

import type { Logger } from "../base/logger.ts";
import { type HostsEntry, parseHostsFile } from "../dns/hosts_file.ts";
import { systemProblem } from "./atomic_file.ts";

/** Changes that come within this many milliseconds are one change. */
const SETTLE_MS = 100;

/** Reads one hosts file and tells when it is another. */
export class HostsWatcher {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #onChange: (entries: readonly HostsEntry[]) => void;
  #watcher: Deno.FsWatcher | undefined;
  #watched = "";
  #timer: number | undefined;
  #isClosed = false;

  /** @param onChange Called with all entries, first by `load`. */
  constructor(path: string, logger: Logger, onChange: (entries: readonly HostsEntry[]) => void) {
    this.#path = path;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  /** Reads the file now and watches it from then on; how many lines it has. */
  load(): number {
    this.#watch();
    const entries = this.#read();
    this.#onChange(entries);
    return entries.length;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#stopWatching();
  }

  #read(): readonly HostsEntry[] {
    let text: string;
    try {
      const { uid, mode } = Deno.statSync(this.#path);
      if (!isTrusted(uid, mode, Deno.uid())) {
        this.#logger.log(
          "warning",
          `${this.#path} is not used: it must belong to root and be writable by its owner alone`,
        );
        return [];
      }
      text = Deno.readTextFileSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        this.#logger.log("warning", `Cannot read ${this.#path}: ${systemProblem(error)}`);
      }
      return [];
    }
    const { entries, problems } = parseHostsFile(text);
    for (const { line, message } of problems) {
      this.#logger.log("warning", `${this.#path}, line ${line} is passed over: ${message}`);
    }
    this.#logger.log("info", `${this.#path} has ${entries.length} usable lines`);
    return entries;
  }

  #watch(): void {
    const folder = nearestFolder(this.#path);
    if (this.#isClosed || (folder === this.#watched && this.#watcher !== undefined)) return;
    this.#stopWatching();
    try {
      const watcher = Deno.watchFs(folder, { recursive: false });
      this.#watcher = watcher;
      this.#watched = folder;
      this.#follow(watcher).catch((error) =>
        this.#logger.log("warning", `Cannot watch ${folder}: ${systemProblem(error)}`)
      );
    } catch (error) {
      this.#logger.log("warning", `Cannot watch ${folder}: ${systemProblem(error)}`);
    }
  }

  async #follow(watcher: Deno.FsWatcher): Promise<void> {
    for await (const { kind, paths } of watcher) {
      const concernsUs = paths.some((path) =>
        path === this.#path || this.#path.startsWith(`${path}/`)
      );
      if (kind === "access" || !concernsUs) continue;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.load(), SETTLE_MS);
    }
  }

  #stopWatching(): void {
    const watcher = this.#watcher;
    this.#watcher = undefined;
    try {
      watcher?.close();
    } catch {
      // Its folder went away and took it along.
    }
  }
}

/**
 * Whether a hosts file may decide who our peers are (DNS-186).
 *
 * @param user Effective user id of this process, whose own file is as good as root's.
 */
export function isTrusted(
  owner: number | null,
  mode: number | null,
  user: number | null,
): boolean {
  return (owner === 0 || owner === user) && ((mode ?? 0) & 0o022) === 0;
}

function nearestFolder(path: string): string {
  let folder = path;
  for (;;) {
    folder = folder.slice(0, folder.lastIndexOf("/")) || "/";
    try {
      if (Deno.statSync(folder).isDirectory) return folder;
    } catch {
      if (folder === "/") return folder;
    }
  }
}
