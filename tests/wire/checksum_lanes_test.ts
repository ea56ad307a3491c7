import assert from "node:assert/strict";
import fc from "fast-check";
import { finishSum, sumBytes } from "../../lib/wire/checksum.ts";
import { sumLanes } from "../../lib/wire/checksum_lanes.ts";

Deno.test("sums by lanes and by octet pairs agree, wherever the octets stand", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100, size: "max" }),
      fc.nat(9),
      fc.integer({ min: 0, max: 0xffff_ffff_ffff }),
      (octets, offset, initial) => {
        const bytes = new Uint8Array(offset + octets.length + 9).fill(0xa5);
        bytes.set(octets, offset);
        const end = offset + octets.length;
        const fast = sumLanes(new DataView(bytes.buffer), offset, end, initial);
        assert.ok(fast >= 0 && fast <= 0xffff);
        assert.equal(finishSum(fast), finishSum(sumBytes(bytes, offset, end, initial)));
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("the largest packet of the largest octets does not overflow the lanes", () => {
  for (const length of [65_535, 65_534, 65_533]) {
    const bytes = new Uint8Array(length).fill(0xff);
    const expected = finishSum(sumBytes(bytes, 0, length));
    assert.equal(finishSum(sumLanes(new DataView(bytes.buffer), 0, length)), expected);
  }
});

Deno.test("a sum is zero only over zeros, so that its complement is never a wrong 0xffff", () => {
  assert.equal(sumLanes(new DataView(new ArrayBuffer(64)), 0, 64), 0);
  assert.equal(sumLanes(new DataView(Uint8Array.of(0xff, 0xff).buffer), 0, 2), 0xffff);
  assert.equal(sumLanes(new DataView(new Uint8Array(16).fill(0xff).buffer), 0, 16), 0xffff);
});
