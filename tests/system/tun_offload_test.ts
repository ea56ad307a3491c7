/** The offload of the TUN device against the kernel, in a namespace of its own. */

import assert from "node:assert/strict";
import { CANNOT_RUN, withNamespaces } from "./fixtures/namespace.ts";

/** linux/if_tun.h: TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6; and a bit that no kernel knows. */
const CHECKSUMS = 1;
const SEGMENTS = 1 | 2 | 4;
const UNKNOWN = 1 << 30;

interface Transfer {
  readonly offload: { hasHeader: boolean; checksums: boolean; segments: boolean };
  readonly isIntact: boolean;
  readonly superSegments: number;
  readonly runs: number;
  readonly drops: Record<string, number>;
}

Deno.test({
  name: "Super-segments are cut as the kernel cuts them, octet for octet, IPv6 and IPv4",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(1, async (a) => {
      const seen = await a.fixture<{ segments?: number }>("tun_offload.ts", "cut");
      assert.ok(seen.segments !== undefined && seen.segments > 400, JSON.stringify(seen));
    }),
});

Deno.test({
  name: "Segments that were joined are cut up again by the kernel into just what came in",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(1, async (a) => {
      const seen = await a.fixture<{ segments?: number; runs: number }>("tun_offload.ts", "join");
      assert.equal(seen.segments, 50 * 64, JSON.stringify(seen));
      assert.ok(seen.runs > 50 * 8, `${seen.runs} runs`);
    }),
});

for (
  const [what, offers, offload] of [
    ["with all offers", [SEGMENTS, CHECKSUMS], [true, true, true]],
    ["when the kernel refuses the first offer", [UNKNOWN, CHECKSUMS], [true, true, false]],
    ["when the kernel refuses all offers", [UNKNOWN], [true, false, false]],
    ["without a virtio_net_hdr", [], [false, false, false]],
  ] as const
) {
  Deno.test({
    name: `A TCP flow passes the TUN unharmed ${what}`,
    ignore: CANNOT_RUN,
    fn: () =>
      withNamespaces(1, async (a) => {
        const seen = await a.fixture<Transfer>("tun_offload.ts", "reflect", ...offers.map(String));
        const [hasHeader, checksums, segments] = offload;
        assert.deepEqual(seen.offload, { hasHeader, checksums, segments });
        assert.ok(seen.isIntact);
        assert.deepEqual(seen.drops, {});
        if (hasHeader) assert.ok(seen.runs > 50, `${seen.runs} runs`);
        else assert.equal(seen.runs, 0);
        if (segments) assert.ok(seen.superSegments > 50, `${seen.superSegments} super-segments`);
        else assert.equal(seen.superSegments, 0);
      }),
  });
}
