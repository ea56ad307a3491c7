/**
 * Does what the kernel left to its device when it handed over a packet with a virtio_net_hdr: cuts
 * a TCP super-segment into segments (RFC 9293 §3.1; what Linux calls TSO), a UDP one into datagrams
 * (USO), and completes the checksum of any other packet.
 *
 * Each piece carries the headers of the whole with its own lengths and checksum; of TCP, its own
 * sequence number, FIN and PSH on the last one, CWR on the first (RFC 3168 §6.1.2). In IPv4 the
 * identification counts up. One cutter serves for all packets, one after the other; nothing here
 * allocates or throws.
 */

import type { DropReason } from "../base/drop_reason.ts";
import { HEADROOM, type PacketBuffer } from "../base/packet_buffer.ts";
import { finishSum } from "./checksum.ts";
import { sumLanes } from "./checksum_lanes.ts";
import { IPV4_FIELD, IPV4_HEADER_LENGTH, ipv4HeaderLength, isIpv4Fragment } from "./ipv4.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, ipVersion, isIpv6Packet, NEXT_HEADER } from "./ipv6.ts";
import { completeChecksum } from "./partial_checksum.ts";
import { TCP_FIELD, TCP_FLAG, TCP_HEADER_LENGTH, tcpHeaderLength } from "./tcp.ts";
import { UDP_FIELD, UDP_HEADER_LENGTH } from "./udp.ts";
import { GSO, NEEDS_CHECKSUM, type VirtioNetHeader } from "./virtio_net_header.ts";

/**
 * Octets of payload that each segment has at least: linux/tcp.h TCP_MIN_GSO_SIZE, the least segment
 * size that Linux sends with less all options. Bounds what one super-segment becomes.
 */
const LEAST_SEGMENT = 8;

/** Datagrams of one super-segment at most: linux/udp.h UDP_MAX_SEGMENTS. */
const MOST_DATAGRAMS = 128;

/** Cuts one packet after the other: `begin`, then `next` while `hasMore`. */
export class PacketCutter {
  #source: PacketBuffer | undefined;
  /** Nothing is cut: the packet goes as it is. */
  #isWhole = false;
  #needsChecksum = false;
  #checksumStart = 0;
  #checksumOffset = 0;
  #isIpv6 = false;
  #isUdp = false;
  /** Octets of all headers. */
  #headerLength = 0;
  #segmentSize = 0;
  /** Next octet of payload, and one past the last, in the source. */
  #at = 0;
  #end = 0;
  #index = 0;
  /** Sum of addresses and protocol. */
  #pseudoSum = 0;

  /** Whether `next` has a packet to give. */
  get hasMore(): boolean {
    return this.#source !== undefined;
  }

  /**
   * Takes a packet, which must stay as it is until `hasMore` is false.
   *
   * @param header What came with it.
   * @returns Why it cannot be used; there is then nothing to cut.
   */
  begin(source: PacketBuffer, header: VirtioNetHeader): DropReason | undefined {
    this.#source = undefined;
    this.#needsChecksum = (header.flags & NEEDS_CHECKSUM) !== 0;
    this.#checksumStart = header.checksumStart;
    this.#checksumOffset = header.checksumOffset;
    this.#isWhole = header.gsoType === GSO.none;
    if (!this.#isWhole && !this.#beginSuperSegment(source, header)) return "tun-offload-malformed";
    if (this.#isWhole && this.#needsChecksum) {
      if (!completeChecksum(source, this.#checksumStart, this.#checksumOffset)) {
        return "tun-offload-malformed";
      }
    }
    this.#source = source;
    return undefined;
  }

  /** Writes the next packet into `target`, another slab than the source, at `HEADROOM`. */
  next(target: PacketBuffer): void {
    const source = this.#source;
    if (source === undefined) return;
    target.reset();
    if (this.#isWhole) {
      target.copyFrom(source, source.start, source.end, HEADROOM);
      target.end = HEADROOM + source.length;
      this.#source = undefined;
      return;
    }
    const payload = HEADROOM + this.#headerLength;
    const length = Math.min(this.#segmentSize, this.#end - this.#at);
    target.copyFrom(source, source.start, source.start + this.#headerLength, HEADROOM);
    target.copyFrom(source, this.#at, this.#at + length, payload);
    target.end = payload + length;
    this.#finishHeaders(target, this.#at + length === this.#end);
    this.#at += length;
    this.#index++;
    if (this.#at === this.#end) this.#source = undefined;
  }

  /** Whether `source` is the super-segment that its header says. */
  #beginSuperSegment(source: PacketBuffer, header: VirtioNetHeader): boolean {
    const { start, end, length } = source;
    const upper = this.#checksumStart;
    if (!this.#needsChecksum || header.gsoSize === 0) return false;
    if (upper + UDP_HEADER_LENGTH > length) return false;
    this.#isUdp = header.gsoType === GSO.udp;
    const isFit = this.#isUdp ? this.#fitsUdp(source) : this.#fitsTcp(source, header);
    if (!isFit || this.#headerLength >= length) return false;
    const protocol = this.#isUdp ? NEXT_HEADER.udp : NEXT_HEADER.tcp;
    if (this.#isIpv6 ? !isIn6(source, protocol, upper) : !isIn4(source, protocol, upper)) {
      return false;
    }
    this.#segmentSize = header.gsoSize;
    this.#at = start + this.#headerLength;
    this.#end = end;
    this.#index = 0;
    if (this.#isUdp && this.#end - this.#at > MOST_DATAGRAMS * this.#segmentSize) return false;
    const from = start + (this.#isIpv6 ? IPV6_FIELD.source : IPV4_FIELD.source);
    const addresses = sumLanes(source.view, from, from + (this.#isIpv6 ? 32 : 8));
    this.#pseudoSum = addresses + protocol;
    return true;
  }

  #fitsUdp({ bytes, start }: PacketBuffer): boolean {
    this.#isIpv6 = ipVersion(bytes, start) === 6;
    this.#headerLength = this.#checksumStart + UDP_HEADER_LENGTH;
    return this.#checksumOffset === UDP_FIELD.checksum;
  }

  #fitsTcp({ bytes, start, length }: PacketBuffer, header: VirtioNetHeader): boolean {
    const tcp = this.#checksumStart;
    this.#isIpv6 = (header.gsoType & ~GSO.ecn) === GSO.tcp6;
    if (!this.#isIpv6 && (header.gsoType & ~GSO.ecn) !== GSO.tcp4) return false;
    if (this.#checksumOffset !== TCP_FIELD.checksum) return false;
    if (header.gsoSize < LEAST_SEGMENT || tcp + TCP_HEADER_LENGTH > length) return false;
    const tcpLength = tcpHeaderLength(bytes, start + tcp);
    this.#headerLength = tcp + tcpLength;
    return tcpLength >= TCP_HEADER_LENGTH;
  }

  /** Lengths, counters, flags and checksums of the piece in `target`. */
  #finishHeaders(target: PacketBuffer, isLast: boolean): void {
    const { view, start, end, length } = target;
    if (this.#isIpv6) {
      view.setUint16(start + IPV6_FIELD.payloadLength, length - IPV6_HEADER_LENGTH);
    } else {
      view.setUint16(start + IPV4_FIELD.totalLength, length);
      const identification = start + IPV4_FIELD.identification;
      view.setUint16(identification, view.getUint16(identification) + this.#index);
      const checksum = start + IPV4_FIELD.headerChecksum;
      view.setUint16(checksum, 0);
      view.setUint16(checksum, finishSum(sumLanes(view, start, start + this.#checksumStart)));
    }
    const upper = start + this.#checksumStart;
    if (this.#isUdp) view.setUint16(upper + UDP_FIELD.length, end - upper);
    else this.#finishTcp(target, upper, isLast);
    const field = upper + this.#checksumOffset;
    view.setUint16(field, 0);
    const checksum = finishSum(sumLanes(view, upper, end, this.#pseudoSum + (end - upper)));
    // Zero is "no checksum" to UDP (RFC 768).
    view.setUint16(field, this.#isUdp && checksum === 0 ? 0xffff : checksum);
  }

  #finishTcp({ bytes, view }: PacketBuffer, tcp: number, isLast: boolean): void {
    const sequence = tcp + TCP_FIELD.sequenceNumber;
    view.setUint32(sequence, view.getUint32(sequence) + this.#index * this.#segmentSize);
    let absent = isLast ? 0 : TCP_FLAG.fin | TCP_FLAG.psh;
    if (this.#index > 0) absent |= TCP_FLAG.cwr;
    bytes[tcp + TCP_FIELD.flags] = bytes[tcp + TCP_FIELD.flags]! & ~absent;
  }
}

/** Whether `protocol` begins at `upper`, behind options at most, in a whole IPv6 packet. */
function isIn6({ bytes, start, end }: PacketBuffer, protocol: number, upper: number): boolean {
  if (!isIpv6Packet(bytes, start, end)) return false;
  let next = bytes[start + IPV6_FIELD.nextHeader]!;
  let at = IPV6_HEADER_LENGTH;
  while (next === NEXT_HEADER.hopByHop || next === NEXT_HEADER.destinationOptions) {
    // The header that the caller has found to be there is longer than what is read here.
    if (at >= upper) return false;
    next = bytes[start + at]!;
    at += (bytes[start + at + 1]! + 1) * 8;
  }
  return next === protocol && at === upper;
}

/** Whether `protocol` begins at `upper`, behind options at most, in a whole IPv4 packet. */
function isIn4(packet: PacketBuffer, protocol: number, upper: number): boolean {
  const { bytes, start, length, view } = packet;
  return bytes[start]! >>> 4 === 4 && upper >= IPV4_HEADER_LENGTH &&
    ipv4HeaderLength(bytes, start) === upper &&
    view.getUint16(start + IPV4_FIELD.totalLength) === length &&
    bytes[start + IPV4_FIELD.protocol] === protocol && !isIpv4Fragment(bytes, start);
}
