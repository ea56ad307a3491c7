/** What iperf3, ping, ip and the kernel's /proc say, read into numbers. Pure. */

import { UserError } from "../base/errors.ts";
import type { FlowReading } from "./meter.ts";

/** One trial with UDP. */
export interface UdpReading {
  readonly sent: number;
  readonly received: number;
  /** Gaps in the numbers of what was received. */
  readonly lost: number;
  readonly seconds: number;
}

/** A sum at the end of a report of iperf3; UDP alone counts packets. */
interface IperfSum {
  readonly seconds: number;
  readonly bytes: number;
  readonly bits_per_second: number;
  readonly packets?: number;
  readonly lost_packets?: number;
}

interface IperfEnd {
  readonly sum_sent: IperfSum;
  readonly sum_received: IperfSum;
}

/** What the receiver saw of TCP, in a report of `iperf3 --json`. @throws {UserError} If nothing. */
export function readIperfTcp(json: string): FlowReading {
  const { bytes, bits_per_second: bitsPerSecond } = endOf(json).sum_received;
  return { octets: bytes, bitsPerSecond };
}

/**
 * What came through of UDP, in a report of `iperf3 --udp --json`. What is still on its way when the
 * sender ends is neither received nor lost.
 *
 * @param payloadOctets Octets of UDP payload in each packet.
 * @throws {UserError} When there is no result.
 */
export function readIperfUdp(json: string, payloadOctets: number): UdpReading {
  const { sum_sent: sent, sum_received: received } = endOf(json);
  return {
    sent: sent.packets ?? 0,
    received: received.bytes / payloadOctets,
    lost: received.lost_packets ?? 0,
    seconds: sent.seconds,
  };
}

/** @throws {UserError} When the report has no end, as that of a test that was broken off. */
function endOf(json: string): IperfEnd {
  const { end, error } = JSON.parse(json) as { end?: Partial<IperfEnd>; error?: string };
  const { sum_sent, sum_received } = end ?? {};
  if (sum_sent !== undefined && sum_received !== undefined) return { sum_sent, sum_received };
  throw new UserError(`iperf3 came to no result (${error ?? "no reason given"}). Run it again.`);
}

/** The times in what ping(8) prints, in milliseconds. */
export function readPing(text: string): number[] {
  return [...text.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

/** Units of `readProcessorSeconds` per second: USER_HZ, the same on every Linux we run on. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor, user and system, all threads, in /proc/PID/stat (proc(5)). */
export function readProcessorSeconds(stat: string): number {
  // The name in parentheses may contain anything, spaces too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const utime = Number(fields[11]);
  const stime = Number(fields[12]);
  return (utime + stime) / TICKS_PER_SECOND;
}

/** Seconds in which the processors of the machine worked for it, in /proc/stat (proc(5)). */
export function readBusySeconds(stat: string): number {
  const line = /^cpu +(.*)$/m.exec(stat)?.[1] ?? "";
  const [user = NaN, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(" ").map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

/** Resident octets in /proc/PID/status (VmRSS). NaN when it has none, as a process that ended. */
export function readResidentOctets(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN) * 1024;
}

/** Octets that a device has sent, in what `ip -statistics -json link show` prints. */
export function readSentOctets(json: string): number {
  const links = JSON.parse(json) as { stats64?: { tx: { bytes: number } } }[];
  return links[0]?.stats64?.tx.bytes ?? 0;
}
