/**
 * A host behind a NAT of the kernel, which knows nothing of HIP, and a public one.
 *
 * ```
 *   client                router                              server
 *   10.99.1.10  --------  10.99.2.1, ports 40000 and up  ---  10.99.2.80
 *   hip up                nft: masquerade, conntrack          hip up
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { CLIENT_ADDRESSES, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import {
  associationWith,
  CANNOT_RUN,
  fetchPage,
  hip,
  hitOf,
  PAGE,
  type Scene,
  statusOf,
  withScene,
} from "../support/system.ts";
import { shell } from "../support/system_host.ts";
import { arrivals, Capture } from "../support/system_capture.ts";

/** Packets of the client leave with the router's address, and UDP with one of these ports. */
function ruleset(ports: string): string {
  return `table ip hipnat {
    chain postrouting {
      type nat hook postrouting priority 100;
      oifname "to-server" ip saddr ${CLIENT_ADDRESSES.ipv4} udp dport 10500 masquerade to :${ports}
      oifname "to-server" ip saddr ${CLIENT_ADDRESSES.ipv4} masquerade
    }
  }`;
}

async function translate({ lab }: Pick<Scene, "lab">, ports: string): Promise<void> {
  await shell(lab.router, "nft delete table ip hipnat 2>/dev/null || true");
  const file = `${lab.folder}/nat.nft`;
  await Deno.writeTextFile(file, ruleset(ports));
  await shell(lab.router, `nft -f ${file}`);
}

Deno.test({
  name:
    "NAT-012 NAT-021 A host behind a NAT meets a public one over UDP: pages both ways, rekeys, " +
    "another port of the NAT, and close",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({
      families: "ipv4",
      beforeAgents: (lab) => translate({ lab }, "40000-40099"),
    }, async (scene) => {
      const { lab, client, server } = scene;
      const capture = await Capture.start(lab, lab.router, "to-server");
      const fetchBothWays = async () => {
        const there = await fetchPage(client.host, `http://${SERVER_NAME}/`);
        assert.deepEqual([there.page, there.remote], [PAGE, hitOf(server)]);
        const back = await fetchPage(server.host, `http://[${hitOf(client)}]/`);
        assert.equal(back.page, PAGE);
      };
      const portAtServer = async () => {
        const { peerAddress, transport } = await associationWith(server, client);
        assert.equal(peerAddress, SERVER_ADDRESSES.gatewayIpv4);
        return Number(/^UDP (\d+)$/.exec(transport ?? "")?.[1]);
      };
      await fetchBothWays();
      const first = await portAtServer();
      assert.ok(first >= 40_000 && first < 40_100, `port ${first}`);
      assert.equal((await associationWith(client, server)).transport, "UDP 10500");

      for (
        const [agent, peer, option] of [[client, server, "--dh"], [server, client, ""]] as const
      ) {
        const options = option === "" ? [] : [option];
        assert.equal((await hip(agent, "rekey", hitOf(peer), ...options)).code, 0);
      }
      await fetchBothWays();
      const before = await associationWith(client, server);

      // The NAT forgets, as masquerading does with its link, and has other ports from now on.
      await translate(scene, "41000-41099");
      await shell(lab.router, "ip link set to-server down && ip link set to-server up");
      const ping = await client.host.run([
        ...["ping", "-6", "-i", "0.5", "-c", "30", "-W", "1", hitOf(server)],
      ], { timeoutMs: 30_000 });
      assert.match(ping.stdout, / bytes from /);
      const second = await portAtServer();
      assert.ok(second >= 41_000 && second < 41_100, `port ${second}`);
      await fetchBothWays();
      const after = await associationWith(client, server);
      assert.equal(after.inboundSpi, before.inboundSpi, "without another exchange");

      assert.equal((await hip(server, "close", hitOf(client))).code, 0);
      const { drops } = await statusOf(server);
      assert.equal(drops["hip-bad-checksum"] ?? 0, 0);
      const outside = arrivals(await capture.packets())
        .filter(({ source }) => source === SERVER_ADDRESSES.gatewayIpv4);
      assert.ok(outside.length > 0 && outside.every(({ protocol }) => protocol !== "tcp"));
    }),
});
