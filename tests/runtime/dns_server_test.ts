import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, randomFillSync } from "node:crypto";
import dgram from "node:dgram";
import net from "node:net";
import { p256 } from "@noble/curves/nist.js";
import dnsPacket from "dns-packet";
import { UserError } from "../../lib/base/errors.ts";
import { SILENT } from "../../lib/base/logger.ts";
import { instant } from "../../lib/base/time.ts";
import { DnsProxy } from "../../lib/dns/proxy.ts";
import { dnsKeyToHostIdentity, formatHit, hitOf } from "../../lib/identity/hit.ts";
import type { PeerMapping } from "../../lib/identity/peer_directory.ts";
import {
  type ConnectionLimits,
  DnsServer,
  frame,
  splitFrames,
} from "../../lib/runtime/dns_server.ts";
import { answerQuery, hipRdata, TestDnsServer, type Zone } from "../support/dns_server.ts";

// deno-lint-ignore no-explicit-any
type Packet = any;

const KEY = p256.getPublicKey(new Uint8Array(createHash("sha256").update("s").digest()), false)
  .subarray(1);
const HIT = hitOf(dnsKeyToHostIdentity(3, KEY)!);

function zone(): Zone {
  return {
    records: [
      { name: "www.example", type: "HIP", data: hipRdata(3, HIT, KEY) },
      { name: "www.example", type: "A", data: "192.0.2.1" },
      ...Array.from({ length: 100 }, (_, i) => ({
        name: "big.example",
        type: "TXT",
        data: `${"x".repeat(60)}${i}`,
      })),
    ],
  };
}

/** The runtime's own UDP sockets leave short timers behind when they are closed. */
const WITH_SOCKETS = { sanitizeOps: false, sanitizeResources: false };

/** A fresh pair of ports that nobody else is likely to use. */
let nextPort = 20_000 + Math.floor(Math.random() * 20_000);

interface Bench {
  server: DnsServer;
  upstream: TestDnsServer;
  learned: PeerMapping[];
}

function makeProxy(learned: PeerMapping[] = []): DnsProxy {
  return new DnsProxy({
    learn: (now, mapping, done) => {
      learned.push(mapping);
      done(now, true);
    },
    ownHits: [],
    random: { fill: (bytes) => void randomFillSync(bytes) },
    logger: SILENT,
  });
}

function start(
  port: number,
  proxy: DnsProxy,
  listen?: string[][],
  limits?: ConnectionLimits,
): Promise<DnsServer> {
  return DnsServer.start({
    proxy,
    now: () => instant(performance.now()),
    logger: SILENT,
    port,
    ...(listen === undefined ? {} : { listen }),
    ...(limits === undefined ? {} : { limits }),
  });
}

async function bench(
  test: (bench: Bench) => Promise<void>,
  limits?: ConnectionLimits,
): Promise<void> {
  const learned: PeerMapping[] = [];
  const upstream = await TestDnsServer.start(zone(), nextPort++);
  const server = await start(nextPort++, makeProxy(learned), undefined, limits);
  server.setUpstreams([{ address: "127.0.0.1", port: upstream.port }]);
  try {
    await test({ server, upstream, learned });
  } finally {
    await server.close();
    await upstream.close();
  }
}

function query(name: string, type: string, id = 7): Uint8Array {
  return new Uint8Array(dnsPacket.encode({
    type: "query",
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type, class: "IN" }],
  } as Packet));
}

function askUdp(address: string, port: number, bytes: Uint8Array): Promise<Uint8Array> {
  const socket = dgram.createSocket(net.isIPv6(address) ? "udp6" : "udp4");
  return new Promise((done, failed) => {
    const timer = setTimeout(() => {
      socket.close();
      failed(new Error("no answer"));
    }, 5000);
    socket.on("message", (message: Uint8Array) => {
      clearTimeout(timer);
      socket.close();
      done(Uint8Array.from(message));
    });
    socket.send(bytes, port, address);
  });
}

/** Sends pieces one after another and collects `count` answers. */
function askTcp(port: number, pieces: Uint8Array[], count: number): Promise<Uint8Array[]> {
  return new Promise((done, failed) => {
    const socket = net.connect({ host: "127.0.0.1", port });
    let buffer: Uint8Array = new Uint8Array(0);
    const answers: Uint8Array[] = [];
    socket.on("error", failed);
    socket.on("connect", async () => {
      for (const [i, piece] of pieces.entries()) {
        if (i > 0) await new Promise((next) => setTimeout(next, 5));
        socket.write(piece);
      }
    });
    socket.on("data", (piece: Uint8Array) => {
      const { messages, rest } = splitFrames(buffer, piece);
      buffer = rest;
      answers.push(...messages);
      if (answers.length < count) return;
      socket.destroy();
      done(answers);
    });
  });
}

Deno.test(
  "DNS-037 the same address and port answer over UDP and TCP, the HIT first",
  WITH_SOCKETS,
  async () => {
    await bench(async ({ server, learned }) => {
      const bytes = query("wWw.eXample", "AAAA");
      const [overTcp] = await askTcp(server.port, [frame(bytes)], 1);
      for (const answer of [await askUdp("127.0.0.1", server.port, bytes), overTcp!]) {
        const packet: Packet = dnsPacket.decode(Buffer.from(answer));
        assert.deepEqual(packet.answers.map((r: Packet) => r.data), [formatHit(HIT)]);
        assert.equal(packet.questions[0].name, "wWw.eXample");
        assert.equal(packet.id, 7);
      }
      assert.equal(learned.length, 2);
      await server.selfTest();
    });
  },
);

Deno.test(
  "other answers come through real sockets octet for octet; TC leads to TCP and the whole answer",
  WITH_SOCKETS,
  async () => {
    await bench(async ({ server, upstream }) => {
      const bytes = query("big.example", "TXT");
      const short = await askUdp("127.0.0.1", server.port, bytes);
      assert.deepEqual(short, answerQuery(upstream.zone, bytes, 512));
      assert.ok((short[2]! & 2) !== 0);
      const [whole] = await askTcp(server.port, [frame(bytes)], 1);
      assert.ok(whole!.length > 6000);
      assert.deepEqual(whole, answerQuery(upstream.zone, bytes, 65535));
      assert.equal(upstream.queries.at(-1)!.transport, "tcp");
    });
  },
);

Deno.test(
  "DNS-147 queries on one TCP connection may come together or in pieces",
  WITH_SOCKETS,
  async () => {
    await bench(async ({ server }) => {
      const stream = [1, 2, 3].flatMap((id) => [...frame(query("www.example", "A", id))]);
      const bytes = Uint8Array.from(stream);
      for (const cut of [1, 2, 30, bytes.length - 1, bytes.length]) {
        const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)].filter((p) => p.length > 0);
        const answers = await askTcp(server.port, pieces, 3);
        assert.deepEqual(answers.map((a) => a[1]!).sort(), [1, 2, 3]);
      }
    });
  },
);

Deno.test(
  "DNS-039 when the first address is taken the next is used, and said so",
  WITH_SOCKETS,
  async () => {
    const port = nextPort++;
    const first = await start(port, makeProxy());
    const second = await start(port, makeProxy());
    try {
      assert.equal(first.addresses[0], "127.0.0.1");
      assert.deepEqual(second.addresses, ["127.0.0.139"]);
      assert.match(second.warnings.join(), /Port \d+ on 127\.0\.0\.1 is taken/);
      await second.selfTest();
      await assert.rejects(start(port, makeProxy()), UserError);
    } finally {
      await first.close();
      await second.close();
    }
  },
);

Deno.test(
  "DNS-039 an address whose TCP port alone is taken counts as taken",
  WITH_SOCKETS,
  async () => {
    const port = nextPort++;
    const other = net.createServer();
    await new Promise<void>((done) => other.listen(port, "127.0.0.1", () => done()));
    const server = await start(port, makeProxy());
    assert.deepEqual(server.addresses, ["127.0.0.139"]);
    await server.close();
    await new Promise<void>((done) => other.close(() => done()));
  },
);

Deno.test("DNS-038 an address outside loopback is refused", WITH_SOCKETS, async () => {
  for (const address of ["0.0.0.0", "::", "192.0.2.1"]) {
    await assert.rejects(start(nextPort++, makeProxy(), [[address]]), UserError);
  }
});

Deno.test(
  "the proxy never asks itself, and a missing server means SERVFAIL",
  WITH_SOCKETS,
  async () => {
    const proxy = makeProxy();
    const server = await start(nextPort++, proxy);
    server.setUpstreams([{ address: "127.0.0.1", port: server.port }]);
    assert.equal(proxy.upstreams.length, 0);
    const answer = await askUdp("127.0.0.1", server.port, query("www.example", "A"));
    assert.equal(answer[3]! & 15, 2);
    await server.close();
  },
);

Deno.test(
  "an upstream that refuses connections over TCP ends in SERVFAIL, not in silence",
  WITH_SOCKETS,
  async () => {
    const port = nextPort++;
    const truncating = dgram.createSocket("udp4");
    truncating.on("message", (bytes: Uint8Array, peer: dgram.RemoteInfo) => {
      const answer = Uint8Array.from(bytes);
      answer[2]! |= 0x82;
      truncating.send(answer, peer.port, peer.address);
    });
    await new Promise<void>((done) => truncating.bind(port, "127.0.0.1", () => done()));
    const server = await start(nextPort++, makeProxy());
    server.setUpstreams([{ address: "127.0.0.1", port }]);
    const [answer] = await askTcp(server.port, [frame(query("www.example", "A"))], 1);
    assert.equal(answer![3]! & 15, 2);
    await server.close();
    await new Promise<void>((done) => truncating.close(() => done()));
  },
);

Deno.test("resolve() gives what an application would get", WITH_SOCKETS, async () => {
  await bench(async ({ server }) => {
    const result = await server.resolve("www.example");
    assert.deepEqual(result.peers.map((peer) => formatHit(peer.hit)), [formatHit(HIT)]);
    assert.equal((await server.resolve("nobody.example")).rcode, 3);
  });
});

/** A TCP connection to a server, with what has come on it and whether it is still open. */
async function connect(port: number) {
  const socket = net.connect({ host: "127.0.0.1", port });
  const state = { socket, pieces: [] as Uint8Array[], isOpen: true };
  socket.on("data", (piece: Uint8Array) => state.pieces.push(Uint8Array.from(piece)));
  socket.on("error", () => {});
  socket.on("close", () => state.isOpen = false);
  await new Promise<void>((done) => socket.once("connect", () => done()));
  return state;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !holds(); i++) await pause(10);
  assert.ok(holds());
}

Deno.test(
  "DNS-147 an answer that is ready does not wait for one that is not",
  WITH_SOCKETS,
  async () => {
    await bench(async ({ server, upstream }) => {
      upstream.zone.silent = new Set(["TXT"]);
      const slow = frame(query("big.example", "TXT", 1));
      const [answer] = await askTcp(server.port, [slow, frame(query("www.example", "A", 2))], 1);
      assert.equal(answer![1], 2);
    });
  },
);

Deno.test(
  "DNS-147 a connection is closed without a whole query for so long, and kept by each",
  WITH_SOCKETS,
  async () => {
    const limits = { total: 128, perOwner: 16, idleMs: 300 };
    await bench(async ({ server }) => {
      const [busy, slow] = [await connect(server.port), await connect(server.port)];
      const bytes = frame(query("www.example", "A"));
      for (let i = 0; i < 6; i++) {
        await pause(100);
        busy.socket.write(bytes);
        // One octet now and then is no query.
        if (slow.isOpen) slow.socket.write(bytes.subarray(i, i + 1));
      }
      assert.deepEqual([busy.isOpen, slow.isOpen], [true, false]);
      await until(() => !busy.isOpen);
      assert.ok(busy.pieces.length > 0);
    }, limits);
  },
);

Deno.test("DNS-148 length and message are written at once", WITH_SOCKETS, async () => {
  assert.deepEqual([...frame(Uint8Array.of(7, 8, 9))], [0, 3, 7, 8, 9]);
  await bench(async ({ server }) => {
    const written: Uint8Array[] = [];
    const { write } = net.Socket.prototype;
    net.Socket.prototype.write = function (this: net.Socket, ...args: [Uint8Array]) {
      if (this.localPort === server.port) written.push(args[0]);
      return Reflect.apply(write, this, args);
    } as typeof write;
    try {
      const [answer] = await askTcp(server.port, [frame(query("www.example", "A"))], 1);
      assert.deepEqual(written.map((piece) => [...piece]), [[...frame(answer!)]]);
    } finally {
      net.Socket.prototype.write = write;
    }
  });
});

Deno.test(
  "DNS-149 of one user 16 connections are open, the one idle for longest goes first",
  WITH_SOCKETS,
  async () => {
    await bench(async ({ server }) => {
      const clients: Awaited<ReturnType<typeof connect>>[] = [];
      for (let i = 0; i < 16; i++) clients.push(await connect(server.port));
      // The oldest is used, so the second is idle for longest.
      clients[0]!.socket.write(frame(query("www.example", "A")));
      await until(() => clients[0]!.pieces.length > 0);
      clients.push(await connect(server.port));
      await until(() => !clients[1]!.isOpen);
      await pause(50);
      assert.deepEqual(clients.map(({ isOpen }) => isOpen), clients.map((_, i) => i !== 1));
      for (const { socket } of clients) socket.destroy();
    });
  },
);

Deno.test("DNS-149 of all users 128 connections are open at a time", WITH_SOCKETS, async () => {
  // All are one user's here, who is let have more.
  await bench(async ({ server }) => {
    const clients: Awaited<ReturnType<typeof connect>>[] = [];
    for (let i = 0; i < 130; i++) clients.push(await connect(server.port));
    await until(() => clients.filter(({ isOpen }) => isOpen).length === 128);
    assert.deepEqual(clients.slice(0, 3).map(({ isOpen }) => isOpen), [false, false, true]);
    for (const { socket } of clients) socket.destroy();
  }, { total: 128, perOwner: 1000, idleMs: 10_000 });
});

Deno.test(
  "DNS-227 a query from an address that is not loopback gets no reply",
  WITH_SOCKETS,
  async (t) => {
    const outside = Deno.networkInterfaces().find(({ family, address }) =>
      family === "IPv4" && !address.startsWith("127.")
    );
    for (const [from, isAnswered] of [["127.0.0.2", true], [outside?.address, false]] as const) {
      if (from === undefined) continue;
      await t.step(from, () =>
        bench(async ({ server }) => {
          const socket = dgram.createSocket("udp4");
          await new Promise<void>((done) => socket.bind(0, from, () => done()));
          let answers = 0;
          socket.on("message", () => answers++);
          socket.send(query("www.example", "A"), server.port, "127.0.0.1");
          await pause(300);
          assert.equal(answers > 0, isAnswered);
          await new Promise<void>((done) => socket.close(() => done()));
        }));
    }
  },
);

Deno.test(
  "DNS-166 a server that is a HIT is not asked: no name waits for an exchange",
  WITH_SOCKETS,
  async () => {
    const proxy = makeProxy();
    const server = await start(nextPort++, proxy);
    server.setUpstreams([{ address: formatHit(HIT), port: 53 }, {
      address: "192.0.2.1",
      port: 53,
    }]);
    assert.deepEqual(proxy.upstreams.map(({ address }) => address), ["192.0.2.1"]);
    await server.close();
  },
);
