import assert from "node:assert/strict";
import fc from "fast-check";
import { finishSum, sumBytes } from "../../lib/wire/checksum.ts";
import { sumLanes } from "../../lib/wire/checksum_lanes.ts";
import { wideMemory, wideSumOf } from "../../lib/wire/checksum_simd.ts";

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

Deno.test("in wide memory the sum is the same, wherever the octets stand", () => {
  const memory = wideMemory(70_000);
  const plain = new DataView(new ArrayBuffer(memory.length));
  // A view of a part, as a slab has it.
  const wide = new DataView(memory.buffer, 24, memory.length - 24);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400, size: "max" }),
      fc.nat(40),
      fc.integer({ min: 0, max: 0xffff_ffff_ffff }),
      (octets, offset, initial) => {
        memory.set(octets, 24 + offset);
        new Uint8Array(plain.buffer).set(octets, offset);
        const end = offset + octets.length;
        assert.equal(sumLanes(wide, offset, end, initial), sumLanes(plain, offset, end, initial));
      },
    ),
    { numRuns: 2000 },
  );
  memory.fill(0xff);
  new Uint8Array(plain.buffer).fill(0xff);
  for (const end of [65_535, 65_534, 64, 65]) {
    assert.equal(sumLanes(wide, 0, end), sumLanes(plain, 0, end));
  }
});

Deno.test("memory that is not wide has no function, and wide memory has as much as was asked for", () => {
  assert.equal(wideSumOf(new ArrayBuffer(64)), undefined);
  const memory = wideMemory(65_537);
  assert.ok(memory.length >= 65_537);
  assert.notEqual(wideSumOf(memory.buffer), undefined);
});

Deno.test("a sum is zero only over zeros, so that its complement is never a wrong 0xffff", () => {
  assert.equal(sumLanes(new DataView(new ArrayBuffer(64)), 0, 64), 0);
  assert.equal(sumLanes(new DataView(Uint8Array.of(0xff, 0xff).buffer), 0, 2), 0xffff);
  assert.equal(sumLanes(new DataView(new Uint8Array(16).fill(0xff).buffer), 0, 16), 0xffff);
});
