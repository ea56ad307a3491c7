/**
 * Throughput and round trips over the two paths to the server: its raw address over veth, and its
 * HIT through both agents. Rounds alternate, so that a neighbour's load meets both alike.
 */

import { UserError } from "../base/errors.ts";
import { type FlowDirection, METER_PORT } from "../lab/meter.ts";
import { type AgentPair, type BenchBed, connect, RAW_ADDRESS, USUAL_KIND } from "./bench_bed.ts";
import { median, percentile } from "./bench_statistics.ts";

const IPERF_PORT = 5201;

/** One direction of TCP; bits per second, medians over all rounds. */
export interface ThroughputRow {
  readonly direction: FlowDirection;
  readonly raw: number;
  readonly hip: number;
}

export interface ThroughputReport {
  /** "iperf3" or "built-in". */
  readonly tool: string;
  readonly rounds: number;
  readonly secondsEach: number;
  readonly rows: readonly ThroughputRow[];
}

/** Milliseconds. */
export interface RoundTrips {
  readonly median: number;
  readonly p99: number;
}

export interface PingReport {
  /** "ping" or "built-in" (TCP). */
  readonly tool: string;
  /** On each path. */
  readonly count: number;
  readonly raw: RoundTrips;
  readonly hip: RoundTrips;
}

export async function measureThroughput(
  bed: BenchBed,
  { rounds, secondsEach }: { readonly rounds: number; readonly secondsEach: number },
  progress: (step: string) => void,
): Promise<ThroughputReport> {
  const pair = await bed.pair({ kind: USUAL_KIND });
  await connect(pair);
  const tool = await bed.has("iperf3") ? "iperf3" : "built-in";
  const measure = tool === "iperf3" ? iperf : builtInFlow;
  if (tool === "iperf3") await startIperf(bed);
  else await startMeter(bed);
  const directions: FlowDirection[] = ["upload", "download"];
  const samples = directions.map((direction) => ({
    direction,
    raw: [] as number[],
    hip: [] as number[],
  }));
  for (let round = 1; round <= rounds; round++) {
    for (const { direction, raw, hip } of samples) {
      progress(`${direction}, round ${round} of ${rounds}`);
      raw.push(await measure(bed, RAW_ADDRESS, direction, secondsEach));
      hip.push(await measure(bed, pair.serverHit, direction, secondsEach));
    }
  }
  const rows = samples.map(({ direction, raw, hip }) => ({
    direction,
    raw: median(raw),
    hip: median(hip),
  }));
  return { tool, rounds, secondsEach, rows };
}

export async function measurePing(
  bed: BenchBed,
  { rounds, countEach }: { readonly rounds: number; readonly countEach: number },
  progress: (step: string) => void,
): Promise<PingReport> {
  const pair = await bed.pair({ kind: USUAL_KIND });
  await connect(pair);
  const tool = await bed.has("ping") ? "ping" : "built-in";
  if (tool === "built-in") await startMeter(bed);
  await roundTrips(bed, pair.serverHit, countEach); // the first ones are of cold code
  const raw: number[] = [];
  const hip: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`);
    raw.push(...await roundTrips(bed, RAW_ADDRESS, countEach));
    hip.push(...await roundTrips(bed, pair.serverHit, countEach));
  }
  const summary = (times: number[]) => ({ median: median(times), p99: percentile(times, 99) });
  return { tool, count: rounds * countEach, raw: summary(raw), hip: summary(hip) };
}

/** Round trips from the client to an address, in milliseconds. */
export async function roundTrips(bed: BenchBed, address: string, count: number): Promise<number[]> {
  const { client } = bed.lab;
  if (!await bed.has("ping")) {
    const command = [...bed.self, "lab-meter", "--to", address, "--echoes", String(count)];
    return JSON.parse(await outputOf(client.run(command, { timeoutMs: 60_000 }))) as number[];
  }
  const command = ["ping", "-n", "-i", "0.005", "-c", String(count), address];
  return pingTimes(await outputOf(client.run(command, { timeoutMs: 60_000 })));
}

/** The times in what ping(8) prints, in milliseconds. */
export function pingTimes(text: string): number[] {
  return [...text.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

/** Makes the meter serve in the server. @returns Its process id. */
export async function startMeter(bed: BenchBed): Promise<number> {
  return (await bed.serve([...bed.self, "lab-meter"], METER_PORT)).pid;
}

async function startIperf(bed: BenchBed): Promise<void> {
  await bed.serve(["iperf3", "--server"], IPERF_PORT);
}

type MeasureFlow = (
  bed: BenchBed,
  address: string,
  direction: FlowDirection,
  seconds: number,
) => Promise<number>;

const iperf: MeasureFlow = async (bed, address, direction, seconds) => {
  const command = ["iperf3", "--client", address, "--time", String(seconds), "--json"];
  const reverse = direction === "download" ? ["--reverse"] : [];
  const timeoutMs = (seconds + 20) * 1000;
  return receivedBits(await outputOf(bed.lab.client.run([...command, ...reverse], { timeoutMs })));
};

/** Bits per second that the receiver saw, in the report of iperf3. */
export function receivedBits(json: string): number {
  const report = JSON.parse(json) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second;
}

const builtInFlow: MeasureFlow = async (bed, address, direction, seconds) => {
  const command = ["lab-meter", "--to", address, `--${direction}`, String(seconds)];
  const timeoutMs = (seconds + 20) * 1000;
  return Number(await outputOf(bed.lab.client.run([...bed.self, ...command], { timeoutMs })));
};

async function outputOf(
  running: Promise<{ code: number; stdout: string; stderr: string }>,
): Promise<string> {
  const { code, stdout, stderr } = await running;
  if (code === 0) return stdout;
  const problem = (stderr.trim() || stdout.trim()).split("\n").pop() ?? "";
  throw new UserError(`a measurement failed with code ${code} (${problem}). Run it again.`);
}

/** Sends enough through the tunnel that everything that grows with use has grown. */
export async function exercise(bed: BenchBed, pair: AgentPair, seconds: number): Promise<void> {
  await connect(pair);
  if (await bed.has("iperf3")) {
    await startIperf(bed);
    await iperf(bed, pair.serverHit, "upload", seconds);
  } else {
    await startMeter(bed);
    await builtInFlow(bed, pair.serverHit, "upload", seconds);
  }
}
