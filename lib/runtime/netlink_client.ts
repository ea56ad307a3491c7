/**
 * Requests to the kernel over rtnetlink and their answers. The kernel has answered before `send`
 * returns, so nothing here waits.
 */

import { UserError } from "../base/errors.ts";
import {
  emitMessage,
  FLAG,
  MESSAGE,
  type NetlinkMessage,
  parseErrno,
  parseMessages,
} from "../wire/netlink/message.ts";
import type { NetlinkSocket } from "./ports.ts";

/** Numbers of errno that a netlink answer may carry and that somebody asks for. */
export const NETLINK_ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRNOTAVAIL: 99,
} as const;

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(NETLINK_ERRNO).map(([name, errno]) => [errno, name]),
);

/** Times a listing is asked for again when the kernel's tables changed under it. */
const MAX_LISTINGS = 5;

/** The kernel refused a request. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";

  constructor(readonly what: string, readonly errno: number) {
    super(`Cannot ${what}: ${ERRNO_NAMES.get(errno) ?? `errno ${errno}`}`);
  }
}

export class NetlinkClient {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  /** @param socket One without groups, used by nobody else. */
  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /**
   * All objects of one kind.
   *
   * @param what For the error: "list addresses".
   * @throws {NetlinkError}
   */
  list(what: string, type: number, payload: Uint8Array): NetlinkMessage[] {
    for (let attempt = 1;; attempt++) {
      const listing = this.#listOnce(what, type, payload);
      if (listing !== undefined) return listing;
      if (attempt === MAX_LISTINGS) throw new Error(`Cannot ${what}: it changes too fast`);
    }
  }

  /**
   * One change, acknowledged.
   *
   * @param what For the error: "add-route ...".
   * @throws {NetlinkError}
   * @throws {UserError} No right to change the network.
   */
  change(what: string, type: number, flags: number, payload: Uint8Array): void {
    const sequence = this.#send(type, FLAG.ACK | flags, payload);
    for (const message of this.#receive(what)) {
      if (message.sequence !== sequence || message.type !== MESSAGE.ERROR) continue;
      const errno = parseErrno(message.payload);
      if (errno === 0) return;
      throw refusal(what, errno);
    }
    throw new Error(`Cannot ${what}: the kernel does not answer`);
  }

  close(): void {
    this.#socket.close();
  }

  /** Undefined when the listing is not consistent and must be asked for again. */
  #listOnce(what: string, type: number, payload: Uint8Array): NetlinkMessage[] | undefined {
    const sequence = this.#send(type, FLAG.DUMP, payload);
    const found: NetlinkMessage[] = [];
    let isInterrupted = false;
    for (const message of this.#receive(what)) {
      if (message.sequence !== sequence) continue;
      if ((message.flags & FLAG.DUMP_INTERRUPTED) !== 0) isInterrupted = true;
      if (message.type === MESSAGE.DONE) return isInterrupted ? undefined : found;
      if (message.type === MESSAGE.ERROR) throw refusal(what, parseErrno(message.payload));
      found.push(message);
    }
    throw new Error(`Cannot ${what}: the kernel does not answer`);
  }

  #send(type: number, flags: number, payload: Uint8Array): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    this.#socket.send(
      emitMessage({ type, flags: FLAG.REQUEST | flags, sequence, portId: 0, payload }),
    );
    return sequence;
  }

  /** Messages for as long as there are any. */
  *#receive(what: string): Generator<NetlinkMessage> {
    for (;;) {
      const datagram = this.#socket.receive();
      if (datagram === undefined) return;
      if (datagram === "overrun") throw new Error(`Cannot ${what}: answers were lost`);
      yield* parseMessages(datagram);
    }
  }
}

function refusal(what: string, errno: number): Error {
  if (errno === NETLINK_ERRNO.EPERM || errno === NETLINK_ERRNO.EACCES) {
    return new UserError(
      `cannot ${what} (permission denied). ` +
        "Run it as root, or give it CAP_NET_ADMIN and CAP_NET_RAW.",
    );
  }
  return new NetlinkError(what, errno);
}
