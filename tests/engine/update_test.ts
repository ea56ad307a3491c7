import assert from "node:assert/strict";
import { bytesEqual, toHex } from "../../lib/base/bytes.ts";
import { setChecksum } from "../../lib/wire/hip/packet.ts";
import { seconds } from "../../lib/base/time.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";
import { summaryOf, UpdateStory } from "../support/update_story.ts";

/** After one rekey by `a`: both ends have used Update ID 0. */
function afterRekey(): UpdateStory {
  const story = new UpdateStory();
  story.rekey(story.a);
  return story;
}

function countJobs(end: End, kind: string): number {
  return end.jobs.filter((job) => job.kind === kind).length;
}

Deno.test("UPD-001 UPD-002 UPD-012 UPD-013 ESP-224 ESP-256 Update IDs of each end start at 0 and rise by 1", () => {
  const story = new UpdateStory();
  const { a, b } = story;
  story.rekey(a);
  story.rekey(b);
  story.rekey(a);
  const used = (from: End) =>
    story.pair.wire
      .filter(({ bytes, source }) => bytes[2] === PACKET.UPDATE && bytesEqual(source, from.address))
      .map((packet) => summaryOf(packet).seq)
      .filter((seq) => seq !== undefined);
  assert.deepEqual(used(a), [0, 1, 2]);
  assert.deepEqual(used(b), [0, 1, 2]);
});

Deno.test("UPD-003 ESP-255 an UPDATE with neither SEQ nor ACK is dropped", () => {
  const story = afterRekey();
  assert.deepEqual(story.give(story.forge({})), []);
  assert.equal(story.b.engine.status().drops["hip-malformed"], 1);
});

Deno.test("UPD-004 every SEQ is acknowledged, alone when there is nothing else to say", () => {
  const story = afterRekey();
  const [answer] = story.give(story.forge({ seq: 1 }));
  assert.deepEqual(summaryOf(answer!), {
    seq: undefined,
    ack: [1],
    espInfo: undefined,
    dh: undefined,
  });
});

Deno.test("UPD-034 an UPDATE with ACK alone is not answered, and not looked at when nobody waits for it", () => {
  const story = afterRekey();
  const checked = countJobs(story.b, "verify-signature");
  assert.deepEqual(story.give(story.forge({ ack: [0] })), []);
  assert.deepEqual(story.give(story.forge({ ack: [77] })), []);
  assert.equal(countJobs(story.b, "verify-signature"), checked);
  assert.equal(story.b.engine.status().drops["hip-replayed"], 2);
});

Deno.test("UPD-034 an ACK that nobody waits for does not keep a SEQ beside it from being processed", () => {
  const story = afterRekey();
  const [answer] = story.give(story.forge({ seq: 1, ack: [77] }));
  assert.deepEqual(summaryOf(answer!).ack, [1]);
});

Deno.test("UPD-009 UPD-010 UPD-011 ESP-242 ESP-257 an ACK of several Update IDs counts for each of them, redundant ones do no harm", () => {
  const story = afterRekey();
  const { a, b, pair } = story;
  // b asks; what a answers is swallowed.
  pair.passes = (_, from) => from === b;
  story.rekey(b);
  assert.deepEqual(story.give(story.forge({ ack: [2, 3] })), []);
  assert.equal(b.engine.status().drops["hip-replayed"], 1);
  const spi = b.engine.association(a.hit)!.inboundSpi;
  story.give(story.forge({ ack: [0, 7, 1] }));
  pair.wire.length = 0;
  pair.advance(seconds(20));
  // No longer outstanding, so not sent again; but without ESP_INFO no new keys (ESP-242).
  assert.deepEqual(story.updates(), []);
  assert.equal(b.engine.association(a.hit)!.inboundSpi, spi);
});

Deno.test("UPD-025 an Update ID beyond the window is dropped before its MAC is checked; the last one within it is taken", () => {
  const story = afterRekey();
  assert.deepEqual(story.give(story.forge({ seq: 33, macFlaw: true })), []);
  assert.equal(story.b.engine.status().drops["hip-outside-window"], 1);
  assert.equal(story.b.engine.status().drops["hip-mac-failed"], undefined);
  const [answer] = story.give(story.forge({ seq: 32 }));
  assert.deepEqual(summaryOf(answer!).ack, [32]);
});

Deno.test("UPD-017 UPD-022 UPD-024 Update IDs are processed in the order in which they come", () => {
  const story = afterRekey();
  const acks = [3, 1, 2].map((seq) => summaryOf(story.give(story.forge({ seq }))[0]!).ack);
  assert.deepEqual(acks, [[3], [1], [2]]);
});

Deno.test("UPD-023 UPD-027 UPD-028 UPD-029 UPD-033 ESP-259 a copy gets the same answer without a signature, and not too often", () => {
  const story = afterRekey();
  const update = story.forge({ seq: 1 });
  const [answer] = story.give(update);
  const jobs = story.b.jobs.length;
  const [again] = story.give(update);
  assert.equal(toHex(again!.bytes), toHex(answer!.bytes));
  assert.deepEqual(story.give(update), []);
  assert.deepEqual(story.give(update), []);
  story.wait(100);
  assert.equal(story.give(update).length, 1);
  assert.equal(story.b.jobs.length, jobs);
  assert.equal(story.b.engine.status().drops["hip-replayed"], 2);
});

Deno.test("UPD-026 UPD-027 ESP-258 a SEQ seen before in another packet counts only if MAC and signature are right", () => {
  const story = afterRekey();
  const [answer] = story.give(story.forge({ seq: 1 }));
  assert.deepEqual(story.give(story.forge({ seq: 1, ack: [9], macFlaw: true })), []);
  assert.deepEqual(story.give(story.forge({ seq: 1, ack: [9], signatureFlaw: true })), []);
  const [again] = story.give(story.forge({ seq: 1, ack: [9] }));
  assert.equal(toHex(again!.bytes), toHex(answer!.bytes));
});

Deno.test("UPD-030 UPD-031 UPD-032 ESP-258 OPEN-19 a wrong MAC costs no signature check; a wrong signature changes nothing", () => {
  const story = afterRekey();
  const { a, b } = story;
  const checked = countJobs(b, "verify-signature");
  const { inboundSpi, outboundSpi } = b.engine.association(a.hit)!;
  const espInfo = { keymatIndex: 500, oldSpi: outboundSpi!, newSpi: 0x1234567 };
  assert.deepEqual(story.give(story.forge({ seq: 1, espInfo, macFlaw: true })), []);
  assert.equal(countJobs(b, "verify-signature"), checked);
  assert.equal(b.engine.status().drops["hip-mac-failed"], 1);
  assert.deepEqual(story.give(story.forge({ seq: 1, espInfo, signatureFlaw: true })), []);
  assert.equal(b.engine.status().drops["hip-signature-failed"], 1);
  assert.equal(b.engine.association(a.hit)!.inboundSpi, inboundSpi);
  // The ID is still free for the real one.
  assert.equal(story.give(story.forge({ seq: 1, espInfo })).length, 1);
});

Deno.test("an UPDATE of an earlier rekey, replayed, changes nothing", () => {
  const story = afterRekey();
  const { a, b, pair } = story;
  const first = pair.wire.find(({ bytes }) => bytes[2] === PACKET.UPDATE)!;
  story.rekey(a);
  const before = b.engine.association(a.hit)!;
  for (let i = 0; i < 3; i++) {
    story.wait(1000);
    pair.inject(b, first);
    pair.settle();
  }
  assert.deepEqual(b.engine.association(a.hit), before);
  pair.ping(a, b, 9);
  assert.equal(b.delivered.length, 2);
});

Deno.test("a copy that came over other addresses is still a copy", () => {
  const story = afterRekey();
  const update = story.forge({ seq: 1 });
  const [answer] = story.give(update);
  const jobs = story.b.jobs.length;
  const source = update.source.slice();
  source[15]! += 7;
  const bytes = update.bytes.slice();
  setChecksum(bytes, source, update.destination);
  const [again] = story.give({ ...update, source, bytes });
  // The answer goes to the peer, not to whoever sent the copy.
  assert.deepEqual(again!.destination, story.a.address);
  assert.equal(toHex(again!.bytes), toHex(answer!.bytes));
  assert.equal(story.b.jobs.length, jobs);
});

Deno.test("UPD-037 FSM-035 ESP-234 an UPDATE ends R2-SENT and is processed then", () => {
  const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1);
  const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2);
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  assert.equal(b.engine.association(a.hit)?.state, "R2-SENT");
  a.engine.rekey(pair.now, b.hit, { withDh: false });
  pair.settle();
  assert.equal(b.engine.association(a.hit)?.state, "ESTABLISHED");
  const [ofA, ofB] = [a.engine.association(b.hit)!, b.engine.association(a.hit)!];
  assert.equal(ofA.inboundSpi, ofB.outboundSpi);
  const updates = pair.wire.filter(({ bytes }) => bytes[2] === PACKET.UPDATE);
  assert.equal(updates.length, 3);
  pair.ping(a, b);
  pair.ping(b, a);
  assert.deepEqual([a.delivered.length, b.delivered.length], [1, 1]);
});

Deno.test("FSM-050 FSM-055 ESP-234 in CLOSING and CLOSED an UPDATE is dropped", () => {
  const story = afterRekey();
  const { a, b, pair } = story;
  const update = story.forge({ seq: 1 });
  pair.passes = () => false;
  b.engine.close(pair.now, a.hit);
  pair.settle();
  assert.equal(b.engine.association(a.hit)?.state, "CLOSING");
  assert.deepEqual(story.give(update), []);
  assert.equal(b.engine.status().drops["hip-wrong-state"], 1);

  const other = afterRekey();
  const late = other.forge({ seq: 1 });
  other.a.engine.close(other.pair.now, other.b.hit);
  other.pair.settle();
  assert.equal(other.b.engine.association(other.a.hit)?.state, "CLOSED");
  assert.deepEqual(other.give(late), []);
  assert.equal(other.b.engine.status().drops["hip-wrong-state"], 1);
});

Deno.test("a signature that could not be made is tried again", () => {
  const story = new UpdateStory();
  let failures = 0;
  story.pair.tamper = (job, result) =>
    job.kind === "sign-packet" && failures++ < 2
      ? { kind: "failed", reason: "hip-job-failed", detail: "worker died" }
      : result;
  const before = story.a.engine.association(story.b.hit)!.inboundSpi;
  story.rekey(story.a);
  story.pair.advance(seconds(20));
  assert.notEqual(story.a.engine.association(story.b.hit)!.inboundSpi, before);
  assert.equal(story.a.engine.association(story.b.hit)!.state, "ESTABLISHED");
});
