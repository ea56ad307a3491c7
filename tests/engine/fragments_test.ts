/** Fragments: those of the local stack, and those that ESP must never be offered. */

import assert from "node:assert/strict";
import { seconds } from "../../lib/base/time.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import type { End } from "../support/engine_pair.ts";
import { loadDatagram } from "../support/datagrams.ts";
import { ESP, makePair } from "../support/engine_story.ts";
import { tooBig } from "../support/icmp_errors.ts";
import { fragmentsOf } from "../support/inner_fragments.ts";

function echoOf(a: End, b: End, length: number): Uint8Array {
  const ids = { identifier: 1, sequence: 1 };
  const data = new Uint8Array(length).fill(0x5a);
  return buildIcmpv6Echo({ kind: "request", source: a.hit, destination: b.hit, ...ids, data });
}

Deno.test("ESP-188 ESP-189 what the local stack has cut up goes into one ESP packet, whole", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  pair.wire.length = 0;
  const packet = echoOf(a, b, 5000);
  for (const fragment of fragmentsOf(packet, 1400)) pair.sendInner(a, fragment);
  const sent = pair.wire.filter(({ protocol }) => protocol === ESP);
  assert.equal(sent.length, 1);
  assert.ok(sent[0]!.bytes.length > 5000);
  assert.deepEqual(b.delivered.at(-1), packet);
});

Deno.test("ESP-188 a datagram in pieces starts an exchange and waits for it as one", () => {
  const pair = makePair();
  const { a, b } = pair;
  const packet = echoOf(a, b, 3000);
  for (const fragment of fragmentsOf(packet, 1400)) pair.sendInner(a, fragment);
  assert.deepEqual(b.delivered, [packet]);
});

Deno.test("ESP-189 a datagram that was cut up already goes out on a smaller path, which cuts up its ESP", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  pair.inject(a, tooBig(pair.wire.findLast(({ protocol }) => protocol === ESP)!, 1300));
  const packet = echoOf(a, b, 3000);
  pair.sendInner(a, packet);
  assert.equal(a.engine.status().drops["tun-too-big"], 1);
  for (const fragment of fragmentsOf(packet, 1280)) pair.sendInner(a, fragment);
  assert.deepEqual(b.delivered.at(-1), packet);
});

Deno.test("pieces without the rest are counted when they are given up", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const [first] = fragmentsOf(echoOf(a, b, 3000), 1400, 1);
  pair.sendInner(a, first!);
  pair.advance(seconds(2));
  pair.sendInner(a, fragmentsOf(echoOf(a, b, 3000), 1400, 2)[0]!);
  assert.equal(a.engine.status().drops["tun-fragment"], 1);
});

Deno.test("ESP-191 a packet that came as a fragment is not opened, and its number stays unused", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const held: typeof pair.wire = [];
  pair.passes = (packet) => {
    held.push(packet);
    return false;
  };
  pair.ping(a, b, 2);
  const buffer = new PacketBuffer(65_535);
  loadDatagram(buffer, held[0]!);
  buffer.path.isFragment = true;
  assert.equal(b.engine.handleDatagram(pair.now, buffer), "consumed");
  assert.equal(b.engine.status().drops["esp-fragment"], 1);
  buffer.path.isFragment = false;
  loadDatagram(buffer, held[0]!);
  assert.equal(b.engine.handleDatagram(pair.now, buffer), "deliver");
});
