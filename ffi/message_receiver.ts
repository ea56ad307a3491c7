/** Receives messages of a socket in batches, where the kernel has recvmmsg(2). */

import { ERRNO, lastErrno, SyscallError } from "./errno.ts";
import { libc } from "./libc.ts";
import type { MessageBatch } from "./message_batch.ts";
import { forgetErrors } from "./packet_sender.ts";

export class MessageReceiver {
  /** Whether one system call brings many messages. */
  readonly isBatched: boolean;
  /** Where messages come in. */
  readonly batch: MessageBatch;
  readonly #descriptor: number;
  /** Messages of the last call. */
  #used = 0;

  /** @param batch Nobody else's; its iovecs are the caller's to set before `receive`. */
  constructor(descriptor: number, batch: MessageBatch) {
    this.#descriptor = descriptor;
    this.batch = batch;
    // Nothing is received: only whether the call exists (sandboxes may refuse it).
    this.isBatched = libc.recvmmsg(descriptor, batch.pointerAt(0), 0, 0, null) === 0;
  }

  /**
   * Receives up to `count` messages that are waiting.
   *
   * @returns How many.
   * @throws {SyscallError} The socket is gone.
   */
  receive(count: number): number {
    for (let i = 0; i < this.#used; i++) this.batch.rearm(i);
    this.#used = this.isBatched ? this.#receiveBatch(count) : this.#receiveOneByOne(count);
    return this.#used;
  }

  #receiveBatch(count: number): number {
    const pointer = this.batch.pointerAt(0);
    const received = libc.recvmmsg(this.#descriptor, pointer, count, 0, null);
    return received < 0 ? this.#nothingReceived() : received;
  }

  #receiveOneByOne(count: number): number {
    for (let i = 0; i < count; i++) {
      const length = libc.recvmsg(this.#descriptor, this.batch.pointerAt(i), 0);
      if (length < 0) return i + this.#nothingReceived();
      this.batch.setLength(i, length);
    }
    return count;
  }

  /** @throws {SyscallError} The socket is gone. */
  #nothingReceived(): 0 {
    const errno = lastErrno();
    if (errno === ERRNO.EBADF) throw new SyscallError("receive from a socket", errno);
    if (errno !== ERRNO.EAGAIN) forgetErrors(this.#descriptor);
    return 0;
  }
}
