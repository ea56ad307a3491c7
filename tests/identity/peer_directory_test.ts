import assert from "node:assert/strict";
import { instant } from "../../lib/base/time.ts";
import {
  MAX_MAPPINGS,
  PeerDirectory,
  type PeerMapping,
} from "../../lib/identity/peer_directory.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";

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
