/** What a Responder forgets and when, and what a host that has lost its state does not know. */

import assert from "node:assert/strict";
import { after, type Instant, instant, milliseconds, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import { DEFAULT_CONTROL_SETTINGS } from "../../lib/hip/constants.ts";
import type { BuildR1Job, JobResult } from "../../lib/hip/jobs.ts";
import { R1Pool } from "../../lib/hip/r1_pool.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, HIP_PROTOCOL, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import {
  altered,
  connecting,
  ESP,
  forged,
  makePair,
  spoilt,
  states,
  typeOf,
} from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

const ALICE = testIdentity("ecdsa-p256", "alice");
const BOB = testIdentity("ecdsa-p256", "bob");

function counterOf({ bytes }: OutgoingPacket): bigint {
  return parseHipPacket(bytes).require(R1_COUNTER).generation;
}

/** The private keys of the R1s that Bob makes from now on: the very octets that he keeps. */
function keysOfBob(pair: EnginePair): Uint8Array[] {
  const keys: Uint8Array[] = [];
  pair.tamper = (_job, result, at): JobResult => {
    if (result.kind === "build-r1" && at === pair.b) keys.push(result.dhPrivateKey);
    return result;
  };
  return keys;
}

/** The types of what Bob sends when he gets a packet. */
function saidTo(pair: EnginePair, packet: OutgoingPacket): number[] {
  pair.b.sent.length = 0;
  pair.inject(pair.b, packet);
  return pair.b.sent.splice(0).map(typeOf);
}

Deno.test("TMR-016 DHG-027 DHG-029 R1C-012 an R1 is offered for one time, its I2 taken for another after that, and then its key is gone", () => {
  const settings = { r1Lifetime: seconds(60), puzzleLifetimeExponent: 36 };
  for (const [late, isTaken] of [[15.9, true], [16.1, false]] as const) {
    const pair = makePair({ settings });
    const made = keysOfBob(pair);
    const i2 = connecting(pair, PACKET.I2);
    pair.passes = () => false;
    // Delta T is 60 s, Delta S the lifetime of the puzzle, 2^4 s.
    pair.advance(seconds(59.9));
    assert.deepEqual(made, []);
    pair.advance(seconds(0.1 + late));
    assert.equal(made.length, 2, "renewed once, for both groups");
    assert.deepEqual(saidTo(pair, i2), isTaken ? [PACKET.R2] : []);
  }
  const pair = makePair({ settings });
  const made = keysOfBob(pair);
  pair.advance(seconds(120 + 16.1));
  assert.equal(made.length, 4);
  assert.deepEqual(made.map((key) => key.every((octet) => octet === 0)), [
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("SEC-014 DHG-027 one Diffie-Hellman key serves several Initiators for a second at most; who has it already may still use it", () => {
  const pair = makePair({ settings: { r1MinimumUse: seconds(1) } });
  const { a, b } = pair;
  const carol = new EnginePair(new End(testIdentity("rsa", "alice"), "192.0.2.3", 3), b);
  carol.introduce(carol.a, b);
  const keyOf = (i2: OutgoingPacket, from: EnginePair) =>
    from.wire.filter((packet) => typeOf(packet) === PACKET.R1 && packet.bytes !== i2.bytes)
      .map(({ bytes }) => parseHipPacket(bytes).require(DIFFIE_HELLMAN).publicValue.join()).at(-1);
  pair.advance(seconds(2));
  carol.now = pair.now;
  const [ofAlice, ofCarol] = [connecting(pair, PACKET.I2), connecting(carol, PACKET.I2)];
  assert.equal(keyOf(ofAlice, pair), keyOf(ofCarol, carol));
  assert.deepEqual(saidTo(pair, ofAlice), [PACKET.R2]);
  // The key that was used is offered no more, and Carol's I2 with it is still taken.
  assert.deepEqual(saidTo(carol, ofCarol), [PACKET.R2]);
  const dave = new EnginePair(new End(testIdentity("ed25519", "alice"), "192.0.2.4", 4), b);
  dave.introduce(dave.a, b);
  dave.now = pair.now;
  const ofDave = connecting(dave, PACKET.I2);
  assert.notEqual(keyOf(ofDave, dave), keyOf(ofAlice, pair));
  assert.equal(a.engine.association(b.hit)?.state, "I2-SENT");
});

Deno.test("R1C-009 R1C-010 R1C-013 the R1 counter rises with every R1 that is renewed and never falls; an echoed one must be of an R1 that is known", () => {
  const pair = makePair({ settings: { r1Lifetime: seconds(60) } });
  let highest = -1n;
  for (let i = 0; i < 5; i++) {
    const r1 = connecting(pair, PACKET.R1);
    const counter = counterOf(r1);
    assert.ok(counter > highest, `${counter} after ${highest}`);
    highest = counter;
    pair.a.engine.close(pair.now, pair.b.hit);
    pair.advance(seconds(61));
  }
  const i2 = connecting(pair, PACKET.I2);
  const { offset } = parseHipPacket(i2.bytes).raw(PARAMETER.R1_COUNTER)!;
  for (const octet of [4, 11]) {
    const other = altered(i2, (bytes) => bytes[offset + 4 + octet]! ^= 0x40);
    assert.deepEqual(saidTo(pair, other), []);
  }
  assert.equal(pair.b.engine.status().drops["hip-old-generation"], 2);
  assert.deepEqual(saidTo(pair, i2), [PACKET.R2]);
});

Deno.test("R1C-005 every Host Identity has an R1 counter of its own: what renews one leaves the others", () => {
  const rsa = testIdentity("rsa", "bob");
  const identities = [BOB, rsa].map((identity) => ({ identity, name: "", isAnonymous: false }));
  const options = { identities, settings: { r1MinimumUse: seconds(1) } };
  const alice = new End(ALICE, "192.0.2.1", 1);
  const pair = new EnginePair(alice, new End(BOB, "192.0.2.2", 2, options));
  const counterFor = (hit: Uint8Array): bigint => {
    pair.advance(milliseconds(100));
    const groups = [encodeParameter(DH_GROUP_LIST, { groupIds: [7] })];
    const i1 = altered(
      forged(pair.a, pair.b, PACKET.I1, groups),
      (bytes) => bytes.set(hit, HIP_FIELD.receiverHit),
    );
    pair.inject(pair.b, i1);
    return counterOf(pair.b.sent.splice(0)[0]!);
  };
  const [named, other] = [counterFor(BOB.hit), counterFor(rsa.hit)];
  pair.advance(seconds(2));
  pair.introduce(alice, pair.b);
  alice.engine.connect(pair.now, BOB.hit);
  pair.settle();
  assert.ok(counterFor(BOB.hit) > named);
  assert.equal(counterFor(rsa.hit), other);
});

Deno.test("SEC-004 solutions that count as bad are forgotten with their R1", () => {
  const random = new SeededRandom(new Uint8Array(32).fill(1));
  const settings = { ...DEFAULT_CONTROL_SETTINGS, puzzleLifetimeExponent: 36 };
  let generation = 0n;
  const pool = new R1Pool({
    identity: BOB,
    isAnonymous: false,
    policy: { ...POLICY, dhGroups: [7] },
    settings,
    random,
    nextGeneration: () => ++generation,
  });
  const renew = (now: Instant, [job]: BuildR1Job[]) => {
    const result = runJob(job!);
    assert.ok(result.kind === "build-r1");
    pool.handleBuilt(now, job!, result);
  };
  renew(instant(0), pool.missing());
  const first = pool.find(1n)!;
  first.badSolutions.add("bad");
  const renewed = after(instant(0), settings.r1Lifetime);
  renew(renewed, pool.handleTimeout(renewed));
  assert.equal(pool.find(2n)!.badSolutions.size, 0);
  // Its I2s may still come, and with them the bad one.
  assert.equal(pool.find(1n), first);
  pool.handleTimeout(after(renewed, seconds(16)));
  assert.equal(pool.find(1n), undefined);
});

Deno.test("SEC-004 a solution counts as bad only when its puzzle was right and its I2 failed all the same", () => {
  const pair = makePair({ settings: { puzzleDifficultyK: 8 } });
  const i2 = connecting(pair, PACKET.I2);
  const { offset } = parseHipPacket(i2.bytes).raw(PARAMETER.SOLUTION)!;
  // A wrong solution costs an attacker nothing: it is not remembered.
  const wrong = altered(i2, (bytes) => bytes[offset + 4 + 52]! ^= 1);
  for (let i = 0; i < 2; i++) saidTo(pair, wrong);
  assert.equal(pair.b.engine.status().drops["hip-puzzle-failed"], 2);
  assert.equal(pair.b.engine.status().drops["hip-known-bad-solution"], undefined);
  // A job that got lost says nothing of the packet.
  pair.tamper = (job, result) =>
    job.kind === "accept-i2"
      ? { kind: "failed", reason: "hip-job-failed", detail: "worker died" }
      : result;
  for (let i = 0; i < 2; i++) saidTo(pair, i2);
  assert.equal(pair.b.engine.status().drops["hip-job-failed"], 2);
  pair.tamper = (_, result) => result;
  // One whose packet then fails is, and the right packet with it is not taken any more.
  saidTo(pair, spoilt(i2, "HIP_SIGNATURE"));
  assert.deepEqual(saidTo(pair, i2), []);
  assert.equal(pair.b.engine.status().drops["hip-known-bad-solution"], 1);
});

Deno.test("LOS-004 LOS-007 after a restart a host has no association, no key and no R1 counter of a peer: a lower one is fine", () => {
  const before = new EnginePair(
    new End(ALICE, "192.0.2.1", 1),
    new End(BOB, "192.0.2.2", 2, { firstR1Generation: 1_000_000n }),
  );
  before.introduce(before.a, before.b);
  before.ping(before.a, before.b);
  before.ping(before.b, before.a);
  assert.equal(before.a.engine.association(before.b.hit)?.state, "ESTABLISHED");
  const esp = before.wire.filter(({ protocol }) => protocol === ESP).at(-1)!;
  // All that Alice's next engine is given is what her last one was given.
  const pair = new EnginePair(new End(ALICE, "192.0.2.1", 1), new End(BOB, "192.0.2.2", 2));
  const { a, b } = pair;
  assert.deepEqual(a.engine.status().associations, []);
  pair.inject(a, esp);
  assert.equal(a.engine.status().drops["esp-unknown-spi"], 1);
  assert.deepEqual(a.delivered, []);
  pair.introduce(a, b);
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  assert.deepEqual(states(pair)[0], "ESTABLISHED");
  const r1 = pair.wire.find((packet) => typeOf(packet) === PACKET.R1)!;
  assert.ok(counterOf(r1) < 1_000_000n);
});

Deno.test("TFL-001 data of an association travels as ESP and as nothing else, both ways", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b, 1);
  pair.ping(b, a, 2);
  pair.advance(milliseconds(10));
  assert.deepEqual([a.delivered.length, b.delivered.length], [1, 1]);
  const data = pair.wire.filter(({ protocol }) => protocol !== HIP_PROTOCOL);
  assert.deepEqual(data.map(({ protocol }) => protocol), [ESP, ESP]);
  const [atA, atB] = [a.engine.association(b.hit)!, b.engine.association(a.hit)!];
  const spis = data.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
  assert.deepEqual(spis, [atB.inboundSpi, atA.inboundSpi]);
});

Deno.test("ECH-007 what comes back of our own Opaque and #I is not believed: another #I, Opaque, HIT or address does not fit", () => {
  const pair = makePair({ settings: { puzzleDifficultyK: 0 } });
  const i2 = connecting(pair, PACKET.I2);
  const { offset } = parseHipPacket(i2.bytes).raw(PARAMETER.SOLUTION)!;
  const flipped = (at: number) => altered(i2, (bytes) => bytes[offset + 4 + at]! ^= 1);
  // Opaque, #I; then the address of the sender.
  const elsewhere = i2.source.slice();
  elsewhere[15]! ^= 1;
  const moved = altered({ ...i2, source: elsewhere }, () => {});
  for (const packet of [flipped(2), flipped(3), flipped(4), moved]) {
    assert.deepEqual(saidTo(pair, packet), []);
  }
  assert.equal(pair.b.engine.status().drops["hip-unknown-puzzle"], 4);
  assert.deepEqual(saidTo(pair, i2), [PACKET.R2]);
});
