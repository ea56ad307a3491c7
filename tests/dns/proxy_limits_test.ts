/** Bounds on what clients and servers can make the proxy do. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { instant } from "../../lib/base/time.ts";
import { readClientQuery } from "../../lib/dns/client_query.ts";
import { hipRdata, udpLimit } from "../support/dns_server.ts";
import { answerQuery } from "../support/dns_server.ts";
import {
  ECDSA_HIT,
  ECDSA_KEY,
  type Packet,
  ProxyBench,
  query,
  seedOf,
  zone,
} from "../support/proxy_bench.ts";
import { p256 } from "@noble/curves/nist.js";
import { formatIpAddress } from "../../lib/wire/ip_address.ts";

const SILENT = { ...zone(), silent: new Set(["A", "AAAA", "HIP"]) };

Deno.test("DNS-228 256 queries of one client socket and 4096 of all are in progress; more get SERVFAIL over UDP and end the connection over TCP", () => {
  const bench = new ProxyBench(SILENT);
  const send = (source: string, i: number, transport: "udp" | "tcp" = "udp") =>
    bench.send(query(`n${i}.example`, "A", { id: i }), transport, source);
  for (let i = 0; i < 256; i++) send("127.0.0.1:1", i);
  assert.equal(bench.answers.length, 0);
  send("127.0.0.1:1", 300);
  assert.equal(bench.answers.pop()!.bytes[3]! & 15, 2);
  for (let i = 0; i < 257; i++) send("127.0.0.1:2/tcp", i, "tcp");
  assert.deepEqual(bench.closed.map(({ source }) => source), ["127.0.0.1:2/tcp"]);
  for (let client = 3; client <= 16; client++) {
    for (let i = 0; i < 256; i++) send(`127.0.0.1:${client}`, i);
  }
  assert.equal(bench.proxy.queriesInProgress, 4096);
  assert.equal(bench.answers.length, 0);
  send("127.0.0.1:99", 1);
  assert.equal(bench.answers.pop()!.bytes[3]! & 15, 2);
  assert.equal(bench.proxy.counters.get("queries-overflow"), 3);
  bench.advance(4000);
  assert.equal(bench.answers.length, 4096);
  assert.equal(bench.proxy.queriesInProgress, 0);
  assert.equal(bench.proxy.nextTimeout(), undefined);
  send("127.0.0.1:1", 1);
  assert.equal(bench.proxy.queriesInProgress, 1);
});

Deno.test("a client that floods random names of a dead zone does not keep another from its answers", () => {
  const bench = new ProxyBench(zone());
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const asked: Packet = dnsPacket.decode(Buffer.from(request.bytes));
    return asked.questions[0].name.endsWith("dead.example") ? undefined : honest(request);
  };
  let flooded = 0;
  let slowest = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 50; i++) {
      bench.send(query(`x${flooded++}.dead.example`, "AAAA"), "udp", "127.0.0.1:666");
    }
    bench.answers.length = 0;
    const start = bench.now;
    bench.proxy.flushCache();
    bench.send(
      query(round % 2 === 0 ? "www.example" : "plain.example", "AAAA"),
      "udp",
      "127.0.0.1:7",
    );
    while (bench.answers.every(({ client }) => client.source !== "127.0.0.1:7")) bench.advance(10);
    slowest = Math.max(slowest, bench.now - start);
    bench.advance(10);
  }
  assert.equal(slowest, 0);
  assert.ok(bench.asked.length - bench.finished.length <= 512);
});

Deno.test("sockets upstream are bounded, for one client and for all", () => {
  const bench = new ProxyBench(SILENT);
  const open = () => bench.asked.length - bench.finished.length;
  for (let i = 0; i < 250; i++) bench.send(query(`n${i}.example`, "AAAA"), "udp", "127.0.0.1:1");
  const ofOne = open();
  assert.ok(ofOne > 50 && ofOne <= 128);
  for (let client = 2; client < 40; client++) {
    for (let i = 0; i < 60; i++) {
      bench.send(query(`c${client}n${i}.example`, "AAAA"), "udp", `127.0.0.1:${client}`);
    }
  }
  assert.ok(open() > ofOne && open() <= 512);
  bench.advance(8000);
  assert.equal(open(), 0);
  assert.equal(bench.proxy.nextTimeout(), undefined);
});

Deno.test("DNS-229 DNS-230 of a hostile zone 8 records, 4 rendezvous names of each and 16 locators are used; the rest is counted", () => {
  const bench = new ProxyBench({ records: [] });
  for (let i = 0; i < 12; i++) {
    const names = Array.from({ length: 9 }, (_, j) => `r${i}x${j}.example`);
    bench.zone.records.push({
      name: "h.example",
      type: "HIP",
      data: hipRdata(3, ECDSA_HIT, p256.getPublicKey(seedOf(`h${i}`), false).subarray(1), names),
    });
    for (const [j, name] of names.entries()) {
      for (let k = 0; k < 6; k++) {
        bench.zone.records.push({ name, type: "A", data: `10.${i}.${j}.${k + 1}` });
      }
    }
  }
  for (let i = 0; i < 30; i++) {
    bench.zone.records.push({ name: "h.example", type: "AAAA", data: `2001:db8::${i + 1}` });
  }
  bench.upstream = ({ bytes }) => answerQuery(bench.zone, bytes, 65535);
  bench.ask("h.example", "AAAA", { transport: "tcp" });
  assert.equal(bench.asked.length, 3 + 2 * 8 * 4);
  assert.equal(bench.learned.length, 8);
  for (const { locators, rendezvous } of bench.learned) {
    assert.deepEqual([locators.length, rendezvous.length], [16, 16]);
    assert.ok(rendezvous.every((address) => /^10\.\d+\.[0-3]\./.test(formatIpAddress(address))));
  }
  const { counters } = bench.proxy;
  assert.equal(counters.get("hip-records-surplus"), 4);
  assert.equal(counters.get("rendezvous-names-surplus"), 8 * 5);
  assert.ok(counters.get("locators-surplus") >= 8 * 14);
});

Deno.test("DNS-237 what happens is counted by kind", () => {
  const bench = new ProxyBench(zone(), 1);
  const count = (...names: Parameters<typeof bench.proxy.counters.get>) =>
    bench.proxy.counters.get(...names);
  for (const type of ["A", "AAAA", "PTR", "MX"]) bench.ask("www.example", type);
  bench.ask("www.example", "AAAA");
  assert.deepEqual(
    [count("queries-a"), count("queries-aaaa"), count("queries-ptr"), count("queries-other")],
    [1, 2, 1, 1],
  );
  assert.deepEqual([count("answers-modified"), count("hits-added"), count("cache-hits")], [
    2,
    2,
    3,
  ]);
  assert.deepEqual([count("mappings-pushed"), count("mappings-refused")], [2, 0]);
  bench.takes = false;
  bench.ask("www.example", "AAAA");
  assert.equal(count("mappings-refused"), 1);
  bench.zone.records[0]!.data = hipRdata(3, new Uint8Array(16), ECDSA_KEY);
  bench.zone.records.push({ name: "www.example", type: "HIP", data: Buffer.from([16, 3, 9, 9]) });
  bench.proxy.flushCache();
  bench.ask("www.example", "AAAA");
  assert.deepEqual([count("hit-mismatches"), count("hip-records-malformed")], [1, 1]);
  for (
    const [cause, zoneChange] of [
      ["hip-lookup-errors", { rcodes: new Map([["HIP", "SERVFAIL"]]) }],
      ["hip-lookup-timeouts", { rcodes: new Map(), silent: new Set(["HIP"]) }],
    ] as const
  ) {
    Object.assign(bench.zone, zoneChange);
    bench.proxy.flushCache();
    bench.send(query("www.example", "AAAA"));
    bench.advance(4000);
    assert.equal(count(cause), 1, cause);
  }
  assert.ok(count("upstream-timeouts") >= 2);
  for (let i = 0; i < 40; i++) {
    bench.zone.records.push({ name: "big.example", type: "A", data: `192.0.2.${i}` });
  }
  bench.ask("big.example", "A");
  assert.equal(count("answers-truncated"), 1);
});

/** Deterministic numbers. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

Deno.test("DNS-233 a million mutated queries and answers end in a reply or a counter, in bounded time and memory", () => {
  const bench = new ProxyBench(zone(), 2);
  const roll = dice(233);
  const queries = ["A", "AAAA", "HIP", "PTR", "UNKNOWN_65"].map((type) =>
    query("www.example", type, { edns: 1232, cookie: type === "A" })
  );
  const answers = queries.map((bytes) => answerQuery(bench.zone, bytes, udpLimit(bytes))!);
  const mutate = (source: Uint8Array): Uint8Array => {
    const bytes = source.slice(0, roll(8) === 0 ? roll(source.length + 1) : source.length);
    for (let n = 1 + roll(3); n > 0 && bytes.length > 0; n--) {
      bytes[roll(bytes.length)] = roll(3) === 0 ? 0xc0 | roll(64) : roll(256);
    }
    return bytes;
  };
  let messages = 0;
  const handle = (request: { requestId: number; bytes: Uint8Array }) => {
    const answer = mutate(answers[roll(answers.length)]!);
    // Most pass for an answer, so that what is in them is read.
    if (answer.length > 2 && roll(4) > 0) answer.set(request.bytes.subarray(0, 2));
    messages++;
    bench.proxy.handleUpstream(instant(bench.now), request.requestId, answer);
  };
  const client = { id: 1, transport: "udp", source: "127.0.0.1:1", isLoopback: true } as const;
  while (messages < 200_000) {
    bench.now += 1;
    for (let i = 0; i < 4; i++) {
      bench.proxy.handleQuery(instant(bench.now), client, mutate(queries[roll(queries.length)]!));
      messages++;
    }
    for (let request; (request = bench.proxy.pollRequest());) handle(request);
    while (bench.proxy.pollAnswer() !== undefined || bench.proxy.pollFinished() !== undefined);
    bench.proxy.handleTimeout(instant(bench.now));
    assert.ok(bench.proxy.queriesInProgress <= 256);
    bench.learned.length = 0;
    bench.log.length = 0;
    bench.confirmed.length = 0;
    bench.events.length = 0;
  }
  // What stands before all state costs less, and is where octets are read.
  for (; messages < 1_000_000; messages++) {
    const bytes = mutate(
      (messages & 1) === 0 ? queries[roll(queries.length)]! : answers[roll(answers.length)]!,
    );
    const read = readClientQuery(client, bytes);
    if (read.kind === "query") assert.ok(read.query.question.end <= bytes.length);
  }
  bench.upstream = () => undefined;
  bench.now += 5000;
  bench.proxy.handleTimeout(instant(bench.now));
  assert.equal(bench.proxy.queriesInProgress, 0);
  assert.ok(bench.proxy.counters.get("queries-malformed") > 1000);
  assert.ok(bench.proxy.counters.get("upstream-mismatches") > 1000);
});
