/** Links that are slow, full, or too narrow for the packets of HIP. */

import { strict as assert } from "node:assert";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { establish, makePair, type Pair } from "./pair.ts";

/** Pings from alice, one every `every` milliseconds. */
function pings({ world, alice, bob }: Pair, count: number, every: number): void {
  for (let i = 0; i < count; i++) {
    alice.application.ping(bob);
    world.advance(milliseconds(every));
  }
}

/** How long the answer to one ping takes. */
function roundTrip({ world, alice, bob }: Pair): number {
  const sentAt = world.now;
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(10));
  return world.now - sentAt;
}

Deno.test("on a link with a rate latency grows with the load and falls when it is over", () => {
  // 10 kB/s: a ping of 156 octets takes 16 ms.
  const pair = makePair({ link: { rate: 10_000 } });
  establish(pair);
  const { world, alice, bob } = pair;
  const idle = roundTrip(pair);
  assert.ok(idle > 35 && idle < 50, `${idle} ms`);
  pings(pair, 50, 5);
  const loaded = roundTrip(pair);
  assert.ok(loaded > 10 * idle, `${loaded} ms`);
  world.advance(seconds(5));
  assert.equal(alice.application.replies.length, 53);
  assert.equal(bob.application.answered, 53);
  assert.ok(Math.abs(roundTrip(pair) - idle) < 0.1);
});

Deno.test("a queue that is full drops what does not fit, under that name, and no more than that", () => {
  const pair = makePair({ link: { rate: 10_000, queueOctets: 2000 } });
  establish(pair);
  const { world, alice, link } = pair;
  pings(pair, 50, 1);
  world.advance(seconds(5));
  const lost = link.lost("queue full");
  assert.ok(lost > 10);
  assert.equal(alice.application.replies.length, 51 - lost);
});

Deno.test("a link whose rate collapses under a transfer: exchange and rekey wait, data is lost in the queue, the association stays", () => {
  const pair = makePair({ link: { rate: 1_000_000, queueOctets: 3000 } });
  establish(pair);
  const { world, alice, bob, link } = pair;
  const before = bob.associationWith(alice)!;
  pings(pair, 20, 10);
  assert.equal(link.lost("queue full"), 0);
  // 300 octets per second: one UPDATE takes nearly a second, and the data would fill ten such links.
  link.conditions.rate = 300;
  alice.rekey(bob, true);
  pings(pair, 200, 50);
  assert.ok(link.lost("queue full") > 100);
  link.conditions.rate = 1_000_000;
  world.advance(seconds(60));
  assert.equal(alice.stateTowards(bob), "ESTABLISHED", `${world.trace}`);
  assert.equal(bob.stateTowards(alice), "ESTABLISHED");
  const [atAlice, atBob] = [alice.associationWith(bob)!, bob.associationWith(alice)!];
  assert.equal(atAlice.inboundSpi, atBob.outboundSpi);
  assert.equal(atAlice.outboundSpi, atBob.inboundSpi);
  assert.notEqual(atBob.inboundSpi, before.inboundSpi, "the rekey was not finished");
  assert.ok(roundTrip(pair) < 20);
});

Deno.test("a slow link makes the exchange slow, and nothing is sent so often that it chokes", () => {
  // I1 to R2 are some 1300 octets with their headers: over two seconds at this rate.
  const pair = makePair({ link: { rate: 600, queueOctets: 4000 } });
  const { world, alice, bob, link } = pair;
  alice.connect(bob);
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED", seconds(20));
  assert.ok(link.count("I1") <= 3 && link.count("I2") <= 3, `${world.trace}`);
  assert.equal(link.lost("queue full"), 0);
});

/** Octets of IPv6 packets of an exchange between P-256 identities. */
const TOO_NARROW: [lost: string, mtu: number, why: string][] = [
  ["I2", 500, "the peer did not answer I2"],
  ["R1", 400, "the peer did not answer I1"],
  ["I1", 80, "the peer did not answer I1"],
];

for (const [name, mtu, why] of TOO_NARROW) {
  Deno.test(`on a link of ${mtu} octets every ${name} vanishes: the Initiator says that ${why}, the Responder keeps nothing`, () => {
    const pair = makePair({ link: { mtu } });
    const { world, alice, bob, link } = pair;
    const sequence = alice.application.ping(bob);
    world.runUntil(() => alice.application.unreachable.length > 0, seconds(6));
    assert.equal(alice.application.unreachable[0]!.sequence, sequence);
    world.runUntil(() => alice.stateTowards(bob) === "E-FAILED", seconds(30));
    assert.equal(alice.associationWith(bob)!.failure, why);
    const from = name === "R1" ? bob : alice;
    assert.equal(link.lost("above the MTU"), link.count(name, from));
    assert.equal(bob.engine.status().associations.length, 0);
    assert.equal(bob.engine.status().tables.reservedSpis, 0);
    // A wider link serves at once.
    link.conditions.mtu = 1280;
    world.runUntil(() => alice.stateTowards(bob) === "UNASSOCIATED", seconds(10));
    assert.ok(roundTrip(pair) < 100);
    assert.deepEqual(alice.keys.remaining().filter((key) => key.startsWith("job")), []);
    assert.equal(alice.keys.live("exchange"), 1);
  });
}

Deno.test("a link that grows narrow under an association: small packets pass, a CLOSE that is too large ends by time", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob, link } = pair;
  link.conditions.mtu = 200;
  assert.ok(roundTrip(pair) < 20);
  alice.close(bob);
  world.advance(seconds(15 * 60 + 121));
  assert.equal(link.lost("above the MTU"), link.count("CLOSE"));
  assert.equal(alice.stateTowards(bob), "UNASSOCIATED");
});
