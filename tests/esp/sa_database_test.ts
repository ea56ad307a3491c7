import assert from "node:assert/strict";
import fc from "fast-check";
import { toHex } from "../../lib/base/bytes.ts";
import type { Random } from "../../lib/base/random.ts";
import type { EspOpener, EspSealer } from "../../lib/crypto/esp_suite.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { espSequence } from "../../lib/wire/esp.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { SaDatabase } from "../../lib/esp/sa_database.ts";
import { InboundSa, OutboundSa } from "../../lib/esp/security_association.ts";
import {
  bufferOf,
  CountingRandom,
  innerPacket,
  LOCAL_HIT,
  PEER_HIT,
  saPair,
} from "../support/sa_pair.ts";

/** A HIT that differs from others by `n`, in its last octets or, turned, in its middle. */
function hit(n: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set([0x20, 0x01, 0x00, 0x21]);
  new DataView(bytes.buffer).setUint32(n % 2 === 0 ? 12 : 6, n);
  return bytes;
}

function outboundSa(spi: number, localHit: Uint8Array, peerHit: Uint8Array): OutboundSa {
  const sealer: EspSealer = { seal: () => true, wipe: () => {} };
  const address = new Uint8Array(16);
  return new OutboundSa({
    spi,
    suiteId: 13,
    localHit,
    peerHit,
    sealer,
    localAddress: address,
    peerAddress: address,
  });
}

function inboundSa(spi: number, localHit: Uint8Array, peerHit: Uint8Array): InboundSa {
  const opener: EspOpener = { open: () => true, wipe: () => {} };
  return new InboundSa({ spi, suiteId: 13, localHit, peerHit, opener });
}

/** Gives these 32-bit values, one a draw. */
function scriptedRandom(...values: number[]): Random {
  return {
    fill: (bytes) => new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, values.shift()!),
  };
}

Deno.test("ESP-053 ESP-054 ESP-055 ESP-056 allocateSpi() takes random values, none below 256 and none in use", () => {
  const database = new SaDatabase();
  const used = inboundSa(0x12345678, hit(0), hit(1));
  assert.equal(database.installInbound(used), true);
  const random = scriptedRandom(0, 1, 255, 0x12345678, 256, 256, 0xffffffff, 256);
  assert.equal(database.allocateSpi(random), 256);
  assert.equal(database.allocateSpi(random), 0xffffffff);
  database.releaseSpi(256);
  assert.equal(database.allocateSpi(random), 256);
});

Deno.test("ESP-055 an SA with a reserved SPI cannot be made", () => {
  for (const spi of [0, 1, 255, -1, 2 ** 32, 300.5]) {
    assert.throws(() => inboundSa(spi, hit(0), hit(1)), RangeError);
    assert.throws(() => outboundSa(spi, hit(0), hit(1)), RangeError);
  }
});

Deno.test("ESP-060 ESP-064 inbound SAs are found by SPI alone, and an unknown SPI finds none", () => {
  const database = new SaDatabase();
  const { inbound } = saPair(13);
  database.installInbound(inbound);
  assert.equal(database.inboundBySpi(inbound.spi), inbound);
  assert.equal(database.inboundBySpi(inbound.spi + 1), undefined);
  assert.equal(database.removeInbound(inbound.spi), true);
  assert.equal(database.inboundBySpi(inbound.spi), undefined);
  assert.equal(database.removeInbound(inbound.spi), false);
});

Deno.test("ESP-056 a second inbound SA with the same SPI is refused", () => {
  const database = new SaDatabase();
  const first = inboundSa(1000, hit(0), hit(1));
  assert.equal(database.installInbound(first), true);
  assert.equal(database.installInbound(inboundSa(1000, hit(0), hit(2))), false);
  assert.equal(database.inboundBySpi(1000), first);
});

Deno.test("ESP-061 ESP-062 ESP-156 outbound SAs are kept apart by both HITs, whatever their SPIs", () => {
  const database = new SaDatabase();
  const sas: OutboundSa[] = [];
  for (let local = 0; local < 12; local++) {
    for (let peer = 20; peer < 60; peer++) sas.push(outboundSa(4711, hit(local), hit(peer)));
  }
  for (const sa of sas) assert.equal(database.installOutbound(sa), true);
  assert.equal(database.outboundCount, sas.length);
  const header = new Uint8Array(40);
  for (const sa of sas) {
    header.set(sa.localHit, 8);
    header.set(sa.peerHit, 24);
    assert.equal(database.outboundFor(header, 8, header, 24), sa);
  }
  assert.equal(database.outboundFor(hit(20), 0, hit(0), 0), undefined);
});

Deno.test("outboundFor() agrees with a plain map of hexadecimal HITs", () => {
  const database = new SaDatabase(1000);
  const twin = new Map<string, OutboundSa>();
  const key = (local: number, peer: number) => toHex(hit(local)) + toHex(hit(peer));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(6), fc.nat(6), fc.boolean()), { size: "max", maxLength: 60 }),
      (steps) => {
        for (const [local, peer, isInstall] of steps) {
          const known = twin.get(key(local, peer));
          if (isInstall) {
            const sa = outboundSa(1000, hit(local), hit(peer));
            assert.equal(database.installOutbound(sa), true);
            twin.set(key(local, peer), sa);
            if (known !== undefined) assert.equal(known.isWiped, true);
          } else {
            assert.equal(database.removeOutbound(hit(local), hit(peer)), known !== undefined);
            twin.delete(key(local, peer));
          }
          assert.equal(database.outboundCount, twin.size);
          for (let a = 0; a <= 6; a++) {
            for (let b = 0; b <= 6; b++) {
              assert.equal(database.outboundFor(hit(a), 0, hit(b), 0), twin.get(key(a, b)));
            }
          }
        }
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("ESP-247 a new inbound SA of the same pair receives beside the old one", () => {
  const database = new SaDatabase();
  const old = inboundSa(1000, hit(0), hit(1));
  const fresh = inboundSa(2000, hit(0), hit(1));
  database.installInbound(old);
  database.installInbound(fresh);
  assert.equal(database.inboundBySpi(1000), old);
  assert.equal(database.inboundBySpi(2000), fresh);
});

Deno.test("the database is bounded in both directions, and install() is all or nothing", () => {
  const database = new SaDatabase(2);
  for (const n of [1, 2]) {
    const outbound = outboundSa(500, hit(0), hit(n));
    assert.equal(
      database.install({ inbound: inboundSa(1000 + n, hit(0), hit(n)), outbound }),
      true,
    );
  }
  assert.equal(database.installInbound(inboundSa(1003, hit(0), hit(3))), false);
  assert.equal(database.installOutbound(outboundSa(500, hit(0), hit(3))), false);
  assert.equal(database.allocateSpi(new CountingRandom()), undefined);
  database.removeInbound(1001);
  const inbound = inboundSa(1004, hit(0), hit(4));
  assert.equal(database.install({ inbound, outbound: outboundSa(500, hit(0), hit(4)) }), false);
  assert.equal(database.inboundCount, 1);
  // Replacing needs no room.
  assert.equal(database.installOutbound(outboundSa(501, hit(0), hit(2))), true);
  assert.equal(database.outboundCount, 2);
});

Deno.test("ESP-151 each SA of a pair has its own counter and window", () => {
  const first = saPair(13);
  const second = saPair(13);
  assert.equal(encapsulate(first.outbound, bufferOf(innerPacket(new Uint8Array(8)))), undefined);
  const buffer = bufferOf(innerPacket(new Uint8Array(8)));
  assert.equal(encapsulate(second.outbound, buffer), undefined);
  assert.equal(second.outbound.sequenceLow, 1);
  assert.equal(decapsulate(second.inbound, buffer), undefined);
  assert.equal(first.inbound.window.highestLow, 0);
});

Deno.test("an SA that moved into shared memory goes on where it was, here and over its block", () => {
  const { outbound, inbound } = saPair(13);
  const packet = innerPacket(new Uint8Array(30).fill(3));
  const first = bufferOf(packet);
  assert.equal(encapsulate(outbound, first), undefined);
  const replayed = bufferOf(first.contents().slice());
  assert.equal(decapsulate(inbound, first), undefined);
  const held = outbound.localHit;
  for (const sa of [outbound, inbound]) {
    assert.equal(sa.isOffloaded, false);
    sa.moveTo(new Uint32Array(new SharedArrayBuffer(sa.words.byteLength)), () => {});
    assert.equal(sa.isOffloaded, true);
  }
  assert.notEqual(outbound.localHit, held);
  assert.deepEqual(outbound.localHit, LOCAL_HIT);
  assert.deepEqual(outbound.peerHit, PEER_HIT);
  const there = {
    outbound: new OutboundSa({ words: outbound.words, suiteId: 13, sealer: outbound.sealer }),
    inbound: new InboundSa({ words: inbound.words, suiteId: 13, opener: inbound.opener }),
  };
  assert.equal(decapsulate(there.inbound, replayed), "esp-replayed");
  const second = bufferOf(packet);
  assert.equal(encapsulate(there.outbound, second), undefined);
  assert.equal(espSequence(second.bytes, second.start), 2);
  assert.equal(decapsulate(there.inbound, second), undefined);
  assert.deepEqual(second.contents(), packet);
  assert.deepEqual([outbound.packets, inbound.packets], [2n, 2n]);
  assert.equal(inbound.window.highestLow, 2);
  outbound.isActive = false;
  assert.equal(encapsulate(there.outbound, bufferOf(packet)), "esp-not-established");
  outbound.moveTo(new Uint32Array(outbound.words.length));
  assert.deepEqual([outbound.isOffloaded, outbound.sequenceLow], [false, 2]);
});

Deno.test("whoever lent an SA its block hears once that the SA was wiped", () => {
  const { outbound } = saPair(13);
  let heard = 0;
  outbound.moveTo(new Uint32Array(outbound.words.length), () => heard++);
  outbound.wipe();
  outbound.wipe();
  assert.equal(heard, 1);
  assert.equal(outbound.isActive, false);
});

Deno.test("an SA that gave up its views has the same addresses when it is asked again", () => {
  const { outbound } = saPair(13);
  const held = { hit: outbound.localHit, address: outbound.peerAddress };
  const before = held.address.slice();
  outbound.dropViews();
  assert.notEqual(outbound.localHit, held.hit);
  assert.deepEqual(outbound.localHit, LOCAL_HIT);
  assert.deepEqual(outbound.peerHit, PEER_HIT);
  assert.notEqual(outbound.peerAddress, held.address);
  assert.deepEqual(outbound.peerAddress, before);
});

Deno.test("outboundBySpi() tells peers with the same SPI apart by address, and forgets what is removed", () => {
  const database = new SaDatabase();
  const address = (n: number) => new Uint8Array(16).fill(n);
  const sas = [1, 2, 3].map((n) => {
    const sa = outboundSa(300, hit(0), hit(n));
    sa.setAddresses(address(9), address(n));
    assert.equal(database.installOutbound(sa), true);
    return sa;
  });
  for (const [index, sa] of sas.entries()) {
    assert.equal(database.outboundBySpi(300, address(index + 1)), sa);
  }
  assert.equal(database.outboundBySpi(301, address(1)), undefined);
  assert.equal(database.outboundBySpi(300, address(4)), undefined);
  database.removeOutbound(hit(0), hit(2));
  assert.equal(database.outboundBySpi(300, address(2)), undefined);
  assert.equal(database.outboundBySpi(300, address(3)), sas[2]);
  database.removeOutbound(hit(0), hit(1));
  database.removeOutbound(hit(0), hit(3));
  assert.equal(database.outboundBySpi(300, address(3)), undefined);
});
