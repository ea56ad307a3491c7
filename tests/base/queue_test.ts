/** A queue against an array. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Queue } from "../../lib/base/queue.ts";

Deno.test("a queue gives what an array gives that is pushed and shifted", () => {
  const steps = fc.array(fc.option(fc.nat(), { nil: undefined }), { size: "max", maxLength: 200 });
  fc.assert(fc.property(steps, (values) => {
    const queue = new Queue<number>();
    const array: number[] = [];
    for (const value of values) {
      if (value === undefined) {
        assert.equal(queue.shift(), array.shift());
      } else {
        queue.push(value);
        array.push(value);
      }
      assert.equal(queue.length, array.length);
    }
    while (array.length > 0) assert.equal(queue.shift(), array.shift());
    assert.equal(queue.shift(), undefined);
  }));
});
