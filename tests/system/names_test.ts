/**
 * Names and what programs make of them: when the first HIT is answered, who may ask, and modes that
 * leave a program no way past HIP.
 *
 * ```
 *   client             router                       server
 *   hip up, curl       DNS, capture on both links   hip up, a web server
 * ```
 */

import assert from "node:assert/strict";
import { formatHit } from "../../lib/identity/hit.ts";
import {
  hipRdata,
  prepareIdentity,
  SERVER_NAME,
  startLabAgent,
  stopLabAgent,
} from "../../lib/lab/agents.ts";
import { CLIENT_ADDRESSES, type LabHost } from "../../lib/lab/lab.ts";
import { startDns } from "../../lib/lab/services.ts";
import { CANNOT_RUN, hitOf, PAGE, SELF, withLab, withScene } from "../support/system.ts";
import { Capture, type SeenPacket } from "../support/system_capture.ts";
import { shell } from "../support/system_host.ts";

/** Fetches as impatiently as browsers do: the next address is tried after a millisecond. */
async function fetchImpatiently(host: LabHost): Promise<{ page: string; remote: string }> {
  const { stdout } = await host.run([
    ...["curl", "-s", "-g", "--happy-eyeballs-timeout-ms", "1", "--max-time", "8"],
    ...["-w", "\n%{remote_ip}", `http://${SERVER_NAME}/`],
  ], { timeoutMs: 12_000 });
  const lines = stdout.split("\n");
  const remote = lines.pop() ?? "";
  return { page: lines.join("\n"), remote };
}

/** What crosses the router in clear, DNS with the router apart. */
function inClear(packets: readonly SeenPacket[]): SeenPacket[] {
  const isRouter = (address: string) => /^(10\.99\.[12]\.1|fd00:[12]::1)$/.test(address);
  return packets.filter(({ protocol, source, destination }) =>
    protocol === "tcp" && !isRouter(source) && !isRouter(destination)
  );
}

Deno.test({
  name:
    "DNS-220 DNS-221 DNS-215 the first HIT is answered when HITs can be used, and other hosts are not answered at all",
  ignore: CANNOT_RUN,
  fn: async () => {
    let watch: Promise<string> | undefined;
    await withScene({
      beforeAgents: ({ client }) => {
        // Whatever the resolver is at that time: as soon as there is a HIT, what is there for it?
        const line =
          `until getent ahostsv6 ${SERVER_NAME} | grep -q '^2001:2'; do sleep 0.01; done; ` +
          "ip -6 route show dev hip0; ip -6 -o address show dev hip0";
        watch = shell(client, line);
        watch.catch(() => {});
        return Promise.resolve();
      },
    }, async ({ client, lab }) => {
      const seen = await watch!;
      assert.match(seen, /^2001:20::\/28 /m);
      assert.ok(seen.includes(`inet6 ${hitOf(client)}/128`), seen);
      assert.match(seen, /preferred_lft forever/);
      assert.doesNotMatch(seen, /deprecated|tentative/);
      for (const address of ["10.99.1.10", "fd00:1::10"]) {
        const asked = await lab.router.run(
          ["kdig", `@${address}`, "+time=1", "+retry=0", "localhost", "A"],
        );
        assert.doesNotMatch(asked.stdout, /127\.0\.0\.1\s*$/m);
      }
      const own = await client.host.run(["kdig", "@127.0.0.1", "localhost", "A", "+short"]);
      assert.equal(own.stdout.trim(), "127.0.0.1");
    });
  },
});

Deno.test({
  name: "a program that tries all addresses at once goes over HIP alone in mode hit-only",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({ settings: ["name_mode=hit-only hip.test"] }, async ({ lab, client, server }) => {
      const capture = await Capture.start(lab);
      for (let i = 0; i < 3; i++) {
        assert.deepEqual(await fetchImpatiently(client.host), {
          page: PAGE,
          remote: hitOf(server),
        });
      }
      assert.deepEqual(inClear(await capture.packets()), []);
    }),
});

Deno.test({
  name:
    "in mode require nothing goes in clear when the peer's agent is down, or its HIP record is gone",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({ settings: ["name_mode=require hip.test"] }, async ({ lab, client, server }) => {
      assert.equal((await fetchImpatiently(client.host)).page, PAGE);
      await stopLabAgent(server, SELF);
      const capture = await Capture.start(lab);
      const { page } = await fetchImpatiently(client.host);
      assert.equal(page, "");
      // A name of the zone that has addresses and no HIP record.
      const plain = await client.host.run(["getent", "ahosts", "ns.hip.test"]);
      assert.equal(plain.stdout, "");
      assert.deepEqual(inClear(await capture.packets()), []);
    }),
});

/** First addresses that the C library gives: for either family, for IPv6 and for IPv4. */
async function firstAddresses(host: LabHost, label: string): Promise<(string | undefined)[]> {
  const first = async (database: string) => {
    const { stdout } = await host.run(["getent", database, `${label}.hip.test`]);
    return stdout.split(/\s/)[0];
  };
  return [await first("ahosts"), await first("ahostsv6"), await first("ahostsv4")];
}

for (const families of ["both", "ipv4"] as const) {
  Deno.test({
    name:
      `DNS-225 getaddrinfo gives the HIT or the LSI first, for a far peer and one of the same ` +
      `site, for AF_UNSPEC, AF_INET6 and AF_INET (${families})`,
    ignore: CANNOT_RUN,
    fn: () =>
      withLab(families, async (lab) => {
        const peer = prepareIdentity(lab, "server", "ecdsa-p256");
        const hip = hipRdata(peer.identity);
        const hasIpv6 = families === "both";
        const entries = [
          { label: "far", hip, ipv4: "10.99.2.80", ...hasIpv6 ? { ipv6: "fd00:2::80" } : {} },
          // In the networks of the client, with which their addresses have most bits in common.
          { label: "near", hip, ipv4: "10.99.1.11", ...hasIpv6 ? { ipv6: "fd00:1::11" } : {} },
        ];
        const { gatewayIpv4, gatewayIpv6 } = CLIENT_ADDRESSES;
        const listen = hasIpv6 ? [gatewayIpv6, gatewayIpv4] : [gatewayIpv4];
        await startDns(lab.router, `${lab.folder}/dns`, listen, entries, SELF);
        const prepared = prepareIdentity(lab, "client", "ecdsa-p256");
        await startLabAgent(lab, lab.client, SELF, prepared, []);
        for (const label of ["far", "near"]) {
          const [any, ipv6, ipv4] = await firstAddresses(lab.client, label);
          assert.equal(any, formatHit(peer.identity.hit), label);
          assert.equal(ipv6, formatHit(peer.identity.hit), label);
          assert.match(ipv4!, /^198\.1[89]\./, label);
        }
      }),
  });
}
