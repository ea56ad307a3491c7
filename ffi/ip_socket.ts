/**
 * `IpSocket` on raw sockets (raw(7), ipv6(7)). The source address, traffic class and hop limit of
 * each packet travel as control messages (RFC 3542 §6). Packets move in batches, one system call for
 * up to `BATCH_SIZE` of them, where the kernel has sendmmsg(2) and recvmmsg(2).
 *
 * Fragments: the kernel reassembles before a raw socket sees a packet, bounded by its own limits
 * (net.ipv4.ipfrag_*, net.ipv6.ip6frag_*), and fragments what is too long for the path MTU that it
 * knows. What fits leaves over IPv4 with "don't fragment" where that was asked for, so that routers
 * report a smaller MTU; they always do for IPv6.
 */

import { UserError } from "../lib/base/errors.ts";
import { HEADROOM, type PacketBuffer, PacketPath } from "../lib/base/packet_buffer.ts";
import {
  BATCH_SIZE,
  type IpFamily,
  type IpSocket,
  type IpSocketOptions,
  type LocalLocator,
  type OutgoingPacket,
  type SendResult,
} from "../lib/runtime/ports.ts";
import { isIpv4Fragment } from "../lib/wire/ipv4.ts";
import { checked, ERRNO, lastErrno, SyscallError } from "./errno.ts";
import { admitErrorsOnly } from "./icmp_filter.ts";
import * as c from "./layouts.ts";
import { libc } from "./libc.ts";
import { MessageBatch } from "./message_batch.ts";
import { setSocketOption, trySocketOption } from "./socket_option.ts";

/** Octets that the kernel may hold for us in each direction. */
const QUEUE_SIZE = 4 << 20;

/** Errors that are read away at once; more are met at the next call. */
const MOST_ERRORS = 1000;

/** Offset of the IPv4 part of a mapped address. */
const MAPPED = 12;

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
  const domain = family === 4 ? c.AF_INET : c.AF_INET6;
  const kind = c.SOCK_RAW | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
  const descriptor = libc.socket(domain, kind, protocol);
  if (descriptor < 0) throw explain(protocol, family, lastErrno());
  try {
    if (protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6) {
      admitErrorsOnly(descriptor, protocol);
    }
    for (const option of [c.SO_RCVBUF, c.SO_RCVBUFFORCE, c.SO_SNDBUF, c.SO_SNDBUFFORCE]) {
      // The plain form is bounded by the system's settings, the forced one needs CAP_NET_ADMIN.
      trySocketOption(descriptor, c.SOL_SOCKET, option, QUEUE_SIZE);
    }
    if (family === 4) {
      const mode = options.discoversPathMtu ? c.IP_PMTUDISC_WANT : c.IP_PMTUDISC_DONT;
      setSocketOption(descriptor, c.SOL_IP, c.IP_MTU_DISCOVER, mode);
      return new Ipv4Socket(descriptor, protocol);
    }
    setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_MTU_DISCOVER, c.IPV6_PMTUDISC_WANT);
    // Without it the kernel does not take Packet Too Big to heart (rawv6_err in net/ipv6/raw.c).
    setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVERR, 1);
    setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVPKTINFO, 1);
    setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVTCLASS, 1);
    setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVHOPLIMIT, 1);
    return new Ipv6Socket(descriptor, protocol);
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
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

/** What a failed sendmsg means for the packet. */
function sendFailure(errno: number): SendResult {
  switch (errno) {
    case ERRNO.EAGAIN:
    case ERRNO.ENOBUFS:
    case ERRNO.ENOMEM:
      return "busy";
    case ERRNO.EMSGSIZE:
      return "too-big";
    case ERRNO.ENETUNREACH:
    case ERRNO.EHOSTUNREACH:
    case ERRNO.ENETDOWN:
    case ERRNO.EADDRNOTAVAIL:
    // The kernel's word for a source address that is not on this host.
    case ERRNO.EINVAL:
      return "unreachable";
    default:
      return "refused";
  }
}

/** What both families share: the order of things around the system calls. */
abstract class RawSocket implements IpSocket {
  abstract readonly family: IpFamily;
  readonly isBatched: boolean;
  readonly #incoming: MessageBatch;
  readonly #outgoing: MessageBatch;
  /** For a packet by itself, which the control plane may send while others are queued. */
  readonly #single: MessageBatch;
  /** The slabs that `#incoming` points at, and how many of its messages were used last. */
  #slabs: readonly PacketBuffer[] = [];
  #used = 0;
  readonly #queue: PacketBuffer[] = [];
  readonly #controlPath = new PacketPath();
  /** Takes what nobody looks at: without room for anything. */
  readonly #discarded = new MessageBatch(1, 0, 0);

  /** @param makeBatch Makes messages of the family, control messages laid out; to send or to receive. */
  constructor(
    readonly descriptor: number,
    readonly protocol: number,
    makeBatch: (size: number, direction: "in" | "out") => MessageBatch,
  ) {
    this.#incoming = makeBatch(BATCH_SIZE, "in");
    this.#outgoing = makeBatch(BATCH_SIZE, "out");
    this.#single = makeBatch(1, "out");
    // Nothing is sent or received: only whether the calls exist (sandboxes may refuse them).
    this.isBatched = libc.sendmmsg(descriptor, this.#outgoing.pointerAt(0), 0, 0) === 0 &&
      libc.recvmmsg(descriptor, this.#incoming.pointerAt(0), 0, 0, null) === 0;
  }

  /** Fills the path from message `i` of `batch`; false when its header cannot be used. */
  protected abstract takeHeader(batch: MessageBatch, i: number, buffer: PacketBuffer): boolean;
  /** Writes address and control messages for `path` into message `i` of `batch`. */
  protected abstract putHeader(batch: MessageBatch, i: number, path: PacketPath): void;
  abstract setLocators(locators: readonly LocalLocator[]): void;

  receive(slabs: readonly PacketBuffer[]): number {
    this.#pointAt(slabs);
    const count = this.isBatched ? this.#receiveBatch() : this.#receiveOneByOne();
    this.#used = count;
    for (let i = 0; i < count; i++) {
      const buffer = slabs[i]!;
      buffer.reset();
      buffer.end = HEADROOM + this.#incoming.lengthOf(i);
      buffer.path.protocol = this.protocol;
      buffer.path.isFragment = false;
      if (this.#incoming.isCut(i) || !this.takeHeader(this.#incoming, i, buffer)) buffer.reset();
    }
    return count;
  }

  queue(buffer: PacketBuffer): void {
    const i = this.#queue.length;
    if (i === BATCH_SIZE) throw new RangeError(`Cannot queue more than ${BATCH_SIZE} packets`);
    this.putHeader(this.#outgoing, i, buffer.path);
    this.#outgoing.pointAt(i, buffer.bytes, buffer.start, buffer.length);
    this.#queue.push(buffer);
  }

  flush(onFailure: (buffer: PacketBuffer, result: SendResult) => void): void {
    const count = this.#queue.length;
    let at = 0;
    let retried = -1;
    while (at < count) {
      const sent = this.#sendFrom(at, count);
      if (sent > 0) {
        at += sent;
        continue;
      }
      // The error is that of the first one; what comes behind it is tried by itself.
      const result = sendFailure(lastErrno());
      if (retried !== at && this.#isOfEarlierPacket(result)) {
        retried = at;
        continue;
      }
      onFailure(this.#queue[at]!, result);
      at++;
    }
    this.#queue.length = 0;
  }

  sendPacket(packet: OutgoingPacket): SendResult {
    const path = this.#controlPath;
    path.localAddress.set(packet.source);
    path.peerAddress.set(packet.destination);
    path.trafficClass = packet.trafficClass;
    path.hopLimit = packet.hopLimit;
    this.putHeader(this.#single, 0, path);
    this.#single.pointAt(0, packet.bytes, 0, packet.bytes.length);
    if (libc.sendmsg(this.descriptor, this.#single.pointerAt(0), 0) >= 0) return "sent";
    const result = sendFailure(lastErrno());
    if (!this.#isOfEarlierPacket(result)) return result;
    if (libc.sendmsg(this.descriptor, this.#single.pointerAt(0), 0) >= 0) return "sent";
    return sendFailure(lastErrno());
  }

  close(): void {
    checked("close a raw socket", libc.close(this.descriptor));
  }

  /** Makes the messages ready to receive into `slabs`. */
  #pointAt(slabs: readonly PacketBuffer[]): void {
    for (let i = 0; i < this.#used; i++) this.#incoming.rearm(i);
    this.#used = 0;
    if (slabs === this.#slabs) return;
    this.#slabs = slabs;
    slabs.slice(0, BATCH_SIZE).forEach((slab, i) =>
      this.#incoming.pointAt(i, slab.bytes, HEADROOM, slab.capacity)
    );
  }

  #receiveBatch(): number {
    const count = Math.min(BATCH_SIZE, this.#slabs.length);
    const received = libc.recvmmsg(this.descriptor, this.#incoming.pointerAt(0), count, 0, null);
    return received < 0 ? this.#nothingReceived() : received;
  }

  #receiveOneByOne(): number {
    const count = Math.min(BATCH_SIZE, this.#slabs.length);
    for (let i = 0; i < count; i++) {
      const length = libc.recvmsg(this.descriptor, this.#incoming.pointerAt(i), 0);
      if (length < 0) return i + this.#nothingReceived();
      this.#incoming.setLength(i, length);
    }
    return count;
  }

  /** How many of the queued packets the system took; 0 or less: none, for the reason in errno. */
  #sendFrom(at: number, count: number): number {
    const pointer = this.#outgoing.pointerAt(at);
    if (this.isBatched) return libc.sendmmsg(this.descriptor, pointer, count - at, 0);
    return libc.sendmsg(this.descriptor, pointer, 0) < 0 ? -1 : 1;
  }

  /** @throws {SyscallError} When the socket is gone. */
  #nothingReceived(): 0 {
    const errno = lastErrno();
    if (errno === ERRNO.EBADF) throw new SyscallError("receive from a raw socket", errno);
    if (errno !== ERRNO.EAGAIN) this.#forgetErrors();
    return 0;
  }

  /** Whether a packet failed for what ICMP said of an earlier one: then it may be sent again. */
  #isOfEarlierPacket(result: SendResult): boolean {
    return result !== "busy" && this.#forgetErrors() > 0;
  }

  /**
   * Errors of packets sent earlier, which ICMP reported: the kernel has drawn its conclusions, ours
   * come by the ICMP socket. As long as they wait, the socket counts as readable.
   *
   * @returns How many there were.
   */
  #forgetErrors(): number {
    const pointer = this.#discarded.pointerAt(0);
    let count = 0;
    while (
      count < MOST_ERRORS && libc.recvmsg(this.descriptor, pointer, c.MSG_ERRQUEUE) >= 0
    ) count++;
    return count;
  }
}

/** Control messages of a packet: packet information, then two integers. */
const INFO_SPACE_4 = c.controlSpace(c.IN_PKTINFO.SIZE);
const INFO_SPACE_6 = c.controlSpace(c.IN6_PKTINFO.SIZE);
const INTEGER_SPACE = c.controlSpace(4);

/** The kernel delivers the IPv4 header with the packet: everything is read from it. */
class Ipv4Socket extends RawSocket {
  readonly family = 4;

  constructor(descriptor: number, protocol: number) {
    super(descriptor, protocol, (size, direction) => {
      if (direction === "in") return new MessageBatch(size, c.SOCKADDR_IN.SIZE, 0);
      const batch = new MessageBatch(size, c.SOCKADDR_IN.SIZE, INFO_SPACE_4 + 2 * INTEGER_SPACE);
      batch.layControl(0, c.SOL_IP, c.IP_PKTINFO, c.IN_PKTINFO.SIZE);
      batch.layControl(INFO_SPACE_4, c.SOL_IP, c.IP_TOS, 4);
      batch.layControl(INFO_SPACE_4 + INTEGER_SPACE, c.SOL_IP, c.IP_TTL, 4);
      for (let i = 0; i < size; i++) {
        const at = batch.nameAt(i) + c.SOCKADDR_IN.family;
        batch.names.view.setUint16(at, c.AF_INET, c.LITTLE);
      }
      return batch;
    });
  }

  protected takeHeader(_batch: MessageBatch, _i: number, buffer: PacketBuffer): boolean {
    const { bytes, path, start } = buffer;
    if (buffer.length < 20) return false;
    const headerLength = (bytes[start]! & 0x0f) * 4;
    if (headerLength < 20 || headerLength > buffer.length) return false;
    path.trafficClass = bytes[start + 1]!;
    path.hopLimit = bytes[start + 8]!;
    path.isFragment = isIpv4Fragment(bytes, start);
    copyMapped(bytes, start + 12, path.peerAddress);
    copyMapped(bytes, start + 16, path.localAddress);
    buffer.start = start + headerLength;
    return true;
  }

  protected putHeader(batch: MessageBatch, i: number, path: PacketPath): void {
    const { names, controls } = batch;
    const address = batch.nameAt(i) + c.SOCKADDR_IN.address;
    const info = batch.controlAt(i) + c.CMSGHDR.data;
    const source = info + c.IN_PKTINFO.specDestination;
    for (let octet = 0; octet < 4; octet++) {
      names.bytes[address + octet] = path.peerAddress[MAPPED + octet]!;
      controls.bytes[source + octet] = path.localAddress[MAPPED + octet]!;
    }
    const integers = info + INFO_SPACE_4;
    controls.view.setInt32(integers, path.trafficClass, c.LITTLE);
    // The kernel refuses 0, which no packet that we send may have.
    controls.view.setInt32(integers + INTEGER_SPACE, Math.max(1, path.hopLimit), c.LITTLE);
  }

  /** IPv4 link-local addresses (RFC 3927) need no scope: the routing table has them. */
  setLocators(_locators: readonly LocalLocator[]): void {}
}

/** Writes four octets as an IPv4-mapped address. */
function copyMapped(bytes: Uint8Array, offset: number, target: Uint8Array): void {
  target.fill(0, 0, 10);
  target[10] = 0xff;
  target[11] = 0xff;
  for (let i = 0; i < 4; i++) target[MAPPED + i] = bytes[offset + i]!;
}

/** The kernel takes the IPv6 headers off; what was in them arrives as control messages. */
class Ipv6Socket extends RawSocket {
  readonly family = 6;
  #linkLocals: readonly LocalLocator[] = [];

  constructor(descriptor: number, protocol: number) {
    super(descriptor, protocol, (size, direction) => {
      const space = INFO_SPACE_6 + 2 * INTEGER_SPACE;
      const batch = new MessageBatch(size, c.SOCKADDR_IN6.SIZE, space);
      if (direction === "in") return batch;
      batch.layControl(0, c.SOL_IPV6, c.IPV6_PKTINFO, c.IN6_PKTINFO.SIZE);
      batch.layControl(INFO_SPACE_6, c.SOL_IPV6, c.IPV6_TCLASS, 4);
      batch.layControl(INFO_SPACE_6 + INTEGER_SPACE, c.SOL_IPV6, c.IPV6_HOPLIMIT, 4);
      for (let i = 0; i < size; i++) {
        const at = batch.nameAt(i) + c.SOCKADDR_IN6.family;
        batch.names.view.setUint16(at, c.AF_INET6, c.LITTLE);
      }
      return batch;
    });
  }

  protected takeHeader(batch: MessageBatch, i: number, { path }: PacketBuffer): boolean {
    const { bytes, view } = batch.controls;
    const address = batch.nameAt(i) + c.SOCKADDR_IN6.address;
    copy16(batch.names.bytes, address, path.peerAddress, 0);
    path.trafficClass = 0;
    path.hopLimit = 64;
    let hasDestination = false;
    let offset = batch.controlAt(i);
    const end = offset + batch.controlLengthOf(i);
    while (offset + c.CMSGHDR.data <= end) {
      const length = view.getUint32(offset + c.CMSGHDR.length, c.LITTLE);
      if (length < c.CMSGHDR.data) break;
      const data = offset + c.CMSGHDR.data;
      switch (view.getInt32(offset + c.CMSGHDR.type, c.LITTLE)) {
        case c.IPV6_PKTINFO:
          copy16(bytes, data + c.IN6_PKTINFO.address, path.localAddress, 0);
          hasDestination = true;
          break;
        case c.IPV6_TCLASS:
          path.trafficClass = view.getInt32(data, c.LITTLE) & 0xff;
          break;
        case c.IPV6_HOPLIMIT:
          path.hopLimit = view.getInt32(data, c.LITTLE) & 0xff;
          break;
      }
      offset += c.controlSpace(length - c.CMSGHDR.data);
    }
    return hasDestination;
  }

  protected putHeader(batch: MessageBatch, i: number, path: PacketPath): void {
    const { names, controls } = batch;
    const name = batch.nameAt(i);
    const info = batch.controlAt(i) + c.CMSGHDR.data;
    const scope = this.#scopeFor(path);
    copy16(path.peerAddress, 0, names.bytes, name + c.SOCKADDR_IN6.address);
    names.view.setUint32(name + c.SOCKADDR_IN6.scopeId, scope, c.LITTLE);
    copy16(path.localAddress, 0, controls.bytes, info + c.IN6_PKTINFO.address);
    controls.view.setUint32(info + c.IN6_PKTINFO.interfaceIndex, scope, c.LITTLE);
    const integers = info + INFO_SPACE_6;
    controls.view.setInt32(integers, path.trafficClass, c.LITTLE);
    controls.view.setInt32(integers + INTEGER_SPACE, path.hopLimit, c.LITTLE);
  }

  setLocators(locators: readonly LocalLocator[]): void {
    this.#linkLocals = locators.filter((locator) => isLinkLocal6(locator.address));
  }

  /** The interface for a link-local destination; 0, "any", for all others (RFC 4007 §6). */
  #scopeFor(path: PacketPath): number {
    if (!isLinkLocal6(path.peerAddress)) return 0;
    for (const locator of this.#linkLocals) {
      if (isSame16(locator.address, path.localAddress)) return locator.interfaceIndex;
    }
    return 0;
  }
}

function copy16(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number): void {
  for (let i = 0; i < 16; i++) to[toOffset + i] = from[fromOffset + i]!;
}

function isLinkLocal6(address: Uint8Array): boolean {
  return address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

function isSame16(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 16; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}
