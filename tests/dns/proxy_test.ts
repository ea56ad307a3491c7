import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import dnsPacket from "dns-packet";
import type { LogLevel } from "../../lib/base/logger.ts";
import type { Random } from "../../lib/base/random.ts";
import { instant } from "../../lib/base/time.ts";
import type { DnsClient } from "../../lib/dns/client_query.ts";
import { parseHostsFile } from "../../lib/dns/hosts_file.ts";
import { DnsProxy } from "../../lib/dns/proxy.ts";
import { StaticNames } from "../../lib/dns/static_names.ts";
import type { UpstreamRequest } from "../../lib/dns/upstream.ts";
import { dnsKeyToHostIdentity, formatHit, hitOf } from "../../lib/identity/hit.ts";
import type { PeerMapping } from "../../lib/identity/peer_directory.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { answerQuery, hipRdata, udpLimit, type Zone } from "../support/dns_server.ts";

// deno-lint-ignore no-explicit-any
type Packet = any;

function seedOf(name: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(name).digest());
}

const ECDSA_KEY = p256.getPublicKey(seedOf("ecdsa"), false).subarray(1);
const ECDSA_HIT = hitOf(dnsKeyToHostIdentity(3, ECDSA_KEY)!);
const EDDSA_KEY = ed25519.getPublicKey(seedOf("eddsa"));
const EDDSA_HIT = hitOf(dnsKeyToHostIdentity(4, EDDSA_KEY)!);

/** Deterministic; never used for anything but identifiers. */
class TestRandom implements Random {
  #state = 1;
  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      this.#state = (this.#state * 1103515245 + 12345) >>> 0;
      bytes[i] = this.#state >>> 16;
    }
  }
}

/** A proxy, a zone behind it, and a clock. */
class Bench {
  now = 1000;
  readonly learned: PeerMapping[] = [];
  readonly log: string[] = [];
  readonly asked: { request: UpstreamRequest; question: Packet }[] = [];
  readonly answers: { client: DnsClient; bytes: Uint8Array }[] = [];
  readonly finished: number[] = [];
  /** Order of what happened, for the rule that the mapping comes first. */
  readonly events: string[] = [];
  takes: boolean | Error = true;
  /** Changes what upstream says; undefined drops it. */
  upstream = (request: UpstreamRequest): Uint8Array | undefined =>
    answerQuery(
      this.zone,
      request.bytes,
      request.transport === "tcp" ? 65535 : udpLimit(request.bytes),
    );
  readonly proxy: DnsProxy;

  constructor(readonly zone: Zone, servers = 1) {
    this.proxy = new DnsProxy({
      learn: (_now, mapping) => {
        if (this.takes instanceof Error) throw this.takes;
        this.learned.push(mapping);
        this.events.push("learn");
        return this.takes;
      },
      ownHits: [{ hit: EDDSA_HIT, name: "me.example" }],
      random: new TestRandom(),
      logger: { log: (level: LogLevel, message) => this.log.push(`${level}: ${message}`) },
    });
    this.proxy.setUpstreams(
      Array.from({ length: servers }, (_, i) => ({ address: `192.0.2.${i + 1}`, port: 53 })),
    );
  }

  /** Lets everything happen that can happen at this instant. */
  settle(): void {
    for (;;) {
      const request = this.proxy.pollRequest();
      if (request === undefined) break;
      const question: Packet = dnsPacket.decode(Buffer.from(request.bytes));
      this.asked.push({ request, question });
      const answer = this.upstream(request);
      if (answer !== undefined) {
        this.proxy.handleUpstream(instant(this.now), request.requestId, answer);
      }
    }
    for (let a = this.proxy.pollAnswer(); a; a = this.proxy.pollAnswer()) {
      this.events.push("answer");
      this.answers.push(a);
    }
    for (let id = this.proxy.pollFinished(); id; id = this.proxy.pollFinished()) {
      this.finished.push(id);
    }
  }

  /** Moves the clock from timer to timer. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = this.proxy.nextTimeout();
      if (next === undefined || next > end) break;
      this.now = Math.max(this.now, next);
      this.proxy.handleTimeout(instant(this.now));
      this.settle();
    }
    this.now = end;
  }

  send(bytes: Uint8Array, transport: "udp" | "tcp" = "udp"): void {
    const client = { id: "client", transport, isLoopback: true };
    this.proxy.handleQuery(instant(this.now), client, bytes);
    this.settle();
  }

  /** Asks and gives the reply as dns-packet reads it. */
  ask(name: string, type: string, options: QueryOptions = {}): Packet {
    this.send(query(name, type, options), options.transport);
    const answer = this.answers.pop();
    return answer === undefined ? undefined : dnsPacket.decode(Buffer.from(answer.bytes));
  }
}

interface QueryOptions {
  edns?: number;
  dnssecOk?: boolean;
  flags?: number;
  id?: number;
  transport?: "udp" | "tcp";
}

function query(name: string, type: string, options: QueryOptions = {}): Uint8Array {
  return new Uint8Array(dnsPacket.encode({
    type: "query",
    id: options.id ?? 0x4242,
    flags: options.flags ?? dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type, class: "IN" }],
    additionals: options.edns === undefined ? [] : [{
      type: "OPT",
      name: ".",
      udpPayloadSize: options.edns,
      flags: options.dnssecOk === true ? 0x8000 : 0,
      options: [],
    }],
  } as Packet));
}

/** Addresses of an answer in order. */
function addresses(packet: Packet): string[] {
  return packet.answers.filter((r: Packet) => r.type === "AAAA" || r.type === "A")
    .map((r: Packet) => formatIpAddress(parseIpAddress(r.data)));
}

const HIT = formatHit(ECDSA_HIT);

function zone(...more: Zone["records"]): Zone {
  return {
    records: [
      { name: "www.example", type: "HIP", data: hipRdata(3, ECDSA_HIT, ECDSA_KEY) },
      { name: "www.example", type: "AAAA", data: "2001:db8::9" },
      { name: "www.example", type: "AAAA", data: "2001:db8::1" },
      { name: "www.example", type: "A", data: "192.0.2.80", ttl: 100 },
      { name: "plain.example", type: "AAAA", data: "2001:db8::2" },
      { name: "plain.example", type: "A", data: "192.0.2.2" },
      ...more,
    ],
  };
}

Deno.test("DNS-051 DNS-055 DNS-056 DNS-057 DNS-062 AAAA for a HIP name: the HIT first, then the native addresses in upstream's order", () => {
  const bench = new Bench(zone());
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
  const bench = new Bench(zone());
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
  const bench = new Bench(zone());
  const packet = bench.ask("www.example", "AAAA");
  assert.deepEqual(packet.answers.map((r: Packet) => r.ttl), [100, 100, 100]);
  assert.equal(bench.learned[0]!.expires, bench.now + 100_000);
});

Deno.test("DNS-125 TTLs above the cap are lowered and those with the top bit set count as 0", () => {
  const records = zone().records.map((r) => ({ ...r, ttl: 100_000 }));
  assert.equal(new Bench({ records }).ask("www.example", "AAAA").answers[0].ttl, 3600);
  const wild = zone().records.map((r) => ({ ...r, ttl: r.type === "A" ? 0x80000001 : 60 }));
  assert.equal(new Bench({ records: wild }).ask("www.example", "AAAA").answers[0].ttl, 0);
});

Deno.test("a HIT whose mapping the engine does not take is not in the answer", () => {
  for (const takes of [false, new Error("full")]) {
    const bench = new Bench(zone());
    bench.takes = takes;
    assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
    assert.equal(bench.proxy.counters.get("mappings-refused"), 1);
  }
});

Deno.test("DNS-061 a HIP name with only A records: AAAA answers hold the HIT alone", () => {
  const only = zone();
  only.records = only.records.filter((r) => r.type !== "AAAA");
  const packet = new Bench(only).ask("www.example", "AAAA");
  assert.deepEqual(addresses(packet), [HIT]);
  assert.equal(packet.rcode, "NOERROR");
  assert.equal(packet.authorities.length, 0);
});

Deno.test("DNS-063 a HIT for which no address is known is left out", () => {
  const bench = new Bench({ records: zone().records.filter((r) => r.type === "HIP") });
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), []);
  assert.equal(bench.learned.length, 0);
});

Deno.test("DNS-023 DNS-025 DNS-027 the HIT is computed from the key, whatever the record says, with one warning", () => {
  for (const wrong of ["2001:22::1", "2001:10:7b1a:74df:3656:39cc:39f1:d578"]) {
    const bench = new Bench(zone());
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
    const bench = new Bench(zone());
    bench.zone.records[0]!.data = data;
    assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
    bench.zone.records.push({
      name: "www.example",
      type: "HIP",
      data: hipRdata(3, ECDSA_HIT, ECDSA_KEY),
    });
    assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
  }
});

Deno.test("DNS-031 DNS-032 several keys give several HITs in order of suite, equal ones once", () => {
  const more = [
    hipRdata(4, EDDSA_HIT, EDDSA_KEY),
    hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]),
    hipRdata(3, ECDSA_HIT, ECDSA_KEY),
  ].map((data) => ({ name: "two.example", type: "HIP", data }));
  const bench = new Bench(zone(...more, { name: "two.example", type: "A", data: "192.0.2.5" }, {
    name: "rvs.example",
    type: "A",
    data: "192.0.2.6",
  }));
  assert.deepEqual(addresses(bench.ask("two.example", "AAAA")), [HIT, formatHit(EDDSA_HIT)]);
  assert.deepEqual(bench.learned[0]!.rendezvous.map(formatIpAddress), ["192.0.2.6"]);
});

Deno.test("DNS-007 DNS-105 DNS-106 DNS-111 rendezvous names are resolved, given to their own HIT only, and never to the application", () => {
  const bench = new Bench({
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
  const bench = new Bench(zone());
  bench.zone.records[0]!.data = hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["WWW.example"]);
  bench.ask("www.example", "AAAA");
  assert.equal(bench.asked.length, 3);
  assert.deepEqual(bench.learned[0]!.rendezvous, []);
  assert.equal(bench.learned[0]!.locators.length, 3);
});

Deno.test("DNS-171 a mobile host with a rendezvous server only: the HIT alone is the answer", () => {
  const bench = new Bench({
    records: [
      { name: "m.example", type: "HIP", data: hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]) },
      { name: "rvs.example", type: "A", data: "192.0.2.22" },
    ],
    rcodes: new Map([["AAAA", "SERVFAIL"]]),
  });
  assert.deepEqual(addresses(bench.ask("m.example", "AAAA")), [HIT]);
});

Deno.test("DNS-035 DNS-036 an AAAA record that holds a HIT nobody vouches for is neither locator nor answer", () => {
  const bench = new Bench(zone({ name: "www.example", type: "AAAA", data: "2001:21::bad" }, {
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

Deno.test("DNS-044 DNS-045 DNS-054 DNS-014 DNS-132 answers without a HIT come back octet for octet, the identifier apart", () => {
  const bench = new Bench(zone(
    { name: "www.example", type: "TXT", data: "hello" },
    { name: "www.example", type: "MX", data: { preference: 10, exchange: "mail.example" } },
    { name: "www.example", type: "TYPE65280", data: Buffer.from([192, 12, 0, 1]) },
  ));
  for (const type of ["A", "MX", "TXT", "HIP", "NS", "TYPE65280"]) {
    for (const edns of [undefined, 1400]) {
      const bytes = query("www.example", type, edns === undefined ? {} : { edns });
      bench.send(bytes);
      const { request } = bench.asked.at(-1)!;
      assert.deepEqual(request.bytes.subarray(2), bytes.subarray(2), `${type} query`);
      const expected = answerQuery(bench.zone, bytes, 65535)!;
      assert.deepEqual(bench.answers.pop()!.bytes, expected, `${type} answer`);
    }
  }
  const plain = query("plain.example", "AAAA", { edns: 1400 });
  bench.send(plain);
  assert.deepEqual(bench.answers.pop()!.bytes, answerQuery(bench.zone, plain, 65535));
  assert.equal(bench.learned.length, 0);
});

Deno.test("DNS-042 the letter case of the question comes back, also when upstream changes it", () => {
  const bench = new Bench(zone());
  for (const type of ["AAAA", "A"]) {
    assert.equal(bench.ask("wWw.eXaMpLe", type).questions[0].name, "wWw.eXaMpLe");
    assert.equal(addresses(bench.ask("wWw.eXaMpLe", type)).length, type === "A" ? 1 : 3);
  }
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const answer = honest(request)!;
    for (let i = 13; i < 24; i++) if (answer[i]! >= 65 && answer[i]! <= 90) answer[i]! |= 32;
    return answer;
  };
  assert.equal(bench.ask("wWw.eXaMpLe", "A").questions[0].name, "wWw.eXaMpLe");
});

Deno.test("DNS-153 clients that validate (DO or CD) get upstream's octets", () => {
  for (
    const options of [{ edns: 1232, dnssecOk: true }, { flags: 0x0110 }, {
      edns: 1232,
      dnssecOk: true,
      flags: 0x0110,
    }]
  ) {
    const bench = new Bench(zone());
    const bytes = query("www.example", "AAAA", options);
    bench.send(bytes);
    assert.deepEqual(bench.answers.pop()!.bytes, answerQuery(bench.zone, bytes, 65535));
  }
});

Deno.test("DNS-151 a changed answer never has AD, whatever upstream says, and has RA", () => {
  const bench = new Bench(zone());
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const answer = honest(request)!;
    answer[3]! |= 0x20;
    return answer;
  };
  const packet = bench.ask("www.example", "AAAA", { flags: 0x0120 });
  assert.equal(addresses(packet)[0], HIT);
  assert.equal(packet.flag_ad, false);
  assert.equal(packet.flag_ra, true);
  assert.equal(packet.flag_rd, true);
});

Deno.test("DNS-113 behind a CNAME the HIT stands at the canonical name, after the chain", () => {
  const bench = new Bench(
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
  const bench = new Bench(zone());
  const honest = bench.upstream;
  const other = new Bench(zone(
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
  const bench = new Bench(zone(
    { name: "l1.example", type: "CNAME", data: "l2.example" },
    { name: "l2.example", type: "CNAME", data: "l1.example" },
  ));
  assert.equal(bench.ask("l1.example", "AAAA").rcode, "SERVFAIL");
});

Deno.test("DNS-065 DNS-168 native answers wait 800 ms for a HIP answer, then leave unchanged", () => {
  const bench = new Bench({ ...zone(), silent: new Set(["HIP"]) });
  assert.equal(bench.ask("www.example", "AAAA"), undefined);
  bench.advance(799);
  assert.equal(bench.answers.length, 0);
  bench.advance(1);
  const expected = answerQuery(bench.zone, query("www.example", "AAAA"), 512);
  assert.deepEqual(bench.answers.pop()!.bytes, expected);
});

Deno.test("DNS-168 an error to the HIP query does not harm the native answer", () => {
  for (const rcode of ["SERVFAIL", "NOTIMP", "FORMERR", "REFUSED"]) {
    const bench = new Bench({ ...zone(), rcodes: new Map([["HIP", rcode]]) });
    const packet = bench.ask("www.example", "AAAA");
    assert.deepEqual(addresses(packet), ["2001:db8::9", "2001:db8::1"]);
  }
});

Deno.test("DNS-173 a server that cannot answer HIP queries is not asked again for five minutes", () => {
  const bench = new Bench({ ...zone(), rcodes: new Map([["HIP", "NOTIMP"]]) });
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
    const bench = new Bench(zone(), 2);
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
  const bench = new Bench(zone(), 2);
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
  const bench = new Bench(zone());
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
  for (let i = 0; i < 50; i++) bench.ask("www.example", "A");
  for (const { question } of bench.asked) ids.add(question.id);
  assert.ok(ids.size > 45);
});

Deno.test("DNS-144 DNS-145 truncated HIP answers are asked for again over TCP", () => {
  const bench = new Bench(zone());
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

Deno.test("DNS-142 DNS-140 an answer with HITs that does not fit is cut with TC, and complete over TCP", () => {
  const bench = new Bench(zone());
  for (let i = 0; i < 40; i++) {
    bench.zone.records.push({ name: "www.example", type: "AAAA", data: `2001:db8::1:${i}` });
  }
  const small = bench.ask("www.example", "AAAA");
  assert.equal(small.flag_tc, true);
  assert.equal(addresses(small)[0], HIT);
  assert.ok(addresses(small).length > 10 && addresses(small).length < 18);
  const medium = bench.ask("www.example", "AAAA", { edns: 2000 });
  assert.equal(medium.flag_tc, false);
  assert.equal(addresses(medium).length, 43);
  assert.equal(medium.additionals[0].udpPayloadSize, 1232);
  const far = { id: "far", transport: "udp", isLoopback: false } as const;
  bench.proxy.handleQuery(instant(bench.now), far, query("www.example", "AAAA", { edns: 4096 }));
  bench.settle();
  const bounded: Packet = dnsPacket.decode(Buffer.from(bench.answers.pop()!.bytes));
  assert.equal(bounded.flag_tc, true);
  const whole = bench.ask("www.example", "AAAA", { transport: "tcp" });
  assert.equal(whole.flag_tc, false);
  assert.equal(addresses(whole).length, 43);
  assert.equal(whole.additionals.length, 0);
});

Deno.test("DNS-040 DNS-041 DNS-138 DNS-139 malformed queries are dropped or answered with their error", () => {
  const bench = new Bench(zone());
  const good = query("www.example", "A", { edns: 1232 });
  const changed = (change: (bytes: Uint8Array) => void) => {
    const bytes = good.slice();
    change(bytes);
    bench.send(bytes);
    const answer = bench.answers.pop();
    return answer === undefined ? undefined : dnsPacket.decode(Buffer.from(answer.bytes)) as Packet;
  };
  bench.send(good.subarray(0, 11));
  assert.equal(bench.answers.length, 0);
  assert.equal(changed((b) => b[2]! |= 0x80), undefined);
  assert.equal(changed((b) => b[2]! |= 0x02), undefined);
  assert.equal(changed((b) => b[2]! |= 0x20)!.rcode, "NOTIMP");
  assert.equal(changed((b) => b[5] = 2)!.rcode, "FORMERR");
  assert.equal(changed((b) => b[5] = 0)!.rcode, "FORMERR");
  const badVersion = changed((b) => b[b.length - 5] = 1)!;
  assert.equal(badVersion.additionals[0].extendedRcode, 1);
  assert.equal(badVersion.additionals[0].ednsVersion, 0);
  const opt = good.subarray(good.length - 11);
  const twice = Uint8Array.of(...good, ...opt);
  twice[11] = 2;
  bench.send(twice);
  assert.equal(
    (dnsPacket.decode(Buffer.from(bench.answers.pop()!.bytes)) as Packet).rcode,
    "FORMERR",
  );
  assert.equal(bench.asked.length, 0);
});

Deno.test("queries of arbitrary octets never throw", () => {
  const bench = new Bench(zone());
  const good = query("www.example", "AAAA", { edns: 1232 });
  bench.upstream = () => undefined;
  for (let i = 0; i < good.length; i++) {
    for (const value of [0, 1, 0x3f, 0x40, 0xc0, 0xff]) {
      const bytes = good.slice();
      bytes[i] = value;
      bench.send(bytes);
      bench.send(bytes.subarray(0, i));
    }
  }
  bench.advance(5000);
  assert.equal(bench.proxy.queriesInProgress, 0);
});

Deno.test("upstream answers of arbitrary octets never throw and always end in a reply", () => {
  const honest = new Bench(zone()).upstream;
  for (let i = 2; i < 90; i++) {
    for (const value of [0, 0x40, 0xc0, 0xff]) {
      const bench = new Bench(zone());
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

Deno.test("DNS-046 DNS-047 localhost, invalid and onion stay here; local is passed on without a HIP query", () => {
  const bench = new Bench(zone());
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
  const bench = new Bench(zone({ name: "alias.example", type: "CNAME", data: "www.example" }));
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
  const bench = new Bench(zone());
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
  const bench = new Bench(zone({ name: "db.example", type: "AAAA", data: "2001:db8::d" }));
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
  const offline = new Bench(zone(), 0);
  offline.proxy.setStaticNames(names);
  assert.deepEqual(addresses(offline.ask("db", "AAAA")), [HIT]);
  assert.equal(offline.ask("db", "A").rcode, "NOERROR");
  const silent = new Bench({ records: [], silent: new Set(["A", "AAAA"]) });
  silent.proxy.setStaticNames(names);
  silent.send(query("db", "AAAA"));
  silent.send(query("db", "A"));
  silent.advance(800);
  assert.equal(silent.answers.length, 2);
  const unknown = new Bench({ records: [] });
  unknown.proxy.setStaticNames(names);
  assert.deepEqual(addresses(unknown.ask("db", "AAAA")), [HIT]);
  assert.equal(unknown.ask("db", "A").rcode, "NOERROR");
});

Deno.test("a HIT that could not be reached is left out for 30 s, unless it is all there is", () => {
  const bench = new Bench(zone());
  bench.proxy.noteUnreachable(instant(bench.now), ECDSA_HIT);
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
  bench.advance(30_000);
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
  bench.proxy.noteUnreachable(instant(bench.now), ECDSA_HIT);
  bench.proxy.noteReachable(ECDSA_HIT);
  assert.equal(addresses(bench.ask("www.example", "AAAA"))[0], HIT);
});

Deno.test("DNS-222 once the HIP interface is down no HIT is given out", () => {
  const bench = new Bench(zone());
  bench.proxy.setOffersHits(false);
  assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), ["2001:db8::9", "2001:db8::1"]);
});

Deno.test("DNS-146 a server that refuses EDNS is asked without it for ten minutes", () => {
  const bench = new Bench(zone());
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

Deno.test("resolve() tells HITs, keys, locators and addresses, mapping pushed", () => {
  const bench = new Bench(zone({ name: "alias.example", type: "CNAME", data: "www.example" }));
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

Deno.test("DNS-134 equal questions in flight share one upstream query per type of our own", () => {
  const bench = new Bench({ ...zone(), silent: new Set(["HIP", "A", "AAAA"]) });
  for (let i = 0; i < 5; i++) bench.send(query("www.example", "AAAA", { id: i }));
  const count = (type: string) =>
    bench.asked.filter((a) => a.question.questions[0].type === type).length;
  assert.deepEqual([count("HIP"), count("A"), count("AAAA")], [1, 1, 5]);
});

Deno.test("more queries than the proxy holds are answered SERVFAIL at once", () => {
  const bench = new Bench({ ...zone(), silent: new Set(["A"]) });
  for (let i = 0; i < 4096; i++) bench.send(query("www.example", "A", { id: i }));
  assert.equal(bench.answers.length, 0);
  assert.equal(bench.ask("www.example", "A").rcode, "SERVFAIL");
  assert.ok(bench.asked.length <= 256);
});
