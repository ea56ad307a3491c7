/** Whether the data path at work makes objects. */

import assert from "node:assert/strict";
import { openLibcrypto } from "../../ffi/libcrypto.ts";

const PACKETS = 100_000;

/** Less than the smallest view has, so that not one is made per packet. */
const OCTETS_PER_PACKET = 40;

/** Megabytes that may be filled before anything is collected: 2 KB for each packet. */
const YOUNG_SPACE = 256;

Deno.test({
  name: "A packet that is cut, sealed, sent, received, opened and joined makes no object",
  ignore: openLibcrypto() === undefined,
  fn: async () => {
    const fixture = new URL("fixtures/move_packets.ts", import.meta.url).pathname;
    const space = `--min-semi-space-size=${YOUNG_SPACE},--max-semi-space-size=${YOUNG_SPACE}`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "-A", `--v8-flags=${space}`, fixture, `${PACKETS}`],
    }).output();
    const decoder = new TextDecoder();
    const text = decoder.decode(stdout);
    assert.ok(text !== "", decoder.decode(stderr));
    const { joined, octets } = JSON.parse(text) as { joined: number; octets: number };
    assert.ok(joined >= PACKETS, `${joined} packets were joined`);
    const each = octets / PACKETS;
    assert.ok(each >= 0 && each < OCTETS_PER_PACKET, `${each.toFixed(1)} octets per packet`);
  },
});
