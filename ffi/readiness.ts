/**
 * `Readiness` on poll(2). The call runs on a thread of the runtime's pool, so that it may block;
 * one eventfd beside the sources lets `wake` end it.
 */

import type { Pollable, Readiness } from "../lib/runtime/ports.ts";
import { checked } from "./errno.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK, LITTLE, POLLFD, POLLIN } from "./layouts.ts";
import { libc } from "./libc.ts";
import { Struct } from "./memory.ts";

/** The longest that poll(2) takes, in milliseconds. */
const LONGEST_WAIT = 2 ** 31 - 1;

/** @throws {SyscallError} No descriptor left for the eventfd. */
export function makeReadiness(sources: readonly Pollable[]): Readiness {
  return new PollReadiness(sources);
}

class PollReadiness implements Readiness {
  readonly #eventDescriptor: number;
  readonly #table: Struct;
  readonly #count: number;
  readonly #counter = new Uint8Array(new ArrayBuffer(8));
  #isWoken = false;
  #isClosed = false;
  #waiting: Promise<unknown> | undefined;

  constructor(sources: readonly Pollable[]) {
    this.#eventDescriptor = checked(
      "make an eventfd",
      libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
    );
    const descriptors = [this.#eventDescriptor, ...sources.map((source) => source.descriptor)];
    this.#count = descriptors.length;
    this.#table = new Struct(this.#count * POLLFD.SIZE);
    descriptors.forEach((descriptor, i) => {
      this.#table.view.setInt32(i * POLLFD.SIZE + POLLFD.descriptor, descriptor, LITTLE);
      this.#table.view.setInt16(i * POLLFD.SIZE + POLLFD.events, POLLIN, LITTLE);
    });
  }

  async wait(timeoutMs: number | undefined): Promise<void> {
    if (this.#isClosed) return;
    if (!this.#isWoken) {
      const timeout = timeoutMs === undefined
        ? -1
        : Math.min(LONGEST_WAIT, Math.max(0, Math.ceil(timeoutMs)));
      // A failure of poll (EINTR, ENOMEM) is a wait that ended early: every source is looked at.
      this.#waiting = libc.pollBlocking(this.#table.bytes, BigInt(this.#count), timeout);
      await this.#waiting;
      this.#waiting = undefined;
    }
    if (this.#isWoken && !this.#isClosed) {
      this.#isWoken = false;
      libc.eventfd_read(this.#eventDescriptor, this.#counter);
    }
  }

  wake(): void {
    if (this.#isWoken || this.#isClosed) return;
    this.#isWoken = true;
    libc.eventfd_write(this.#eventDescriptor, 1n);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.wake();
    this.#isClosed = true;
    await this.#waiting;
    libc.close(this.#eventDescriptor);
  }
}
