/** How names are answered in modes other than the usual one, and address hints beside addresses. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type NameMode, NameModes } from "../../lib/dns/name_modes.ts";
import { parseName } from "../../lib/wire/dns/name.ts";
import { parseMessage, rdataOf } from "../../lib/wire/dns/message.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { hipRdata } from "../support/dns_server.ts";
import {
  addresses,
  ECDSA_HIT,
  ECDSA_KEY,
  HIT,
  ProxyBench,
  query,
  zone,
} from "../support/proxy_bench.ts";
import { answerQuery, type Zone } from "../support/dns_server.ts";

function modes(...rules: [string, NameMode][]): NameModes {
  return new NameModes(rules.map(([name, mode]) => ({ suffix: parseName(name), mode })));
}

function benchOf(mode: NameMode, records: Zone = zone()): ProxyBench {
  return new ProxyBench(records, 1, { modes: modes(["example", mode]) });
}

Deno.test("DNS-058 the mode of the longest suffix applies, hit-first where none fits", () => {
  const rules = modes(["example.org", "require"], ["org", "off"], ["a.b.example.org", "hit-only"]);
  const modeOf = (name: string) => rules.of(parseName(name));
  assert.equal(modeOf("example.org"), "require");
  assert.equal(modeOf("b.EXAMPLE.org"), "require");
  assert.equal(modeOf("x.a.b.example.org"), "hit-only");
  assert.equal(modeOf("notexample.org"), "off");
  assert.equal(modeOf("example.com"), "hit-first");
  assert.equal(modes([".", "hit-only"]).of(parseName("example.com")), "hit-only");
});

Deno.test("DNS-059 in hit-only and require a name with a HIT has no native address, of neither kind", () => {
  for (const mode of ["hit-only", "require"] as const) {
    const bench = benchOf(mode);
    assert.deepEqual(addresses(bench.ask("www.example", "AAAA")), [HIT]);
    const packet = bench.ask("www.example", "A");
    assert.deepEqual([packet.rcode, packet.answers], ["NOERROR", []]);
    assert.equal(bench.learned[0]!.locators.length, 3);
  }
  const other = benchOf("hit-only");
  assert.deepEqual(addresses(other.ask("plain.example", "AAAA")), ["2001:db8::2"]);
  assert.deepEqual(addresses(other.ask("plain.example", "A")), ["192.0.2.2"]);
});

Deno.test("DNS-060 in mode off nobody is asked for HIP records, and answers stay as they are", () => {
  const bench = benchOf("off");
  for (const type of ["AAAA", "A"]) {
    const bytes = query("www.example", type);
    bench.send(bytes);
    assert.deepEqual(bench.answers.pop()!.bytes, answerQuery(bench.zone, bytes, 512));
  }
  assert.deepEqual(bench.asked.map((a) => a.question.questions[0].type), ["AAAA", "A"]);
  assert.equal(bench.learned.length, 0);
});

Deno.test("DNS-168 DNS-169 DNS-159 when only the HIP lookup fails: the native answer, but SERVFAIL under require", () => {
  for (const trouble of ["SERVFAIL", "REFUSED", "silent"]) {
    for (const mode of ["hit-first", "hit-only", "require"] as const) {
      for (const type of ["AAAA", "A"]) {
        if (mode === "hit-first" && type === "A") continue;
        const bench = benchOf(mode, {
          ...zone(),
          ...(trouble === "silent"
            ? { silent: new Set(["HIP"]) }
            : { rcodes: new Map([["HIP", trouble]]) }),
        });
        const bytes = query("www.example", type);
        bench.send(bytes);
        bench.advance(4000);
        const reply = bench.answers.pop()!.bytes;
        if (mode === "require") assert.equal(reply[3]! & 15, 2, `${trouble} ${type}`);
        else assert.deepEqual(reply, answerQuery(bench.zone, bytes, 512), `${trouble} ${mode}`);
        const { counters } = bench.proxy;
        assert.equal(counters.get("hip-lookup-errors") + counters.get("hip-lookup-timeouts"), 1);
      }
    }
  }
});

Deno.test("DNS-170 under require a name without HIP exists and has no address", () => {
  const bench = benchOf("require");
  for (const type of ["AAAA", "A"]) {
    const packet = bench.ask("plain.example", type);
    assert.deepEqual([packet.rcode, packet.answers], ["NOERROR", []]);
  }
});

Deno.test("under require what the engine refuses, or may not be given out, is SERVFAIL and never native", () => {
  const bench = benchOf("require");
  bench.takes = false;
  assert.equal(bench.ask("www.example", "AAAA").rcode, "SERVFAIL");
  bench.takes = true;
  bench.proxy.setOffersHits(false);
  assert.equal(bench.ask("www.example", "AAAA").rcode, "SERVFAIL");
  assert.equal(bench.ask("www.example", "A").rcode, "SERVFAIL");
});

/** SVCB RDATA: priority, target, then parameters in order (RFC 9460 §2.2). */
function service(target: string, params: [number, number[]][]): Buffer {
  const words = (n: number) => [n >> 8, n & 0xff];
  const parts = params.flatMap(([key, value]) => [...words(key), ...words(value.length), ...value]);
  return Buffer.from([...words(1), ...parseName(target), ...parts]);
}

const ALPN: [number, number[]] = [1, [2, 104, 50]];
const HINT4: [number, number[]] = [4, [192, 0, 2, 80]];
const HINT6: [number, number[]] = [6, [0x20, 1, 13, 184, ...new Array(11).fill(0), 9]];
const ECH: [number, number[]] = [5, [1, 2, 3]];

function hintedZone(...targets: string[]): Zone {
  return zone(...targets.flatMap((target) =>
    ["UNKNOWN_65", "UNKNOWN_64"].map((type) => ({
      name: "www.example",
      type,
      data: service(target, [ALPN, HINT4, ECH, HINT6]),
    }))
  ));
}

function serviceData(bench: ProxyBench, type: string): string[] {
  bench.send(query("www.example", type));
  const message = parseMessage(bench.answers.pop()!.bytes);
  return message.records.map((record) => toHex(rdataOf(message, record)));
}

const WITH_HINTS = (target: string) => toHex(service(target, [ALPN, HINT4, ECH, HINT6]));
const WITHOUT_HINTS = (target: string) => toHex(service(target, [ALPN, ECH]));

Deno.test("DNS-048 DNS-049 hints in HTTPS and SVCB answers go where their target has a HIT, and stay elsewhere", () => {
  for (const mode of ["hit-first", "hit-only", "require"] as const) {
    for (const type of ["UNKNOWN_65", "UNKNOWN_64"]) {
      const bench = benchOf(mode, hintedZone(".", "plain.example"));
      assert.deepEqual(serviceData(bench, type), [WITHOUT_HINTS("."), WITH_HINTS("plain.example")]);
      assert.equal(bench.proxy.counters.get("hints-removed"), 2);
    }
  }
  const off = benchOf("off", hintedZone("."));
  assert.deepEqual(serviceData(off, "UNKNOWN_65"), [WITH_HINTS(".")]);
  const kept = new ProxyBench(hintedZone("."), 1, { removesHints: false });
  assert.deepEqual(serviceData(kept, "UNKNOWN_65"), [WITH_HINTS(".")]);
  const plain = benchOf("hit-first", hintedZone("plain.example"));
  const bytes = query("www.example", "UNKNOWN_65");
  plain.send(bytes);
  assert.deepEqual(plain.answers.pop()!.bytes, answerQuery(plain.zone, bytes, 512));
});

Deno.test("hints whose target's HIP record cannot be had go under require alone, after 800 ms at most", () => {
  for (const mode of ["hit-first", "require"] as const) {
    const failing = benchOf(mode, { ...hintedZone("."), rcodes: new Map([["HIP", "SERVFAIL"]]) });
    const expected = mode === "require" ? WITHOUT_HINTS(".") : WITH_HINTS(".");
    assert.deepEqual(serviceData(failing, "UNKNOWN_65"), [expected]);
  }
  const silent = benchOf("hit-first", { ...hintedZone("."), silent: new Set(["HIP"]) });
  silent.send(query("www.example", "UNKNOWN_65"));
  silent.advance(799);
  assert.equal(silent.answers.length, 0);
  silent.advance(1);
  assert.equal(silent.answers.length, 1);
});

Deno.test("HTTPS records of arbitrary octets never throw and always end in a reply", () => {
  const good = service(".", [ALPN, HINT4]);
  for (let i = 0; i < good.length; i++) {
    for (const value of [0, 1, 0x3f, 0xc0, 0xff]) {
      const data = Buffer.from(good);
      data[i] = value;
      for (const rdata of [data, data.subarray(0, i)]) {
        const bench = new ProxyBench(
          zone({ name: "www.example", type: "UNKNOWN_65", data: rdata }),
        );
        bench.zone.records.push({
          name: "x.example",
          type: "HIP",
          data: hipRdata(3, ECDSA_HIT, ECDSA_KEY),
        });
        bench.send(query("www.example", "UNKNOWN_65"));
        bench.advance(4000);
        assert.equal(bench.answers.length, 1);
      }
    }
  }
});
