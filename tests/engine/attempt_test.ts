/** One attempt at an exchange: which of several R1s, which answers of a Responder, how long. */

import assert from "node:assert/strict";
import {
  type Duration,
  elapsed,
  type Instant,
  milliseconds,
  seconds,
} from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { JobResult } from "../../lib/hip/jobs.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { NOTIFY, PACKET } from "../../lib/wire/hip/code_points.ts";
import { HIP_PROTOCOL, parseHipPacket, setChecksum } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { NOTIFICATION } from "../../lib/wire/hip/parameters/notification.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import { altered, makePair, spoilt, swallowing, typeOf } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

const ALICE = testIdentity("ecdsa-p256", "alice");
const BOB = testIdentity("ecdsa-p256", "bob");

function counterOf({ bytes }: OutgoingPacket): bigint {
  return parseHipPacket(bytes).require(R1_COUNTER).generation;
}

function stateOf({ a, b }: EnginePair): string {
  return a.engine.association(b.hit)?.state ?? "UNASSOCIATED";
}

/** R1s of Bob for Alice, older ones first, of which she has got none. */
function heldBackR1s(pair: EnginePair, span: Duration): OutgoingPacket[] {
  return swallowing(pair, PACKET.R1, () => {
    pair.a.engine.connect(pair.now, pair.b.hit);
    pair.advance(span);
  });
}

/** Bob renews his R1s every two seconds, Alice asks once per second. */
const OFTEN = { settings: { r1Lifetime: seconds(2), i1RetriesMax: 60 } };

function oftenRenewed(): EnginePair {
  return makePair(OFTEN);
}

Deno.test("R1C-017 TMR-014 after several I1s R1s are collected for two round trips, and the one of the largest counter is answered", () => {
  const pair = oftenRenewed();
  const { a } = pair;
  const r1s = heldBackR1s(pair, seconds(6));
  const [old, newer] = [r1s[0]!, r1s.at(-1)!];
  assert.ok(counterOf(old) < counterOf(newer));
  pair.passes = (packet) => typeOf(packet) !== PACKET.I1 && typeOf(packet) !== PACKET.I2;
  pair.inject(a, old);
  pair.advance(milliseconds(150));
  assert.deepEqual(a.jobs.filter(({ kind }) => kind === "verify-r1"), []);
  pair.inject(a, newer);
  pair.advance(milliseconds(50));
  const verified = a.jobs.flatMap((job) => job.kind === "verify-r1" ? [job.r1] : []);
  assert.deepEqual(verified, [newer.bytes]);
  assert.equal(stateOf(pair), "I2-SENT");
  const built = a.jobs.flatMap((job) => job.kind === "build-i2" ? [job.r1] : []);
  assert.deepEqual(built, [newer.bytes]);
});

Deno.test("an R1 that answers the only I1 is worked on at once", () => {
  const pair = makePair();
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  assert.equal(stateOf(pair), "ESTABLISHED");
});

Deno.test("R1C-019 when the R1 of the largest counter leads nowhere the others are tried: the peer's counter was reset", () => {
  const before = new EnginePair(
    new End(ALICE, "192.0.2.1", 1),
    new End(BOB, "192.0.2.2", 2, { firstR1Generation: 1000n }),
  );
  before.introduce(before.a, before.b);
  const [replayed] = swallowing(before, PACKET.R1, () => {
    before.a.engine.connect(before.now, before.b.hit);
  });
  const pair = makePair();
  const { a, b } = pair;
  const [current] = heldBackR1s(pair, milliseconds(1));
  assert.ok(counterOf(current!) < counterOf(replayed!));
  pair.inject(a, replayed!);
  pair.settle();
  pair.inject(a, current!);
  pair.settle();
  assert.equal(stateOf(pair), "I2-SENT");
  assert.ok(b.engine.status().drops["hip-old-generation"]! > 0);
  // All the tries of I2: 1, 2, 4, 4 and 4 seconds.
  pair.advance(seconds(14.9));
  assert.equal(stateOf(pair), "I2-SENT");
  pair.advance(seconds(0.2));
  assert.equal(stateOf(pair), "ESTABLISHED");
});

Deno.test("R1C-015 the counter of the R1 that was used is remembered: an older R1 waits for a better one", () => {
  const pair = oftenRenewed();
  const { a, b } = pair;
  const [old, ...more] = heldBackR1s(pair, seconds(6));
  pair.inject(a, more.at(-1)!);
  pair.advance(milliseconds(200));
  assert.equal(stateOf(pair), "ESTABLISHED");
  swallowing(pair, PACKET.CLOSE, () => a.engine.close(pair.now, b.hit));
  assert.equal(stateOf(pair), "CLOSING");
  const jobs = a.jobs.length;
  const [current] = swallowing(pair, PACKET.R1, () => pair.ping(a, b));
  assert.ok(counterOf(current!) >= counterOf(more.at(-1)!));
  pair.inject(a, old!);
  pair.settle();
  assert.deepEqual(a.jobs.slice(jobs), []);
  pair.inject(a, current!);
  pair.advance(milliseconds(200));
  assert.equal(stateOf(pair), "ESTABLISHED");
  const verified = a.jobs.slice(jobs).flatMap((job) => job.kind === "verify-r1" ? [job.r1] : []);
  assert.deepEqual(verified, [current!.bytes]);
});

Deno.test("FSM-045 in CLOSING an R1 that answers an I1 sent meanwhile leads to I2-SENT and a new association", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  swallowing(pair, PACKET.CLOSE, () => a.engine.close(pair.now, b.hit));
  assert.equal(stateOf(pair), "CLOSING");
  // The same I1 again within a moment would not be answered.
  pair.advance(milliseconds(50));
  const [r1] = swallowing(pair, PACKET.R1, () => pair.ping(a, b, 2));
  const [i2] = swallowing(pair, PACKET.I2, () => pair.inject(a, r1!));
  assert.equal(stateOf(pair), "I2-SENT");
  pair.inject(b, i2!);
  pair.settle();
  assert.equal(stateOf(pair), "ESTABLISHED");
  assert.equal(b.delivered.length, 2);
});

// ---- what a Responder says -----------------------------------------------------------------------

/** Bob answers I2s with errors as long as this has some left. */
function answering(pair: EnginePair, failures: ("hip-job-failed" | "hip-mac-failed")[]): void {
  pair.tamper = (job, result): JobResult => {
    const reason = job.kind === "accept-i2" ? failures.shift() : undefined;
    return reason === undefined ? result : { kind: "failed", reason, detail: "" };
  };
}

function sentOf(pair: EnginePair, type: number): OutgoingPacket[] {
  return pair.wire.filter((packet) => typeOf(packet) === type);
}

Deno.test("PUZ-028 NTF-024 a Responder that is busy is asked again after a while, with the solution of another puzzle", () => {
  const pair = makePair();
  const { a, b } = pair;
  answering(pair, ["hip-job-failed", "hip-job-failed"]);
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  assert.equal(stateOf(pair), "I2-SENT");
  const at = pair.now;
  pair.advance(milliseconds(999));
  assert.deepEqual([sentOf(pair, PACKET.I1).length, sentOf(pair, PACKET.I2).length], [1, 1]);
  // Twice as long after the second answer.
  while (stateOf(pair) !== "ESTABLISHED") pair.advance(milliseconds(10));
  assert.equal(elapsed(at, pair.now) - elapsed(at, pair.now) % 100, 3000);
  const i2s = sentOf(pair, PACKET.I2).map(({ bytes }) => parseHipPacket(bytes).require(SOLUTION));
  assert.equal(i2s.length, 3);
  assert.equal(new Set(i2s.map(({ randomI }) => `${randomI}`)).size, 3);
  assert.equal(new Set(i2s.map(({ solutionJ }) => `${solutionJ}`)).size, 3);
  // No state follows from a NOTIFY.
  const moves = a.events.flatMap((event) => event.kind === "state" ? [event.to] : []);
  assert.deepEqual(moves, ["I1-SENT", "I2-SENT", "I2-SENT", "I2-SENT", "ESTABLISHED"]);
});

Deno.test("a NOTIFY that a Responder is busy is heeded four times in one attempt, and a true R2 counts in spite of it", () => {
  const lost = makePair();
  answering(lost, Array(99).fill("hip-job-failed"));
  lost.a.engine.connect(lost.now, lost.b.hit);
  lost.settle();
  while (stateOf(lost) === "I2-SENT") lost.advance(seconds(1));
  assert.equal(stateOf(lost), "E-FAILED");
  assert.equal(new Set(sentOf(lost, PACKET.I2).map(({ bytes }) => `${bytes}`)).size, 5);
  const heard = makePair();
  const r2s = swallowing(heard, PACKET.R2, () => heard.a.engine.connect(heard.now, heard.b.hit));
  heard.inject(heard.a, notifyOf(heard, NOTIFY.RESPONDER_BUSY_PLEASE_RETRY));
  heard.inject(heard.a, r2s[0]!);
  assert.equal(stateOf(heard), "ESTABLISHED");
});

/** A NOTIFY signed by Bob. */
function notifyOf({ a, b }: EnginePair, messageType: number): OutgoingPacket {
  const result = runJob({
    kind: "sign-packet",
    seed: new Uint8Array(32),
    identity: BOB,
    packetType: PACKET.NOTIFY,
    senderHit: b.hit,
    receiverHit: a.hit,
    parameters: [encodeParameter(NOTIFICATION, { messageType, data: new Uint8Array(0) })],
    mac: undefined,
  });
  assert.ok(result.kind === "sign-packet");
  setChecksum(result.packet, b.address, a.address);
  const path = { source: b.address, destination: a.address };
  return { protocol: HIP_PROTOCOL, ...path, bytes: result.packet, trafficClass: 0, hopLimit: 64 };
}

/** Alice has sent I2 and gets no R2; when she gives up. */
function givesUpAfter(
  notifies: readonly number[],
): { span: Duration; failure: string | undefined } {
  const pair = makePair({ settings: { i2RetriesMax: 2 } });
  const start: Instant = pair.now;
  const { a, b } = pair;
  swallowing(pair, PACKET.R2, () => a.engine.connect(pair.now, b.hit));
  pair.passes = () => false;
  for (const type of notifies) {
    pair.inject(a, notifyOf(pair, type));
    pair.advance(milliseconds(600));
  }
  while (stateOf(pair) === "I2-SENT") pair.advance(milliseconds(100));
  assert.equal(stateOf(pair), "E-FAILED");
  return { span: elapsed(start, pair.now), failure: a.engine.association(b.hit)!.failure };
}

Deno.test("NTF-025 I2_ACKNOWLEDGEMENT makes the Initiator wait longer for R2, once", () => {
  // 1 s and 2 s; after the acknowledgement 4 s and 2 s.
  assert.ok(Math.abs(givesUpAfter([]).span - 3000) <= 100);
  const { I2_ACKNOWLEDGEMENT } = NOTIFY;
  assert.ok(Math.abs(givesUpAfter([I2_ACKNOWLEDGEMENT]).span - 6000) <= 100);
  assert.ok(Math.abs(givesUpAfter([I2_ACKNOWLEDGEMENT, I2_ACKNOWLEDGEMENT]).span - 6000) <= 100);
});

Deno.test("NTF-008 NTF-004 an error that the Responder reports of I2 is given as the reason when R2 does not come; a status is not", () => {
  assert.match(
    givesUpAfter([NOTIFY.INVALID_HIP_CIPHER_CHOSEN]).failure!,
    /INVALID_HIP_CIPHER_CHOSEN/,
  );
  assert.match(givesUpAfter([16383]).failure!, /notify type 16383/);
  assert.doesNotMatch(givesUpAfter([16384 + 77]).failure!, /reported/);
  assert.doesNotMatch(givesUpAfter([]).failure!, /reported/);
});

// ---- how long ------------------------------------------------------------------------------------

/** Times between transmissions of one type, until the exchange has failed. */
function waitsOf(type: "I1" | "I2", settings: ConstructorParameters<typeof End>[3]): Duration[] {
  const pair = makePair(settings);
  const times: Instant[] = [];
  pair.passes = (packet) => {
    if (typeOf(packet) === PACKET[type]) times.push(pair.now);
    return typeOf(packet) !== PACKET[type];
  };
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  while (stateOf(pair) !== "E-FAILED") pair.advance(milliseconds(10));
  const ends = [...times.slice(1), pair.now];
  return ends.map((end, i) => milliseconds(Math.round(elapsed(times[i]!, end) / 50) * 50));
}

Deno.test("TMR-002 TMR-003 TMR-004 BEX-040 the waits for R1 and R2 and the numbers of tries are those of the settings, the timer begins anew with each", () => {
  const i1 = { i1Timeout: milliseconds(300), i1TimeoutMax: milliseconds(700), i1RetriesMax: 4 };
  assert.deepEqual(waitsOf("I1", { settings: i1 }), [300, 600, 700, 700]);
  const i2 = { i2Timeout: milliseconds(400), i2TimeoutMax: seconds(1), i2RetriesMax: 3 };
  assert.deepEqual(waitsOf("I2", { settings: i2 }), [400, 800, 1000]);
  assert.deepEqual(waitsOf("I1", {}).length, 5);
  assert.deepEqual(waitsOf("I2", {}).length, 5);
});

Deno.test("E-FAILED lasts twice as long after each failure in a row, a minute at most, and five seconds again once the peer was met", () => {
  const pair = makePair();
  const { a, b } = pair;
  const waits: Duration[] = [];
  const fail = () => {
    pair.passes = () => false;
    a.engine.connect(pair.now, b.hit);
    while (stateOf(pair) !== "E-FAILED") pair.advance(milliseconds(100));
    const start = pair.now;
    while (stateOf(pair) === "E-FAILED") pair.advance(milliseconds(100));
    waits.push(milliseconds(Math.round(elapsed(start, pair.now) / 1000) * 1000));
  };
  for (let i = 0; i < 6; i++) fail();
  assert.deepEqual(waits.splice(0), [5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  pair.passes = () => true;
  pair.ping(a, b);
  assert.equal(stateOf(pair), "ESTABLISHED");
  a.engine.close(pair.now, b.hit);
  pair.settle();
  fail();
  fail();
  assert.deepEqual(waits.splice(0), [5000, 10_000]);
  // A peer left alone for long is tried as if for the first time.
  pair.advance(seconds(61));
  fail();
  assert.deepEqual(waits, [5000]);
});

Deno.test("BEX-046 BEX-047 after an R1 that is malformed the wait goes on, and then another I1 is sent", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [r1] = swallowing(pair, PACKET.R1, () => a.engine.connect(pair.now, b.hit));
  const { offset } = parseHipPacket(r1!.bytes).parameters.at(-1)!;
  // HIP_SIGNATURE_2 becomes a parameter that nobody knows, so that R1 has none.
  pair.inject(a, altered(r1!, (bytes) => bytes[offset + 1]! ^= 1));
  pair.settle();
  assert.equal(stateOf(pair), "I1-SENT");
  assert.equal(a.engine.status().drops["hip-malformed"], 1);
  pair.passes = (packet) => typeOf(packet) !== PACKET.I1;
  pair.advance(milliseconds(400));
  assert.equal(sentOf(pair, PACKET.I1).length, 1);
  // A good one still counts.
  pair.passes = () => true;
  pair.advance(milliseconds(700));
  assert.equal(sentOf(pair, PACKET.I1).length, 2);
  assert.equal(stateOf(pair), "ESTABLISHED");
});

Deno.test("BEX-075 an R2 that fails its check is counted and named in the record; I2-SENT stays, and I2 is sent again", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [r2] = swallowing(pair, PACKET.R2, () => a.engine.connect(pair.now, b.hit));
  pair.inject(a, spoilt(r2!, "HIP_SIGNATURE"));
  pair.settle();
  assert.equal(stateOf(pair), "I2-SENT");
  assert.equal(a.engine.status().drops["hip-signature-failed"], 1);
  const drops = a.events.flatMap((event) => event.kind === "drop" ? [event.detail] : []);
  assert.deepEqual(drops, ["HIP_SIGNATURE of R2"]);
  pair.advance(seconds(1));
  assert.equal(sentOf(pair, PACKET.I2).length, 2);
  assert.equal(stateOf(pair), "ESTABLISHED");
});

Deno.test("BEX-007 I2 goes to the address that the R1 came from, whatever the I1 was sent to", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [r1] = swallowing(pair, PACKET.R1, () => a.engine.connect(pair.now, b.hit));
  const elsewhere = b.address.slice();
  elsewhere[15] = 77;
  const bytes = r1!.bytes.slice();
  setChecksum(bytes, elsewhere, a.address);
  const [i2] = swallowing(pair, PACKET.I2, () => {
    pair.inject(a, { ...r1!, source: elsewhere, bytes });
  });
  assert.deepEqual(i2?.destination, elsewhere);
  assert.deepEqual(i2?.source, a.address);
  const [again] = swallowing(pair, PACKET.I2, () => pair.advance(seconds(1)));
  assert.deepEqual(again?.destination, elsewhere);
});

Deno.test("DHG-015 after an R1 whose group betrays an altered I1 the same list of groups is offered again", () => {
  const pair = makePair();
  const { a, b } = pair;
  const groups = (packet: OutgoingPacket) =>
    parseHipPacket(packet.bytes).require(DH_GROUP_LIST).groupIds;
  const [i1] = swallowing(pair, PACKET.I1, () => a.engine.connect(pair.now, b.hit));
  const { offset } = parseHipPacket(i1!.bytes).parameters[0]!;
  // The first group is made one that nobody has: the Responder takes the second.
  pair.inject(b, altered(i1!, (bytes) => bytes[offset + 4] = 3));
  pair.settle();
  assert.equal(a.engine.status().drops["hip-wrong-group"], 1);
  assert.equal(stateOf(pair), "I1-SENT");
  const [again] = swallowing(pair, PACKET.I1, () => pair.advance(milliseconds(500)));
  assert.deepEqual(groups(again!), groups(i1!));
  assert.deepEqual(groups(i1!), [...POLICY.dhGroups]);
  pair.advance(seconds(2));
  assert.equal(stateOf(pair), "ESTABLISHED");
});
