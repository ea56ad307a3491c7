import assert from "node:assert/strict";
import { isAllZero, toHex } from "../../lib/base/bytes.ts";
import { instant, seconds } from "../../lib/base/time.ts";
import type { EspOpener, EspProvider, EspSealer } from "../../lib/crypto/esp_suite.ts";
import { drawKeymat, type EspKeys } from "../../lib/crypto/keymat.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import type { JobResult } from "../../lib/hip/jobs.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";
import { UpdateStory } from "../support/update_story.ts";

/** A provider that notes which keys it was given, and which were wiped. */
class WatchedProvider implements EspProvider {
  readonly name = "watched";
  readonly keys: string[] = [];
  alive = 0;

  supports(suiteId: number): boolean {
    return PORTABLE_PROVIDER.supports(suiteId);
  }

  sealer(...args: Parameters<EspProvider["sealer"]>): EspSealer {
    const sealer = PORTABLE_PROVIDER.sealer(...args);
    this.#note(args[1]);
    return { seal: (...all) => sealer.seal(...all), wipe: () => this.#wipe(sealer) };
  }

  opener(...args: Parameters<EspProvider["opener"]>): EspOpener {
    const opener = PORTABLE_PROVIDER.opener(...args);
    this.#note(args[1]);
    return { open: (...all) => opener.open(...all), wipe: () => this.#wipe(opener) };
  }

  #note({ encryption, authentication }: EspKeys): void {
    this.keys.push(toHex(encryption) + toHex(authentication));
    this.alive++;
  }

  #wipe(cipher: { wipe(): void }): void {
    cipher.wipe();
    this.alive--;
  }
}

/** AES-128-CBC with HMAC-SHA-256: 96 octets of KEYMAT for a pair of SAs. */
const SUITE_8 = { policy: { ...POLICY, espSuites: [8], hipCiphers: [2] } };
const PAIR_LENGTH = 96;
/** Octets of SHA-384, the RHASH of ECDSA identities. */
const RHASH_LENGTH = 48;
/** Four HIP keys: AES-128 and HMAC-SHA-384, twice. */
const HIP_KEYS_LENGTH = 2 * (16 + RHASH_LENGTH);

function spis({ a, b }: UpdateStory): { a: number; b: number } {
  const [ofA, ofB] = [a.engine.association(b.hit)!, b.engine.association(a.hit)!];
  assert.equal(ofA.inboundSpi, ofB.outboundSpi);
  assert.equal(ofA.outboundSpi, ofB.inboundSpi);
  return { a: ofA.inboundSpi!, b: ofB.inboundSpi! };
}

Deno.test("UPD-005 ESP-026 ESP-034 ESP-224 ESP-239 ESP-243 ESP-254 a rekey without DH: old and new SPI, the next octet of KEYMAT in request and answer, and an ACK that nobody acknowledges", () => {
  const story = new UpdateStory(SUITE_8);
  const old = spis(story);
  assert.equal(story.rekey(story.a), true);
  const now = spis(story);
  const [request, answer, ack] = story.updates();
  const keymatIndex = HIP_KEYS_LENGTH + PAIR_LENGTH;
  assert.deepEqual(request?.espInfo, { keymatIndex, oldSpi: old.a, newSpi: now.a });
  assert.deepEqual(answer?.espInfo, { keymatIndex, oldSpi: old.b, newSpi: now.b });
  assert.deepEqual([request?.dh, answer?.dh, ack?.espInfo], [undefined, undefined, undefined]);
  assert.equal(story.updates().length, 3);
});

Deno.test("ESP-033 ESP-225 ESP-226 ESP-227 ESP-236 ESP-238 a rekey with DH: index 0, the group of the base exchange, a fresh key at either end each time", () => {
  const story = new UpdateStory(SUITE_8);
  story.rekey(story.a, true);
  story.rekey(story.b, true);
  const offers = story.updates().filter(({ espInfo }) => espInfo !== undefined);
  assert.equal(offers.length, 4);
  for (const { espInfo, dh } of offers) {
    assert.equal(espInfo!.keymatIndex, 0);
    assert.equal(dh!.groupId, 7);
  }
  assert.equal(new Set(offers.map(({ dh }) => toHex(dh!.publicValue))).size, 4);
  story.pair.ping(story.a, story.b, 7);
  story.pair.ping(story.b, story.a, 7);
  assert.deepEqual([story.a.delivered.length, story.b.delivered.length], [2, 2]);
});

Deno.test("KEY-011 ESP-048 ESP-049 a new KEYMAT is made from the new Kij with #I and #J of the base exchange", () => {
  const story = new UpdateStory();
  story.rekey(story.a, true);
  for (const end of [story.a, story.b]) {
    const base = end === story.a
      ? end.jobs.find((job) => job.kind === "build-i2")
      : end.jobs.find((job) => job.kind === "accept-i2");
    const agreed = end.jobs.find((job) => job.kind === "agree-dh");
    assert.ok(base && agreed?.kind === "agree-dh");
    const [i2] = story.pair.wire.filter(({ bytes }) => bytes[2] === PACKET.I2);
    const octets = toHex(i2!.bytes);
    assert.ok(octets.includes(toHex(agreed.randomI) + toHex(agreed.solutionJ)));
  }
});

Deno.test("ESP-036 ESP-047 ESP-051 KEYMAT is drawn octet after octet, none twice, and a new DH key is sent when it ends", () => {
  const watched = new WatchedProvider();
  const story = new UpdateStory({ ...SUITE_8, espProvider: watched });
  const base = story.a.jobs.find((job) => job.kind === "build-i2");
  assert.ok(base);
  // The base exchange takes HIP keys and one pair, each rekey another pair.
  const rekeys = Math.floor((255 * RHASH_LENGTH - HIP_KEYS_LENGTH) / PAIR_LENGTH) - 1;
  for (let i = 0; i < rekeys; i++) story.rekey(i % 2 === 0 ? story.a : story.b);
  const offers = () => story.updates().filter(({ espInfo }) => espInfo !== undefined);
  assert.ok(offers().every(({ dh }) => dh === undefined));
  const indices = offers().filter((_, at) => at % 2 === 0).map((offer) =>
    offer.espInfo!.keymatIndex
  );
  assert.deepEqual(
    indices,
    Array.from({ length: rekeys }, (_, i) => HIP_KEYS_LENGTH + (i + 1) * PAIR_LENGTH),
  );
  // Every key is used by exactly one sealer and one opener.
  assert.equal(watched.keys.length, 4 * (rekeys + 1));
  assert.equal(new Set(watched.keys).size, 2 * (rekeys + 1));

  story.rekey(story.a);
  const [request, answer] = offers().slice(-2);
  assert.ok(request?.dh !== undefined && answer?.dh !== undefined);
  spis(story);
  assert.equal(new Set(watched.keys).size, 2 * (rekeys + 2));
});

Deno.test("KEY-010 the keys of a rekey stand in KEYMAT behind those of the base exchange", () => {
  const watched = new WatchedProvider();
  const results: JobResult[] = [];
  const story = new UpdateStory({ ...SUITE_8, espProvider: watched });
  // The KEYMAT of a rekey with DH is seen in its job; the rekey after it goes on in it.
  story.pair.tamper = (_, result) => {
    if (result.kind === "agree-dh") results.push(structuredClone(result));
    return result;
  };
  story.rekey(story.a, true);
  watched.keys.length = 0;
  story.rekey(story.a);
  const [agreed] = results;
  assert.ok(agreed?.kind === "agree-dh");
  const octets = toHex(drawKeymat(agreed.keymat, PAIR_LENGTH, PAIR_LENGTH));
  assert.deepEqual(
    [...new Set(watched.keys)].toSorted(),
    [octets.slice(0, PAIR_LENGTH), octets.slice(PAIR_LENGTH)].toSorted(),
  );
});

Deno.test("ESP-052 ESP-248 ESP-275 KEY-013 keys of removed SAs are wiped, and after CLOSE none is left", () => {
  const watched = new WatchedProvider();
  const results: JobResult[] = [];
  const story = new UpdateStory({ espProvider: watched });
  const { a, b, pair } = story;
  pair.tamper = (_, result) => {
    if (result.kind === "generate-dh" || result.kind === "agree-dh") results.push(result);
    return result;
  };
  assert.equal(watched.alive, 4);
  story.rekey(a, true);
  // Both old inbound SAs stay for late packets.
  assert.equal(watched.alive, 6);
  pair.ping(a, b);
  pair.ping(b, a);
  pair.advance(seconds(6));
  assert.equal(watched.alive, 4);
  story.rekey(b, true);
  assert.equal(watched.alive, 6);
  a.engine.close(pair.now, b.hit);
  pair.settle();
  assert.equal(watched.alive, 0);
  assert.equal(results.length, 8);
  for (const result of results) {
    if (result.kind === "generate-dh") assert.ok(isAllZero(result.keyPair.privateKey));
    if (result.kind === "agree-dh") assert.ok(isAllZero(result.keymat.prk));
  }
});

Deno.test("ESP-230 ESP-231 ESP-242 a rekey that the peer acknowledges but does not answer leaves the old SAs in use", () => {
  const watched = new WatchedProvider();
  const story = new UpdateStory({ espProvider: watched });
  const { a, b, pair } = story;
  story.rekey(a);
  const old = spis(story);
  const { outboundSpi } = b.engine.association(a.hit)!;
  // The peer acknowledges the request of b, but says nothing of its own (ESP-242).
  pair.passes = (_, from) => from === b;
  story.rekey(b);
  story.give(story.forge({ ack: [1] }));
  pair.passes = () => true;
  assert.equal(b.engine.rekey(pair.now, a.hit, { withDh: false }), false);
  assert.equal(b.engine.association(a.hit)!.outboundSpi, outboundSpi);
  assert.equal(b.engine.association(a.hit)!.inboundSpi, old.b);
});

Deno.test("ESP-250 ESP-251 a rekey with an ACK but without ESP_INFO ends after 90 s, and another is begun", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  story.rekey(a);
  pair.advance(seconds(121));
  pair.passes = (packet, from) => from === b && packet.bytes[2] !== PACKET.UPDATE;
  story.rekey(b);
  story.give(story.forge({ ack: [1] }));
  pair.advance(seconds(91));
  assert.equal(b.engine.status().drops["hip-rekey-failed"], 1);
  pair.passes = () => true;
  const before = spis(story);
  pair.advance(seconds(61));
  const now = spis(story);
  assert.ok(now.a !== before.a && now.b !== before.b);
});

Deno.test("ESP-228 an offer with DH and an index other than 0, or of another group, is dropped without an answer", () => {
  const story = new UpdateStory();
  const { a, b } = story;
  story.rekey(a, true);
  const { outboundSpi } = b.engine.association(a.hit)!;
  const { dh } = story.updates()[0]!;
  const espInfo = { keymatIndex: 1, oldSpi: outboundSpi!, newSpi: 0x1234567 };
  assert.deepEqual(story.give(story.forge({ seq: 1, espInfo, dh: dh! })), []);
  const right = { ...espInfo, keymatIndex: 0 };
  assert.deepEqual(
    story.give(story.forge({ seq: 2, espInfo: right, dh: { ...dh!, groupId: 8 } })),
    [],
  );
  const { drops } = b.engine.status();
  assert.deepEqual([drops["hip-keymat-index"], drops["hip-wrong-group"]], [1, 1]);
  assert.equal(story.give(story.forge({ seq: 3, espInfo: right, dh: dh! })).length, 1);
});

Deno.test("ESP-034 ESP-238 ESP-239 an index that was drawn already is answered with one that was not, a later one is taken over", () => {
  const story = new UpdateStory(SUITE_8);
  const { a, b } = story;
  story.rekey(a);
  const next = HIP_KEYS_LENGTH + 2 * PAIR_LENGTH;
  const { outboundSpi } = b.engine.association(a.hit)!;
  const espInfo = { keymatIndex: 96, oldSpi: outboundSpi!, newSpi: 0x1234567 };
  story.give(story.forge({ seq: 1, espInfo }));
  const sent = () => {
    const signed = b.jobs.findLast((job) => job.kind === "sign-packet");
    assert.ok(signed?.kind === "sign-packet");
    // ESP_INFO is the first parameter: type, length, reserved, index.
    const [first] = signed.parameters;
    return new DataView(first!.buffer, first!.byteOffset).getUint16(6);
  };
  assert.equal(sent(), next);

  const other = new UpdateStory(SUITE_8);
  other.rekey(other.a);
  const oldSpi = other.b.engine.association(other.a.hit)!.outboundSpi!;
  other.give(other.forge({ seq: 1, espInfo: { keymatIndex: 1000, oldSpi, newSpi: 0x1234567 } }));
  const signed = other.b.jobs.findLast((job) => job.kind === "sign-packet");
  assert.ok(signed?.kind === "sign-packet");
  const [first] = signed.parameters;
  assert.equal(new DataView(first!.buffer, first!.byteOffset).getUint16(6), 1000);
});

Deno.test("ESP-035 ESP-237 an index that KEYMAT does not reach is answered with a new DH key", () => {
  const story = new UpdateStory(SUITE_8);
  const { a, b } = story;
  story.rekey(a);
  const { outboundSpi } = b.engine.association(a.hit)!;
  const espInfo = { keymatIndex: 65_500, oldSpi: outboundSpi!, newSpi: 0x1234567 };
  assert.equal(story.give(story.forge({ seq: 1, espInfo })).length, 1);
  assert.equal(b.jobs.filter(({ kind }) => kind === "generate-dh").length, 1);
});

Deno.test("ESP-038 what old and new SPI mean: only known and different is a rekey, nonsense is dropped", () => {
  const story = new UpdateStory();
  const { a, b } = story;
  story.rekey(a);
  const before = b.engine.association(a.hit)!;
  const known = before.outboundSpi!;
  const ask = (seq: number, oldSpi: number, newSpi: number) =>
    story.give(story.forge({ seq, espInfo: { keymatIndex: 4000, oldSpi, newSpi } })).length;
  // Information, additional SA, deprecated SA: acknowledged, nothing done.
  assert.deepEqual([ask(1, known, known), ask(2, 0, 0x7654321), ask(3, known, 0)], [1, 1, 1]);
  assert.equal(b.engine.status().drops["hip-spi-invalid"], undefined);
  // Unknown, and reserved.
  assert.deepEqual([ask(4, 0x11111, 0x7654321), ask(5, known, 255)], [0, 0]);
  assert.equal(b.engine.status().drops["hip-spi-invalid"], 2);
  assert.deepEqual(b.engine.association(a.hit), before);
});

Deno.test("UPD-016 the ESP_INFO of a finished rekey under another SEQ does no harm", () => {
  const story = new UpdateStory();
  const { a, b } = story;
  story.rekey(a);
  const { espInfo } = story.updates()[0]!;
  const before = b.engine.association(a.hit)!;
  assert.equal(story.give(story.forge({ seq: 1, espInfo: espInfo! })).length, 1);
  assert.deepEqual(b.engine.association(a.hit), before);
});

Deno.test("ESP-233 one rekey at a time", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  pair.passes = () => false;
  assert.equal(a.engine.rekey(pair.now, b.hit, { withDh: false }), true);
  assert.equal(a.engine.rekey(pair.now, b.hit, { withDh: false }), false);
  pair.settle();
  assert.equal(a.jobs.filter(({ kind }) => kind === "sign-packet").length, 1);
});

Deno.test("ESP-246 the answerer sends on its new SA when data has come in on its own, though the ACK is lost", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  const old = spis(story);
  let updates = 0;
  pair.passes = ({ bytes }) => bytes[2] !== PACKET.UPDATE || ++updates !== 3;
  story.rekey(a);
  assert.equal(b.engine.association(a.hit)!.outboundSpi, old.a);
  pair.ping(a, b);
  assert.equal(b.engine.association(a.hit)!.inboundSpi, spis(story).b);
  assert.notEqual(b.engine.association(a.hit)!.outboundSpi, old.a);
});

Deno.test("ESP-070 a new base exchange drops a rekey in progress with all its keys", () => {
  const watched = new WatchedProvider();
  const story = new UpdateStory({ espProvider: watched });
  const { a, b, pair } = story;
  let updates = 0;
  pair.passes = ({ bytes }) => bytes[2] !== PACKET.UPDATE || ++updates < 3;
  story.rekey(a);
  // a: both inbound SAs and the new outbound one. b: the old pair and the new inbound one.
  assert.equal(watched.alive, 6);
  const alice = testIdentity("ecdsa-p256", "alice");
  const reborn = new EnginePair(new End(alice, "192.0.2.1", 3, { espProvider: watched }), b);
  reborn.now = instant(pair.now + 1000);
  reborn.introduce(reborn.a, b);
  reborn.ping(reborn.a, b, 4);
  assert.equal(b.engine.association(a.hit)?.state, "ESTABLISHED");
  assert.equal(watched.alive, 3 + 2 + 2);
});

Deno.test("ESP-252 a rekey whose key cannot be made leaves the SAs in use, and another can follow", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  pair.tamper = (job, result) =>
    job.kind === "generate-dh"
      ? { kind: "failed", reason: "hip-job-failed", detail: "worker died" }
      : result;
  const before = spis(story);
  story.rekey(a, true);
  assert.deepEqual(spis(story), before);
  assert.equal(a.engine.status().drops["hip-rekey-failed"], 1);
  pair.ping(a, b, 8);
  pair.ping(b, a, 8);
  assert.deepEqual([a.delivered.length, b.delivered.length], [2, 2]);
  assert.equal(story.rekey(a), true);
  assert.notDeepEqual(spis(story), before);
  assert.equal(b.engine.rekey(pair.now, new Uint8Array(16), { withDh: false }), false);
});

Deno.test("ESP-233 a rekey that has its ACK but no answer is outstanding still: nobody asks for a sign of life", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  story.rekey(a);
  pair.advance(seconds(10));
  pair.passes = (_, from) => from !== a;
  story.rekey(b);
  story.give(story.forge({ ack: [1] }));
  const before = story.updates().length;
  for (let i = 0; i < 20; i++) {
    pair.ping(b, a, 8);
    pair.advance(seconds(1));
  }
  assert.equal(story.updates().length, before);
});

Deno.test("ESP-252 of crossing rekeys one comes to nothing: its offer is not sent again, the other one begins anew, and both ends agree", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  const old = spis(story);
  let failures = 0;
  pair.tamper = (job, result, at) =>
    at === a && job.kind === "agree-dh" && failures++ === 0
      ? { kind: "failed", reason: "hip-job-failed", detail: "worker died" }
      : result;
  let isLost = true;
  pair.passes = ({ bytes }, from) => from === b || bytes[2] !== PACKET.UPDATE || !isLost;
  a.engine.rekey(pair.now, b.hit, { withDh: true });
  b.engine.rekey(pair.now, a.hit, { withDh: true });
  pair.settle();
  assert.equal(a.engine.status().drops["hip-rekey-failed"], 1);
  isLost = false;
  pair.advance(seconds(10));
  const now = spis(story);
  assert.ok(now.a !== old.a && now.b !== old.b);
  assert.deepEqual(
    story.updates().filter(({ seq, ack }) => seq === 0 && ack === undefined).length,
    2,
  );
  pair.ping(a, b, 8);
  pair.ping(b, a, 8);
  assert.equal(a.engine.status().drops["esp-unknown-spi"], undefined);
  assert.equal(b.engine.status().drops["esp-unknown-spi"], undefined);
});

Deno.test("UPD-007 ESP-240 ESP-247 crossing offers with DH are acknowledged only when the new inbound SA stands", () => {
  const story = new UpdateStory();
  const { a, b, pair } = story;
  a.engine.rekey(pair.now, b.hit, { withDh: true });
  b.engine.rekey(pair.now, a.hit, { withDh: true });
  pair.settle();
  spis(story);
  for (const end of [a, b]) {
    const kinds = end.jobs.map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === "sign-packet").length, 2);
    // The ACK is the second packet that is signed; the SA is made from the key agreed on.
    assert.ok(kinds.lastIndexOf("sign-packet") > kinds.indexOf("agree-dh"), `${kinds}`);
  }
});
