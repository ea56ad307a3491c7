/**
 * HIP and ESP in UDP through network address translators that know nothing of HIP:
 *
 *     alice 10.0.0.2 --- NAT 198.51.100.1 --- bob 192.0.2.2
 */

import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { testIdentity } from "../support/identities.ts";
import type { Host } from "./host.ts";
import type { Link } from "./link.ts";
import type { NatBox, NatOptions } from "./nat_box.ts";
import { World } from "./world.ts";

const FIRST = "198.51.100.1";
const SECOND = "198.51.100.2";

interface NatWorld {
  readonly world: World;
  readonly alice: Host;
  readonly bob: Host;
  readonly nat: NatBox;
  /** Between the NAT and bob. */
  readonly outside: Link;
}

function makeNatWorld(options: Partial<NatOptions> = {}): NatWorld {
  const world = new World(1);
  const settings = { transport: "auto" } as const;
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
  const nat = world.addNat("nat", { publicAddresses: [FIRST], isHipAware: false, ...options });
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

/** "198.51.100.1 40000": where Bob sends what is for Alice. */
function whereabouts(bob: Host, alice: Host): string {
  const { peerAddress, peerPort } = bob.associationWith(alice)!;
  return `${formatIpAddress(peerAddress!)} ${peerPort}`;
}

Deno.test("NAT-012 NAT-021 HLP-055 over UDP a host behind a NAT meets a public one: exchange, data both ways, rekey by either end, close", () => {
  const { world, alice, bob, nat, outside } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(whereabouts(bob, alice), `${FIRST} 40000`);
  assert.equal(alice.associationWith(bob)!.peerPort, 10500);
  for (const [starter, other, withDh] of [[bob, alice, true], [alice, bob, false]] as const) {
    const before = bob.associationWith(alice)!.inboundSpi;
    assert.ok(starter.rekey(other, withDh));
    world.advance(seconds(2));
    assert.notEqual(bob.associationWith(alice)!.inboundSpi, before);
    assert.ok(isAnswered(world, bob, alice));
  }
  // One mapping carries all of it.
  assert.equal(nat.flowCount, 1);
  assert.equal(outside.count("I1"), 1);
  bob.close(alice);
  world.advance(seconds(2));
  assert.equal(bob.stateTowards(alice), "UNASSOCIATED");
  assert.equal(alice.stateTowards(bob), "CLOSED");
  for (const host of [alice, bob]) assert.deepEqual(host.engine.status().drops, {});
});

Deno.test("NAT-036 NAT-205 keepalives hold the mapping of a NAT that forgets after 30 seconds, for as long as nobody says anything", () => {
  const { world, alice, bob, nat } = makeNatWorld({ idleTime: seconds(30) });
  assert.ok(isAnswered(world, alice, bob));
  world.advance(seconds(600));
  assert.equal(nat.flowCount, 1);
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(nat.dropped("no flow"), 0);
  assert.equal(whereabouts(bob, alice), `${FIRST} 40000`);
});

Deno.test("NAT-252 hosts with one private address behind different NATs, and hosts behind one NAT, do not get in each other's way", () => {
  const { world, alice, bob, nat } = makeNatWorld();
  const others = (["ed25519", "ecdsa-p384"] as const).map((kind, index) => {
    const host = world.addHost(kind, {
      identity: testIdentity(kind, "alice"),
      // The first has Alice's address behind a NAT of its own.
      addresses: [index === 0 ? "10.0.0.2" : "10.0.0.3"],
      settings: { transport: "udp" },
    });
    if (index === 0) {
      const ownNat = world.addNat("other", { publicAddresses: [SECOND], isHipAware: false });
      world.link(host, ownNat.inside);
      world.link(ownNat.outside, bob);
    } else world.link(host, nat.inside);
    host.knows(bob);
    world.runUntil(() => host.engine.isReady);
    return host;
  });
  const all = [alice, ...others];
  for (const host of all) assert.ok(isAnswered(world, host, bob), host.name);
  for (const host of all) assert.ok(isAnswered(world, bob, host), host.name);
  const places = all.map((host) => whereabouts(bob, host));
  assert.deepEqual(places, [`${FIRST} 40000`, `${SECOND} 40000`, `${FIRST} 40001`]);
});

Deno.test("NAT-253 when a NAT gives another port, an UPDATE of the host behind it has the port checked, and then data goes there", () => {
  const { world, alice, bob, nat, outside } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  const before = bob.associationWith(alice)!;
  nat.rebind([FIRST]);
  // Data that comes from there moves nothing.
  assert.equal(isAnswered(world, alice, bob), false);
  assert.equal(whereabouts(bob, alice), `${FIRST} 40000`);
  // She hears nothing, and asks.
  for (let i = 0; i < 8; i++) {
    alice.application.ping(bob);
    world.advance(seconds(1));
  }
  assert.equal(whereabouts(bob, alice), `${FIRST} 40001`);
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(bob.associationWith(alice)!.inboundSpi, before.inboundSpi, "no new exchange");
  assert.equal(outside.count("I1"), 1);
});

Deno.test("NAT-253 a new address counts when the peer has returned what was sent there, and not before", () => {
  const { world, alice, bob, nat, outside } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  nat.rebind([SECOND]);
  // What asks gets lost on its way.
  let isLossy = true;
  outside.loses = ({ name, from }) => isLossy && name === "UPDATE" && from === bob;
  alice.rekey(bob, false);
  world.advance(seconds(3));
  assert.ok(outside.lost("on purpose") > 0);
  assert.equal(whereabouts(bob, alice), `${FIRST} 40000`);
  isLossy = false;
  world.advance(seconds(10));
  assert.equal(whereabouts(bob, alice), `${SECOND} 40001`);
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(outside.count("I1"), 1);
});

Deno.test("an UPDATE that somebody sends on from elsewhere moves nothing, and the association goes on", () => {
  const { world, alice, bob, outside } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  const source = parseIpAddress("203.0.113.9");
  let taken = 0;
  outside.loses = ({ name, from, packet }) => {
    if (name !== "UPDATE" || from === bob || taken++ > 0) return false;
    bob.receive({ ...packet, source, sourcePort: 5 });
    return true;
  };
  assert.ok(alice.rekey(bob, true));
  world.advance(seconds(20));
  assert.ok(taken > 0);
  assert.equal(whereabouts(bob, alice), `${FIRST} 40000`);
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  const [atAlice, atBob] = [alice.associationWith(bob)!, bob.associationWith(alice)!];
  assert.equal(atAlice.outboundSpi, atBob.inboundSpi);
  assert.equal(atAlice.inboundSpi, atBob.outboundSpi);
  assert.equal(outside.count("I1"), 1);
  assert.equal(toHex(atAlice.peerAddress!), toHex(parseIpAddress("192.0.2.2")));
});

Deno.test("a host behind a NAT that has lost its state is met again by what it says next", () => {
  const { world, alice, bob, outside } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  alice.restart();
  alice.knows(bob);
  world.advance(seconds(1));
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
  assert.equal(outside.count("I1"), 2);
});

Deno.test("a public host that has lost its state meets a host behind a NAT again through the mapping that is still there", () => {
  const { world, alice, bob } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  const contacts = bob.engine.contacts.list();
  assert.deepEqual(contacts.map(({ peerPort }) => peerPort), [40_000]);
  bob.restart();
  bob.engine.contacts.restore(world.now, contacts);
  world.advance(seconds(1));
  // Data of an association that bob does not know: he begins, to the port he remembers.
  alice.application.ping(bob);
  world.advance(seconds(1));
  assert.equal(bob.associationWith(alice)!.role, "initiator");
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
});

Deno.test("it meets it again under another port of the NAT too: what it hears says which one", () => {
  const { world, alice, bob, nat } = makeNatWorld();
  assert.ok(isAnswered(world, alice, bob));
  const contacts = bob.engine.contacts.list();
  bob.restart();
  bob.engine.contacts.restore(world.now, contacts);
  world.advance(seconds(1));
  nat.rebind([FIRST]);
  alice.application.ping(bob);
  world.advance(seconds(1));
  assert.equal(bob.associationWith(alice)!.role, "initiator");
  assert.equal(whereabouts(bob, alice), `${FIRST} 40001`);
  assert.ok(isAnswered(world, alice, bob));
  assert.ok(isAnswered(world, bob, alice));
});
