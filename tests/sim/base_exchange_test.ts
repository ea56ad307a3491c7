import { strict as assert } from "node:assert";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { checksumOk } from "../../lib/wire/hip/packet.ts";
import { ALL_IDENTITY_KINDS, testIdentity } from "../support/identities.ts";
import { readPcap } from "../support/pcap.ts";
import { establish, makePair } from "./pair.ts";
import { ipPacketOf, PcapWriter } from "./pcap_writer.ts";

for (const family of [4, 6] as const) {
  // I1 -> R1 <- I2 -> R2 <- ESP -> ESP <-
  Deno.test(`FSM-001 FSM-024 FSM-035 DAT-005 ESP-157 one ping over IPv${family} runs one base exchange`, () => {
    const pair = makePair({ family });
    const { alice, bob, link } = pair;
    establish(pair);
    assert.deepEqual(link.sent.map(({ from, name }) => `${from.name} ${name}`), [
      "alice I1",
      "bob R1",
      "alice I2",
      "bob R2",
      "alice ESP",
      "bob ESP",
    ]);
    assert.equal(alice.stateTowards(bob), "ESTABLISHED");
    assert.equal(bob.stateTowards(alice), "ESTABLISHED");
    assert.equal(alice.associationWith(bob)?.role, "initiator");
    assert.equal(bob.associationWith(alice)?.role, "responder");
    assert.deepEqual(alice.engine.status().drops, {});
    assert.deepEqual(bob.engine.status().drops, {});
  });
}

for (const kind of ALL_IDENTITY_KINDS) {
  Deno.test(`HIT-001 HLP-021 two hosts with ${kind} identities reach each other`, () => {
    const pair = makePair({ alice: testIdentity(kind, "alice"), bob: testIdentity(kind, "bob") });
    establish(pair);
    assert.equal(pair.bob.stateTowards(pair.alice), "ESTABLISHED");
  });
}

Deno.test("HLP-005 the SPIs of both ends agree crosswise", () => {
  const pair = makePair();
  establish(pair);
  const atAlice = pair.alice.associationWith(pair.bob)!;
  const atBob = pair.bob.associationWith(pair.alice)!;
  assert.equal(atAlice.inboundSpi, atBob.outboundSpi);
  assert.equal(atAlice.outboundSpi, atBob.inboundSpi);
  assert.ok(atAlice.inboundSpi! >= 256);
  assert.equal(atAlice.espSuite, atBob.espSuite);
});

Deno.test("DAT-006 DAT-007 ESP-073 ESP-074 ESP-075 packets staged during the exchange go out in order", () => {
  const { world, alice, bob } = makePair();
  const sequences = Array.from({ length: 20 }, () => alice.application.ping(bob));
  world.runUntil(() => alice.application.replies.length === sequences.length);
  assert.deepEqual(alice.application.replies.map(({ sequence }) => sequence), sequences);
});

Deno.test("ESP-075 of too many staged packets the oldest go", () => {
  const { world, alice, bob } = makePair();
  for (let i = 0; i < 40; i++) alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(40));
  world.advance(seconds(1));
  const expected = Array.from({ length: 32 }, (_, index) => index + 9);
  assert.deepEqual(alice.application.replies.map(({ sequence }) => sequence), expected);
  assert.equal(alice.engine.status().drops["staged-overflow"], 8);
});

Deno.test("a puzzle of 2^12 is solved and the time it took is told", () => {
  const pair = makePair({ settings: { puzzleDifficultyK: 12 } });
  establish(pair);
  assert.ok(pair.alice.associationWith(pair.bob)!.puzzleTime! > 1);
  assert.equal(pair.world.trace.count("solved the puzzle of bob, #K 12"), 1);
});

Deno.test("PUZ-009 a puzzle too hard for its lifetime is given up and the peer called unreachable", () => {
  // 2^-5 s is over long before 2^22 hashes are.
  const settings = { puzzleDifficultyK: 22, puzzleLifetimeExponent: 27 };
  const { world, alice, bob } = makePair({ settings });
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.unreachable.length > 0, seconds(5));
  assert.equal(alice.application.unreachable[0]!.sequence, sequence);
  assert.ok(alice.engine.status().drops["hip-puzzle-unsolvable"]! >= 1);
  assert.equal(alice.application.replies.length, 0);
});

Deno.test("the same seed gives the same trace, another seed another one", () => {
  const conditions = { loss: 0.2, jitter: milliseconds(10), duplication: 0.1, reordering: 0.1 };
  const run = (seed: number) => {
    const { world, alice, bob } = makePair({ seed, link: conditions });
    for (let i = 0; i < 5; i++) {
      alice.application.ping(bob);
      world.advance(milliseconds(300));
    }
    world.advance(seconds(10));
    return world.trace.toString();
  };
  const first = run(7);
  assert.equal(run(7), first);
  assert.notEqual(run(8), first);
});

Deno.test("a run can be written as a capture, every checksum right", () => {
  for (const family of [4, 6] as const) {
    const pair = makePair({ family });
    pair.world.capture = new PcapWriter();
    establish(pair);
    const packets = [...readPcap(pair.world.capture.contents())];
    assert.equal(packets.length, 6);
    pair.link.sent.forEach(({ packet }, index) => {
      assert.equal(toHex(packets[index]!.ipPacket), toHex(ipPacketOf(packet)));
      if (packet.protocol === 139) {
        assert.ok(checksumOk(packet.bytes, packet.source, packet.destination));
      }
    });
    assert.ok(packets.every(({ time }, index) => index === 0 || time >= packets[index - 1]!.time));
  }
});
