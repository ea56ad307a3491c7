import assert from "node:assert/strict";
import { parseRouterCounters } from "../../lib/lab/router_counters.ts";

/** As nft 1.0.6 prints the chain. */
const LISTING = `table inet hiplab {
	chain forward {
		type filter hook forward priority filter; policy accept;
		meta l4proto hip counter packets 4 bytes 1312 accept
		udp dport 10500 @th,64,32 0x0 counter packets 5 bytes 1640 accept
		meta l4proto esp counter packets 20 bytes 2440 accept
		udp dport 10500 counter packets 30 bytes 3660 accept
		counter packets 1 bytes 60
	}
}
`;

Deno.test("parseRouterCounters() reads HIP, ESP and the rest, and refuses anything else", () => {
  assert.deepEqual(parseRouterCounters(LISTING), { hip: 9, esp: 50, inUdp: 35, other: 1 });
  assert.equal(parseRouterCounters("Error: No such file or directory"), undefined);
});
