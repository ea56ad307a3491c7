/** Two engines of which one leaves the high half of the sequence number out of its ICVs. */

import assert from "node:assert/strict";
import { End, EnginePair } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";

function makePair(ofA: "auto" | "on" | "off", ofB: "auto" | "on" | "off"): EnginePair {
  const alice = testIdentity("ecdsa-p256", "alice");
  const bob = testIdentity("ecdsa-p256", "bob");
  const a = new End(alice, "192.0.2.1", 1, { settings: { esn: ofA } });
  const b = new End(bob, "192.0.2.2", 2, { settings: { esn: ofB } });
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  return pair;
}

Deno.test("a peer with 32-bit ICVs is understood from its first packet, answered in kind, and shown", () => {
  const pair = makePair("off", "auto");
  const { a, b } = pair;
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  assert.equal(b.engine.association(a.hit)?.sequenceNumbers, undefined);
  pair.ping(a, b, 1);
  pair.ping(b, a, 2);
  assert.deepEqual([a.delivered.length, b.delivered.length], [1, 1]);
  assert.equal(b.engine.association(a.hit)?.sequenceNumbers, "32-bit in ICV");
  assert.equal(a.engine.association(b.hit)?.sequenceNumbers, "32-bit in ICV");
});

Deno.test("two hosts of ours use 64-bit numbers; esn = on does not speak with a 32-bit peer", () => {
  const ours = makePair("auto", "auto");
  ours.ping(ours.a, ours.b, 1);
  ours.ping(ours.b, ours.a, 2);
  assert.equal(ours.b.engine.association(ours.a.hit)?.sequenceNumbers, "64-bit");
  assert.equal(ours.a.engine.association(ours.b.hit)?.sequenceNumbers, "64-bit");
  const strict = makePair("off", "on");
  strict.ping(strict.a, strict.b, 1);
  assert.equal(strict.b.delivered.length, 0);
  assert.equal(strict.b.engine.status().drops["esp-icv-failed"], 1);
});
