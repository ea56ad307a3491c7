/** Raw sockets between two namespaces joined by a veth pair with an MTU of 1500. */

import assert from "node:assert/strict";
import { CANNOT_RUN, join, type Namespace, withNamespaces } from "./fixtures/namespace.ts";

const UDP = 17;

interface Received {
  readonly isReceived: boolean;
  readonly length: number;
  readonly isIntact: boolean;
  readonly local: string;
  readonly peer: string;
  readonly protocol: number;
  readonly peerPort: number;
  readonly trafficClass: number;
  readonly hopLimit: number;
}

async function exchange(
  from: Namespace,
  to: Namespace,
  packet: { protocol: number; source: string; destination: string; length: number },
): Promise<Received> {
  const folder = await Deno.makeTempDir();
  try {
    const flag = `${folder}/listening`;
    const family = packet.destination.includes(":") ? "6" : "4";
    const receiving = to.fixture<Received>(
      "receive_packet.ts",
      String(packet.protocol),
      family,
      flag,
    );
    while (!await Deno.stat(flag).then(() => true, () => false)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const link = JSON.parse(await from.ip("-j link show eth0")) as { ifindex: number }[];
    const { protocol, source, destination, length } = packet;
    const args = [protocol, source, destination, length, 0xb9, 33, link[0]!.ifindex].map(String);
    assert.equal(await from.fixture("send_packet.ts", ...args), "sent");
    return await receiving;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function expected(protocol: number, peer: string, local: string, length: number): Received {
  const peerPort = protocol === UDP ? 10500 : 0;
  const header = { protocol, peerPort, trafficClass: 0xb9, hopLimit: 33 };
  return { isReceived: true, isIntact: true, length, local, peer, ...header };
}

/** Source, destination; each address of two, so that the choice of the source shows. */
const PATHS = [["10.0.0.11", "10.0.0.2"], ["fd00::11", "fd00::2"], ["fe80::1", "fe80::2"]] as const;

for (const [source, destination] of PATHS) {
  Deno.test({
    name: `Packets from ${source} to ${destination} carry both addresses, class and hop limit`,
    ignore: CANNOT_RUN,
    fn: () =>
      withNamespaces(2, async (a, b) => {
        await join(a, b);
        await a.ip("addr add 10.0.0.11/24 dev eth0");
        await a.ip("addr add fd00::11/64 dev eth0 nodad");
        for (const protocol of [139, 50, UDP]) {
          const packet = { protocol, source, destination, length: 400 };
          const received = await exchange(a, b, packet);
          assert.deepEqual(received, expected(protocol, source, destination, 400));
        }
      }),
  });
}

Deno.test({
  name: "HDR-018 HDR-019 HDR-020 HIP packets above the MTU cross in fragments, IPv4 and IPv6",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(2, async (a, b) => {
      await join(a, b);
      for (const [source, destination] of [["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"]]) {
        const packet = { protocol: 139, source: source!, destination: destination!, length: 2008 };
        const received = await exchange(a, b, packet);
        assert.deepEqual(received, expected(139, source!, destination!, 2008));
      }
    }),
});

interface Batches {
  readonly isBatched: boolean;
  readonly failures: string[];
  readonly received: number;
  readonly wrong: string[];
  readonly overflow: string;
}

for (const family of ["6", "4"]) {
  for (const mode of ["", "refuse"]) {
    const how = mode === "" ? "in batches" : "one by one where the kernel refuses batches";
    Deno.test({
      name: `Packets over IPv${family} go ${how}, each with its own path, errors counted for each`,
      ignore: CANNOT_RUN,
      fn: () =>
        withNamespaces(1, async (a) => {
          await a.ip("addr add fd00::11/128 dev lo nodad");
          const seen = await a.fixture<Batches>("send_batch.ts", family, mode);
          const failures = ["20 unreachable", "40 unreachable", "41 too-big"];
          assert.deepEqual(seen, {
            isBatched: mode === "",
            failures: [...failures, ...failures],
            received: 2 * (64 - 3),
            wrong: [],
            overflow: "RangeError: Cannot queue more than 64 packets",
          });
        }),
    });
  }
}

Deno.test({
  name: "HDR-021 HIP packets above 1280 octets leave in fragments where a link carries no more",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(2, async (a, b) => {
      await join(a, b);
      for (const namespace of [a, b]) await namespace.ip("link set eth0 mtu 1280");
      const packet = { protocol: 139, source: "fd00::1", destination: "fd00::2", length: 1400 };
      const received = await exchange(a, b, packet);
      assert.deepEqual(received, expected(139, packet.source, packet.destination, 1400));
    }),
});

Deno.test({
  name:
    "HDR-022 A flood of first fragments takes no more memory than the limit of the namespace, " +
    "and whole packets get through",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(2, async (a, b) => {
      await join(a, b);
      const packet = { protocol: 139, source: "fd00::1", destination: "fd00::2", length: 400 };
      // A new link may take a second to carry anything; then all of the flood would get lost.
      await exchange(a, b, packet);
      const limit = Number(await b.read("/proc/sys/net/ipv6/ip6frag_high_thresh"));
      const sent = await a.fixture<number>("flood_fragments.ts", "fd00::1", "fd00::2", "20000");
      assert.ok(sent * 1400 > 2 * limit, `${sent} fragments do not fill ${limit} octets`);
      const [, memory] = /FRAG6: inuse \d+ memory (\d+)/
        .exec(await b.read("/proc/net/sockstat6"))!;
      const [low, high] = [limit * 0.9, limit * 1.05];
      assert.ok(Number(memory) > low && Number(memory) < high, `${memory} of ${limit}`);
      const received = await exchange(a, b, packet);
      assert.deepEqual(received, expected(139, packet.source, packet.destination, 400));
    }),
});

Deno.test({
  name: "An error that ICMP reports wakes the program once, and no other packet pays for it",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(2, async (a, b) => {
      await join(a, b);
      const seen = await a.fixture<{
        first: number;
        received: number;
        second: number;
        result: string;
      }>("meet_errors.ts", "fd00::1", "fd00::2");
      assert.ok(seen.first < 2500, `the error came after ${seen.first} ms`);
      assert.equal(seen.received, 0);
      assert.ok(seen.second > 250, `woken again after ${seen.second} ms`);
      assert.equal(seen.result, "sent");
    }),
});
