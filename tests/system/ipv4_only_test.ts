/**
 * Hosts on which IPv6 is switched off, as on many servers: HITs are IPv6 addresses all the same.
 *
 * ```
 *   client                    router                     server
 *   10.99.1.10  ----------  10.99.1.1
 *   no IPv6                 10.99.2.1  ----------  10.99.2.80, no IPv6
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import type { LabHost } from "../../lib/lab/lab.ts";
import { CANNOT_RUN, fetchPage, hitOf, PAGE, withScene } from "../support/system.ts";

const SWITCH_OFF = "for scope in all default; do " +
  "echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done";

async function switchOffIpv6(host: LabHost): Promise<void> {
  const { code, stderr } = await host.run(["sh", "-c", SWITCH_OFF]);
  assert.equal(code, 0, stderr);
}

Deno.test({
  name: "A page comes over HIP between hosts on which IPv6 is switched off",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({
      families: "ipv4",
      beforeAgents: async (lab) => {
        await switchOffIpv6(lab.client);
        await switchOffIpv6(lab.server);
      },
    }, async ({ client, server }) => {
      const { page, remote } = await fetchPage(client.host, `http://${SERVER_NAME}/`);
      assert.equal(page, PAGE);
      assert.equal(remote, hitOf(server));
    }),
});
