/** The HIP packets of the two captures in `tests/vectors`. */

import { parseIpv4Header } from "../../lib/wire/ipv4.ts";
import { UDP_HEADER_LENGTH, udpDestinationPort, udpLength } from "../../lib/wire/udp.ts";
import { readPcap } from "./pcap.ts";

export const CAPTURES = [
  "hipv2-rsa2048-dh7-esp8-ipv4",
  "hipv2-ecdsa-p384-dh8-esp9-udp",
] as const;

export interface CapturedHipPacket {
  readonly capture: string;
  /** From the HIP header on. */
  readonly bytes: Uint8Array;
  /** Outer addresses, IPv4-mapped. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Inside UDP the checksum of the HIP header is zero. */
  readonly isUdp: boolean;
}

/** HIP packets in the order sent, out of raw IPv4 or of UDP port 10500. */
export function capturedHipPackets(capture: string): CapturedHipPacket[] {
  const file = Deno.readFileSync(new URL(`../vectors/${capture}.pcap`, import.meta.url));
  const packets: CapturedHipPacket[] = [];
  for (const { ipPacket } of readPcap(file)) {
    const { headerLength, totalLength, protocol, source, destination } = parseIpv4Header(ipPacket);
    const payload = ipPacket.subarray(headerLength, totalLength);
    const found = { capture, source, destination };
    if (protocol === 139) {
      packets.push({ ...found, bytes: payload, isUdp: false });
    } else if (protocol === 17 && udpDestinationPort(payload) === 10500) {
      const datagram = payload.subarray(UDP_HEADER_LENGTH, udpLength(payload));
      const isHip = datagram.subarray(0, 4).every((octet) => octet === 0);
      if (isHip) packets.push({ ...found, bytes: datagram.subarray(4), isUdp: true });
    }
  }
  return packets;
}
