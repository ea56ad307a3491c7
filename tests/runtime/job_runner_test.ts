/** The job runner with workers that do as they are told by `fixtures/tame_worker.ts`. */

import assert from "node:assert/strict";
import { openLibcryptoPublicKeys } from "../../ffi/libcrypto_public_keys.ts";
import type { Job, SignPacketJob, SolvePuzzleJob } from "../../lib/hip/jobs.ts";
import { verifyHipSignature } from "../../lib/hip/packet_verifier.ts";
import { MAX_QUEUED_JOBS, WorkerJobRunner } from "../../lib/runtime/job_runner.ts";
import type { JobDone } from "../../lib/runtime/ports.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { testIdentity } from "../support/identities.ts";

const TAME_WORKER = new URL("./fixtures/tame_worker.ts", import.meta.url);

/** A job on the puzzle worker that takes `ms` milliseconds, or kills it when negative. */
function puzzle(ms: number): SolvePuzzleJob {
  const empty = new Uint8Array(0);
  return {
    kind: "solve-puzzle",
    rhash: "sha256",
    randomI: empty,
    initiatorHit: empty,
    responderHit: empty,
    difficultyK: 20,
    firstJ: empty,
    tries: ms,
  };
}

/** A job on the public-key worker; 255 throws there. */
function signature(packetType: number): SignPacketJob {
  const empty = new Uint8Array(0);
  const identity = { algorithm: 7, hostIdentity: empty, privateKey: empty, hit: empty };
  return {
    kind: "sign-packet",
    seed: empty,
    identity,
    packetType,
    senderHit: empty,
    receiverHit: empty,
    parameters: [],
    mac: undefined,
  };
}

/** Submits `jobs` as 1, 2, ... and collects as many answers, in the order in which they came. */
async function runAll(runner: WorkerJobRunner, jobs: readonly Job[]): Promise<JobDone[]> {
  const done: JobDone[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  runner.onDone(() => {
    for (let one = runner.poll(); one; one = runner.poll()) done.push(one);
    if (done.length === jobs.length) resolve();
  });
  jobs.forEach((job, i) => runner.submit({ id: i + 1, job }));
  await promise;
  assert.equal(runner.pending, 0);
  return done;
}

async function withRunner(test: (runner: WorkerJobRunner) => Promise<void>): Promise<void> {
  const runner = new WorkerJobRunner({ workerUrl: TAME_WORKER });
  try {
    await test(runner);
  } finally {
    runner.close();
  }
}

Deno.test("Jobs of a kind finish in the order in which they came, also before the workers loaded", async () => {
  await withRunner(async (runner) => {
    const done = await runAll(runner, [1, 2, 3, 4, 5].map(signature));
    assert.deepEqual(done.map((one) => one.id), [1, 2, 3, 4, 5]);
    await runner.ready;
  });
});

Deno.test("A long puzzle does not delay a signature", async () => {
  await withRunner(async (runner) => {
    await runner.ready;
    const done = await runAll(runner, [puzzle(300), signature(1)]);
    assert.deepEqual(done.map((one) => one.id), [2, 1]);
  });
});

Deno.test("A hard puzzle has a thread of its own, which is not there before the first one; an easy one has none", async () => {
  await withRunner(async (runner) => {
    await runner.ready;
    const easy = await runAll(runner, [{ ...puzzle(200), difficultyK: 8 }, signature(1)]);
    assert.deepEqual(easy.map(({ id }) => id), [1, 2]);
    const hard = await runAll(runner, [puzzle(200), signature(1)]);
    assert.deepEqual(hard.map(({ id }) => id), [2, 1]);
  });
});

Deno.test("A job that throws fails by name and its worker goes on", async () => {
  await withRunner(async (runner) => {
    const done = await runAll(runner, [signature(255), signature(1)]);
    assert.deepEqual(done.map((one) => one.result.kind), ["failed", "sign-packet"]);
    assert.ok(done[0]!.result.kind === "failed" && done[0]!.result.reason === "hip-job-failed");
  });
});

Deno.test("A worker that dies loses its job alone; a new one takes the rest", async () => {
  await withRunner(async (runner) => {
    await runner.ready;
    const done = await runAll(runner, [puzzle(0), puzzle(-1), puzzle(0)]);
    const byId = new Map(done.map((one) => [one.id, one.result]));
    assert.equal(byId.get(1)!.kind, "solve-puzzle");
    const lost = byId.get(2)!;
    assert.ok(lost.kind === "failed" && lost.reason === "hip-job-failed");
    assert.equal(byId.get(3)!.kind, "solve-puzzle");
  });
});

Deno.test("A queue that is full fails later jobs as busy, and each job is answered once", async () => {
  await withRunner(async (runner) => {
    await runAll(runner, [puzzle(0)]);
    const count = MAX_QUEUED_JOBS + 10;
    const done = await runAll(runner, Array.from({ length: count }, () => puzzle(0)));
    const busy = done.filter(({ result }) =>
      result.kind === "failed" && result.reason === "hip-busy"
    );
    // One runs already, and so is not in the queue.
    assert.equal(busy.length, count - MAX_QUEUED_JOBS - 1);
    assert.equal(new Set(done.map((one) => one.id)).size, count);
  });
});

Deno.test("Workers that cannot be loaded are reported, and jobs fail instead of waiting", async () => {
  const runner = new WorkerJobRunner({
    workerUrl: new URL("./fixtures/no_such_worker.ts", import.meta.url),
  });
  await assert.rejects(runner.ready, /Cannot start the worker/);
  const [done] = await runAll(runner, [signature(1)]);
  assert.ok(done!.result.kind === "failed" && done!.result.reason === "hip-job-failed");
  runner.close();
});

Deno.test("Why a worker does not load is told: a library with wrong answers stops the start", async () => {
  const runner = new WorkerJobRunner({
    workerUrl: new URL("./fixtures/distrustful_worker.ts", import.meta.url),
  });
  await assert.rejects(runner.ready, /worker for public keys: .*wrong answer to a known question/);
  runner.close();
});

const LIBCRYPTO = openLibcryptoPublicKeys();
const REAL_WORKERS: readonly [string, URL, provider: string][] = [
  [
    "portable",
    new URL("../../lib/runtime/portable_job_worker.ts", import.meta.url),
    "portable",
  ],
  [
    "with libcrypto where it is",
    new URL("../../job_worker.ts", import.meta.url),
    LIBCRYPTO === undefined ? "portable" : "libcrypto",
  ],
];

for (const [name, workerUrl, provider] of REAL_WORKERS) {
  Deno.test(`The program's own workers load, say who computes, and answer: ${name}`, async () => {
    const runner = new WorkerJobRunner({ workerUrl });
    try {
      await runner.ready;
      assert.equal(runner.publicKeys, provider);
      const hits = { initiatorHit: new Uint8Array(16), responderHit: new Uint8Array(16) };
      const widths = { randomI: new Uint8Array(32), firstJ: new Uint8Array(32) };
      const [alice, bob] = [testIdentity("ecdsa-p256", "alice"), testIdentity("rsa", "bob")];
      const done = await runAll(runner, [
        { ...puzzle(10), ...hits, ...widths },
        ...[alice, bob].map((identity): Job => ({
          ...signature(PACKET.NOTIFY),
          seed: new Uint8Array(32),
          identity,
          senderHit: identity.hit,
          receiverHit: new Uint8Array(16),
        })),
      ]);
      const results = new Map(done.map((one) => [one.id, one.result]));
      assert.equal(results.get(1)!.kind, "solve-puzzle");
      for (const [id, signer] of [[2, alice], [3, bob]] as const) {
        const signed = results.get(id)!;
        assert.ok(signed.kind === "sign-packet");
        assert.ok(verifyHipSignature(parseHipPacket(signed.packet), signer));
      }
    } finally {
      runner.close();
    }
  });
}
