/**
 * What `hip up` and `hip down` do to a host, in the background form that users start.
 *
 * ```
 *   client                      router                        server
 *   hip up, hip down, kill -9   DNS for hip.test              web server, no HIP
 *   10.99.1.10, fd00:1::10      10.99.1.1, fd00:1::1 ...      10.99.2.80, fd00:2::80
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { CLIENT_ADDRESSES, type Lab, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import { startDns, startWeb } from "../../lib/lab/services.ts";
import { CANNOT_RUN, fetchPage, hipAt, PAGE, SELF, withLab } from "../support/system.ts";
import { assertAsBefore, modeOf, shell, snapshot } from "../support/system_host.ts";

const URL_BY_NAME = `http://${SERVER_NAME}/`;

/** What a name without HIP data resolves to. */
const RESOLVE = `getent ahosts ${SERVER_NAME}; getent hosts ${SERVER_NAME}`;

/** Forms that /etc/resolv.conf has on real hosts; each must come back octet for octet. */
const RESOLV_CONFS: Readonly<Record<string, string>> = {
  "a plain file":
    `printf 'search example.test\\n# by hand\\nnameserver ${CLIENT_ADDRESSES.gatewayIpv6}' ` +
    "> /etc/resolv.conf && chmod 640 /etc/resolv.conf && " +
    "printf 'precedence ::ffff:0:0/96 100\\n' > /etc/gai.conf",
  "a symbolic link": "mv /etc/resolv.conf /etc/real.conf && " +
    "ln -s ../etc/real.conf /etc/resolv.conf && rm -f /etc/gai.conf",
};

/** A lab with a server that knows nothing of HIP. */
function withPlainServer(test: (lab: Lab, stateFolder: string) => Promise<void>): Promise<void> {
  return withLab("both", async (lab) => {
    const { ipv4, ipv6 } = SERVER_ADDRESSES;
    const { gatewayIpv4, gatewayIpv6 } = CLIENT_ADDRESSES;
    const entries = [{ label: "www", ipv4, ipv6 }];
    await Promise.all([
      startDns(lab.router, `${lab.folder}/dns`, [gatewayIpv6, gatewayIpv4], entries, SELF),
      startWeb(lab.server, SELF, PAGE),
      startWeb(lab.client, SELF, PAGE),
    ]);
    await test(lab, `${lab.folder}/state`);
  });
}

/** Fetches over and over while `action` goes on, by name, by both families and both ways. */
async function whilePlainTrafficFlows(
  { client, server }: Lab,
  action: () => Promise<void>,
): Promise<void> {
  const bad: string[] = [];
  let ok = 0;
  let isOver = false;
  const fetches = [
    [client, URL_BY_NAME],
    [client, `http://${SERVER_ADDRESSES.ipv4}/`],
    [client, `http://[${SERVER_ADDRESSES.ipv6}]/`],
    [server, `http://[${CLIENT_ADDRESSES.ipv6}]/`],
  ] as const;
  const watching = (async () => {
    while (!isOver) {
      for (const [host, url] of fetches) {
        const { page, code, seconds } = await fetchPage(host, url);
        if (page === PAGE && seconds < 3) ok++;
        else bad.push(`${url} from the ${host.name}: ${code} after ${seconds} s`);
      }
    }
  })();
  try {
    await action();
  } finally {
    isOver = true;
    await watching;
  }
  assert.deepEqual(bad, []);
  assert.ok(ok >= 10, `${ok} plain fetches`);
}

for (const [form, prepare] of Object.entries(RESOLV_CONFS)) {
  Deno.test({
    name: `HLP-026 HLP-050 HLP-072 up and down leave a host as it was; its resolv.conf ` +
      `is ${form}`,
    ignore: CANNOT_RUN,
    fn: () =>
      withPlainServer(async (lab, stateFolder) => {
        const host = lab.client;
        await shell(host, prepare);
        const before = await snapshot(host);
        const answer = await shell(host, RESOLVE);
        await whilePlainTrafficFlows(lab, async () => {
          const up = await hipAt(host, stateFolder, "up");
          assert.equal(up.code, 0, up.stderr);
          assert.match(up.stdout, /^hip is up\. {2}2001:22:[0-9a-f:]+ {2}\(ECDSA P-256, /);
          assert.equal(up.stderr, "");
          const status = await hipAt(host, stateFolder, "status", "--json");
          const again = await hipAt(host, stateFolder, "up");
          assert.equal(again.code, 0);
          assert.equal(again.stdout, "hip is already up.\n");
          const statusAgain = await hipAt(host, stateFolder, "status", "--json");
          const { processId } = JSON.parse(status.stdout);
          assert.equal(JSON.parse(statusAgain.stdout).processId, processId);
          assert.equal((await hipAt(host, stateFolder, "wait")).code, 0);
          assert.match(await shell(host, "cat /etc/resolv.conf"), /^nameserver 127\.0\.0\.1$/m);
          assert.match(await shell(host, "cat /etc/gai.conf"), /2001:20::\/28/);
          assert.match(await shell(host, "ip -6 addr show dev hip0"), /inet6 2001:22:/);
          assert.equal(await shell(host, RESOLVE), answer, "as if HIP were absent");

          const down = await hipAt(host, stateFolder, "down");
          assert.equal(down.code, 0, down.stderr);
          assert.equal(down.stdout, "hip is down.\n");
          await assertAsBefore(host, before);
          const downAgain = await hipAt(host, stateFolder, "down");
          assert.equal(downAgain.code, 0);
          assert.equal(downAgain.stdout, "hip is not up.\n");
          await assertAsBefore(host, before);
        });
      }),
  });

  Deno.test({
    name: `DNS-202 DNS-203 DNS-207 After SIGKILL the next up or down repairs a ` +
      `resolv.conf that is ${form}`,
    ignore: CANNOT_RUN,
    fn: () =>
      withPlainServer(async (lab, stateFolder) => {
        const host = lab.client;
        await shell(host, prepare);
        const before = await snapshot(host);
        const upAndKill = async () => {
          const up = await hipAt(host, stateFolder, "up");
          assert.equal(up.code, 0, up.stderr);
          Deno.kill(Number(await Deno.readTextFile(`${stateFolder}/hip.pid`)), "SIGKILL");
          await shell(host, "while [ -e /sys/class/net/hip0 ]; do sleep 0.02; done");
          assert.match(await shell(host, "cat /etc/resolv.conf"), /127\.0\.0\.1/);
        };
        await upAndKill();
        // A second life on top of the first one's leftovers, and its orderly end.
        const up = await hipAt(host, stateFolder, "up");
        assert.equal(up.code, 0, up.stderr);
        assert.equal((await fetchPage(host, URL_BY_NAME)).page, PAGE, "names resolve");
        assert.equal((await hipAt(host, stateFolder, "down")).code, 0);
        await assertAsBefore(host, before);

        await upAndKill();
        const down = await hipAt(host, stateFolder, "down");
        assert.equal(down.code, 0, down.stderr);
        assert.match(down.stdout, /restored/);
        await assertAsBefore(host, before);
        assert.equal((await fetchPage(host, URL_BY_NAME)).page, PAGE);
      }),
  });
}

Deno.test({
  name: "Keys and the control socket are for root alone; SIGTERM ends the agent as down does",
  ignore: CANNOT_RUN,
  fn: () =>
    withPlainServer(async (lab, stateFolder) => {
      const host = lab.client;
      const before = await snapshot(host);
      const waiting = hipAt(host, stateFolder, "wait", "--timeout", "20");
      assert.equal((await hipAt(host, stateFolder, "up")).code, 0);
      assert.equal((await waiting).code, 0, "a wait that began before up");
      const keys = [...Deno.readDirSync(`${stateFolder}/identities`)];
      const pem = keys.filter(({ name }) => name.endsWith(".pem"));
      assert.equal(pem.length, 1);
      assert.equal(await modeOf(`${stateFolder}/identities/${pem[0]!.name}`), "600");
      assert.equal(await modeOf(`${stateFolder}/hip.sock`), "600");
      assert.equal(await modeOf(stateFolder), "700");

      const pid = Number(await Deno.readTextFile(`${stateFolder}/hip.pid`));
      Deno.kill(pid, "SIGTERM");
      await shell(host, `while [ -e ${stateFolder}/hip.pid ]; do sleep 0.02; done`);
      await shell(host, `while grep -qs '^State:.[RSD]' /proc/${pid}/status; do sleep 0.02; done`);
      await assertAsBefore(host, before);
      const late = await hipAt(host, stateFolder, "wait", "--timeout", "0");
      assert.equal(late.code, 1);
      assert.match(late.stderr, /^hip wait: hip is not up/);
    }),
});
