import { strict as assert } from "node:assert";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { ACK } from "../../lib/wire/hip/parameters/ack.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { ESP_INFO } from "../../lib/wire/hip/parameters/esp_info.ts";
import { SEQ } from "../../lib/wire/hip/parameters/seq.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import type { SentPacket } from "./link.ts";
import { establish, makePair, type Pair } from "./pair.ts";

/** An established pair. Timers of the idle kind are far away. */
function establishedPair(options: Parameters<typeof makePair>[0] = {}): Pair {
  const pair = makePair(options);
  establish(pair);
  return pair;
}

/** "alice SEQ 0 ACK 1 ESP_INFO DH" for each UPDATE that was sent. */
function updates({ link }: Pair): string[] {
  return link.sent.filter(({ name }) => name === "UPDATE").map(({ from, packet }) => {
    const update = parseHipPacket(packet.bytes);
    const seq = update.first(SEQ)?.updateId;
    const acks = update.first(ACK)?.updateIds;
    return [
      from.name,
      ...(seq === undefined ? [] : [`SEQ ${seq}`]),
      ...(acks === undefined ? [] : [`ACK ${acks}`]),
      ...(update.first(ESP_INFO) === undefined ? [] : ["ESP_INFO"]),
      ...(update.first(DIFFIE_HELLMAN) === undefined ? [] : ["DH"]),
    ].join(" ");
  });
}

/** The SPIs of both ends; fails when they do not agree crosswise. */
function spis({ alice, bob, world }: Pair): number[] {
  const atAlice = alice.associationWith(bob)!;
  const atBob = bob.associationWith(alice)!;
  assert.equal(atAlice.inboundSpi, atBob.outboundSpi, `${world.trace}`);
  assert.equal(atAlice.outboundSpi, atBob.inboundSpi, `${world.trace}`);
  return [atAlice.inboundSpi!, atBob.inboundSpi!];
}

/** Alice sends bob an echo reply, which nobody answers. */
function sendUnanswered({ alice, bob }: Pair): void {
  alice.sendInner(buildIcmpv6Echo({
    kind: "reply",
    source: alice.hit,
    destination: bob.hit,
    identifier: 1,
    sequence: 1,
    data: new Uint8Array(8),
  }));
}

/** Both ends ping every 2 ms while `during` runs, and for a while after it; all are answered. */
function underTraffic(pair: Pair, during: () => void, before = 20, after = 100): void {
  const { world, alice, bob } = pair;
  const had = [alice.application.replies.length, bob.application.replies.length];
  const pingBoth = () => {
    alice.application.ping(bob);
    bob.application.ping(alice);
    world.advance(milliseconds(2));
  };
  for (let i = 0; i < before; i++) pingBoth();
  during();
  for (let i = 0; i < after; i++) pingBoth();
  world.advance(seconds(1));
  const expected = before + after;
  assert.equal(alice.application.replies.length - had[0]!, expected, `${world.trace}`);
  assert.equal(bob.application.replies.length - had[1]!, expected, `${world.trace}`);
}

const KINDS: [withDh: boolean, title: string][] = [[false, ""], [true, " with a new DH key"]];

for (const [withDh, title] of KINDS) {
  const dh = withDh ? " DH" : "";

  Deno.test(`ESP-058 ESP-249 ESP-235 ESP-245 ESP-246 ESP-247 ${withDh ? "ESP-225 ESP-236 " : ""}FSM-058 a rekey${title} during traffic in both directions loses no packet`, () => {
    const pair = establishedPair();
    const old = spis(pair);
    underTraffic(pair, () => assert.equal(pair.alice.rekey(pair.bob, withDh), true));
    assert.deepEqual(updates(pair), [
      `alice SEQ 0 ESP_INFO${dh}`,
      `bob SEQ 0 ACK 0 ESP_INFO${dh}`,
      "alice ACK 0",
    ]);
    const [a, b] = spis(pair);
    assert.ok(a !== old[0] && b !== old[1]);
    assert.deepEqual(pair.alice.engine.status().drops, {});
    assert.deepEqual(pair.bob.engine.status().drops, {});
  });

  Deno.test(`ESP-240 ESP-241 ESP-242 ESP-245 both ends start a rekey${title} at once, and no packet is lost`, () => {
    const pair = establishedPair();
    const old = spis(pair);
    underTraffic(pair, () => {
      pair.alice.rekey(pair.bob, withDh);
      pair.bob.rekey(pair.alice, withDh);
    });
    const sent = updates(pair);
    assert.deepEqual(sent.toSorted(), [
      "alice ACK 0",
      `alice SEQ 0 ESP_INFO${dh}`,
      "bob ACK 0",
      `bob SEQ 0 ESP_INFO${dh}`,
    ], `${pair.world.trace}`);
    const [a, b] = spis(pair);
    assert.ok(a !== old[0] && b !== old[1]);
    assert.deepEqual(pair.alice.engine.status().drops, {});
    assert.deepEqual(pair.bob.engine.status().drops, {});
  });

  for (let lost = 0; lost < 3; lost++) {
    Deno.test(`UPD-004 UPD-015 UPD-019 UPD-027 ESP-229 a rekey${title} survives the loss of its UPDATE ${lost + 1}, and no packet of data is lost`, () => {
      const pair = establishedPair();
      const old = spis(pair);
      let seen = 0;
      pair.link.loses = ({ name }) => name === "UPDATE" && seen++ === lost;
      underTraffic(pair, () => pair.alice.rekey(pair.bob, withDh), 20, 600);
      pair.world.advance(seconds(2));
      const [a, b] = spis(pair);
      assert.ok(a !== old[0] && b !== old[1]);
      assert.equal(seen, lost === 2 ? 5 : lost === 1 ? 5 : 4, `${updates(pair)}`);
      pair.link.loses = () => false;
      underTraffic(pair, () => {});
    });
  }

  Deno.test(`ESP-050 ESP-244 crossing rekeys of which one${title === "" ? " has" : " has no"} new DH key end with the same keys`, () => {
    const pair = establishedPair();
    underTraffic(pair, () => {
      pair.alice.rekey(pair.bob, withDh);
      pair.bob.rekey(pair.alice, !withDh);
    });
    const requests = updates(pair).filter((text) => text.includes("ESP_INFO"));
    assert.equal(requests.length, 2);
    assert.equal(requests.filter((text) => text.endsWith("DH")).length, 1);
    spis(pair);
    // The next rekey combines with what this one left.
    underTraffic(pair, () => pair.bob.rekey(pair.alice, !withDh));
    underTraffic(pair, () => {
      pair.alice.rekey(pair.bob, true);
      pair.bob.rekey(pair.alice, false);
    });
    spis(pair);
  });

  Deno.test(`ESP-223 ESP-259 twenty rekeys${title} with every packet twice and out of order lose no packet`, () => {
    const pair = establishedPair({
      link: { duplication: 1, jitter: milliseconds(20), reordering: 0.3 },
    });
    for (let i = 0; i < 20; i++) {
      const { alice, bob } = pair;
      underTraffic(
        pair,
        () => {
          if (i % 3 !== 1) alice.rekey(bob, withDh);
          if (i % 3 !== 0) bob.rekey(alice, withDh);
        },
        3,
        60,
      );
      spis(pair);
    }
  });
}

Deno.test("TMR-013 FSM-061 ESP-263 an UPDATE that is never acknowledged ends the association in CLOSING", () => {
  const pair = establishedPair();
  const { world, alice, bob, link } = pair;
  link.conditions.isUp = false;
  alice.rekey(bob, false);
  world.runUntil(() => alice.stateTowards(bob) === "CLOSING", seconds(90));
  assert.equal(link.count("UPDATE", alice), 8);
  assert.equal(alice.engine.status().drops["hip-rekey-failed"], undefined);
});

Deno.test("TMR-011 TMR-012 ESP-261 ESP-262 an UPDATE waits two round trips at first, and twice as long each time", () => {
  const pair = establishedPair({ link: { latency: milliseconds(300) } });
  const { world, alice, bob, link } = pair;
  const times: number[] = [];
  link.loses = ({ name }: SentPacket) => {
    if (name === "UPDATE") times.push(world.now);
    return name === "UPDATE";
  };
  alice.rekey(bob, false);
  world.advance(seconds(60));
  const waits = times.slice(1).map((time, index) => time - times[index]!);
  // A round trip of 600 ms and some ms of computing.
  assert.ok(waits[0]! >= 1200 && waits[0]! < 1300, `${waits}`);
  for (let i = 1; i < 3; i++) assert.ok(Math.abs(waits[i]! - 2 * waits[i - 1]!) < 5, `${waits}`);
});

Deno.test("ESP-248 ESP-276 late packets find the old SA; it goes 5 s after data on the new one", () => {
  const pair = establishedPair();
  const { world, alice, bob } = pair;
  const oldSpi = bob.associationWith(alice)!.inboundSpi!;
  alice.rekey(bob, false);
  world.advance(seconds(1));
  alice.application.ping(bob);
  world.advance(seconds(4));
  const late = pair.link.sent.find(({ name, from }) => name === "ESP" && from === alice)!;
  assert.equal(new DataView(late.packet.bytes.buffer).getUint32(0), oldSpi);
  bob.receive(late.packet);
  // Known, and seen before: the old SA is still there.
  assert.deepEqual(bob.engine.status().drops, { "esp-replayed": 1 });
  world.advance(seconds(2));
  bob.receive(late.packet);
  assert.equal(bob.engine.status().drops["esp-unknown-spi"], 1);
});

Deno.test("ESP-248 without data on the new SA the old one stays for two minutes", () => {
  const pair = establishedPair();
  const { world, alice, bob } = pair;
  alice.rekey(bob, false);
  world.advance(seconds(119));
  const [late] = pair.link.named("ESP");
  bob.receive(late!);
  assert.deepEqual(bob.engine.status().drops, { "esp-replayed": 1 });
  world.advance(seconds(3));
  bob.receive(late!);
  assert.equal(bob.engine.status().drops["esp-unknown-spi"], 1);
});

Deno.test("ESP-270 ESP-271 SAs are replaced by age, not long before the time set", () => {
  const pair = establishedPair({ settings: { rekeyAge: seconds(600) } });
  const { world, alice, bob, link } = pair;
  const old = spis(pair);
  world.expectQuiet(seconds(530));
  alice.application.ping(bob);
  world.runUntil(() => link.count("UPDATE") >= 3, seconds(70));
  world.advance(seconds(2));
  assert.ok(spis(pair).every((spi, index) => spi !== old[index]));
  assert.ok(updates(pair).some((text) => text.endsWith("DH")));
});

Deno.test("ESP-266 ESP-270 ESP-271 SAs are replaced after octets, and after sequence numbers", () => {
  for (const settings of [{ rekeyOctets: 5000 }, { rekeySequence: 60 }]) {
    const pair = establishedPair({ settings });
    const old = spis(pair);
    underTraffic(pair, () => {}, 10, 10);
    assert.equal(pair.link.count("UPDATE"), 0);
    underTraffic(pair, () => {}, 10, 30);
    assert.ok(pair.link.count("UPDATE") >= 3);
    assert.ok(spis(pair).every((spi, index) => spi !== old[index]));
  }
});

Deno.test("traffic counts go on over rekeys, and so does the timer of an unused association", () => {
  const pair = establishedPair();
  const { world, alice, bob } = pair;
  for (let i = 0; i < 3; i++) underTraffic(pair, () => alice.rekey(bob, false), 5, 5);
  const { packetsIn, packetsOut } = alice.associationWith(bob)!;
  // 60 pings, 60 replies, and the first of each.
  assert.deepEqual([packetsIn, packetsOut], [61, 61]);
  world.advance(seconds(800));
  assert.deepEqual(alice.associationWith(bob)!.packetsIn, 61);
  assert.equal(alice.stateTowards(bob), "ESTABLISHED");
  world.advance(seconds(1100));
  assert.notEqual(alice.stateTowards(bob), "ESTABLISHED");
});

Deno.test("fifty seeds of rekeys under loss and reordering end with SAs that agree and carry data", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const pair = establishedPair({ seed });
    const { world, alice, bob, link } = pair;
    Object.assign(link.conditions, {
      loss: 0.2,
      duplication: 0.2,
      reordering: 0.2,
      reorderDelay: milliseconds(400),
      jitter: milliseconds(50),
    });
    for (let i = 0; i < 4; i++) {
      if ((seed + i) % 3 !== 0) alice.rekey(bob, (seed >> i) % 2 === 0);
      if ((seed + i) % 3 !== 1) bob.rekey(alice, (seed >> i) % 4 === 0);
      for (let j = 0; j < 10; j++) {
        alice.application.ping(bob);
        world.advance(milliseconds(300));
      }
    }
    world.advance(seconds(100));
    link.conditions.loss = 0;
    const sequence = alice.application.ping(bob);
    world.advance(seconds(3));
    assert.ok(alice.application.hasReply(sequence), `seed ${seed}\n${world.trace}`);
    spis(pair);
    assert.deepEqual(
      [alice.stateTowards(bob), bob.stateTowards(alice)],
      ["ESTABLISHED", "ESTABLISHED"],
      `seed ${seed}`,
    );
  }
});

Deno.test("a peer that rekeys without pause makes few old SAs wait for late packets, the newest", () => {
  const pair = establishedPair();
  const { world, alice, bob, link } = pair;
  for (let i = 0; i < 20; i++) {
    alice.rekey(bob, false);
    world.advance(seconds(1));
  }
  const { inboundSas, awaitedSas } = bob.engine.status().tables;
  assert.equal(inboundSas, 1 + 8);
  assert.ok(awaitedSas <= inboundSas);
  // Unused, with a low sequence number: the SAs it could have come on are gone.
  const [first] = link.named("ESP");
  bob.receive(first!);
  assert.equal(bob.engine.status().drops["esp-unknown-spi"], 1);
  underTraffic(pair, () => alice.rekey(bob, true));
});

Deno.test("both ends come to the sequence limit with the same packet: one rekey from both, and no packet is lost", () => {
  const pair = establishedPair({ settings: { rekeySequence: 40 } });
  const old = spis(pair);
  underTraffic(pair, () => {}, 0, 30);
  const offers = updates(pair).filter((text) => text.includes("ESP_INFO"));
  assert.deepEqual(offers.map((text) => text.split(" ")[0]).toSorted(), ["alice", "bob"]);
  assert.ok(spis(pair).every((spi, index) => spi !== old[index]));
  assert.deepEqual(pair.alice.engine.status().drops, {});
  assert.deepEqual(pair.bob.engine.status().drops, {});
});

Deno.test("a rekey at the sequence limit that is held up for twenty seconds: data goes on over the old SAs, and over the new ones then", () => {
  const pair = establishedPair({ settings: { rekeySequence: 40 } });
  const { world, link } = pair;
  const old = spis(pair);
  link.loses = ({ name }) => name === "UPDATE";
  underTraffic(pair, () => {}, 0, 100);
  world.advance(seconds(20));
  assert.deepEqual(spis(pair), old);
  link.loses = () => false;
  underTraffic(pair, () => world.advance(seconds(10)));
  assert.ok(spis(pair).every((spi, index) => spi !== old[index]), `${world.trace}`);
});

Deno.test("ESP-135 an end that only receives starts the rekey when its inbound SA comes to the sequence limit", () => {
  const pair = establishedPair({ bobSettings: { rekeySequence: 40 } });
  const { world } = pair;
  const old = spis(pair);
  for (let i = 0; i < 38; i++) sendUnanswered(pair);
  world.advance(seconds(1));
  assert.deepEqual(updates(pair), []);
  for (let i = 0; i < 2; i++) sendUnanswered(pair);
  world.advance(seconds(1));
  assert.equal(updates(pair)[0]?.split(" ")[0], "bob");
  assert.ok(spis(pair).every((spi, index) => spi !== old[index]));
});

Deno.test("ESP-233 UPD-018 while a rekey has no ACK nobody asks for a sign of life: no other UPDATE goes out", () => {
  const pair = establishedPair();
  const { world, alice, bob, link } = pair;
  link.loses = ({ name }) => name === "UPDATE";
  alice.rekey(bob, false);
  for (let i = 0; i < 12; i++) {
    sendUnanswered(pair);
    world.advance(seconds(1));
  }
  const sent = updates(pair);
  assert.ok(sent.length >= 4);
  assert.deepEqual(new Set(sent), new Set(["alice SEQ 0 ESP_INFO"]));
  assert.equal(alice.stateTowards(bob), "ESTABLISHED");
  link.loses = () => false;
  underTraffic(pair, () => world.advance(seconds(10)));
  // Now it may be asked for, and is.
  for (let i = 0; i < 15; i++) {
    sendUnanswered(pair);
    world.advance(seconds(1));
  }
  assert.ok(updates(pair).includes("alice SEQ 1"), `${updates(pair)}`);
});

const OUTAGES: [title: string, isLost: (sent: SentPacket, pair: Pair) => boolean][] = [
  ["that asks", ({ from }, { alice }) => from === alice],
  ["that answers", ({ from }, { bob }) => from === bob],
  ["either", () => true],
];

for (const [title, isLost] of OUTAGES) {
  for (const isCrossing of [false, true]) {
    Deno.test(`ESP-229 ESP-231 no UPDATE from ${title} comes through for two minutes, and the retries outlast a rekey${isCrossing ? " of both" : ""}: afterwards both ends agree`, () => {
      const pair = establishedPair({ settings: { updateRetriesMax: 1000 } });
      const { world, alice, bob, link } = pair;
      const old = spis(pair);
      link.loses = (sent) => sent.name === "UPDATE" && isLost(sent, pair);
      alice.rekey(bob, true);
      if (isCrossing) bob.rekey(alice, false);
      underTraffic(pair, () => world.advance(seconds(120)));
      link.loses = () => false;
      underTraffic(pair, () => world.advance(seconds(20)));
      assert.ok(spis(pair).every((spi, index) => spi !== old[index]), `${world.trace}`);
      underTraffic(pair, () => bob.rekey(alice, true));
      const now = spis(pair);
      world.advance(seconds(200));
      underTraffic(pair, () => {});
      assert.deepEqual(spis(pair), now);
    });
  }
}
