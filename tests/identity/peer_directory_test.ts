import assert from "node:assert/strict";
import { instant } from "../../lib/base/time.ts";
import {
  MAX_MAPPINGS,
  PeerDirectory,
  type PeerMapping,
} from "../../lib/identity/peer_directory.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { dnsKeyToHostIdentity } from "../../lib/identity/hit.ts";
import { ECDSA_KEY } from "../support/proxy_bench.ts";

const HIT = parseIpAddress("2001:22:1::1");
const [MET, NAMED] = ["192.0.2.1", "192.0.2.2"].map(parseIpAddress) as [Uint8Array, Uint8Array];

function mapping(source: PeerMapping["source"], until: number, hit = HIT): PeerMapping {
  const locators = [source === "met" ? MET : NAMED];
  const name = source === "met" ? "" : "www";
  return {
    hit,
    identity: undefined,
    locators,
    rendezvous: [],
    name,
    source,
    expires: instant(until),
  };
}

Deno.test("where a peer was met counts while DNS says nothing, and only then", () => {
  const peers = new PeerDirectory();
  const at = (now: number) => peers.lookup(instant(now), HIT)?.locators[0];
  peers.learn(instant(0), mapping("dns", 60));
  peers.learn(instant(0), mapping("met", 1000));
  assert.equal(at(59), NAMED);
  assert.equal(at(60), MET);
  assert.equal(at(999), MET);
  assert.equal(at(1000), undefined);
  peers.learn(instant(100), mapping("dns", 160));
  assert.equal(at(100), NAMED);
  assert.equal(peers.nameOf(HIT), "www");
});

Deno.test("peers that were met are forgotten beyond the limit, the oldest first", () => {
  const peers = new PeerDirectory();
  const hits = Array.from({ length: MAX_MAPPINGS + 1 }, (_, i) => {
    const hit = HIT.slice();
    new DataView(hit.buffer).setUint32(12, i);
    return hit;
  });
  for (const hit of hits) peers.learn(instant(0), mapping("met", 1000, hit));
  assert.equal(peers.lookup(instant(1), hits[0]!), undefined);
  assert.notEqual(peers.lookup(instant(1), hits[1]!), undefined);
  assert.equal(peers.size, 0, "they are not among those that somebody named");
});

function named(source: PeerMapping["source"], name: string, octet: number, until: number) {
  const locators = [parseIpAddress(`192.0.2.${octet}`)];
  return { ...mapping(source, until), name, locators };
}

function locatorsAt(peers: PeerDirectory, now: number): string[] | undefined {
  return peers.lookup(instant(now), HIT)?.locators.map(formatIpAddress);
}

Deno.test("DNS-103 static counts above dns-secure, that above dns, and neither learns from one below", () => {
  const identity = dnsKeyToHostIdentity(3, ECDSA_KEY);
  const ranks = [["dns", 3], ["dns-secure", 2], ["static", 1]] as const;
  for (const order of [ranks, ranks.toReversed()]) {
    const peers = new PeerDirectory();
    for (const [source, octet] of order) {
      const key = source === "dns" ? identity : undefined;
      peers.learn(instant(0), { ...named(source, `${source}.example`, octet, 100), identity: key });
    }
    assert.deepEqual(locatorsAt(peers, 1), ["192.0.2.1"]);
    assert.equal(peers.lookup(instant(1), HIT)!.identity, undefined);
    peers.forgetSource("static");
    assert.deepEqual(locatorsAt(peers, 1), ["192.0.2.2"]);
    peers.confirm("dns-secure.example", []);
    assert.deepEqual(locatorsAt(peers, 1), ["192.0.2.3"]);
    assert.deepEqual(peers.lookup(instant(1), HIT)!.identity, identity);
  }
});

Deno.test("DNS-104 two names of a HIT give the addresses of both, each for as long as its own records live", () => {
  const peers = new PeerDirectory();
  peers.learn(instant(0), named("dns", "one.example", 1, 60));
  peers.learn(instant(0), named("dns", "two.example", 2, 100));
  assert.deepEqual(locatorsAt(peers, 59), ["192.0.2.2", "192.0.2.1"]);
  assert.deepEqual(locatorsAt(peers, 60), ["192.0.2.2"]);
  // One name, asked again, says what it says now.
  peers.learn(instant(60), named("dns", "TWO.example", 3, 100));
  assert.deepEqual(locatorsAt(peers, 61), ["192.0.2.3"]);
  assert.equal(locatorsAt(peers, 100), undefined);
  assert.equal(peers.nameOf(HIT), "TWO.example");
});

Deno.test("DNS-102 a HIT that its name has no longer is forgotten, other names and other HITs are not", () => {
  const peers = new PeerDirectory();
  const other = parseIpAddress("2001:22:1::2");
  peers.learn(instant(0), named("dns", "www.example", 1, 100));
  peers.learn(instant(0), { ...named("dns", "www.example", 1, 100), hit: other });
  peers.learn(instant(0), named("dns", "alias.example", 2, 100));
  peers.confirm("WWW.example", [other]);
  assert.deepEqual(locatorsAt(peers, 1), ["192.0.2.2"]);
  assert.notEqual(peers.lookup(instant(1), other), undefined);
  peers.confirm("alias.example", []);
  assert.equal(peers.lookup(instant(1), HIT), undefined);
  peers.renew = () => assert.fail("nothing is left to ask for");
  assert.equal(peers.require(instant(1), HIT), undefined);
});

Deno.test("DNS-100 a mapping that has expired has its name looked up anew, once in a while, and only what comes of that counts", () => {
  const peers = new PeerDirectory();
  const asked: string[] = [];
  const renew = (name: string) => asked.push(name) > 0;
  peers.renew = renew;
  peers.learn(instant(0), named("dns", "www.example", 1, 60));
  assert.notEqual(peers.require(instant(59), HIT), undefined);
  assert.equal(asked.length, 0);
  assert.equal(peers.require(instant(60), HIT), undefined);
  assert.equal(peers.require(instant(61), HIT), undefined);
  assert.deepEqual(asked, ["www.example"]);
  assert.equal(peers.isAwaited(instant(4059), HIT), true);
  assert.equal(peers.isAwaited(instant(4060), HIT), false);
  peers.require(instant(5060), HIT);
  assert.equal(asked.length, 2);
  peers.learn(instant(5100), named("dns", "www.example", 2, 6000));
  assert.equal(peers.isAwaited(instant(5101), HIT), false);
  assert.deepEqual(peers.require(instant(5101), HIT)!.locators.map(formatIpAddress), ["192.0.2.2"]);
  // A name of an earlier run leads to the HIT again.
  const fresh = new PeerDirectory();
  fresh.renew = renew;
  fresh.remember(HIT, "old.example");
  assert.equal(fresh.require(instant(0), HIT), undefined);
  assert.equal(asked.at(-1), "old.example");
});

Deno.test("DNS-231 10,000 HITs are kept; the least recently used goes, unless it is static or in use", () => {
  const peers = new PeerDirectory();
  const hitOf = (n: number) => {
    const hit = HIT.slice();
    new DataView(hit.buffer).setUint32(12, n);
    return hit;
  };
  const learn = (n: number, source: "dns" | "static" = "dns") =>
    peers.learn(instant(0), { ...named(source, `n${n}`, 1, 1000), hit: hitOf(n) });
  const knows = (n: number) => peers.lookup(instant(1), hitOf(n)) !== undefined;
  peers.isInUse = (hit) => hit[15] === 1 && hit[14] === 0;
  learn(0, "static");
  for (let n = 1; n < MAX_MAPPINGS; n++) learn(n);
  assert.ok(knows(2));
  learn(MAX_MAPPINGS);
  assert.deepEqual([knows(0), knows(1), knows(2), knows(3), knows(4)], [
    true,
    true,
    true,
    false,
    true,
  ]);
  assert.equal(peers.size, MAX_MAPPINGS);
  for (let n = 0; n < 30_000; n++) learn(20_000 + n);
  assert.equal(peers.size, MAX_MAPPINGS);
});
