import assert from "node:assert/strict";
import { HEADROOM, PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { makeSlabs } from "../../lib/runtime/slabs.ts";

Deno.test("Slabs made together share no octet, and copy to each other and to strangers alike", () => {
  const slabs = makeSlabs(3, 100);
  slabs.forEach((slab, i) => slab.bytes.fill(i + 1));
  slabs.forEach((slab, i) => {
    assert.equal(slab.capacity, 100);
    assert.ok(slab.bytes.every((octet) => octet === i + 1));
    assert.equal(slab.view.getUint8(slab.bytes.length - 1), i + 1);
  });
  const stranger = new PacketBuffer(100);
  for (const target of [slabs[1]!, stranger]) {
    slabs[2]!.load(Uint8Array.of(7, 8, 9));
    target.copyFrom(slabs[2]!, HEADROOM + 1, HEADROOM + 3, 5);
    assert.deepEqual([...target.bytes.subarray(5, 7)], [8, 9]);
  }
});
