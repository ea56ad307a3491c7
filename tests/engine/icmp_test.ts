/** What strangers are told by ICMP, how seldom, and when they are told nothing. */

import assert from "node:assert/strict";
import { seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { finishSum, pseudoHeaderSum, sumBytes } from "../../lib/wire/checksum.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import {
  emitHipPacket,
  HIP_FIELD,
  HIP_PROTOCOL,
  parseHipPacket,
  setChecksum,
} from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { ECHO_REQUEST_SIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";

const ICMP = 1;
const ICMPV6 = 58;
const ESP = 50;

function makePair(settings: Partial<ControlSettings> = {}, version: 4 | 6 = 4): EnginePair {
  const prefix = version === 4 ? "192.0.2." : "2001:db8::";
  const a = new End(testIdentity("ecdsa-p256", "alice"), `${prefix}1`, 1, { settings });
  const b = new End(testIdentity("ecdsa-p256", "bob"), `${prefix}2`, 2, { settings });
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  return pair;
}

/** What B sends at once when this arrives. */
function answersOf(pair: EnginePair, packet: OutgoingPacket): OutgoingPacket[] {
  pair.b.sent.length = 0;
  pair.inject(pair.b, packet);
  return pair.b.sent.splice(0);
}

/** The packet of this type that A sent, caught on the wire and lost there. */
function caught(pair: EnginePair, packetType: number): OutgoingPacket {
  let found: OutgoingPacket | undefined;
  pair.passes = (packet) => {
    const isIt = (packet.bytes[HIP_FIELD.packetType]! & 0x7f) === packetType;
    if (isIt) found = packet;
    return !isIt;
  };
  pair.ping(pair.a, pair.b);
  assert.ok(found);
  return found;
}

function withBytes(packet: OutgoingPacket, change: (bytes: Uint8Array) => void): OutgoingPacket {
  const bytes = packet.bytes.slice();
  change(bytes);
  setChecksum(bytes, packet.source, packet.destination);
  return { ...packet, bytes };
}

/** A CLOSE from somebody with whom B has no association. */
function strangeClose(pair: EnginePair, packetType: number = PACKET.CLOSE): OutgoingPacket {
  const { a, b } = pair;
  const bytes = emitHipPacket(
    { packetType, senderHit: testIdentity("ed25519", "alice").hit, receiverHit: b.hit },
    [encodeParameter(ECHO_REQUEST_SIGNED, { opaque: new Uint8Array(8) })],
  );
  setChecksum(bytes, a.address, b.address);
  return {
    protocol: HIP_PROTOCOL,
    source: a.address,
    destination: b.address,
    bytes,
    trafficClass: 0,
    hopLimit: 64,
  };
}

for (const version of [4, 6] as const) {
  const [protocol, type, header] = version === 4 ? [ICMP, 12, 20] : [ICMPV6, 4, 40];

  Deno.test(`ICM-003 HDR-009 an unknown version is answered over IPv${version} with the pointer at it`, () => {
    const pair = makePair({}, version);
    const i1 = caught(pair, PACKET.I1);
    const strange = withBytes(i1, (bytes) => bytes[HIP_FIELD.version] = 0x31);
    const [answer] = answersOf(pair, strange);
    assert.ok(answer);
    assert.equal(answer.protocol, protocol);
    assert.deepEqual(answer.destination, pair.a.address);
    assert.deepEqual(answer.source, pair.b.address);
    const pointer = version === 4
      ? answer.bytes[4]
      : new DataView(answer.bytes.buffer, answer.bytes.byteOffset).getUint32(4);
    assert.deepEqual([answer.bytes[0], answer.bytes[1], pointer], [type, 0, header + 3]);
    assert.deepEqual(answer.bytes.subarray(8 + header), strange.bytes);
    const pseudo = version === 4
      ? 0
      : pseudoHeaderSum(answer.source, answer.destination, ICMPV6, answer.bytes.length);
    assert.equal(finishSum(sumBytes(answer.bytes, 0, answer.bytes.length, pseudo)), 0);
  });

  const id = version === 4 ? "ICM-007" : "ICM-006";
  Deno.test(`${id} BEX-068 a wrong solution is answered over IPv${version} with the pointer at #J`, () => {
    const pair = makePair({ puzzleDifficultyK: 8 }, version);
    const i2 = caught(pair, PACKET.I2);
    const { offset, size } = parseHipPacket(i2.bytes).raw(PARAMETER.SOLUTION)!;
    const j = offset + 8 + 48;
    assert.equal(j + 48, offset + size);
    const wrong = withBytes(i2, (bytes) => bytes[j]! ^= 1);
    const [answer] = answersOf(pair, wrong);
    assert.ok(answer);
    const pointer = version === 4 ? answer.bytes[4] : answer.bytes[7];
    assert.deepEqual([answer.protocol, answer.bytes[0], pointer], [protocol, type, header + j]);
    // Enough is quoted to see SOLUTION.
    assert.ok(answer.bytes.length >= 8 + header + j + 48);
  });
}

Deno.test("CKS-006 ICM-005 a bad checksum is dropped without a word", () => {
  const pair = makePair();
  const i1 = caught(pair, PACKET.I1);
  const bytes = i1.bytes.slice();
  bytes[HIP_FIELD.checksum]! ^= 1;
  assert.deepEqual(answersOf(pair, { ...i1, bytes }), []);
});

Deno.test("ICM-002 all errors together are ten per second, from however many sources they are asked", () => {
  const pair = makePair();
  const i1 = caught(pair, PACKET.I1);
  const flood = () => {
    let answers = 0;
    for (let i = 0; i < 200; i++) {
      const source = parseIpAddress(`198.51.100.${i}`);
      const bytes = i1.bytes.slice();
      bytes[HIP_FIELD.version] = 0x31;
      answers += answersOf(pair, { ...i1, source, bytes }).length;
    }
    return answers;
  };
  assert.equal(flood(), 10);
  pair.advance(seconds(1));
  assert.equal(flood(), 10);
});

Deno.test("SEC-013 FSM-006 CLS-021 ESP-065 a CLOSE or an SPI that fits nothing is not answered unless wanted", () => {
  const pair = makePair();
  assert.deepEqual(answersOf(pair, strangeClose(pair)), []);
  const esp = { ...strangeClose(pair), protocol: ESP, bytes: new Uint8Array(64).fill(7) };
  assert.deepEqual(answersOf(pair, esp), []);
  const { drops, associations } = pair.b.engine.status();
  assert.deepEqual([drops["hip-no-association"], drops["esp-unknown-spi"]], [1, 1]);
  assert.equal(associations.length, 0);
});

Deno.test("ICM-001 ICM-008 CLS-022 FSM-006 UPD-036 where wanted, a CLOSE or UPDATE of a stranger is answered with the pointer at its HIT", () => {
  const pair = makePair({ icmpToStrangers: true });
  for (const packetType of [PACKET.CLOSE, PACKET.CLOSE_ACK, PACKET.UPDATE]) {
    const [answer] = answersOf(pair, strangeClose(pair, packetType));
    assert.deepEqual([answer?.protocol, answer?.bytes[0], answer?.bytes[4]], [ICMP, 12, 20 + 8]);
  }
});

Deno.test("ICM-008 a sender known under another HIT of ours is shown that HIT", () => {
  const pair = makePair({ icmpToStrangers: true });
  const { a, b } = pair;
  pair.ping(a, b);
  const close = strangeClose(pair);
  const other = withBytes(close, (bytes) => {
    bytes.set(a.hit, HIP_FIELD.senderHit);
    bytes.set(testIdentity("ed25519", "bob").hit, HIP_FIELD.receiverHit);
  });
  const [answer] = answersOf(pair, other);
  assert.deepEqual([answer?.bytes[0], answer?.bytes[4]], [12, 20 + 24]);
});

Deno.test("ICM-011 I1, R1, I2, R2 and NOTIFY that fit no association are never answered with ICMP", () => {
  const pair = makePair({ icmpToStrangers: true });
  for (const packetType of [PACKET.R1, PACKET.I2, PACKET.R2, PACKET.NOTIFY]) {
    assert.deepEqual(answersOf(pair, strangeClose(pair, packetType)), []);
  }
  const i1 = withBytes(caught(pair, PACKET.I1), (bytes) => bytes[HIP_FIELD.receiverHit + 15]! ^= 1);
  assert.deepEqual(answersOf(pair, i1), []);
});

Deno.test("ESP-065 ICM-009 ICM-010 where wanted, an unknown SPI is answered with the pointer at it", () => {
  const pair = makePair({ icmpToStrangers: true });
  const esp = { ...strangeClose(pair), protocol: ESP, bytes: new Uint8Array(64).fill(7) };
  const [answer] = answersOf(pair, esp);
  assert.deepEqual([answer?.protocol, answer?.bytes[0], answer?.bytes[4]], [ICMP, 12, 20]);
  assert.equal(pair.b.delivered.length, 0);
});

Deno.test("BEX-017 a host without an R1 to offer says administratively prohibited", () => {
  const pair = makePair();
  const i1 = caught(pair, PACKET.I1);
  const idle = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 3);
  pair.inject(idle, i1);
  const [answer] = idle.sent;
  assert.deepEqual([answer?.protocol, answer?.bytes[0], answer?.bytes[1]], [ICMP, 3, 13]);
});
