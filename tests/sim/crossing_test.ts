/**
 * Exchanges that both ends begin (RFC 7401 §4.4.2, §6.7 step 3, §6.9 step 5). The host with the
 * smaller HIT ends as Initiator, whoever was first and whatever was lost.
 */

import { strict as assert } from "node:assert";
import { compareBytes } from "../../lib/base/bytes.ts";
import { after, milliseconds, seconds } from "../../lib/base/time.ts";
import { testIdentity, type TestOwner } from "../support/identities.ts";
import type { Host } from "./host.ts";
import { makePair, type Pair } from "./pair.ts";

interface Crossing extends Pair {
  readonly greater: Host;
  readonly smaller: Host;
}

/** The same cast, with either of them the one with the greater HIT. */
function makeCrossing([a, b]: readonly [TestOwner, TestOwner]): Crossing {
  const pair = makePair({
    alice: testIdentity("ecdsa-p256", a),
    bob: testIdentity("ecdsa-p256", b),
  });
  const { alice, bob } = pair;
  const isAliceGreater = compareBytes(alice.hit, bob.hit) > 0;
  const [greater, smaller] = isAliceGreater ? [alice, bob] : [bob, alice];
  return { ...pair, greater, smaller };
}

const CASTS = [["alice", "bob"], ["bob", "alice"]] as const;

/** Both ends are ESTABLISHED with one another, and data passes both ways. */
function assertMet({ world, alice, bob }: Pair): void {
  const pings = [alice.application.ping(bob), bob.application.ping(alice)] as const;
  world.runUntil(
    () => alice.application.hasReply(pings[0]) && bob.application.hasReply(pings[1]),
    seconds(10),
  );
  const [atAlice, atBob] = [alice.associationWith(bob)!, bob.associationWith(alice)!];
  assert.equal(atAlice.inboundSpi, atBob.outboundSpi, `${world.trace}`);
  assert.equal(atAlice.outboundSpi, atBob.inboundSpi, `${world.trace}`);
  assert.equal(alice.engine.status().associations.length, 1);
  assert.equal(bob.engine.status().associations.length, 1);
}

/** Loses the first packet of this name from this host. */
function loseFirst({ link }: Pair, name: string, from: Host): () => number {
  let lost = 0;
  link.loses = (sent) => sent.name === name && sent.from === from && lost++ === 0;
  return () => Math.min(lost, 1);
}

// smaller: I1 ->  <- I1 :greater      the greater's I1 is dropped by the smaller
//          <- R1      I2 ->      <- R2
for (const lostName of ["I1", "R1", "I2", "R2"]) {
  for (const fromGreater of [true, false]) {
    const who = fromGreater ? "greater" : "smaller";
    Deno.test(`crossing I1s survive the loss of the first ${lostName} of the host with the ${who} HIT`, () => {
      for (const cast of CASTS) {
        const crossing = makeCrossing(cast);
        const { world, greater, smaller } = crossing;
        loseFirst(crossing, lostName, fromGreater ? greater : smaller);
        greater.connect(smaller);
        smaller.connect(greater);
        world.advance(seconds(8));
        assertMet(crossing);
      }
    });

    Deno.test(`crossing I2s survive the loss of the first ${lostName} of the host with the ${who} HIT`, () => {
      for (const cast of CASTS) {
        const crossing = makeCrossing(cast);
        const { world, link, greater, smaller } = crossing;
        // The smaller begins late enough for its I1 to meet the greater in I2-SENT.
        greater.connect(smaller);
        world.runUntil(() => link.count("R1") === 1);
        loseFirst(crossing, lostName, fromGreater ? greater : smaller);
        smaller.connect(greater);
        world.advance(seconds(12));
        assertMet(crossing);
      }
    });
  }
}

Deno.test("with crossing I2s the host with the greater HIT ends as Responder, and drops what it had built", () => {
  for (const cast of CASTS) {
    const crossing = makeCrossing(cast);
    const { world, link, greater, smaller } = crossing;
    greater.connect(smaller);
    world.runUntil(() => link.count("R1") === 1);
    smaller.connect(greater);
    world.runUntil(() => link.count("R2") === 1);
    assert.equal(link.count("I2", greater), 1);
    assert.equal(link.count("I2", smaller), 1);
    assert.equal(greater.associationWith(smaller)?.role, "responder");
    assert.equal(smaller.engine.status().drops["hip-tie-break"], 1);
    // One inbound SA each: that of the exchange which was given up is gone with its keys.
    assert.equal(greater.keys.live("exchange"), 1);
    assert.equal(greater.keys.live("cipher"), 2);
    assertMet(crossing);
  }
});

/** I2s cross, and the greater's, which loses the tie-break, is kept from the smaller meanwhile. */
function crossWithLateI2(cast: typeof CASTS[number]) {
  const crossing = makeCrossing(cast);
  const { world, link, greater, smaller } = crossing;
  greater.connect(smaller);
  world.runUntil(() => link.count("R1") === 1);
  link.loses = ({ name, from }) => name === "I2" && from === greater;
  smaller.connect(greater);
  world.runUntil(() => smaller.stateTowards(greater) === "ESTABLISHED", seconds(10));
  link.loses = () => false;
  const [late] = link.sent.filter(({ name, from }) => name === "I2" && from === greater);
  return { ...crossing, late: late!.packet };
}

Deno.test("an I2 that has lost the tie-break and comes when its sender has agreed to the other exchange undoes nothing", () => {
  for (const cast of CASTS) {
    const crossing = crossWithLateI2(cast);
    const { world, smaller, late } = crossing;
    smaller.receive(late);
    world.advance(seconds(1));
    assert.equal(smaller.associationWith(crossing.greater)?.role, "initiator");
    assert.equal(smaller.engine.status().drops["hip-overtaken"], 1);
    assertMet(crossing);
    // Nor in CLOSED, where a new exchange would be welcome.
    crossing.greater.close(smaller);
    world.advance(seconds(1));
    smaller.receive(late);
    world.advance(seconds(1));
    assert.equal(smaller.stateTowards(crossing.greater), "CLOSED");
  }
});

Deno.test("a host that has forgotten its peer soon after an exchange is met again without delay", () => {
  const crossing = makeCrossing(CASTS[0]);
  const { world, greater, smaller } = crossing;
  smaller.connect(greater);
  world.advance(seconds(2));
  smaller.restart();
  smaller.knows(greater);
  world.advance(milliseconds(100));
  const before = after(world.now, seconds(2));
  smaller.connect(greater);
  world.runUntil(() => smaller.stateTowards(greater) === "ESTABLISHED", seconds(2));
  assert.ok(world.now < before);
  assertMet(crossing);
});
