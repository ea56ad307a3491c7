/** Beginning again under another source HIT, and what an R1 that cannot be verified may do. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { EngineOptions } from "../../lib/engine/engine.ts";
import type { IdentityKind } from "../../lib/identity/host_identity.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import { altered, states, swallowing, typeOf } from "../support/engine_story.ts";
import { testIdentity, type TestOwner } from "../support/identities.ts";

/** A host with several identities, the first the default. */
function hostOf(
  owner: TestOwner,
  kinds: readonly IdentityKind[],
  hitSuites: readonly number[],
): End {
  const identities: EngineOptions["identities"] = kinds.map((kind) => ({
    identity: testIdentity(kind, owner),
    name: kind,
    isAnonymous: false,
  }));
  const isAlice = owner === "alice";
  const policy = { ...POLICY, hitSuites };
  const address = isAlice ? "192.0.2.1" : "192.0.2.2";
  const options = { identities, policy };
  return new End(identities[0]!.identity, address, isAlice ? 1 : 2, options);
}

/** Alice cannot verify the suite of Bob's default HIT; both have one of suite 3. */
function unlikeHosts(): EnginePair {
  const alice = hostOf("alice", ["ecdsa-p256", "ecdsa-low"], [2, 3]);
  const bob = hostOf("bob", ["ed25519", "ecdsa-low"], [3, 5, 2]);
  return new EnginePair(alice, bob);
}

const LOW_ALICE = testIdentity("ecdsa-low", "alice").hit;
const LOW_BOB = testIdentity("ecdsa-low", "bob").hit;

/** Sends of one type. */
function sentOf(pair: EnginePair, type: number): OutgoingPacket[] {
  return pair.wire.filter((packet) => typeOf(packet) === type);
}

function sendersOf(pair: EnginePair, type: number): Uint8Array[] {
  return sentOf(pair, type).map(({ bytes }) => parseHipPacket(bytes).senderHit);
}

/** Alice asks whoever is at Bob's address; her first R1 is in the hands of an enemy. */
function interceptedR1(pair: EnginePair): OutgoingPacket {
  const r1s = swallowing(pair, PACKET.R1, () => {
    pair.a.engine.connectOpportunistic(pair.now, pair.b.address);
  });
  assert.equal(r1s.length, 1);
  return r1s[0]!;
}

Deno.test("NEG-008 NEG-010 an opportunistic exchange whose R1 cannot be verified begins again, after a while, under a HIT that fits", () => {
  const pair = unlikeHosts();
  const { a, b } = pair;
  a.engine.connectOpportunistic(pair.now, b.address);
  pair.settle();
  // Another R1 may come, with a HIT of another suite.
  assert.equal(sentOf(pair, PACKET.I1).length, 1);
  pair.advance(milliseconds(199));
  assert.equal(sentOf(pair, PACKET.I1).length, 1);
  pair.advance(milliseconds(1));
  assert.deepEqual(sendersOf(pair, PACKET.I1), [a.hit, LOW_ALICE]);
  const status = a.engine.association(LOW_BOB);
  assert.equal(status?.state, "ESTABLISHED");
  assert.deepEqual(status?.localHit, LOW_ALICE);
  assert.equal(a.engine.status().associations.length, 1);
});

Deno.test("NEG-018 of an R1 that cannot be verified nothing but HIT_SUITE_LIST counts", () => {
  const pair = unlikeHosts();
  const { a } = pair;
  const r1 = interceptedR1(pair);
  const parsed = parseHipPacket(r1.bytes);
  // All that is not the list is nonsense, its puzzle too hard, its counter higher than any.
  const nonsense = altered(r1, (bytes) => {
    for (const { type, offset, contents } of parsed.parameters) {
      if (type === PARAMETER.HIT_SUITE_LIST) continue;
      bytes.fill(0xff, offset + 4, offset + 4 + contents.length);
    }
  });
  pair.inject(a, nonsense);
  assert.deepEqual(
    a.jobs.filter(({ kind }) => kind === "verify-r1" || kind === "solve-puzzle"),
    [],
  );
  assert.equal(a.engine.status().drops["hip-unsupported-suite"], 1);
  pair.settle();
  pair.advance(milliseconds(200));
  assert.equal(a.engine.association(LOW_BOB)?.state, "ESTABLISHED");
  // One without a list has nothing to say.
  const other = unlikeHosts();
  const list = parsed.raw(PARAMETER.HIT_SUITE_LIST)!;
  const r1ToOther = interceptedR1(other);
  pair.now = other.now;
  other.inject(
    other.a,
    altered(r1ToOther, (bytes) => bytes.fill(0, list.offset + 2, list.offset + 4)),
  );
  other.advance(milliseconds(400));
  assert.deepEqual(sendersOf(other, PACKET.I1), [other.a.hit]);
});

Deno.test("NEG-018 of several R1s one that cannot be verified is not looked at first because of its counter", () => {
  const pair = unlikeHosts();
  const { a, b } = pair;
  const r1 = interceptedR1(pair);
  const [i1] = sentOf(pair, PACKET.I1);
  const toLow = altered(i1!, (bytes) => bytes.set(LOW_BOB, HIP_FIELD.receiverHit));
  const [verifiable] = swallowing(pair, PACKET.R1, () => pair.inject(b, toLow));
  // After a second I1 several R1s are awaited.
  swallowing(pair, PACKET.R1, () => pair.advance(milliseconds(500)));
  assert.equal(sentOf(pair, PACKET.I1).length, 2);
  const { offset } = parseHipPacket(r1.bytes).raw(PARAMETER.R1_COUNTER)!;
  pair.inject(a, altered(r1, (bytes) => bytes.fill(0xff, offset + 8, offset + 16)));
  pair.inject(a, verifiable!);
  pair.advance(milliseconds(200));
  assert.equal(a.engine.association(LOW_BOB)?.state, "ESTABLISHED");
  const looks = a.events.map(({ kind }) => kind).filter((kind) => /drop|puzzle/.test(kind));
  assert.deepEqual(looks, ["puzzle-solved", "drop"]);
});

Deno.test("NEG-019 NEG-020 when the first R1 that can be verified has another HIT_SUITE_LIST, the exchange begins once more", () => {
  for (const isForged of [false, true]) {
    const pair = unlikeHosts();
    const { a } = pair;
    const r1 = interceptedR1(pair);
    const { offset, contents } = parseHipPacket(r1.bytes).raw(PARAMETER.HIT_SUITE_LIST)!;
    assert.deepEqual([...contents], [0x30, 0x50, 0x20]);
    pair.inject(
      a,
      isForged ? altered(r1, (bytes) => bytes[offset + 4 + 2] = 0x10) : r1,
    );
    pair.settle();
    pair.advance(milliseconds(200));
    if (isForged) {
      // The signed list is another: what was begun on hearsay is not gone on with.
      assert.deepEqual(sentOf(pair, PACKET.I2), []);
      assert.equal(a.engine.status().drops["hip-suite-list-differs"], 1);
      pair.advance(milliseconds(400));
    }
    const i1s = isForged ? [a.hit, LOW_ALICE, LOW_ALICE] : [a.hit, LOW_ALICE];
    assert.deepEqual(sendersOf(pair, PACKET.I1), i1s);
    assert.equal(sentOf(pair, PACKET.I2).length, 1);
    assert.equal(a.engine.association(LOW_BOB)?.state, "ESTABLISHED");
  }
});

/** Bob verifies suite 1 alone; Alice's default HIT is of suite 2. */
function pickyPair(): EnginePair {
  const alice = hostOf("alice", ["ecdsa-p256", "rsa"], [1, 2]);
  const bob = hostOf("bob", ["rsa"], [1]);
  const pair = new EnginePair(alice, bob);
  pair.introduce(alice, bob);
  return pair;
}

Deno.test("FSM-013 NEG-008 NEG-010 a Responder that does not support the suite of our HIT is asked again under one that it supports", () => {
  const pair = pickyPair();
  const { a, b } = pair;
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  assert.equal(sentOf(pair, PACKET.I1).length, 1);
  assert.equal(a.engine.association(b.hit)?.state, "I1-SENT");
  pair.advance(milliseconds(200));
  const rsa = testIdentity("rsa", "alice").hit;
  assert.deepEqual(sendersOf(pair, PACKET.I1), [a.hit, rsa]);
  assert.equal(a.engine.association(b.hit)?.state, "ESTABLISHED");
  assert.deepEqual(a.engine.association(b.hit)?.localHit, rsa);
  // I1-SENT all the while: the state is left for I2-SENT and nothing else.
  const moves = a.events.flatMap((event) => event.kind === "state" ? [event.to] : []);
  assert.deepEqual(moves, ["I1-SENT", "I2-SENT", "ESTABLISHED"]);
});

Deno.test("an exchange that data has begun, or that names our HIT, stays with that HIT", () => {
  const named = pickyPair();
  named.a.engine.connect(named.now, named.b.hit, named.a.hit);
  const byData = pickyPair();
  byData.ping(byData.a, byData.b);
  for (const pair of [named, byData]) {
    pair.settle();
    pair.advance(seconds(5));
    assert.ok(sendersOf(pair, PACKET.I1).every((hit) => hit.join() === pair.a.hit.join()));
    assert.deepEqual(states(pair), ["E-FAILED", undefined]);
  }
});
