import assert from "node:assert/strict";
import { after, instant, seconds } from "../../lib/base/time.ts";
import { Inactivity } from "../../lib/hip/inactivity.ts";

const PERIOD = seconds(900);

Deno.test("each period is as long as the first, from when it was looked at, be that late", () => {
  const inactivity = new Inactivity(instant(7), PERIOD);
  assert.equal(inactivity.dueAt, after(instant(7), PERIOD));
  for (const at of [after(instant(7), PERIOD), instant(2_000_000), instant(2_900_000)]) {
    inactivity.look(at, { packetsIn: 0n, packetsOut: 0n, octetsIn: 0n, octetsOut: 0n });
    assert.equal(inactivity.dueAt, after(at, PERIOD));
  }
});

Deno.test("what counts is what has passed since the last look: used, silent or unused, period after period", () => {
  const inactivity = new Inactivity(instant(0), PERIOD);
  const look = (packetsIn: bigint, packetsOut: bigint) =>
    inactivity.look(inactivity.dueAt, { packetsIn, packetsOut, octetsIn: 0n, octetsOut: 0n });
  assert.equal(look(1n, 1n), "used");
  assert.equal(look(1n, 3n), "silent");
  assert.equal(look(1n, 3n), "unused");
  assert.equal(look(2n, 3n), "used");
  assert.equal(look(2n, 3n), "unused");
  assert.equal(look(2n, 4n), "silent");
});
