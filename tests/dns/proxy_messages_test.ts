/** What goes through the proxy unchanged, and the limits and errors of messages themselves. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { instant } from "../../lib/base/time.ts";
import { answerQuery } from "../support/dns_server.ts";
import { addresses, HIT, type Packet, ProxyBench, query, zone } from "../support/proxy_bench.ts";

Deno.test("DNS-044 DNS-045 DNS-054 DNS-014 DNS-132 answers without a HIT come back octet for octet, the identifier apart", () => {
  const bench = new ProxyBench(zone(
    { name: "www.example", type: "TXT", data: "hello" },
    { name: "www.example", type: "MX", data: { preference: 10, exchange: "mail.example" } },
    { name: "www.example", type: "UNKNOWN_65280", data: Buffer.from([192, 12, 0, 1]) },
  ));
  for (const type of ["A", "MX", "TXT", "HIP", "NS", "UNKNOWN_65280"]) {
    for (const edns of [undefined, 1400]) {
      const bytes = query("www.example", type, edns === undefined ? {} : { edns });
      bench.send(bytes);
      const { request } = bench.asked.findLast(({ question }) =>
        question.questions[0].type === type
      )!;
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

Deno.test("DNS-043 RA is in every reply, whoever makes it and whatever upstream says", () => {
  const bench = new ProxyBench(zone());
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const answer = honest(request)!;
    answer[3]! &= 0x7f;
    return answer;
  };
  const asked = [
    ["www.example", "AAAA"],
    ["plain.example", "AAAA"],
    ["plain.example", "A"],
    [
      "localhost",
      "A",
    ],
    ["x.invalid", "A"],
    ["www.example", "MX"],
  ];
  for (const [name, type] of [...asked, ...asked]) {
    assert.equal(bench.ask(name!, type!).flag_ra, true, `${name} ${type}`);
  }
  assert.equal(
    bench.ask("www.example", "AAAA", { flags: 0x0110, edns: 1232, dnssecOk: true }).flag_ra,
    true,
  );
  const unknownOpcode = query("www.example", "A");
  unknownOpcode[2]! |= 0x20;
  bench.send(unknownOpcode);
  assert.ok((bench.answers.pop()!.bytes[3]! & 0x80) !== 0);
});

Deno.test("DNS-187 a name is asked for as it came, without a search list", () => {
  const bench = new ProxyBench(zone());
  for (const name of ["www", "www.example", "nobody.example"]) {
    bench.asked.length = 0;
    assert.equal(bench.ask(name, "AAAA").rcode, name === "www.example" ? "NOERROR" : "NXDOMAIN");
    assert.ok(bench.asked.length > 0);
    assert.ok(bench.asked.every(({ question }) => question.questions[0].name === name));
  }
});

Deno.test("DNS-042 the letter case of the question comes back, also when upstream changes it", () => {
  const bench = new ProxyBench(zone());
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

Deno.test("DNS-142 DNS-140 an answer with HITs that does not fit is cut with TC, and complete over TCP", () => {
  const bench = new ProxyBench(zone());
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
  const far = { id: "far", transport: "udp", source: "192.0.2.9:9", isLoopback: false } as const;
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
  const bench = new ProxyBench(zone());
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
  const bench = new ProxyBench(zone());
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
