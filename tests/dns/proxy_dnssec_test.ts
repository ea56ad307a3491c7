/** DNSSEC beside changed answers: the bits DO, CD and AD, and signatures. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { NameModes } from "../../lib/dns/name_modes.ts";
import { parseName } from "../../lib/wire/dns/name.ts";
import { answerQuery, hipRdata } from "../support/dns_server.ts";
import {
  addresses,
  ECDSA_HIT,
  ECDSA_KEY,
  HIT,
  type Packet,
  ProxyBench,
  query,
  zone,
} from "../support/proxy_bench.ts";

const VALIDATING = { edns: 1232, dnssecOk: true, flags: 0x0110 };

/** A bench whose upstream is on this host, and says AD where `isSecure` lets it. */
function secureBench(isSecure: (type: string) => boolean, address = "127.0.0.53"): ProxyBench {
  const bench = new ProxyBench(
    zone({ name: "alias.example", type: "CNAME", data: "www.example" }),
  );
  const honest = bench.upstream;
  bench.upstream = (request) => {
    const answer = honest(request)!;
    const packet: Packet = dnsPacket.decode(Buffer.from(request.bytes));
    if (isSecure(packet.questions[0].type)) answer[3]! |= 0x20;
    return answer;
  };
  bench.proxy.setUpstreams([{ address, port: 53 }]);
  return bench;
}

Deno.test("DNS-153 a client that validates (DO and CD) gets upstream's octets, and the engine hears of the HIT", () => {
  const bench = new ProxyBench(zone());
  const bytes = query("www.example", "AAAA", VALIDATING);
  bench.send(bytes);
  assert.deepEqual(bench.answers.pop()!.bytes, answerQuery(bench.zone, bytes, 65535));
  assert.deepEqual(bench.learned[0]!.hit, ECDSA_HIT);
});

Deno.test("DNS-150 DO comes back as it was sent, in answers changed, passed on and made here", () => {
  for (const dnssecOk of [true, false]) {
    const bench = new ProxyBench(zone());
    bench.upstream = (request) => {
      const answer = answerQuery(bench.zone, request.bytes, 65535)!;
      if ((request.bytes.at(-4)! & 0x80) !== 0 && answer.length > 11) {
        answer[answer.length - 4] = 0x80;
      }
      return answer;
    };
    for (const name of ["www.example", "plain.example", "localhost", "x.invalid"]) {
      const packet = bench.ask(name, "AAAA", { edns: 1232, dnssecOk });
      assert.equal(packet.additionals[0].flag_do, dnssecOk, name);
    }
    assert.equal(bench.ask("www.example", "AAAA").additionals.length, 0);
  }
});

Deno.test("DNS-151 a changed answer never has AD, whatever upstream says and the client wants, and has RA", () => {
  for (const options of [{ flags: 0x0120 }, { flags: 0x0100, edns: 1232, dnssecOk: true }]) {
    const bench = secureBench(() => true);
    const packet = bench.ask("www.example", "AAAA", options);
    assert.equal(addresses(packet)[0], HIT);
    assert.equal(packet.flag_ad, false);
    assert.equal(packet.flag_ra, true);
    assert.equal(packet.flag_rd, true);
  }
});

Deno.test("DNS-155 an unchanged answer keeps AD when its server is on this host, and loses it otherwise", () => {
  for (const [address, keeps] of [["127.0.0.53", true], ["::1", true], ["192.0.2.1", false]]) {
    const bench = secureBench(() => true, address as string);
    for (const [name, type] of [["plain.example", "AAAA"], ["plain.example", "A"]]) {
      for (let i = 0; i < 2; i++) {
        const packet = bench.ask(name!, type!, { flags: 0x0120 });
        assert.equal(packet.flag_ad, keeps, `${address} ${type}`);
        assert.equal(packet.answers.length, 1);
      }
    }
  }
  // The operator vouches for the way.
  const bench = secureBench(() => true);
  bench.proxy.setUpstreams([{ address: "192.0.2.1", port: 53, isTrusted: true }]);
  assert.equal(bench.ask("plain.example", "A", { flags: 0x0120 }).flag_ad, true);
});

Deno.test("DNS-156 CD goes along on every query that is made for one with CD", () => {
  const bench = new ProxyBench(zone());
  bench.zone.records[0]!.data = hipRdata(3, ECDSA_HIT, ECDSA_KEY, ["rvs.example"]);
  for (const flags of [0x0110, 0x0100]) {
    bench.asked.length = 0;
    assert.equal(addresses(bench.ask("www.example", "AAAA", { flags }))[0], HIT);
    assert.deepEqual(
      bench.asked.map(({ question }) => question.flag_cd),
      new Array(5).fill(flags === 0x0110),
    );
  }
});

/** RRSIG as dns-packet writes it. */
function signature(name: string, typeCovered: string) {
  const data = {
    typeCovered,
    algorithm: 13,
    labels: 2,
    originalTTL: 300,
    expiration: 4,
    inception: 3,
    keyTag: 2,
    signersName: "example",
    signature: Buffer.alloc(64, 7),
  };
  return { name, type: "RRSIG", ttl: 300, data };
}

Deno.test("DNS-154 for DO without CD signatures over the changed addresses and proofs of their absence go, those over the chain stay", () => {
  const bench = new ProxyBench(zone());
  const link = { name: "alias.example", type: "CNAME", ttl: 300, data: "www.example" };
  const native = { name: "www.example", type: "AAAA", ttl: 300, data: "2001:db8::9" };
  const nsec = {
    name: "www.example",
    type: "NSEC",
    ttl: 300,
    data: { nextDomain: "x.example", rrtypes: ["A", "HIP"] },
  };
  for (const hasNative of [true, false]) {
    bench.proxy.flushCache();
    bench.upstream = ({ bytes }) => {
      const asked: Packet = dnsPacket.decode(Buffer.from(bytes));
      if (asked.questions[0].type !== "AAAA") {
        bench.zone.records.push(link);
        return answerQuery(bench.zone, bytes, 65535);
      }
      const chain = [link, signature("alias.example", "CNAME")];
      return new Uint8Array(dnsPacket.encode({
        type: "response",
        id: asked.id,
        flags: 0x180,
        questions: asked.questions,
        answers: hasNative ? [...chain, native, signature("www.example", "AAAA")] : chain,
        authorities: hasNative ? [] : [nsec, signature("www.example", "NSEC")],
        additionals: asked.additionals,
      } as Packet));
    };
    const types = (packet: Packet) =>
      [...packet.answers, ...packet.authorities].map((r: Packet) =>
        r.type === "RRSIG" ? `RRSIG ${r.data.typeCovered}` : r.type
      );
    const wanted = ["CNAME", "RRSIG CNAME", "AAAA", ...(hasNative ? ["AAAA"] : [])];
    const changed = bench.ask("alias.example", "AAAA", { edns: 4096, dnssecOk: true });
    // Without native addresses the chain is that of the HIP answer, which nobody asked signatures of.
    assert.deepEqual(types(changed), hasNative ? wanted : ["CNAME", "AAAA"]);
    assert.equal(addresses(changed)[0], HIT);
    const validating = bench.ask("alias.example", "AAAA", VALIDATING);
    assert.ok(types(validating).includes(hasNative ? "RRSIG AAAA" : "RRSIG NSEC"));
  }
});

Deno.test("DNS-034 DNS-157 a mapping is dns-secure when a server on this host vouches for the HIP answer, chain included, and the key counts all the same", () => {
  const source = (bench: ProxyBench, name: string) => {
    bench.ask(name, "AAAA");
    return bench.learned.at(-1)!.source;
  };
  assert.equal(source(secureBench((type) => type === "HIP"), "www.example"), "dns-secure");
  assert.equal(source(secureBench((type) => type === "HIP"), "alias.example"), "dns-secure");
  assert.equal(source(secureBench((type) => type !== "HIP"), "www.example"), "dns");
  assert.equal(source(secureBench(() => true, "192.0.2.1"), "www.example"), "dns");
  const bench = secureBench(() => true);
  bench.zone.records[0]!.data = hipRdata(3, new Uint8Array(16).fill(1), ECDSA_KEY);
  source(bench, "www.example");
  assert.deepEqual(bench.learned[0]!.hit, ECDSA_HIT);
});

Deno.test("DNS-158 where names require DNSSEC a HIP record that nobody validated counts as one that could not be had", () => {
  for (
    const [suffix, isSecure, hasHit] of [["example", false, false], ["example", true, true], [
      "other",
      false,
      true,
    ]] as const
  ) {
    for (const mode of ["hit-first", "require"] as const) {
      const bench = new ProxyBench(zone(), 1, {
        requireDnssec: [parseName(suffix)],
        modes: new NameModes([{ suffix: parseName("example"), mode }]),
      });
      const honest = bench.upstream;
      bench.upstream = (request) => {
        const answer = honest(request)!;
        if (isSecure) answer[3]! |= 0x20;
        return answer;
      };
      bench.proxy.setUpstreams([{ address: "127.0.0.53", port: 53 }]);
      const packet = bench.ask("www.example", "AAAA");
      assert.equal(addresses(packet)[0] === HIT, hasHit);
      assert.equal(packet.rcode, hasHit || mode === "hit-first" ? "NOERROR" : "SERVFAIL");
      assert.equal(bench.proxy.counters.get("hip-answers-insecure"), hasHit ? 0 : 1);
      // That there is no record needs no proof here.
      if (mode === "hit-first") assert.equal(bench.ask("plain.example", "AAAA").answers.length, 1);
    }
  }
});
