/**
 * Consecutive UDP datagrams of one flow and one size, of which the last may be shorter, to become one
 * super-segment. They agree in all but length and checksum.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, isIpv6Packet, NEXT_HEADER } from "./ipv6.ts";
import { isSame, PacketRun } from "./packet_run.ts";
import { UDP_FIELD, UDP_HEADER_LENGTH } from "./udp.ts";
import { GSO, type VirtioNetHeader } from "./virtio_net_header.ts";

const UDP = IPV6_HEADER_LENGTH;
const PAYLOAD = UDP + UDP_HEADER_LENGTH;

export class UdpRun extends PacketRun {
  /** Whether the first packet's checksum is known to be right: looked at when a second one comes. */
  #isFirstJudged = false;

  override begin(packet: PacketBuffer): boolean {
    this.clear();
    const { bytes, start, end, length } = packet;
    if (length <= PAYLOAD || !isIpv6Packet(bytes, start, end)) return false;
    if (bytes[start + IPV6_FIELD.nextHeader] !== NEXT_HEADER.udp) return false;
    if (!isWhole(packet)) return false;
    this.start(packet, NEXT_HEADER.udp, PAYLOAD);
    this.#isFirstJudged = false;
    this.take(packet, false);
    return true;
  }

  override append(packet: PacketBuffer): boolean {
    if (!this.mayFollow(packet) || !this.hasSameIpv6Header(packet)) return false;
    const { start, view } = packet;
    const first = this.packet(0);
    if (!isSame(view, start, first.view, first.start, UDP, UDP + UDP_FIELD.length)) return false;
    if (!isWhole(packet) || !this.isChecksumRight(packet)) return false;
    if (!this.#isFirstJudged && !this.isChecksumRight(first)) return false;
    this.#isFirstJudged = true;
    this.take(packet, false);
    return true;
  }

  override finish(header: VirtioNetHeader): void {
    const { start, view } = this.packet(0);
    const length = this.finishAs(GSO.udp, UDP_FIELD.checksum, header);
    view.setUint16(start + UDP + UDP_FIELD.length, length);
  }
}

/** Whether it is as long as it says, and has a checksum, which IPv6 demands (RFC 8200 §8.1). */
function isWhole({ start, end, view }: PacketBuffer): boolean {
  return view.getUint16(start + UDP + UDP_FIELD.length) === end - start - UDP &&
    view.getUint16(start + UDP + UDP_FIELD.checksum) !== 0;
}
