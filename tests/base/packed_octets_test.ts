/** Octets packed into one array. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PackedOctets } from "../../lib/base/packed_octets.ts";

Deno.test("what was packed comes out again, as a view that writes through or as a copy that does not", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array(), { maxLength: 12 }), (parts) => {
    const packed = new PackedOctets(parts);
    for (const [index, part] of parts.entries()) {
      assert.deepEqual(packed.view(index), part);
      packed.copy(index).fill(0xee);
      assert.deepEqual(packed.copy(index), part);
      packed.view(index).fill(0);
      assert.deepEqual(packed.copy(index), new Uint8Array(part.length));
      packed.view(index).set(part);
    }
    for (const [index, part] of parts.entries()) assert.deepEqual(packed.copy(index), part);
  }));
});
