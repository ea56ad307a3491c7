/** Floods in small numbers: what they cost, what they leave, and who still gets through. */

import assert from "node:assert/strict";
import { instant, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import {
  altered,
  connecting,
  forged,
  isNoReport,
  makePair,
  states,
} from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

/** An I1 of a host that does not exist, from an address that nobody has. */
function i1Of(pair: EnginePair, number: number, groupIds = [7]): OutgoingPacket {
  const groups = encodeParameter(DH_GROUP_LIST, { groupIds });
  const source = parseIpAddress(`198.18.${number >> 8 & 0xff}.${number & 0xff}`);
  return altered({ ...forged(pair.a, pair.b, PACKET.I1, [groups]), source }, (bytes) => {
    new DataView(bytes.buffer).setUint32(HIP_FIELD.senderHit + 12, number);
  });
}

/** The R1 to an I1, if there is one. */
function r1To(pair: EnginePair, i1: OutgoingPacket): OutgoingPacket | undefined {
  pair.b.sent.length = 0;
  pair.inject(pair.b, i1);
  return pair.b.sent.splice(0).find(isNoReport);
}

function dropsOf(pair: EnginePair, reason: "hip-rate-limited" | "hip-puzzle-failed"): number {
  return pair.b.engine.status().drops[reason] ?? 0;
}

Deno.test("SEC-001 a flood of I1s is answered, and leaves no table fuller and no job", () => {
  const pair = makePair();
  const { tables } = pair.b.engine.status();
  const jobs = pair.b.jobs.length;
  for (let number = 0; number < 1000; number++) {
    assert.ok(r1To(pair, i1Of(pair, number)) !== undefined, `I1 ${number}`);
  }
  assert.deepEqual(pair.b.engine.status().tables, tables);
  assert.equal(pair.b.jobs.length, jobs);
});

Deno.test("a flood of wrong solutions leaves no table fuller, no job, and few answers", () => {
  const pair = makePair({ settings: { puzzleDifficultyK: 16 } });
  const i2 = connecting(pair, PACKET.I2);
  const solution = parseHipPacket(i2.bytes).raw(PARAMETER.SOLUTION)!;
  const solutionJ = solution.offset + 4 + 4 + (solution.contents.length - 4) / 2;
  const { tables } = pair.b.engine.status();
  const jobs = pair.b.jobs.length;
  pair.b.sent.length = 0;
  for (let number = 1; number <= 1000; number++) {
    const guess = altered(i2, (bytes) => new DataView(bytes.buffer).setUint32(solutionJ, number));
    pair.inject(pair.b, guess);
  }
  assert.ok(dropsOf(pair, "hip-puzzle-failed") >= 999);
  assert.deepEqual(pair.b.engine.status().tables, tables);
  assert.equal(pair.b.jobs.length, jobs);
  assert.ok(pair.b.sent.length <= 10, `${pair.b.sent.length} answers`);
});

Deno.test("SEC-002 BEX-018 one address gets twenty R1s a second; what comes beyond is ignored and counted", () => {
  const pair = makePair();
  const from = (number: number, address: string) => {
    const source = parseIpAddress(address);
    return altered({ ...i1Of(pair, number), source }, () => {});
  };
  const answered = (first: number, address: string) =>
    Array.from({ length: 50 }, (_, i) => r1To(pair, from(first + i, address)))
      .filter((r1) => r1 !== undefined).length;
  assert.equal(answered(0, "203.0.113.1"), 20);
  assert.equal(dropsOf(pair, "hip-rate-limited"), 30);
  assert.equal(answered(100, "203.0.113.2"), 20);
  pair.advance(seconds(1));
  assert.equal(answered(200, "203.0.113.1"), 20);
});

Deno.test("R1M-002 R1M-005 R1s are made and signed in advance, one for each group and HIT, and serve many", () => {
  const identities = (["ecdsa-p256", "ed25519"] as const).map((kind) => ({
    identity: testIdentity(kind, "bob"),
    name: kind,
    isAnonymous: false,
  }));
  const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1);
  const b = new End(identities[0]!.identity, "192.0.2.2", 2, { identities });
  const pair = new EnginePair(a, b);
  const made = b.jobs.filter(({ kind }) => kind === "build-r1").length;
  assert.equal(made, 4);
  const generations = new Set<string>();
  let number = 0;
  for (const { identity: { hit } } of identities) {
    for (const group of [7, 8]) {
      for (let i = 0; i < 25; i++) {
        const i1 = altered(
          i1Of(pair, number++, [group]),
          (octets) => octets.set(hit, HIP_FIELD.receiverHit),
        );
        const r1 = parseHipPacket(r1To(pair, i1)!.bytes);
        assert.deepEqual(r1.senderHit, hit);
        assert.equal(r1.require(DIFFIE_HELLMAN).groupId, group);
        generations.add(`${hit} ${r1.require(R1_COUNTER).generation}`);
      }
    }
  }
  assert.equal(generations.size, 4);
  assert.equal(b.jobs.filter(({ kind }) => kind === "build-r1").length, made);
});

Deno.test("DHG-028 TMR-017 when exchanges come fast several Initiators meet one DH value, and later ones another", () => {
  const settings = { r1MinimumUse: seconds(30) };
  const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2, { settings });
  const metBy = (kind: "ecdsa-p256" | "ed25519" | "rsa", seed: number, at: number) => {
    const a = new End(testIdentity(kind, "alice"), `192.0.2.${10 + seed}`, seed);
    const pair = new EnginePair(a, b);
    pair.now = instant(at);
    pair.introduce(a, b);
    pair.ping(a, b);
    assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
    const r1 = pair.wire.find(({ bytes }) => (bytes[HIP_FIELD.packetType]! & 0x7f) === PACKET.R1)!;
    return parseHipPacket(r1.bytes).require(R1_COUNTER).generation;
  };
  const first = metBy("ecdsa-p256", 1, 2000);
  assert.equal(metBy("ed25519", 2, 5000), first);
  // The exchange after so long a use has its R1 replaced behind it.
  assert.equal(metBy("rsa", 3, 40_000), first);
  assert.ok(metBy("ecdsa-p256", 4, 41_000) > first);
});

Deno.test("I2s in public-key work are as many as configured; the next is told to come again", () => {
  const settings = { maxPendingI2: 2 };
  const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2, { settings });
  const kinds = ["ecdsa-p256", "ed25519", "rsa"] as const;
  for (const [index, kind] of kinds.entries()) {
    const a = new End(testIdentity(kind, "alice"), `192.0.2.${10 + index}`, 3 + index);
    const pair = new EnginePair(a, b);
    // The work on I2 never ends.
    pair.tamper = (job, result) => job.kind === "accept-i2" ? undefined : result;
    pair.introduce(a, b);
    pair.ping(a, b);
    const { tables, drops } = b.engine.status();
    assert.equal(tables.pendingI2, Math.min(index + 1, 2));
    assert.equal(drops["hip-busy"] ?? 0, index < 2 ? 0 : 1);
  }
});
