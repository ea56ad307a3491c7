/** The slow twin of `PacketCutter`: builds every segment anew from the fields of the whole. */

import { TCP_FIELD } from "../../lib/wire/tcp.ts";
import { ipAddresses, ipHeaderLength, tcpPacket } from "./tcp_packets.ts";

const FIN = 1;
const PSH = 8;
const CWR = 128;

/** The segments of `gsoSize` octets that a TCP packet made by `tcpPacket` stands for. */
export function slowSegments(packet: Uint8Array, gsoSize: number): Uint8Array[] {
  const at = ipHeaderLength(packet);
  const family = at === 40 ? 6 : 4;
  const view = new DataView(packet.buffer, packet.byteOffset);
  const headerLength = (packet[at + TCP_FIELD.dataOffset]! >>> 4) * 4;
  const payload = packet.subarray(at + headerLength);
  const count = Math.ceil(payload.length / gsoSize);
  return Array.from({ length: count }, (_, i) => {
    let flags = packet[at + TCP_FIELD.flags]!;
    if (i > 0) flags &= ~CWR;
    if (i < count - 1) flags &= ~(FIN | PSH);
    return tcpPacket({
      family,
      ...ipAddresses(packet),
      sourcePort: view.getUint16(at),
      sequence: Number(
        BigInt.asUintN(32, BigInt(view.getUint32(at + 4)) + BigInt(i) * BigInt(gsoSize)),
      ),
      acknowledgment: view.getUint32(at + 8),
      flags,
      window: view.getUint16(at + 14),
      urgentPointer: view.getUint16(at + 18),
      options: packet.slice(at + 20, at + headerLength),
      trafficClass: family === 6 ? (view.getUint16(0) >>> 4) & 0xff : packet[1]!,
      hopLimit: packet[family === 6 ? 7 : 8]!,
      identification: family === 6 ? 0 : (view.getUint16(4) + i) & 0xffff,
      payload: payload.slice(i * gsoSize, (i + 1) * gsoSize),
    });
  });
}
