/** Names and HITs that the proxy answers from its own knowledge: special names, PTR, static names. */

import assert from "node:assert/strict";
import { instant } from "../../lib/base/time.ts";
import { parseHostsFile } from "../../lib/dns/hosts_file.ts";
import { StaticNames } from "../../lib/dns/static_names.ts";
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
  query,
  zone,
} from "../support/proxy_bench.ts";

Deno.test("DNS-046 DNS-047 localhost, invalid and onion stay here; local is passed on without a HIP query", () => {
  const bench = new ProxyBench(zone());
  assert.deepEqual(addresses(bench.ask("localhost", "AAAA")), ["::1"]);
  assert.deepEqual(addresses(bench.ask("a.LOCALHOST", "A")), ["127.0.0.1"]);
  assert.equal(bench.ask("x.invalid", "AAAA").rcode, "NXDOMAIN");
  assert.equal(bench.ask("x.onion", "TXT").rcode, "NXDOMAIN");
  assert.equal(bench.asked.length, 0);
  bench.ask("printer.local", "AAAA");
  assert.deepEqual(bench.asked.map((a) => a.question.questions[0].type), ["AAAA"]);
});

function reverseOf(hit: Uint8Array): string {
  const nibbles = [...hit].flatMap((octet) => [octet >> 4, octet & 15]).reverse();
  return `${nibbles.map((n) => n.toString(16)).join(".")}.ip6.arpa`;
}

Deno.test("DNS-081 DNS-082 DNS-086 DNS-088 PTR for a HIT learned from DNS, from the hosts file and of our own", () => {
  const bench = new ProxyBench(zone({ name: "alias.example", type: "CNAME", data: "www.example" }));
  bench.ask("alias.example", "AAAA");
  const asked = bench.asked.length;
  const packet = bench.ask(reverseOf(ECDSA_HIT), "PTR", { flags: 0x0120 });
  assert.deepEqual(packet.answers.map((r: Packet) => [r.data, r.ttl]), [["www.example", 60]]);
  assert.equal(packet.flag_ad, false);
  bench.advance(60_000);
  assert.equal(bench.ask(reverseOf(ECDSA_HIT), "PTR").answers[0].ttl, 40);
  bench.advance(40_000);
  assert.equal(bench.ask(reverseOf(ECDSA_HIT), "PTR").rcode, "NXDOMAIN");
  assert.equal(bench.ask(reverseOf(EDDSA_HIT), "PTR").answers[0].data, "me.example");
  bench.proxy.setStaticNames(new StaticNames(parseHostsFile(`${HIT} db.example db`).entries));
  assert.deepEqual(
    bench.ask(reverseOf(ECDSA_HIT), "PTR").answers.map((r: Packet) => r.data),
    ["db.example", "db"],
  );
  assert.equal(bench.asked.length, asked);
});

Deno.test("DNS-084 PTR for an unknown HIT is NXDOMAIN with an SOA and is not asked upstream", () => {
  const bench = new ProxyBench(zone());
  const packet = bench.ask(reverseOf(parseIpAddress("2001:22::77")), "PTR");
  assert.equal(packet.rcode, "NXDOMAIN");
  assert.equal(packet.authorities[0].type, "SOA");
  assert.equal(packet.authorities[0].data.minimum, 60);
  assert.equal(bench.asked.length, 0);
  bench.ask(reverseOf(parseIpAddress("2001:30::77")), "PTR");
  bench.ask("1.2.0.192.in-addr.arpa", "PTR");
  assert.equal(bench.asked.length, 2);
});

Deno.test("DNS-179 DNS-181 a static name: its HIT first, its locators pushed as static, TTL 60", () => {
  const bench = new ProxyBench(zone({ name: "db.example", type: "AAAA", data: "2001:db8::d" }));
  bench.proxy.setStaticNames(
    new StaticNames(
      parseHostsFile(`${HIT} main.example db.example\n192.0.2.99 db.example`).entries,
    ),
  );
  const packet = bench.ask("DB.example", "AAAA");
  assert.ok(packet.answers.every((r: Packet) => r.type === "AAAA"));
  assert.deepEqual(addresses(packet), [HIT, "2001:db8::d"]);
  assert.deepEqual(packet.answers.map((r: Packet) => r.ttl), [60, 60]);
  const mapping = bench.learned[0]!;
  assert.equal(mapping.source, "static");
  assert.equal(mapping.identity, undefined);
  assert.equal(mapping.expires, undefined);
  assert.deepEqual(mapping.locators.map(formatIpAddress), ["192.0.2.99", "2001:db8::d"]);
});

Deno.test("a static name resolves without any server, and its other types exist but are empty", () => {
  const names = new StaticNames(parseHostsFile(`${HIT} locator=192.0.2.99 db`).entries);
  const offline = new ProxyBench(zone(), 0);
  offline.proxy.setStaticNames(names);
  assert.deepEqual(addresses(offline.ask("db", "AAAA")), [HIT]);
  assert.equal(offline.ask("db", "A").rcode, "NOERROR");
  const silent = new ProxyBench({ records: [], silent: new Set(["A", "AAAA"]) });
  silent.proxy.setStaticNames(names);
  silent.send(query("db", "AAAA"));
  silent.send(query("db", "A"));
  silent.advance(800);
  assert.equal(silent.answers.length, 2);
  const unknown = new ProxyBench({ records: [] });
  unknown.proxy.setStaticNames(names);
  assert.deepEqual(addresses(unknown.ask("db", "AAAA")), [HIT]);
  assert.equal(unknown.ask("db", "A").rcode, "NOERROR");
});

Deno.test("a HIT that could not be reached is left out for 30 s, unless it is all there is", () => {
  const bench = new ProxyBench(zone());
  bench.proxy.noteUnreachable(instant(bench.now), ECDSA_HIT);
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
  bench.advance(30_000);
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
  bench.proxy.noteUnreachable(instant(bench.now), ECDSA_HIT);
  bench.proxy.noteReachable(ECDSA_HIT);
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
});

Deno.test("DNS-222 once the HIP interface is down no HIT is given out", () => {
  const bench = new ProxyBench(zone());
  bench.proxy.setOffersHits(false);
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
});

Deno.test("resolve() tells HITs, keys, locators and addresses, mapping pushed", () => {
  const bench = new ProxyBench(zone({ name: "alias.example", type: "CNAME", data: "www.example" }));
  const id = bench.proxy.resolve(instant(bench.now), "alias.example");
  bench.settle();
  const result = bench.proxy.pollResolved()!;
  assert.equal(result.id, id);
  assert.equal(result.canonicalName, "www.example");
  assert.deepEqual(result.peers.map((p) => [formatHit(p.hit), p.isReleased]), [[HIT, true]]);
  assert.deepEqual(result.peers[0]!.identity, dnsKeyToHostIdentity(3, ECDSA_KEY));
  assert.deepEqual(result.addresses.map(formatIpAddress), [
    "2001:db8::9",
    "2001:db8::1",
    "192.0.2.80",
  ]);
  assert.equal(bench.learned.length, 1);
  assert.throws(() => bench.proxy.resolve(instant(bench.now), "a..b"), SyntaxError);
});

Deno.test("an answer that was given twice is given anew once its name is in the hosts file or has a HIP record", () => {
  const bench = new ProxyBench(zone());
  for (const type of ["AAAA", "A"]) {
    for (let i = 0; i < 4; i++) assert.equal(bench.ask("plain.example", type).answers.length, 1);
  }
  const asked = bench.asked.length;
  const packet = bench.ask("plain.example", "AAAA", { id: 7 });
  assert.deepEqual([packet.id, bench.asked.length], [7, asked]);
  bench.proxy.setStaticNames(new StaticNames(parseHostsFile(`${HIT} plain.example`).entries));
  assert.equal(addresses(bench.ask("plain.example", "AAAA"))[0], HIT);
  bench.proxy.setStaticNames(StaticNames.NONE);
  assert.deepEqual(addresses(bench.ask("plain.example", "AAAA")), ["2001:db8::2"]);
  bench.zone.records.push({ ...zone().records[0]!, name: "plain.example" });
  // The zone has no SOA: that there is no HIP record counts for five seconds.
  bench.advance(4999);
  assert.deepEqual(addresses(bench.ask("plain.example", "AAAA")), ["2001:db8::2"]);
  bench.advance(1);
  assert.equal(addresses(bench.ask("plain.example", "AAAA"))[0], HIT);
});

Deno.test("DNS-083 several names of a HIT give several PTR records, the latest first, eight at most", () => {
  const aliases = Array.from({ length: 10 }, (_, i) => `n${i}.example`);
  const bench = new ProxyBench(
    zone(
      ...aliases.flatMap((name) =>
        zone().records.filter((r) => r.name === "www.example" && r.type !== "AAAA")
          .map((r) => ({ ...r, name }))
      ),
    ),
  );
  for (const name of aliases) bench.ask(name, "AAAA");
  const { answers } = bench.ask(reverseOf(ECDSA_HIT), "PTR");
  assert.deepEqual(
    answers.map((r: Packet) => r.data),
    aliases.toReversed().slice(0, 8),
  );
  bench.ask("n3.example", "AAAA");
  assert.equal(bench.ask(reverseOf(ECDSA_HIT), "PTR").answers[0].data, "n3.example");
});

Deno.test("DNS-030 a HIT of our own is answered like any other", () => {
  const bench = new ProxyBench(zone());
  bench.zone.records[0]!.data = hipRdata(4, EDDSA_HIT, EDDSA_KEY);
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], formatHit(EDDSA_HIT));
});

Deno.test("DNS-188 a name of a search list costs one question per type, however often it is asked", () => {
  const bench = new ProxyBench(zone());
  for (let i = 0; i < 5; i++) {
    for (const type of ["A", "AAAA"]) {
      assert.equal(bench.ask("www.office.example", type, { id: i }).rcode, "NXDOMAIN");
    }
  }
  const types = bench.asked.map(({ question }) => question.questions[0].type);
  assert.deepEqual(types.sort(), ["A", "A", "AAAA", "HIP"]);
});

Deno.test("DNS-235 no name that somebody asks for is in a line above level debug", () => {
  const bench = new ProxyBench(zone());
  bench.zone.records[0]!.data = hipRdata(3, parseIpAddress("2001:22::1"), ECDSA_KEY);
  for (const type of ["A", "AAAA", "HIP", "PTR", "MX"]) bench.ask("www.example", type);
  bench.zone.rcodes = new Map([["AAAA", "SERVFAIL"]]);
  bench.ask("other.example", "AAAA");
  const above = bench.log.filter((line) => !line.startsWith("debug"));
  assert.equal(above.length, 1);
  assert.ok(!/example/.test(above.join()));
});
