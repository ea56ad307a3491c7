/**
 * A peer that has lost its state: how it is found again, and how the end that still has its state
 * finds out (RFC 7401 §4.3, §6.11, §6.16).
 *
 * ```
 *   alice                                   bob
 *   ESTABLISHED                             restarts; may have the contacts of its earlier life
 *   ESP        ->                           no SA
 *              <-                           I1, if it has met whoever may have sent this
 *   UPDATE     ->   (nothing came back)     no association
 * ```
 */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import type { Contact } from "../../lib/engine/contacts.ts";
import type { SentPacket } from "./link.ts";
import { establish, makePair, type Pair } from "./pair.ts";

/** A pair with an association; `contacts` is what bob's next life may be given. */
function pairBeforeRestart(
  settings: Partial<ControlSettings> = {},
): Pair & { readonly contacts: Contact[] } {
  const pair = makePair({ settings });
  establish(pair);
  return { ...pair, contacts: pair.bob.engine.contacts.list() };
}

/** Bob comes up again and knows nobody but the contacts. */
function restart({ world, bob }: Pair, contacts: readonly Contact[]): void {
  bob.restart();
  bob.engine.contacts.restore(world.now, contacts);
  world.runUntil(() => bob.engine.isReady);
}

/** Both ends have one association, the same one. */
function assertJoined({ alice, bob }: Pair): void {
  const [atAlice, atBob] = [alice.associationWith(bob)!, bob.associationWith(alice)!];
  assert.deepEqual(
    [atAlice.inboundSpi, atAlice.outboundSpi],
    [atBob.outboundSpi, atBob.inboundSpi],
  );
  for (const { engine } of [alice, bob]) assert.equal(engine.status().associations.length, 1);
}

/** Alice sends every 300 ms, as TCP does at first. */
function sendFor({ world, alice, bob }: Pair, span: number): void {
  for (let spent = 0; spent < span; spent += 300) {
    alice.application.ping(bob);
    world.advance(milliseconds(300));
  }
}

Deno.test("LOS-001 data of a host that lost its state goes to where the peer was met", () => {
  const pair = pairBeforeRestart();
  const { world, alice, bob, link } = pair;
  restart(pair, []);
  const lost = bob.application.ping(alice);
  world.advance(seconds(1));
  assert.equal(link.count("I1", bob), 0);
  assert.ok(!bob.application.hasReply(lost));

  restart(pair, pair.contacts);
  const sequence = bob.application.ping(alice);
  world.runUntil(() => bob.application.hasReply(sequence), seconds(1));
  assertJoined(pair);
});

Deno.test("LOS-009 data for an association that is gone makes the host start an exchange with the peer it had", () => {
  const pair = pairBeforeRestart();
  const { world, alice, bob, link } = pair;
  restart(pair, pair.contacts);
  alice.application.ping(bob);
  world.runUntil(() => bob.stateTowards(alice) === "ESTABLISHED", seconds(5));
  assert.equal(link.count("I1", bob), 1);
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(1));
  assertJoined(pair);
});

Deno.test("LOS-009 an UPDATE for an association that is gone does so too", () => {
  const pair = pairBeforeRestart();
  const { world, alice, bob, link } = pair;
  restart(pair, pair.contacts);
  alice.rekey(bob, false);
  world.runUntil(() => bob.stateTowards(alice) === "R2-SENT" || link.count("I1", bob) === 1);
  world.runUntil(() => bob.stateTowards(alice) === "ESTABLISHED", seconds(5));
  assertJoined(pair);
});

Deno.test("only one exchange is started for a peer of the earlier life, and none for strangers or later", () => {
  const pair = pairBeforeRestart();
  const { world, alice, bob, link } = pair;
  alice.application.ping(bob);
  world.advance(seconds(1));
  const stale = link.named("ESP").filter(({ destination }) => bob.owns(destination)).at(-1)!;
  const isUp = (up: boolean) => link.conditions.isUp = up;

  restart(pair, []);
  bob.receive(stale);
  assert.equal(link.count("I1", bob), 0, "a peer that was never met");

  restart(pair, pair.contacts);
  const elsewhere = { ...stale, source: stale.source.map((octet, i) => i === 15 ? 77 : octet) };
  bob.receive(elsewhere);
  assert.equal(link.count("I1", bob), 0, "another address");

  isUp(false);
  for (let i = 0; i < 100; i++) bob.receive(stale);
  world.advance(seconds(60));
  assert.equal(link.count("I1", bob), 5, "one exchange with all its I1");
  for (let i = 0; i < 100; i++) bob.receive(stale);
  world.advance(seconds(60));
  assert.equal(link.count("I1", bob), 5, "not again");

  restart(pair, pair.contacts);
  world.advance(seconds(15 * 60));
  bob.receive(stale);
  assert.equal(link.count("I1", bob), 5, "too late");
});

Deno.test("FSM-061 FSM-062 who sends to a peer without state asks it by UPDATE and meets it anew within ten seconds", () => {
  const pair = pairBeforeRestart();
  const { world, alice, bob, link } = pair;
  restart(pair, []);
  const before = world.now;
  sendFor(pair, 4800);
  assert.equal(link.count("UPDATE", alice), 0);
  assert.equal(alice.stateTowards(bob), "ESTABLISHED");
  sendFor(pair, 4800);
  assert.ok(link.count("UPDATE", alice) >= 3, "it asks more than once");
  assert.equal(alice.stateTowards(bob), "ESTABLISHED");
  // It does not wait for the next packet, which TCP may send half a minute later.
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED" && link.count("R2") === 2);
  assert.ok(world.now - before < 12_000);
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(1));
  assertJoined(pair);
});

Deno.test("a peer that answers is not asked, nor one that was sent the last word", () => {
  const pair = pairBeforeRestart();
  const { world, alice, bob, link } = pair;
  sendFor(pair, 20_000);
  world.advance(seconds(60));
  alice.application.ping(bob);
  world.advance(seconds(60));
  assert.equal(link.count("UPDATE"), 0);
});

Deno.test("a peer that has nothing to say is asked less and less often, and stays", () => {
  const pair = pairBeforeRestart();
  const { world, alice, bob, link } = pair;
  const asked: number[] = [];
  link.loses = ({ name, from }: SentPacket) => {
    if (name === "UPDATE" && from === alice) asked.push(world.now);
    return name === "ESP" && from === bob;
  };
  sendFor(pair, 120_000);
  const waits = asked.slice(1).map((at, i) => Math.round((at - asked[i]!) / 1000));
  assert.deepEqual(waits.map((wait) => wait >= 9), waits.map(() => true), `${waits}`);
  assert.ok(waits[2]! >= 38, `${waits}`);
  assert.equal(alice.stateTowards(bob), "ESTABLISHED");
});
