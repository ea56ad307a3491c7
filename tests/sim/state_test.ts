import { strict as assert } from "node:assert";
import { compareBytes } from "../../lib/base/bytes.ts";
import { randomBytes } from "../../lib/base/random.ts";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { emitHipPacket, setChecksum } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { testIdentity } from "../support/identities.ts";
import type { Host } from "./host.ts";
import { establish, makePair } from "./pair.ts";

/** An I1 as somebody with this HIT at this address would send it. */
function forgedI1(senderHit: Uint8Array, source: Uint8Array, to: Host, address: Uint8Array) {
  const bytes = emitHipPacket(
    { packetType: PACKET.I1, senderHit, receiverHit: to.hit },
    [encodeParameter(DH_GROUP_LIST, { groupIds: [7] })],
  );
  setChecksum(bytes, source, address);
  const packet: OutgoingPacket = {
    protocol: 139,
    source,
    destination: address,
    bytes,
    trafficClass: 0,
    hopLimit: 64,
  };
  return packet;
}

const BOB_ADDRESS = new Uint8Array([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);

Deno.test("HLP-001 SEC-001 FSM-002 a thousand I1s that get no I2 leave the Responder without state", () => {
  const { world, bob } = makePair();
  const random = new SeededRandom(new Uint8Array(32).fill(3));
  for (let i = 0; i < 1000; i++) {
    const hit = randomBytes(random, 16);
    hit.set([0x20, 0x01, 0x00, 0x22]);
    const source = randomBytes(random, 16);
    source.set([0x20, 0x01, 0x0d, 0xb8]);
    bob.receive(forgedI1(hit, source, bob, BOB_ADDRESS));
    world.advance(milliseconds(1));
  }
  assert.ok(world.trace.count("R1 [") >= 1000);
  assert.equal(bob.engine.status().associations.length, 0);
  assert.equal(bob.engine.openAssociations, 0);
});

Deno.test("HLP-006 an I1 with a forged source address leads to no second packet there", () => {
  const pair = makePair();
  const { world, alice, bob, link } = pair;
  const aliceAddress = BOB_ADDRESS.slice();
  aliceAddress[15] = 1;
  const stranger = testIdentity("ed25519", "alice").hit;
  bob.receive(forgedI1(stranger, aliceAddress, bob, BOB_ADDRESS));
  world.advance(seconds(10));
  assert.deepEqual(link.sent.map(({ name }) => name), ["R1"]);
  assert.equal(alice.engine.status().associations.length, 0);
});

Deno.test("BEX-029 SEC-006 a replayed R1 costs the Initiator no work and changes nothing", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob, link } = pair;
  const before = alice.associationWith(bob);
  const [r1] = link.named("R1");
  for (let i = 0; i < 3; i++) alice.receive(r1!);
  world.expectQuiet(seconds(1));
  assert.deepEqual(alice.associationWith(bob), before);
  assert.equal(alice.engine.status().drops["hip-wrong-state"], 3);
});

Deno.test("ESP-071 SEC-008 a replayed I2 leaves an association as it is", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob, link } = pair;
  const before = bob.associationWith(alice);
  const [i2] = link.named("I2");
  world.advance(seconds(30));
  bob.receive(i2!);
  world.advance(seconds(10));
  assert.deepEqual(bob.associationWith(alice), before);
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(1));
});

Deno.test("ESP-112 SEC-008 an I2 replayed after the association has ended brings back no keys", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob, link } = pair;
  const [i2] = link.named("I2");
  alice.close(bob);
  world.advance(seconds(1));
  assert.equal(bob.stateTowards(alice), "CLOSED");
  bob.receive(i2!);
  world.expectQuiet(seconds(5));
  assert.equal(bob.stateTowards(alice), "CLOSED");
  assert.equal(bob.engine.status().drops["hip-replayed"], 1);
});

Deno.test("BEX-042 FSM-036 an R2 lost until R2-SENT has ended is still sent again", () => {
  const bobSettings = { i2Timeout: milliseconds(500), i2RetriesMax: 1 };
  const { world, alice, bob, link } = makePair({ bobSettings });
  alice.application.ping(bob);
  link.loses = ({ name }) => name === "R2" && bob.stateTowards(alice) !== "ESTABLISHED";
  world.runUntil(() => bob.stateTowards(alice) === "ESTABLISHED", seconds(10));
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED", seconds(10));
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(1));
  assert.equal(
    alice.associationWith(bob)!.inboundSpi,
    bob.associationWith(alice)!.outboundSpi,
  );
});

Deno.test("FSM-008 FSM-009 FSM-063 BEX-024 crossing I1s: one association, the greater HIT is Responder", () => {
  for (const [a, b] of [["alice", "bob"], ["bob", "alice"]] as const) {
    const pair = makePair({
      alice: testIdentity("ecdsa-p256", a),
      bob: testIdentity("ecdsa-p256", b),
    });
    const { world, alice, bob, link } = pair;
    const first = alice.application.ping(bob);
    const second = bob.application.ping(alice);
    world.runUntil(() => alice.application.hasReply(first) && bob.application.hasReply(second));
    const [greater, smaller] = compareBytes(alice.hit, bob.hit) > 0 ? [alice, bob] : [bob, alice];
    assert.equal(greater.associationWith(smaller)?.role, "responder");
    assert.equal(smaller.associationWith(greater)?.role, "initiator");
    assert.equal(link.count("R1", smaller), 0);
    for (const host of [alice, bob]) assert.equal(host.engine.status().associations.length, 1);
    assert.equal(
      alice.associationWith(bob)!.inboundSpi,
      bob.associationWith(alice)!.outboundSpi,
    );
  }
});

Deno.test("FSM-064 FSM-021 FSM-022 BEX-053 BEX-054 crossing I2s: one association, and it carries data", () => {
  for (const [a, b] of [["alice", "bob"], ["bob", "alice"]] as const) {
    const pair = makePair({
      alice: testIdentity("ecdsa-p256", a),
      bob: testIdentity("ecdsa-p256", b),
    });
    const { world, alice, bob, link } = pair;
    const [greater, smaller] = compareBytes(alice.hit, bob.hit) > 0 ? [alice, bob] : [bob, alice];
    // The smaller starts late enough for its I1 to meet the greater in I2-SENT.
    const first = greater.application.ping(smaller);
    world.runUntil(() => link.count("R1") === 1);
    const second = smaller.application.ping(greater);
    world.runUntil(
      () => greater.application.hasReply(first) && smaller.application.hasReply(second),
    );
    assert.equal(link.count("I2", greater) > 0 && link.count("I2", smaller) > 0, true);
    world.advance(seconds(10));
    assert.equal(greater.stateTowards(smaller), "ESTABLISHED");
    assert.equal(smaller.stateTowards(greater), "ESTABLISHED");
    assert.equal(
      alice.associationWith(bob)!.inboundSpi,
      bob.associationWith(alice)!.outboundSpi,
      `${world.trace}`,
    );
  }
});

Deno.test("CLS-003 CLS-008 CLS-012 closing ends the association at both ends", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob, link } = pair;
  alice.close(bob);
  world.advance(seconds(1));
  assert.equal(link.count("CLOSE"), 1);
  assert.equal(link.count("CLOSE_ACK"), 1);
  assert.equal(alice.stateTowards(bob), "UNASSOCIATED");
  assert.equal(bob.stateTowards(alice), "CLOSED");
});

Deno.test("CLS-014 CLS-016 a lost CLOSE or CLOSE_ACK is made good by sending CLOSE again", () => {
  for (const lost of ["CLOSE", "CLOSE_ACK"]) {
    const pair = makePair();
    establish(pair);
    const { world, alice, bob, link } = pair;
    let left = 1;
    link.loses = ({ name }) => name === lost && left-- > 0;
    alice.close(bob);
    world.runUntil(() => alice.stateTowards(bob) === "UNASSOCIATED", seconds(10));
    assert.equal(link.count("CLOSE"), 2);
  }
});

Deno.test("CLS-010 crossing CLOSEs end at both ends", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob } = pair;
  alice.close(bob);
  bob.close(alice);
  world.advance(seconds(2));
  for (const state of [alice.stateTowards(bob), bob.stateTowards(alice)]) {
    assert.ok(state === "CLOSED" || state === "UNASSOCIATED", state);
  }
});

Deno.test("FSM-062 ESP-083 data after a CLOSE makes a new association", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob } = pair;
  const before = bob.associationWith(alice)!.inboundSpi;
  alice.close(bob);
  world.advance(seconds(1));
  const sequence = bob.application.ping(alice);
  world.runUntil(() => bob.application.hasReply(sequence));
  assert.notEqual(bob.associationWith(alice)!.inboundSpi, before);
});

Deno.test("LOS-001 LOS-002 FSM-041 BEX-063 ESP-278 a host that lost its state meets its peer again", () => {
  const pair = makePair();
  establish(pair);
  const { world, alice, bob } = pair;
  const before = bob.associationWith(alice)!;
  alice.restart();
  assert.deepEqual(alice.engine.status().associations, []);
  alice.knows(bob);
  world.runUntil(() => alice.engine.isReady);
  assert.deepEqual(bob.associationWith(alice), before);
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence), seconds(5));
  const now = bob.associationWith(alice)!;
  assert.notEqual(now.outboundSpi, before.outboundSpi);
  assert.equal(bob.engine.status().associations.length, 1);
});

Deno.test("a close in I2-SENT while I2s cross leaves two Responders; with data to send both find out, and meet again within half a minute", () => {
  const pair = makePair();
  const { world, alice, bob, link } = pair;
  const smaller = compareBytes(alice.hit, bob.hit) < 0 ? alice : bob;
  const greater = smaller === alice ? bob : alice;
  greater.application.ping(smaller);
  world.runUntil(() => link.count("R1") === 1);
  link.loses = ({ name, from }) => name === "I2" && from === greater;
  smaller.application.ping(greater);
  world.runUntil(() => smaller.stateTowards(greater) === "I2-SENT");
  assert.equal(greater.stateTowards(smaller), "I2-SENT");
  smaller.close(greater);
  // The I2 of the other end was on its way for longer.
  link.loses = () => false;
  smaller.receive(link.named("I2").find(({ source }) => greater.owns(source))!);
  const areResponders = () =>
    smaller.stateTowards(greater) === "R2-SENT" && greater.stateTowards(smaller) === "R2-SENT";
  world.runUntil(areResponders);
  world.advance(seconds(1));
  assert.ok(areResponders());
  const isMet = () => [alice, bob].every(({ application }) => application.replies.length > 0);
  for (let i = 0; i < 30 && !isMet(); i++) {
    alice.application.ping(bob);
    bob.application.ping(alice);
    world.advance(seconds(1));
  }
  assert.ok(isMet(), `${world.trace}`);
});
