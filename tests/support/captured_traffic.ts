/** Kij, HIP packets and ESP packets of the captures in `tests/vectors/`, for those who decrypt. */

import { fromHex } from "../../lib/base/bytes.ts";
import { parseIpv4Header } from "../../lib/wire/ipv4.ts";
import { UDP_HEADER_LENGTH, udpLength } from "../../lib/wire/udp.ts";
import { readPcap } from "./pcap.ts";

const PROTOCOL_ESP = 50;
const PROTOCOL_UDP = 17;
const PROTOCOL_HIP = 139;

export interface CapturedTraffic {
  /** Kij, from the file beside the capture. */
  readonly kij: Uint8Array;
  /** I1, R1, I2, R2, CLOSE, CLOSE_ACK; each on an array of its own. */
  readonly hip: readonly Uint8Array[];
  /** SPI to ICV; each on an array of its own. */
  readonly esp: readonly Uint8Array[];
}

/** Reads one capture by the stem of its file name. */
export function readCapturedTraffic(capture: string): CapturedTraffic {
  const folder = new URL("../vectors/", import.meta.url);
  const file = Deno.readFileSync(new URL(`${capture}.pcap`, folder));
  const secret = Deno.readTextFileSync(new URL(`${capture}.dh-secret.txt`, folder));
  const hip: Uint8Array[] = [];
  const esp: Uint8Array[] = [];
  for (const { ipPacket } of readPcap(file)) {
    const { headerLength, totalLength, protocol } = parseIpv4Header(ipPacket);
    const payload = ipPacket.slice(headerLength, totalLength);
    if (protocol === PROTOCOL_HIP) hip.push(payload);
    if (protocol === PROTOCOL_ESP) esp.push(payload);
    if (protocol !== PROTOCOL_UDP) continue;
    const datagram = payload.slice(UDP_HEADER_LENGTH, udpLength(payload));
    // Four zero octets where ESP has its SPI mark a HIP packet (RFC 9028 §4.1).
    const isHip = datagram.subarray(0, 4).every((octet) => octet === 0);
    if (isHip) hip.push(datagram.slice(4));
    else esp.push(datagram);
  }
  return { kij: fromHex(secret), hip, esp };
}
