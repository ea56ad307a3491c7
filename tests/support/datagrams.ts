/** Between the packets of a test's wire and the engine's buffer. */

import type { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";

/** Loads a packet as its destination receives it. */
export function loadDatagram(buffer: PacketBuffer, packet: OutgoingPacket): void {
  buffer.load(packet.bytes);
  const { path } = buffer;
  path.protocol = packet.protocol;
  path.localAddress.set(packet.destination);
  path.peerAddress.set(packet.source);
  path.trafficClass = packet.trafficClass;
  path.hopLimit = packet.hopLimit;
}
