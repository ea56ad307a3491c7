/**
 * A thousand random lives of a pair of hosts; see `life.ts`. HIP_SEED=N plays the one of seed N
 * alone, on this thread.
 */

import { strict as assert } from "node:assert";
import { type Life, playLife } from "./life.ts";
import type { LifeReport } from "./life_worker.ts";

const SEEDS = 1000;

/** Each plays one life at a time; the first takes longest, since its code is still cold. */
const WORKERS = Math.min(4, navigator.hardwareConcurrency);

/** One worker until no seed is left or a life has failed. */
async function playSome(next: () => number | undefined, report: (life: Life) => void) {
  const worker = new Worker(new URL("life_worker.ts", import.meta.url), { type: "module" });
  try {
    for (let seed = next(); seed !== undefined; seed = next()) {
      const told = await new Promise<LifeReport>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(`seed ${seed}: ${event.message}`));
        };
        worker.postMessage(seed);
      });
      if ("failure" in told) throw new Error(told.failure);
      report(told.life);
    }
  } finally {
    worker.terminate();
  }
}

function summary(lives: readonly Life[], seconds: number): string {
  const sum = (of: (life: Life) => number) => lives.reduce((total, life) => total + of(life), 0);
  const ends = new Map<string, number>();
  for (const { end } of lives) ends.set(end, (ends.get(end) ?? 0) + 1);
  const hours = sum(({ virtualTime }) => virtualTime) / 3_600_000;
  const lines = [...ends].sort(([, a], [, b]) => b - a)
    .map(([end, count]) => `${count.toString().padStart(8)}  ${end}`);
  return [
    `${lives.length} lives: ${sum(({ packets }) => packets)} packets, ${hours.toFixed(0)} hours, ` +
    `in ${seconds.toFixed(1)} s on ${WORKERS} threads; when they came to rest they were`,
    ...lines,
  ].join("\n");
}

const wanted = Deno.env.get("HIP_SEED");

if (wanted === undefined) {
  Deno.test(`a thousand lives with 20 % loss, packets twice and out of order: every pair ends ESTABLISHED or says why not, data passes again, and when they have parted no timer, job, packet, SPI or key is left`, async () => {
    const started = performance.now();
    const lives: Life[] = [];
    let seed = 1;
    const next = () => seed <= SEEDS ? seed++ : undefined;
    const stop = () => seed = SEEDS + 1;
    const work = () =>
      playSome(next, (life) => lives.push(life)).catch((error) => {
        stop();
        throw error;
      });
    await Promise.all(Array.from({ length: WORKERS }, work));
    assert.equal(lives.length, SEEDS);
    const told = summary(lives, (performance.now() - started) / 1000);
    console.log(told);
    // For `tools/run_tests.ts`, whose reporter passes over what tests print.
    await Deno.mkdir("dist", { recursive: true });
    await Deno.writeTextFile("dist/lives.txt", `${told}\n`);
    const count = (has: (end: string) => boolean) => lives.filter(({ end }) => has(end)).length;
    // Not all on one side, or nothing was shown.
    assert.ok(count((end) => end === "ESTABLISHED") > SEEDS / 2);
    for (const why of ["restarted", "CLOSE_ACK received", "the peer did not answer I2"]) {
      assert.ok(count((end) => end.includes(why)) > 0, `nobody ended as "${why}"`);
    }
  });
} else {
  Deno.test(`the life of seed ${wanted}`, () => {
    playLife(Number(wanted));
  });
}
