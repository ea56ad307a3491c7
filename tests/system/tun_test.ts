/** The TUN device and the host's configuration in a namespace of their own. */

import assert from "node:assert/strict";
import { CANNOT_RUN, join, withNamespaces } from "./fixtures/namespace.ts";

interface Seen {
  readonly isRead: boolean;
  readonly isWritten: boolean;
  readonly source: string;
  readonly payload: number[];
  readonly label: string;
  readonly native: string;
  readonly forbidden: string;
  readonly before: string[];
  readonly hasChanged: boolean;
  readonly afterwards: string[];
  readonly rest: string;
  readonly isGone: boolean;
}

Deno.test({
  name: "DNS-223 DNS-224 Applications reach HITs through hip0, HITs stay there, nothing is left",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(2, async (a, b) => {
      await join(a, b);
      await a.ip("-6 route add default via fd00::2");
      const seen = await a.fixture<Seen>("use_tun.ts");
      assert.ok(seen.isRead && seen.isWritten);
      assert.equal(seen.source, "2001:22::1", "the first HIT is the source");
      assert.deepEqual(seen.payload, [1, 2, 3]);
      assert.match(seen.label, /2001:20::\/28 label 139/);
      assert.match(seen.native, /dev eth0 .*src fd00::1/);
      assert.match(seen.forbidden, /Network is unreachable/);
      assert.deepEqual(seen.before, ["fd00::1", "10.0.0.1", "fe80::1"]);
      assert.ok(seen.hasChanged);
      assert.deepEqual(seen.afterwards.toSorted(), [
        "10.0.0.1",
        "fd00:1::77",
        "fd00::1",
        "fe80::1",
      ]);
      assert.doesNotMatch(seen.rest, /2001:2[0-9a-f]?:|139/);
      assert.ok(seen.isGone);
    }),
});

Deno.test({
  name:
    "After a process that ended without restoring, the next one starts and clears what was left",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(2, async (a, b) => {
      await join(a, b);
      await a.fixture("use_tun.ts", "stay");
      assert.match(await a.ip("-6 rule"), /5202/);
      const seen = await a.fixture<Seen>("use_tun.ts");
      assert.doesNotMatch(seen.rest, /2001:2[0-9a-f]?:|139/);
    }),
});

Deno.test({
  name:
    "ESP-204 The checksum of what was in ESP is verified, over the HITs, before a program has it",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(1, async (a) => {
      const received = await a.fixture<string[]>("deliver_to_socket.ts");
      assert.deepEqual(received, ["right"]);
    }),
});
