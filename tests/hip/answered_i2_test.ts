/** How an I2 that was answered is known again. */

import assert from "node:assert/strict";
import { instant } from "../../lib/base/time.ts";
import { AnsweredI2 } from "../../lib/hip/answered_i2.ts";

Deno.test("an I2 is known again by all its octets, and the R2 comes back as it was", () => {
  const i2 = Uint8Array.from({ length: 640 }, (_, i) => i * 7);
  const r2 = Uint8Array.from({ length: 200 }, (_, i) => i);
  const answered = new AnsweredI2(instant(5), i2, r2);
  assert.equal(answered.isBy(i2.slice()), true);
  assert.deepEqual(answered.r2, r2);
  for (const at of [0, 4, 39, 320, 639]) {
    const altered = i2.slice();
    altered[at]! ^= 1;
    assert.equal(answered.isBy(altered), false, `octet ${at}`);
  }
  assert.equal(answered.isBy(i2.subarray(0, 632)), false);
});
