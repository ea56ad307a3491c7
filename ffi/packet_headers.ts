/**
 * What of an IP packet's headers passes through system calls: the peer's address and port as the
 * name of a message, our address, traffic class and hop limit as control messages (ip(7), ipv6(7),
 * RFC 3542 §6), the size of segments beside them (udp(7)).
 */

import type { PacketPath } from "../lib/base/packet_buffer.ts";
import type { IpFamily, LocalLocator } from "../lib/runtime/ports.ts";
import * as c from "./layouts.ts";
import { MessageBatch } from "./message_batch.ts";

/** Offset of the IPv4 part of a mapped address. */
const MAPPED = 12;

const INTEGER_SPACE = c.controlSpace(4);

/** What `take` says of a message that does not tell where it was sent to. */
export const NO_DESTINATION = -1;

/** The headers of one family. */
export interface PacketHeaders {
  readonly family: IpFamily;

  /** Messages to send, laid out for `put`. */
  outgoing(size: number): MessageBatch;

  /** Messages to receive, with room for what `take` reads. */
  incoming(size: number): MessageBatch;

  /** Writes name and control messages for `path` into message `i` of `batch`. */
  put(batch: MessageBatch, i: number, path: PacketPath): void;

  /** Has message `i` cut into datagrams of `segmentSize` octets; 0: it is one. After `put`. */
  putSegmentSize(batch: MessageBatch, i: number, segmentSize: number): void;

  /**
   * Reads name and control messages of message `i` into `path`.
   *
   * @returns Octets of each of the datagrams that the message holds, the last one aside; 0 when it
   *   is one; `NO_DESTINATION`.
   */
  take(batch: MessageBatch, i: number, path: PacketPath): number;

  /** See `IpSocket.setLocators`. */
  setLocators(locators: readonly LocalLocator[]): void;
}

/** What differs between the families. */
interface Layout {
  readonly domain: number;
  readonly nameSize: number;
  readonly level: number;
  readonly info: number;
  readonly infoLength: number;
  readonly trafficClass: number;
  readonly hopLimit: number;
}

const IPV4_LAYOUT: Layout = {
  domain: c.AF_INET,
  nameSize: c.SOCKADDR_IN.SIZE,
  level: c.SOL_IP,
  info: c.IP_PKTINFO,
  infoLength: c.IN_PKTINFO.SIZE,
  trafficClass: c.IP_TOS,
  hopLimit: c.IP_TTL,
};

const IPV6_LAYOUT: Layout = {
  domain: c.AF_INET6,
  nameSize: c.SOCKADDR_IN6.SIZE,
  level: c.SOL_IPV6,
  info: c.IPV6_PKTINFO,
  infoLength: c.IN6_PKTINFO.SIZE,
  trafficClass: c.IPV6_TCLASS,
  hopLimit: c.IPV6_HOPLIMIT,
};

/** Packet information, two integers, and the size of segments, in this order. */
abstract class ControlHeaders implements PacketHeaders {
  abstract readonly family: IpFamily;
  /** Where the data of each control message begins. */
  protected readonly info = c.CMSGHDR.data;
  protected readonly trafficClass: number;
  protected readonly hopLimit: number;
  readonly #segmentSize: number;
  readonly #plainLength: number;
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.trafficClass = c.controlSpace(layout.infoLength) + c.CMSGHDR.data;
    this.hopLimit = this.trafficClass + INTEGER_SPACE;
    this.#segmentSize = this.hopLimit + INTEGER_SPACE;
    this.#plainLength = this.#segmentSize - c.CMSGHDR.data;
  }

  outgoing(size: number): MessageBatch {
    const { domain, nameSize, level, info, infoLength, trafficClass, hopLimit } = this.#layout;
    const batch = new MessageBatch(size, nameSize, this.#plainLength + c.controlSpace(2));
    const head = c.CMSGHDR.data;
    batch.layControl(this.info - head, level, info, infoLength);
    batch.layControl(this.trafficClass - head, level, trafficClass, 4);
    batch.layControl(this.hopLimit - head, level, hopLimit, 4);
    batch.layControl(this.#segmentSize - head, c.SOL_UDP, c.UDP_SEGMENT, 2);
    for (let i = 0; i < size; i++) {
      batch.names.view.setUint16(batch.nameAt(i) + c.SOCKADDR_IN.family, domain, c.LITTLE);
      batch.setControlLength(i, this.#plainLength);
    }
    return batch;
  }

  incoming(size: number): MessageBatch {
    return new MessageBatch(size, this.#layout.nameSize, this.#plainLength + INTEGER_SPACE);
  }

  abstract put(batch: MessageBatch, i: number, path: PacketPath): void;

  putSegmentSize(batch: MessageBatch, i: number, segmentSize: number): void {
    const at = batch.controlAt(i) + this.#segmentSize;
    batch.controls.view.setUint16(at, segmentSize, c.LITTLE);
    const length = this.#plainLength + (segmentSize === 0 ? 0 : c.controlSpace(2));
    batch.setControlLength(i, length);
  }

  take(batch: MessageBatch, i: number, path: PacketPath): number {
    this.takeName(batch, i, path);
    path.trafficClass = 0;
    path.hopLimit = 64;
    path.isFragment = false;
    const layout = this.#layout;
    const { bytes, view } = batch.controls;
    let segmentSize = 0;
    let hasDestination = false;
    let offset = batch.controlAt(i);
    const end = offset + batch.controlLengthOf(i);
    while (offset + c.CMSGHDR.data <= end) {
      const length = view.getUint32(offset + c.CMSGHDR.length, c.LITTLE);
      if (length < c.CMSGHDR.data) break;
      const data = offset + c.CMSGHDR.data;
      const level = view.getInt32(offset + c.CMSGHDR.level, c.LITTLE);
      const type = view.getInt32(offset + c.CMSGHDR.type, c.LITTLE);
      if (level === c.SOL_UDP && type === c.UDP_GRO) {
        segmentSize = view.getUint16(data, c.LITTLE);
      } else if (level === layout.level && type === layout.info) {
        this.takeDestination(bytes, data, path);
        hasDestination = true;
      } else if (level === layout.level && type === layout.trafficClass) {
        // Of IPv4 it is one octet, of IPv6 an integer.
        path.trafficClass = bytes[data]!;
      } else if (level === layout.level && type === layout.hopLimit) {
        path.hopLimit = bytes[data]!;
      }
      offset += c.controlSpace(length - c.CMSGHDR.data);
    }
    return hasDestination ? segmentSize : NO_DESTINATION;
  }

  protected abstract takeName(batch: MessageBatch, i: number, path: PacketPath): void;
  protected abstract takeDestination(bytes: Uint8Array, data: number, path: PacketPath): void;
  abstract setLocators(locators: readonly LocalLocator[]): void;
}

export class Ipv4Headers extends ControlHeaders {
  readonly family = 4;

  constructor() {
    super(IPV4_LAYOUT);
  }

  put(batch: MessageBatch, i: number, path: PacketPath): void {
    const { names, controls } = batch;
    const name = batch.nameAt(i);
    const control = batch.controlAt(i);
    const address = name + c.SOCKADDR_IN.address;
    const source = control + this.info + c.IN_PKTINFO.specDestination;
    for (let octet = 0; octet < 4; octet++) {
      names.bytes[address + octet] = path.peerAddress[MAPPED + octet]!;
      controls.bytes[source + octet] = path.localAddress[MAPPED + octet]!;
    }
    names.view.setUint16(name + c.SOCKADDR_IN.port, path.peerPort);
    controls.view.setInt32(control + this.trafficClass, path.trafficClass, c.LITTLE);
    // The kernel refuses 0, which no packet that we send may have.
    controls.view.setInt32(control + this.hopLimit, Math.max(1, path.hopLimit), c.LITTLE);
  }

  protected takeName(batch: MessageBatch, i: number, path: PacketPath): void {
    const { bytes, view } = batch.names;
    const name = batch.nameAt(i);
    copyMapped(bytes, name + c.SOCKADDR_IN.address, path.peerAddress);
    path.peerPort = view.getUint16(name + c.SOCKADDR_IN.port);
  }

  protected takeDestination(bytes: Uint8Array, data: number, path: PacketPath): void {
    copyMapped(bytes, data + c.IN_PKTINFO.address, path.localAddress);
  }

  /** IPv4 link-local addresses (RFC 3927) need no scope: the routing table has them. */
  setLocators(_locators: readonly LocalLocator[]): void {}
}

export class Ipv6Headers extends ControlHeaders {
  readonly family = 6;
  #linkLocals: readonly LocalLocator[] = [];

  constructor() {
    super(IPV6_LAYOUT);
  }

  put(batch: MessageBatch, i: number, path: PacketPath): void {
    const { names, controls } = batch;
    const name = batch.nameAt(i);
    const control = batch.controlAt(i);
    const info = control + this.info;
    const scope = this.#scopeFor(path);
    copy16(path.peerAddress, 0, names.bytes, name + c.SOCKADDR_IN6.address);
    names.view.setUint16(name + c.SOCKADDR_IN6.port, path.peerPort);
    names.view.setUint32(name + c.SOCKADDR_IN6.scopeId, scope, c.LITTLE);
    copy16(path.localAddress, 0, controls.bytes, info + c.IN6_PKTINFO.address);
    controls.view.setUint32(info + c.IN6_PKTINFO.interfaceIndex, scope, c.LITTLE);
    controls.view.setInt32(control + this.trafficClass, path.trafficClass, c.LITTLE);
    controls.view.setInt32(control + this.hopLimit, path.hopLimit, c.LITTLE);
  }

  protected takeName(batch: MessageBatch, i: number, path: PacketPath): void {
    const { bytes, view } = batch.names;
    const name = batch.nameAt(i);
    copy16(bytes, name + c.SOCKADDR_IN6.address, path.peerAddress, 0);
    path.peerPort = view.getUint16(name + c.SOCKADDR_IN6.port);
  }

  protected takeDestination(bytes: Uint8Array, data: number, path: PacketPath): void {
    copy16(bytes, data + c.IN6_PKTINFO.address, path.localAddress, 0);
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

/** Writes four octets as an IPv4-mapped address. */
export function copyMapped(bytes: Uint8Array, offset: number, target: Uint8Array): void {
  target.fill(0, 0, 10);
  target[10] = 0xff;
  target[11] = 0xff;
  for (let i = 0; i < 4; i++) target[MAPPED + i] = bytes[offset + i]!;
}

function copy16(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number): void {
  for (let i = 0; i < 16; i++) to[toOffset + i] = from[fromOffset + i]!;
}

function isLinkLocal6(address: Uint8Array): boolean {
  return address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

export function isSame16(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 16; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}
