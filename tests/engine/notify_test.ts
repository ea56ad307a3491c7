/** NOTIFY: what peers are told of their packets, how seldom, and that being told changes nothing. */

import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import type { Logger } from "../../lib/base/logger.ts";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { EngineOptions } from "../../lib/engine/engine.ts";
import type { Job, JobResult } from "../../lib/hip/jobs.ts";
import { hostIdTlv } from "../../lib/hip/packet_builder.ts";
import { verifyHipSignature } from "../../lib/hip/packet_verifier.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { NOTIFY, NOTIFY_TYPES, PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import {
  emitHipPacket,
  HIP_FIELD,
  HIP_PROTOCOL,
  type HipPacket,
  parseHipPacket,
  setChecksum,
} from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { ECHO_REQUEST_SIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import { NOTIFICATION } from "../../lib/wire/hip/parameters/notification.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";

const ALICE = testIdentity("ecdsa-p256", "alice");
const BOB = testIdentity("ecdsa-p256", "bob");

function makePair(
  ofB: Partial<EngineOptions> = {},
  ofA: Partial<EngineOptions> = {},
): EnginePair {
  const a = new End(ALICE, "192.0.2.1", 1, ofA);
  const b = new End(BOB, "192.0.2.2", 2, ofB);
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  return pair;
}

function typeOf(packet: OutgoingPacket): number {
  return packet.bytes[HIP_FIELD.packetType]! & 0x7f;
}

function notifiesIn(packets: readonly OutgoingPacket[]): HipPacket[] {
  return packets
    .filter((packet) => packet.protocol === HIP_PROTOCOL && typeOf(packet) === PACKET.NOTIFY)
    .map(({ bytes }) => parseHipPacket(bytes));
}

/** The NOTIFY packets with which B answers this. */
function answersOf(pair: EnginePair, packet: OutgoingPacket): HipPacket[] {
  pair.b.sent.length = 0;
  pair.inject(pair.b, packet);
  return notifiesIn(pair.b.sent.splice(0));
}

/** The error it reports; that it is signed by B, from and to the right HITs, with nothing more. */
function errorIn([notify, ...more]: HipPacket[], pair: EnginePair): number {
  assert.ok(notify);
  assert.deepEqual(more, []);
  assert.deepEqual([notify.senderHit, notify.receiverHit], [BOB.hit, pair.a.hit]);
  assert.ok(verifyHipSignature(notify, BOB));
  assert.equal(notify.controls, 0);
  return notify.require(NOTIFICATION).messageType;
}

function changed(packet: OutgoingPacket, change: (bytes: Uint8Array) => void): OutgoingPacket {
  const bytes = packet.bytes.slice();
  change(bytes);
  setChecksum(bytes, packet.source, packet.destination);
  return { ...packet, bytes };
}

/** A packet from A to B that is its own work. */
function fromA(pair: EnginePair, bytes: Uint8Array): OutgoingPacket {
  const { a, b } = pair;
  setChecksum(bytes, a.address, b.address);
  const path = { source: a.address, destination: b.address };
  return { protocol: HIP_PROTOCOL, ...path, bytes, trafficClass: 0, hopLimit: 64 };
}

/** Makes packets that A signs, with a right MAC under the keys of the association. */
function signerOfA(pair: EnginePair) {
  let job: Job | undefined;
  // The keys are in the job of a CLOSE that A makes, and which is lost.
  pair.tamper = (candidate, result) => {
    if (candidate.kind !== "sign-packet" || candidate.packetType !== PACKET.CLOSE) return result;
    job = candidate;
    return undefined;
  };
  pair.a.engine.close(pair.now, pair.b.hit);
  pair.settle();
  pair.tamper = (_, result) => result;
  assert.ok(job?.kind === "sign-packet");
  const close = job;
  return (packetType: number, parameters: Uint8Array[]): OutgoingPacket => {
    const mac = packetType === PACKET.NOTIFY ? undefined : close.mac;
    const result = runJob({ ...close, mac, packetType, parameters });
    assert.ok(result.kind === "sign-packet");
    return fromA(pair, result.packet);
  };
}

function signedByA(pair: EnginePair, packetType: number, parameters: Uint8Array[]) {
  return signerOfA(pair)(packetType, parameters);
}

/** The I2 of A with its job's policy and result changed, caught on the way. */
function caughtI2(
  pair: EnginePair,
  tamper: EnginePair["tamper"] = (_, result) => result,
): OutgoingPacket {
  let found: OutgoingPacket | undefined;
  pair.tamper = tamper;
  pair.passes = (packet) => {
    const isI2 = typeOf(packet) === PACKET.I2;
    if (isI2) found = packet;
    return !isI2;
  };
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  assert.ok(found);
  pair.passes = () => true;
  pair.tamper = (_, result) => result;
  return found;
}

/** The offset of a parameter's contents. */
function contentsOf(packet: OutgoingPacket, type: number): number {
  return parseHipPacket(packet.bytes).raw(type)!.offset + 4;
}

const closeTlv = encodeParameter(ECHO_REQUEST_SIGNED, { opaque: new Uint8Array(8) });

Deno.test("NTF-013 NTF-018 NTF-026 TLV-010 in an association an unknown critical parameter is named in a signed NOTIFY", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  const unknown = new Uint8Array([0x8a, 0xbd, 0, 4, 1, 2, 3, 4]);
  const close = fromA(
    pair,
    emitHipPacket(
      { packetType: PACKET.CLOSE, senderHit: ALICE.hit, receiverHit: BOB.hit },
      [closeTlv, unknown],
    ),
  );
  const answers = answersOf(pair, close);
  assert.equal(errorIn(answers, pair), NOTIFY.UNSUPPORTED_CRITICAL_PARAMETER_TYPE);
  assert.deepEqual([...answers[0]!.require(NOTIFICATION).data], [0x8a, 0xbd]);
  assert.equal(pair.b.engine.association(ALICE.hit)?.state, "ESTABLISHED");
});

Deno.test("NTF-013 NTF-023 in an association a wrong MAC is HIP_MAC_FAILED, a wrong checksum CHECKSUM_FAILED, and no ICMP", () => {
  const pair = makePair({ settings: { icmpToStrangers: true } });
  pair.ping(pair.a, pair.b);
  const close = signedByA(pair, PACKET.CLOSE, [closeTlv]);
  const mac = contentsOf(close, PARAMETER.HIP_MAC);
  const wrong = changed(close, (bytes) => bytes[mac]! ^= 1);
  assert.equal(errorIn(answersOf(pair, wrong), pair), NOTIFY.HIP_MAC_FAILED);
  pair.advance(seconds(1));
  const garbled = close.bytes.slice();
  garbled[HIP_FIELD.checksum]! ^= 1;
  pair.b.sent.length = 0;
  pair.inject(pair.b, { ...close, bytes: garbled });
  assert.ok(pair.b.sent.every(({ protocol }) => protocol === HIP_PROTOCOL));
  assert.equal(errorIn(notifiesIn(pair.b.sent), pair), NOTIFY.CHECKSUM_FAILED);
  assert.equal(pair.b.engine.association(ALICE.hit)?.state, "ESTABLISHED");
});

Deno.test("NTF-022 a wrong signature is AUTHENTICATION_FAILED, but not that of a NOTIFY", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  const close = signedByA(pair, PACKET.CLOSE, [closeTlv]);
  const at = contentsOf(close, PARAMETER.HIP_SIGNATURE) + 10;
  const wrong = changed(close, (bytes) => bytes[at]! ^= 1);
  assert.equal(errorIn(answersOf(pair, wrong), pair), NOTIFY.AUTHENTICATION_FAILED);

  const other = makePair();
  other.ping(other.a, other.b);
  const data = new Uint8Array(0);
  const notification = encodeParameter(NOTIFICATION, { messageType: 7, data });
  const notify = signedByA(other, PACKET.NOTIFY, [notification]);
  const inNotify = contentsOf(notify, PARAMETER.HIP_SIGNATURE) + 10;
  const wrongNotify = changed(notify, (bytes) => bytes[inNotify]! ^= 1);
  assert.deepEqual(answersOf(other, wrongNotify), []);
  assert.equal(other.b.engine.status().drops["hip-signature-failed"], 1);
});

Deno.test("NTF-014 NTF-015 NTF-016 INVALID_SYNTAX answers what is authentic and malformed, without details, and nothing else", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  // A CLOSE without ECHO_REQUEST_SIGNED.
  const malformed = signedByA(pair, PACKET.CLOSE, []);
  const answers = answersOf(pair, malformed);
  assert.equal(errorIn(answers, pair), NOTIFY.INVALID_SYNTAX);
  assert.equal(answers[0]!.require(NOTIFICATION).data.length, 0);
  assert.equal(pair.b.engine.status().drops["hip-malformed"], 1);
  assert.equal(pair.b.engine.association(ALICE.hit)?.state, "ESTABLISHED");
  // The same unauthentic.
  for (const type of [PARAMETER.HIP_MAC, PARAMETER.HIP_SIGNATURE]) {
    pair.advance(seconds(1));
    const at = contentsOf(malformed, type) + 8;
    const unauthentic = changed(malformed, (bytes) => bytes[at]! ^= 1);
    assert.notEqual(errorIn(answersOf(pair, unauthentic), pair), NOTIFY.INVALID_SYNTAX);
  }
});

Deno.test("NOTIFY packets are one per second and peer", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  const close = signedByA(pair, PACKET.CLOSE, [closeTlv]);
  const mac = contentsOf(close, PARAMETER.HIP_MAC);
  const wrong = changed(close, (bytes) => bytes[mac]! ^= 1);
  const counts = [0, 0, 0].map(() => answersOf(pair, wrong).length);
  assert.deepEqual(counts, [1, 0, 0]);
  assert.equal(pair.b.jobs.filter(({ kind }) => kind === "sign-packet").length, 1);
  pair.advance(seconds(1));
  assert.equal(answersOf(pair, wrong).length, 1);
});

const I2_STORIES: readonly {
  readonly title: string;
  readonly parameter: number;
  /** Offset in the contents of an octet to change. */
  readonly at: number;
  readonly error: number;
}[] = [
  {
    title: "NTF-019 BEX-067 a group that was not offered is INVALID_DH_CHOSEN",
    parameter: PARAMETER.DIFFIE_HELLMAN,
    at: 0,
    error: NOTIFY.INVALID_DH_CHOSEN,
  },
  {
    title: "NTF-020 BEX-067 a cipher that was not offered is INVALID_HIP_CIPHER_CHOSEN",
    parameter: PARAMETER.HIP_CIPHER,
    at: 0,
    error: NOTIFY.INVALID_HIP_CIPHER_CHOSEN,
  },
  {
    title: "ESP-020 ESP-019 an ESP suite that was not offered is INVALID_ESP_TRANSFORM_CHOSEN",
    parameter: PARAMETER.ESP_TRANSFORM,
    at: 2,
    error: NOTIFY.INVALID_ESP_TRANSFORM_CHOSEN,
  },
  {
    title: "NTF-023 a wrong MAC of an I2 is HIP_MAC_FAILED",
    parameter: PARAMETER.HIP_MAC,
    at: 0,
    error: NOTIFY.HIP_MAC_FAILED,
  },
  {
    title: "NTF-022 a wrong signature of an I2 is AUTHENTICATION_FAILED",
    parameter: PARAMETER.HIP_SIGNATURE,
    at: 8,
    error: NOTIFY.AUTHENTICATION_FAILED,
  },
];

for (const { title, parameter, at, error } of I2_STORIES) {
  Deno.test(`${title}, and no association`, () => {
    const pair = makePair();
    const i2 = caughtI2(pair);
    const offset = contentsOf(i2, parameter) + at;
    const wrong = changed(i2, (bytes) => bytes[offset]! ^= 0x40);
    assert.equal(errorIn(answersOf(pair, wrong), pair), error);
    assert.equal(pair.b.engine.association(ALICE.hit), undefined);
  });
}

/** The result of B's job on an I2 changed to a failure. */
function failing(reason: (JobResult & { kind: "failed" })["reason"]): EnginePair["tamper"] {
  return (job, result) =>
    job.kind === "accept-i2" ? { kind: "failed", reason, detail: "secret detail" } : result;
}

for (
  const [reason, error, ids] of [
    ["hip-decryption-failed", NOTIFY.ENCRYPTION_FAILED, "NTF-023"],
    ["hip-invalid-hit", NOTIFY.INVALID_HIT, "NTF-023"],
    ["hip-unexpected-identity", NOTIFY.BLOCKED_BY_POLICY, "NTF-024"],
    ["hip-job-failed", NOTIFY.RESPONDER_BUSY_PLEASE_RETRY, "NTF-024"],
  ] as const
) {
  Deno.test(`${ids} an I2 refused as ${reason} is answered with notify type ${error}, without details`, () => {
    const pair = makePair();
    const i2 = caughtI2(pair);
    pair.tamper = failing(reason);
    const answers = answersOf(pair, i2);
    assert.equal(errorIn(answers, pair), error);
    assert.equal(answers[0]!.require(NOTIFICATION).data.length, 0);
  });
}

Deno.test("BEX-067 NTF-015 a malformed I2 with a right solution is answered, though not with INVALID_SYNTAX", () => {
  const pair = makePair();
  const i2 = caughtI2(pair);
  // Its HIP_MAC is gone.
  const { offset, size } = parseHipPacket(i2.bytes).raw(PARAMETER.HIP_MAC)!;
  const bytes = new Uint8Array(i2.bytes.length - size);
  bytes.set(i2.bytes.subarray(0, offset));
  bytes.set(i2.bytes.subarray(offset + size), offset);
  bytes[HIP_FIELD.headerLength] = bytes.length / 8 - 1;
  const answers = answersOf(pair, fromA(pair, bytes));
  assert.equal(errorIn(answers, pair), NOTIFY.AUTHENTICATION_FAILED);
  assert.equal(pair.b.engine.status().drops["hip-malformed"], 1);
});

Deno.test("NTF-012 NTF-028 BEX-026 who has not passed the puzzle is told nothing by NOTIFY", () => {
  const pair = makePair({ settings: { puzzleDifficultyK: 8 } });
  const i2 = caughtI2(pair);
  const j = contentsOf(i2, PARAMETER.SOLUTION) + 4 + 48;
  assert.deepEqual(answersOf(pair, changed(i2, (bytes) => bytes[j]! ^= 1)), []);
  const i1 = pair.wire.find((packet) => typeOf(packet) === PACKET.I1)!;
  const groups = contentsOf(i1, PARAMETER.DH_GROUP_LIST);
  const malformed = changed(i1, (bytes) => bytes[groups - 1] = 200);
  assert.deepEqual(answersOf(pair, malformed), []);
});

Deno.test("NTF-024 with no room for another association an I2 is told to retry later", () => {
  const pair = makePair({ settings: { maxAssociations: 0 } });
  const answers = answersOf(pair, caughtI2(pair));
  assert.equal(errorIn(answers, pair), NOTIFY.RESPONDER_BUSY_PLEASE_RETRY);
});

for (
  const [policy, error, ids] of [
    [{ ...POLICY, espSuites: [12] }, NOTIFY.NO_ESP_PROPOSAL_CHOSEN, "ESP-021"],
    [{ ...POLICY, hipCiphers: [1] }, NOTIFY.NO_HIP_PROPOSAL_CHOSEN, "NTF-020"],
    [{ ...POLICY, dhGroups: [9] }, NOTIFY.NO_DH_PROPOSAL_CHOSEN, "NTF-019"],
    [{ ...POLICY, hitSuites: [1] }, NOTIFY.UNSUPPORTED_HIT_SUITE, "NTF-021"],
  ] as const
) {
  Deno.test(`${ids} an Initiator that finds nothing acceptable in R1 says so, with its key (type ${error})`, () => {
    const pair = makePair({ policy });
    pair.a.engine.connect(pair.now, BOB.hit);
    pair.settle();
    const [notify] = notifiesIn(pair.wire);
    assert.ok(notify);
    assert.equal(notify.require(NOTIFICATION).messageType, error);
    assert.deepEqual(notify.receiverHit, BOB.hit);
    assert.ok(verifyHipSignature(notify, ALICE));
    const hostId = notify.raw(PARAMETER.HOST_ID)!;
    const sent = notify.bytes.subarray(hostId.offset, hostId.offset + hostId.size);
    assert.equal(toHex(sent), toHex(hostIdTlv(ALICE)));
    pair.advance(seconds(10));
    assert.notEqual(pair.a.engine.association(BOB.hit)?.state, "ESTABLISHED");
  });
}

Deno.test("NTF-005 NTF-006 NTF-007 NTF-009 NTF-010 NTF-011 NTF-027 NTF-003 FSM-059 a NOTIFY of any type is named in the log, changes nothing and is not answered", () => {
  const lines: string[] = [];
  const logger: Logger = { log: (_, message) => lines.push(message) };
  const pair = makePair({ logger });
  pair.ping(pair.a, pair.b);
  const types: [string, number][] = NOTIFY_TYPES.map(([name, type]) => [name, type]);
  types.push(["notify type 9999", 9999], ["notify type 60000", 60000]);
  const parameters = types.map(([, messageType]) =>
    encodeParameter(NOTIFICATION, { messageType, data: new Uint8Array([1, 2, 3]) })
  );
  const notify = signedByA(pair, PACKET.NOTIFY, parameters);
  const before = pair.b.engine.association(ALICE.hit);
  lines.length = 0;
  pair.inject(pair.b, notify);
  assert.deepEqual(
    types.filter(([name]) => !lines.some((line) => line.endsWith(name))),
    [],
  );
  assert.deepEqual(pair.b.engine.association(ALICE.hit), before);
  // NTF-027: and nothing answers it.
  assert.deepEqual(pair.b.sent, []);
});

Deno.test("forged NOTIFY packets cost two signature checks a second, and CLOSE is still heard", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  const data = new Uint8Array(0);
  const notification = encodeParameter(NOTIFICATION, { messageType: 7, data });
  const sign = signerOfA(pair);
  const notify = sign(PACKET.NOTIFY, [notification]);
  const at = contentsOf(notify, PARAMETER.HIP_SIGNATURE) + 10;
  const held: Job[] = [];
  // The worker has no time for any of them.
  pair.tamper = (job, result, end) => {
    if (end !== pair.b || job.kind !== "verify-signature") return result;
    held.push(job);
    return undefined;
  };
  for (let i = 0; i < 50; i++) {
    pair.inject(pair.b, changed(notify, (bytes) => bytes[at] = i));
  }
  assert.equal(held.length, 2);
  assert.equal(pair.b.engine.status().drops["hip-rate-limited"], 48);
  pair.tamper = (_, result) => result;
  pair.inject(pair.b, sign(PACKET.CLOSE, [closeTlv]));
  assert.equal(pair.b.engine.association(ALICE.hit)?.state, "CLOSED");
});

Deno.test("a signed NOTIFY without its form is dropped by name", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  // NOTIFICATION of two octets.
  const notify = signedByA(pair, PACKET.NOTIFY, [new Uint8Array([3, 0x40, 0, 2, 0, 0, 0, 0])]);
  assert.deepEqual(answersOf(pair, notify), []);
  assert.equal(pair.b.engine.status().drops["hip-malformed"], 1);
  pair.advance(milliseconds(10));
  pair.ping(pair.b, pair.a, 2);
});
