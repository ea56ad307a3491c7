import { strict as assert } from "node:assert";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { DROP_REASONS } from "../../lib/base/drop_reason.ts";
import { bytesEqual } from "../../lib/base/bytes.ts";
import { establish, makePair } from "./pair.ts";

const EXPECTED_RETRIES: Record<string, { title: string; counts: Record<string, number> }> = {
  I1: { title: "FSM-016 BEX-003", counts: { I1: 2, R1: 1, I2: 1, R2: 1 } },
  R1: { title: "FSM-016 BEX-003 FSM-002", counts: { I1: 2, R1: 2, I2: 1, R2: 1 } },
  I2: { title: "FSM-029 BEX-042", counts: { I1: 1, R1: 1, I2: 2, R2: 1 } },
  R2: { title: "FSM-029 FSM-032 BEX-051 ESP-071", counts: { I1: 1, R1: 1, I2: 2, R2: 2 } },
};

for (const [lost, { title, counts }] of Object.entries(EXPECTED_RETRIES)) {
  Deno.test(`${title} the exchange survives the loss of one ${lost}`, () => {
    const pair = makePair();
    let left = 1;
    pair.link.loses = ({ name }) => name === lost && left-- > 0;
    establish(pair);
    const { alice, bob, link } = pair;
    assert.deepEqual(
      Object.fromEntries(["I1", "R1", "I2", "R2"].map((name) => [name, link.count(name)])),
      counts,
    );
    assert.equal(bob.stateTowards(alice), "ESTABLISHED");
    assert.equal(bob.application.answered, 1);
  });
}

Deno.test("OPEN-22 ESP-071 repeated I2 and R2 are the same packets octet for octet", () => {
  const pair = makePair();
  let left = 2;
  pair.link.loses = ({ name }) => name === "R2" && left-- > 0;
  establish(pair);
  for (const name of ["I2", "R2"]) {
    const [first, ...others] = pair.link.named(name);
    assert.equal(others.length, 2);
    assert.ok(others.every((other) => bytesEqual(other.bytes, first!.bytes)));
  }
});

Deno.test("every packet twice: one exchange, every ping answered once", () => {
  const pair = makePair({ link: { duplication: 1, jitter: milliseconds(3) } });
  establish(pair);
  pair.world.advance(seconds(2));
  assert.equal(pair.alice.application.replies.length, 1);
  assert.equal(pair.bob.application.answered, 1);
  assert.equal(pair.alice.engine.status().associations.length, 1);
  assert.ok(pair.bob.engine.status().drops["esp-replayed"]! > 0);
});

Deno.test("packets out of order: every ping of an association is answered once", () => {
  const pair = makePair({ link: { jitter: milliseconds(30), reordering: 0.3 } });
  establish(pair);
  const { world, alice, bob } = pair;
  for (let i = 0; i < 50; i++) {
    alice.application.ping(bob);
    world.advance(milliseconds(2));
  }
  world.advance(seconds(1));
  const sequences = alice.application.replies.map(({ sequence }) => sequence);
  assert.equal(sequences.length, 51);
  assert.equal(new Set(sequences).size, 51);
  assert.notDeepEqual(sequences, [...sequences].sort((a, b) => a - b));
});

Deno.test("FSM-017 FSM-056 a peer that is down: ICMPv6 unreachable within 5 s, then E-FAILED", () => {
  const { world, alice, bob, link } = makePair();
  link.conditions.isUp = false;
  const start = world.now;
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.unreachable.length > 0, seconds(5));
  assert.equal(alice.application.unreachable[0]!.sequence, sequence);
  assert.ok(world.now - start < 5000);
  world.runUntil(() => alice.stateTowards(bob) === "E-FAILED", seconds(10));
  assert.ok(alice.associationWith(bob)!.failure!.length > 0);
  assert.ok(link.count("I1") > 1);
  world.runUntil(() => alice.stateTowards(bob) === "UNASSOCIATED", seconds(30));
  world.expectQuiet(seconds(60));
});

Deno.test("a peer that comes up is met by the next packet", () => {
  const { world, alice, bob, link } = makePair();
  link.conditions.isUp = false;
  alice.application.ping(bob);
  world.advance(seconds(20));
  link.conditions.isUp = true;
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(5));
});

Deno.test("fifty seeds under loss and reordering end ESTABLISHED or with a named reason", () => {
  let established = 0;
  for (let seed = 1; seed <= 50; seed++) {
    const { world, alice, bob, link } = makePair({
      seed,
      link: {
        loss: 0.25,
        duplication: 0.1,
        reordering: 0.2,
        reorderDelay: milliseconds(400),
        jitter: milliseconds(50),
      },
    });
    alice.application.ping(bob);
    if (seed % 2 === 0) bob.application.ping(alice);
    world.advance(seconds(60));
    const message = `seed ${seed}\n${world.trace}`;
    const states = [alice.stateTowards(bob), bob.stateTowards(alice)];
    if (states.every((state) => state === "ESTABLISHED")) {
      established++;
      link.conditions.loss = 0;
      const sequence = alice.application.ping(bob);
      world.advance(seconds(1));
      assert.ok(alice.application.hasReply(sequence), message);
      const [atAlice, atBob] = [alice.associationWith(bob)!, bob.associationWith(alice)!];
      assert.equal(atAlice.inboundSpi, atBob.outboundSpi, message);
    } else {
      assert.ok(world.trace.count("E-FAILED") > 0, message);
      assert.ok(!states.includes("I1-SENT") && !states.includes("I2-SENT"), message);
    }
    for (const host of [alice, bob]) {
      const reasons = Object.keys(host.engine.status().drops);
      assert.ok(reasons.every((reason) => reason in DROP_REASONS), message);
    }
  }
  assert.ok(established >= 40, `${established} of 50 were established`);
});
