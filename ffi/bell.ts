/** `Bell` on an eventfd (eventfd(2)). */

import type { Bell } from "../lib/runtime/ports.ts";
import { closeOwned } from "./descriptor.ts";
import { checked } from "./errno.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "./layouts.ts";
import { libc } from "./libc.ts";

/** @throws {SyscallError} No descriptor left. */
export function makeBell(): Bell {
  return new EventBell(
    checked("make an eventfd", libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
    true,
  );
}

/** The bell behind a descriptor that `makeBell` made on another thread; `close` leaves it open. */
export function attachBell(descriptor: number): Bell {
  return new EventBell(descriptor, false);
}

class EventBell implements Bell {
  readonly #counter = new Uint8Array(new ArrayBuffer(8));

  readonly #isOwner: boolean;

  constructor(readonly descriptor: number, isOwner: boolean) {
    this.#isOwner = isOwner;
  }

  ring(): void {
    libc.eventfd_write(this.descriptor, 1n);
  }

  silence(): void {
    libc.eventfd_read(this.descriptor, this.#counter);
  }

  close(): void {
    closeOwned(this.descriptor, this.#isOwner);
  }
}
