/** Associations by their pair of HITs, what is forgotten with them, and what an R1 must pass first. */

import assert from "node:assert/strict";
import { seconds } from "../../lib/base/time.ts";
import { PACKET, PARAMETER, parameterTypeName } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { ipv6Destination, ipv6Source } from "../../lib/wire/ipv6.ts";
import { addressKey, formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import {
  connecting,
  forged,
  makePair,
  sceneIn,
  spoilt,
  states,
  swallowing,
  typeOf,
} from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

const ALICE = testIdentity("ecdsa-p256", "alice");
const BOB = testIdentity("ecdsa-p256", "bob");

function echoBetween(source: Uint8Array, destination: Uint8Array): Uint8Array {
  const ids = { identifier: 7, sequence: 1 };
  const data = new Uint8Array(16);
  return buildIcmpv6Echo({ kind: "request", source, destination, ...ids, data });
}

Deno.test("BEX-013 BEX-014 each pair of HITs has one association of its own, and packets find it by the pair", () => {
  const second = testIdentity("rsa", "alice");
  const identities = [ALICE, second].map((identity, i) => (
    { identity, name: `${i}`, isAnonymous: false }
  ));
  const a = new End(ALICE, "192.0.2.1", 1, { identities });
  const b = new End(BOB, "192.0.2.2", 2);
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  for (let round = 0; round < 2; round++) {
    for (const { hit } of [ALICE, second]) {
      a.engine.connect(pair.now, b.hit, hit);
      pair.settle();
      pair.sendInner(a, echoBetween(hit, b.hit));
      assert.deepEqual(ipv6Source(b.delivered.at(-1)!), hit);
      pair.sendInner(b, echoBetween(b.hit, hit));
      assert.deepEqual(ipv6Destination(a.delivered.at(-1)!), hit);
    }
    for (const { engine } of [a, b]) assert.equal(engine.status().associations.length, 2);
  }
  const spis = a.engine.status().associations.map(({ inboundSpi }) => inboundSpi);
  assert.notEqual(spis[0], spis[1]);
  assert.equal(pair.wire.filter((packet) => typeOf(packet) === PACKET.I1).length, 2);
});

Deno.test("LOS-006 with an association its peer's R1 counter is forgotten: a lower one is fine afterwards", () => {
  const first = new EnginePair(
    new End(ALICE, "192.0.2.1", 1),
    new End(BOB, "192.0.2.2", 2, { firstR1Generation: 1000n }),
  );
  first.introduce(first.a, first.b);
  first.ping(first.a, first.b);
  assert.deepEqual(states(first), ["ESTABLISHED", "ESTABLISHED"]);
  first.a.engine.close(first.now, BOB.hit);
  first.settle();
  first.advance(seconds(3600));
  assert.equal(first.a.engine.association(BOB.hit), undefined);
  const again = new EnginePair(first.a, new End(BOB, "192.0.2.2", 3));
  again.now = first.now;
  again.ping(again.a, again.b);
  const r1 = again.wire.find((packet) => typeOf(packet) === PACKET.R1)!;
  assert.equal(parseHipPacket(r1.bytes).require(R1_COUNTER).generation, 1n);
  assert.deepEqual(states(again)[0], "ESTABLISHED");
});

Deno.test("SIG-015 a packet with a wrong length or checksum makes nobody verify a signature", () => {
  const wrongs: ((bytes: Uint8Array) => Uint8Array)[] = [
    (bytes) => (bytes[HIP_FIELD.checksum]! ^= 1, bytes),
    (bytes) => bytes.slice(0, bytes.length - 8),
    (bytes) => (bytes[HIP_FIELD.headerLength]! -= 1, bytes),
    (bytes) => (bytes[HIP_FIELD.headerLength]! += 1, bytes),
  ];
  for (const type of [PACKET.R1, PACKET.I2, PACKET.R2, PACKET.CLOSE]) {
    const pair = makePair();
    if (type === PACKET.CLOSE) pair.ping(pair.a, pair.b);
    const close = () => pair.a.engine.close(pair.now, pair.b.hit);
    const packet = type === PACKET.CLOSE
      ? swallowing(pair, type, close)[0]!
      : connecting(pair, type);
    const to = type === PACKET.R1 || type === PACKET.R2 ? pair.a : pair.b;
    // A report of the error may be signed, at most once a second.
    const verifications = () => to.jobs.filter(({ kind }) => kind !== "sign-packet").length;
    const before = verifications();
    for (const wrong of wrongs) {
      pair.inject(to, { ...packet, bytes: wrong(packet.bytes.slice()) });
      assert.equal(verifications(), before);
    }
    pair.inject(to, packet);
    assert.ok(verifications() > before);
  }
});

Deno.test("DHG-013 DHG-014 PKT-006 an R1 with an unfit group counts when its signature is right, and is ignored when not", () => {
  const policy = { ...POLICY, dhGroups: [9] };
  const pair = new EnginePair(
    new End(ALICE, "192.0.2.1", 1, { policy }),
    new End(BOB, "192.0.2.2", 2),
  );
  pair.introduce(pair.a, pair.b);
  const r1 = connecting(pair, PACKET.R1);
  pair.a.jobs.length = 0;
  pair.inject(pair.a, spoilt(r1, "HIP_SIGNATURE_2"));
  assert.deepEqual(pair.a.sent, []);
  assert.deepEqual(pair.a.jobs.map(({ kind }) => kind), ["verify-r1"]);
  assert.equal(states(pair)[0], "I1-SENT");
  assert.equal(pair.a.engine.status().drops["hip-signature-failed"], 1);
  pair.inject(pair.a, r1);
  assert.deepEqual(pair.a.sent.map(typeOf), [PACKET.NOTIFY]);
  const names = parseHipPacket((pair.a.sent as OutgoingPacket[])[0]!.bytes).parameters
    .map(({ type }) => parameterTypeName(type));
  assert.deepEqual(names, ["HOST_ID", "NOTIFICATION", "HIP_SIGNATURE"]);
  assert.equal(pair.a.engine.status().drops["hip-no-common-group"], 1);
});

Deno.test("BEX-005 BEX-006 a peer with many addresses is sent one I1 at a time, each time to the next address", () => {
  const pair = makePair();
  const addresses = ["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15"];
  pair.a.engine.learnPeer(pair.now, {
    hit: BOB.hit,
    identity: undefined,
    locators: addresses.map(parseIpAddress),
    rendezvous: [],
    name: "",
    source: "static",
    expires: undefined,
  });
  const met: [string, number][] = [];
  pair.passes = ({ destination }) => (met.push([formatIpAddress(destination), pair.now]), false);
  pair.a.engine.connect(pair.now, BOB.hit);
  pair.settle();
  pair.advance(seconds(20));
  assert.deepEqual(met.map(([address]) => address), addresses);
  assert.equal(new Set(met.map(([_, at]) => at)).size, addresses.length);
});

Deno.test("R1M-001 a host that has only ever begun exchanges answers an I1 with R1", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  const groups = encodeParameter(DH_GROUP_LIST, { groupIds: [7] });
  const stranger = new End(testIdentity("rsa", "bob"), "192.0.2.9", 5);
  pair.inject(pair.a, forged(stranger, pair.a, PACKET.I1, [groups]));
  assert.deepEqual(pair.a.sent.map(typeOf), [PACKET.R1]);
});

Deno.test("FSM-046 in CLOSING an R1 that fails changes nothing", () => {
  const scene = sceneIn("CLOSING");
  const r1 = scene.pair.wire.find((packet) => typeOf(packet) === PACKET.R1)!;
  assert.deepEqual(scene.meet(spoilt(r1, "HIP_SIGNATURE_2")).sent, []);
  assert.equal(scene.state(), "CLOSING");
});

Deno.test("HDR-004 PKT-015 every HIP packet is one header to its end, with nothing after it", () => {
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  pair.a.engine.close(pair.now, BOB.hit);
  pair.settle();
  const sent = pair.wire.filter((packet) => typeOf(packet) >= 0);
  const types = [PACKET.I1, PACKET.R1, PACKET.I2, PACKET.R2, PACKET.CLOSE, PACKET.CLOSE_ACK];
  assert.deepEqual(sent.map(typeOf), types);
  for (const { bytes } of sent) {
    assert.equal(bytes[HIP_FIELD.nextHeader], 59);
    assert.equal(bytes.length, (bytes[HIP_FIELD.headerLength]! + 1) * 8);
  }
});

Deno.test("NEG-021 SEC-012 opportunistic mode takes another host at a known address, and says that only the address vouches", () => {
  const pair = makePair();
  const { a, b } = pair;
  a.engine.connectOpportunistic(pair.now, b.address);
  pair.settle();
  assert.deepEqual(a.engine.association(b.hit)?.opportunisticAddress, b.address);
  const carol = new End(testIdentity("rsa", "bob"), "192.0.2.2", 7);
  const other = new EnginePair(a, carol);
  other.now = pair.now;
  a.engine.connectOpportunistic(other.now, carol.address);
  other.settle();
  const met = a.engine.association(carol.hit);
  assert.equal(met?.state, "ESTABLISHED");
  assert.equal(addressKey(met!.opportunisticAddress!), addressKey(b.address));
  const named = makePair();
  named.ping(named.a, named.b);
  assert.equal(named.a.engine.association(BOB.hit)?.opportunisticAddress, undefined);
});

Deno.test("ESP-067 the Initiator's inbound SA stands when I2 leaves, though it takes nothing yet", () => {
  const pair = makePair();
  const i2 = connecting(pair, PACKET.I2);
  const spi = espInfoSpi(i2);
  meetData(pair, pair.a, spi);
  meetData(pair, pair.a, spi ^ 0x100);
  const { drops } = pair.a.engine.status();
  assert.deepEqual([drops["esp-not-established"], drops["esp-unknown-spi"]], [1, 1]);
});

Deno.test("ESP-069 both of the Responder's SAs stand when R2 leaves", () => {
  const pair = makePair();
  const r2 = connecting(pair, PACKET.R2);
  meetData(pair, pair.b, espInfoSpi(r2));
  const { drops } = pair.b.engine.status();
  assert.deepEqual([drops["esp-icv-failed"], drops["esp-unknown-spi"]], [1, undefined]);
  const i2 = pair.wire.find((packet) => typeOf(packet) === PACKET.I2)!;
  const status = pair.b.engine.association(ALICE.hit);
  assert.equal(status?.outboundSpi, espInfoSpi(i2));
  assert.equal(status?.inboundSpi, espInfoSpi(r2));
});

/** NEW SPI in ESP_INFO. */
function espInfoSpi(packet: OutgoingPacket): number {
  const { contents } = parseHipPacket(packet.bytes).raw(PARAMETER.ESP_INFO)!;
  return new DataView(contents.buffer, contents.byteOffset).getUint32(8);
}

/** Gives an end an ESP packet that nobody sealed. */
function meetData(pair: EnginePair, to: End, spi: number): void {
  const bytes = new Uint8Array(8 + 8 + 40 + 16);
  new DataView(bytes.buffer).setUint32(0, spi >>> 0);
  bytes[7] = 1;
  const from = to === pair.a ? pair.b : pair.a;
  const path = { source: from.address, destination: to.address };
  pair.inject(to, { protocol: 50, ...path, bytes, trafficClass: 0, hopLimit: 64 });
}
