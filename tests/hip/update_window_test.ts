import assert from "node:assert/strict";
import fc from "fast-check";
import { UpdateWindow } from "../../lib/hip/update_window.ts";

Deno.test("UPD-021 the first Update ID expected is 0", () => {
  const window = new UpdateWindow(1);
  assert.deepEqual([0xffffffff, 0, 1].map((id) => window.judge(id)), ["seen", "new", "beyond"]);
});

Deno.test("UPD-014 ESP-256 Update IDs go on from 2^32 - 1 to 0", () => {
  const window = new UpdateWindow(4, 0xfffffffe);
  for (const id of [0xfffffffe, 0xffffffff, 0, 1]) {
    assert.equal(window.judge(id), "new");
    window.record(id);
    assert.equal(window.judge(id), "seen");
  }
  assert.equal(window.judge(0xfffffffe), "seen");
  assert.equal(window.judge(5), "new");
  assert.equal(window.judge(6), "beyond");
});

Deno.test("UPD-023 UPD-024 in whatever order they come, IDs are new once, and again only when put back", () => {
  const offsets = fc.array(fc.integer({ min: 0, max: 15 }), { maxLength: 60 });
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), offsets, (start, order) => {
    const window = new UpdateWindow(32, start);
    const seen = new Set<number>();
    for (const offset of order) {
      const id = (start + offset) >>> 0;
      assert.equal(window.judge(id), seen.has(offset) ? "seen" : "new");
      if (seen.has(offset) && offset % 3 === 0) {
        window.forget(id);
        seen.delete(offset);
      } else if (!seen.has(offset)) {
        window.record(id);
        seen.add(offset);
      }
    }
  }));
});

Deno.test("IDs far behind count as seen, and a leap of the whole window forgets none of it", () => {
  const window = new UpdateWindow(32);
  window.record(0);
  window.record(32);
  assert.equal(window.judge(0), "seen");
  assert.equal(window.judge(1), "new");
  window.record(33);
  assert.equal(window.judge(1), "seen");
  assert.equal(window.judge(2), "new");
});
