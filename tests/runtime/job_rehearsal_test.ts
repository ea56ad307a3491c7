/** The rehearsal does real jobs, and a worker does it only when nobody waits. */

import assert from "node:assert/strict";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { Job } from "../../lib/hip/jobs.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { rehearseExchanges, rehearsePuzzles } from "../../lib/runtime/job_rehearsal.ts";

const random = () => new SeededRandom(new Uint8Array(32).fill(3));

Deno.test("rehearsals run every job of a base exchange to its success, one per step", () => {
  const kinds: string[] = [];
  const run = (job: Job) => {
    kinds.push(job.kind);
    return runJob(job);
  };
  let steps = 0;
  for (const _ of rehearseExchanges(run, random())) steps++;
  for (const _ of rehearsePuzzles(run, random())) steps++;
  assert.equal(steps, kinds.length);
  const exchange = ["build-r1", "verify-r1", "build-i2", "accept-i2", "verify-r2"];
  assert.deepEqual(new Set(kinds), new Set([...exchange, "solve-puzzle"]));
});

Deno.test("a rehearsal stops at the first job that goes wrong", () => {
  const fail = () => ({ kind: "failed", reason: "hip-job-failed", detail: "no" }) as const;
  assert.throws(() => rehearseExchanges(fail, random()).next(), /Cannot rehearse build-r1/);
});
