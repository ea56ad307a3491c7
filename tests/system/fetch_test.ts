/**
 * A page fetched by name: stock programs, getaddrinfo, the proxy, the base exchange and ESP, as in
 * the example of the 2003 paper. A capture on the router is the witness.
 *
 * ```
 *   client                       router                       server
 *   hip up, curl, getent         DNS for hip.test             hip up, web server
 *   10.99.1.10, fd00:1::10  ---  capture on both links  ---   10.99.2.80, fd00:2::80
 * ```
 */

import assert from "node:assert/strict";
import type { IdentityKind } from "../../lib/identity/host_identity.ts";
import type { Transport } from "../../lib/hip/transport.ts";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { CLIENT_ADDRESSES, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import {
  associationWith,
  CANNOT_RUN,
  fetchPage,
  hitOf,
  PAGE,
  type Scene,
  SEQUENTIAL,
  withScene,
} from "../support/system.ts";
import { arrivals, Capture, isHitText, type SeenPacket } from "../support/system_capture.ts";

const URL_BY_NAME = `http://${SERVER_NAME}/`;

/** Kinds of the client's and the server's identity. */
const PAIRS: readonly (readonly [IdentityKind, IdentityKind])[] = [
  ["rsa", "rsa"],
  ["ecdsa-p256", "ecdsa-p256"],
  ["ed25519", "ed25519"],
  ["ecdsa-p384", "rsa"],
];

type Carrier = "ipv6" | "ipv4";

const HOSTS: Record<Carrier, readonly [string, string]> = {
  ipv6: [CLIENT_ADDRESSES.ipv6, SERVER_ADDRESSES.ipv6],
  ipv4: [CLIENT_ADDRESSES.ipv4, SERVER_ADDRESSES.ipv4],
};

/** The ways by which the packets between the two hosts may be explained. */
function betweenHosts(packets: readonly SeenPacket[], carrier: Carrier): SeenPacket[] {
  const hosts = HOSTS[carrier];
  return packets.filter(({ source, destination }) =>
    hosts.includes(source) && hosts.includes(destination)
  );
}

function assertOnlyHipOnTheWire(
  packets: readonly SeenPacket[],
  carrier: Carrier,
  transport: Transport,
): void {
  const arrived = arrivals(packets);
  const between = betweenHosts(arrived, carrier);
  const kinds = new Set(between.map(({ protocol }) => protocol));
  assert.deepEqual([...kinds].sort(), ["esp", "hip"], "only HIP and ESP pass between the hosts");
  for (const { isInUdp, udpChecksum } of between) {
    assert.equal(isInUdp, transport === "auto");
    // Of ESP as of HIP; what stands there on this link is completed by whoever sends it farther.
    if (isInUdp) assert.notEqual(udpChecksum[0], "0x0000");
  }

  const control = between.filter(({ protocol }) => protocol === "hip");
  const types = control.map(({ hipType }) => hipType);
  const times = control.map(({ time }) => time).join(" ");
  assert.deepEqual(types, [1, 2, 3, 4], `one I1, R1, I2, R2, not ${types} at ${times}`);
  for (const packet of control) {
    assert.equal(packet.hipChecksum, "1", `checksum of packet type ${packet.hipType}`);
  }
  assert.deepEqual(
    between.slice(0, 4).map(({ protocol }) => protocol),
    ["hip", "hip", "hip", "hip"],
    "no data before the exchange has ended",
  );
  assert.equal(new Set(between.flatMap(({ spi }) => spi || [])).size, 2, "one SPI each way");

  for (const { source, destination, target } of packets) {
    assert.ok(!isHitText(source) && !isHitText(destination), "no HIT in an IP header");
    assert.ok(!isHitText(target), "no neighbour is asked for a HIT");
  }
  // Everything else that crosses a link is names asked of the router, and the links' own housekeeping.
  for (const packet of arrived) {
    if (between.includes(packet) || packet.source === packet.destination) continue;
    const isName = packet.protocol === "udp" && packet.udpPort.split(" ").includes("53");
    assert.ok(
      isName || ["icmpv6", "arp", "igmp"].includes(packet.protocol),
      `unexpected: ${JSON.stringify(packet)}`,
    );
  }
}

async function fetchBothWays(
  { client, server }: Scene,
  carrier: Carrier,
  transport: Transport,
): Promise<void> {
  const first = await fetchPage(client.host, URL_BY_NAME);
  assert.equal(first.code, 0, "curl succeeds");
  assert.equal(first.page, PAGE);
  assert.equal(first.remote, hitOf(server), "curl is connected to the HIT");

  const atClient = await associationWith(client, server);
  const atServer = await associationWith(server, client);
  assert.equal(atClient.state, "ESTABLISHED");
  assert.equal(atServer.state, "ESTABLISHED");
  assert.equal(atClient.inboundSpi, atServer.outboundSpi);
  assert.equal(atClient.outboundSpi, atServer.inboundSpi);
  const [clientAddress, serverAddress] = HOSTS[carrier];
  assert.equal(atClient.localAddress, clientAddress);
  assert.equal(atClient.peerAddress, serverAddress);
  for (const { transport: seen } of [atClient, atServer]) {
    assert.equal(seen, transport === "auto" ? "UDP 10500" : "ESP");
  }

  const second = await fetchPage(client.host, URL_BY_NAME);
  assert.equal(second.page, PAGE);
  const back = await fetchPage(server.host, `http://[${hitOf(client)}]/`);
  assert.equal(back.page, PAGE, "the server fetches from the client by HIT");
  const later = await associationWith(client, server);
  assert.equal(later.inboundSpi, atClient.inboundSpi);
  assert.equal(later.outboundSpi, atClient.outboundSpi);
}

for (const [place, carrier] of (["ipv6", "ipv4"] as const).entries()) {
  for (const [index, [clientKind, serverKind]] of PAIRS.entries()) {
    // Every pair of kinds over both, and both over IPv4 and IPv6.
    const transport: Transport = (index + place) % 2 === 0 ? "auto" : "raw";
    Deno.test({
      name: (transport === "auto" ? "NAT-009 NAT-010 NAT-014 NAT-017 " : "") +
        `HLP-005 HLP-037 HLP-038 HLP-042 HLP-047 HLP-055 HLP-056 HLP-059 A page is ` +
        `fetched by name over ${carrier} between ${clientKind} and ${serverKind}, transport ${transport}`,
      ignore: CANNOT_RUN,
      fn: async () => {
        let capture: Capture | undefined;
        await withScene({
          families: carrier,
          clientKind,
          serverKind,
          settings: [`transport=${transport}`],
          beforeAgents: async (lab) => {
            capture = await Capture.start(lab);
          },
        }, async (scene) => {
          await fetchBothWays(scene, carrier, transport);
          assertOnlyHipOnTheWire(await capture!.packets(), carrier, transport);
        });
      },
    });
  }
}

Deno.test({
  name: "HLP-045 getaddrinfo puts the HIT first, then the " +
    "addresses",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ client, server }) => {
      const hit = hitOf(server);
      const { ipv4, ipv6 } = SERVER_ADDRESSES;
      const ask = async (database: string) => {
        const { stdout } = await client.host.run(["getent", database, SERVER_NAME]);
        const streams = stdout.split("\n").filter((line) => line.includes("STREAM"));
        return streams.map((line) => line.split(/\s+/)[0]);
      };
      assert.deepEqual(await ask("ahosts"), [hit, ipv6, ipv4]);
      assert.deepEqual(await ask("ahostsv6"), [hit, ipv6]);
      const [lsi, ...natives] = await ask("ahostsv4");
      assert.match(lsi!, /^198\.1[89]\./, "a program of IPv4 gets what stands for the HIT first");
      assert.deepEqual(natives, [ipv4]);
      const plain = await client.host.run(["getent", "ahosts", "ns.hip.test"]);
      assert.match(plain.stdout, /^fd00:1::1 /, "a name without HIP data is as without HIP");
      const direct = await client.host.run(["getent", "hosts", SERVER_NAME]);
      assert.match(direct.stdout, new RegExp(`^${hit} `), "gethostbyname2 gives it first too");
    }),
});

Deno.test({
  name: "HLP-055 A hundred connections share one association; HLP-043 checksums are over HITs",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ lab, client, server }) => {
      const router = await Capture.start(lab);
      // Where they arrive: the kernel leaves the checksums of what it sends to the agent.
      const atClient = await Capture.start(lab, client.host, "hip0");
      const atServer = await Capture.start(lab, server.host, "hip0");
      const { code, stdout } = await client.host.run([
        ...[
          "curl",
          "-s",
          "--no-keepalive",
          "-H",
          "Connection: close",
          "--max-time",
          "20",
          ...SEQUENTIAL,
        ],
        ...["--parallel", "--parallel-immediate", "--parallel-max", "100"],
        ...["-w", "%{remote_ip}\n", "-o", "/dev/null", `http://${SERVER_NAME}/[1-100]`],
      ], { timeoutMs: 25_000 });
      assert.equal(code, 0);
      assert.deepEqual(stdout.trim().split("\n"), Array(100).fill(hitOf(server)));
      const control = arrivals(await router.packets())
        .filter(({ protocol }) => protocol === "hip");
      assert.deepEqual(control.map(({ hipType }) => hipType), [1, 2, 3, 4]);
      const segments = [
        ...(await atClient.packets()).filter(({ source }) => source === hitOf(server)),
        ...(await atServer.packets()).filter(({ source }) => source === hitOf(client)),
      ].filter(({ protocol }) => protocol === "tcp");
      // Of each connection at least SYN, its answer, the request and the page.
      assert.ok(segments.length >= 400, `${segments.length} segments seen`);
      for (const { source, destination, tcpChecksum } of segments) {
        assert.ok(isHitText(source) && isHitText(destination));
        assert.equal(tcpChecksum, "1");
      }
    }),
});
