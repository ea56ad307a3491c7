/** HIP and ESP in UDP, and the choice between UDP and IP alone (RFC 9028 §4.7.3, §5.1, App. E). */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import type { Link } from "./link.ts";
import { ipPacketOf } from "./pcap_writer.ts";
import { establish, makePair, type Pair, type PairOptions } from "./pair.ts";

const UDP: Partial<ControlSettings> = { transport: "udp" };
const AUTO: Partial<ControlSettings> = { transport: "auto" };

/** Protocols of all packets of these names, each once, in order. */
function protocols(link: Link, ...names: string[]): number[] {
  const found = link.sent.filter(({ name }) => names.includes(name))
    .map(({ packet }) => packet.protocol);
  return [...new Set(found)];
}

/** A ping from bob to alice, answered. */
function pingBack({ world, alice, bob }: Pair): void {
  const sequence = bob.application.ping(alice);
  world.runUntil(() => bob.application.hasReply(sequence));
}

function portsSeen({ alice, bob }: Pair): (number | undefined)[] {
  return [alice.associationWith(bob)?.peerPort, bob.associationWith(alice)?.peerPort];
}

for (const family of [4, 6] as const) {
  Deno.test(`NAT-007 NAT-013 NAT-020 over UDP and IPv${family} exchange, data both ways, rekey and close all stay in UDP`, () => {
    const pair = makePair({ family, settings: UDP });
    const { world, alice, bob, link } = pair;
    establish(pair);
    pingBack(pair);
    assert.ok(alice.rekey(bob, true));
    world.advance(seconds(2));
    establish(pair);
    pingBack(pair);
    assert.deepEqual(portsSeen(pair), [10500, 10500]);
    bob.close(alice);
    world.advance(seconds(2));
    assert.equal(bob.stateTowards(alice), "UNASSOCIATED");
    assert.equal(alice.stateTowards(bob), "CLOSED");
    for (const name of ["I1", "R1", "I2", "R2", "UPDATE", "CLOSE", "CLOSE_ACK", "ESP"]) {
      assert.ok(link.count(name) > 0, name);
    }
    assert.ok(link.sent.every(({ packet }) => packet.protocol === NEXT_HEADER.udp));
    assert.ok(link.sent.every(({ packet }) => packet.peerPort === 10500));
    assert.deepEqual(alice.engine.status().drops, {});
    assert.deepEqual(bob.engine.status().drops, {});
  });
}

Deno.test("NAT-001 NAT-002 NAT-005 HIP in UDP follows four zero octets and has no checksum, ESP begins with its SPI", () => {
  const pair = makePair({ settings: UDP });
  establish(pair);
  const { alice, bob, link } = pair;
  for (const { name, packet: { bytes } } of link.sent) {
    if (name === "ESP") {
      const spi = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
      const { inboundSpi, outboundSpi } = alice.associationWith(bob)!;
      assert.ok(spi === inboundSpi || spi === outboundSpi);
    } else {
      assert.deepEqual([...bytes.subarray(0, 4)], [0, 0, 0, 0], name);
      // Marker, then Header Length, and the checksum behind type and version.
      assert.equal(bytes.length, 4 + (bytes[5]! + 1) * 8, name);
      assert.deepEqual([...bytes.subarray(8, 10)], [0, 0], name);
    }
  }
});

Deno.test("NAT-023 HIP takes 12 octets more in UDP, and ESP 8", () => {
  const sizes = (settings: Partial<ControlSettings>) => {
    const pair = makePair({ settings });
    establish(pair);
    const names = ["I1", "R1", "I2", "R2", "ESP"];
    return names.map((name) => ipPacketOf(pair.link.named(name)[0]!).length);
  };
  const raw = sizes({ transport: "raw" });
  assert.deepEqual(sizes(UDP), raw.map((size, i) => size + (i < 4 ? 12 : 8)));
});

Deno.test("an I1 in UDP that is answered at once is sent over nothing else", () => {
  const pair = makePair({ settings: AUTO });
  establish(pair);
  assert.equal(pair.link.count("I1"), 1);
  assert.deepEqual(protocols(pair.link, "I1", "R1", "I2", "R2", "ESP"), [NEXT_HEADER.udp]);
});

Deno.test("NAT-019 NAT-022 NAT-029 NAT-033 a peer that does not answer in UDP is met without it, 100 ms later, and so the next time at once", () => {
  const pair = makePair({ settings: AUTO, bobSettings: { transport: "raw" } });
  const { world, alice, bob, link } = pair;
  const start = world.now;
  establish(pair);
  const i1s = link.named("I1");
  assert.deepEqual(i1s.map(({ protocol }) => protocol), [NEXT_HEADER.udp, 139]);
  assert.equal(i1s[0]!.peerPort, 10500);
  const sentAt = world.trace.events("alice", "packet")
    .filter(({ packet }) => packet === "I1").map(({ at }) => at - start);
  assert.deepEqual(sentAt, [0, 100]);
  assert.deepEqual(protocols(link, "R1", "I2", "R2", "ESP"), [139, 50]);
  assert.deepEqual(portsSeen(pair), [0, 0]);
  assert.deepEqual(bob.engine.status().drops, { "hip-wrong-transport": 1 });
  alice.close(bob);
  world.advance(seconds(2));
  establish(pair);
  assert.equal(link.count("I1"), 3);
  assert.equal(link.named("I1")[2]!.protocol, 139);
});

Deno.test("a peer that was met without UDP and speaks UDP alone now is met again", () => {
  const pair = makePair({ settings: AUTO, bobSettings: { transport: "raw" } });
  const { world, alice, bob, link } = pair;
  establish(pair);
  alice.close(bob);
  world.advance(seconds(2));
  bob.restart(UDP);
  world.advance(seconds(1));
  establish(pair);
  assert.deepEqual(link.named("I1").map(({ protocol }) => protocol), [17, 139, 139, 17]);
  assert.deepEqual(portsSeen(pair), [10500, 10500]);
});

Deno.test("retransmissions of I1 go over both, and an exchange comes about over whichever passes", () => {
  for (const passing of ["udp", "raw"] as const) {
    const pair = makePair({ settings: AUTO });
    const { world, alice, bob, link } = pair;
    let isOpen = false;
    link.loses = ({ packet }) =>
      !isOpen || (packet.protocol === NEXT_HEADER.udp) !== (passing === "udp");
    const sequence = alice.application.ping(bob);
    world.advance(milliseconds(400));
    assert.equal(link.count("I1"), 2);
    isOpen = true;
    world.runUntil(() => alice.application.hasReply(sequence));
    assert.deepEqual(link.named("I1").map(({ protocol }) => protocol), [17, 139, 17, 139]);
    assert.deepEqual(portsSeen(pair), passing === "udp" ? [10500, 10500] : [0, 0]);
  }
});

/** A pair whose first I1 in UDP was lost, so that both kinds of R1 are on their way. */
function withBothR1s(options: PairOptions = {}): Pair {
  const pair = makePair({ settings: AUTO, ...options });
  const { link } = pair;
  link.loses = ({ name }) => name === "I1" && link.count("I1") <= 2;
  return pair;
}

Deno.test("NAT-030 NAT-031 of two R1s the one in UDP is answered, and the other never", () => {
  const pair = withBothR1s();
  establish(pair);
  const { link } = pair;
  assert.deepEqual(protocols(link, "R1"), [17, 139]);
  assert.equal(link.count("I2"), 1);
  assert.deepEqual(protocols(link, "I2", "R2", "ESP"), [17]);
});

Deno.test("NAT-030 an R1 that comes over the other transport after an I2 is ignored", () => {
  const pair = makePair({ settings: { ...AUTO, otherTransportWait: milliseconds(1) } });
  establish(pair);
  const { link, alice } = pair;
  assert.deepEqual(protocols(link, "R1"), [17, 139]);
  assert.equal(link.count("I2"), 1);
  assert.deepEqual(protocols(link, "I2", "R2", "ESP"), [17]);
  assert.deepEqual(alice.engine.status().drops, {});
});

Deno.test("NAT-031 an R1 in UDP takes the place of one without that is being worked on", () => {
  const pair = makePair({ settings: { ...AUTO, otherTransportWait: milliseconds(1) } });
  const { link, alice } = pair;
  // The first I1, in UDP, takes longer than the second.
  link.conditions.latency = milliseconds(8);
  const sequence = alice.application.ping(pair.bob);
  link.conditions.latency = milliseconds(5);
  pair.world.runUntil(() => alice.application.hasReply(sequence));
  assert.deepEqual(protocols(link, "R1"), [139, 17]);
  assert.equal(link.count("I2"), 1);
  assert.deepEqual(protocols(link, "I2", "R2", "ESP"), [17]);
});

Deno.test("hosts whose settings exclude each other do not meet", () => {
  const pair = makePair({ settings: UDP, bobSettings: { transport: "raw" } });
  const { world, alice, bob } = pair;
  alice.application.ping(bob);
  world.runUntil(() => alice.stateTowards(bob) === "E-FAILED");
  assert.equal(alice.associationWith(bob)!.failure, "the peer did not answer I1");
  const { "hip-wrong-transport": refused = 0, ...others } = bob.engine.status().drops;
  assert.equal(refused, pair.link.count("I1"));
  assert.deepEqual(others, {});
});
