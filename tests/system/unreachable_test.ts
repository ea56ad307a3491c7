/**
 * A peer that is in DNS but whose agent is not there: nobody waits long, and plain traffic goes on.
 *
 * ```
 *   client              router                                      server
 *   hip up, curl        DNS: www has a HIP record, AAAA and A       web server, its agent stopped
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME, stopLabAgent } from "../../lib/lab/agents.ts";
import { SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import { CANNOT_RUN, fetchPage, hip, hitOf, PAGE, SELF, withScene } from "../support/system.ts";

/** The budget of RFC 7401's initiator here, in seconds, and something for a busy machine. */
const BUDGET_SECONDS = 5;
const SLACK_SECONDS = 1.5;

Deno.test({
  name: "HLP-051 With the peer's agent stopped the page comes from the plain address within " +
    "seconds, and a connection to the HIT fails within five",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ client, server }) => {
      await stopLabAgent(server, SELF);
      const hit = hitOf(server);

      const fetched = await fetchPage(client.host, `http://${SERVER_NAME}/`);
      assert.equal(fetched.page, PAGE);
      assert.equal(fetched.remote, SERVER_ADDRESSES.ipv6, "the first address behind the HIT");
      assert.ok(fetched.seconds < BUDGET_SECONDS + SLACK_SECONDS, `${fetched.seconds} s`);

      // The exchange failed once; a new connection starts another one and fails as well.
      const begin = performance.now();
      const connect = await client.host.run(
        ["bash", "-c", `exec 3<>/dev/tcp/${hit}/80`],
        { timeoutMs: 20_000 },
      );
      const seconds = (performance.now() - begin) / 1000;
      assert.notEqual(connect.code, 0);
      assert.match(connect.stderr, /No route to host|unreachable|Connection refused/);
      assert.ok(seconds < BUDGET_SECONDS + SLACK_SECONDS, `${seconds} s`);

      // The name is remembered as one that cannot be reached over HIP.
      const again = await fetchPage(client.host, `http://${SERVER_NAME}/`);
      assert.equal(again.page, PAGE);
      assert.ok(again.seconds < 1, `${again.seconds} s`);
    }),
});

Deno.test({
  name: "hip ping of a peer that does not answer ends within five seconds with one sentence",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ client, server }) => {
      await stopLabAgent(server, SELF);
      for (const peer of [SERVER_NAME, hitOf(server)]) {
        const begin = performance.now();
        const result = await hip(client, "ping", peer);
        const seconds = (performance.now() - begin) / 1000;
        assert.equal(result.code, 1);
        assert.equal(result.stdout, "");
        assert.match(result.stderr, /^hip ping: .* cannot be reached over HIP: .*\.\n$/);
        assert.ok(seconds < BUDGET_SECONDS + SLACK_SECONDS, `${seconds} s`);
      }
      const stranger = await hip(client, "ping", "2001:22:1:2:3:4:5:6");
      assert.equal(stranger.code, 1);
      assert.match(
        stranger.stderr,
        /^hip ping: no address is known for 2001:22:1:2:3:4:5:6\. Give one with: hip host add .*\n$/i,
      );
      const nobody = await hip(client, "ping", "nobody.hip.test");
      assert.equal(nobody.code, 1);
      assert.match(nobody.stderr, /^hip ping: nobody\.hip\.test cannot be reached .*NXDOMAIN/);
    }),
});

for (const families of ["ipv4", "ipv6"] as const) {
  Deno.test({
    name: `BEX-010 ${families}: a host without HIP says so by ICMP, and the wait for it is shorter`,
    ignore: CANNOT_RUN,
    fn: () =>
      withScene({ families }, async ({ client, server }) => {
        await stopLabAgent(server, SELF);
        const begin = performance.now();
        const result = await hip(client, "ping", SERVER_NAME);
        const seconds = (performance.now() - begin) / 1000;
        assert.equal(result.code, 1);
        assert.match(result.stderr, /ICMP/);
        assert.ok(seconds > 2 && seconds < 4, `${seconds} s`);
      }),
  });
}
