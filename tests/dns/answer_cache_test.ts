/** What the proxy remembers of upstream's answers, and for how long. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { instant } from "../../lib/base/time.ts";
import { AnswerCache } from "../../lib/dns/answer_cache.ts";
import { hipRdata } from "../support/dns_server.ts";
import {
  addresses,
  ECDSA_HIT,
  ECDSA_KEY,
  HIT,
  type Packet,
  ProxyBench,
  zone,
} from "../support/proxy_bench.ts";

function response(fields: Packet): Uint8Array {
  return new Uint8Array(dnsPacket.encode({ type: "response", id: 1, flags: 0x180, ...fields }));
}

const question = { name: "a.example", type: "A", class: "IN" };

function positive(...ttls: number[]): Uint8Array {
  return response({
    questions: [question],
    answers: ttls.map((ttl, i) => ({ name: "a.example", type: "A", ttl, data: `192.0.2.${i}` })),
  });
}

function soa(ttl: number, minimum: number) {
  return {
    name: "example",
    type: "SOA",
    ttl,
    data: { mname: "a", rname: "b", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
  };
}

/** Seconds until an answer is gone, at most 10,000. */
function lifeOf(bytes: Uint8Array): number {
  const cache = new AnswerCache();
  cache.put(instant(0), "k", bytes, false);
  for (let life = 0; life <= 10_000; life++) {
    if (cache.get(instant(life * 1000), "k") === undefined) return life;
  }
  return Infinity;
}

function asked(bench: ProxyBench): string[] {
  const types = bench.asked.map(({ question }) => question.questions[0].type);
  bench.asked.length = 0;
  return types.sort();
}

Deno.test("DNS-122 TTLs count down in the cache, and an answer goes with its shortest TTL", () => {
  const cache = new AnswerCache();
  cache.put(instant(500), "k", positive(30, 100), true);
  const ttls = (at: number) => {
    const found = cache.get(instant(at), "k");
    const packet: Packet = found && dnsPacket.decode(Buffer.from(found.bytes));
    return packet?.answers.map((r: Packet) => r.ttl);
  };
  assert.deepEqual(ttls(500), [30, 100]);
  assert.deepEqual(ttls(10_499), [21, 91]);
  assert.deepEqual(ttls(10_500), [20, 90]);
  assert.deepEqual(ttls(30_499), [1, 71]);
  assert.equal(ttls(30_500), undefined);
  assert.deepEqual([cache.size, cache.octets], [0, 0]);
});

Deno.test("DNS-125 nothing is kept beyond the cap, and a TTL with the top bit set not at all", () => {
  assert.equal(lifeOf(positive(100_000)), 3600);
  assert.equal(lifeOf(positive(0x80000001)), 0);
  assert.equal(lifeOf(positive(0)), 0);
});

Deno.test("DNS-127 DNS-128 negative answers live as their SOA says, five minutes at most, without one five seconds", () => {
  for (const flags of [0x180, 0x183]) {
    const none = (authorities: Packet[]) =>
      response({ flags, questions: [question], answers: [], authorities });
    assert.equal(lifeOf(none([soa(100, 200)])), 100);
    assert.equal(lifeOf(none([soa(200, 100)])), 100);
    assert.equal(lifeOf(none([soa(9000, 9000)])), 300);
    assert.equal(lifeOf(none([])), 5);
  }
});

Deno.test("DNS-133 SERVFAIL is repeated for five seconds at most, other errors and cut answers never", () => {
  const failed = (flags: number) => lifeOf(response({ flags, questions: [question] }));
  assert.ok(failed(0x182) > 0 && failed(0x182) <= 5);
  for (const flags of [0x181, 0x184, 0x185]) assert.equal(failed(flags), 0);
  const cut = positive(100);
  cut[2]! |= 2;
  assert.equal(lifeOf(cut), 0);
});

Deno.test("the cache is bounded in entries and octets; what was not used for longest goes first", () => {
  const cache = new AnswerCache(3, 1_000_000);
  for (const key of ["a", "b", "c"]) cache.put(instant(0), key, positive(60), false);
  cache.get(instant(1), "a");
  cache.put(instant(1), "d", positive(60), false);
  assert.equal(cache.size, 3);
  assert.equal(cache.get(instant(1), "b"), undefined);
  assert.ok(cache.get(instant(1), "a") !== undefined);
  const small = new AnswerCache(1000, 10_000);
  for (let i = 0; i < 100; i++) small.put(instant(0), `${i}`, positive(60, 60, 60), false);
  assert.ok(small.octets <= 10_000 && small.size > 5);
});

Deno.test("DNS-126 an answer serves any spelling of its name; DO, CD, type and the servers keep answers apart, and what is kept has no HIT in it", () => {
  const bench = new ProxyBench(zone());
  bench.ask("www.example", "AAAA");
  assert.deepEqual(asked(bench), ["A", "AAAA", "HIP"]);
  assert.equal(addresses(bench.ask("WWW.eXample", "AAAA"))[0], HIT);
  assert.deepEqual(asked(bench), []);
  bench.ask("www.example", "AAAA", { edns: 1232, dnssecOk: true });
  assert.deepEqual(asked(bench), ["AAAA"]);
  bench.ask("www.example", "AAAA", { flags: 0x0110 });
  assert.deepEqual(asked(bench), ["A", "AAAA", "HIP"]);
  bench.ask("www.example", "A");
  assert.deepEqual(asked(bench), ["A"]);
  bench.proxy.setOffersHits(false);
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
  assert.deepEqual(asked(bench), []);
  bench.proxy.setUpstreams([{ address: "192.0.2.77", port: 53 }]);
  bench.ask("www.example", "AAAA");
  assert.deepEqual(asked(bench), ["AAAA"]);
});

Deno.test("a query that asks more than its question is neither answered from the cache nor kept there", () => {
  const bench = new ProxyBench(zone());
  for (let i = 0; i < 3; i++) bench.ask("plain.example", "MX", { edns: 1232, cookie: true });
  assert.deepEqual(asked(bench), ["MX", "MX", "MX"]);
  for (let i = 0; i < 3; i++) bench.ask("plain.example", "MX", { edns: 1232 });
  assert.deepEqual(asked(bench), ["MX"]);
});

Deno.test("DNS-130 that a name has no HIP record is remembered of that type alone", () => {
  const bench = new ProxyBench(zone());
  bench.ask("plain.example", "AAAA");
  assert.deepEqual(asked(bench), ["A", "AAAA", "HIP"]);
  bench.advance(4000);
  assert.deepEqual(addresses(bench.ask("plain.example", "AAAA")), ["2001:db8::2"]);
  assert.deepEqual(addresses(bench.ask("plain.example", "A")), ["192.0.2.2"]);
  assert.deepEqual(asked(bench), ["A"]);
  // A zone without an SOA: five seconds later the question is asked again.
  bench.advance(1000);
  bench.ask("plain.example", "AAAA");
  assert.deepEqual(asked(bench), ["HIP"]);
});

Deno.test("DNS-123 a HIT is not given out beyond the TTL of its record, also when no server answers", () => {
  const bench = new ProxyBench({ records: zone().records.map((r) => ({ ...r, ttl: 20 })) });
  bench.ask("www.example", "AAAA");
  bench.upstream = () => undefined;
  bench.advance(19_999);
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
  bench.advance(1);
  assert.equal(bench.ask("www.example", "AAAA"), undefined);
  bench.advance(4000);
  const packet: Packet = dnsPacket.decode(Buffer.from(bench.answers.pop()!.bytes));
  assert.deepEqual([packet.rcode, packet.answers.length], ["SERVFAIL", 0]);
});

Deno.test("DNS-118 a chain goes with its shortest link, and its links have TTLs of their own", () => {
  const bench = new ProxyBench(zone(
    { name: "a1.example", type: "CNAME", data: "a2.example", ttl: 12 },
    { name: "a2.example", type: "CNAME", data: "www.example", ttl: 40 },
  ));
  bench.ask("a1.example", "AAAA");
  asked(bench);
  bench.advance(11_000);
  const packet = bench.ask("a1.example", "AAAA");
  assert.deepEqual(asked(bench), []);
  assert.deepEqual(packet.answers.map((r: Packet) => [r.type, r.ttl]), [
    ["CNAME", 1],
    ["CNAME", 29],
    ["AAAA", 89],
    ["AAAA", 89],
    ["AAAA", 89],
  ]);
  bench.advance(1000);
  bench.ask("a1.example", "AAAA");
  assert.deepEqual(asked(bench), ["A", "AAAA", "HIP"]);
});

Deno.test("DNS-135 a flush forgets every answer, also one that was on its way", () => {
  const bench = new ProxyBench(zone());
  bench.ask("www.example", "AAAA");
  asked(bench);
  bench.proxy.flushCache();
  bench.ask("www.example", "AAAA");
  assert.deepEqual(asked(bench), ["A", "AAAA", "HIP"]);
  const honest = bench.upstream;
  bench.upstream = () => undefined;
  bench.ask("plain.example", "A");
  const { request } = bench.asked[0]!;
  bench.proxy.flushCache();
  bench.upstream = honest;
  bench.proxy.handleUpstream(instant(bench.now), request.requestId, honest(request)!);
  bench.settle();
  assert.equal(bench.answers.length, 1);
  asked(bench);
  bench.ask("plain.example", "A");
  assert.deepEqual(asked(bench), ["A"]);
});

Deno.test("DNS-098 an answer from the cache tells the engine again, before it leaves", () => {
  const bench = new ProxyBench(zone());
  bench.ask("www.example", "AAAA");
  bench.advance(30_000);
  bench.events.length = 0;
  bench.ask("www.example", "AAAA");
  assert.deepEqual(bench.events, ["learn", "answer"]);
  assert.equal(bench.asked.length, 3);
  assert.deepEqual(bench.learned[1]!.locators, bench.learned[0]!.locators);
  // The records are 30 s older: so is what the engine may rely on.
  assert.equal(bench.learned[1]!.expires, bench.learned[0]!.expires);
});

Deno.test("10,000 names with HIP records, asked by 1,000 clients, stay in the cache within its bounds", () => {
  const bench = new ProxyBench({ records: [] });
  const rdata = hipRdata(3, ECDSA_HIT, ECDSA_KEY);
  const answer = (name: string, type: string) => {
    if (type === "HIP") return [{ name, type, ttl: 3000, data: rdata }];
    return [{ name, type, ttl: 3000, data: type === "A" ? "192.0.2.1" : "2001:db8::1" }];
  };
  bench.upstream = ({ bytes }) => {
    const packet: Packet = dnsPacket.decode(Buffer.from(bytes));
    const [{ name, type }] = packet.questions;
    return response({ id: packet.id, questions: packet.questions, answers: answer(name, type) });
  };
  const ask = (i: number) => {
    const name = `host${i}.example`;
    const bytes = dnsPacket.encode({
      type: "query",
      id: 7,
      flags: 0x100,
      questions: [{ name, type: "AAAA", class: "IN" }],
    } as Packet);
    bench.send(new Uint8Array(bytes), "udp", `127.0.0.1:${10_000 + (i % 1000)}`);
    return bench.answers.pop();
  };
  for (let i = 0; i < 10_000; i++) ask(i);
  bench.asked.length = 0;
  for (let i = 0; i < 10_000; i++) {
    const packet: Packet = dnsPacket.decode(Buffer.from(ask(i)!.bytes));
    assert.equal(addresses(packet)[0], HIT);
  }
  assert.equal(bench.asked.length, 0);
});
