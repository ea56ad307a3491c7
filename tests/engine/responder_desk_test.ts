/** The Responder before there is an association: I1, R1 and the cheap checks of I2. */

import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { PUZZLE } from "../../lib/wire/hip/parameters/puzzle.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { EnginePair } from "../support/engine_pair.ts";
import {
  altered,
  forged,
  isNoReport,
  makePair,
  states,
  swallowing,
  typeOf,
} from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

const ZERO_HIT = new Uint8Array(16);

function i1From(pair: EnginePair, groupIds: number[] = [7]): OutgoingPacket {
  return forged(pair.a, pair.b, PACKET.I1, [encodeParameter(DH_GROUP_LIST, { groupIds })]);
}

/** What Bob says to a packet in HIP; ICMP has a test of its own. */
function answers(pair: EnginePair, packet: OutgoingPacket): OutgoingPacket[] {
  pair.b.sent.length = 0;
  pair.inject(pair.b, packet);
  return pair.b.sent.splice(0).filter(isNoReport);
}

/** Alice's I2 for Bob, which has not reached him. */
function i2Of(pair: EnginePair): OutgoingPacket {
  const { a, b } = pair;
  return swallowing(pair, PACKET.I2, () => a.engine.connect(pair.now, b.hit))[0]!;
}

function acceptJobs(pair: EnginePair): number {
  return pair.b.jobs.filter(({ kind }) => kind === "accept-i2").length;
}

Deno.test("BEX-023 PKT-011 R1 goes to the address that I1 came from, for the HIT that sent it", () => {
  const pair = makePair();
  const moved = parseIpAddress("198.51.100.9");
  const i1 = altered({ ...i1From(pair), source: moved }, () => {});
  const [r1] = answers(pair, i1);
  assert.equal(typeOf(r1!), PACKET.R1);
  assert.deepEqual(r1!.destination, moved);
  assert.deepEqual(r1!.source, pair.b.address);
  assert.deepEqual(parseHipPacket(r1!.bytes).receiverHit, pair.a.hit);
});

Deno.test("BEX-015 PKT-012 an I1 for another's HIT is dropped; one for our HIT or for none is answered by our HIT", () => {
  const pair = makePair();
  const other = testIdentity("rsa", "bob").hit;
  const to = (hit: Uint8Array) =>
    altered(i1From(pair), (bytes) => bytes.set(hit, HIP_FIELD.receiverHit));
  assert.deepEqual(answers(pair, to(other)), []);
  assert.equal(pair.b.engine.status().drops["hip-not-for-us"], 1);
  for (const hit of [pair.b.hit, ZERO_HIT]) {
    const [r1] = answers(pair, to(hit));
    assert.deepEqual(parseHipPacket(r1!.bytes).senderHit, pair.b.hit);
  }
});

Deno.test("HIT-017 BEX-048 the all-zero HIT is no sender, and no receiver of anything but I1", () => {
  const pair = makePair();
  const zeroSender = altered(i1From(pair), (bytes) => bytes.set(ZERO_HIT, HIP_FIELD.senderHit));
  assert.deepEqual(answers(pair, zeroSender), []);
  assert.equal(pair.b.engine.status().drops["hip-invalid-hit"], 1);
  const i2 = altered(i2Of(pair), (bytes) => bytes.set(ZERO_HIT, HIP_FIELD.receiverHit));
  assert.deepEqual(answers(pair, i2), []);
  assert.equal(pair.b.engine.status().drops["hip-not-for-us"], 1);
  assert.equal(acceptJobs(pair), 0);
});

Deno.test("BEX-028 an I1 costs no job", () => {
  const pair = makePair();
  const before = pair.b.jobs.length;
  assert.equal(answers(pair, i1From(pair)).length, 1);
  assert.equal(pair.b.jobs.length, before);
});

Deno.test("DHG-010 an I1 without a group of ours is answered all the same, with a group of ours", () => {
  const pair = makePair();
  const [r1] = answers(pair, i1From(pair, [1, 2]));
  assert.equal(parseHipPacket(r1!.bytes).require(DIFFIE_HELLMAN).groupId, 7);
});

Deno.test("BEX-026 a malformed I1 is dropped without a word", () => {
  const pair = makePair();
  assert.deepEqual(answers(pair, forged(pair.a, pair.b, PACKET.I1)), []);
  assert.equal(pair.b.engine.status().drops["hip-malformed"], 1);
});

Deno.test("PUZ-016 BEX-056 a wrong solution, counter or group costs the Responder no public-key work", () => {
  const pair = makePair({ settings: { puzzleDifficultyK: 8 } });
  const i2 = i2Of(pair);
  const parsed = parseHipPacket(i2.bytes);
  const at = (type: number) => parsed.raw(type)!.offset + 4;
  const flipping = (offset: number) => altered(i2, (bytes) => bytes[offset]! ^= 1);
  const drops = () => pair.b.engine.status().drops;
  // SOLUTION: K, reserved, opaque (2), #I (48), #J (48). R1_COUNTER: reserved (4), generation (8).
  assert.deepEqual(answers(pair, flipping(at(PARAMETER.SOLUTION) + 4)), []);
  assert.equal(drops()["hip-unknown-puzzle"], 1);
  assert.deepEqual(answers(pair, flipping(at(PARAMETER.SOLUTION) + 52)), []);
  assert.equal(drops()["hip-puzzle-failed"], 1);
  assert.deepEqual(answers(pair, flipping(at(PARAMETER.R1_COUNTER) + 4)), []);
  assert.equal(drops()["hip-old-generation"], 1);
  assert.deepEqual(answers(pair, flipping(at(PARAMETER.DIFFIE_HELLMAN))), []);
  assert.equal(drops()["hip-wrong-group"], 1);
  assert.equal(acceptJobs(pair), 0);
  assert.deepEqual(states(pair)[1], undefined);
  assert.deepEqual(answers(pair, i2).map(typeOf), [PACKET.R2]);
});

Deno.test("R1C-008 R1C-004 R1M-004 R1s are renewed in time: a greater counter, another puzzle, signed anew", () => {
  const pair = makePair({ settings: { r1Lifetime: seconds(300) } });
  const look = () => {
    const packet = parseHipPacket(answers(pair, i1From(pair))[0]!.bytes);
    const signature = packet.raw(PARAMETER.HIP_SIGNATURE_2)!.contents;
    return {
      generation: packet.require(R1_COUNTER).generation,
      signature: toHex(signature),
      key: toHex(packet.require(DIFFIE_HELLMAN).publicValue),
    };
  };
  const first = look();
  pair.advance(seconds(299));
  assert.deepEqual(look(), first);
  pair.advance(seconds(2));
  const second = look();
  assert.ok(second.generation > first.generation);
  assert.notEqual(second.signature, first.signature);
  assert.notEqual(second.key, first.key);
});

Deno.test("R1C-011 PUZ-019 R1M-008 TMR-016 a solution is taken as long as its puzzle may live after the R1 was renewed, and no longer", () => {
  // The lifetime of these puzzles is 2^(36 - 32) s.
  const settings = { r1Lifetime: seconds(300), puzzleLifetimeExponent: 36 };
  for (const [late, isTaken] of [[15_900, true], [16_100, false]] as const) {
    const pair = makePair({ settings });
    pair.advance(seconds(299));
    const i2 = i2Of(pair);
    pair.passes = () => false;
    pair.advance(milliseconds(1000 + late));
    const said = answers(pair, i2).map(typeOf);
    assert.deepEqual(said, isTaken ? [PACKET.R2] : [], `${late} ms`);
    assert.equal(pair.b.engine.status().drops["hip-old-generation"], isTaken ? undefined : 1);
  }
});

Deno.test("PUZ-012 PUZ-017 PUZ-018 TMR-015 the secret behind #I is renewed with the R1s: the same I1 and Opaque get another #I", () => {
  const puzzleAfter = (wait: number) => {
    // Equal seeds: equal secrets and equal Opaque, unless time has changed them.
    const pair = makePair({ settings: { r1Lifetime: seconds(300) } });
    pair.advance(seconds(wait));
    return parseHipPacket(answers(pair, i1From(pair))[0]!.bytes).require(PUZZLE);
  };
  const [first, same, later] = [puzzleAfter(0), puzzleAfter(299), puzzleAfter(301)];
  assert.deepEqual(same, first);
  assert.deepEqual(later.opaque, first.opaque);
  assert.notDeepEqual(later.randomI, first.randomI);
});
