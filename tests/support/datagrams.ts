/** Between the packets of a test's wire and the engine's buffer. */

import type { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { HIP_PROTOCOL } from "../../lib/wire/hip/packet.ts";
import { classifyUdp, HIP_UDP_PORT, ZERO_MARKER_LENGTH } from "../../lib/wire/udp_encapsulation.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";

/** A packet between two hosts. */
export interface CarriedPacket extends OutgoingPacket {
  /** The UDP port that it comes from; `HIP_UDP_PORT` when absent. */
  readonly sourcePort?: number;
}

/** The HIP packet that is on the wire, in UDP or not; undefined for anything else. */
export function hipOctets({ protocol, bytes }: OutgoingPacket): Uint8Array | undefined {
  if (protocol === HIP_PROTOCOL) return bytes;
  const isHip = protocol === NEXT_HEADER.udp && classifyUdp(bytes, 0, bytes.length) === "hip";
  return isHip ? bytes.subarray(ZERO_MARKER_LENGTH) : undefined;
}

/** Whether ESP is on the wire, in UDP or not. */
export function isEsp({ protocol, bytes }: OutgoingPacket): boolean {
  return protocol === NEXT_HEADER.esp ||
    (protocol === NEXT_HEADER.udp && classifyUdp(bytes, 0, bytes.length) === "esp");
}

/** Loads a packet as its destination receives it. */
export function loadDatagram(buffer: PacketBuffer, packet: CarriedPacket): void {
  buffer.load(packet.bytes);
  const { path } = buffer;
  path.protocol = packet.protocol;
  path.peerPort = packet.protocol === NEXT_HEADER.udp ? packet.sourcePort ?? HIP_UDP_PORT : 0;
  path.localAddress.set(packet.destination);
  path.peerAddress.set(packet.source);
  path.trafficClass = packet.trafficClass;
  path.hopLimit = packet.hopLimit;
}
