/** What is special to the provider on libcrypto; the suites have their tests in esp_suite_test. */

import assert from "node:assert/strict";
import { openLibcrypto } from "../../ffi/libcrypto.ts";
import { checkProvider } from "../../ffi/libcrypto_self_test.ts";
import { PointerCache } from "../../ffi/pointer_cache.ts";
import type { EspProvider } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { CountingRandom, keysFor } from "../support/sa_pair.ts";

const LIBCRYPTO = openLibcrypto();

/** A provider whose `suiteId` seals or opens through `spoil`. */
function spoiled(suiteId: number, spoil: (bytes: Uint8Array) => void): EspProvider {
  return {
    ...PORTABLE_PROVIDER,
    sealer(id, keys, random) {
      const sealer = PORTABLE_PROVIDER.sealer(id, keys, random);
      if (id !== suiteId) return sealer;
      return {
        seal(bytes, ...rest) {
          const isSealed = sealer.seal(bytes, ...rest);
          spoil(bytes);
          return isSealed;
        },
        wipe: () => sealer.wipe(),
      };
    },
    opener(id, keys) {
      const opener = PORTABLE_PROVIDER.opener(id, keys);
      if (id !== suiteId) return opener;
      return {
        open(bytes, ...rest) {
          const isOpen = opener.open(bytes, ...rest);
          spoil(bytes);
          return isOpen;
        },
        wipe: () => opener.wipe(),
      };
    },
  };
}

Deno.test("the self-test passes a right provider and throws on any wrong answer", () => {
  checkProvider(PORTABLE_PROVIDER);
  for (
    const [suiteId, octet, what] of [[13, 20, /GCM/], [7, 30, /HMAC/], [8, 30, /CBC/]] as const
  ) {
    assert.throws(() => checkProvider(spoiled(suiteId, (bytes) => bytes[octet]! ^= 1)), what);
  }
});

Deno.test("the self-test throws on an opener that takes every ICV", () => {
  const credulous: EspProvider = {
    ...PORTABLE_PROVIDER,
    opener(id, keys) {
      const opener = PORTABLE_PROVIDER.opener(id, keys);
      return { open: (...packet) => opener.open(...packet) || true, wipe: () => opener.wipe() };
    },
  };
  assert.throws(() => checkProvider(credulous), /GCM/);
});

Deno.test({
  name: "ESP-052 a wiped sealer or opener refuses and may be wiped again",
  ignore: LIBCRYPTO === undefined,
  fn() {
    for (const suiteId of [8, 13]) {
      const sealer = LIBCRYPTO!.sealer(suiteId, keysFor(suiteId), new CountingRandom());
      const opener = LIBCRYPTO!.opener(suiteId, keysFor(suiteId));
      const packet = new Uint8Array(128);
      assert.equal(sealer.seal(packet, 0, 56, 0, 1), true);
      sealer.wipe();
      sealer.wipe();
      opener.wipe();
      opener.wipe();
      assert.equal(sealer.seal(packet, 0, 56, 0, 2), false);
      assert.equal(opener.open(packet, 0, 72, 0), false);
    }
  },
});

Deno.test({
  name: "packets are found in views, in shared memory, and in many buffers in turn",
  ignore: LIBCRYPTO === undefined,
  fn() {
    const keys = keysFor(13);
    const sealer = LIBCRYPTO!.sealer(13, keys, new CountingRandom());
    const opener = PORTABLE_PROVIDER.opener(13, keys);
    const arrays = [
      new Uint8Array(new ArrayBuffer(300), 77, 200),
      new Uint8Array(new SharedArrayBuffer(300), 13, 200),
      new Uint8Array(60),
    ];
    for (let round = 1; round <= 3; round++) {
      for (const bytes of arrays) {
        for (const start of [0, 3, 12]) {
          bytes.fill(0);
          bytes[start + 7] = round;
          assert.equal(sealer.seal(bytes, start, start + 32, 0, round), true);
          const packet = bytes.slice(start, start + 48);
          assert.equal(opener.open(packet, 0, 48, 0), true);
        }
      }
    }
  },
});

Deno.test("a PointerCache gives one address per octet, and lengths as pointers", () => {
  const cache = new PointerCache();
  const bytes = new Uint8Array(10_000);
  const base = Deno.UnsafePointer.value(cache.at(bytes, 0));
  for (let offset = 0; offset < bytes.length; offset++) {
    assert.equal(Deno.UnsafePointer.value(cache.at(bytes, offset)), base + BigInt(offset));
  }
  assert.equal(cache.at(bytes, 9999), cache.at(bytes, 9999));
  assert.equal(cache.at(bytes.subarray(5), 3), cache.at(bytes, 8));
  assert.equal(cache.length(0), null);
  assert.equal(Deno.UnsafePointer.value(cache.length(1400)), 1400n);
});
