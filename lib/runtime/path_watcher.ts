/**
 * Tells when one of some files may have changed, been replaced, removed or made.
 *
 * Folders are watched, since files are replaced; while a folder does not exist the nearest one
 * above it is. Nothing wakes up while nothing changes.
 */

import type { Logger } from "../base/logger.ts";
import { systemProblem } from "./atomic_file.ts";

/** Watches until it is closed. */
export class PathWatcher {
  readonly #logger: Logger;
  readonly #onChange: () => void;
  readonly #settleMs: number;
  #paths: readonly string[] = [];
  readonly #watchers = new Map<string, Deno.FsWatcher>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /**
   * @param settleMs Changes that come within so many milliseconds are one change.
   * @param onChange Called after a change; call `watch` again then, since folders come and go.
   */
  constructor(settleMs: number, logger: Logger, onChange: () => void) {
    this.#settleMs = settleMs;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  /** Watches these files, and no others any more. Paths are absolute. */
  watch(paths: readonly string[]): void {
    if (this.#isClosed) return;
    this.#paths = paths;
    const folders = new Set(paths.map(nearestFolder));
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      this.#watchers.delete(folder);
      stop(watcher);
    }
    for (const folder of folders) {
      if (!this.#watchers.has(folder)) this.#open(folder);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) stop(watcher);
    this.#watchers.clear();
  }

  #open(folder: string): void {
    const complain = (error: unknown) =>
      this.#logger.log("warning", `Cannot watch ${folder}: ${systemProblem(error)}`);
    try {
      const watcher = Deno.watchFs(folder, { recursive: false });
      this.#watchers.set(folder, watcher);
      this.#follow(watcher).catch(complain);
    } catch (error) {
      complain(error);
    }
  }

  async #follow(watcher: Deno.FsWatcher): Promise<void> {
    for await (const { kind, paths } of watcher) {
      const concernsUs = paths.some((path) =>
        this.#paths.some((ours) => path === ours || ours.startsWith(`${path}/`))
      );
      if (kind === "access" || !concernsUs) continue;
      // A folder that is gone is no longer watched, whatever comes in its place.
      if (kind === "remove") this.#forgetGone();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#onChange, this.#settleMs);
    }
  }

  #forgetGone(): void {
    for (const [folder, watcher] of this.#watchers) {
      if (isFolder(folder)) continue;
      this.#watchers.delete(folder);
      stop(watcher);
    }
  }
}

function stop(watcher: Deno.FsWatcher): void {
  try {
    watcher.close();
  } catch {
    // Its folder went away and took it along.
  }
}

function nearestFolder(path: string): string {
  for (let folder = parent(path);; folder = parent(folder)) {
    if (folder === "/" || isFolder(folder)) return folder;
  }
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
