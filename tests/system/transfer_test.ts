/**
 * Many octets, many sizes, and other work at the same time.
 *
 * ```
 *   client                        router                   server
 *   hip up, curl, ping            MTU 1500 on both links   hip up, transfer server, web server
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import {
  CANNOT_RUN,
  fetchPage,
  hip,
  hitOf,
  PAGE,
  runFixture,
  startFixture,
  startTransfers,
  statusOf,
  withScene,
} from "../support/system.ts";
import { runCommand } from "../../lib/lab/lab.ts";

const LENGTH = 50_000_000;
const LIMIT_MS = 60_000;

Deno.test({
  name: "Fifty megabytes arrive unchanged both ways, while pings and pages come through",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ lab, client, server }) => {
      const expected = await startTransfers(server.host, LENGTH);
      const url = `http://${SERVER_NAME}:8080`;
      const file = `${lab.folder}/download`;
      const curl = (...args: string[]) =>
        client.host.run(["curl", "-sf", "--max-time", "55", ...args], { timeoutMs: LIMIT_MS });

      assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
      const ping = client.host.run(["ping", "-c", "15", "-i", "0.2", "-W", "5", SERVER_NAME]);
      const download = curl("-o", file, `${url}/${LENGTH}`);
      const page = fetchPage(client.host, `http://${SERVER_NAME}/`);
      assert.equal((await download).code, 0);
      assert.equal((await page).page, PAGE);
      // TCP fills the queues that it shares with the pings; most of them must come through.
      const received = Number(/(\d+) received/.exec((await ping).stdout)?.[1]);
      assert.ok(received >= 10, `${received} of 15 pings answered`);
      const { stdout } = await runCommand(["sha256sum", file]);
      assert.equal(stdout.split(" ")[0], expected);

      const upload = await curl("-T", file, `${url}/`);
      assert.equal(upload.stdout, `${expected} ${LENGTH}`);

      for (const agent of [client, server]) {
        const { associations, drops } = await statusOf(agent);
        assert.equal(associations.length, 1);
        assert.ok(associations[0]!.octetsIn + associations[0]!.octetsOut > 2 * LENGTH);
        assert.equal(drops["esp-icv-failed"] ?? 0, 0);
        assert.equal(drops["esp-replayed"] ?? 0, 0);
      }
    }),
});

for (const families of ["ipv6", "ipv4"] as const) {
  Deno.test({
    name: `Packets of every size around the MTU pass over ${families}, and datagrams of 60,000 ` +
      "octets in fragments",
    ignore: CANNOT_RUN,
    fn: () =>
      withScene({ families }, async ({ client, server }) => {
        const hit = hitOf(server);
        await startFixture(server.host, "transfer_server.ts");
        assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
        const mtu = Number(
          (await client.host.run(["cat", "/sys/class/net/hip0/mtu"])).stdout,
        );
        assert.ok(mtu >= 1280 && mtu < 1500);
        // 48 octets of IPv6 and ICMPv6 header; -M do forbids fragments of the inner packet.
        const largest = mtu - 48;
        const sizes = [0, 1, 2, 3, largest - 4, largest - 3, largest - 2, largest - 1, largest];
        for (const size of sizes) {
          const ping = ["ping", "-6", "-M", "do", "-c", "1", "-W", "3", "-s", String(size), hit];
          const { code, stdout } = await client.host.run(ping);
          assert.equal(code, 0, `${size} octets: ${stdout}`);
        }
        const tooBig = await client.host.run(
          ["ping", "-6", "-M", "do", "-c", "1", "-W", "1", "-s", String(largest + 1), hit],
        );
        assert.notEqual(tooBig.code, 0);
        assert.match(tooBig.stdout + tooBig.stderr, new RegExp(`mtu[:=] ?${mtu}`, "i"));

        for (const size of [1300, 1400, 1500, 9000, 60_000]) {
          const isWhole = await runFixture<boolean>(
            client.host,
            "udp_echo.ts",
            hit,
            String(size),
          );
          assert.ok(isWhole, `${size} octets of UDP`);
        }
      }),
  });
}
