/** Samples summed up into figures. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { figureOf, figuresOf, median, type Samples } from "../../lib/cli/bench_figures.ts";

Deno.test("median() is the middle of the sorted values, or the mean of the two", () => {
  assert.equal(median([10, 9, 100]), 10);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("median() leaves its values as they were and does not depend on their order", () => {
  fc.assert(
    fc.property(
      // Of 0 and -0 neither is the lesser, so the order decides: leave -0 out.
      fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }).map((x) => x + 0), { minLength: 1 }),
      (values) => {
        const copy = [...values];
        assert.equal(median(values), median(copy.toReversed()));
        assert.deepEqual(values, copy);
      },
    ),
  );
});

const TCP = { measure: "TCP, one flow", unit: "Mbit/s" } as const;
const ALL: Samples[] = [
  { ...TCP, subject: "raw", values: [1000, 3000, 2000] },
  { ...TCP, subject: "hip-esp", values: [500, 700, 400] },
  { measure: "memory, idle", unit: "MB", subject: "raw", values: [] },
  { measure: "memory, idle", unit: "MB", subject: "hip-esp", values: [130] },
];

Deno.test("a figure has median, least, largest and the ratio of its median to raw's", () => {
  assert.deepEqual(figuresOf(ALL).slice(0, 2), [
    { ...TCP, subject: "raw", median: 2000, min: 1000, max: 3000, ratioToRaw: 1 },
    { ...TCP, subject: "hip-esp", median: 500, min: 400, max: 700, ratioToRaw: 0.25 },
  ]);
});

Deno.test("what raw does not have has no ratio, and what nobody saw has no figure", () => {
  const figures = figuresOf(ALL);
  assert.equal(figures.length, 3);
  assert.equal(figureOf(figures, "memory, idle", "raw"), undefined);
  assert.equal(figureOf(figures, "memory, idle", "hip-esp")?.ratioToRaw, null);
  const ofZero = figuresOf([{ ...ALL[0]!, values: [0] }, ALL[1]!]);
  assert.deepEqual(ofZero.map(({ ratioToRaw }) => ratioToRaw), [null, null]);
});

Deno.test("figures survive JSON, as hip bench --json prints them", () => {
  const figures = figuresOf(ALL);
  assert.deepEqual(JSON.parse(JSON.stringify(figures)), figures);
});
