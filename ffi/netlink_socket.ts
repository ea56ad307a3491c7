/** `NetlinkSocket` on AF_NETLINK, NETLINK_ROUTE (linux/netlink.h). */

import type { NetlinkGroup, NetlinkSocket } from "../lib/runtime/ports.ts";
import { checked, ERRNO, lastErrno, SyscallError } from "./errno.ts";
import { setSocketOption, trySocketOption } from "./socket_option.ts";
import {
  AF_NETLINK,
  LITTLE,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_EXT_ACK,
  NETLINK_ROUTE,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCKADDR_NL,
  SOL_NETLINK,
  SOL_SOCKET,
} from "./layouts.ts";
import { libc } from "./libc.ts";
import { Struct } from "./memory.ts";

/** The kernel sends at most 32 KiB at once to a reader that offers as much. */
const RECEIVE_SIZE = 65536;
const RECEIVE_QUEUE = 1 << 20;

/** @throws {SyscallError} */
export function openNetlink(groups: readonly NetlinkGroup[]): NetlinkSocket {
  const descriptor = checked(
    "make a netlink socket",
    libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE),
  );
  try {
    setSocketOption(descriptor, SOL_SOCKET, SO_RCVBUF, RECEIVE_QUEUE);
    // Words beside the numbers of errors; older kernels have none.
    trySocketOption(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    const name = new Struct(SOCKADDR_NL.SIZE);
    name.view.setUint16(SOCKADDR_NL.family, AF_NETLINK, LITTLE);
    checked("bind a netlink socket", libc.bind(descriptor, name.bytes, SOCKADDR_NL.SIZE));
    for (const group of groups) {
      setSocketOption(descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
    }
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
  return new LinuxNetlinkSocket(descriptor);
}

class LinuxNetlinkSocket implements NetlinkSocket {
  readonly descriptor: number;
  readonly #space = new Struct(RECEIVE_SIZE);

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  send(messages: Uint8Array): void {
    checked(
      "send to netlink",
      libc.send(this.descriptor, messages as Uint8Array<ArrayBuffer>, BigInt(messages.length), 0),
    );
  }

  receive(): Uint8Array | "overrun" | undefined {
    const length = libc.recv(this.descriptor, this.#space.bytes, BigInt(RECEIVE_SIZE), 0);
    if (length >= 0) return this.#space.bytes.slice(0, length);
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return undefined;
    if (errno === ERRNO.ENOBUFS) return "overrun";
    throw new SyscallError("receive from netlink", errno);
  }

  close(): void {
    checked("close a netlink socket", libc.close(this.descriptor));
  }
}
