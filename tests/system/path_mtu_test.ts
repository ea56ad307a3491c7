/**
 * Paths that carry less than the ends believe, and datagrams longer than any path.
 *
 * ```
 *   client                      router                        server
 *   hip up, ping      1500      tcpdump, smaller MTU here -->  hip up
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { type Lab, type LabHost, runCommand } from "../../lib/lab/lab.ts";
import { Capture } from "../support/system_capture.ts";
import { CANNOT_RUN, hip, hitOf, startTransfers, statusOf, withScene } from "../support/system.ts";
import { shell } from "../support/system_host.ts";
import { download, makeOctets, upload } from "../support/system_transfer.ts";

const WAYS = (["ipv4", "ipv6"] as const).flatMap((families) =>
  (["raw", "udp"] as const).map((transport) => ({ families, transport }))
);

/** Octets of the longest inner packet on a path of 1350, by family and transport. */
const INNER_MTU = {
  ipv4: { raw: 1334, udp: 1326 },
  ipv6: { raw: 1314, udp: 1306 },
} as const;

const PROTOCOL = { raw: 50, udp: 17 } as const;

async function setServerMtu(lab: Lab, mtu: number): Promise<void> {
  await shell(lab.router, `ip link set to-server mtu ${mtu}`);
  await shell(lab.server, `ip link set eth0 mtu ${mtu}`);
}

/** One ping with `size` octets behind the ICMPv6 header; what `ping` prints. */
async function ping(host: LabHost, hit: string, size: number, ...options: string[]) {
  const command = ["ping", "-6", "-c", "1", "-W", "3", "-s", String(size), ...options, hit];
  return (await host.run(command, { timeoutMs: 10_000 })).stdout;
}

/** One packet of a capture, pieces not put together: what stands in its outer header. */
interface OuterPacket {
  readonly isFragment: boolean;
  /** Octets from the start of what was cut up. */
  readonly offset: number;
  readonly protocol: number;
  readonly dontFragment: boolean;
  /** What the header says that the packet has, and what it has. */
  readonly lengths: readonly [number, number];
  /** tshark's verdict of the IPv4 header: "1" is good, "" for IPv6. */
  readonly checksum: string;
}

const FIELDS = [
  ...["ip.proto", "ip.flags.df", "ip.flags.mf", "ip.frag_offset", "ip.len", "ip.checksum.status"],
  ...["ipv6.nxt", "ipv6.fraghdr.nxt", "ipv6.fraghdr.offset", "ipv6.plen", "frame.len"],
];

const ETHERNET_HEADER = 14;

/** Those of a protocol. */
async function outerPackets(capture: Capture, wanted: number): Promise<OuterPacket[]> {
  await capture.packets();
  const { code, stdout, stderr } = await runCommand([
    ...["tshark", "-n", "-r", capture.file, "-T", "fields", "-E", "occurrence=f"],
    ...["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"],
    ...["-o", "ip.check_checksum:TRUE", ...FIELDS.flatMap((field) => ["-e", field])],
  ]);
  if (code !== 0) throw new Error(stderr);
  return stdout.split("\n").filter((line) => line !== "").map((line): OuterPacket => {
    const cells = line.split("\t");
    const text = (field: string) => cells[FIELDS.indexOf(field)] ?? "";
    const is = (field: string) => text(field) === "1" || text(field) === "True";
    const number = (field: string) => Number(text(field) || 0);
    const isV4 = text("ip.len") !== "";
    const claimed = isV4 ? number("ip.len") : number("ipv6.plen") + 40;
    return {
      isFragment: is("ip.flags.mf") || number("ip.frag_offset") > 0 ||
        text("ipv6.fraghdr.nxt") !== "",
      offset: number(isV4 ? "ip.frag_offset" : "ipv6.fraghdr.offset"),
      protocol: number(
        isV4 ? "ip.proto" : text("ipv6.fraghdr.nxt") ? "ipv6.fraghdr.nxt" : "ipv6.nxt",
      ),
      dontFragment: is("ip.flags.df"),
      lengths: [claimed, number("frame.len") - ETHERNET_HEADER],
      checksum: text("ip.checksum.status"),
    };
  }).filter(({ protocol }) => protocol === wanted);
}

for (const { families, transport } of WAYS) {
  const scene = { families, settings: [`transport=${transport}`] };

  Deno.test({
    name: (transport === "udp" ? "NAT-024 " : "") +
      `ESP-209 ESP-212 ESP-163 ESP-181 ${families} ${transport}: an application learns what a smaller path ` +
      "carries, and what it sends then is not cut up",
    ignore: CANNOT_RUN,
    fn: () =>
      withScene(scene, async ({ lab, client, server }) => {
        const hit = hitOf(server);
        assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
        const first = await ping(client.host, hit, 100);
        // The hop limit with which the peer's packet came, one router later, is the inner one.
        assert.match(first, /ttl=63/);
        await setServerMtu(lab, 1350);
        const capture = await Capture.start(lab, lab.router, "to-server");
        // The first one is lost and reported, the second one is refused with the inner MTU.
        await ping(client.host, hit, 1340, "-M", "do", "-W", "1");
        const refused = await ping(client.host, hit, 1340, "-M", "do");
        const mtu = Number(/mtu[ =](\d+)/i.exec(refused)?.[1]);
        assert.equal(mtu, INNER_MTU[families][transport], refused);
        assert.match(await ping(client.host, hit, mtu - 48, "-M", "do"), / 0% packet loss/);
        const packets = await outerPackets(capture, PROTOCOL[transport]);
        assert.ok(packets.length >= 2);
        assert.ok(packets.every(({ isFragment }) => !isFragment));
        for (const { lengths, checksum, dontFragment } of packets) {
          assert.equal(lengths[0], lengths[1]);
          if (families === "ipv4") assert.deepEqual([checksum, dontFragment], ["1", true]);
        }
        const { drops } = await statusOf(client);
        assert.ok(drops["tun-too-big"]! >= 1);
      }),
  });

  Deno.test({
    name:
      `ESP-188 ESP-189 ESP-190 ${families} ${transport}: long datagrams go into one ESP packet each, which ` +
      "crosses in pieces, also where the path carries less than 1280 octets of it",
    ignore: CANNOT_RUN,
    fn: () =>
      withScene(scene, async ({ lab, client, server }) => {
        const hit = hitOf(server);
        assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
        const capture = await Capture.start(lab, lab.router, "to-server");
        assert.match(await ping(client.host, hit, 4000), / 0% packet loss/);
        const packets = await outerPackets(capture, PROTOCOL[transport]);
        assert.ok(packets.length >= 6 && packets.every(({ isFragment }) => isFragment));
        // One beginning each way: one ESP header.
        assert.equal(packets.filter(({ offset }) => offset === 0).length, 2);
        await setServerMtu(lab, 1280);
        for (let i = 0; i < 2; i++) await ping(client.host, hit, 1232, "-W", "1");
        assert.match(await ping(client.host, hit, 1232), / 0% packet loss/);
        assert.match(await ping(client.host, hit, 4000), / 0% packet loss/);
      }),
  });

  Deno.test({
    name: `${families} ${transport}: megabytes cross a path of 1280 octets, in pieces`,
    ignore: CANNOT_RUN,
    fn: () =>
      withScene(scene, async ({ lab, client, server }) => {
        const length = 3_000_000;
        const hash = await startTransfers(server.host, length);
        assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
        await setServerMtu(lab, 1280);
        const capture = await Capture.start(lab, lab.router, "to-server");
        const octets = await makeOctets(lab, length);
        await upload(client.host, SERVER_NAME, octets, "100M").isWhole;
        const copy = `${lab.folder}/copy`;
        await download(client.host, SERVER_NAME, { copy, length, hash }, "100M").isWhole;
        const packets = await outerPackets(capture, PROTOCOL[transport]);
        const pieces = packets.filter(({ isFragment }) => isFragment);
        assert.ok(pieces.length > 2 * 4000, `${pieces.length} of ${packets.length}`);
        for (const agent of [client, server]) {
          const { drops } = await statusOf(agent);
          assert.equal(drops["send-failed"] ?? 0, 0);
        }
      }),
  });
}
