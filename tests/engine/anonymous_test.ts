/** Anonymous identities: made for one peer, shown to no other, gone after use. */

import assert from "node:assert/strict";
import { bytesEqual, isAllZero, toHex } from "../../lib/base/bytes.ts";
import { seconds } from "../../lib/base/time.ts";
import { MAX_ANONYMOUS } from "../../lib/engine/anonymous_identities.ts";
import type { GenerateIdentityResult } from "../../lib/hip/jobs.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { isAnonymous } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import type { End, EnginePair } from "../support/engine_pair.ts";
import { altered, forged, swallowing, typeOf } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { accessOf, ALICE, BOB, hosted, rule, unlikePair } from "../support/policy_pair.ts";

/** Notes the identities that an end makes. */
function watchKeys(pair: EnginePair): GenerateIdentityResult["identity"][] {
  const made: GenerateIdentityResult["identity"][] = [];
  pair.tamper = (_job, result) => {
    if (result.kind === "generate-identity") made.push(result.identity);
    return result;
  };
  return made;
}

function passing({ engine }: End): Uint8Array[] {
  return engine.status().identities.filter(({ name }) => name === "anonymous").map(({ hit }) =>
    hit
  );
}

function echo(source: Uint8Array, destination: Uint8Array, sequence = 1): Uint8Array {
  const data = new Uint8Array(8);
  return buildIcmpv6Echo({ kind: "request", source, destination, identifier: 1, sequence, data });
}

/** Ends the association and lets every timer run out. */
function finish(pair: EnginePair): void {
  pair.a.engine.close(pair.now, pair.b.hit);
  pair.settle();
  pair.advance(seconds(3600));
}

Deno.test("POL-002 HDR-017 an exchange under an anonymous identity shows the peer none of ours, and says so in I2 and nowhere else", () => {
  const pair = unlikePair({}, {});
  assert.ok(pair.a.engine.connectAnonymously(pair.now, { hit: BOB.hit }));
  pair.settle();
  const [hit] = passing(pair.a);
  assert.ok(hit !== undefined && !bytesEqual(hit, ALICE.hit));
  assert.equal(pair.a.engine.association(BOB.hit)?.state, "ESTABLISHED");
  pair.sendInner(pair.a, echo(hit, BOB.hit));
  assert.equal(pair.b.delivered.length, 1);
  finish(pair);
  const seen = new Set<number>();
  for (const packet of pair.wire.filter((one) => typeOf(one) !== -1)) {
    seen.add(typeOf(packet));
    assert.equal(isAnonymous(packet.bytes), typeOf(packet) === PACKET.I2);
    assert.ok(!toHex(packet.bytes).includes(toHex(ALICE.hit)));
  }
  assert.ok(seen.has(PACKET.CLOSE) && seen.has(PACKET.CLOSE_ACK));
});

Deno.test("POL-004 every peer meets another anonymous identity, the same peer the same one while it lasts", () => {
  const pair = unlikePair({}, { identities: hosted([BOB, testIdentity("rsa", "bob")]) });
  const other = testIdentity("rsa", "bob").hit;
  pair.introduce(pair.a, { ...pair.b, hit: other } as End);
  for (const hit of [BOB.hit, other, BOB.hit]) {
    pair.a.engine.connectAnonymously(pair.now, { hit });
    pair.settle();
  }
  const used = pair.a.engine.status().associations.map(({ localHit }) => toHex(localHit));
  assert.equal(new Set(used).size, 2);
  assert.deepEqual(passing(pair.a).map(toHex).sort(), used.sort());
  // Nor does traffic for one peer leave under what another one knows.
  const [first] = pair.a.engine.status().associations;
  const stranger = bytesEqual(first!.peerHit, BOB.hit) ? other : BOB.hit;
  pair.sendInner(pair.a, echo(first!.localHit, stranger));
  assert.equal(pair.a.engine.status().drops["tun-source-not-local"], 1);
});

Deno.test("When its association has ended, an anonymous identity is gone and its key wiped; the next one is another", () => {
  const pair = unlikePair({}, {});
  const keys = watchKeys(pair);
  const hits: string[] = [];
  for (let round = 1; round <= 2; round++) {
    pair.a.engine.connectAnonymously(pair.now, { hit: BOB.hit });
    pair.settle();
    hits.push(...passing(pair.a).map(toHex));
    assert.ok(!isAllZero(keys.at(-1)!.privateKey));
    finish(pair);
    assert.deepEqual(passing(pair.a), []);
    assert.ok(isAllZero(keys.at(-1)!.privateKey));
    assert.equal(pair.a.jobs.filter(({ kind }) => kind === "forget-key").length, round);
  }
  assert.equal(new Set(hits).size, 2);
  const events = pair.a.events.filter((event) => event.kind === "identity");
  assert.deepEqual(events.map(({ isGone }) => isGone), [false, true, false, true]);
});

Deno.test("An anonymous identity that meets nobody goes too", () => {
  const pair = unlikePair({}, {});
  const keys = watchKeys(pair);
  pair.passes = () => false;
  pair.a.engine.connectAnonymously(pair.now, { hit: BOB.hit });
  pair.settle();
  assert.equal(passing(pair.a).length, 1);
  pair.advance(seconds(60));
  assert.deepEqual(passing(pair.a), []);
  assert.ok(isAllZero(keys[0]!.privateKey));
});

Deno.test("The key of an anonymous identity is kept as long as a job of its association is under way", () => {
  const pair = unlikePair({}, {});
  const keys = watchKeys(pair);
  const { tamper } = pair;
  pair.tamper = (job, result, at) => job.kind === "verify-r2" ? undefined : tamper(job, result, at);
  pair.a.engine.connectAnonymously(pair.now, { hit: BOB.hit });
  pair.settle();
  pair.advance(seconds(3600));
  assert.deepEqual(pair.a.engine.status().associations, []);
  assert.ok(!isAllZero(keys[0]!.privateKey));
  // The worker comes to life again; numbers of other jobs mean nothing any more.
  const late = { kind: "failed", reason: "hip-job-failed", detail: "" } as const;
  for (let id = pair.a.jobs.length; id > 0; id--) pair.a.engine.handleJobDone(pair.now, id, late);
  pair.settle();
  assert.ok(isAllZero(keys[0]!.privateKey));
});

Deno.test("Nobody can start an exchange with an anonymous identity made on the fly", () => {
  const pair = unlikePair({}, {});
  pair.a.engine.connectAnonymously(pair.now, { hit: BOB.hit });
  pair.settle();
  const [hit] = passing(pair.a);
  const i1 = forged(pair.b, pair.a, PACKET.I1, [
    encodeParameter(DH_GROUP_LIST, { groupIds: [7] }),
  ]);
  pair.a.sent.length = 0;
  pair.inject(pair.a, altered(i1, (bytes) => bytes.set(hit!, 24)));
  assert.deepEqual(pair.a.sent, []);
  assert.equal(pair.a.engine.status().drops["hip-not-for-us"], 1);
});

Deno.test("HDR-015 nothing of an anonymous peer is left when its association has ended", () => {
  const pair = unlikePair({}, {});
  pair.a.engine.connectAnonymously(pair.now, { hit: BOB.hit });
  pair.settle();
  const [hit] = passing(pair.a);
  const known = () => {
    const { associations, knownPeers } = pair.b.engine.status();
    return { hits: associations.map(({ peerHit }) => toHex(peerHit)), knownPeers };
  };
  assert.deepEqual(known(), { hits: [toHex(hit!)], knownPeers: 0 });
  assert.equal(pair.b.engine.association(hit!)?.isPeerAnonymous, true);
  finish(pair);
  assert.deepEqual(known(), { hits: [], knownPeers: 0 });
});

Deno.test("An anonymous identity also meets whoever is at an address", () => {
  const pair = unlikePair({}, {});
  pair.a.engine.connectAnonymously(pair.now, { address: pair.b.address });
  pair.settle();
  const met = pair.a.engine.association(BOB.hit);
  assert.equal(met?.state, "ESTABLISHED");
  assert.deepEqual([met.localHit], passing(pair.a));
  finish(pair);
  assert.deepEqual(passing(pair.a), []);
});

Deno.test("There are so many anonymous identities at once, and no more", () => {
  const pair = unlikePair({}, {});
  pair.passes = () => false;
  for (let i = 0; i < MAX_ANONYMOUS; i++) {
    const address = parseIpAddress(`198.51.100.${i}`);
    assert.ok(pair.a.engine.connectAnonymously(pair.now, { address }));
  }
  const last = { address: parseIpAddress("203.0.113.1") };
  assert.equal(pair.a.engine.connectAnonymously(pair.now, last), false);
  pair.settle();
  pair.advance(seconds(60));
  assert.ok(pair.a.engine.connectAnonymously(pair.now, last));
});

Deno.test("A peer that the list says to meet anonymously sees one identity after another, and never a known one", () => {
  const pair = unlikePair(accessOf(rule(BOB.hit, { isMetAnonymously: true })), {});
  const keys = watchKeys(pair);
  assert.ok(pair.a.engine.isReady);
  const [route] = pair.a.engine.routes;
  assert.deepEqual(route?.peerHit, BOB.hit);
  pair.sendInner(pair.a, echo(ALICE.hit, BOB.hit));
  assert.equal(pair.a.engine.status().drops["tun-not-anonymous"], 1);
  assert.deepEqual(pair.wire, []);
  pair.a.engine.connect(pair.now, BOB.hit);
  pair.settle();
  pair.sendInner(pair.a, echo(route.localHit, BOB.hit));
  assert.equal(pair.b.delivered.length, 1);
  assert.deepEqual(pair.a.engine.association(BOB.hit)?.localHit, route.localHit);
  finish(pair);
  const [next] = pair.a.engine.routes;
  assert.notDeepEqual(next?.localHit, route.localHit);
  assert.deepEqual(passing(pair.a), [next!.localHit]);
  // One that nobody has accepted stays.
  swallowing(pair, PACKET.I1, () => pair.a.engine.connect(pair.now, BOB.hit));
  pair.passes = () => false;
  pair.advance(seconds(60));
  assert.deepEqual(passing(pair.a), [next!.localHit]);
  assert.equal(keys.length, 1);
});
