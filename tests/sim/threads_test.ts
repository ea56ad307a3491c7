/** When SAs are lent to data threads, and what the engine still does when they are. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { establish, makePair, type Pair } from "./pair.ts";

function threadedPair(settings: Partial<ControlSettings> = {}): Pair {
  return makePair({ threads: { alice: true, bob: true }, settings });
}

/** One ping each way, and time for everybody to hear of everything. */
function talk({ world, alice, bob }: Pair): void {
  const sequences = [alice.application.ping(bob), bob.application.ping(alice)];
  world.runUntil(() => alice.application.hasReply(sequences[0]!));
  world.runUntil(() => bob.application.hasReply(sequences[1]!));
  world.advance(milliseconds(10));
}

Deno.test("SAs are lent with their first data, and all packets are counted in one place", () => {
  const pair = threadedPair();
  establish(pair);
  talk(pair);
  for (const host of [pair.alice, pair.bob]) {
    assert.deepEqual(host.threads!.sizes, [1, 1, 2], host.name);
    const { packetsIn, packetsOut } = host.engine.status().associations[0]!;
    assert.deepEqual([packetsIn, packetsOut], [3, 3], host.name);
    assert.deepEqual(host.engine.status().drops, {});
    assert.deepEqual(host.threads!.drops.map((drops) => drops.toJSON()), [{}, {}]);
  }
});

Deno.test("What a Responder sends in R2-SENT is not lent: nobody looks after answers yet", () => {
  const { world, alice, bob } = threadedPair();
  alice.connect(bob);
  world.runUntil(() => bob.stateTowards(alice) === "R2-SENT");
  bob.application.ping(alice);
  world.advance(milliseconds(1500));
  bob.application.ping(alice);
  world.advance(milliseconds(2));
  if (bob.stateTowards(alice) === "R2-SENT") assert.equal(bob.threads!.outbound.size, 0);
  world.runUntil(() => bob.stateTowards(alice) === "ESTABLISHED");
});

Deno.test("A rekey by volume is asked for by the thread and comes about while it works", () => {
  const pair = threadedPair({ rekeyOctets: 1000, rekeyWithDh: false });
  establish(pair);
  const spi = () => pair.alice.associationWith(pair.bob)!.outboundSpi;
  const first = spi();
  for (let i = 0; i < 40 && spi() === first; i++) talk(pair);
  assert.notEqual(spi(), first);
  talk(pair);
  // The old SA is gone for the thread as well.
  assert.equal(pair.alice.threads!.outbound.size, 1);
});

Deno.test("An end that sends through its thread and hears nothing finds out that the peer is gone", () => {
  const pair = threadedPair();
  const { world, alice, bob, link } = pair;
  establish(pair);
  talk(pair);
  link.conditions.loss = 1;
  for (let i = 0; i < 60 && alice.stateTowards(bob) === "ESTABLISHED"; i++) {
    alice.application.ping(bob);
    world.advance(seconds(1));
  }
  assert.notEqual(alice.stateTowards(bob), "ESTABLISHED");
  assert.equal(alice.threads!.outbound.size, 0);
});

Deno.test("After a close the next packet of an application begins anew, through the thread", () => {
  const pair = threadedPair();
  const { world, alice, bob } = pair;
  establish(pair);
  talk(pair);
  alice.close(bob);
  world.advance(seconds(1));
  assert.deepEqual(alice.threads!.sizes, [0, 0, 0]);
  talk(pair);
  assert.deepEqual(alice.threads!.sizes, [1, 1, 2]);
});
