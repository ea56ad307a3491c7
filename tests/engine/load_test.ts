/** The engine under load: harder puzzles while it lasts, easy ones again afterwards. */

import assert from "node:assert/strict";
import { instant, milliseconds, seconds } from "../../lib/base/time.ts";
import type { JobResult } from "../../lib/hip/jobs.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, parseHipPacket, setChecksum } from "../../lib/wire/hip/packet.ts";
import { PUZZLE } from "../../lib/wire/hip/parameters/puzzle.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";

function makePair(settings: Partial<ControlSettings> = {}): EnginePair {
  const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1, { settings });
  const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2, { settings });
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  return pair;
}

/** The first I1 of A again, as if from many hosts. */
function floodI1s(pair: EnginePair, count: number): void {
  const i1 = pair.wire[0]!;
  for (let i = 0; i < count; i++) {
    const source = parseIpAddress(`198.18.${i >> 8}.${i & 0xff}`);
    const bytes = i1.bytes.slice();
    setChecksum(bytes, source, i1.destination);
    pair.inject(pair.b, { ...i1, source, bytes });
  }
}

/** #K of the R1 that B offers to an I1 from `source`. */
function offeredK(pair: EnginePair, source: string): number {
  const i1 = pair.wire[0]!;
  const bytes = i1.bytes.slice();
  const address = parseIpAddress(source);
  setChecksum(bytes, address, i1.destination);
  pair.b.sent.length = 0;
  pair.inject(pair.b, { ...i1, source: address, bytes });
  return parseHipPacket(pair.b.sent.at(-1)!.bytes).require(PUZZLE).difficultyK;
}

Deno.test("PUZ-022 PUZ-023 SEC-005 HLP-002 a flood of I1s makes the next puzzle harder, and silence easy again", () => {
  const pair = makePair({ puzzleDifficultyKMax: 10 });
  const { b } = pair;
  pair.ping(pair.a, b);
  assert.equal(offeredK(pair, "203.0.113.1"), 0);
  floodI1s(pair, 5000);
  b.sent.length = 0;
  assert.equal(offeredK(pair, "203.0.113.2"), 0);
  const signed = b.jobs.length;
  pair.advance(seconds(3));
  assert.equal(offeredK(pair, "203.0.113.3"), 8);
  // One signature per group.
  assert.equal(b.jobs.length - signed, 2);
  pair.advance(seconds(60));
  assert.equal(offeredK(pair, "203.0.113.4"), 0);
});

Deno.test("PUZ-014 R1M-008 an I2 that answers the easy R1 from before the flood is still taken", () => {
  const pair = makePair();
  const { a, b } = pair;
  let i2: Parameters<EnginePair["inject"]>[1] | undefined;
  pair.passes = (packet) => {
    const isI2 = (packet.bytes[HIP_FIELD.packetType]! & 0x7f) === PACKET.I2;
    if (isI2) i2 = packet;
    return !isI2;
  };
  pair.ping(a, b);
  floodI1s(pair, 5000);
  b.sent.length = 0;
  pair.advance(milliseconds(2500));
  assert.equal(offeredK(pair, "203.0.113.3"), 8);
  pair.inject(b, i2!);
  assert.equal(b.engine.association(a.hit)?.state, "R2-SENT");
});

Deno.test("an R1 whose job was lost is made a little later, and I1s are answered again", () => {
  const { engine } = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2);
  const lost: JobResult = { kind: "failed", reason: "hip-job-failed", detail: "worker died" };
  engine.start();
  for (let job = engine.pollJob(); job; job = engine.pollJob()) {
    engine.handleJobDone(instant(0), job.id, lost);
  }
  const due = engine.nextTimeout();
  assert.ok(due !== undefined && due <= seconds(1));
  engine.handleTimeout(due);
  for (let job = engine.pollJob(); job; job = engine.pollJob()) {
    engine.handleJobDone(due, job.id, runJob(job.job));
  }
  assert.equal(engine.isReady, true);
});
