import assert from "node:assert/strict";
import { Chance } from "../support/chance.ts";
import { capturedPackets, parseAltered } from "../support/parser_mutations.ts";
import { parseOptions } from "../../tools/fuzz.ts";

Deno.test("altered packets of other implementations are parsed or called malformed, nothing else", () => {
  const chance = new Chance(1);
  const packets = capturedPackets();
  assert.ok(packets.length >= 12);
  for (const packet of packets) {
    for (let i = 0; i < 2000; i++) parseAltered(packet, chance);
  }
});

Deno.test("the options of deno task fuzz", () => {
  const day = 20_000 * 86_400_000;
  assert.deepEqual(parseOptions([], day), { minutes: 1, seed: 200_000_000 });
  assert.deepEqual(parseOptions(["--", "--minutes", "5", "--seed=7"], day), {
    minutes: 5,
    seed: 7,
  });
  assert.throws(() => parseOptions(["--minutes"], day), SyntaxError);
  assert.throws(() => parseOptions(["--hours", "1"], day), SyntaxError);
});
