/** Packets of an exchange that come too late, again, or from before (RFC 7401 §4.1.4, §6.7 to §6.9). */

import { strict as assert } from "node:assert";
import { seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { establish, makePair, type Pair } from "./pair.ts";

function generationOf(r1: OutgoingPacket): bigint {
  return parseHipPacket(r1.bytes).require(R1_COUNTER).generation;
}

/** Runs an exchange and gives back a packet of it. */
function recorded(pair: Pair, name: string): OutgoingPacket {
  establish(pair);
  return pair.link.named(name)[0]!;
}

// old R1 ->  I2 (old) ->  dropped: hip-old-generation   R1 -> I2 -> <- R2
Deno.test("an R1 of an earlier life of the Responder, replayed before the true one, costs the Initiator one I2 and no more", () => {
  const pair = makePair();
  const old = recorded(pair, "R1");
  const { world, alice, bob, link } = pair;
  alice.restart();
  alice.knows(bob);
  bob.restart();
  world.advance(seconds(1));
  const before = link.count("I2");
  alice.connect(bob);
  alice.receive(old);
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED", seconds(10));
  assert.equal(bob.engine.status().drops["hip-old-generation"], 1);
  assert.equal(link.count("I2") - before, 2);
  const current = link.named("R1").at(-1)!;
  assert.ok(generationOf(current) > generationOf(old));
});

Deno.test("an R1 that is replayed when the true one has been answered starts nothing", () => {
  const pair = makePair();
  const old = recorded(pair, "R1");
  const { world, alice, bob, link } = pair;
  alice.restart();
  alice.knows(bob);
  world.advance(seconds(1));
  const before = link.count("I2");
  alice.connect(bob);
  world.runUntil(() => alice.stateTowards(bob) === "I2-SENT");
  alice.receive(old);
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED", seconds(10));
  assert.equal(link.count("I2") - before, 1);
  assert.equal(alice.engine.status().drops["hip-wrong-state"], 1);
});

// I1 -> <- R1, I2 ... held back until its puzzle is no longer answered ... -> dropped
Deno.test("an I2 that comes when its puzzle has expired is dropped by its generation, and the next exchange is not hurt", () => {
  // 2^2 s, and a new R1 every 10 s.
  const pair = makePair({ settings: { puzzleLifetimeExponent: 34, r1Lifetime: seconds(10) } });
  const { world, alice, bob, link } = pair;
  link.loses = ({ name }) => name === "I2";
  alice.connect(bob);
  world.runUntil(() => alice.stateTowards(bob) === "E-FAILED", seconds(60));
  const [late] = link.named("I2");
  link.loses = () => false;
  world.advance(seconds(10));
  bob.receive(late!);
  world.expectQuiet(seconds(1));
  assert.equal(bob.engine.status().drops["hip-old-generation"], 1);
  assert.equal(bob.engine.status().associations.length, 0);
  establish(pair);
});

Deno.test("an I2 just within the life of its puzzle is taken, though the R1 has been renewed", () => {
  const pair = makePair({ settings: { puzzleLifetimeExponent: 36, r1Lifetime: seconds(2) } });
  const { world, alice, bob, link } = pair;
  link.loses = ({ name }) => name === "I2" && link.count("I2") < 4;
  alice.connect(bob);
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED", seconds(20));
  assert.equal(link.count("I2"), 4);
  assert.equal(bob.stateTowards(alice), "R2-SENT");
});

/** Brings bob, who has answered an I2 of alice, into a later state. */
const LATER: Record<string, (pair: Pair) => void> = {
  "R2-SENT": () => {},
  // Nothing has come yet that would show that R2 has arrived.
  "ESTABLISHED, without data so far": (pair) => {
    pair.world.runUntil(() => pair.bob.stateTowards(pair.alice) === "ESTABLISHED", seconds(60));
  },
  "ESTABLISHED, with data": (pair) => establish(pair),
  "ESTABLISHED, a rekey under way": (pair) => {
    establish(pair);
    pair.bob.rekey(pair.alice, true);
    pair.world.runUntil(() => pair.link.count("UPDATE") === 1);
  },
  "CLOSING": (pair) => {
    establish(pair);
    pair.link.loses = ({ name }) => name === "CLOSE";
    pair.bob.close(pair.alice);
    pair.world.runUntil(() => pair.link.count("CLOSE") === 1);
  },
  "CLOSED": (pair) => {
    establish(pair);
    pair.alice.close(pair.bob);
    pair.world.advance(seconds(1));
  },
  "I1-SENT": (pair) => {
    establish(pair);
    pair.link.loses = ({ name }) => name === "CLOSE" || name === "I1";
    pair.bob.close(pair.alice);
    pair.world.runUntil(() => pair.link.count("CLOSE") === 1);
    pair.bob.application.ping(pair.alice);
  },
  "UNASSOCIATED": (pair) => {
    establish(pair);
    pair.bob.close(pair.alice);
    pair.world.advance(seconds(1));
  },
};

for (const [state, goOn] of Object.entries(LATER)) {
  const isAnswered = state === "R2-SENT" || state.endsWith("without data so far");
  const fate = isAnswered ? "is answered by the same R2" : "is dropped as a replay";
  Deno.test(`the I2 of an association, once more in ${state}, ${fate} and changes nothing`, () => {
    const pair = makePair();
    const { world, alice, bob, link } = pair;
    alice.connect(bob);
    world.runUntil(() => bob.stateTowards(alice) === "R2-SENT");
    const [i2] = link.named("I2");
    goOn(pair);
    assert.equal(bob.stateTowards(alice), state.replace(/,.*/, ""));
    const [before, r2s] = [bob.associationWith(alice), link.count("R2")];
    const dropsBefore = bob.engine.status().drops["hip-replayed"] ?? 0;
    bob.receive(i2!);
    assert.deepEqual(bob.associationWith(alice), before);
    assert.equal(link.count("R2") - r2s, isAnswered ? 1 : 0);
    const drops = (bob.engine.status().drops["hip-replayed"] ?? 0) - dropsBefore;
    assert.equal(drops, isAnswered ? 0 : 1);
    if (isAnswered) {
      const [first, ...others] = link.named("R2");
      assert.ok(others.every(({ bytes }) => `${bytes}` === `${first!.bytes}`));
    }
    link.loses = () => false;
    const had = alice.application.replies.length;
    for (let i = 0; i < 30 && alice.application.replies.length === had; i++) {
      alice.application.ping(bob);
      world.advance(seconds(2));
    }
    assert.ok(alice.application.replies.length > had, `${world.trace}`);
  });
}

// I2 a, held back; R1 of a later generation; I2 b -> <- R2 b; then I2 a
Deno.test("of two I2s of one Initiator that overtake each other the one that answers the later R1 stays", () => {
  const pair = makePair();
  const { world, alice, bob, link } = pair;
  link.loses = ({ name }) => name === "I2";
  alice.connect(bob);
  world.runUntil(() => link.count("I2") === 1);
  const [early] = link.named("I2");
  alice.restart();
  alice.knows(bob);
  world.advance(seconds(1));
  link.loses = () => false;
  establish(pair);
  const before = bob.associationWith(alice)!;
  bob.receive(early!);
  world.advance(seconds(1));
  assert.equal(bob.engine.status().drops["hip-overtaken"], 1);
  assert.deepEqual(bob.associationWith(alice), before);
  establish(pair);
});
