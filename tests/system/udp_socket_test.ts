/** UDP sockets in namespaces: batches, messages that the kernel cuts up and joins, and without. */

import assert from "node:assert/strict";
import { runCommand } from "../../lib/lab/lab.ts";
import { CANNOT_RUN, join, type Namespace, withNamespaces } from "./fixtures/namespace.ts";

interface Batches {
  readonly isBatched: boolean;
  readonly isCoalescing: boolean;
  /** By the name of the batch: whether the kernel cut up what was sent last. */
  readonly segmenting: Record<string, boolean>;
  readonly failures: string[];
  /** What the calls to receive returned, each with 24 slabs. */
  readonly counts: Record<string, string>;
  readonly wrong: string[];
}

/** Calls of `receive`: as many as there are slabs says that more may be waiting. */
const COUNTS = {
  ...{ equal: "24,24,16", lastShorter: "24,24,16", growing: "24,24,16", shrinking: "24,24,16" },
  ...{ paths: "24,24,16", strange: "24,16", empty: "8", small: "24,24,16", wide: "24,24,16" },
  long: "7",
};

const FAILURES = ["strange 20", "strange 21", "strange 22"].map((text) => `${text} unreachable`);

const ADDRESSES = [["127.0.0.1", "127.0.0.2"], ["fd00::11", "fd00::12"]] as const;

async function exchange(a: Namespace, from: string, to: string, mode: string): Promise<Batches> {
  for (const address of ["fd00::11/128", "fd00::12/128"]) {
    await a.ip(`addr add ${address} dev lo nodad`);
  }
  const seen = await a.fixture<Batches>("udp_batches.ts", from, to, mode);
  assert.deepEqual(seen.wrong, []);
  assert.deepEqual(seen.failures, [...FAILURES, "long 7 too-big"]);
  assert.deepEqual(seen.counts, COUNTS);
  return seen;
}

for (const [from, to] of ADDRESSES) {
  const test = (name: string, fn: (a: Namespace) => Promise<void>) =>
    Deno.test({
      name: `${from}: datagrams arrive in order, each with its own path, ${name}`,
      ignore: CANNOT_RUN,
      fn: () => withNamespaces(1, fn),
    });

  test("when the kernel cuts up and joins them", async (a) => {
    const { isBatched, isCoalescing, segmenting } = await exchange(a, from, to, "plain");
    assert.ok(isBatched && isCoalescing);
    assert.ok(Object.values(segmenting).every((is) => is), JSON.stringify(segmenting));
  });

  test("when it neither cuts up nor joins", async (a) => {
    const { isBatched, isCoalescing, segmenting } = await exchange(a, from, to, "separate");
    assert.deepEqual([isBatched, isCoalescing], [true, false]);
    assert.ok(Object.values(segmenting).every((is) => !is), JSON.stringify(segmenting));
  });

  test("one message after the other where it refuses batches", async (a) => {
    const { isBatched, segmenting } = await exchange(a, from, to, "refuse");
    assert.deepEqual([isBatched, segmenting.equal], [false, true]);
  });

  test("and in pieces where the path is too narrow to cut them up", async (a) => {
    await a.ip("link set lo mtu 1380");
    const { segmenting } = await exchange(a, from, to, "plain");
    assert.deepEqual([segmenting.equal, segmenting.wide, segmenting.long], [true, false, false]);
  });
}

Deno.test({
  name: "Messages that the kernel does not cut up, for whatever reason, go datagram by datagram",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(1, async (a) => {
      const { segmenting } = await exchange(a, "127.0.0.1", "127.0.0.2", "unchecked");
      assert.ok(Object.values(segmenting).every((is) => !is), JSON.stringify(segmenting));
    }),
});

Deno.test({
  name: "What a narrow path keeps the kernel from cutting up is tried again after a while, and " +
    "what fits is cut up meanwhile",
  ignore: CANNOT_RUN,
  fn: () =>
    withNamespaces(1, async (a) => {
      const seen = await a.fixture("udp_widening.ts");
      // The last one goes datagram by datagram: nothing is refused. 1024 of 64 each are 16 batches.
      assert.deepEqual(seen, { narrow: [false, true, true], batches: 17 });
    }),
});

/** Octets of UDP, header included, in each frame that comes to `b` while `action` runs. */
async function framesAt(b: Namespace, action: () => Promise<void>): Promise<number[]> {
  const file = await Deno.makeTempFile({ suffix: ".pcap" });
  const tcpdump = new Deno.Command("ip", {
    args: [
      ...["netns", "exec", b.name, "tcpdump", "-i", "eth0", "-w", file, "-U", "--immediate-mode"],
      ...["-s", "200", "udp", "dst", "port", "10500"],
    ],
    stderr: "piped",
  }).spawn();
  try {
    // Its first words say that it listens.
    const reader = tcpdump.stderr.getReader();
    await reader.read();
    await action();
    await new Promise((resolve) => setTimeout(resolve, 300));
    tcpdump.kill("SIGINT");
    while (!(await reader.read()).done);
    await tcpdump.status;
    const fields = ["-T", "fields", "-e", "udp.length"];
    const { stdout } = await runCommand(["tshark", "-n", "-r", file, ...fields]);
    return stdout.split("\n").filter((line) => line !== "").map(Number);
  } finally {
    await Deno.remove(file);
  }
}

for (const [from, to] of [["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"]] as const) {
  Deno.test({
    name: `${from}: one message is on the wire the datagrams that it is made of`,
    ignore: CANNOT_RUN,
    fn: () =>
      withNamespaces(2, async (a, b) => {
        await join(a, b);
        // A link to b takes a moment to carry anything.
        await a.fixture("send_udp_segments.ts", from, to, "1", "10");
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const send = async () => {
          const seen = await a.fixture("send_udp_segments.ts", from, to, "40", "1200");
          assert.deepEqual(seen, { isSegmenting: true, failures: [] });
        };
        // The device takes it whole: a datagram of 48,000 octets, which nobody may see on a wire.
        assert.deepEqual(await framesAt(b, send), [48_008]);
        await a.ip("link set eth0 gso_max_segs 1");
        assert.deepEqual(await framesAt(b, send), new Array(40).fill(1208));
      }),
  });
}

for (const address of ["127.0.0.1", "::1"]) {
  Deno.test({
    name: `${address}: ICMP errors come in about datagrams from our UDP port, and from no other`,
    ignore: CANNOT_RUN,
    fn: () =>
      withNamespaces(1, async (a) => {
        const about = "unreachable: 50 to 9999, 1 2 3 4 5";
        assert.deepEqual(await a.fixture("meet_udp_errors.ts", address), [
          about,
          "unreachable: 139 to 9999, 59 4",
          "not understood",
          "nothing",
          about,
        ]);
      }),
  });
}
