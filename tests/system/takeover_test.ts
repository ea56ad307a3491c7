/**
 * The resolver of a client in its forms on real hosts: systemd-resolved, NetworkManager and
 * resolvconf, each Debian's own or what it leaves behind, with changes of servers while hip is up.
 *
 * ```
 *   client                         router                          server
 *   hip, systemd-resolved or       DNS for hip.test on             hip, web server
 *   NetworkManager                 10.99.1.1 and fd00:1::1
 * ```
 */

import assert from "node:assert/strict";
import { type LabAgent, SERVER_NAME } from "../../lib/lab/agents.ts";
import { CLIENT_ADDRESSES, type LabHost, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import { startDns, waitFor } from "../../lib/lab/services.ts";
import {
  CANNOT_RUN,
  fetchPage,
  hip,
  hipAt,
  hitOf,
  PAGE,
  SELF,
  statusOf,
  untilStatus,
  withLab,
  withScene,
} from "../support/system.ts";
import { assertAsBefore, shell, snapshot } from "../support/system_host.ts";
import {
  resolvectl,
  setNetworkManagerDns,
  startBus,
  startNetworkManager,
  startResolved,
  UNPACKED_ENV,
} from "../support/system_services.ts";

const { gatewayIpv4, gatewayIpv6, ipv4 } = CLIENT_ADDRESSES;

/** The page of the server by its name, over HIP. */
async function fetchesOverHip(client: LabAgent, server: LabAgent): Promise<void> {
  const { page, remote } = await fetchPage(client.host, `http://${SERVER_NAME}/`);
  assert.equal(page, PAGE);
  assert.equal(remote, hitOf(server));
}

/** Ends an agent as a crash would. */
async function kill({ host, stateFolder }: LabAgent): Promise<void> {
  Deno.kill(Number(await Deno.readTextFile(`${stateFolder}/hip.pid`)), "SIGKILL");
  await shell(host, "while [ -e /sys/class/net/hip0 ]; do sleep 0.02; done");
}

const firstAddress = async (host: LabHost) =>
  (await shell(host, `getent ahosts ${SERVER_NAME} | head -1`)).split(" ")[0];

Deno.test({
  name:
    "DNS-208 DNS-209 DNS-210 systemd-resolved sends all names to the proxy, by its settings for hip0",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({
      beforeAgents: async ({ client }) => {
        await startBus(client);
        await startResolved(client, gatewayIpv6);
      },
    }, async ({ client, server }) => {
      const { host } = client;
      const { dns } = await statusOf(client);
      assert.deepEqual(dns.takeOver, ["systemd-resolved"]);
      assert.deepEqual(dns.upstream, [gatewayIpv6]);
      const link = await resolvectl(host, "status", "hip0");
      assert.match(link, /DNS Servers: 127\.0\.0\.1/);
      assert.match(link, /DNS Domain: ~\./);
      assert.match(await shell(host, "readlink /etc/resolv.conf"), /stub-resolv\.conf/);
      await fetchesOverHip(client, server);

      // Programs that ask systemd-resolved without DNS, the answer made anew and out of its cache.
      await shell(host, "sed -i 's/^hosts:.*/hosts: files resolve/' /etc/nsswitch.conf");
      for (let i = 0; i < 2; i++) {
        const { stdout } = await host.run(["getent", "ahosts", SERVER_NAME], {
          env: { ...UNPACKED_ENV },
        });
        assert.equal(stdout.split(" ")[0], hitOf(server));
      }
      await shell(host, "sed -i 's/^hosts:.*/hosts: files dns/' /etc/nsswitch.conf");

      // Another network gives another server.
      await resolvectl(host, "dns", "eth0", gatewayIpv4);
      await untilStatus(client, "the new server", ({ dns }) => dns.upstream.includes(gatewayIpv4));
      await fetchesOverHip(client, server);

      await kill(client);
      assert.doesNotMatch(await resolvectl(host, "status"), /127\.0\.0\.1$/m);
      assert.equal(await firstAddress(host), SERVER_ADDRESSES.ipv6, "names resolve without us");
      assert.match((await hip(client, "down")).stdout, /restored/);
      assert.equal(
        await shell(host, "ls /etc/gai.conf 2>&1 && grep -c 2001:20 /etc/gai.conf || true"),
        "/etc/gai.conf\n0\n",
      );
    }),
});

Deno.test({
  name: "systemd-resolved has no trace of the proxy after hip down",
  ignore: CANNOT_RUN,
  fn: () =>
    withLab("both", async (lab) => {
      const { client: host, router, folder } = lab;
      await startBus(host);
      await startResolved(host, gatewayIpv4);
      await startDns(router, `${folder}/dns`, [gatewayIpv4], [{ label: "www", ipv4 }], SELF);
      const before = await snapshot(host);
      const settings = async () => [
        await resolvectl(host, "dns"),
        await resolvectl(host, "domain"),
      ];
      const resolvedBefore = await settings();
      assert.equal((await hipAt(host, `${folder}/state`, "up")).code, 0);
      assert.equal(await firstAddress(host), ipv4);
      assert.equal((await hipAt(host, `${folder}/state`, "down")).code, 0);
      await assertAsBefore(host, before);
      assert.deepEqual(await settings(), resolvedBefore);
      assert.equal(await firstAddress(host), ipv4);
    }),
});

Deno.test({
  name:
    "DNS-204 DNS-214 NetworkManager's changes are adopted, and its file is there after hip down",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({
      families: "ipv4",
      beforeAgents: async ({ client }) => {
        await startBus(client);
        await startNetworkManager(client, ipv4, SERVER_ADDRESSES.gatewayIpv4);
      },
    }, async ({ client, server }) => {
      const { host } = client;
      const { dns } = await statusOf(client);
      assert.deepEqual(dns.takeOver, ["file"]);
      assert.deepEqual(dns.upstream, [SERVER_ADDRESSES.gatewayIpv4]);
      await fetchesOverHip(client, server);
      await setNetworkManagerDns(host, gatewayIpv4);
      await untilStatus(client, "the new server", ({ dns }) => dns.upstream[0] === gatewayIpv4);
      await waitFor("the file", async () =>
        /^nameserver 127\.0\.0\.1$/m.test(await shell(host, "cat /etc/resolv.conf")));
      await fetchesOverHip(client, server);
      assert.equal((await hip(client, "down")).code, 0);
      const expected = await shell(host, "cat /run/NetworkManager/resolv.conf");
      assert.match(expected, new RegExp(`nameserver ${gatewayIpv4}`));
      assert.equal(await shell(host, "cat /etc/resolv.conf"), expected);
      await setNetworkManagerDns(host, SERVER_ADDRESSES.gatewayIpv4);
      assert.match(await shell(host, "cat /etc/resolv.conf"), /nameserver 10\.99\.2\.1/);
    }),
});

Deno.test({
  name:
    "DNS-176 DNS-207 behind resolvconf's link its file is followed, and doctor repairs after SIGKILL",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({
      beforeAgents: async ({ client }) => {
        await shell(
          client,
          "mkdir -p /etc/resolvconf/run && mv /etc/resolv.conf /etc/resolvconf/run/resolv.conf && " +
            "ln -s resolvconf/run/resolv.conf /etc/resolv.conf",
        );
      },
    }, async ({ client, server }) => {
      const { host } = client;
      await fetchesOverHip(client, server);
      await shell(
        host,
        `echo nameserver ${gatewayIpv4} > /etc/resolvconf/run/new && ` +
          "mv /etc/resolvconf/run/new /etc/resolvconf/run/resolv.conf",
      );
      await untilStatus(client, "the new server", ({ dns }) => dns.upstream[0] === gatewayIpv4);
      await fetchesOverHip(client, server);
      await kill(client);
      const sick = await hip(client, "doctor");
      assert.equal(sick.code, 1);
      assert.match(sick.stdout, /hip doctor --repair/);
      const repaired = await hip(client, "doctor", "--repair");
      assert.equal(repaired.code, 0, repaired.stdout);
      assert.match(repaired.stdout, /\/etc\/resolv\.conf/);
      assert.equal(await shell(host, "readlink /etc/resolv.conf"), "resolvconf/run/resolv.conf\n");
      assert.doesNotMatch(await shell(host, "ip addrlabel list"), /2001:20::\/28/);
      assert.equal(await firstAddress(host), SERVER_ADDRESSES.ipv6);
    }),
});

Deno.test({
  name: "DNS-195 hip up leaves the resolver alone until a server has answered, then takes it",
  ignore: CANNOT_RUN,
  fn: () =>
    withLab("both", async (lab) => {
      const { client: host, router, folder } = lab;
      const state = `${folder}/state`;
      const before = await shell(host, "cat /etc/resolv.conf");
      const up = await hipAt(host, state, "up");
      assert.equal(up.code, 0, up.stderr);
      assert.match(up.stderr, /no DNS server answers \(fd00:1::1\)/);
      assert.match(up.stdout, /resolver: unchanged, the proxy listens on 127\.0\.0\.1/);
      assert.equal(await shell(host, "cat /etc/resolv.conf"), before);
      await startDns(router, `${folder}/dns`, [gatewayIpv6], [{ label: "www", ipv4 }], SELF);
      await waitFor("the take-over", async () =>
        /^nameserver 127\.0\.0\.1$/m.test(await shell(host, "cat /etc/resolv.conf")));
      assert.equal(await firstAddress(host), ipv4);
      const { warnings } = JSON.parse((await hipAt(host, state, "status", "--json")).stdout);
      assert.deepEqual(warnings, []);
      assert.equal((await hipAt(host, state, "down")).code, 0);
      assert.equal(await shell(host, "cat /etc/resolv.conf"), before);
    }),
});
