/** Arrays in common buffers. */

import assert from "node:assert/strict";
import { WordArena } from "../../lib/base/word_arena.ts";

Deno.test("arrays of an arena are zero, do not touch each other, and share few buffers", () => {
  const arena = new WordArena();
  const arrays = Array.from({ length: 100 }, (_, i) => arena.take(i % 2 === 0 ? 29 : 95));
  assert.ok(arrays.every((array) => array.every((word) => word === 0)));
  for (const [index, array] of arrays.entries()) array.fill(index + 1);
  for (const [index, array] of arrays.entries()) {
    assert.equal(array.length, index % 2 === 0 ? 29 : 95);
    assert.ok(array.every((word) => word === index + 1));
  }
  assert.ok(new Set(arrays.map(({ buffer }) => buffer)).size <= 10);
});
