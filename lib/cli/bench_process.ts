/** What the program costs a host before it has done anything: time until ready, and memory. */

import { type BenchBed, residentOctets } from "./bench_bed.ts";
import { RAW } from "./bench_figures.ts";
import { HIP, type Measured } from "./bench_report.ts";

export async function measureStartUp(
  bed: BenchBed,
  count: number,
  progress: (step: string) => void,
): Promise<Measured> {
  const bareTimes: number[] = [];
  const times: number[] = [];
  const memory: number[] = [];
  for (let start = 1; start <= count; start++) {
    progress(`start ${start} of ${count}`);
    const startedAt = performance.now();
    await bed.lab.client.run([...bed.self, "version"]);
    bareTimes.push(performance.now() - startedAt);
    const { startUpMs, residentOctets } = await bed.startOnce();
    times.push(startUpMs);
    memory.push(residentOctets / 1e6);
  }
  const bareMemory = residentOctets(await bed.traffic.startMeter()) / 1e6;
  const measure = { time: "start to ready", memory: "memory when ready" };
  return {
    samples: [
      { measure: measure.time, subject: RAW, unit: "ms", values: bareTimes },
      { measure: measure.time, subject: HIP, unit: "ms", values: times },
      { measure: measure.memory, subject: RAW, unit: "MB", values: [bareMemory] },
      { measure: measure.memory, subject: HIP, unit: "MB", values: memory },
    ],
    method: `Start to ready: names resolve and HITs can be bound, median of ${count}; raw is ` +
      '"hip version". Memory when ready: VmRSS, the pages of the executable included; raw is ' +
      "the same runtime as a small server without HIP.",
  };
}
