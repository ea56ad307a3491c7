/** The offload of the TUN device against the kernel, in a namespace of its own. */

import assert from "node:assert/strict";
import { CANNOT_RUN, withNamespaces } from "./fixtures/namespace.ts";

/** linux/if_tun.h: TUN_F_CSUM, TUN_F_TSO4, _TSO6, _USO4, _USO6; and a bit that no kernel knows. */
const CHECKSUMS = 1;
const SEGMENTS = CHECKSUMS | 2 | 4;
const DATAGRAMS = SEGMENTS | 0x20 | 0x40;
const UNKNOWN = 1 << 30;

interface Transfer {
  readonly offload: Record<"hasHeader" | "checksums" | "segments" | "datagrams", boolean>;
  readonly isIntact: boolean;
  readonly superSegments: number;
  readonly runs: number;
  readonly drops: Record<string, number>;
}

for (const [what, suffix] of [["TCP", ""], ["UDP", "-udp"]] as const) {
  Deno.test({
    name: `Super-segments of ${what} are cut as the kernel cuts them, octet for octet`,
    ignore: CANNOT_RUN,
    fn: () =>
      withNamespaces(1, async (a) => {
        const seen = await a.fixture<{ segments?: number }>("tun_offload.ts", `cut${suffix}`);
        assert.ok(seen.segments !== undefined && seen.segments > 400, JSON.stringify(seen));
      }),
  });

  Deno.test({
    name: `Packets of ${what} that were joined are cut up again by the kernel into what came in`,
    ignore: CANNOT_RUN,
    fn: () =>
      withNamespaces(1, async (a) => {
        const seen = await a.fixture<{ segments?: number; runs: number }>(
          "tun_offload.ts",
          `join${suffix}`,
        );
        assert.equal(seen.segments, 50 * 64, JSON.stringify(seen));
        assert.ok(seen.runs >= 50 * 5, `${seen.runs} runs`);
      }),
  });
}

/** Whether the device has a header, leaves checksums, TCP and UDP super-segments to us. */
const DEVICES: readonly [string, readonly number[], readonly boolean[]][] = [
  ["with all offers", [DATAGRAMS, SEGMENTS, CHECKSUMS], [true, true, true, true]],
  ["of a kernel that does not know of UDP", [SEGMENTS, CHECKSUMS], [true, true, true, false]],
  ["when the kernel refuses the first offer", [UNKNOWN, CHECKSUMS], [true, true, false, false]],
  ["when the kernel refuses all offers", [UNKNOWN], [true, false, false, false]],
  ["without a virtio_net_hdr", [], [false, false, false, false]],
];

for (const [how, offers, [hasHeader, checksums, segments, datagrams]] of DEVICES) {
  for (const [what, mode] of [["TCP", "reflect"], ["UDP", "reflect-udp"]] as const) {
    Deno.test({
      name: `A flow of ${what} passes the TUN unharmed ${how}`,
      ignore: CANNOT_RUN,
      fn: () =>
        withNamespaces(1, async (a) => {
          const seen = await a.fixture<Transfer>("tun_offload.ts", mode, ...offers.map(String));
          assert.deepEqual(seen.offload, { hasHeader, checksums, segments, datagrams });
          assert.ok(seen.isIntact);
          assert.deepEqual(seen.drops, {});
          const [cuts, joins] = what === "TCP" ? [segments, hasHeader] : [datagrams, datagrams];
          if (cuts) assert.ok(seen.superSegments > 50, `${seen.superSegments} super-segments`);
          else assert.equal(seen.superSegments, 0);
          if (joins) assert.ok(seen.runs > 50, `${seen.runs} runs`);
          else assert.equal(seen.runs, 0);
        }),
    });
  }
}
