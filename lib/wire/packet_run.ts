/**
 * Consecutive packets of one flow, gathered so that the kernel takes them as one super-segment (what
 * Linux calls GRO). Cut up again, they are octet for octet what came in: so only packets join whose
 * headers say the same but for what differs between the pieces of a super-segment, and whose
 * checksum is right, since the kernel does not look at it again.
 *
 * Nothing is copied: a run is the first packet, in whose headers `finish` writes, and the payloads
 * of the others where they lie. Inner packets are IPv6. Nothing here allocates or throws.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { sumLanes } from "./checksum_lanes.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, isIpv6Packet } from "./ipv6.ts";
import { NEEDS_CHECKSUM, type VirtioNetHeader } from "./virtio_net_header.ts";

/** Octets of a super-segment at most: what the kernel itself makes by default. */
const LONGEST_RUN = 0xffff;

/** One run after the other: `begin`, `append` while it says yes, `finish`, `clear`. */
export abstract class PacketRun {
  readonly #packets: (PacketBuffer | undefined)[];
  #count = 0;
  /** Nothing can follow. */
  #isComplete = false;
  #headerLength = 0;
  /** Octets of payload in every packet but the last. */
  #segmentSize = 0;
  /** Octets of payload in all packets. */
  #payload = 0;
  /** Sum of addresses and protocol. */
  #pseudoSum = 0;

  /** @param capacity Most packets in a run. */
  constructor(capacity: number) {
    this.#packets = new Array(capacity).fill(undefined);
  }

  /** Packets in the run. */
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
  abstract begin(packet: PacketBuffer): boolean;

  /**
   * Adds the packet that came next, if it goes on where the run ends; it then stays as it is until
   * the run is written.
   */
  abstract append(packet: PacketBuffer): boolean;

  /**
   * Makes the first packet's headers those of the whole, for a run of two packets or more.
   *
   * @param header Becomes what the kernel is to be told.
   */
  abstract finish(header: VirtioNetHeader): void;

  /** Begins with an IPv6 packet of `nextHeader` that has some payload behind its headers. */
  protected start(packet: PacketBuffer, nextHeader: number, headerLength: number): void {
    const { view, start, length } = packet;
    const addresses = start + IPV6_FIELD.source;
    this.#headerLength = headerLength;
    this.#pseudoSum = sumLanes(view, addresses, start + IPV6_HEADER_LENGTH) + nextHeader;
    this.#segmentSize = length - headerLength;
    this.#payload = 0;
  }

  /** Whether a packet has the form of one that comes next: payload, and room for it. */
  protected mayFollow({ bytes, start, end, length }: PacketBuffer): boolean {
    if (this.#count === 0 || this.#isComplete) return false;
    const payload = length - this.#headerLength;
    return payload > 0 && payload <= this.#segmentSize && isIpv6Packet(bytes, start, end) &&
      this.#headerLength + this.#payload + payload <= LONGEST_RUN;
  }

  /** Takes a packet in; nothing follows the last one, and nothing one that is shorter. */
  protected take(packet: PacketBuffer, isLast: boolean): void {
    const payload = packet.length - this.#headerLength;
    this.#packets[this.#count++] = packet;
    this.#payload += payload;
    this.#isComplete = isLast || payload < this.#segmentSize ||
      this.#count === this.#packets.length;
  }

  /** Whether the IPv6 header is that of the first packet, but for its length. */
  protected hasSameIpv6Header({ start, view }: PacketBuffer): boolean {
    const { start: from, view: first } = this.#packets[0]!;
    return isSame(view, start, first, from, 0, IPV6_FIELD.payloadLength) &&
      isSame(view, start, first, from, IPV6_FIELD.nextHeader, IPV6_FIELD.source) &&
      isSame(view, start, first, from, IPV6_FIELD.source, IPV6_HEADER_LENGTH);
  }

  /** Whether the checksum of what is behind the IPv6 header is right. */
  protected isChecksumRight({ start, end, view }: PacketBuffer): boolean {
    const from = start + IPV6_HEADER_LENGTH;
    return sumLanes(view, from, end, this.#pseudoSum + (end - from)) === 0xffff;
  }

  /**
   * Writes what super-segments of all kinds have: the length of the whole, and the sum of the
   * pseudo-header where the checksum stands, `checksumOffset` octets behind the IPv6 header.
   *
   * @returns Octets of the whole behind the IPv6 header.
   */
  protected finishAs(gsoType: number, checksumOffset: number, header: VirtioNetHeader): number {
    const { start, view } = this.#packets[0]!;
    const length = this.#headerLength - IPV6_HEADER_LENGTH + this.#payload;
    view.setUint16(start + IPV6_FIELD.payloadLength, length);
    const sum = sumLanes(view, start, start, this.#pseudoSum + length);
    view.setUint16(start + IPV6_HEADER_LENGTH + checksumOffset, sum);
    header.flags = NEEDS_CHECKSUM;
    header.gsoType = gsoType;
    header.headerLength = this.#headerLength;
    header.gsoSize = this.#segmentSize;
    header.checksumStart = IPV6_HEADER_LENGTH;
    header.checksumOffset = checksumOffset;
    return length;
  }
}

/** Whether the octets `from` to `to`, an even number, are the same behind both starts. */
export function isSame(
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
