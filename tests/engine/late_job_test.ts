/** Jobs that wait long, and keys that nobody wants any more when they come. */

import assert from "node:assert/strict";
import { isAllZero } from "../../lib/base/bytes.ts";
import { seconds } from "../../lib/base/time.ts";
import type { Job, JobResult } from "../../lib/hip/jobs.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";

function makePair(maxAssociations = 4096): EnginePair {
  const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1);
  const options = { settings: { maxAssociations } };
  const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2, options);
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  return pair;
}

function secretsOf(result: JobResult | undefined): Uint8Array[] {
  assert.ok(result?.kind === "build-i2" || result?.kind === "accept-i2");
  return [result.keymat.prk, ...Object.values(result.hipKeys) as Uint8Array[]];
}

Deno.test("an I2 can be worked on when its R1 was retired and wiped while the job waited", () => {
  const pair = makePair();
  let waiting: Job | undefined;
  pair.tamper = (job, result, at) => {
    if (at !== pair.b || job.kind !== "accept-i2") return result;
    waiting = job;
    return undefined;
  };
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  pair.tamper = (_, result) => result;
  pair.advance(seconds(1000));
  assert.ok(waiting);
  assert.equal(runJob(waiting).kind, "accept-i2");
});

Deno.test("keys of an I2 for which there is no room are overwritten", () => {
  const pair = makePair(0);
  let accepted: JobResult | undefined;
  pair.tamper = (_, result) => {
    if (result.kind === "accept-i2") accepted = result;
    return result;
  };
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  assert.ok(secretsOf(accepted).every(isAllZero));
});

Deno.test("keys for an I2 that came too late to be sent are overwritten", () => {
  const pair = makePair();
  let built: JobResult | undefined;
  pair.tamper = (_, result, at) => {
    if (at !== pair.a || result.kind !== "build-i2") return result;
    built = result;
    pair.a.engine.close(pair.now, pair.b.hit);
    return result;
  };
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  assert.ok(secretsOf(built).every(isAllZero));
});
