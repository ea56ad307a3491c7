/** UPDATEs that depend on one another, those that come in any order, and a rekey begun anew. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { HIP_PROTOCOL, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { makePair, states, typeOf } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { summaryOf, UpdateStory } from "../support/update_story.ts";

/** SPIs above those that are reserved, and none of the engines'. */
const [FIRST, SECOND, THIRD] = [0x1001, 0x1002, 0x1003];

/** After one rekey by `a`, and what `a` calls its inbound SA. */
function afterRekey(): { story: UpdateStory; spi: number; outbound: () => number | undefined } {
  const story = new UpdateStory();
  story.rekey(story.a);
  const { a, b } = story;
  const outbound = () => b.engine.association(a.hit)?.outboundSpi;
  return { story, spi: outbound()!, outbound };
}

function offer(oldSpi: number, newSpi: number) {
  return { keymatIndex: 0, oldSpi, newSpi };
}

Deno.test("UPD-018 ESP-264 a rekey waits until the UPDATE of the one before has its ACK", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  let updates = 0;
  pair.passes = ({ bytes, protocol }) =>
    protocol !== HIP_PROTOCOL || bytes[2] !== PACKET.UPDATE || ++updates !== 3;
  story.rekey(a);
  // The ACK is lost; data on the new SA ends the rekey for b all the same.
  pair.ping(a, b);
  const before = story.updates().length;
  assert.equal(story.rekey(b), true);
  assert.equal(story.updates().length, before);
  pair.advance(seconds(5));
  const later = story.updates().slice(before);
  // The old UPDATE again, its ACK, and only then the new one.
  assert.deepEqual(later.map(({ seq }) => seq), [0, undefined, 1, 1, undefined]);
  assert.deepEqual(later[1]?.ack, [0]);
  const [atA, atB] = [a.engine.association(b.hit)!, b.engine.association(a.hit)!];
  assert.deepEqual([atA.inboundSpi, atA.outboundSpi], [atB.outboundSpi, atB.inboundSpi]);
  assert.equal(atA.outboundSpi, later[2]?.espInfo?.newSpi);
});

Deno.test("UPD-035 ESP-260 of an UPDATE with ACK and SEQ the ACK counts first", () => {
  const { story, spi, outbound } = afterRekey();
  const [answer] = story.give(story.forge({ seq: 1, espInfo: offer(spi, FIRST) }));
  assert.equal(outbound(), spi);
  // The ACK ends the rekey, so that the next offer names a known SPI as the old one.
  const ack = [summaryOf(answer!).seq!];
  const [next] = story.give(story.forge({ seq: 2, ack, espInfo: offer(FIRST, SECOND) }));
  assert.equal(outbound(), FIRST);
  assert.deepEqual(summaryOf(next!).ack, [2]);
  assert.ok(summaryOf(next!).espInfo);
  assert.equal(story.b.engine.status().drops["hip-busy"], undefined);
});

Deno.test("UPD-006 an UPDATE with ACK alone counts whenever it comes", () => {
  const { story, spi, outbound } = afterRekey();
  const [answer] = story.give(story.forge({ seq: 1, espInfo: offer(spi, FIRST) }));
  const ack = story.forge({ ack: [summaryOf(answer!).seq!] });
  // Made before it, it comes after an UPDATE of a later ID.
  assert.deepEqual(summaryOf(story.give(story.forge({ seq: 5 }))[0]!).ack, [5]);
  assert.deepEqual(story.give(ack), []);
  assert.equal(outbound(), FIRST);
});

Deno.test("UPD-008 the ACK of an offer waits for the UPDATE that answers it", () => {
  const story = new UpdateStory();
  story.rekey(story.a, true);
  const [request, answer, last] = story.updates();
  assert.equal(story.updates().length, 3);
  assert.deepEqual([request?.seq, request?.ack], [0, undefined]);
  assert.deepEqual([answer?.seq, answer?.ack, answer?.dh?.groupId], [0, [0], 7]);
  assert.deepEqual([last?.seq, last?.ack], [undefined, [0]]);
});

Deno.test("a peer that begins its rekey anew is followed: the last new SPI counts, and every UPDATE is acknowledged", () => {
  for (const withDh of [false, true]) {
    const { story, spi, outbound } = afterRekey();
    const dhOf = (octet: number) => {
      const result = runJob({
        kind: "generate-dh",
        seed: new Uint8Array(32).fill(octet),
        dhGroup: 7,
      });
      assert.ok(result.kind === "generate-dh");
      return withDh ? { dh: result.keyPair } : {};
    };
    const { b } = story;
    const [answer] = story.give(
      story.forge({ seq: 1, espInfo: offer(spi, FIRST), ...dhOf(1) }),
    );
    assert.deepEqual(summaryOf(answer!).ack, [1]);
    const [again] = story.give(
      story.forge({ seq: 2, espInfo: offer(spi, SECOND), ...dhOf(2) }),
    );
    assert.deepEqual(summaryOf(again!), {
      seq: undefined,
      ack: [2],
      espInfo: undefined,
      dh: undefined,
    });
    assert.equal(outbound(), spi);
    story.give(story.forge({ ack: [summaryOf(answer!).seq!] }));
    assert.equal(outbound(), SECOND);
    // What was told to the peer stays.
    assert.equal(b.engine.association(story.a.hit)?.inboundSpi, summaryOf(answer!).espInfo?.newSpi);
    assert.equal(b.engine.status().drops["hip-spi-invalid"], undefined);
    // The keys are those of the last offer: both ends would draw them from these values.
    const agreements = b.jobs.flatMap((job) =>
      job.kind === "agree-dh" ? [job.peerPublicValue] : []
    );
    assert.deepEqual(agreements, withDh ? [dhOf(1).dh!.publicValue, dhOf(2).dh!.publicValue] : []);
  }
});

Deno.test("UPD-004 a peer that begins its rekey anew before it has an answer gets one for both UPDATEs", () => {
  const { story, spi } = afterRekey();
  const { pair } = story;
  const made = runJob({ kind: "generate-dh", seed: new Uint8Array(32).fill(1), dhGroup: 7 });
  assert.ok(made.kind === "generate-dh");
  const dh = made.keyPair;
  pair.tamper = (job, result) => job.kind === "generate-dh" ? undefined : result;
  assert.deepEqual(story.give(story.forge({ seq: 1, espInfo: offer(spi, FIRST), dh })), []);
  pair.tamper = (_, result) => result;
  const [answer] = story.give(story.forge({ seq: 2, espInfo: offer(spi, SECOND), dh }));
  assert.deepEqual(summaryOf(answer!).ack, [1, 2]);
});

Deno.test("an offer that comes later than the one which replaced it is acknowledged and changes nothing", () => {
  const { story, spi, outbound } = afterRekey();
  const [answer] = story.give(story.forge({ seq: 1, espInfo: offer(spi, FIRST) }));
  story.give(story.forge({ seq: 3, espInfo: offer(spi, THIRD) }));
  const [late] = story.give(story.forge({ seq: 2, espInfo: offer(spi, SECOND) }));
  assert.deepEqual(summaryOf(late!).ack, [2]);
  story.give(story.forge({ ack: [summaryOf(answer!).seq!] }));
  assert.equal(outbound(), THIRD);
});

// ---- form ----------------------------------------------------------------------------------------

function updatesOf(pair: EnginePair): OutgoingPacket[] {
  return pair.wire.filter((packet) => typeOf(packet) === PACKET.UPDATE);
}

Deno.test("PKT-005 an UPDATE goes from one HIT to the other, has SEQ or ACK or both, and ends with HIP_MAC and HIP_SIGNATURE", () => {
  const story = new UpdateStory();
  const { a, b } = story;
  story.rekey(a, true);
  story.rekey(b, false);
  const packets = updatesOf(story.pair);
  assert.equal(packets.length, 6);
  const kinds = new Set<string>();
  for (const { bytes, source } of packets) {
    const update = parseHipPacket(bytes);
    const [from, to] = source.join() === a.address.join() ? [a, b] : [b, a];
    assert.deepEqual([update.senderHit, update.receiverHit], [from.hit, to.hit]);
    const types = update.parameters.map(({ type }) => type);
    assert.deepEqual(types.slice(-2), [PARAMETER.HIP_MAC, PARAMETER.HIP_SIGNATURE]);
    const known = [PARAMETER.ESP_INFO, PARAMETER.SEQ, PARAMETER.ACK, PARAMETER.DIFFIE_HELLMAN];
    assert.ok(types.slice(0, -2).every((type) => (known as number[]).includes(type)));
    const has = (type: number) => types.includes(type);
    kinds.add(`${has(PARAMETER.SEQ) ? "SEQ" : ""}${has(PARAMETER.ACK) ? "ACK" : ""}`);
  }
  assert.deepEqual([...kinds].sort(), ["ACK", "SEQ", "SEQACK"]);
});

Deno.test("PKT-009 I1, R1, I2, R2, UPDATE, CLOSE and CLOSE_ACK are sent and understood at either end", () => {
  for (const first of ["a", "b"] as const) {
    const pair = makePair();
    pair.introduce(pair.b, pair.a);
    const [asker, answerer] = first === "a" ? [pair.a, pair.b] : [pair.b, pair.a];
    pair.ping(asker, answerer);
    answerer.engine.rekey(pair.now, asker.hit, { withDh: true });
    pair.settle();
    asker.engine.rekey(pair.now, answerer.hit, { withDh: false });
    pair.settle();
    pair.ping(answerer, asker);
    answerer.engine.close(pair.now, asker.hit);
    pair.settle();
    const hip = pair.wire.map(typeOf).filter((type) => type >= 0);
    const { I1, R1, I2, R2, UPDATE, CLOSE, CLOSE_ACK } = PACKET;
    const updates = Array(6).fill(UPDATE);
    assert.deepEqual(hip, [I1, R1, I2, R2, ...updates, CLOSE, CLOSE_ACK]);
    assert.deepEqual(asker.delivered.length + answerer.delivered.length, 2);
    assert.equal(asker.engine.association(answerer.hit)?.state, "CLOSED");
    assert.equal(answerer.engine.association(asker.hit), undefined);
  }
});

// ---- a new association -----------------------------------------------------------------------------

Deno.test("BEX-039 an association that an Initiator makes anew counts its Update IDs from 0, and expects 0", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  for (let i = 0; i < 3; i++) story.rekey(a);
  b.engine.close(pair.now, a.hit);
  pair.settle();
  assert.equal(states(pair)[0], "CLOSED");
  pair.advance(milliseconds(100));
  pair.ping(a, b);
  assert.equal(states(pair)[0], "ESTABLISHED");
  pair.wire.length = 0;
  assert.equal(story.rekey(a), true);
  assert.deepEqual(story.updates().map(({ seq, ack }) => [seq, ack]), [
    [0, undefined],
    [0, [0]],
    [undefined, [0]],
  ]);
});

Deno.test("BEX-061 an association that an I2 replaces counts its Update IDs from 0, and expects 0", () => {
  const story = new UpdateStory();
  const { b, pair } = story;
  for (let i = 0; i < 3; i++) story.rekey(b);
  const reborn = new EnginePair(new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 9), b);
  reborn.now = pair.now;
  reborn.introduce(reborn.a, b);
  reborn.advance(milliseconds(100));
  reborn.ping(reborn.a, b);
  reborn.wire.length = 0;
  assert.equal(b.engine.rekey(reborn.now, reborn.a.hit, { withDh: false }), true);
  reborn.settle();
  assert.deepEqual(updatesOf(reborn).map(summaryOf).map(({ seq, ack }) => [seq, ack]), [
    [0, undefined],
    [0, [0]],
    [undefined, [0]],
  ]);
});

Deno.test("PUZ-026 both ends keep #I and #J: a later KEYMAT has them for its salt", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  const i2 = pair.wire.find((packet) => typeOf(packet) === PACKET.I2)!;
  const { randomI, solutionJ } = parseHipPacket(i2.bytes).require(SOLUTION);
  for (let i = 0; i < 2; i++) {
    pair.advance(seconds(60));
    story.rekey(b, true);
  }
  for (const end of [a, b]) {
    const jobs = end.jobs.flatMap((job) => job.kind === "agree-dh" ? [job] : []);
    assert.equal(jobs.length, 2);
    for (const job of jobs) assert.deepEqual([job.randomI, job.solutionJ], [randomI, solutionJ]);
  }
  pair.ping(a, b, 9);
  assert.equal(b.delivered.length, 2);
});
