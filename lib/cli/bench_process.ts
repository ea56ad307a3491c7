/** What the program costs a host: time until it is ready, and memory. */

import { type BenchBed, residentOctets, USUAL_KIND } from "./bench_bed.ts";
import { exercise, startMeter } from "./bench_paths.ts";
import { median } from "./bench_statistics.ts";

/** Milliseconds, medians. */
export interface StartUpReport {
  readonly count: number;
  /** From start to ready: HITs can be bound and names resolve. */
  readonly ready: number;
  /** The same program for `hip version`: what the runtime takes. */
  readonly bare: number;
}

/** Octets resident (VmRSS), mapped parts of the executable included. */
export interface MemoryReport {
  /** The same program as a small server without HIP. */
  readonly bare: number;
  readonly idle: number;
  readonly afterTraffic: number;
  /** How long traffic ran before the last reading. */
  readonly trafficSeconds: number;
}

export async function measureStartUp(
  bed: BenchBed,
  count: number,
  progress: (step: string) => void,
): Promise<StartUpReport> {
  const ready: number[] = [];
  const bare: number[] = [];
  for (let start = 1; start <= count; start++) {
    progress(`start ${start} of ${count}`);
    const startedAt = performance.now();
    await bed.lab.client.run([...bed.self, "version"]);
    bare.push(performance.now() - startedAt);
    ready.push(await bed.startOnce());
  }
  return { count, ready: median(ready), bare: median(bare) };
}

export async function measureMemory(
  bed: BenchBed,
  trafficSeconds: number,
  progress: (step: string) => void,
): Promise<MemoryReport> {
  progress("idle");
  await bed.stopAgents(); // a fresh pair: one that has worked is not what idle means
  const pair = await bed.pair({ kind: USUAL_KIND });
  const bare = residentOctets(await startMeter(bed));
  const idle = residentOctets(pair.client.process.pid);
  progress("under traffic");
  await exercise(bed, pair, trafficSeconds);
  const afterTraffic = residentOctets(pair.client.process.pid);
  return { bare, idle, afterTraffic, trafficSeconds };
}
