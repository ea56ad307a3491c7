import assert from "node:assert/strict";
import fc from "fast-check";
import { instant } from "../../lib/base/time.ts";
import { InnerFragments, isInnerFragment } from "../../lib/esp/inner_fragments.ts";
import { fragmentsOf } from "../support/inner_fragments.ts";
import { innerPacket } from "../support/sa_pair.ts";

const NOW = instant(0);

function packetOf(length: number): Uint8Array {
  return innerPacket(new Uint8Array(length).map((_, i) => (i * 7) & 0xff));
}

Deno.test("a datagram of any length, in pieces of any size and order, comes out as it was", () => {
  const cases = fc.tuple(
    fc.integer({ min: 9, max: 20_000 }),
    fc.integer({ min: 1280, max: 9000 }),
    fc.infiniteStream(fc.nat(0xffff)),
  );
  fc.assert(
    fc.property(cases, ([length, mtu, order]) => {
      const packet = packetOf(length);
      const keyed = fragmentsOf(packet, mtu).map((fragment) => ({
        fragment,
        at: order.next().value!,
      }));
      keyed.sort((a, b) => a.at - b.at);
      const fragments = new InnerFragments();
      const results = keyed.map(({ fragment }) => fragments.take(NOW, fragment));
      assert.deepEqual(results.pop(), packet);
      assert.ok(results.every((result) => result === 0));
      assert.equal(fragments.size, 0);
    }),
    { numRuns: 25 },
  );
});

Deno.test("pieces of several datagrams are kept apart by addresses and identification", () => {
  const fragments = new InnerFragments();
  const one = packetOf(3000);
  const two = packetOf(3000);
  two.fill(1, 40);
  const other = packetOf(3000);
  other[23]! ^= 1;
  const cut = [fragmentsOf(one, 1400, 1), fragmentsOf(two, 1400, 2), fragmentsOf(other, 1400, 1)];
  const whole: unknown[] = [];
  for (let piece = 0; piece < 3; piece++) {
    for (const pieces of cut) {
      const result = fragments.take(NOW, pieces[piece]!);
      if (typeof result !== "number") whole.push(result);
    }
  }
  assert.deepEqual(whole, [one, two, other]);
});

Deno.test("pieces that overlap or contradict each other end their datagram (RFC 5722)", () => {
  const [first, second, last] = fragmentsOf(packetOf(3000), 1400);
  const shifted = second!.slice();
  shifted[43]! -= 8;
  const longer = last!.slice();
  longer[43]! += 8;
  const odd = second!.slice(0, -1);
  new DataView(odd.buffer).setUint16(4, odd.length - 40);
  for (const wrong of [first!, shifted]) {
    const fragments = new InnerFragments();
    assert.equal(fragments.take(NOW, first!), 0);
    assert.equal(fragments.take(NOW, wrong), 1);
    assert.equal(fragments.size, 0);
  }
  const fragments = new InnerFragments();
  assert.equal(fragments.take(NOW, last!), 0);
  assert.equal(fragments.take(NOW, longer), 1);
  assert.equal(fragments.take(NOW, odd), 1);
  assert.equal(fragments.take(NOW, first!.subarray(0, 60)), 1);
  const empty = first!.slice(0, 48);
  new DataView(empty.buffer).setUint16(4, 8);
  assert.equal(fragments.take(NOW, empty), 1);
  assert.equal(fragments.size, 0);
});

Deno.test("thirty-two datagrams wait, for a second; the oldest goes first", () => {
  const fragments = new InnerFragments();
  let lost = 0;
  for (let id = 0; id < 40; id++) {
    const result = fragments.take(NOW, fragmentsOf(packetOf(3000), 1400, id)[0]!);
    assert.ok(typeof result === "number");
    lost += result;
  }
  assert.deepEqual([fragments.size, lost], [32, 8]);
  const pieces = fragmentsOf(packetOf(3000), 1400, 39);
  assert.equal(fragments.take(instant(999), pieces[1]!), 0);
  assert.equal(fragments.take(instant(1000), pieces[2]!), 32);
  assert.equal(fragments.size, 1);
});

Deno.test("a datagram of more pieces than one can have is given up", () => {
  const fragments = new InnerFragments();
  const pieces = fragmentsOf(packetOf(8 * 80), 56);
  const results = pieces.map((piece) => fragments.take(NOW, piece));
  assert.equal(results.findIndex((result) => result !== 0), 64);
});

Deno.test("isInnerFragment() looks at the Next Header alone", () => {
  assert.equal(isInnerFragment(fragmentsOf(packetOf(3000), 1400)[0]!, 0), true);
  assert.equal(isInnerFragment(packetOf(20), 0), false);
});
