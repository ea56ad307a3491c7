/**
 * `IpSocket` on raw sockets (raw(7), ipv6(7)). The source address, traffic class and hop limit of
 * each packet travel as control messages (RFC 3542 §6). Packets move in batches, one system call for
 * up to `BATCH_SIZE` of them, where the kernel has sendmmsg(2) and recvmmsg(2).
 *
 * Fragments: the kernel reassembles before a raw socket sees a packet, bounded by its own limits
 * (net.ipv4.ipfrag_*, net.ipv6.ip6frag_*), and fragments what is too long for the path MTU that it
 * knows.
 */

import { UserError } from "../lib/base/errors.ts";
import { HEADROOM, type PacketBuffer } from "../lib/base/packet_buffer.ts";
import {
  BATCH_SIZE,
  type IpFamily,
  type IpSocket,
  type IpSocketOptions,
} from "../lib/runtime/ports.ts";
import { isIpv4Fragment } from "../lib/wire/ipv4.ts";
import { orClose } from "./descriptor.ts";
import { ERRNO, lastErrno, SyscallError } from "./errno.ts";
import { admitErrorsOnly } from "./icmp_filter.ts";
import * as c from "./layouts.ts";
import { libc } from "./libc.ts";
import type { MessageBatch } from "./message_batch.ts";
import { copyMapped, NO_DESTINATION } from "./packet_headers.ts";
import { MessageSocket } from "./message_socket.ts";
import { PacketSender } from "./packet_sender.ts";
import { setSocketOption } from "./socket_option.ts";
import { domainOf, headersOf, setUpPackets } from "./socket_setup.ts";

const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

/**
 * Makes a socket for `protocol` (139 HIP, 50 ESP; 1 ICMP and 58 ICMPv6 receive errors about these).
 *
 * @throws {UserError} No right to raw sockets, or the system has no such family.
 * @throws {SyscallError}
 */
export function openIpSocket(
  protocol: number,
  family: IpFamily,
  options: IpSocketOptions = {},
): IpSocket {
  const kind = c.SOCK_RAW | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
  const descriptor = libc.socket(domainOf(family), kind, protocol);
  if (descriptor < 0) throw explain(protocol, family, lastErrno());
  return orClose(descriptor, () => {
    if (protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6) {
      admitErrorsOnly(descriptor, protocol, options.udpPort);
    }
    setUpPackets(descriptor, family, options);
    if (family === 6) {
      // Without it the kernel does not take Packet Too Big to heart (rawv6_err in net/ipv6/raw.c).
      setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVERR, 1);
    }
    return new RawSocket(descriptor, protocol, family, true);
  });
}

/**
 * The socket behind a descriptor that `openIpSocket` opened, here or on another thread, with state
 * of its own: only one of them may receive. `close` leaves the descriptor open.
 */
export function attachIpSocket(descriptor: number, protocol: number, family: IpFamily): IpSocket {
  return new RawSocket(descriptor, protocol, family, false);
}

function explain(protocol: number, family: IpFamily, errno: number): Error {
  if (errno === ERRNO.EPERM || errno === ERRNO.EACCES) {
    return new UserError(
      `cannot open a raw socket for IP protocol ${protocol} (permission denied). ` +
        "Run it as root, or give it CAP_NET_ADMIN and CAP_NET_RAW.",
    );
  }
  if (errno === ERRNO.EAFNOSUPPORT) {
    return new UserError(`cannot open a raw socket: this system has no IPv${family}.`);
  }
  return new SyscallError(`make a raw socket for IP protocol ${protocol}`, errno);
}

class RawSocket extends MessageSocket {
  readonly isCoalescing = false;
  /** The slabs that the receiver's messages point at. */
  #slabs: readonly PacketBuffer[] = [];

  constructor(
    descriptor: number,
    readonly protocol: number,
    family: IpFamily,
    isOwner: boolean,
  ) {
    const headers = headersOf(family);
    super(descriptor, headers, new PacketSender(descriptor, headers), isOwner);
  }

  receive(slabs: readonly PacketBuffer[]): number {
    const { batch } = this.receiver;
    if (slabs !== this.#slabs) {
      this.#slabs = slabs;
      const used = slabs.slice(0, BATCH_SIZE);
      used.forEach((slab, i) => batch.pointAt(i, slab.bytes, HEADROOM, slab.capacity));
    }
    const count = this.receiver.receive(Math.min(BATCH_SIZE, slabs.length));
    for (let i = 0; i < count; i++) {
      const buffer = slabs[i]!;
      buffer.reset();
      buffer.end = HEADROOM + batch.lengthOf(i);
      buffer.path.protocol = this.protocol;
      if (batch.isCut(i) || !this.#takeHeader(batch, i, buffer)) buffer.reset();
    }
    return count;
  }

  /** Fills the path of message `i`; false when its header cannot be used. */
  #takeHeader(batch: MessageBatch, i: number, buffer: PacketBuffer): boolean {
    // The kernel takes IPv6 headers off; IPv4 headers it delivers.
    if (this.family === 4) return takeIpv4Header(buffer);
    return this.headers.take(batch, i, buffer.path) !== NO_DESTINATION;
  }
}

/** Takes the IPv4 header off a packet and fills the path from it; false when it cannot be used. */
function takeIpv4Header(buffer: PacketBuffer): boolean {
  const { bytes, path, start } = buffer;
  if (buffer.length < 20) return false;
  const headerLength = (bytes[start]! & 0x0f) * 4;
  if (headerLength < 20 || headerLength > buffer.length) return false;
  path.peerPort = 0;
  path.trafficClass = bytes[start + 1]!;
  path.hopLimit = bytes[start + 8]!;
  path.isFragment = isIpv4Fragment(bytes, start);
  copyMapped(bytes, start + 12, path.peerAddress);
  copyMapped(bytes, start + 16, path.localAddress);
  buffer.start = start + headerLength;
  return true;
}
