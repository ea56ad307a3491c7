/**
 * The hosts file in use: read at start and whenever it changes, at once and as a whole (DNS-183).
 */

import type { Logger } from "../base/logger.ts";
import { type NumberedEntry, parseHostsFile } from "../dns/hosts_file.ts";
import { DEFAULT_LSI_POOL, type LsiPool } from "../identity/lsi.ts";
import { systemProblem } from "./atomic_file.ts";
import { PathWatcher } from "./path_watcher.ts";

/** Changes that come within this many milliseconds are one change. */
const SETTLE_MS = 100;

/** Reads one hosts file and tells when it is another. */
export class HostsWatcher {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #onChange: (entries: readonly NumberedEntry[]) => void;
  readonly #watcher: PathWatcher;
  readonly #pool: LsiPool;

  /**
   * @param onChange Called with all entries, first by `load`.
   * @param pool Where LSIs are taken from.
   */
  constructor(
    path: string,
    logger: Logger,
    onChange: (entries: readonly NumberedEntry[]) => void,
    pool: LsiPool = DEFAULT_LSI_POOL,
  ) {
    this.#path = path;
    this.#pool = pool;
    this.#logger = logger;
    this.#onChange = onChange;
    this.#watcher = new PathWatcher(SETTLE_MS, logger, () => this.load());
  }

  /** Reads the file now and watches it from then on; how many lines it has. */
  load(): number {
    this.#watcher.watch([this.#path]);
    const entries = this.#read();
    this.#onChange(entries);
    return entries.length;
  }

  close(): void {
    this.#watcher.close();
  }

  #read(): readonly NumberedEntry[] {
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
    const { entries, problems } = parseHostsFile(text, this.#pool);
    for (const { line, message } of problems) {
      this.#logger.log("warning", `${this.#path}, line ${line} is passed over: ${message}`);
    }
    this.#logger.log("info", `${this.#path} has ${entries.length} usable lines`);
    return entries;
  }
}

/**
 * Names of the system's own hosts file (hosts(5)) that are among ours: the C library answers them
 * from there and never asks the proxy.
 */
export function namesOfSystemHosts(text: string, ours: readonly string[]): string[] {
  const words = text.split("\n").flatMap((line) =>
    line.replace(/#.*/, "").trim().split(/\s+/).slice(1)
  );
  const theirs = new Set(words.map((word) => word.toLowerCase().replace(/\.$/, "")));
  return [...new Set(ours)].filter((name) => theirs.has(name.toLowerCase()));
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
