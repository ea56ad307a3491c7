import assert from "node:assert/strict";
import { FairQueue } from "../../lib/dns/fair_queue.ts";

Deno.test("clients take turns, each in its own order, and one that may not is passed over", () => {
  const queue = new FairQueue<number>();
  for (let i = 0; i < 4; i++) queue.push("a", i);
  queue.push("b", 10);
  queue.push("b", 11);
  queue.push("c", 20);
  const take = (mayTake = (_client: string) => true) => queue.take(mayTake)?.item;
  assert.deepEqual([take(), take(), take(), take()], [0, 10, 20, 1]);
  assert.equal(take((client) => client !== "b"), 2);
  queue.push("c", 21);
  assert.deepEqual([take(), take(), take(), take()], [11, 3, 21, undefined]);
});
