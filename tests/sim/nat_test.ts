/**
 * HIP behind a network address translator, without the extensions that are made for it:
 *
 *     alice 10.0.0.2 --- NAT 198.51.100.1 --- bob 192.0.2.2
 */

import { strict as assert } from "node:assert";
import { toHex } from "../../lib/base/bytes.ts";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { testIdentity } from "../support/identities.ts";
import type { Host } from "./host.ts";
import type { Link } from "./link.ts";
import type { NatBox, NatOptions } from "./nat_box.ts";
import { World } from "./world.ts";

interface NatWorld {
  readonly world: World;
  readonly alice: Host;
  readonly bob: Host;
  readonly nat: NatBox;
  /** Between the NAT and bob. */
  readonly outside: Link;
}

const FIRST = "198.51.100.1";
const SECOND = "198.51.100.2";

function makeNatWorld(
  options: Partial<NatOptions> = {},
  settings: Partial<ControlSettings> = {},
): NatWorld {
  const world = new World(1);
  const alice = world.addHost("alice", {
    identity: testIdentity("ecdsa-p256", "alice"),
    addresses: ["10.0.0.2"],
    settings,
  });
  const bob = world.addHost("bob", {
    identity: testIdentity("ecdsa-p256", "bob"),
    addresses: ["192.0.2.2"],
    settings,
  });
  const nat = world.addNat("nat", { publicAddresses: [FIRST], isHipAware: true, ...options });
  world.link(alice, nat.inside);
  const outside = world.link(nat.outside, bob);
  alice.knows(bob);
  world.runUntil(() => alice.engine.isReady && bob.engine.isReady);
  return { world, alice, bob, nat, outside };
}

/** Whether a ping is answered soon. */
function isAnswered(world: World, from: Host, to: Host): boolean {
  const sequence = from.application.ping(to);
  world.advance(milliseconds(500));
  return from.application.hasReply(sequence);
}

function peerAddressAt(bob: Host, alice: Host): string {
  return toHex(bob.associationWith(alice)!.peerAddress!);
}

// I1 -> NAT -> I1 with the source changed and the checksum left: dropped
Deno.test("behind a NAT that knows nothing of HIP no exchange comes about: checksums are wrong, and both ends say so", () => {
  const { world, alice, bob, outside } = makeNatWorld({ isHipAware: false });
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.unreachable.length > 0, seconds(5));
  assert.equal(alice.application.unreachable[0]!.sequence, sequence);
  world.runUntil(() => alice.stateTowards(bob) === "E-FAILED", seconds(10));
  assert.equal(alice.associationWith(bob)!.failure, "the peer did not answer I1");
  const i1s = outside.count("I1");
  assert.ok(i1s >= 5);
  assert.deepEqual(bob.engine.status().drops, { "hip-bad-checksum": i1s });
  assert.equal(outside.total, i1s, "a wrong checksum is not answered");
  assert.equal(bob.engine.status().associations.length, 0);
});

// I1 -> NAT -> I1 <- R1 <- NAT <- R1, I2 -> NAT -> I2 <- R2 <- NAT <- R2, ESP both ways
Deno.test("CKS-008 behind a NAT that makes HIP checksums right the exchange and data pass, both ways", () => {
  const { world, alice, bob, nat } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(alice.stateTowards(bob), "ESTABLISHED");
  assert.equal(bob.stateTowards(alice), "ESTABLISHED");
  assert.equal(peerAddressAt(bob, alice), toHex(parseIpAddress(FIRST)));
  assert.deepEqual(alice.engine.status().drops, {});
  assert.deepEqual(bob.engine.status().drops, {});
  // One for HIP, one for ESP.
  assert.equal(nat.flowCount, 2);
});

Deno.test("behind a NAT rekeys, CLOSE and CLOSE_ACK pass too", () => {
  const { world, alice, bob } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  const before = bob.associationWith(alice)!.inboundSpi;
  assert.ok(bob.rekey(alice, true));
  world.advance(seconds(2));
  assert.notEqual(bob.associationWith(alice)!.inboundSpi, before);
  assert.ok(isAnswered(world, bob, alice));
  alice.close(bob);
  world.advance(seconds(2));
  assert.equal(alice.stateTowards(bob), "UNASSOCIATED");
  assert.equal(bob.stateTowards(alice), "CLOSED");
});

Deno.test("nobody outside begins an exchange with a host behind a NAT: the NAT has no flow for it", () => {
  const { world, alice, bob, nat } = makeNatWorld();
  bob.knows(alice, [parseIpAddress(FIRST)]);
  assert.equal(isAnswered(world, bob, alice), false);
  world.runUntil(() => bob.stateTowards(alice) === "E-FAILED", seconds(10));
  assert.ok(nat.dropped("no flow") >= 5);
  assert.equal(bob.associationWith(alice)!.failure, "the peer did not answer I1");
});

Deno.test("a NAT that has forgotten an idle flow loses what comes from outside until the host inside speaks", () => {
  const { world, alice, bob, nat } = makeNatWorld({ idleTime: seconds(60) });
  assert.ok(isAnswered(world, alice, bob));
  world.advance(seconds(61));
  assert.equal(nat.flowCount, 0);
  assert.equal(isAnswered(world, bob, alice), false);
  assert.equal(nat.dropped("no flow"), 1);
  // The same public address again: nothing has changed for bob.
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(nat.dropped("no flow"), 1);
});

Deno.test("when a NAT rebinds, packets from the new address are taken, and answers go to the old one until a new exchange", () => {
  const { world, alice, bob, nat } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  const before = bob.associationWith(alice)!;
  nat.rebind([SECOND]);
  // ESP counts by its SPI and ICV, wherever it comes from; an address in it moves nothing.
  const answered = bob.application.answered;
  assert.equal(isAnswered(world, alice, bob), false);
  assert.equal(bob.application.answered, answered + 1);
  assert.equal(peerAddressAt(bob, alice), toHex(parseIpAddress(FIRST)));
  assert.equal(bob.stateTowards(alice), "ESTABLISHED");

  // What finds out is an UPDATE: bob's answers do not get through.
  alice.rekey(bob, false);
  world.runUntil(() => alice.stateTowards(bob) === "CLOSING", seconds(90));
  const [close] = world.trace.events("alice", "state").slice(-1);
  assert.equal(close!.why, "the peer did not acknowledge UPDATE");
  assert.equal(bob.stateTowards(alice), "ESTABLISHED");
  world.advance(seconds(5));
  assert.equal(bob.stateTowards(alice), "CLOSED");

  // The next packet makes an association with the address that there is now.
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(peerAddressAt(bob, alice), toHex(parseIpAddress(SECOND)));
  assert.notEqual(bob.associationWith(alice)!.inboundSpi, before.inboundSpi);
});

Deno.test("when a NAT rebinds while R1 is under way, the next I1 brings another", () => {
  const { world, alice, bob, nat, outside } = makeNatWorld();
  alice.connect(bob);
  world.runUntil(() => outside.count("R1") === 1);
  nat.rebind([SECOND, FIRST]);
  world.runUntil(() => alice.stateTowards(bob) === "ESTABLISHED", seconds(10));
  assert.equal(nat.dropped("no flow"), 1);
  assert.equal(peerAddressAt(bob, alice), toHex(parseIpAddress(SECOND)));
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
});

Deno.test("an I2 from another address than its I1 is refused: #I was made for that address", () => {
  const { world, alice, bob, nat, outside } = makeNatWorld();
  alice.connect(bob);
  world.runUntil(() => alice.stateTowards(bob) === "I2-SENT");
  outside.loses = ({ name }) => name === "I2";
  world.runUntil(() => outside.lost("on purpose") === 1);
  outside.loses = () => false;
  nat.rebind([SECOND]);
  world.advance(seconds(4));
  assert.equal(bob.engine.status().associations.length, 0);
  assert.ok(bob.engine.status().drops["hip-unknown-puzzle"]! >= 1);
  world.runUntil(() => alice.stateTowards(bob) === "E-FAILED", seconds(30));
  assert.equal(alice.associationWith(bob)!.failure, "the peer did not answer I2");
  world.runUntil(() => alice.stateTowards(bob) === "UNASSOCIATED", seconds(10));
  assert.ok(isAnswered(world, alice, bob));
});

Deno.test("two hosts behind one NAT with two addresses each have their own association with the same peer; a third waits", () => {
  const { world, alice, bob, nat } = makeNatWorld({ publicAddresses: [FIRST, SECOND] });
  const others = (["ed25519", "ecdsa-p384"] as const).map((kind, index) => {
    const host = world.addHost(kind, {
      identity: testIdentity(kind, "alice"),
      addresses: [`10.0.0.${3 + index}`],
    });
    world.link(host, nat.inside);
    host.knows(bob);
    world.runUntil(() => host.engine.isReady);
    return host;
  });
  const [carol, dave] = others as [Host, Host];
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, carol, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.ok(isAnswered(world, bob, carol));
  assert.equal(isAnswered(world, dave, bob), false);
  assert.ok(nat.dropped("no public address is free") >= 1);
  // Flows that nobody uses any more make room.
  world.advance(seconds(121));
  assert.ok(isAnswered(world, dave, bob));
});
