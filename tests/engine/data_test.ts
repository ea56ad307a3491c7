/** Inner packets: which go out, when, and that none goes out in the clear. */

import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import { seconds } from "../../lib/base/time.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { buildIcmpv6Echo, parseIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { ipv6Destination, ipv6Source } from "../../lib/wire/ipv6.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import {
  altered,
  ESP,
  makePair,
  sceneIn,
  STATES,
  states,
  swallowing,
  typeOf,
} from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

/** Data that nothing else in a packet looks like. */
const SECRET = new Uint8Array(32).fill(0xa7);

function echo(source: Uint8Array, destination: Uint8Array): Uint8Array {
  const ids = { identifier: 7, sequence: 1 };
  return buildIcmpv6Echo({ kind: "request", source, destination, ...ids, data: SECRET });
}

Deno.test("DAT-001 DAT-003 ESP-076 a datagram to a HIT whose source is no HIT of ours is dropped", () => {
  const pair = makePair();
  const { a, b } = pair;
  const sources = [parseIpAddress("2001:db8::1"), testIdentity("rsa", "bob").hit, b.hit];
  for (const source of sources) pair.sendInner(a, echo(source, b.hit));
  pair.advance(seconds(1));
  assert.deepEqual(pair.wire, []);
  assert.equal(a.engine.status().drops["tun-source-not-local"], 3);
});

Deno.test("ESP-084 no state lets a packet to a HIT out unprotected", () => {
  for (const state of STATES) {
    const { pair, host, peer } = sceneIn(state);
    const wire = () => [...pair.wire, ...host.sent];
    pair.passes = () => true;
    pair.sendInner(host, echo(host.hit, peer.hit));
    pair.advance(seconds(2));
    assert.ok(wire().length > 0);
    for (const { bytes } of wire()) assert.ok(!toHex(bytes).includes(toHex(SECRET)), state);
  }
});

Deno.test("DAT-011 ESP-068 the Initiator's data waits for a verified R2", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [r2] = swallowing(pair, PACKET.R2, () => pair.ping(a, b));
  assert.equal(states(pair)[0], "I2-SENT");
  assert.ok(!pair.wire.some(({ protocol }) => protocol === ESP));
  pair.inject(a, r2!);
  pair.settle();
  assert.equal(b.delivered.length, 1);
});

Deno.test("DAT-010 ESP-185 what is delivered has the HITs for addresses, whatever the outer ones were", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.sendInner(a, echo(a.hit, b.hit));
  const [inner] = b.delivered;
  assert.deepEqual(ipv6Source(inner!), a.hit);
  assert.deepEqual(ipv6Destination(inner!), b.hit);
  assert.deepEqual(parseIcmpv6Echo(inner!)?.data, SECRET);
});

Deno.test("BEX-065 ESP-079 ESP-080 a packet that fails its check leaves R2-SENT as it is, a good one ends it", () => {
  const pair = makePair();
  const { a, b } = pair;
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  assert.equal(states(pair)[1], "R2-SENT");
  pair.passes = () => false;
  pair.ping(a, b);
  pair.passes = () => true;
  // The wire swallowed it: seal another one and look at it before it arrives.
  let isSeen = false;
  pair.passes = (packet) => {
    isSeen = true;
    const bytes = packet.bytes.slice();
    bytes[bytes.length - 1]! ^= 1;
    pair.inject(b, { ...packet, bytes });
    assert.equal(states(pair)[1], "R2-SENT");
    return true;
  };
  pair.ping(a, b, 2);
  assert.ok(isSeen);
  assert.equal(b.engine.status().drops["esp-icv-failed"], 1);
  assert.equal(states(pair)[1], "ESTABLISHED");
});

Deno.test("PKT-001 DHG-006 I1 holds our groups in our order, and nothing else", () => {
  const pair = makePair({ policy: { ...POLICY, dhGroups: [8, 7] } });
  pair.ping(pair.a, pair.b);
  const i1 = parseHipPacket(pair.wire[0]!.bytes);
  assert.equal(i1.packetType, PACKET.I1);
  assert.deepEqual(i1.require(DH_GROUP_LIST).groupIds, [8, 7]);
  assert.equal(i1.parameters.length, 1);
});

Deno.test("BEX-031 an R1 counts by its HITs, wherever it comes from", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [r1] = swallowing(pair, PACKET.R1, () => a.engine.connect(pair.now, b.hit));
  pair.inject(a, altered({ ...r1!, source: parseIpAddress("198.51.100.9") }, () => {}));
  assert.equal(states(pair)[0], "I2-SENT");
});

Deno.test("BEX-008 BEX-043 R1 leads from I1-SENT to I2-SENT; copies of it change no state and make no second I2", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [r1] = swallowing(pair, PACKET.R1, () => a.engine.connect(pair.now, b.hit));
  pair.passes = (packet) => typeOf(packet) !== PACKET.I2;
  pair.inject(a, r1!);
  assert.equal(states(pair)[0], "I2-SENT");
  pair.inject(a, r1!);
  pair.inject(a, r1!);
  assert.equal(states(pair)[0], "I2-SENT");
  assert.deepEqual(a.sent.map(typeOf), [PACKET.I2]);
  pair.passes = () => true;
  pair.settle();
  assert.equal(states(pair)[0], "ESTABLISHED");
  pair.inject(a, r1!);
  assert.equal(states(pair)[0], "ESTABLISHED");
  assert.deepEqual(a.sent, []);
});

Deno.test("PUZ-006 in opportunistic mode the puzzle is solved for the HIT that R1 comes from", () => {
  const pair = makePair({ settings: { puzzleDifficultyK: 10 } });
  const { a, b } = pair;
  a.engine.connectOpportunistic(pair.now, b.address);
  pair.settle();
  assert.equal(states(pair)[0], "ESTABLISHED");
});

Deno.test("POL-001 a host answers to each of its Host Identities, under that identity", () => {
  const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1);
  const identities = (["ecdsa-p256", "rsa", "ed25519"] as const)
    .map((kind) => testIdentity(kind, "bob"));
  const b = new End(identities[0]!, "192.0.2.2", 2, {
    identities: identities.map((identity, i) => ({ identity, name: `${i}`, isAnonymous: false })),
  });
  const pair = new EnginePair(a, b);
  for (const { hit } of identities) {
    const mapping = { hit, identity: undefined, locators: [b.address], rendezvous: [] };
    a.engine.learnPeer(pair.now, { ...mapping, name: "", source: "static", expires: undefined });
    pair.sendInner(a, echo(a.hit, hit));
    assert.equal(a.engine.association(hit)?.state, "ESTABLISHED");
    assert.deepEqual(ipv6Destination(b.delivered.at(-1)!), hit);
  }
  assert.equal(b.engine.status().associations.length, 3);
});
