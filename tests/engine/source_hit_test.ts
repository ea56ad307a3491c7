/** Which of several identities a host shows: as source of packets, and to those who name none. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { buildIpv6Packet } from "../../lib/wire/ipv6.ts";
import { type EnginePair, POLICY } from "../support/engine_pair.ts";
import { typeOf } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { accessOf, ALICE, BOB, hosted, rule, unlikePair } from "../support/policy_pair.ts";

const NO_ADDRESS = new Uint8Array(16);
const IPV6_HEADER = 40;

const OF_EACH_KIND = (["rsa", "dsa", "ecdsa-p256", "ecdsa-p384", "ecdsa-low", "ed25519"] as const)
  .map((kind) => testIdentity(kind, "bob"));

/** TCP, UDP or ICMPv6 of 32 octets with a right checksum over the unspecified source. */
function sourceless(protocol: 6 | 17 | 58): Uint8Array {
  if (protocol === 58) {
    const data = new Uint8Array(24).fill(3);
    const ends = { source: NO_ADDRESS, destination: BOB.hit };
    return buildIcmpv6Echo({ kind: "request", ...ends, identifier: 1, sequence: 1, data });
  }
  const payload = new Uint8Array(32).map((_, i) => 7 * i);
  const at = protocol === 6 ? 16 : 6;
  payload.fill(0, at, at + 2);
  const checksum = upperLayerChecksum(NO_ADDRESS, BOB.hit, protocol, payload);
  payload.set([checksum >>> 8, checksum & 0xff], at);
  return buildIpv6Packet(NO_ADDRESS, BOB.hit, protocol, payload);
}

function inner(packet: Uint8Array): { source: Uint8Array; checksum: number } {
  const source = packet.slice(8, 24);
  const payload = packet.subarray(IPV6_HEADER);
  const checksum = upperLayerChecksum(source, packet.slice(24, 40), packet[6]!, payload);
  return { source, checksum };
}

/** The Responder HITs of the R1s that went over the wire. */
function responders(pair: EnginePair): Uint8Array[] {
  return pair.wire.filter((packet) => typeOf(packet) === PACKET.R1)
    .map(({ bytes }) => parseHipPacket(bytes).senderHit);
}

Deno.test("DAT-004 ESP-077 a packet without a source gets the default HIT, and its checksum stays right", () => {
  for (const protocol of [6, 17, 58] as const) {
    const pair = unlikePair({ identities: hosted([ALICE, testIdentity("rsa", "alice")]) }, {});
    for (let i = 1; i <= 2; i++) {
      pair.sendInner(pair.a, sourceless(protocol));
      assert.equal(pair.b.delivered.length, i);
      const { source, checksum } = inner(pair.b.delivered.at(-1)!);
      assert.deepEqual(source, ALICE.hit);
      assert.ok(checksum === 0, `protocol ${protocol}`);
    }
  }
});

Deno.test("A packet without a source goes under the HIT that its peer knows, or the one it is to meet", () => {
  const second = testIdentity("rsa", "alice");
  const pair = unlikePair({ identities: hosted([ALICE, second]) }, {});
  pair.a.engine.connect(pair.now, BOB.hit, second.hit);
  pair.settle();
  pair.sendInner(pair.a, sourceless(17));
  assert.deepEqual(inner(pair.b.delivered[0]!).source, second.hit);

  const shy = unlikePair(accessOf(rule(BOB.hit, { isMetAnonymously: true })), {});
  shy.sendInner(shy.a, sourceless(17));
  assert.deepEqual(inner(shy.b.delivered[0]!).source, shy.a.engine.routes[0]!.localHit);
});

Deno.test("A packet without a source that cannot be mended is dropped", () => {
  const pair = unlikePair({}, {});
  const odd = buildIpv6Packet(NO_ADDRESS, BOB.hit, 0, new Uint8Array(16));
  const short = buildIpv6Packet(NO_ADDRESS, BOB.hit, 6, new Uint8Array(17));
  for (const packet of [odd, short]) pair.sendInner(pair.a, packet);
  assert.equal(pair.a.engine.status().drops["tun-source-not-local"], 2);
  assert.deepEqual(pair.wire, []);
});

Deno.test("POL-003 a host with one identity of each kind is met under every one of them", () => {
  const policy = { ...POLICY, dhGroups: [7], hitSuites: [1, 2, 3, 5] };
  const pair = unlikePair({ policy }, { policy, identities: hosted(OF_EACH_KIND) });
  for (const { hit } of OF_EACH_KIND) {
    pair.introduce(pair.a, { ...pair.b, hit } as typeof pair.b);
    pair.a.engine.connect(pair.now, hit);
    pair.settle();
  }
  const { associations } = pair.a.engine.status();
  assert.deepEqual(associations.map(({ state }) => state), OF_EACH_KIND.map(() => "ESTABLISHED"));
  assert.equal(associations.length, 6);
});

Deno.test("NEG-015 NEG-016 an I1 for the all-zero HIT is answered from the Initiator's suite, else from suite 1, else by the default", () => {
  const [rsa, , p256, , , ed25519] = OF_EACH_KIND;
  const answering = (
    identities: (PrivateHostIdentity | undefined)[],
    initiator: PrivateHostIdentity,
  ) => {
    const pair = unlikePair(
      { identities: hosted([initiator]) },
      { identities: hosted(identities.map((identity) => identity!)) },
    );
    pair.a.engine.connectOpportunistic(pair.now, pair.b.address);
    pair.settle();
    return responders(pair);
  };
  const [ofRsa, ofP256, ofEd] = (["rsa", "ecdsa-p256", "ed25519"] as const)
    .map((kind) => testIdentity(kind, "alice"));
  assert.deepEqual(answering([p256, rsa, ed25519], ofEd!), [ed25519!.hit]);
  assert.deepEqual(answering([p256, rsa, ed25519], ofRsa!), [rsa!.hit]);
  assert.deepEqual(answering([ed25519, rsa], ofP256!), [rsa!.hit]);
  assert.deepEqual(answering([ed25519], ofP256!), [ed25519!.hit]);
});

Deno.test("R1C-005 every identity has an R1 counter of its own", () => {
  const second = testIdentity("ed25519", "bob");
  const pair = unlikePair({}, {
    identities: hosted([BOB, second]),
    policy: { ...POLICY, dhGroups: [7] },
    settings: { r1MinimumUse: milliseconds(0) },
  });
  pair.introduce(pair.a, { ...pair.b, hit: second.hit } as typeof pair.b);
  const generation = (hit: Uint8Array) => {
    pair.wire.length = 0;
    pair.a.engine.connect(pair.now, hit);
    pair.settle();
    const r1 = pair.wire.find((packet) => typeOf(packet) === PACKET.R1)!;
    pair.a.engine.close(pair.now, hit);
    pair.settle();
    pair.advance(seconds(1));
    return Number(parseHipPacket(r1.bytes).require(R1_COUNTER).generation);
  };
  // Each use of an R1 makes the next one, of this identity alone.
  assert.deepEqual([generation(BOB.hit), generation(BOB.hit), generation(BOB.hit)], [1, 2, 3]);
  assert.deepEqual([generation(second.hit), generation(second.hit)], [1, 2]);
});

Deno.test("NEG-011 a HIT of a suite that the host cannot verify is not taken in, so that another one of the name is", () => {
  const low = testIdentity("ecdsa-low", "bob");
  const { a, b, now } = unlikePair({}, {});
  const mapping = {
    identity: undefined,
    locators: [b.address],
    rendezvous: [],
    name: "bob.test",
    source: "dns",
    expires: undefined,
  } as const;
  assert.deepEqual(
    [low.hit, BOB.hit].map((hit) => a.engine.learnPeer(now, { ...mapping, hit })),
    [false, true],
  );
  assert.equal(a.engine.peers.lookup(now, low.hit), undefined);
});
