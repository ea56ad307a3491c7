/** What SAs are good for: when they are replaced, and what happens when they are not. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { type ControlSettings, DEFAULT_CONTROL_SETTINGS } from "../../lib/hip/constants.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import { ESP, states, typeOf, wireTypes } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

const GCM = { policy: { ...POLICY, espSuites: [13] } };

/** Alice and Bob, ESTABLISHED, each with settings of its own. */
function talking(ofA: Partial<ControlSettings>, ofB: Partial<ControlSettings> = {}): EnginePair {
  const end = (owner: "alice" | "bob", host: number, settings: Partial<ControlSettings>) =>
    new End(testIdentity("ecdsa-p256", owner), `192.0.2.${host}`, host, { ...GCM, settings });
  const pair = new EnginePair(end("alice", 1, ofA), end("bob", 2, ofB));
  pair.introduce(pair.a, pair.b);
  pair.introduce(pair.b, pair.a);
  pair.ping(pair.a, pair.b);
  return pair;
}

function spi({ a, b }: EnginePair): number {
  return a.engine.association(b.hit)!.outboundSpi!;
}

/** How many pings it takes until Alice sends with another SPI; who asked for it. */
function pingsUntilRekey(pair: EnginePair): { count: number; starter: string } {
  const { a, b } = pair;
  const before = spi(pair);
  let starter = "";
  pair.passes = (packet, from) => {
    if (typeOf(packet) === PACKET.UPDATE) starter ||= from === a ? "a" : "b";
    return true;
  };
  let count = 0;
  while (spi(pair) === before && count < 50) {
    pair.ping(a, b, ++count);
  }
  return { count, starter };
}

Deno.test("ESP-134 the sender rekeys when its numbers come near the end, which is before 2^64", () => {
  assert.ok(DEFAULT_CONTROL_SETTINGS.rekeySequence < 2 ** 64);
  const pair = talking({ rekeySequence: 8 });
  assert.deepEqual(pingsUntilRekey(pair), { count: 7, starter: "a" });
});

Deno.test("ESP-135 the receiver rekeys when the numbers that come in are near the end", () => {
  const pair = talking({}, { rekeySequence: 8 });
  assert.deepEqual(pingsUntilRekey(pair), { count: 7, starter: "b" });
});

Deno.test("ESP-120 ESP-274 a GCM key that is not replaced in time seals nothing beyond the hard limit", () => {
  const pair = talking({ rekeyOctets: 1000, hardOctets: 2000 });
  const { a, b } = pair;
  const before = spi(pair);
  pair.passes = (packet) => typeOf(packet) !== PACKET.UPDATE;
  let octets = 0;
  for (let i = 0; spi(pair) === before && i < 60; i++) {
    pair.wire.length = 0;
    pair.advance(milliseconds(50));
    pair.ping(a, b, i);
    for (const { protocol, bytes } of pair.wire) {
      if (protocol === ESP && new DataView(bytes.buffer).getUint32(0) === before) {
        octets += bytes.length - 32;
      }
    }
  }
  assert.ok(octets > 1000 && octets <= 2000 + 100, `${octets}`);
  // The association ends, and what came too late makes another one.
  assert.deepEqual(wireTypes(pair), [PACKET.I1, PACKET.R1, PACKET.I2, PACKET.R2, "ESP"]);
  assert.equal(states(pair)[0], "ESTABLISHED");
  assert.notEqual(spi(pair), before);
});

Deno.test("ESP-274 what comes in beyond the hard limit of the receiver is not delivered", () => {
  const pair = talking({}, { rekeyOctets: 1000, hardOctets: 2000 });
  const { a, b } = pair;
  pair.passes = (packet) => packet.protocol === ESP;
  for (let i = 0; i < 60; i++) pair.ping(a, b, i);
  assert.ok(b.delivered.length * 66 <= 2100, `${b.delivered.length}`);
  assert.ok(b.engine.status().drops["esp-hard-limit"]! > 0);
  assert.equal(b.engine.association(a.hit)?.state, "CLOSING");
});

Deno.test("ESP-265 two hosts of quite different lifetimes send the very packets that others send", () => {
  const story = (ofA: Partial<ControlSettings>, ofB: Partial<ControlSettings>) => {
    const pair = talking(ofA, ofB);
    pair.b.engine.rekey(pair.now, pair.a.hit, { withDh: false });
    pair.settle();
    return pair.wire.map(({ bytes }) => bytes);
  };
  const short: Partial<ControlSettings> = {
    rekeyAge: seconds(60),
    rekeyOctets: 10_000,
    hardOctets: 20_000,
    rekeySequence: 1000,
    oldSaLifetime: seconds(7),
    unusedAssociationLifetime: seconds(99),
  };
  assert.deepEqual(story(short, {}), story({}, {}));
  assert.deepEqual(story({}, short), story({}, {}));
});
