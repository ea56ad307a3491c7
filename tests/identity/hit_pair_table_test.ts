/** What stands between two HITs, against a plain map. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { toHex } from "../../lib/base/bytes.ts";
import { HitPairTable } from "../../lib/identity/hit_pair_table.ts";

interface Pair {
  localHit: Uint8Array;
  peerHit: Uint8Array;
}

/** One of few HITs, so that pairs meet. */
function hit(number: number): Uint8Array {
  const octets = new Uint8Array(16).fill(number);
  octets.set([0x20, 0x01, 0x00, 0x21]);
  return octets;
}

const key = ({ localHit, peerHit }: Pair) => toHex(localHit) + toHex(peerHit);

Deno.test("a table of HIT pairs holds what a map of their hexadecimal forms holds", () => {
  const step = fc.record({
    what: fc.constantFrom("add", "remove", "move"),
    local: fc.nat(2),
    peer: fc.nat(3),
    otherLocal: fc.nat(2),
    other: fc.nat(3),
  });
  fc.assert(fc.property(fc.array(step, { size: "max", maxLength: 200 }), (steps) => {
    const table = new HitPairTable<Pair>();
    const map = new Map<string, Pair>();
    for (const { what, local, peer, otherLocal, other } of steps) {
      const pair: Pair = { localHit: hit(local), peerHit: hit(peer) };
      const known = map.get(key(pair));
      if (what === "add") {
        assert.equal(table.add(pair), known === undefined);
        if (known === undefined) map.set(key(pair), pair);
      } else if (what === "remove") {
        assert.equal(table.remove(pair), false);
        if (known !== undefined) assert.equal(table.remove(known), true);
        map.delete(key(pair));
      } else if (known !== undefined) {
        const { localHit: oldLocal, peerHit: oldPeer } = known;
        known.localHit = hit(otherLocal);
        known.peerHit = hit(other);
        const isFree = (map.get(key(known)) ?? known) === known;
        assert.equal(table.move(known, oldPeer), isFree);
        if (isFree) {
          map.delete(key(pair));
          map.set(key(known), known);
        } else {
          known.localHit = oldLocal;
          known.peerHit = oldPeer;
        }
      }
      assert.equal(table.size, map.size);
    }
    assert.deepEqual(new Set(table), new Set(map.values()));
    for (let peer = 0; peer < 4; peer++) {
      const expected = [...map.values()].filter(({ peerHit }) => peerHit[15] === peer);
      assert.deepEqual(new Set(table.withPeer(hit(peer))), new Set(expected));
      for (let local = 0; local < 3; local++) {
        const pair = { localHit: hit(local), peerHit: hit(peer) };
        assert.equal(table.find(pair.localHit, pair.peerHit), map.get(key(pair)));
      }
    }
  }));
});

Deno.test("peers whose HITs have the same hash are told apart", () => {
  // FNV-1a of these two is the same: found by trying.
  const [one, two] = equalHashes();
  const table = new HitPairTable<Pair>();
  const first = { localHit: hit(1), peerHit: one };
  const second = { localHit: hit(1), peerHit: two };
  assert.equal(table.add(first), true);
  assert.equal(table.add(second), true);
  assert.equal(table.find(hit(1), one), first);
  assert.equal(table.find(hit(1), two), second);
  assert.deepEqual(table.withPeer(one), [first]);
  assert.equal(table.remove(first), true);
  assert.equal(table.find(hit(1), one), undefined);
  assert.equal(table.find(hit(1), two), second);
});

/** Two HITs with one FNV-1a over their last twelve octets: a birthday is found in some 2^16 tries. */
function equalHashes(): [Uint8Array, Uint8Array] {
  const seen = new Map<number, Uint8Array>();
  for (let i = 0;; i++) {
    const peerHit = hit(0);
    new DataView(peerHit.buffer).setUint32(12, Math.imul(i, 0x9e3779b1));
    new DataView(peerHit.buffer).setUint32(8, i);
    let hash = 0x811c9dc5;
    for (let at = 4; at < 16; at++) hash = Math.imul(hash ^ peerHit[at]!, 0x01000193);
    const known = seen.get(hash);
    if (known !== undefined) return [known, peerHit];
    seen.set(hash, peerHit);
  }
}
