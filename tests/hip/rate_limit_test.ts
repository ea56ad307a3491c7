/** Limits in fixed memory. */

import assert from "node:assert/strict";
import { instant, milliseconds, seconds } from "../../lib/base/time.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import { RateLimit, RecentlySeen } from "../../lib/hip/rate_limit.ts";

const random = () => new SeededRandom(new Uint8Array(32).fill(9));

function source(number: number): Uint8Array {
  const octets = new Uint8Array(16);
  new DataView(octets.buffer).setUint32(12, number);
  return octets;
}

Deno.test("a key may do so much in a period, and again in the next", () => {
  const limit = new RateLimit(random(), 3, seconds(1));
  const allowed = (at: number) => limit.allow(instant(at), source(1));
  assert.deepEqual([0, 1, 2, 3, 999].map(allowed), [true, true, true, false, false]);
  assert.deepEqual([1000, 1001, 1002, 1003].map(allowed), [true, true, true, false]);
});

Deno.test("a flood of ever new keys uses up nobody's share", () => {
  const limit = new RateLimit(random(), 2, seconds(1));
  for (let number = 0; number < 100_000; number++) {
    assert.equal(limit.allow(instant(0), source(number)), true);
  }
});

Deno.test("one key among a flood of others gets no more than a few shares", () => {
  const limit = new RateLimit(random(), 2, seconds(1));
  let allowed = 0;
  for (let number = 1; number <= 40_000; number++) {
    limit.allow(instant(0), source(number));
    if (limit.allow(instant(0), source(0))) allowed++;
  }
  // A share each time that the flood happens upon the bucket: one in 4096.
  assert.ok(allowed >= 2 && allowed < 80, `${allowed}`);
});

Deno.test("the same octets from the same source are known for a while; from another they are new", () => {
  const recent = new RecentlySeen(random(), milliseconds(20));
  const seen = (at: number, from: number, what: number) =>
    recent.seen(instant(at), source(from), source(what));
  assert.equal(seen(0, 1, 7), false);
  assert.equal(seen(19, 1, 7), true);
  assert.equal(seen(19, 2, 7), false);
  assert.equal(seen(19, 1, 8), false);
  assert.equal(seen(20, 1, 7), false);
});
