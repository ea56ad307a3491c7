/**
 * Consecutive segments of one TCP flow, gathered so that the kernel takes them as one super-segment
 * (what Linux calls GRO). Cut up again, they are octet for octet what came in: so only segments join
 * whose headers say the same but for sequence number, length, checksum and, on the last one, PSH,
 * and whose checksum is right, since the kernel does not look at it again.
 *
 * Nothing is copied: a run is the first packet, in whose headers `finish` writes, and the payloads
 * of the others where they lie. Inner packets are IPv6. Nothing here allocates or throws.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { sumLanes } from "./checksum_lanes.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, isIpv6Packet, NEXT_HEADER } from "./ipv6.ts";
import { TCP_FIELD, TCP_FLAG, TCP_HEADER_LENGTH, tcpHeaderLength } from "./tcp.ts";
import { GSO, NEEDS_CHECKSUM, type VirtioNetHeader } from "./virtio_net_header.ts";

const TCP = IPV6_HEADER_LENGTH;
const OPTIONS = TCP + TCP_HEADER_LENGTH;
const ACKNOWLEDGMENT = TCP + TCP_FIELD.acknowledgmentNumber;

/** Octets of a super-segment at most: what the kernel itself makes by default. */
const LONGEST_RUN = 0xffff;

/** One run after the other: `begin`, `append` while it says yes, `finish`, `clear`. */
export class TcpRun {
  readonly #packets: (PacketBuffer | undefined)[];
  #count = 0;
  /** Nothing can follow: PSH, a short segment, or no room for another one. */
  #isComplete = false;
  /** Octets of IPv6 and TCP headers, the same in all packets. */
  #headerLength = 0;
  /** Octets of payload in every segment but the last. */
  #segmentSize = 0;
  /** Octets of payload in all segments. */
  #payload = 0;
  #nextSequence = 0;
  /** Sum of addresses and protocol. */
  #pseudoSum = 0;

  /** @param capacity Most segments in a run. */
  constructor(capacity: number) {
    this.#packets = new Array(capacity).fill(undefined);
  }

  /** Segments in the run. */
  get count(): number {
    return this.#count;
  }

  /** Octets of all headers, once, as in the first packet. */
  get headerLength(): number {
    return this.#headerLength;
  }

  packet(i: number): PacketBuffer {
    return this.#packets[i]!;
  }

  /** Ends the run; another one may begin. */
  clear(): void {
    this.#count = 0;
    this.#isComplete = false;
  }

  /**
   * Begins a run with an inner packet, which stays as it is until the run is written.
   *
   * @returns False when nothing can follow such a packet: it goes by itself.
   */
  begin(packet: PacketBuffer): boolean {
    this.clear();
    const { bytes, start, end, length, view } = packet;
    if (length <= OPTIONS || !isIpv6Packet(bytes, start, end)) return false;
    if (bytes[start + IPV6_FIELD.nextHeader] !== NEXT_HEADER.tcp) return false;
    const headerLength = TCP + tcpHeaderLength(bytes, start + TCP);
    if (headerLength < OPTIONS || headerLength >= length) return false;
    const flags = bytes[start + TCP + TCP_FIELD.flags]!;
    if ((flags & ~TCP_FLAG.ece) !== TCP_FLAG.ack) return false;
    this.#headerLength = headerLength;
    this.#pseudoSum = sumLanes(view, start + IPV6_FIELD.source, start + TCP) + NEXT_HEADER.tcp;
    if (!this.#isChecksumRight(packet)) return false;
    this.#segmentSize = length - headerLength;
    this.#payload = 0;
    this.#take(packet);
    return true;
  }

  /**
   * Adds the packet that came next, if it goes on where the run ends; it then stays as it is until
   * the run is written.
   */
  append(packet: PacketBuffer): boolean {
    if (this.#count === 0 || this.#isComplete) return false;
    const { bytes, start, end, length, view } = packet;
    const payload = length - this.#headerLength;
    if (payload <= 0 || payload > this.#segmentSize || !isIpv6Packet(bytes, start, end)) {
      return false;
    }
    if (this.#headerLength + this.#payload + payload > LONGEST_RUN) return false;
    if (view.getUint32(start + TCP + TCP_FIELD.sequenceNumber) !== this.#nextSequence) return false;
    if (!this.#hasSameHeaders(packet) || !this.#isChecksumRight(packet)) return false;
    this.#take(packet);
    return true;
  }

  /**
   * Makes the first packet's headers those of the whole, for a run of two segments or more.
   *
   * @param header Becomes what the kernel is to be told.
   */
  finish(header: VirtioNetHeader): void {
    const { bytes, start, view } = this.#packets[0]!;
    const last = this.#packets[this.#count - 1]!;
    const tcpLength = this.#headerLength - TCP + this.#payload;
    view.setUint16(start + IPV6_FIELD.payloadLength, tcpLength);
    bytes[start + TCP + TCP_FIELD.flags] = last.bytes[last.start + TCP + TCP_FIELD.flags]!;
    const sum = sumLanes(view, start, start, this.#pseudoSum + tcpLength);
    view.setUint16(start + TCP + TCP_FIELD.checksum, sum);
    header.flags = NEEDS_CHECKSUM;
    header.gsoType = GSO.tcp6;
    header.headerLength = this.#headerLength;
    header.gsoSize = this.#segmentSize;
    header.checksumStart = TCP;
    header.checksumOffset = TCP_FIELD.checksum;
  }

  #take(packet: PacketBuffer): void {
    const { bytes, start, length, view } = packet;
    const payload = length - this.#headerLength;
    this.#packets[this.#count++] = packet;
    this.#payload += payload;
    this.#nextSequence = (view.getUint32(start + TCP + TCP_FIELD.sequenceNumber) + payload) >>> 0;
    this.#isComplete = payload < this.#segmentSize || this.#count === this.#packets.length ||
      (bytes[start + TCP + TCP_FIELD.flags]! & TCP_FLAG.psh) !== 0;
  }

  /**
   * Whether all octets of the headers agree with the first packet's but those that differ between
   * the segments of one super-segment.
   */
  #hasSameHeaders({ bytes, start, view }: PacketBuffer): boolean {
    const first = this.#packets[0]!;
    const shift = first.start - start;
    const flags = start + TCP + TCP_FIELD.flags;
    if ((bytes[flags]! & ~TCP_FLAG.psh) !== first.bytes[flags + shift]) return false;
    if (bytes[flags - 1] !== first.bytes[flags + shift - 1]) return false;
    const from = first.start;
    const { view: other } = first;
    return isSame(view, start, other, from, 0, 4) &&
      isSame(view, start, other, from, IPV6_FIELD.nextHeader, IPV6_FIELD.source) &&
      isSame(view, start, other, from, IPV6_FIELD.source, TCP) &&
      isSame(view, start, other, from, TCP, TCP + TCP_FIELD.sequenceNumber) &&
      isSame(view, start, other, from, ACKNOWLEDGMENT, TCP + TCP_FIELD.dataOffset) &&
      isSame(view, start, other, from, TCP + TCP_FIELD.window, TCP + TCP_FIELD.checksum) &&
      isSame(view, start, other, from, TCP + TCP_FIELD.urgentPointer, this.#headerLength);
  }

  /** Right, and in the form that whoever computes it anew writes. */
  #isChecksumRight({ start, end, view }: PacketBuffer): boolean {
    const tcp = start + TCP;
    return sumLanes(view, tcp, end, this.#pseudoSum + (end - tcp)) === 0xffff &&
      view.getUint16(tcp + TCP_FIELD.checksum) !== 0xffff;
  }
}

/** Whether the octets `from` to `to`, an even number, are the same behind both starts. */
function isSame(
  a: DataView,
  startA: number,
  b: DataView,
  startB: number,
  from: number,
  to: number,
): boolean {
  let at = from;
  for (; at + 3 < to; at += 4) {
    if (a.getUint32(startA + at) !== b.getUint32(startB + at)) return false;
  }
  return at === to || a.getUint16(startA + at) === b.getUint16(startB + at);
}
