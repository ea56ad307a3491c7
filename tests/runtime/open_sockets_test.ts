import assert from "node:assert/strict";
import {
  countHipSockets,
  describeOpenSockets,
  openHipSockets,
} from "../../lib/runtime/open_sockets.ts";

const HEAD =
  "  sl  local_address                         remote_address                        st tx_queue";
const HIT = "22000120FB88F6DC21FD29A4C2BBF5CA";
const OTHER = "B80D01200000000000000000010000FF";
const NONE = "0".repeat(32);

function list(...sockets: [remote: string, state: string][]): string {
  const lines = sockets.map(([remote, state], i) =>
    `   ${i}: ${HIT}:1F90 ${remote}:0050 ${state} 0`
  );
  return [HEAD, ...lines, ""].join("\n");
}

Deno.test("sockets connected to a HIT are counted; listeners, others and those in TIME_WAIT are not", () => {
  assert.equal(countHipSockets(list()), 0);
  assert.equal(countHipSockets(list([HIT, "01"], [NONE, "0A"], [OTHER, "01"], [HIT, "06"])), 1);
  assert.equal(countHipSockets(list([HIT, "01"], [HIT, "04"])), 2);
  assert.equal(countHipSockets("nonsense\n x"), 0);
});

Deno.test("who takes the host down is told of connections that are open", () => {
  assert.equal(describeOpenSockets(0), undefined);
  assert.match(describeOpenSockets(1)!, /^1 connection over HIP is still open .* hip up /);
  assert.match(describeOpenSockets(2)!, /^2 connections over HIP are still open /);
});

Deno.test("the lists of this host can be read", () => {
  assert.ok(openHipSockets() >= 0);
});
