/** The search for the highest rate without loss, before paths whose limits are known. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { RateSearch, type RateSearchPlan } from "../../lib/cli/bench_rate_search.ts";

/**
 * Searches before a path that carries up to `capacity` and a sender that can send `ability`; the
 * trials whose numbers are in `spoilt` fail whatever their rate.
 */
function searchBefore(
  plan: RateSearchPlan,
  capacity: number,
  ability: number,
  spoilt: readonly number[] = [],
) {
  const search = new RateSearch(plan);
  const rates: number[] = [];
  for (let rate = search.rate; rate !== undefined; rate = search.rate) {
    const sent = Math.min(rate, ability);
    const isLossless = sent <= capacity && !spoilt.includes(rates.length);
    rates.push(rate);
    const arrived = Math.min(sent, capacity);
    search.report({ arrived, isLossless, isReached: sent >= rate });
  }
  return { best: search.best, rates };
}

const PLAN: RateSearchPlan = { start: 20_000, factor: 2, resolution: 1.1 };

Deno.test("a search doubles, then halves the span between a passed and a failed rate", () => {
  const { best, rates } = searchBefore(PLAN, 90_000, Infinity);
  assert.deepEqual(rates.slice(0, 5), [20_000, 40_000, 80_000, 160_000, 160_000]);
  assert.ok(rates.slice(5).every((rate) => rate > 80_000 && rate < 160_000));
  assert.ok(best <= 90_000 && best > 90_000 / 1.1, String(best));
});

Deno.test("a search ends within its resolution of any limit, after few trials", () => {
  fc.assert(fc.property(
    fc.double({ min: 1000, max: 5e6, noNaN: true }),
    fc.double({ min: 1000, max: 1e6, noNaN: true }),
    (capacity, start) => {
      const { best, rates } = searchBefore({ ...PLAN, start }, capacity, Infinity);
      assert.ok(best <= capacity && best >= capacity / 1.1 * (1 - 1e-9));
      assert.ok(rates.length <= 32, String(rates.length));
    },
  ));
});

Deno.test("one spoilt trial does not fail a rate, and two in a row do", () => {
  const undisturbed = searchBefore(PLAN, 90_000, Infinity).best;
  for (const spoilt of [[0], [2], [6], [0, 2, 4]]) {
    assert.equal(searchBefore(PLAN, 90_000, Infinity, spoilt).best, undisturbed);
  }
  const { best, rates } = searchBefore(PLAN, 90_000, Infinity, [0, 1]);
  assert.deepEqual(rates.slice(0, 3), [20_000, 20_000, 10_000]);
  assert.ok(best < 20_000);
});

Deno.test("a search as fine as its steps ends with the first pair of them", () => {
  const plan = { start: 50_000, factor: 1.15, resolution: 1.15 };
  assert.equal(searchBefore(plan, 52_000, Infinity).rates.length, 3);
  assert.equal(searchBefore(plan, 48_000, Infinity).rates.length, 3);
  assert.equal(Math.round(searchBefore(plan, 60_000, Infinity).best), 57_500);
});

Deno.test("a sender that is too slow limits the rate like a path does", () => {
  const { best, rates } = searchBefore(PLAN, Infinity, 150_000);
  assert.equal(best, 150_000);
  assert.deepEqual(rates.slice(0, 5), [20_000, 40_000, 80_000, 160_000, 160_000]);
  assert.ok(rates.length < 14);
});

Deno.test("a path that carries nothing has no rate, and is given up", () => {
  const { best, rates } = searchBefore(PLAN, 0, Infinity);
  assert.equal(best, 0);
  assert.ok(rates.length < 16);
});
