/**
 * Consecutive segments of one TCP flow, to become one super-segment. They agree in all but sequence
 * number, length, checksum and, on the last one, PSH.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, isIpv6Packet, NEXT_HEADER } from "./ipv6.ts";
import { isSame, PacketRun } from "./packet_run.ts";
import { TCP_FIELD, TCP_FLAG, TCP_HEADER_LENGTH, tcpHeaderLength } from "./tcp.ts";
import { GSO, type VirtioNetHeader } from "./virtio_net_header.ts";

const TCP = IPV6_HEADER_LENGTH;
const OPTIONS = TCP + TCP_HEADER_LENGTH;
const ACKNOWLEDGMENT = TCP + TCP_FIELD.acknowledgmentNumber;

export class TcpRun extends PacketRun {
  #nextSequence = 0;

  override begin(packet: PacketBuffer): boolean {
    this.clear();
    const { bytes, start, end, length } = packet;
    if (length <= OPTIONS || !isIpv6Packet(bytes, start, end)) return false;
    if (bytes[start + IPV6_FIELD.nextHeader] !== NEXT_HEADER.tcp) return false;
    const headerLength = TCP + tcpHeaderLength(bytes, start + TCP);
    if (headerLength < OPTIONS || headerLength >= length) return false;
    const flags = bytes[start + TCP + TCP_FIELD.flags]!;
    if ((flags & ~TCP_FLAG.ece) !== TCP_FLAG.ack) return false;
    this.start(packet, NEXT_HEADER.tcp, headerLength);
    if (!this.#isChecksumUsual(packet)) return false;
    this.#take(packet);
    return true;
  }

  override append(packet: PacketBuffer): boolean {
    if (!this.mayFollow(packet)) return false;
    const { start, view } = packet;
    if (view.getUint32(start + TCP + TCP_FIELD.sequenceNumber) !== this.#nextSequence) return false;
    if (!this.hasSameIpv6Header(packet) || !this.#hasSameHeader(packet)) return false;
    if (!this.#isChecksumUsual(packet)) return false;
    this.#take(packet);
    return true;
  }

  override finish(header: VirtioNetHeader): void {
    const { bytes, start } = this.packet(0);
    const last = this.packet(this.count - 1);
    bytes[start + TCP + TCP_FIELD.flags] = last.bytes[last.start + TCP + TCP_FIELD.flags]!;
    this.finishAs(GSO.tcp6, TCP_FIELD.checksum, header);
  }

  #take(packet: PacketBuffer): void {
    const { bytes, start, length, view } = packet;
    const sequence = view.getUint32(start + TCP + TCP_FIELD.sequenceNumber);
    this.#nextSequence = (sequence + length - this.headerLength) >>> 0;
    this.take(packet, (bytes[start + TCP + TCP_FIELD.flags]! & TCP_FLAG.psh) !== 0);
  }

  /** Whether the TCP header is the first packet's but for what differs between segments. */
  #hasSameHeader({ bytes, start, view }: PacketBuffer): boolean {
    const { bytes: firstBytes, start: from, view: first } = this.packet(0);
    const flags = TCP + TCP_FIELD.flags;
    if ((bytes[start + flags]! & ~TCP_FLAG.psh) !== firstBytes[from + flags]) return false;
    if (bytes[start + flags - 1] !== firstBytes[from + flags - 1]) return false;
    return isSame(view, start, first, from, TCP, TCP + TCP_FIELD.sequenceNumber) &&
      isSame(view, start, first, from, ACKNOWLEDGMENT, TCP + TCP_FIELD.dataOffset) &&
      isSame(view, start, first, from, TCP + TCP_FIELD.window, TCP + TCP_FIELD.checksum) &&
      isSame(view, start, first, from, TCP + TCP_FIELD.urgentPointer, this.headerLength);
  }

  /** Right, and in the form that whoever computes it anew writes. */
  #isChecksumUsual(packet: PacketBuffer): boolean {
    const { start, view } = packet;
    return view.getUint16(start + TCP + TCP_FIELD.checksum) !== 0xffff &&
      this.isChecksumRight(packet);
  }
}
