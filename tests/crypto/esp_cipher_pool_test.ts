/** Ciphers that come and go with the packets. */

import assert from "node:assert/strict";
import { ESP_SUITES, type EspKeys, type EspProvider } from "../../lib/crypto/esp_suite.ts";
import { EspCipherPool } from "../../lib/crypto/esp_cipher_pool.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";

const random = new SeededRandom(new Uint8Array(32).fill(4));

function keysOf(suiteId: number, fill: number): EspKeys {
  const suite = ESP_SUITES.get(suiteId)!;
  return {
    encryption: new Uint8Array(suite.encryptionKeyLength + suite.saltLength).fill(fill),
    authentication: new Uint8Array(suite.authenticationKeyLength).fill(fill ^ 0xff),
  };
}

/** A provider that says how many ciphers it has made and how many were wiped. */
function counting(): { provider: EspProvider; made: number; wiped: number } {
  const counts = { made: 0, wiped: 0 };
  const counted = <T extends { wipe(): void }>(cipher: T): T => {
    counts.made++;
    const wipe = cipher.wipe.bind(cipher);
    cipher.wipe = () => {
      counts.wiped++;
      wipe();
    };
    return cipher;
  };
  const provider: EspProvider = {
    name: "counting",
    supports: (suiteId) => PORTABLE_PROVIDER.supports(suiteId),
    sealer: (...given) => counted(PORTABLE_PROVIDER.sealer(...given)),
    opener: (...given) => counted(PORTABLE_PROVIDER.opener(...given)),
  };
  return Object.assign(counts, { provider });
}

const START = 16;

/** A packet with 64 octets between its header and its ICV, sealed as number `low`. */
function sealed(
  sealer: ReturnType<EspProvider["sealer"]>,
  suiteId: number,
  low: number,
): { bytes: Uint8Array; end: number } | undefined {
  const { ivLength, icvLength } = ESP_SUITES.get(suiteId)!;
  const bytes = new Uint8Array(160);
  new DataView(bytes.buffer).setUint32(START + 4, low);
  const end = START + 8 + ivLength + 64;
  return sealer.seal(bytes, START, end, 0, low) ? { bytes, end: end + icvLength } : undefined;
}

Deno.test("ciphers are made for packets, live within the limit, and work after they were away", () => {
  const suites = [...ESP_SUITES.keys()].filter((id) => PORTABLE_PROVIDER.supports(id));
  for (const suiteId of suites) {
    const counts = counting();
    const pool = new EspCipherPool(counts.provider, 3);
    const pairs = Array.from({ length: 5 }, (_, i) => ({
      sealer: pool.sealer(suiteId, keysOf(suiteId, i + 1), random),
      opener: pool.opener(suiteId, keysOf(suiteId, i + 1)),
      strict: PORTABLE_PROVIDER.opener(suiteId, keysOf(suiteId, i + 1)),
    }));
    assert.deepEqual([counts.made, pool.livingCount, pool.storedCount], [0, 0, 10]);
    for (let low = 1; low <= 4; low++) {
      for (const { sealer, opener, strict } of pairs) {
        const packet = sealed(sealer, suiteId, low)!;
        const copy = packet.bytes.slice();
        assert.equal(opener.open(packet.bytes, START, packet.end, 0), true);
        assert.equal(strict.open(copy, START, packet.end, 0), true);
        assert.ok(pool.livingCount <= 3);
      }
    }
    assert.equal(counts.made - counts.wiped, 3);
    for (const { sealer, opener } of pairs) {
      sealer.wipe();
      opener.wipe();
    }
    assert.equal(counts.made, counts.wiped);
    assert.deepEqual([pool.livingCount, pool.storedCount], [0, 0]);
  }
});

Deno.test("the cipher that packets pass stays; one that rests gives way", () => {
  const counts = counting();
  const pool = new EspCipherPool(counts.provider, 2);
  const busy = pool.sealer(13, keysOf(13, 1), random);
  const others = [2, 3, 4, 5].map((fill) => pool.sealer(13, keysOf(13, fill), random));
  sealed(busy, 13, 1);
  for (const [index, other] of others.entries()) {
    sealed(other, 13, 1);
    sealed(busy, 13, 2 + index);
  }
  assert.ok(counts.made <= 5 + 2, `${counts.made}`);
});

Deno.test("a cipher that was wiped does nothing any more, and its keys are gone", () => {
  const pool = new EspCipherPool(PORTABLE_PROVIDER);
  const sealer = pool.sealer(13, keysOf(13, 1), random);
  const opener = pool.opener(13, keysOf(13, 1));
  const packet = sealed(sealer, 13, 1)!;
  sealer.wipe();
  opener.wipe();
  assert.equal(sealed(sealer, 13, 2), undefined);
  assert.equal(opener.open(packet.bytes, START, packet.end, 0), false);
  // The next one gets the same place, which must not have kept anything.
  const next = pool.opener(13, { ...keysOf(13, 9) });
  assert.equal(next.open(packet.bytes, START, packet.end, 0), false);
  sealer.wipe();
  opener.wipe();
  assert.equal(
    next.open(
      sealed(pool.sealer(13, keysOf(13, 9), random), 13, 1)!.bytes,
      START,
      START + 8 + 8 + 64 + 16,
      0,
    ),
    true,
  );
});

Deno.test("omitsHigh, set between packets, counts for a cipher that comes back", () => {
  const pool = new EspCipherPool(PORTABLE_PROVIDER, 1);
  const sealer = pool.sealer(13, keysOf(13, 1), random);
  const opener = pool.opener(13, keysOf(13, 1));
  sealer.omitsHigh = true;
  const packet = sealed(sealer, 13, 1)!;
  assert.equal(opener.open(packet.bytes.slice(), START, packet.end, 0), false);
  opener.omitsHigh = true;
  assert.equal(opener.open(packet.bytes.slice(), START, packet.end, 0), true);
});

Deno.test("keys of a wrong length and suites that are not known are refused at once", () => {
  const pool = new EspCipherPool(PORTABLE_PROVIDER);
  assert.throws(() => pool.opener(13, keysOf(8, 1)), RangeError);
  assert.throws(() => pool.opener(99, keysOf(13, 1)), RangeError);
});
