/** Slots of octets. */

import assert from "node:assert/strict";
import { OctetSlab } from "../../lib/base/octet_slab.ts";

Deno.test("slots do not touch each other, and one that is given back comes again with zeros", () => {
  const slab = new OctetSlab(24);
  const slots = Array.from({ length: 3000 }, () => slab.take());
  assert.equal(new Set(slots).size, 3000);
  for (const [index, slot] of slots.entries()) slab.view(slot).fill(index % 251 + 1);
  for (const [index, slot] of slots.entries()) {
    const view = slab.view(slot);
    assert.equal(view.length, 24);
    assert.ok(view.every((octet) => octet === index % 251 + 1));
  }
  assert.deepEqual(slab.view(slots[1]!, 3, 5), new Uint8Array([2, 2]));
  slab.give(slots[7]!);
  assert.equal(slab.size, 2999);
  const again = slab.take();
  assert.equal(again, slots[7]);
  assert.deepEqual(slab.view(again), new Uint8Array(24));
});
