/**
 * Which address programs of several C libraries take first, on hosts with several kinds of IPv6.
 *
 * ```
 *   client                         router                     server
 *   hip, clients by glibc, musl,   DNS for hip.test,          hip, web server
 *   Python, curl                   counts HITs that pass
 * ```
 */

import assert from "node:assert/strict";
import { formatHit } from "../../lib/identity/hit.ts";
import { hipRdata, prepareIdentity, SERVER_NAME, startLabAgent } from "../../lib/lab/agents.ts";
import {
  CLIENT_ADDRESSES,
  type Lab,
  type LabFamilies,
  type LabHost,
  runCommand,
  SERVER_ADDRESSES,
} from "../../lib/lab/lab.ts";
import { startDns, startWeb, waitFor } from "../../lib/lab/services.ts";
import { CANNOT_RUN, fetchPage, hipAt, PAGE, SELF, withLab } from "../support/system.ts";
import { shell } from "../support/system_host.ts";

const SOURCE = new URL("fixtures/first_address.c", import.meta.url).pathname;
const { gatewayIpv4, gatewayIpv6 } = CLIENT_ADDRESSES;

/** The same in Python, whose getaddrinfo() is that of glibc. */
const PYTHON = `import socket, sys
list = socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)
print("\\n".join(each[4][0] for each in list))
connection = socket.create_connection((sys.argv[1], 80), 10)
print("connected", connection.getpeername()[0], "from", connection.getsockname()[0])`;

/** What a program says. */
interface Outcome {
  readonly order: readonly string[];
  readonly remote: string;
  readonly local: string;
}

interface OrderScene {
  readonly lab: Lab;
  /** HITs of both. */
  readonly clientHit: string;
  readonly serverHit: string;
  /** Runs one of "glibc", "musl", "python". */
  readonly ask: (library: string, name?: string, ...args: string[]) => Promise<Outcome>;
}

interface OrderOptions {
  readonly families?: LabFamilies;
  /** The server's address in the zone. */
  readonly ipv6?: string;
  /** Called when links are there and nothing runs. */
  readonly prepare?: (lab: Lab) => Promise<void>;
}

async function withOrder(
  { families = "both", ipv6, prepare }: OrderOptions,
  test: (scene: OrderScene) => Promise<void>,
): Promise<void> {
  await withLab(families, async (lab) => {
    const programs = {
      glibc: [`${lab.folder}/glibc`],
      musl: [`${lab.folder}/musl`],
      python: ["python3", "-c", PYTHON],
    } as const;
    for (const [compiler, library] of [["gcc", "glibc"], ["musl-gcc", "musl"]] as const) {
      const flags = library === "musl" ? ["-static"] : [];
      const built = await runCommand([compiler, ...flags, "-o", programs[library][0], SOURCE]);
      assert.equal(built.code, 0, built.stderr);
    }
    await prepare?.(lab);
    await shell(
      lab.router,
      "nft 'add table ip6 watch; add chain ip6 watch in { type filter hook prerouting priority 0; };" +
        "add rule ip6 watch in ip6 saddr 2001:20::/28 counter;" +
        "add rule ip6 watch in ip6 daddr 2001:20::/28 counter'",
    );
    const [atClient, atServer] = [
      prepareIdentity(lab, "client", "ecdsa-p256"),
      prepareIdentity(lab, "server", "ecdsa-p256"),
    ];
    const address = { ipv4: SERVER_ADDRESSES.ipv4, ...ipv6 === undefined ? {} : { ipv6 } };
    const entries = [
      { label: "www", hip: hipRdata(atServer.identity), ...address },
      { label: "plain", ...address },
    ];
    const listen = families === "ipv4" ? [gatewayIpv4] : [gatewayIpv6, gatewayIpv4];
    await Promise.all([
      startDns(lab.router, `${lab.folder}/dns`, listen, entries, SELF),
      startWeb(lab.server, SELF, PAGE),
    ]);
    // resolv.conf of the server names a gateway of its own side, on which nothing listens.
    await Promise.all([
      startLabAgent(lab, lab.client, SELF, atClient, []),
      startLabAgent(lab, lab.server, SELF, atServer, ["resolver=none"]),
    ]);
    await test({
      lab,
      clientHit: formatHit(atClient.identity.hit),
      serverHit: formatHit(atServer.identity.hit),
      ask: (library, name = SERVER_NAME, ...args) =>
        askBy(lab.client, programs[library as keyof typeof programs], library, name, args),
    });
    const counters = await shell(lab.router, "nft list table ip6 watch");
    assert.deepEqual(counters.match(/packets \d+/g), ["packets 0", "packets 0"], "HITs in clear");
  });
}

async function askBy(
  host: LabHost,
  program: readonly string[],
  library: string,
  name: string,
  args: readonly string[],
): Promise<Outcome> {
  const port = library === "python" ? [] : ["80"];
  const { code, stdout, stderr } = await host.run([...program, name, ...port, ...args], {
    timeoutMs: 15_000,
  });
  assert.equal(code, 0, `${library}: ${stdout}${stderr}`);
  const lines = stdout.trim().split("\n");
  const [, remote = "", local = ""] = /^connected (\S+) from (\S+)$/.exec(lines.pop()!) ?? [];
  return { order: lines, remote, local };
}

/** Gives both hosts one more address, and the router the way there. */
async function addAddresses(lab: Lab, client: string, server: string): Promise<void> {
  for (
    const [host, address, side, via] of [
      [lab.client, client, "to-client", CLIENT_ADDRESSES.ipv6],
      [lab.server, server, "to-server", SERVER_ADDRESSES.ipv6],
    ] as const
  ) {
    await shell(host, `ip -6 address add ${address}/64 dev eth0 nodad noprefixroute`);
    await shell(lab.router, `ip -6 route add ${address} via ${via} dev ${side}`);
  }
}

Deno.test({
  name:
    "DNS-226 On a host without IPv6 programs of every library go over HIP, and plain names lose no time",
  ignore: CANNOT_RUN,
  fn: () =>
    withOrder({
      families: "ipv4",
      // In the zone, but out of reach.
      ipv6: SERVER_ADDRESSES.ipv6,
      prepare: async ({ client }) => {
        await shell(
          client,
          "for scope in all default; do echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done",
        );
      },
    }, async ({ lab, clientHit, serverHit, ask }) => {
      for (const library of ["glibc", "musl", "python"]) {
        const { order, remote, local } = await ask(library);
        if (library === "musl") {
          // It asks for IPv4 alone where not even ::1 is there: the LSI leads over HIP all the same.
          for (const address of [order[0]!, remote, local]) assert.match(address, /^198\.1[89]\./);
        } else {
          assert.equal(order[0], serverHit, `${library}: ${order}`);
          assert.deepEqual([remote, local], [serverHit, clientHit], library);
        }
        const begun = performance.now();
        const plain = await ask(library, "plain.hip.test");
        const took = performance.now() - begun;
        assert.equal(plain.remote, SERVER_ADDRESSES.ipv4, library);
        assert.ok(took < 2000, `${library} took ${took} ms`);
      }
      assert.equal((await ask("glibc", SERVER_NAME, "6")).order[0], serverHit);
      const page = await fetchPage(lab.client, `http://${SERVER_NAME}/`);
      assert.deepEqual([page.page, page.remote], [PAGE, serverHit]);
    }),
});

Deno.test({
  name:
    "DNS-216 DNS-219 DNS-224 Beside a native address of the same subnet glibc and Python come to the HIT first, and musl does not",
  ignore: CANNOT_RUN,
  fn: () =>
    withOrder({
      ipv6: "2001:db8:1::80",
      prepare: (lab) => addAddresses(lab, "2001:db8:1::10", "2001:db8:1::80"),
    }, async ({ lab, clientHit, serverHit, ask }) => {
      for (const library of ["glibc", "python"]) {
        const { order, remote, local } = await ask(library);
        const expected = [serverHit, "2001:db8:1::80", SERVER_ADDRESSES.ipv4];
        assert.deepEqual(order, expected, library);
        assert.deepEqual([remote, local], [serverHit, clientHit], library);
      }
      const page = await fetchPage(lab.client, `http://${SERVER_NAME}/`);
      assert.deepEqual([page.page, page.remote], [PAGE, serverHit]);
      // It knows no gai.conf, and the native pair has the longer common prefix (RFC 6724 rule 9).
      assert.deepEqual((await ask("musl")).order.slice(0, 2), ["2001:db8:1::80", serverHit]);
      // A native destination never gets a HIT as its source.
      const plain = await ask("glibc", "plain.hip.test", "6");
      assert.deepEqual([plain.remote, plain.local], ["2001:db8:1::80", "2001:db8:1::10"]);

      // It is the table that does it.
      assert.equal((await hipAt(lab.client, `${lab.folder}/client`, "status")).code, 0);
      await shell(lab.client, "mv /etc/gai.conf /etc/gai.conf.away");
      assert.equal((await ask("glibc")).order[0], "2001:db8:1::80");
      await shell(lab.client, "mv /etc/gai.conf.away /etc/gai.conf");
    }),
});

Deno.test({
  name:
    "With a global IPv6 address, of a far peer and of one that prefers IPv4, the HIT is first for every library",
  ignore: CANNOT_RUN,
  fn: () =>
    withOrder({
      ipv6: "2a00:1450:4001::80",
      prepare: async (lab) => {
        await addAddresses(lab, "2001:db8:1::10", "2a00:1450:4001::80");
        // As on hosts whose owner trusts IPv4 more.
        await shell(lab.client, "echo precedence ::ffff:0:0/96 100 > /etc/gai.conf");
      },
    }, async ({ lab, clientHit, serverHit, ask }) => {
      for (const library of ["glibc", "musl", "python"]) {
        const { order, remote, local } = await ask(library);
        assert.equal(order[0], serverHit, `${library}: ${order}`);
        assert.deepEqual([remote, local], [serverHit, clientHit], library);
      }
      const plain = await ask("glibc", "plain.hip.test");
      assert.equal(plain.remote, SERVER_ADDRESSES.ipv4, "their order of other addresses is kept");
      const page = await fetchPage(lab.client, `http://${SERVER_NAME}/`);
      assert.deepEqual([page.page, page.remote], [PAGE, serverHit]);
    }),
});

Deno.test({
  name:
    "DNS-223 With a default route for IPv6 but no address, no HIT leaves as a source, and programs go on at once",
  ignore: CANNOT_RUN,
  fn: () =>
    withOrder({
      families: "both",
      ipv6: "2a00:1450:4001::80",
      prepare: async ({ client, router }) => {
        const line = await shell(router, "ip -6 -o address show dev to-client scope link");
        const gateway = /inet6 (fe80:[0-9a-f:]+)/.exec(line)![1]!;
        await shell(
          client,
          `ip -6 address flush dev eth0 scope global; echo nameserver ${gatewayIpv4} > /etc/resolv.conf
           ip -6 route replace default via ${gateway} dev eth0`,
        );
      },
    }, async ({ lab, clientHit, serverHit, ask }) => {
      for (const library of ["glibc", "musl", "python"]) {
        const { remote, local } = await ask(library);
        assert.deepEqual([remote, local], [serverHit, clientHit], library);
        const begun = performance.now();
        assert.equal((await ask(library, "plain.hip.test")).remote, SERVER_ADDRESSES.ipv4, library);
        const took = performance.now() - begun;
        assert.ok(took < 2000, `${library} took ${took} ms`);
      }
      const host = lab.client;
      const direct = await fetchPage(host, "http://[2a00:1450:4001::80]/");
      assert.notEqual(direct.code, 0);
      assert.ok(direct.seconds < 1, "refused at once");

      // An address appears: from now on it is the source.
      const { ipv6 } = CLIENT_ADDRESSES;
      await shell(host, `ip -6 address add ${ipv6}/64 dev eth0 nodad`);
      await waitFor("IPv6 beyond the link", async () => {
        const route = await host.run(["ip", "-6", "route", "get", SERVER_ADDRESSES.ipv6]);
        return route.stdout.includes(`src ${ipv6}`);
      });
      const native = await fetchPage(host, `http://[${SERVER_ADDRESSES.ipv6}]/`);
      assert.equal(native.page, PAGE);
    }),
});
