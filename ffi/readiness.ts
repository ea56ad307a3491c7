/**
 * `Readiness` on poll(2). The call runs on a thread of the runtime's pool, so that it may block;
 * a bell beside the sources lets `wake` end it.
 */

import type { Bell, Pollable, Readiness } from "../lib/runtime/ports.ts";
import { makeBell } from "./bell.ts";
import { libc } from "./libc.ts";
import { PollTable } from "./poll_table.ts";

/** The longest that poll(2) takes, in milliseconds. */
const LONGEST_WAIT = 2 ** 31 - 1;

/** @throws {SyscallError} No descriptor left for the eventfd. */
export function makeReadiness(sources: readonly Pollable[]): Readiness {
  return new PollReadiness(sources);
}

class PollReadiness implements Readiness {
  readonly #bell: Bell;
  readonly #table: PollTable;
  #isWoken = false;
  #isClosed = false;
  #waiting: Promise<unknown> | undefined;

  constructor(sources: readonly Pollable[]) {
    this.#bell = makeBell();
    this.#table = new PollTable([this.#bell, ...sources]);
  }

  setWatched(source: Pollable, isWatched: boolean): void {
    this.#table.setWatched(source, isWatched);
  }

  async wait(timeoutMs: number | undefined): Promise<void> {
    if (this.#isClosed) return;
    if (!this.#isWoken) {
      const timeout = timeoutMs === undefined
        ? -1
        : Math.min(LONGEST_WAIT, Math.max(0, Math.ceil(timeoutMs)));
      // A failure of poll (EINTR, ENOMEM) is a wait that ended early: every source is looked at.
      this.#waiting = libc.pollBlocking(this.#table.bytes, this.#table.count, timeout);
      await this.#waiting;
      this.#waiting = undefined;
    }
    if (this.#isWoken && !this.#isClosed) {
      this.#isWoken = false;
      this.#bell.silence();
    }
  }

  wake(): void {
    if (this.#isWoken || this.#isClosed) return;
    this.#isWoken = true;
    this.#bell.ring();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.wake();
    this.#isClosed = true;
    await this.#waiting;
    this.#bell.close();
  }
}
