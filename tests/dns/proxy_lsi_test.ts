/** A questions of programs that know only IPv4, and what leads back from LSIs. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import type { DnsLsis } from "../../lib/dns/proxy.ts";
import { NameModes } from "../../lib/dns/name_modes.ts";
import { lsiNumber, LsiTable } from "../../lib/identity/lsi.ts";
import { parseName } from "../../lib/wire/dns/name.ts";
import { answerQuery } from "../support/dns_server.ts";
import {
  addresses,
  ECDSA_HIT,
  HIT,
  type Packet,
  ProxyBench,
  query,
  zone,
} from "../support/proxy_bench.ts";

function lsisOf(table: LsiTable, mode: "on" | "v4only"): DnsLsis {
  return {
    mode,
    ofHit: (now, hit) => table.assign(hit, now)?.address.subarray(12),
    hitOf: (lsi) => table.ofLsi(lsiNumber(lsi))?.hit,
    isInPool: (address) => table.isInPool(lsiNumber(address)),
  };
}

function benchOf(mode: "on" | "v4only", table = new LsiTable(), modes = new NameModes()) {
  return new ProxyBench(zone(), 1, { lsis: lsisOf(table, mode), modes });
}

const LSI = new LsiTable().assign(ECDSA_HIT)!.address.subarray(12).join(".");
const OTHER_SOCKET = "127.0.0.1:5000";

/** The answers that have come, by type. */
function answersOf(bench: ProxyBench): Record<string, string[]> {
  const packets: Packet[] = bench.answers.splice(0).map(({ bytes }) =>
    dnsPacket.decode(Buffer.from(bytes))
  );
  return Object.fromEntries(packets.map((p) => [p.questions[0].type, addresses(p)]));
}

Deno.test("DNS-069 DNS-121 with lsi = on the LSI stands before the native address, both of the smallest TTL", () => {
  const bench = benchOf("on");
  const packet = bench.ask("www.example", "A");
  assert.deepEqual(addresses(packet), [LSI, "192.0.2.80"]);
  assert.deepEqual(packet.answers.map((r: Packet) => r.ttl), [100, 100]);
  assert.deepEqual(bench.learned[0]!.hit, ECDSA_HIT);
  assert.deepEqual(bench.events, ["learn", "answer"]);
  assert.equal(bench.proxy.counters.get("lsis-added"), 1);
  assert.deepEqual(addresses(bench.ask("plain.example", "A")), ["192.0.2.2"]);
});

Deno.test("DNS-070 without LSIs, and while HITs are not given out, A answers stay octet for octet", () => {
  const without = new ProxyBench(zone());
  const down = benchOf("on");
  down.proxy.setOffersHits(false);
  for (const bench of [without, down]) {
    const bytes = query("www.example", "A");
    bench.send(bytes);
    assert.deepEqual(bench.answers.pop()!.bytes, answerQuery(bench.zone, bytes, 512));
    assert.deepEqual(bench.asked.map(({ question }) => question.questions[0].type), ["A"]);
  }
});

Deno.test("DNS-071 with lsi = v4only a client socket that asks for AAAA within 20 ms, before or after, gets no LSI", () => {
  for (const order of [["A", "AAAA"], ["AAAA", "A"]]) {
    for (const [gap, hasLsi] of [[0, false], [19, false], [21, true]] as const) {
      const bench = benchOf("v4only");
      bench.send(query("www.example", order[0]!));
      bench.advance(gap);
      bench.send(query("www.example", order[1]!));
      bench.advance(25);
      const { A, AAAA } = answersOf(bench);
      assert.deepEqual(A, hasLsi ? [LSI, "192.0.2.80"] : ["192.0.2.80"], `${order} ${gap} ms`);
      assert.equal(AAAA![0], HIT);
    }
  }
});

Deno.test("DNS-071 one that asks for A alone has its LSI after 20 ms, whatever other sockets ask, and whatever it asks of other names", () => {
  const bench = benchOf("v4only");
  bench.send(query("www.example", "A"));
  bench.send(query("www.example", "AAAA"), "udp", OTHER_SOCKET);
  bench.send(query("plain.example", "AAAA"));
  bench.advance(19);
  assert.deepEqual(Object.keys(answersOf(bench)), ["AAAA"]);
  bench.advance(1);
  assert.deepEqual(answersOf(bench), { A: [LSI, "192.0.2.80"] });
  // Where there is no HIP nothing is waited for.
  assert.deepEqual(addresses(bench.ask("plain.example", "A")), ["192.0.2.2"]);
});

Deno.test("a twin does not wait for its 20 ms once the other has come", () => {
  const bench = benchOf("v4only");
  for (let i = 0; i < 2; i++) {
    bench.send(query("www.example", "A"));
    bench.send(query("www.example", "AAAA"));
    assert.deepEqual(answersOf(bench), {
      A: ["192.0.2.80"],
      AAAA: [HIT, "2001:db8::9", "2001:db8::1"],
    });
    bench.advance(100);
  }
});

Deno.test("a twin whose answer will hold no LSI does not wait for the HIP record either", () => {
  const bench = new ProxyBench({ ...zone(), silent: new Set(["HIP", "AAAA"]) }, 1, {
    lsis: lsisOf(new LsiTable(), "v4only"),
  });
  bench.send(query("www.example", "AAAA"));
  bench.send(query("www.example", "A"));
  assert.deepEqual(answersOf(bench), { A: ["192.0.2.80"] });
});

Deno.test("in mode hit-only IPv4-only programs get the LSI alone, others nothing native", () => {
  const modes = new NameModes([{ suffix: parseName("example"), mode: "hit-only" }]);
  const bench = benchOf("v4only", new LsiTable(), modes);
  bench.send(query("www.example", "A"));
  bench.advance(20);
  assert.deepEqual(answersOf(bench), { A: [LSI] });
  bench.send(query("www.example", "A"));
  bench.send(query("www.example", "AAAA"));
  assert.deepEqual(answersOf(bench), { A: [], AAAA: [HIT] });
});

Deno.test("DNS-079 when no LSI is free the answer is native, and that is counted", () => {
  const bench = benchOf("on", new LsiTable(0));
  const bytes = query("www.example", "A");
  bench.send(bytes);
  assert.deepEqual(bench.answers.pop()!.bytes, answerQuery(bench.zone, bytes, 512));
  assert.equal(bench.proxy.counters.get("lsis-exhausted"), 1);
});

Deno.test("DNS-085 PTR for an assigned LSI is its peer's name; any other address of the pool, or none at all, is passed on", () => {
  const bench = benchOf("on");
  bench.ask("www.example", "A");
  const reverse = (lsi: string) => `${lsi.split(".").reverse().join(".")}.in-addr.arpa`;
  bench.asked.length = 0;
  const packet = bench.ask(reverse(LSI), "PTR");
  assert.deepEqual(packet.answers.map((r: Packet) => r.data), ["www.example"]);
  assert.equal(bench.asked.length, 0);
  for (const other of ["198.18.0.1", "192.0.2.80", "198.18.0.999", "18.198"]) {
    bench.ask(reverse(other), "PTR");
  }
  assert.equal(bench.asked.length, 4);
});

Deno.test("DNS-239 the line about a name ties its LSI to its HIT and locators", () => {
  const bench = benchOf("on");
  bench.ask("www.example", "A");
  assert.match(bench.log.at(-1)!, new RegExp(`www\\.example\\. has ${HIT} \\(${LSI}\\) at \\[`));
});
