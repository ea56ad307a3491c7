/** The packets of the two captures in `tests/vectors`, and the Kij that came with them. */

import { fromHex } from "../../lib/base/bytes.ts";
import { HIP_PROTOCOL } from "../../lib/wire/hip/packet.ts";
import { parseIpv4Header } from "../../lib/wire/ipv4.ts";
import { NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { UDP_HEADER_LENGTH, udpLength } from "../../lib/wire/udp.ts";
import { readPcap } from "./pcap.ts";

export const CAPTURES = [
  "hipv2-rsa2048-dh7-esp8-ipv4",
  "hipv2-ecdsa-p384-dh8-esp9-udp",
] as const;

export interface CapturedHipPacket {
  /** From the HIP header on. */
  readonly bytes: Uint8Array;
  /** Outer addresses, IPv4-mapped. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Inside UDP the checksum of the HIP header is zero. */
  readonly isUdp: boolean;
}

export interface Capture {
  /** Kij, from the file beside the capture. */
  readonly kij: Uint8Array;
  /** I1, R1, I2, R2, CLOSE, CLOSE_ACK. */
  readonly hip: readonly CapturedHipPacket[];
  /** SPI to ICV; each on an array of its own. */
  readonly esp: readonly Uint8Array[];
}

/** Reads one capture: packets in the order sent, out of raw IPv4 or of UDP. */
export function readCapture(name: (typeof CAPTURES)[number]): Capture {
  const folder = new URL("../vectors/", import.meta.url);
  const file = Deno.readFileSync(new URL(`${name}.pcap`, folder));
  const secret = Deno.readTextFileSync(new URL(`${name}.dh-secret.txt`, folder));
  const hip: CapturedHipPacket[] = [];
  const esp: Uint8Array[] = [];
  for (const { ipPacket } of readPcap(file)) {
    const { headerLength, totalLength, protocol, source, destination } = parseIpv4Header(ipPacket);
    const payload = ipPacket.slice(headerLength, totalLength);
    if (protocol === HIP_PROTOCOL) hip.push({ bytes: payload, source, destination, isUdp: false });
    if (protocol === NEXT_HEADER.esp) esp.push(payload);
    if (protocol !== NEXT_HEADER.udp) continue;
    const datagram = payload.slice(UDP_HEADER_LENGTH, udpLength(payload));
    // Four zero octets where ESP has its SPI mark a HIP packet (RFC 9028 §4.1).
    const isHip = datagram.subarray(0, 4).every((octet) => octet === 0);
    if (isHip) hip.push({ bytes: datagram.slice(4), source, destination, isUdp: true });
    else esp.push(datagram);
  }
  return { kij: fromHex(secret), hip, esp };
}
