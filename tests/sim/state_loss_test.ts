/**
 * A host loses all its state, in every state that its peer or it itself may be in (RFC 7401 §4.4.3,
 * §4.5.4, §6.16): the pair meets again by a new exchange, and nothing of the old one is in its way.
 */

import { strict as assert } from "node:assert";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { Host } from "./host.ts";
import { establish, makePair, type Pair } from "./pair.ts";

/** What is under way when the power goes; alice is the one in the state. */
const SCENES: Record<string, (pair: Pair) => void> = {
  "I1-SENT": ({ world, alice, bob }) => {
    alice.connect(bob);
    world.advance(milliseconds(2));
  },
  "I2-SENT": ({ world, alice, bob }) => {
    alice.connect(bob);
    world.runUntil(() => alice.stateTowards(bob) === "I2-SENT");
  },
  "R2-SENT": ({ world, alice, bob }) => {
    bob.connect(alice);
    world.runUntil(() => alice.stateTowards(bob) === "R2-SENT");
  },
  "ESTABLISHED": (pair) => establish(pair),
  "ESTABLISHED, a rekey begun": (pair) => {
    establish(pair);
    pair.alice.rekey(pair.bob, true);
    pair.world.runUntil(() => pair.link.count("UPDATE") === 1);
  },
  "ESTABLISHED, a rekey answered": (pair) => {
    establish(pair);
    pair.bob.rekey(pair.alice, true);
    pair.world.runUntil(() => pair.link.count("UPDATE", pair.alice) === 1);
  },
  "CLOSING": (pair) => {
    establish(pair);
    pair.link.loses = ({ name }) => name === "CLOSE";
    pair.alice.close(pair.bob);
    pair.world.runUntil(() => pair.link.count("CLOSE") === 1);
    pair.link.loses = () => false;
  },
  "CLOSED": (pair) => {
    establish(pair);
    pair.bob.close(pair.alice);
    pair.world.runUntil(() => pair.alice.stateTowards(pair.bob) === "CLOSED");
  },
};

/** Power off and on; the R1s are ready again before anything else happens. */
function restart(pair: Pair, host: Host): void {
  host.restart();
  host.knows(host === pair.alice ? pair.bob : pair.alice);
  assert.equal(host.engine.status().associations.length, 0);
}

/** The one who has forgotten speaks first; data passes both ways then. */
function assertMeetAgain({ world, alice, bob }: Pair, first: Host): void {
  const second = first === alice ? bob : alice;
  const sequence = first.application.ping(second);
  world.runUntil(() => first.application.hasReply(sequence), seconds(10));
  const back = second.application.ping(first);
  world.runUntil(() => second.application.hasReply(back), seconds(2));
  const [atFirst, atSecond] = [first.associationWith(second)!, second.associationWith(first)!];
  assert.equal(atFirst.inboundSpi, atSecond.outboundSpi, `${world.trace}`);
  assert.equal(atFirst.outboundSpi, atSecond.inboundSpi, `${world.trace}`);
}

for (const [state, begin] of Object.entries(SCENES)) {
  Deno.test(`a host in ${state} that loses its state meets its peer again`, () => {
    const pair = makePair();
    begin(pair);
    const { alice, bob } = pair;
    const old = [alice, bob].flatMap((host) => host.engine.status().associations)
      .flatMap(({ inboundSpi }) => inboundSpi ?? []);
    restart(pair, alice);
    assertMeetAgain(pair, alice);
    for (const host of [alice, bob]) {
      const [association] = host.engine.status().associations;
      assert.ok(!old.includes(association!.inboundSpi!), "an old SPI is in use");
    }
  });

  Deno.test(`a host in ${state} is met again by a peer that has lost its state`, () => {
    const pair = makePair();
    begin(pair);
    restart(pair, pair.bob);
    assertMeetAgain(pair, pair.bob);
    // Of the old association nothing is left in the one that has not lost it.
    pair.world.advance(seconds(130));
    assert.equal(pair.alice.keys.live("exchange"), 1);
    assert.equal(pair.alice.keys.live("cipher"), 2);
    assert.equal(pair.alice.engine.status().tables.inboundSas, 1);
  });
}

Deno.test("both hosts lose their state at once in the middle of a rekey, and meet again", () => {
  const pair = makePair();
  SCENES["ESTABLISHED, a rekey begun"]!(pair);
  restart(pair, pair.alice);
  restart(pair, pair.bob);
  assertMeetAgain(pair, pair.bob);
});

Deno.test("what was sent to the host before it lost its state and comes late does no harm", () => {
  const pair = makePair();
  const { world, alice, bob, link } = pair;
  link.conditions.latency = milliseconds(300);
  alice.application.ping(bob);
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED");
  // R2 has just come; a ping, an UPDATE and a CLOSE are on their way to bob, ESP on its way to alice.
  alice.rekey(bob, true);
  world.runUntil(() => link.count("UPDATE") === 1);
  alice.close(bob);
  world.runUntil(() => link.count("CLOSE") === 1);
  restart(pair, bob);
  world.advance(seconds(1));
  const { drops } = bob.engine.status();
  assert.ok(drops["esp-unknown-spi"]! >= 1 && drops["hip-no-association"]! >= 2);
  assert.equal(bob.engine.status().associations.length, 0);
  assertMeetAgain(pair, bob);
});
