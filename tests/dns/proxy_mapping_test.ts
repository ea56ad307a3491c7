/** What the proxy tells the engine of peers, and that it waits until the engine knows. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { formatIpAddress } from "../../lib/wire/ip_address.ts";
import { answerQuery, hipRdata } from "../support/dns_server.ts";
import {
  addresses,
  ECDSA_HIT,
  ECDSA_KEY,
  EDDSA_HIT,
  EDDSA_KEY,
  HIT,
  type Packet,
  ProxyBench,
  query,
  zone,
} from "../support/proxy_bench.ts";

const NATIVE = ["2001:db8::9", "2001:db8::1"];

Deno.test("DNS-090 an answer waits as long as the engine does, and has no HIT that the engine does not take", () => {
  for (const delay of [1, 40, 99]) {
    const bench = new ProxyBench(zone());
    bench.takes = "later";
    bench.send(query("www.example", "AAAA"));
    bench.advance(delay);
    assert.equal(bench.answers.length, 0);
    bench.acknowledge(true);
    bench.settle();
    const packet: Packet = dnsPacket.decode(Buffer.from(bench.answers.pop()!.bytes));
    assert.equal(addresses(packet)[0], HIT);
  }
  const refused = new ProxyBench(zone());
  refused.takes = "later";
  refused.send(query("www.example", "AAAA"));
  refused.acknowledge(false);
  refused.settle();
  const packet: Packet = dnsPacket.decode(Buffer.from(refused.answers.pop()!.bytes));
  assert.deepEqual(addresses(packet), NATIVE);
});

Deno.test("DNS-091 an engine that says nothing for 100 ms is not waited for: the native answer leaves", () => {
  const bench = new ProxyBench(zone());
  bench.takes = "later";
  bench.send(query("www.example", "AAAA"));
  bench.advance(99);
  assert.equal(bench.answers.length, 0);
  bench.advance(1);
  assert.deepEqual(
    bench.answers.pop()!.bytes,
    answerQuery(bench.zone, query("www.example", "AAAA"), 512),
  );
  // What comes too late changes nothing.
  bench.acknowledge(true);
  bench.settle();
  assert.equal(bench.answers.length, 0);
  assert.equal(bench.proxy.queriesInProgress, 0);
});

Deno.test("DNS-092 DNS-117 a mapping holds HIT and key, locators by kind, both names, end, provenance and suite", () => {
  const bench = new ProxyBench(zone(
    { name: "alias.example", type: "CNAME", data: "www.example", ttl: 900 },
    { name: "rvs.example", type: "A", data: "192.0.2.22", ttl: 50 },
  ));
  bench.zone.records[0]!.data = hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]);
  bench.ask("alias.example", "AAAA");
  const [mapping] = bench.learned;
  assert.deepEqual(mapping!.locators.map(formatIpAddress), [...NATIVE, "192.0.2.80"]);
  assert.deepEqual(mapping!.rendezvous.map(formatIpAddress), ["192.0.2.22"]);
  assert.deepEqual(
    [mapping!.name, mapping!.queryName, mapping!.source, mapping!.expires],
    ["www.example", "alias.example", "dns", bench.now + 50_000],
  );
  assert.equal(mapping!.identity!.algorithm, 7);
  assert.equal(hitSuiteId(mapping!.hit), 2);
});

Deno.test("DNS-094 loopback, unspecified, multicast, broadcast addresses, HITs and LSIs are never locators", () => {
  const lsis = {
    mode: "v4only" as const,
    ofHit: () => undefined,
    hitOf: () => undefined,
    isInPool: (address: Uint8Array) => formatIpAddress(address).startsWith("198.18."),
  };
  for (
    const [type, data] of [
      ["A", "127.0.0.1"],
      ["A", "0.0.0.0"],
      ["A", "224.0.0.1"],
      ["A", "255.255.255.255"],
      ["A", "198.18.3.4"],
      ["AAAA", "::1"],
      ["AAAA", "::"],
      ["AAAA", "ff02::1"],
      ["AAAA", "::ffff:127.0.0.1"],
      ["AAAA", "2001:22::1"],
      ["AAAA", "2001:10::1"],
      ["AAAA", "2001:30::1"],
    ]
  ) {
    for (const owner of ["h.example", "rvs.example"]) {
      const bench = new ProxyBench(
        {
          records: [
            {
              name: "h.example",
              type: "HIP",
              data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]),
            },
            { name: owner, type: type!, data },
          ],
        },
        1,
        { lsis },
      );
      assert.ok(!addresses(bench.ask("h.example", "AAAA")).includes(HIT), data);
      assert.equal(bench.learned.length, 0, data);
      bench.proxy.flushCache();
      bench.zone.records.push({ name: owner, type: "A", data: "192.0.2.1" });
      assert.equal(addresses(bench.ask("h.example", "AAAA"))[0], HIT);
      const { locators, rendezvous } = bench.learned[0]!;
      assert.deepEqual([...locators, ...rendezvous].map(formatIpAddress), ["192.0.2.1"]);
    }
  }
});

Deno.test("DNS-008 rendezvous names of two records of one key follow each other as they came, each in its own order", () => {
  const records = (first: string[], second: string[]) => ({
    records: [
      { name: "m.example", type: "HIP", data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, first) },
      { name: "m.example", type: "HIP", data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, second) },
      { name: "m.example", type: "HIP", data: hipRdata(4, EDDSA_HIT, EDDSA_KEY, ["r4.example"]) },
      ...[1, 2, 3, 4].map((i) => ({ name: `r${i}.example`, type: "A", data: `192.0.2.${i}` })),
    ],
  });
  for (const [first, second] of [[["r3", "r1"], ["r2"]], [["r2"], ["r3", "r1"]]]) {
    const named = [first!, second!].map((names) => names.map((name) => `${name}.example`));
    const bench = new ProxyBench(records(named[0]!, named[1]!));
    bench.ask("m.example", "AAAA");
    const [ecdsa, eddsa] = bench.learned.map(({ rendezvous }) => rendezvous.map(formatIpAddress));
    assert.deepEqual(ecdsa, [...first!, ...second!].map((name) => `192.0.2.${name[1]}`));
    assert.deepEqual(eddsa, ["192.0.2.4"]);
  }
});

Deno.test("DNS-110 rendezvous servers are waited for 800 ms, and whichever locator is known then will do", () => {
  const records = zone({
    name: "m.example",
    type: "HIP",
    data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]),
  }, {
    name: "m.example",
    type: "AAAA",
    data: "2001:db8::7",
  }, { name: "rvs.example", type: "A", data: "192.0.2.22" });
  const bench = new ProxyBench(records);
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const asked: Packet = dnsPacket.decode(Buffer.from(request.bytes));
    return asked.questions[0].name === "rvs.example" ? undefined : honest(request);
  };
  bench.send(query("m.example", "AAAA"));
  bench.advance(799);
  assert.equal(bench.answers.length, 0);
  bench.advance(1);
  const packet: Packet = dnsPacket.decode(Buffer.from(bench.answers.pop()!.bytes));
  assert.deepEqual(addresses(packet), [HIT, "2001:db8::7"]);
  assert.deepEqual(bench.learned[0]!.rendezvous, []);
  // With the server's address alone the HIT is released too.
  const away = new ProxyBench({
    records: records.records.filter(({ data }) => data !== "2001:db8::7"),
  });
  assert.deepEqual(addresses(away.ask("m.example", "AAAA")), [HIT]);
});

Deno.test("DNS-115 DNS-131 where there is no native address the chain of the HIP answer leads to the HIT, and no SOA denies it", () => {
  const records = [
    { name: "alias.example", type: "CNAME", data: "m.example", ttl: 9 },
    { name: "m.example", type: "HIP", data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]) },
    { name: "rvs.example", type: "A", data: "192.0.2.22" },
  ];
  const bench = new ProxyBench({ records });
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const asked: Packet = dnsPacket.decode(Buffer.from(request.bytes));
    const [question] = asked.questions;
    if (question.type !== "AAAA" || question.name !== "alias.example") return honest(request);
    const data = { mname: "a", rname: "b", serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 };
    return new Uint8Array(dnsPacket.encode({
      type: "response",
      id: asked.id,
      flags: 0x180,
      questions: asked.questions,
      authorities: [{ name: "example", type: "SOA", ttl: 60, data }],
    } as Packet));
  };
  const packet = bench.ask("alias.example", "AAAA");
  assert.deepEqual(
    packet.answers.map((r: Packet) => [r.name, r.type, r.data]),
    [["alias.example", "CNAME", "m.example"], ["m.example", "AAAA", HIT]],
  );
  assert.deepEqual([packet.rcode, packet.authorities], ["NOERROR", []]);
});

Deno.test("DNS-102 a fresh HIP answer, an empty one included, tells which HITs its name has; a failure tells nothing", () => {
  const bench = new ProxyBench(zone());
  const hits = () => bench.confirmed.splice(0).map(({ name, hits }) => [name, hits.length]);
  bench.ask("www.example", "AAAA");
  assert.deepEqual(hits(), [["www.example", 1]]);
  bench.ask("www.example", "AAAA");
  assert.deepEqual(hits(), []);
  bench.zone.records.shift();
  bench.proxy.flushCache();
  bench.ask("www.example", "AAAA");
  assert.deepEqual(hits(), [["www.example", 0]]);
  bench.zone.rcodes = new Map([["HIP", "SERVFAIL"]]);
  bench.proxy.flushCache();
  bench.ask("www.example", "AAAA");
  assert.deepEqual(hits(), []);
});

Deno.test("DNS-239 DNS-067 one line ties HIT, locators and names together, at level debug", () => {
  const bench = new ProxyBench(zone());
  bench.ask("www.example", "AAAA");
  assert.deepEqual(bench.log.length, 1);
  assert.match(bench.log[0]!, new RegExp(`^debug: www\\.example\\. has ${HIT} at \\[2001:db8::9`));
});
