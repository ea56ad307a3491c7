/**
 * `IpSocket` on raw sockets (raw(7), ipv6(7)). The source address, traffic class and hop limit of
 * each packet travel as control messages (RFC 3542 §6), which are laid out once: a packet changes
 * only the values in them.
 *
 * Fragments: the kernel reassembles before a raw socket sees a packet, bounded by its own limits
 * (net.ipv4.ipfrag_*, net.ipv6.ip6frag_*), and fragments what is too long for the path MTU that it
 * knows. What fits leaves over IPv4 with "don't fragment" where that was asked for, so that routers
 * report a smaller MTU; they always do for IPv6.
 */

import { UserError } from "../lib/base/errors.ts";
import { HEADROOM, type PacketBuffer, PacketPath } from "../lib/base/packet_buffer.ts";
import type {
  IpFamily,
  IpSocket,
  IpSocketOptions,
  LocalLocator,
  OutgoingPacket,
  SendResult,
} from "../lib/runtime/ports.ts";
import { isIpv4Fragment } from "../lib/wire/ipv4.ts";
import { checked, ERRNO, lastErrno, SyscallError } from "./errno.ts";
import { admitErrorsOnly } from "./icmp_filter.ts";
import * as c from "./layouts.ts";
import { libc } from "./libc.ts";
import { baseOf, Struct, writeAddress } from "./memory.ts";
import { setSocketOption, trySocketOption } from "./socket_option.ts";

/** Octets that the kernel may hold for us in each direction. */
const QUEUE_SIZE = 4 << 20;

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

/** A msghdr with its address, its one iovec and its control messages. */
class Message {
  readonly header = new Struct(c.MSGHDR.SIZE);
  readonly name: Struct;
  readonly control: Struct;
  readonly #iovec = new Struct(c.IOVEC.SIZE);

  constructor(nameSize: number, controlSize: number) {
    this.name = new Struct(nameSize);
    this.control = new Struct(controlSize);
    this.header.setPointer(c.MSGHDR.name, this.name);
    this.header.view.setUint32(c.MSGHDR.nameLength, nameSize, c.LITTLE);
    this.header.setPointer(c.MSGHDR.iov, this.#iovec);
    this.header.view.setUint32(c.MSGHDR.iovLength, 1, c.LITTLE);
    if (controlSize > 0) this.header.setPointer(c.MSGHDR.control, this.control);
    this.header.view.setUint32(c.MSGHDR.controlLength, controlSize, c.LITTLE);
  }

  pointAt(bytes: Uint8Array, start: number, length: number): void {
    writeAddress(this.#iovec.view, c.IOVEC.base, baseOf(bytes), start);
    this.#iovec.view.setUint32(c.IOVEC.length, length, c.LITTLE);
  }

  /** Makes the whole address and control space usable again before a receive. */
  rearm(): void {
    this.header.view.setUint32(c.MSGHDR.nameLength, this.name.bytes.length, c.LITTLE);
    this.header.view.setUint32(c.MSGHDR.controlLength, this.control.bytes.length, c.LITTLE);
  }

  get isCut(): boolean {
    return (this.header.view.getUint32(c.MSGHDR.flags, c.LITTLE) & c.MSG_TRUNC) !== 0;
  }

  /** Lays out the head of a control message at `offset`; returns where its data begins. */
  layControl(offset: number, level: number, type: number, length: number): number {
    const view = this.control.view;
    view.setUint32(offset + c.CMSGHDR.length, c.CMSGHDR.data + length, c.LITTLE);
    view.setInt32(offset + c.CMSGHDR.level, level, c.LITTLE);
    view.setInt32(offset + c.CMSGHDR.type, type, c.LITTLE);
    return offset + c.CMSGHDR.data;
  }
}

/** What both families share: the order of things around one system call. */
abstract class RawSocket implements IpSocket {
  abstract readonly family: IpFamily;
  readonly #controlPath = new PacketPath();

  constructor(
    readonly descriptor: number,
    readonly protocol: number,
    protected readonly incoming: Message,
    protected readonly outgoing: Message,
  ) {}

  /** Fills the path from the message; false when its header cannot be used. */
  protected abstract takeHeader(buffer: PacketBuffer): boolean;
  /** Writes address and control messages for `path`. */
  protected abstract putHeader(path: PacketPath): void;
  abstract setLocators(locators: readonly LocalLocator[]): void;

  receiveInto(buffer: PacketBuffer): boolean {
    buffer.reset();
    this.incoming.rearm();
    this.incoming.pointAt(buffer.bytes, HEADROOM, buffer.capacity);
    const length = libc.recvmsg(this.descriptor, this.incoming.header.pointer, 0);
    if (length < 0) {
      const errno = lastErrno();
      if (errno === ERRNO.EBADF) throw new SyscallError("receive from a raw socket", errno);
      // What is left are errors of packets sent earlier, which ICMP reported; they were read now.
      return false;
    }
    buffer.end = HEADROOM + length;
    buffer.path.protocol = this.protocol;
    if (this.incoming.isCut || !this.takeHeader(buffer)) buffer.reset();
    return true;
  }

  send(buffer: PacketBuffer): SendResult {
    return this.#send(buffer.path, buffer.bytes, buffer.start, buffer.length);
  }

  sendPacket(packet: OutgoingPacket): SendResult {
    const path = this.#controlPath;
    path.localAddress.set(packet.source);
    path.peerAddress.set(packet.destination);
    path.trafficClass = packet.trafficClass;
    path.hopLimit = packet.hopLimit;
    return this.#send(path, packet.bytes, 0, packet.bytes.length);
  }

  close(): void {
    checked("close a raw socket", libc.close(this.descriptor));
  }

  #send(path: PacketPath, bytes: Uint8Array, start: number, length: number): SendResult {
    this.putHeader(path);
    this.outgoing.pointAt(bytes, start, length);
    if (libc.sendmsg(this.descriptor, this.outgoing.header.pointer, 0) >= 0) return "sent";
    return sendFailure(lastErrno());
  }
}

/** The kernel delivers the IPv4 header with the packet: everything is read from it. */
class Ipv4Socket extends RawSocket {
  readonly family = 4;
  readonly #packetInfo: number;
  readonly #typeOfService: number;
  readonly #timeToLive: number;

  constructor(descriptor: number, protocol: number) {
    const infoSpace = c.controlSpace(c.IN_PKTINFO.SIZE);
    const outgoing = new Message(c.SOCKADDR_IN.SIZE, infoSpace + 2 * c.controlSpace(4));
    super(descriptor, protocol, new Message(c.SOCKADDR_IN.SIZE, 0), outgoing);
    outgoing.name.view.setUint16(c.SOCKADDR_IN.family, c.AF_INET, c.LITTLE);
    this.#packetInfo = outgoing.layControl(0, c.SOL_IP, c.IP_PKTINFO, c.IN_PKTINFO.SIZE);
    this.#typeOfService = outgoing.layControl(infoSpace, c.SOL_IP, c.IP_TOS, 4);
    this.#timeToLive = outgoing.layControl(
      infoSpace + c.controlSpace(4),
      c.SOL_IP,
      c.IP_TTL,
      4,
    );
  }

  protected takeHeader(buffer: PacketBuffer): boolean {
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

  protected putHeader(path: PacketPath): void {
    const { name, control } = this.outgoing;
    for (let i = 0; i < 4; i++) {
      name.bytes[c.SOCKADDR_IN.address + i] = path.peerAddress[MAPPED + i]!;
      control.bytes[this.#packetInfo + c.IN_PKTINFO.specDestination + i] = path
        .localAddress[MAPPED + i]!;
    }
    control.view.setInt32(this.#typeOfService, path.trafficClass, c.LITTLE);
    // The kernel refuses 0, which no packet that we send may have.
    control.view.setInt32(this.#timeToLive, Math.max(1, path.hopLimit), c.LITTLE);
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
  readonly #packetInfo: number;
  readonly #trafficClass: number;
  readonly #hopLimit: number;
  #linkLocals: readonly LocalLocator[] = [];

  constructor(descriptor: number, protocol: number) {
    const infoSpace = c.controlSpace(c.IN6_PKTINFO.SIZE);
    const space = infoSpace + 2 * c.controlSpace(4);
    const outgoing = new Message(c.SOCKADDR_IN6.SIZE, space);
    super(descriptor, protocol, new Message(c.SOCKADDR_IN6.SIZE, space), outgoing);
    outgoing.name.view.setUint16(c.SOCKADDR_IN6.family, c.AF_INET6, c.LITTLE);
    this.#packetInfo = outgoing.layControl(0, c.SOL_IPV6, c.IPV6_PKTINFO, c.IN6_PKTINFO.SIZE);
    this.#trafficClass = outgoing.layControl(infoSpace, c.SOL_IPV6, c.IPV6_TCLASS, 4);
    this.#hopLimit = outgoing.layControl(
      infoSpace + c.controlSpace(4),
      c.SOL_IPV6,
      c.IPV6_HOPLIMIT,
      4,
    );
  }

  protected takeHeader(buffer: PacketBuffer): boolean {
    const { path } = buffer;
    const { header, name, control } = this.incoming;
    copy16(name.bytes, c.SOCKADDR_IN6.address, path.peerAddress, 0);
    path.trafficClass = 0;
    path.hopLimit = 64;
    let hasDestination = false;
    const end = header.view.getUint32(c.MSGHDR.controlLength, c.LITTLE);
    let offset = 0;
    while (offset + c.CMSGHDR.data <= end) {
      const length = control.view.getUint32(offset + c.CMSGHDR.length, c.LITTLE);
      if (length < c.CMSGHDR.data) break;
      const data = offset + c.CMSGHDR.data;
      switch (control.view.getInt32(offset + c.CMSGHDR.type, c.LITTLE)) {
        case c.IPV6_PKTINFO:
          copy16(control.bytes, data + c.IN6_PKTINFO.address, path.localAddress, 0);
          hasDestination = true;
          break;
        case c.IPV6_TCLASS:
          path.trafficClass = control.view.getInt32(data, c.LITTLE) & 0xff;
          break;
        case c.IPV6_HOPLIMIT:
          path.hopLimit = control.view.getInt32(data, c.LITTLE) & 0xff;
          break;
      }
      offset += c.controlSpace(length - c.CMSGHDR.data);
    }
    return hasDestination;
  }

  protected putHeader(path: PacketPath): void {
    const { name, control } = this.outgoing;
    const scope = this.#scopeFor(path);
    copy16(path.peerAddress, 0, name.bytes, c.SOCKADDR_IN6.address);
    name.view.setUint32(c.SOCKADDR_IN6.scopeId, scope, c.LITTLE);
    copy16(path.localAddress, 0, control.bytes, this.#packetInfo + c.IN6_PKTINFO.address);
    control.view.setUint32(this.#packetInfo + c.IN6_PKTINFO.interfaceIndex, scope, c.LITTLE);
    control.view.setInt32(this.#trafficClass, path.trafficClass, c.LITTLE);
    control.view.setInt32(this.#hopLimit, path.hopLimit, c.LITTLE);
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
