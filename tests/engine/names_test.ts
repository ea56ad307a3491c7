/** What DNS says of a peer, and what the engine makes of it. */

import assert from "node:assert/strict";
import { after, instant, seconds } from "../../lib/base/time.ts";
import type { PeerMapping } from "../../lib/identity/peer_directory.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import type { End, EnginePair } from "../support/engine_pair.ts";
import { ESP, makePair, states, typeOf } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

/** Everything that Alice has sent, lost or not. */
const sent = new WeakMap<EnginePair, OutgoingPacket[]>();

/** Alice and Bob, who do not know of each other; at addresses of `away` there is nobody. */
function makeStrangers(away: readonly Uint8Array[] = []): EnginePair {
  const pair = makePair();
  const packets: OutgoingPacket[] = [];
  sent.set(pair, packets);
  pair.a.engine.peers.forgetSource("static");
  const nobody = away.map(formatIpAddress);
  pair.passes = (packet, from) => {
    if (from === pair.a) packets.push(packet);
    return !nobody.includes(formatIpAddress(packet.destination));
  };
  return pair;
}

/** What Alice learns of Bob. */
function mapping(pair: EnginePair, changes: Partial<PeerMapping> = {}): PeerMapping {
  return {
    hit: pair.b.hit,
    identity: undefined,
    locators: [pair.b.address],
    rendezvous: [],
    name: "bob.example",
    source: "dns",
    expires: after(pair.now, seconds(60)),
    ...changes,
  };
}

/** Where packets of Alice of a kind went, in order. */
function destinations(pair: EnginePair, wants: (type: number | "ESP") => boolean): string[] {
  return sent.get(pair)!
    .filter((packet) => wants(packet.protocol === ESP ? "ESP" : typeOf(packet)))
    .map(({ destination }) => formatIpAddress(destination));
}

function deliveredAt(end: End): number {
  return end.delivered.length;
}

const ELSEWHERE = parseIpAddress("192.0.2.99");

Deno.test("DNS-096 a mapping that is learned has no packet sent", () => {
  const pair = makeStrangers();
  pair.a.engine.learnPeer(pair.now, mapping(pair));
  pair.settle();
  assert.deepEqual(pair.wire, []);
  assert.equal(pair.a.engine.pollTransmit(), undefined);
  assert.deepEqual(states(pair), [undefined, undefined]);
});

Deno.test("DNS-033 a peer that DNS names with a key must have just that one, its HIT alone is not enough", () => {
  const other = testIdentity("ecdsa-p256", "alice");
  for (const [identity, isMet] of [[other, false], [testIdentity("ecdsa-p256", "bob"), true]]) {
    const pair = makeStrangers();
    pair.a.engine.learnPeer(pair.now, mapping(pair, { identity: identity as typeof other }));
    pair.ping(pair.a, pair.b);
    assert.equal(states(pair)[0] === "ESTABLISHED", isMet);
    assert.equal(deliveredAt(pair.b) > 0, isMet);
  }
});

Deno.test("DNS-180 a static peer without a key is met, since the key that it shows has the HIT; another's is not", () => {
  const pair = makeStrangers();
  pair.a.engine.learnPeer(pair.now, mapping(pair, { source: "static", expires: undefined }));
  pair.ping(pair.a, pair.b);
  assert.equal(states(pair)[0], "ESTABLISHED");
  const wrong = makeStrangers();
  const hit = wrong.b.hit.slice();
  hit[15]! ^= 1;
  wrong.a.engine.learnPeer(wrong.now, mapping(wrong, { hit, source: "static" }));
  wrong.a.engine.connect(wrong.now, hit);
  // Whoever answers there has another HIT.
  wrong.settle();
  wrong.advance(seconds(10));
  assert.notEqual(wrong.a.engine.association(hit)?.state, "ESTABLISHED");
});

Deno.test("DNS-097 what DNS says later leaves an association where it was verified", () => {
  const pair = makeStrangers();
  pair.a.engine.learnPeer(pair.now, mapping(pair));
  pair.ping(pair.a, pair.b);
  pair.a.engine.learnPeer(pair.now, mapping(pair, { locators: [ELSEWHERE] }));
  pair.ping(pair.a, pair.b, 2);
  assert.equal(deliveredAt(pair.b), 2);
  assert.ok(!destinations(pair, () => true).includes(formatIpAddress(ELSEWHERE)));
  // For whoever asks next it is a candidate.
  const known = pair.a.engine.peers.lookup(pair.now, pair.b.hit)!;
  assert.ok(known.locators.map(formatIpAddress).includes(formatIpAddress(ELSEWHERE)));
});

Deno.test("DNS-101 an association outlives the mapping that led to it", () => {
  const pair = makeStrangers();
  pair.a.engine.learnPeer(pair.now, mapping(pair));
  pair.ping(pair.a, pair.b);
  pair.advance(seconds(120));
  pair.ping(pair.a, pair.b, 2);
  assert.equal(deliveredAt(pair.b), 2);
  assert.equal(pair.wire.filter(({ protocol }) => protocol !== ESP).length >= 4, true);
  assert.equal(destinations(pair, (type) => type === PACKET.I1).length, 1);
});

Deno.test("DNS-107 DNS-108 DNS-112 rendezvous servers get I1 first, the host's own addresses then, and no other packet goes to a server", () => {
  const servers = ["192.0.2.51", "192.0.2.52"].map(parseIpAddress);
  const pair = makeStrangers(servers);
  pair.a.engine.learnPeer(pair.now, mapping(pair, { rendezvous: servers }));
  pair.ping(pair.a, pair.b);
  pair.advance(seconds(5));
  const bob = formatIpAddress(pair.b.address);
  const i1 = destinations(pair, (type) => type === PACKET.I1);
  assert.deepEqual(i1.slice(0, 3), [...servers.map(formatIpAddress), bob]);
  assert.equal(states(pair)[0], "ESTABLISHED");
  assert.deepEqual(
    new Set(destinations(pair, (type) => type !== PACKET.I1)),
    new Set([bob]),
  );
  assert.equal(deliveredAt(pair.b), 1);
});

Deno.test("DNS-100 a packet for a HIT whose mapping has expired waits until its name is looked up anew", () => {
  for (const says of ["here", "nothing"] as const) {
    const pair = makeStrangers();
    const { engine } = pair.a;
    const asked: string[] = [];
    engine.peers.renew = (name) => asked.push(name) > 0;
    engine.learnPeer(pair.now, mapping(pair, { locators: [ELSEWHERE] }));
    pair.advance(seconds(61));
    pair.ping(pair.a, pair.b);
    assert.deepEqual(asked, ["bob.example"]);
    pair.advance(seconds(0.2));
    // The old address is not used any more.
    assert.deepEqual(pair.wire, []);
    if (says === "here") engine.learnPeer(pair.now, mapping(pair));
    else engine.peers.confirm("bob.example", []);
    pair.advance(seconds(0.1));
    assert.equal(deliveredAt(pair.b), says === "here" ? 1 : 0);
    assert.equal(states(pair)[0], says === "here" ? "ESTABLISHED" : "E-FAILED");
    assert.equal(asked.length, 1);
  }
});

Deno.test("without a name nobody is waited for", () => {
  const pair = makeStrangers();
  pair.ping(pair.a, pair.b);
  assert.equal(states(pair)[0], "E-FAILED");
  assert.ok(pair.now === instant(1000));
});
