/** What a HIP packet must be before anybody looks for its association. */

import assert from "node:assert/strict";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import {
  emitHipPacket,
  HIP_FIELD,
  parseHipPacket,
  setChecksum,
} from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { EnginePair } from "../support/engine_pair.ts";
import { altered, ESP, forged, makePair, typeOf } from "../support/engine_story.ts";

const GROUPS = encodeParameter(DH_GROUP_LIST, { groupIds: [7] });

/** A parameter that nobody knows, four octets long. */
function unknownParameter(type: number): Uint8Array {
  return Uint8Array.of(type >> 8, type & 0xff, 0, 4, 1, 2, 3, 4);
}

/** Types of what Bob says, and what he drops. */
function verdict(pair: EnginePair, packet: OutgoingPacket): [number[], string[]] {
  const before = { ...pair.b.engine.status().drops } as Record<string, number>;
  pair.b.sent.length = 0;
  pair.inject(pair.b, packet);
  const drops = Object.entries(pair.b.engine.status().drops)
    .filter(([reason, count]) => count !== before[reason]).map(([reason]) => reason);
  return [pair.b.sent.splice(0).map(typeOf), drops];
}

function i1(pair: EnginePair, ...parameters: Uint8Array[]): OutgoingPacket {
  return forged(pair.a, pair.b, PACKET.I1, [GROUPS, ...parameters]);
}

Deno.test("HDR-001 HIP packets travel as protocol 139 and begin with their header of 40 octets", () => {
  const pair = makePair();
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  assert.deepEqual(pair.wire.map(({ protocol }) => protocol), [139, 139, 139, 139]);
  for (const { bytes } of pair.wire) {
    const { senderHit, receiverHit, parameters } = parseHipPacket(bytes);
    assert.deepEqual([senderHit, receiverHit].map((hit) => hit[0]), [0x20, 0x20]);
    assert.equal(parameters[0]!.offset, 40);
  }
  assert.deepEqual(verdict(pair, { ...i1(pair), protocol: 253 }), [[], ["datagram-unknown"]]);
});

Deno.test("HDR-008 packets of a type that is not known are dropped", () => {
  for (const type of [0, 5, 15, 21, 127]) {
    const pair = makePair();
    const bytes = (octets: Uint8Array) => octets[HIP_FIELD.packetType] = type;
    assert.deepEqual(verdict(pair, altered(i1(pair), bytes)), [[], ["hip-unknown-type"]]);
  }
});

Deno.test("HDR-009 packets of another version are not processed, and ours say version 2", () => {
  const pair = makePair();
  for (const version of [0, 1, 3, 15]) {
    const packet = altered(i1(pair), (bytes) => bytes[HIP_FIELD.version] = (version << 4) | 1);
    const [said, drops] = verdict(pair, packet);
    // ICMP may tell of it (§5.4.1), HIP may not.
    assert.deepEqual(said.filter((type) => type >= 0), []);
    assert.deepEqual(drops, ["hip-bad-version"]);
  }
  pair.ping(pair.a, pair.b);
  for (const { protocol, bytes } of pair.wire) {
    if (protocol !== ESP) assert.equal(bytes[HIP_FIELD.version]! >> 4, 2);
  }
});

Deno.test("HDR-013 control bits without a meaning are sent as zero and ignored", () => {
  const pair = makePair();
  const packet = altered(i1(pair), (bytes) => {
    bytes[HIP_FIELD.controls] = 0xff;
    bytes[HIP_FIELD.controls + 1] = 0xfe;
  });
  assert.deepEqual(verdict(pair, packet), [[PACKET.R1], []]);
  pair.ping(pair.a, pair.b);
  for (const { protocol, bytes } of pair.wire) {
    if (protocol !== ESP) assert.equal(parseHipPacket(bytes).controls, 0);
  }
});

Deno.test("CKS-006 ICM-005 a packet with a wrong checksum gets no answer of any kind", () => {
  for (let bit = 0; bit < 16; bit++) {
    const pair = makePair();
    const packet = i1(pair);
    packet.bytes[HIP_FIELD.checksum + (bit >> 3)]! ^= 1 << (bit & 7);
    assert.deepEqual(verdict(pair, packet), [[], ["hip-bad-checksum"]]);
    assert.deepEqual(pair.b.delivered, []);
  }
});

Deno.test("TLV-009 an unknown critical parameter ends the processing, wherever it stands", () => {
  for (const type of [1, 515, 32767, 65535]) {
    const pair = makePair();
    const packet = i1(pair, unknownParameter(type));
    assert.deepEqual(verdict(pair, packet), [[], ["hip-unknown-critical-parameter"]], `${type}`);
  }
});

Deno.test("TLV-011 an unknown parameter that is not critical is as good as absent", () => {
  for (const type of [2, 516, 32768, 65534]) {
    const pair = makePair();
    assert.deepEqual(verdict(pair, i1(pair, unknownParameter(type))), [[PACKET.R1], []], `${type}`);
  }
});

Deno.test("a packet shorter than its header, or than its length says, is dropped", () => {
  const pair = makePair();
  const whole = i1(pair);
  for (let length = 0; length < whole.bytes.length; length++) {
    const packet = { ...whole, bytes: whole.bytes.slice(0, length) };
    assert.deepEqual(verdict(pair, packet), [[], ["hip-malformed"]], `${length} octets`);
  }
  const shortHeader = altered(whole, (bytes) => bytes[HIP_FIELD.headerLength] = 3);
  assert.deepEqual(verdict(pair, shortHeader), [[], ["hip-malformed"]]);
});

Deno.test("parameters out of order are dropped under a name of their own", () => {
  const pair = makePair();
  const header = { packetType: PACKET.I1, senderHit: pair.a.hit, receiverHit: pair.b.hit };
  const bytes = emitHipPacket(header, [unknownParameter(2), GROUPS]);
  const [first, second] = parseHipPacket(bytes).parameters;
  const swapped = bytes.slice();
  swapped.set(bytes.subarray(second!.offset, second!.offset + second!.size), first!.offset);
  swapped.set(
    bytes.subarray(first!.offset, first!.offset + first!.size),
    first!.offset + second!.size,
  );
  setChecksum(swapped, pair.a.address, pair.b.address);
  assert.equal(first!.type < PARAMETER.DH_GROUP_LIST, true);
  assert.deepEqual(verdict(pair, { ...i1(pair), bytes: swapped }), [[], ["hip-parameter-order"]]);
});
