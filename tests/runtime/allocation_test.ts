/** Whether the data path at work makes objects. */

import assert from "node:assert/strict";
import { openLibcrypto } from "../../ffi/libcrypto.ts";

const PACKETS = 100_000;

/** Less than the smallest view has, so that not one is made per packet. */
const OCTETS_PER_PACKET = 40;

/** Megabytes that may be filled before anything is collected: 2 KB for each packet. */
const YOUNG_SPACE = 256;

interface Moved {
  readonly moved: number;
  readonly octets: number;
}

/** Runs a fixture that moves packets, and shows that it made no object for each. */
async function moveWithoutObjects(file: string, ...args: string[]): Promise<Moved> {
  const fixture = new URL(`fixtures/${file}`, import.meta.url).pathname;
  const space = `--min-semi-space-size=${YOUNG_SPACE},--max-semi-space-size=${YOUNG_SPACE}`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "-A", `--v8-flags=${space}`],
      ...[fixture, `${PACKETS}`, ...args],
    ],
  }).output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout);
  assert.ok(text !== "", decoder.decode(stderr));
  const seen = JSON.parse(text) as Moved;
  assert.ok(seen.moved >= PACKETS, `${seen.moved} packets were moved`);
  const each = seen.octets / PACKETS;
  assert.ok(each >= 0 && each < OCTETS_PER_PACKET, `${each.toFixed(1)} octets per packet`);
  return seen;
}

Deno.test({
  name: "A packet that is cut, sealed, sent, received, opened and joined makes no object",
  ignore: openLibcrypto() === undefined,
  fn: async () => {
    await moveWithoutObjects("move_packets.ts");
  },
});

for (const [mode, isInUse] of [["segments", true], ["separate", false]] as const) {
  Deno.test(`A datagram that is sent and received makes no object: ${mode}`, async () => {
    const { moved: _, octets: __, ...kernel } = await moveWithoutObjects("move_datagrams.ts", mode);
    assert.deepEqual(kernel, { isSegmenting: isInUse, isCoalescing: isInUse });
  });
}
