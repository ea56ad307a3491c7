/**
 * Random stories of two engines. HIP_SEED=N plays the one of seed N alone; `deno task fuzz` plays
 * as many as fit into its minutes.
 */

import { playSequence } from "../support/engine_sequence.ts";

const SEEDS = 200;

const wanted = Deno.env.get("HIP_SEED");

if (wanted === undefined) {
  Deno.test("two hundred random stories: no throw, no key left, no table over its limit", () => {
    for (let seed = 0; seed < SEEDS; seed++) playSequence(seed);
  });
} else {
  Deno.test(`the random story of seed ${wanted}`, () => playSequence(Number(wanted)));
}
