/**
 * Programs that know only IPv4, as most did in 2003, at both ends: they use HIP and do not know.
 *
 * ```
 *   client                        router                     server
 *   hip up                        DNS, capture               hip up
 *   getent ahostsv4, ping -4,                                a program that listens on 0.0.0.0,
 *   a program of AF_INET                                     TCP and UDP
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME, startLabAgent, stopLabAgent } from "../../lib/lab/agents.ts";
import type { LabHost } from "../../lib/lab/lab.ts";
import {
  associationWith,
  CANNOT_RUN,
  hip,
  runFixture,
  SELF,
  startFixture,
  withScene,
} from "../support/system.ts";
import { Capture } from "../support/system_capture.ts";
import { assertAsBefore, shell, snapshot } from "../support/system_host.ts";

interface Echoed {
  readonly from: string;
  readonly isWhole: boolean;
}

/** What a program gets that asks for IPv4 alone, in order. */
async function ipv4Addresses(host: LabHost, name: string): Promise<string[]> {
  const { stdout } = await host.run(["getent", "ahostsv4", name]);
  const lines = stdout.split("\n").filter((line) => line.includes("STREAM"));
  return lines.map((line) => line.split(" ")[0]!);
}

const ROUTER = /^(10\.99\.[12]\.1|fd00:[12]::1)$/;
const POOL = /^198\.1[89]\./;

Deno.test({
  name:
    "DNS-069 DNS-072 DNS-075 DNS-077 DNS-080 an IPv4-only client and an IPv4-only server talk " +
    "over HIP by TCP, UDP and echo, LSIs outlive the agents, and nothing is left of them",
  ignore: CANNOT_RUN,
  fn: async () => {
    let before = "";
    await withScene({
      beforeAgents: async ({ client }) => {
        before = await snapshot(client);
      },
    }, async ({ lab, client, server }) => {
      await startFixture(server.host, "ipv4_program.ts", "serve");
      const capture = await Capture.start(lab);
      const found = await ipv4Addresses(client.host, SERVER_NAME);
      assert.equal(found.length, 2, "the LSI, then the native address");
      const [lsi, native] = found as [string, string];
      assert.match(lsi, POOL);
      assert.doesNotMatch(native, POOL);

      const ask = (length: number) =>
        runFixture<{ tcp: Echoed; udp: Echoed }>(
          client.host,
          "ipv4_program.ts",
          "ask",
          lsi,
          String(length),
        );
      const { tcp, udp } = await ask(2_000_000);
      assert.deepEqual([tcp.isWhole, udp.isWhole], [true, true]);
      // The server knows its peer by an LSI of its own, the same for every flow.
      assert.match(tcp.from, POOL);
      assert.equal(udp.from, tcp.from);
      const ping = await client.host.run(["ping", "-4", "-c", "2", "-W", "3", lsi]);
      assert.equal(ping.code, 0, ping.stdout);
      await associationWith(client, server);
      const packets = await capture.packets();
      // The router answers DNS; nothing else is for it.
      const between = packets.filter(({ protocol }) => ["tcp", "udp", "icmp"].includes(protocol))
        .filter(({ source, destination }) => !ROUTER.test(source) && !ROUTER.test(destination));
      assert.deepEqual(between, [], "nothing but HIP and ESP crosses the router");

      // A name for the address, one route to it and no more.
      assert.match((await client.host.run(["getent", "hosts", lsi])).stdout, /www\.hip\.test/);
      const routes = await shell(client.host, "ip -4 route show table main dev hip0");
      assert.deepEqual(routes.trim().split("\n").map((line) => line.split(" ")[0]), [lsi]);
      const own = await shell(client.host, "ip -4 -o address show dev hip0");
      assert.match(own, /inet 198\.1[89]\.\d+\.\d+\/32/);

      // A program that asks for both kinds has no use for an LSI.
      const both = await client.host.run(["getent", "ahosts", SERVER_NAME]);
      assert.doesNotMatch(both.stdout, /198\.1[89]\./);

      // The address stays that of the peer when the agent comes back, and is of use at once.
      await stopLabAgent(client, SELF);
      await assertAsBefore(client.host, before);
      const again = await startLabAgent(lab, client.host, SELF, client, []);
      assert.deepEqual((await ask(1000)).tcp, tcp);
      assert.equal((await ipv4Addresses(client.host, SERVER_NAME))[0], lsi);
      assert.equal((await hip(again, "down")).code, 0);
    });
  },
});

Deno.test({
  name: "what was connected by LSI does not leave the host in clear when the agent is killed",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ lab, client, server }) => {
      await startFixture(server.host, "ipv4_program.ts", "serve");
      const [lsi] = await ipv4Addresses(client.host, SERVER_NAME);
      const talk = `exec 3<>/dev/tcp/${lsi}/7007; while echo x >&3; do sleep 0.2; done`;
      const talker = client.host.spawn(["bash", "-c", talk]);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await associationWith(client, server);
      const capture = await Capture.start(lab);
      client.process.kill("SIGKILL");
      await client.process.status;
      await new Promise((resolve) => setTimeout(resolve, 2500));
      const packets = await capture.packets();
      assert.deepEqual(packets.filter(({ protocol }) => protocol === "tcp"), []);
      talker.kill("SIGKILL");
      assert.match(await shell(client.host, "ip -4 rule show"), /from 198\.1[89]\.\S+ prohibit/);
    }),
});
