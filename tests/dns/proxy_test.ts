/** The HITs and locators that the proxy finds for a name, and the answers it makes of them. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { dnsKeyToHostIdentity, formatHit } from "../../lib/identity/hit.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { hipRdata } from "../support/dns_server.ts";
import {
  addresses,
  ECDSA_HIT,
  ECDSA_KEY,
  EDDSA_HIT,
  EDDSA_KEY,
  HIT,
  type Packet,
  ProxyBench,
  zone,
} from "../support/proxy_bench.ts";

Deno.test("DNS-051 DNS-055 DNS-056 DNS-057 DNS-062 AAAA for a HIP name: the HIT first, then the native addresses in upstream's order", () => {
  const bench = new ProxyBench(zone());
  const packet = bench.ask("www.example", "AAAA");
  assert.deepEqual(addresses(packet), [HIT, "2001:db8::9", "2001:db8::1"]);
  assert.deepEqual(bench.asked.map(({ question }) => question.questions[0].type).sort(), [
    "A",
    "AAAA",
    "HIP",
  ]);
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), addresses(packet));
  }
});

Deno.test("DNS-089 DNS-093 the engine has the mapping, key and locators included, before the answer leaves", () => {
  const bench = new ProxyBench(zone());
  bench.ask("www.example", "AAAA");
  assert.deepEqual(bench.events, ["learn", "answer"]);
  const mapping = bench.learned[0]!;
  assert.deepEqual(mapping.hit, ECDSA_HIT);
  assert.deepEqual(mapping.identity, dnsKeyToHostIdentity(3, ECDSA_KEY));
  assert.deepEqual(mapping.locators.map(formatIpAddress), [
    "2001:db8::9",
    "2001:db8::1",
    "192.0.2.80",
  ]);
  assert.equal(mapping.name, "www.example");
  assert.equal(mapping.source, "dns");
});

Deno.test("DNS-099 DNS-120 one TTL for all, the smallest of HIP, AAAA and locators, and the mapping ends with it", () => {
  const bench = new ProxyBench(zone());
  const packet = bench.ask("www.example", "AAAA");
  assert.deepEqual(packet.answers.map((r: Packet) => r.ttl), [100, 100, 100]);
  assert.equal(bench.learned[0]!.expires, bench.now + 100_000);
});

Deno.test("DNS-125 TTLs above the cap are lowered and those with the top bit set count as 0", () => {
  const records = zone().records.map((r) => ({ ...r, ttl: 100_000 }));
  assert.equal(new ProxyBench({ records }).ask("www.example", "AAAA").answers[0].ttl, 3600);
  const wild = zone().records.map((r) => ({ ...r, ttl: r.type === "A" ? 0x80000001 : 60 }));
  assert.equal(new ProxyBench({ records: wild }).ask("www.example", "AAAA").answers[0].ttl, 0);
});

Deno.test("a HIT whose mapping the engine does not take is not in the answer", () => {
  for (const takes of [false, new Error("full")]) {
    const bench = new ProxyBench(zone());
    bench.takes = takes;
    assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
    assert.equal(bench.proxy.counters.get("mappings-refused"), 1);
  }
});

Deno.test("DNS-061 a HIP name with only A records: AAAA answers hold the HIT alone", () => {
  const only = zone();
  only.records = only.records.filter((r) => r.type !== "AAAA");
  const packet = new ProxyBench(only).ask("www.example", "AAAA");
  assert.deepEqual(addresses(packet), [HIT]);
  assert.equal(packet.rcode, "NOERROR");
  assert.equal(packet.authorities.length, 0);
});

Deno.test("DNS-063 a HIT for which no address is known is left out", () => {
  const bench = new ProxyBench({ records: zone().records.filter((r) => r.type === "HIP") });
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), []);
  assert.equal(bench.learned.length, 0);
});

Deno.test("DNS-023 DNS-025 DNS-027 the HIT is computed from the key, whatever the record says, with one warning", () => {
  for (const wrong of ["2001:22::1", "2001:10:7b1a:74df:3656:39cc:39f1:d578"]) {
    const bench = new ProxyBench(zone());
    bench.zone.records[0]!.data = hipRdata(3, parseIpAddress(wrong), ECDSA_KEY);
    for (let i = 0; i < 3; i++) {
      assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
    }
    assert.equal(bench.proxy.counters.get("hit-mismatches"), 3);
    assert.equal(bench.log.filter((line) => line.startsWith("warning")).length, 1);
    bench.advance(3_600_001);
    bench.ask("www.example", "AAAA");
    assert.equal(bench.log.filter((line) => line.startsWith("warning")).length, 2);
  }
});

Deno.test("DNS-010 DNS-011 DNS-012 unusable HIP records give no HIT and leave their siblings usable", () => {
  const offCurve = ECDSA_KEY.slice();
  offCurve[63]! ^= 1;
  const bad = [
    hipRdata(3, ECDSA_HIT.subarray(1), ECDSA_KEY),
    hipRdata(0, ECDSA_HIT, new Uint8Array(0)),
    hipRdata(5, ECDSA_HIT, ECDSA_KEY),
    hipRdata(3, ECDSA_HIT, ECDSA_KEY.subarray(1)),
    hipRdata(3, ECDSA_HIT, offCurve),
    hipRdata(2, ECDSA_HIT, Uint8Array.of(3, 1, 0, 1, ...new Uint8Array(64).fill(0xff))),
    Buffer.from([16, 3, 0, 64, 1]),
  ];
  for (const data of bad) {
    const bench = new ProxyBench(zone());
    bench.zone.records[0]!.data = data;
    assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
    bench.zone.records.push({
      name: "www.example",
      type: "HIP",
      data: hipRdata(3, ECDSA_HIT, ECDSA_KEY),
    });
    bench.proxy.flushCache();
    assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
  }
});

Deno.test("DNS-031 DNS-032 several keys give several HITs in order of suite, equal ones once", () => {
  const more = [
    hipRdata(4, EDDSA_HIT, EDDSA_KEY),
    hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]),
    hipRdata(3, ECDSA_HIT, ECDSA_KEY),
  ].map((data) => ({ name: "two.example", type: "HIP", data }));
  const bench = new ProxyBench(
    zone(...more, { name: "two.example", type: "A", data: "192.0.2.5" }, {
      name: "rvs.example",
      type: "A",
      data: "192.0.2.6",
    }),
  );
  assert.deepEqual(addresses(bench.ask("two.example", "AAAA")), [HIT, formatHit(EDDSA_HIT)]);
  assert.deepEqual(bench.learned[0]!.rendezvous.map(formatIpAddress), ["192.0.2.6"]);
});

Deno.test("DNS-007 DNS-105 DNS-106 DNS-111 rendezvous names are resolved, given to their own HIT only, and never to the application", () => {
  const bench = new ProxyBench({
    records: [
      {
        name: "m.example",
        type: "HIP",
        data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs1.example", "rvs2.example"]),
      },
      { name: "m.example", type: "HIP", data: hipRdata(4, EDDSA_HIT, EDDSA_KEY, ["m.example"]) },
      { name: "m.example", type: "AAAA", data: "2001:db8::7" },
      { name: "rvs1.example", type: "AAAA", data: "2001:db8::11" },
      { name: "rvs1.example", type: "HIP", data: hipRdata(4, EDDSA_HIT, EDDSA_KEY) },
      { name: "rvs2.example", type: "A", data: "192.0.2.22" },
    ],
  });
  const packet = bench.ask("m.example", "AAAA");
  assert.deepEqual(addresses(packet), [HIT, formatHit(EDDSA_HIT), "2001:db8::7"]);
  const [first, second] = bench.learned;
  assert.deepEqual(first!.rendezvous.map(formatIpAddress), ["2001:db8::11", "192.0.2.22"]);
  assert.deepEqual(first!.locators.map(formatIpAddress), ["2001:db8::7"]);
  assert.deepEqual(second!.rendezvous, []);
  assert.ok(
    !bench.asked.some(({ question }) =>
      question.questions[0].name.startsWith("rvs") && question.questions[0].type === "HIP"
    ),
  );
});

Deno.test("DNS-009 a rendezvous name equal to the owner is the same as none", () => {
  const bench = new ProxyBench(zone());
  bench.zone.records[0]!.data = hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["WWW.example"]);
  bench.ask("www.example", "AAAA");
  assert.equal(bench.asked.length, 3);
  assert.deepEqual(bench.learned[0]!.rendezvous, []);
  assert.equal(bench.learned[0]!.locators.length, 3);
});

Deno.test("DNS-171 a mobile host with a rendezvous server only: the HIT alone is the answer", () => {
  const bench = new ProxyBench({
    records: [
      { name: "m.example", type: "HIP", data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]) },
      { name: "rvs.example", type: "A", data: "192.0.2.22" },
    ],
    rcodes: new Map([["AAAA", "SERVFAIL"]]),
  });
  assert.deepEqual(addresses(bench.ask("m.example", "AAAA")), [HIT]);
});

Deno.test("DNS-035 DNS-036 an AAAA record that holds a HIT nobody vouches for is neither locator nor answer", () => {
  const bench = new ProxyBench(zone({ name: "www.example", type: "AAAA", data: "2001:21::bad" }, {
    name: "plain.example",
    type: "AAAA",
    data: "2001:30::1",
  }));
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), [
    HIT,
    "2001:db8::9",
    "2001:db8::1",
  ]);
  assert.ok(!bench.learned[0]!.locators.map(formatIpAddress).includes("2001:21::bad"));
  assert.deepEqual(addresses(bench.ask("plain.example", "AAAA")), ["2001:db8::2"]);
  bench.zone.records.push({ name: "www.example", type: "AAAA", data: HIT });
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), [
    HIT,
    "2001:db8::9",
    "2001:db8::1",
  ]);
});

Deno.test("DNS-113 behind a CNAME the HIT stands at the canonical name, after the chain", () => {
  const bench = new ProxyBench(
    zone({ name: "alias.example", type: "CNAME", data: "www.example", ttl: 7 }),
  );
  const packet = bench.ask("alias.example", "AAAA");
  assert.deepEqual(
    packet.answers.map((r: Packet) => [r.name, r.type, r.ttl]),
    [
      ["alias.example", "CNAME", 7],
      ["www.example", "AAAA", 100],
      ["www.example", "AAAA", 100],
      ["www.example", "AAAA", 100],
    ],
  );
  assert.equal(packet.answers[0].data, "www.example");
  assert.equal(packet.answers[1].data, HIT);
  assert.equal(bench.learned[0]!.name, "www.example");
});

Deno.test("DNS-114 HIP records of another canonical name than the addresses have do not count", () => {
  const bench = new ProxyBench(zone());
  const honest = bench.upstream;
  const other = new ProxyBench(zone(
    { name: "www.example", type: "CNAME", data: "evil.example" },
    { name: "evil.example", type: "HIP", data: hipRdata(4, EDDSA_HIT, EDDSA_KEY) },
  ));
  bench.upstream = (request) =>
    dnsPacket.decode(Buffer.from(request.bytes)).questions![0]!.type === "HIP"
      ? other.upstream(request)
      : honest(request);
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
  assert.equal(bench.proxy.counters.get("hip-chain-mismatches"), 1);
});

Deno.test("DNS-116 a CNAME loop is answered SERVFAIL", () => {
  const bench = new ProxyBench(zone(
    { name: "l1.example", type: "CNAME", data: "l2.example" },
    { name: "l2.example", type: "CNAME", data: "l1.example" },
  ));
  assert.equal(bench.ask("l1.example", "AAAA").rcode, "SERVFAIL");
});
