/**
 * Traffic between the hosts of a lab, and what came of it: TCP flows, UDP at a wanted rate, round
 * trips. By iperf3 and ping where they are installed; for TCP and round trips this program has a
 * meter of its own.
 */

import { UserError } from "../base/errors.ts";
import { hasTool, type Lab, SERVER_ADDRESSES } from "./lab.ts";
import type { FlowReading } from "./meter.ts";
import { readIperfTcp, readIperfUdp, readPing, type UdpReading } from "./readings.ts";
import { accepts, waitFor } from "./services.ts";

/** Which programs there are. */
export interface TrafficTools {
  readonly iperf3: boolean;
  readonly ping: boolean;
}

/** One trial with UDP over IPv6. */
export interface UdpTrial {
  /** Octets of each packet, IPv6 and UDP headers included; 64 at least. */
  readonly packetOctets: number;
  /** Packets per second; the sender may not get there. */
  readonly rate: number;
  readonly seconds: number;
}

/** IPv6 and UDP. */
const HEADER_OCTETS = 48;

/** The receiver's buffer in a trial with UDP, as far as the machine allows, in octets. */
const BUFFER_OCTETS = 2 << 20;

/** Between two echo requests of ping, in seconds. */
const PING_INTERVAL = 0.01;

/** How much longer than it should a program may take, in milliseconds. */
const GRACE_MS = 10_000;

export async function findTrafficTools(): Promise<TrafficTools> {
  return { iperf3: await hasTool("iperf3"), ping: await hasTool("ping") };
}

/** Sends from client to server. The server's ends are started when they are needed first. */
export class Traffic {
  readonly tools: TrafficTools;
  readonly #lab: Lab;
  readonly #self: readonly string[];
  readonly #port: number;
  readonly #servers = new Map<number, Deno.ChildProcess>();

  /**
   * @param self How to start this program.
   * @param port TCP and UDP port of iperf3; the meter has the one above. Two that are used in one
   *   lab need ports of their own.
   */
  constructor(lab: Lab, self: readonly string[], tools: TrafficTools, port: number) {
    this.#lab = lab;
    this.#self = self;
    this.tools = tools;
    this.#port = port;
  }

  /** So many flows of TCP at once to an address, for whole seconds. */
  async tcp(address: string, flows: number, seconds: number): Promise<FlowReading> {
    const timeoutMs = seconds * 1000 + GRACE_MS;
    if (!this.tools.iperf3) {
      await this.startMeter();
      const words = ["--flows", String(flows), "--seconds", String(seconds)];
      return JSON.parse(await this.#output(this.#meter(address, words), timeoutMs)) as FlowReading;
    }
    const words = ["--parallel", String(flows), "--time", String(seconds)];
    return readIperfTcp(await this.#output(await this.#iperf(address, words), timeoutMs));
  }

  /** Sends UDP at a rate; needs iperf3. */
  async udp(address: string, { packetOctets, rate, seconds }: UdpTrial): Promise<UdpReading> {
    const payload = packetOctets - HEADER_OCTETS;
    const command = await this.#iperf(address, [
      ...["--udp", "--length", String(payload), "--window", String(bufferOctets())],
      ...["--bitrate", String(Math.round(rate * payload * 8))],
      ...["--blockcount", String(Math.round(rate * seconds))],
    ]);
    return readIperfUdp(await this.#output(command, 10 * seconds * 1000 + GRACE_MS), payload);
  }

  /** Round trips in milliseconds; fewer than asked for where answers get lost. */
  async roundTrips(address: string, count: number): Promise<number[]> {
    if (!this.tools.ping) {
      await this.startMeter();
      const command = this.#meter(address, ["--echoes", String(count)]);
      return JSON.parse(await this.#output(command, count * 1000 + GRACE_MS)) as number[];
    }
    const words = ["-n", "-W", "1", "-i", String(PING_INTERVAL), "-c", String(count)];
    const timeoutMs = count * PING_INTERVAL * 1000 + GRACE_MS;
    const ping = ["ping", ...words, address];
    // Its code tells of lost answers too.
    return readPing((await this.#lab.client.run(ping, { timeoutMs })).stdout);
  }

  /** Makes the meter serve. @returns Its process id. */
  async startMeter(): Promise<number> {
    const port = this.#port + 1;
    return (await this.#serve([...this.#self, "lab-meter", "--port", String(port)], port)).pid;
  }

  #meter(address: string, words: readonly string[]): string[] {
    const port = String(this.#port + 1);
    return [...this.#self, "lab-meter", "--port", port, "--to", address, ...words];
  }

  async #iperf(address: string, words: readonly string[]): Promise<string[]> {
    const port = ["--port", String(this.#port)];
    await this.#serve(["iperf3", "--server", ...port], this.#port);
    return ["iperf3", "--client", address, ...port, "--json", ...words];
  }

  /** Starts a server program unless it runs; ready when it takes connections. */
  async #serve(command: readonly string[], port: number): Promise<Deno.ChildProcess> {
    const { client, server } = this.#lab;
    const known = this.#servers.get(port);
    if (known !== undefined) return known;
    const child = server.spawn(command);
    this.#servers.set(port, child);
    await waitFor(
      `the server on port ${port}`,
      () => accepts(client, SERVER_ADDRESSES.ipv6, port),
    );
    return child;
  }

  /** Runs a command in the client. @throws {UserError} When it fails. */
  async #output(command: readonly string[], timeoutMs: number): Promise<string> {
    const { code, stdout, stderr } = await this.#lab.client.run(command, { timeoutMs });
    if (code === 0) return stdout;
    // iperf3 tells of its errors in JSON too.
    const told = /"error":\s*"([^"]*)"/.exec(stdout)?.[1];
    const problem = told ?? (stderr.trim() || stdout.trim()).split("\n").pop() ?? "";
    throw new UserError(`a measurement failed with code ${code} (${problem}). Run it again.`);
  }
}

/** What the machine allows; iperf3 refuses to go on with less than it asked for. */
function bufferOctets(): number {
  const limits = ["rmem_max", "wmem_max"].map((name) =>
    Number(Deno.readTextFileSync(`/proc/sys/net/core/${name}`))
  );
  return Math.min(BUFFER_OCTETS, ...limits);
}
