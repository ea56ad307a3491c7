import assert from "node:assert/strict";
import { permits, portsToTry, type Transport } from "../../lib/hip/transport.ts";

/** What is wanted, what the peer was met over, and where I1 goes. */
const CASES: readonly [Transport, number | undefined, number[]][] = [
  ["auto", undefined, [10500, 0]],
  ["auto", 10500, [10500, 0]],
  ["auto", 0, [0, 10500]],
  // The peer is behind a NAT, which may have forgotten the port.
  ["auto", 40_000, [40_000, 10500, 0]],
  ["udp", undefined, [10500]],
  ["udp", 0, [10500]],
  ["udp", 40_000, [40_000, 10500]],
  ["raw", undefined, [0]],
  ["raw", 0, [0]],
  ["raw", 10500, [0]],
];

Deno.test("NAT-019 NAT-022 I1 goes to UDP port 10500 first, but to what the peer was met over before that, and over nothing that is excluded", () => {
  for (const [transport, met, ports] of CASES) {
    assert.deepEqual(portsToTry(transport, met), ports, `${transport}, met over ${met}`);
    assert.ok(ports.every((port) => permits(transport, port)));
  }
});

Deno.test("a transport permits itself, and auto both", () => {
  const permitted = (transport: Transport) => [0, 10500, 1].map((port) => permits(transport, port));
  assert.deepEqual(permitted("auto"), [true, true, true]);
  assert.deepEqual(permitted("udp"), [false, true, true]);
  assert.deepEqual(permitted("raw"), [true, false, false]);
});
