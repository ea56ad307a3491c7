/** CLOSE and what it may meet on its way (RFC 7401 §4.4.3, §6.14, §6.15). */

import { strict as assert } from "node:assert";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { Host } from "./host.ts";
import type { SentPacket } from "./link.ts";
import { establish, makePair, type Pair } from "./pair.ts";

function establishedPair(): Pair {
  const pair = makePair();
  establish(pair);
  return pair;
}

const ENDED = ["UNASSOCIATED", "CLOSED"];

/** Both ends are done, without SAs and without ciphers; later without any key. */
function assertEnded({ world, alice, bob }: Pair): void {
  for (const [host, peer] of [[alice, bob], [bob, alice]] as const) {
    assert.ok(ENDED.includes(host.stateTowards(peer)), `${host.name}\n${world.trace}`);
    const { inboundSas, outboundSas, reservedSpis } = host.engine.status().tables;
    assert.deepEqual([inboundSas, outboundSas, reservedSpis], [0, 0, 0]);
    assert.equal(host.keys.live("cipher") + host.keys.live("rekey"), 0, host.name);
  }
  // CLOSED lasts UAL + 2 MSL.
  world.advance(seconds(15 * 60 + 240 + 1));
  for (const host of [alice, bob]) {
    assert.equal(host.engine.status().associations.length, 0);
    assert.deepEqual(host.keys.remaining(), [], host.name);
  }
}

// data ->   <- CLOSE      the data finds no SA and is counted; CLOSE_ACK ->
Deno.test("a CLOSE crosses data: the data is dropped under a name, and what comes back is refused as such", () => {
  const pair = establishedPair();
  const { world, alice, bob } = pair;
  for (let i = 0; i < 3; i++) alice.application.ping(bob);
  bob.close(alice);
  world.advance(seconds(1));
  assert.equal(bob.application.answered, 1);
  assert.equal(bob.engine.status().drops["esp-unknown-spi"], 3);
  assert.equal(alice.stateTowards(bob), "CLOSED");
  assert.equal(bob.stateTowards(alice), "UNASSOCIATED");
  assertEnded(pair);
});

// <- CLOSE   data -> (while CLOSED): I1
Deno.test("ESP-057 data that is sent just after the CLOSE has come makes a new association, in which it arrives, with other SPIs", () => {
  const pair = establishedPair();
  const { world, alice, bob, link } = pair;
  const before = [alice.associationWith(bob)!.inboundSpi, bob.associationWith(alice)!.inboundSpi];
  bob.close(alice);
  world.runUntil(() => alice.stateTowards(bob) === "CLOSED");
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(5));
  assert.equal(link.count("I1"), 2);
  assert.equal(alice.stateTowards(bob), "ESTABLISHED");
  assert.equal(bob.stateTowards(alice), "ESTABLISHED");
  assert.notEqual(alice.associationWith(bob)!.inboundSpi, before[0]);
  assert.notEqual(bob.associationWith(alice)!.inboundSpi, before[1]);
  // The keys of the one before are gone.
  assert.equal(alice.keys.live("exchange"), 1);
  assert.equal(bob.keys.live("exchange"), 1);
});

/** Which packet of crossing CLOSEs is lost. */
const LOSSES: [title: string, loses: (sent: SentPacket, alice: Host) => boolean][] = [
  ["nothing", () => false],
  ["one CLOSE", ({ name, from }, alice) => name === "CLOSE" && from === alice],
  ["both CLOSEs", ({ name }) => name === "CLOSE"],
  ["one CLOSE_ACK", ({ name, from }, alice) => name === "CLOSE_ACK" && from === alice],
  ["both CLOSE_ACKs", ({ name }) => name === "CLOSE_ACK"],
];

for (const [title, loses] of LOSSES) {
  Deno.test(`CLOSE crosses CLOSE and ${title} is lost at first: both ends come to their end`, () => {
    const pair = establishedPair();
    const { world, alice, bob, link } = pair;
    link.loses = (sent) => loses(sent, alice);
    alice.close(bob);
    bob.close(alice);
    world.advance(milliseconds(900));
    link.loses = () => false;
    world.advance(seconds(5));
    assertEnded(pair);
  });
}

for (const withDh of [false, true]) {
  const kind = withDh ? "with" : "without";

  // alice: UPDATE ->   bob: <- CLOSE
  Deno.test(`a CLOSE crosses the first UPDATE of a rekey ${kind} DH: the rekey is dropped with its keys and its SPI`, () => {
    const pair = establishedPair();
    const { world, alice, bob, link } = pair;
    alice.rekey(bob, withDh);
    world.runUntil(() => link.count("UPDATE") === 1);
    bob.close(alice);
    world.advance(seconds(3));
    assert.equal(alice.stateTowards(bob), "CLOSED");
    assert.equal(bob.stateTowards(alice), "UNASSOCIATED");
    assert.equal(link.count("UPDATE"), 1);
    assertEnded(pair);
  });

  // alice: UPDATE ->  <- UPDATE :bob, who closes before the ACK has come
  Deno.test(`a CLOSE crosses the ACK of a rekey ${kind} DH: nothing of old or new SAs is left`, () => {
    const pair = establishedPair();
    const { world, alice, bob, link } = pair;
    alice.rekey(bob, withDh);
    world.runUntil(() => link.count("UPDATE", bob) === 1);
    bob.close(alice);
    world.advance(seconds(3));
    assertEnded(pair);
  });

  Deno.test(`a host closes while its own rekey ${kind} DH is being computed: the result is wiped`, () => {
    const pair = establishedPair();
    const { world, alice, bob } = pair;
    alice.rekey(bob, withDh);
    bob.rekey(alice, withDh);
    alice.close(bob);
    bob.close(alice);
    world.advance(seconds(3));
    assertEnded(pair);
  });
}

Deno.test("a CLOSE_ACK that is lost every time: CLOSING ends by itself, and the peer answers to the end", () => {
  const pair = establishedPair();
  const { world, alice, bob, link } = pair;
  link.loses = ({ name }) => name === "CLOSE_ACK";
  alice.close(bob);
  // UAL + MSL.
  world.advance(seconds(15 * 60 + 120 - 1));
  assert.equal(alice.stateTowards(bob), "CLOSING");
  assert.equal(bob.stateTowards(alice), "CLOSED");
  world.advance(seconds(2));
  assert.equal(alice.stateTowards(bob), "UNASSOCIATED");
  assert.ok(link.count("CLOSE") > 5);
  assert.equal(link.count("CLOSE_ACK"), link.count("CLOSE"));
  const [last] = world.trace.events("alice", "state").slice(-1);
  assert.equal(last!.why, "no CLOSE_ACK");
  assertEnded(pair);
});

Deno.test("a CLOSE from the exchange before, replayed, does not end the new association", () => {
  const pair = establishedPair();
  const { world, alice, bob, link } = pair;
  alice.close(bob);
  world.advance(seconds(1));
  establish(pair);
  const [old] = link.named("CLOSE");
  bob.receive(old!);
  world.advance(seconds(1));
  assert.equal(bob.engine.status().drops["hip-mac-failed"], 1);
  assert.equal(bob.stateTowards(alice), "ESTABLISHED");
});
