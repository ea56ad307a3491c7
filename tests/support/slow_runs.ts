/**
 * The slow twin of `TcpRun`: says which packets of a list become one super-segment, from nothing but
 * the meaning of it: a super-segment that is built of them and cut up again must give the same
 * packets.
 */

import { TCP_FIELD } from "../../lib/wire/tcp.ts";
import { slowSegments } from "./slow_segments.ts";
import { ipAddresses, tcpPacket } from "./tcp_packets.ts";

const ACK = 0x10;
const PSH = 0x08;
const ECE = 0x40;
const LONGEST = 65_535;

/** A TCP segment of `tcpPacket`'s kind with data, or undefined. */
function payloadOf(packet: Uint8Array): Uint8Array | undefined {
  if (packet[0]! >>> 4 !== 6 || packet[6] !== 6 || packet.length < 60) return undefined;
  return packet.slice(40 + (packet[40 + TCP_FIELD.dataOffset]! >>> 4) * 4);
}

/** The one packet that a list of segments would be. */
export function joined(packets: readonly Uint8Array[]): Uint8Array {
  const first = packets[0]!;
  const view = new DataView(first.buffer, first.byteOffset);
  const headerLength = (first[52]! >>> 4) * 4;
  return tcpPacket({
    family: 6,
    ...ipAddresses(first),
    sourcePort: view.getUint16(40),
    sequence: view.getUint32(44),
    acknowledgment: view.getUint32(48),
    flags: packets.at(-1)![53]!,
    window: view.getUint16(54),
    urgentPointer: view.getUint16(58),
    options: first.slice(60, 40 + headerLength),
    trafficClass: (view.getUint16(0) >>> 4) & 0xff,
    hopLimit: first[7]!,
    payload: Uint8Array.from(packets.flatMap((packet) => [...payloadOf(packet)!])),
  });
}

/** Whether the kernel, cutting them up again, would make just these packets. */
function isRun(packets: readonly Uint8Array[]): boolean {
  const payloads = packets.map(payloadOf);
  if (payloads.some((payload) => payload === undefined || payload.length === 0)) return false;
  for (const [i, packet] of packets.entries()) {
    const flags = packet[53]! & ~ECE;
    if (flags !== ACK && !(i === packets.length - 1 && flags === (ACK | PSH))) return false;
  }
  const whole = joined(packets);
  if (whole.length > LONGEST) return false;
  const segments = slowSegments(whole, payloads[0]!.length);
  return segments.length === packets.length &&
    segments.every((segment, i) => `${segment}` === `${packets[i]}`);
}

/** Splits the list into runs, each as long as it can be from its first packet on. */
export function slowRuns(packets: readonly Uint8Array[], capacity: number): Uint8Array[][] {
  const runs: Uint8Array[][] = [];
  for (const packet of packets) {
    const run = runs.at(-1);
    if (run !== undefined && run.length < capacity && isRun([...run, packet])) run.push(packet);
    else runs.push([packet]);
  }
  return runs;
}
