/** Servers that are slow, dead, wrong, old or malicious. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { p256 } from "@noble/curves/nist.js";
import dnsPacket from "dns-packet";
import { instant } from "../../lib/base/time.ts";
import { answerQuery, hipRdata } from "../support/dns_server.ts";
import {
  addresses,
  ECDSA_HIT,
  HIT,
  type Packet,
  ProxyBench,
  query,
  seedOf,
  zone,
} from "../support/proxy_bench.ts";

Deno.test("DNS-065 DNS-168 native answers wait 800 ms for a HIP answer, then leave unchanged", () => {
  const bench = new ProxyBench({ ...zone(), silent: new Set(["HIP"]) });
  assert.equal(bench.ask("www.example", "AAAA"), undefined);
  bench.advance(799);
  assert.equal(bench.answers.length, 0);
  bench.advance(1);
  const expected = answerQuery(bench.zone, query("www.example", "AAAA"), 512);
  assert.deepEqual(bench.answers.pop()!.bytes, expected);
});

Deno.test("DNS-168 an error to the HIP query does not harm the native answer", () => {
  for (const rcode of ["SERVFAIL", "NOTIMP", "FORMERR", "REFUSED"]) {
    const bench = new ProxyBench({ ...zone(), rcodes: new Map([["HIP", rcode]]) });
    const packet = bench.ask("www.example", "AAAA");
    assert.deepEqual(addresses(packet), ["2001:db8::9", "2001:db8::1"]);
  }
});

Deno.test("DNS-173 a server that cannot answer HIP queries is not asked again for five minutes", () => {
  const bench = new ProxyBench({ ...zone(), rcodes: new Map([["HIP", "NOTIMP"]]) });
  const hipQueries = () => bench.asked.filter((a) => a.question.questions[0].type === "HIP").length;
  bench.ask("www.example", "AAAA");
  const before = hipQueries();
  bench.ask("www.example", "AAAA");
  assert.equal(hipQueries(), before);
  bench.zone.rcodes!.clear();
  bench.advance(300_001);
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
});

Deno.test("DNS-163 DNS-172 DNS-066 dead servers: two attempts, then SERVFAIL within 4 s", () => {
  for (const type of ["A", "AAAA"]) {
    const bench = new ProxyBench(zone(), 2);
    bench.upstream = () => undefined;
    assert.equal(bench.ask("www.example", type), undefined);
    bench.advance(1500);
    const servers = bench.asked.filter((a) => a.question.questions[0].type === type)
      .map((a) => a.request.server.address);
    assert.deepEqual(servers, ["192.0.2.1", "192.0.2.2"]);
    bench.advance(2499);
    const packet: Packet = dnsPacket.decode(Buffer.from(bench.answers.pop()!.bytes));
    assert.equal(packet.rcode, "SERVFAIL");
    assert.equal(packet.id, 0x4242);
    assert.equal(bench.finished.length, bench.asked.length);
    assert.equal(bench.proxy.nextTimeout(), undefined);
    assert.equal(bench.proxy.queriesInProgress, 0);
  }
});

Deno.test("a late answer of the first server is still taken", () => {
  const bench = new ProxyBench(zone(), 2);
  const honest = bench.upstream;
  bench.upstream = () => undefined;
  bench.ask("www.example", "A");
  bench.advance(1600);
  const { request } = bench.asked[0]!;
  bench.proxy.handleUpstream(instant(bench.now), request.requestId, honest(request)!);
  bench.settle();
  assert.equal(bench.answers.length, 1);
});

Deno.test("DNS-164 answers with a wrong identifier, question or direction are not believed", () => {
  const bench = new ProxyBench(zone());
  const honest = bench.upstream;
  bench.upstream = () => undefined;
  bench.ask("www.example", "A");
  const { request } = bench.asked[0]!;
  const good = honest(request)!;
  const forge = (change: (bytes: Uint8Array) => void) => {
    const forged = good.slice();
    change(forged);
    bench.proxy.handleUpstream(instant(bench.now), request.requestId, forged);
    bench.settle();
  };
  forge((b) => b[1]! ^= 1);
  forge((b) => b[2]! &= 0x7f);
  forge((b) => b[14]! ^= 1);
  forge((b) => b[26]! ^= 3);
  bench.proxy.handleUpstream(instant(bench.now), 999, good);
  bench.proxy.handleUpstream(instant(bench.now), request.requestId, good.subarray(0, 11));
  bench.settle();
  assert.equal(bench.answers.length, 0);
  assert.equal(bench.proxy.counters.get("upstream-mismatches"), 5);
  forge(() => {});
  assert.equal(bench.answers.length, 1);
  const ids = new Set<number>();
  for (let i = 0; i < 50; i++) bench.ask(`n${i}.example`, "A");
  for (const { question } of bench.asked) ids.add(question.id);
  assert.ok(ids.size > 45);
});

Deno.test("DNS-144 DNS-145 truncated HIP answers are asked for again over TCP", () => {
  const bench = new ProxyBench(zone());
  for (let i = 0; i < 20; i++) {
    bench.zone.records.push({
      name: "big.example",
      type: "HIP",
      data: hipRdata(3, ECDSA_HIT, p256.getPublicKey(seedOf(`k${i}`), false).subarray(1)),
    });
  }
  bench.zone.records.push({ name: "big.example", type: "A", data: "192.0.2.3" });
  const packet = bench.ask("big.example", "AAAA", { edns: 1232 });
  assert.equal(addresses(packet).length, 8);
  const transports = bench.asked.filter((a) => a.question.questions[0].type === "HIP")
    .map((a) => a.request.transport);
  assert.deepEqual(transports, ["udp", "tcp"]);
  assert.equal(bench.proxy.counters.get("hip-records-surplus"), 12);
});

Deno.test("upstream answers of arbitrary octets never throw and always end in a reply", () => {
  const honest = new ProxyBench(zone()).upstream;
  for (let i = 2; i < 90; i++) {
    for (const value of [0, 0x40, 0xc0, 0xff]) {
      const bench = new ProxyBench(zone());
      bench.upstream = (request) => {
        const bytes = honest(request)!;
        if (i < bytes.length) bytes[i] = value;
        return bytes;
      };
      bench.send(query("www.example", "AAAA"));
      bench.advance(4000);
      assert.equal(bench.answers.length, 1, `octet ${i}`);
    }
  }
});

Deno.test("DNS-146 a server that refuses EDNS is asked without it for ten minutes", () => {
  const bench = new ProxyBench(zone());
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const answer = honest(request)!;
    if (request.bytes[11] === 1) answer[3] = (answer[3]! & 0xf0) | 1;
    return answer;
  };
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
  bench.asked.length = 0;
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
  assert.ok(bench.asked.every((a) => a.request.bytes[11] === 0));
});

Deno.test("DNS-134 equal questions in flight share one upstream query per type", () => {
  const bench = new ProxyBench({ ...zone(), silent: new Set(["HIP", "A", "AAAA"]) });
  for (let i = 0; i < 5; i++) bench.send(query("www.example", "AAAA", { id: i }));
  const count = (type: string) =>
    bench.asked.filter((a) => a.question.questions[0].type === type).length;
  assert.deepEqual([count("HIP"), count("A"), count("AAAA")], [1, 1, 1]);
  bench.advance(4000);
  assert.equal(bench.answers.length, 5);
});

Deno.test("DNS-174 a server that refuses is asked last for 60 s, and is asked all the same when all do", () => {
  const bench = new ProxyBench(zone(), 2);
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const answer = honest(request)!;
    if (request.server.address === "192.0.2.1") answer[3] = (answer[3]! & 0xf0) | 5;
    return answer;
  };
  const asked = (name: string) => {
    bench.asked.length = 0;
    bench.ask(name, "MX");
    return bench.asked.map(({ request }) => request.server.address);
  };
  assert.deepEqual(asked("a.example"), ["192.0.2.1", "192.0.2.2"]);
  assert.deepEqual(asked("b.example"), ["192.0.2.2"]);
  bench.advance(59_000);
  assert.deepEqual(asked("c.example"), ["192.0.2.2"]);
  bench.advance(1000);
  assert.deepEqual(asked("d.example"), ["192.0.2.1", "192.0.2.2"]);
  bench.upstream = (request) => {
    const answer = honest(request)!;
    answer[3] = (answer[3]! & 0xf0) | 5;
    return answer;
  };
  assert.equal(asked("e.example").length, 2);
  assert.equal(asked("f.example").length, 2);
});
