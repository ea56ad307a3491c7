/** One suite of tests over both providers of ESP suites. Every vector names its source. */

import { createHmac } from "node:crypto";
import assert from "node:assert/strict";
import fc from "fast-check";
import { openLibcrypto } from "../../ffi/libcrypto.ts";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import type { Random } from "../../lib/base/random.ts";
import {
  checkEspKeys,
  ESP_SUITES,
  type EspProvider,
  espSuite,
  type EspSuiteParameters,
  IvPool,
} from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { CountingRandom, keysFor } from "../support/sa_pair.ts";

const LIBCRYPTO = openLibcrypto();
const NO_KEY = new Uint8Array(0);
const ascii = (text: string) => new TextEncoder().encode(text);

function fixedRandom(octets: Uint8Array): Random {
  return { fill: (bytes) => bytes.forEach((_, i) => bytes[i] = octets[i % octets.length]!) };
}

/** Seals `text` in the middle of a dirty array; the packet from SPI to ICV. */
function sealed(
  provider: EspProvider,
  suite: EspSuiteParameters,
  text: Uint8Array,
  high: number,
  low: number,
): Uint8Array {
  const sealer = provider.sealer(suite.id, keysFor(suite.id), new CountingRandom());
  const start = 40;
  const textStart = start + 8 + suite.ivLength;
  const end = textStart + text.length;
  const bytes = new Uint8Array(end + suite.icvLength + 50).fill(0x5a);
  new DataView(bytes.buffer).setUint32(start, 0xc0ffee01);
  new DataView(bytes.buffer).setUint32(start + 4, low);
  bytes.set(text, textStart);
  assert.equal(sealer.seal(bytes, start, end, high, low), true);
  sealer.wipe();
  for (let i = 0; i < start; i++) assert.equal(bytes[i], 0x5a, "wrote before the packet");
  for (let i = end + suite.icvLength; i < bytes.length; i++) {
    assert.equal(bytes[i], 0x5a, "wrote behind the packet");
  }
  return bytes.slice(start, end + suite.icvLength);
}

for (
  const [label, provider] of [["portable", PORTABLE_PROVIDER], ["libcrypto", LIBCRYPTO]] as const
) {
  const test = (name: string, body: (provider: EspProvider) => void) =>
    Deno.test({
      name: `${name} (${label})`,
      ignore: provider === undefined,
      fn: () => body(provider!),
    });

  test("ESP-109 ESP-115 ESP-117 opens the ESN packet of draft-mcgrew-gcm-test-01 with both tag lengths", (provider) => {
    const keys = {
      encryption: fromHex("4c80cdefbb5d10da906ac73c3613a6342e443b68"),
      authentication: NO_KEY,
    };
    const packet = fromHex(
      `00004321 00000000 4956ed7e3b244cfe
       fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34
       cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce
       61bc17d768fd9732 459018148f6cbe722fd04796562dfdb4`,
    );
    for (const [suiteId, tagLength] of [[13, 16], [12, 8]] as const) {
      const opener = provider.opener(suiteId, keys);
      const whole = packet.slice(0, packet.length - 16 + tagLength);
      const copy = whole.slice();
      assert.equal(opener.open(copy, 0, copy.length, 0x87654321), true);
      assert.equal(
        toHex(copy.subarray(16, 88)),
        "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000" +
          "00000000045f736970045f756470037369700963796265726369747902646b000021000101020201",
      );
      const other = whole.slice();
      assert.equal(opener.open(other, 0, other.length, 0x87654320), false);
      opener.wipe();
    }
  });

  test("ESP-094 ESP-095 ESP-107 suite 7 gives the ICVs of RFC 4868 §2.7.2.1", (provider) => {
    const cases = [
      [
        "4a656665".repeat(8),
        toHex(ascii("what do ya want for nothing?")),
        "167f928588c5cc2eef8e3093caa0e87c",
      ],
      ["aa".repeat(32), "dd".repeat(50), "cdcb1220d1ecccea91e53aba3092f962"],
      [
        "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
        "cd".repeat(50),
        "372efcf9b40b35c2115b1346903d2ef4",
      ],
    ];
    for (const [key, data, icv] of cases) {
      const message = fromHex(data!);
      // The last four octets of the message take the place of the high sequence word.
      const high = new DataView(message.buffer).getUint32(message.length - 4);
      const end = message.length - 4;
      const keys = { encryption: NO_KEY, authentication: fromHex(key!) };
      const packet = concatBytes(message.subarray(0, end), new Uint8Array(16));
      assert.equal(
        provider.sealer(7, keys, new CountingRandom()).seal(packet, 0, end, high, 0),
        true,
      );
      assert.equal(toHex(packet.subarray(end)), icv);
      assert.equal(provider.opener(7, keys).open(packet, 0, packet.length, high), true);
    }
  });

  test("ESP-088 ESP-092 ESP-093 suite 8 gives the ciphertext of RFC 3602 §4 case 5 and no block more", (provider) => {
    const authentication = new Uint8Array(32).fill(7);
    const keys = { encryption: fromHex("90d382b410eeba7ad938c46cec1a82bf"), authentication };
    const iv = fromHex("e96e8c08ab465763fd098d45dd3ff893");
    const text = fromHex(
      `08000ebd a70a0000 8e9c083d b95b0700 08090a0b 0c0d0e0f 10111213 14151617
       18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637
       01020304 05060708 090a0b0c 0d0e0e01`,
    );
    const packet = concatBytes(
      fromHex("0000432100000001"),
      new Uint8Array(16),
      text,
      new Uint8Array(16),
    );
    const end = 24 + text.length;
    assert.equal(provider.sealer(8, keys, fixedRandom(iv)).seal(packet, 0, end, 0, 1), true);
    assert.deepEqual(packet.subarray(8, 24), iv);
    assert.equal(
      toHex(packet.subarray(24, end)),
      "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856" +
        "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6",
    );
    // ICV over SPI, low sequence, IV, ciphertext, high sequence: encrypted first.
    const hmac = createHmac("sha256", authentication).update(packet.subarray(0, end)).update(
      new Uint8Array(4),
    );
    assert.equal(toHex(packet.subarray(end)), hmac.digest("hex").slice(0, 32));
    assert.equal(provider.opener(8, keys).open(packet, 0, packet.length, 0), true);
    assert.deepEqual(packet.subarray(24, end), text);
  });

  test("ESP-108 suite 1 has a 12-octet ICV of HMAC-SHA1", (provider) => {
    const suite = espSuite(1);
    const packet = sealed(provider, suite, new Uint8Array(32), 3, 4);
    const hmac = createHmac("sha1", keysFor(1).authentication);
    hmac.update(packet.subarray(0, packet.length - 12)).update(fromHex("00000003"));
    assert.equal(toHex(packet.subarray(packet.length - 12)), hmac.digest("hex").slice(0, 24));
  });

  test("ESP-095 ESP-125 suite 14 gives the MACs of RFC 4493 §4, truncated to 96 bits", (provider) => {
    const keys = {
      encryption: NO_KEY,
      authentication: fromHex("2b7e151628aed2a6abf7158809cf4f3c"),
    };
    const message = fromHex(
      "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    for (
      const [length, mac] of [
        [16, "070a16b46b4d4144f79bdd9d"],
        [40, "dfa66747de9ae63030ca3261"],
        [64, "51f0bebf7e3b9d92fc497417"],
      ] as const
    ) {
      const end = length - 4;
      const high = new DataView(message.buffer).getUint32(end);
      const packet = concatBytes(message.subarray(0, end), new Uint8Array(12));
      assert.equal(
        provider.sealer(14, keys, new CountingRandom()).seal(packet, 0, end, high, 0),
        true,
      );
      assert.equal(toHex(packet.subarray(end)), mac);
    }
  });

  for (const suite of ESP_SUITES.values()) {
    test(`ESP-096 ESP-097 ESP-126 ESP-132 suite ${suite.id} opens what it sealed and nothing altered`, (provider) => {
      const text = new Uint8Array(48).map((_, i) => i * 5);
      const packet = sealed(provider, suite, text, 5, 0xfffffff0);
      assert.equal(packet.length, 8 + suite.ivLength + text.length + suite.icvLength);
      const opener = provider.opener(suite.id, keysFor(suite.id));
      const open = (altered: Uint8Array, high = 5) =>
        opener.open(altered, 0, altered.length, high) ? altered : undefined;
      const textStart = 8 + suite.ivLength;
      assert.deepEqual(open(packet.slice())?.subarray(textStart, textStart + text.length), text);
      for (let i = 0; i < packet.length; i++) {
        const altered = packet.slice();
        altered[i]! ^= 1 << (i % 8);
        assert.equal(open(altered), undefined, `octet ${i} altered`);
      }
      assert.equal(open(packet.slice(), 4), undefined);
      // A failed packet leaves nothing behind that spoils the next.
      assert.notEqual(open(packet.slice()), undefined);
      opener.wipe();
    });
  }

  test("ESP-105 CBC initialisation vectors come from the generator and never repeat", (provider) => {
    const sealer = provider.sealer(8, keysFor(8), new CountingRandom());
    const seen = new Set<string>();
    const pool = new Uint8Array(64 * 16);
    new CountingRandom().fill(pool);
    for (let i = 0; i < 200; i++) {
      const packet = new Uint8Array(8 + 16 + 16 + 16);
      sealer.seal(packet, 0, 40, 0, i);
      const iv = toHex(packet.subarray(8, 24));
      if (i < 64) assert.equal(iv, toHex(pool.subarray(16 * i, 16 * i + 16)));
      seen.add(iv);
    }
    assert.equal(seen.size, 200);
  });

  test("ESP-111 ESP-113 ESP-123 the 8-octet IV is the 64-bit sequence number", (provider) => {
    for (const id of [10, 11, 12, 13, 15]) {
      const packet = sealed(provider, espSuite(id), new Uint8Array(16), 0x01020304, 0x05060708);
      assert.equal(toHex(packet.subarray(8, 16)), "0102030405060708");
    }
  });

  test("ESP-116 ESP-118 GMAC leaves the payload readable and covers it and the IV", (provider) => {
    const text = ascii("sixteen octets !");
    const packet = sealed(provider, espSuite(15), text, 0, 1);
    assert.deepEqual(packet.subarray(16, 32), text);
    assert.equal(packet.length, 16 + 16 + 16);
  });

  test("ESP-106 ESP-108 keys of any other length are refused", (provider) => {
    for (const suite of ESP_SUITES.values()) {
      const keys = keysFor(suite.id);
      const longer = { ...keys, authentication: new Uint8Array(keys.authentication.length + 1) };
      const shorter = { ...keys, encryption: new Uint8Array(keys.encryption.length + 3) };
      assert.throws(() => provider.sealer(suite.id, longer, new CountingRandom()), RangeError);
      assert.throws(() => provider.opener(suite.id, shorter), RangeError);
    }
  });

  test("ESP-015 reserved, deprecated and unknown suites are not supported", (provider) => {
    for (const id of [0, 2, 3, 4, 5, 6, 16, 255]) {
      assert.equal(provider.supports(id), false);
      assert.throws(
        () => provider.opener(id, { encryption: NO_KEY, authentication: NO_KEY }),
        RangeError,
      );
    }
  });

  test("ESP-009 ESP-010 ESP-011 ESP-124 every suite of the table is there", (provider) => {
    for (const id of ESP_SUITES.keys()) assert.equal(provider.supports(id), true, `suite ${id}`);
  });
}

Deno.test({
  name: "ESP-116 ESP-122 both providers make the same packets and open each other's",
  ignore: LIBCRYPTO === undefined,
  fn() {
    fc.assert(
      fc.property(
        fc.constantFrom(...ESP_SUITES.values()),
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (suite, blocks, high, low) => {
          const text = new Uint8Array(blocks * suite.padModulus).map((_, i) => i ^ low);
          const portable = sealed(PORTABLE_PROVIDER, suite, text, high, low);
          const native = sealed(LIBCRYPTO!, suite, text, high, low);
          assert.equal(toHex(native), toHex(portable));
          for (const provider of [PORTABLE_PROVIDER, LIBCRYPTO!]) {
            const packet = native.slice();
            const opener = provider.opener(suite.id, keysFor(suite.id));
            assert.equal(opener.open(packet, 0, packet.length, high), true);
            assert.deepEqual(
              packet.subarray(8 + suite.ivLength, packet.length - suite.icvLength),
              text,
            );
            opener.wipe();
          }
        },
      ),
      { numRuns: 150 },
    );
  },
});

Deno.test("ESP-012 ESP-014 ESP-045 ESP-046 ESP-087 the table has the sizes of the registry", () => {
  const rows = [...ESP_SUITES.values()].map((suite) =>
    [
      suite.id,
      suite.encryptionKeyLength,
      suite.saltLength,
      suite.authenticationKeyLength,
      suite.ivLength,
      suite.padModulus,
      suite.icvLength,
    ].join(" ")
  );
  assert.deepEqual(rows, [
    "1 16 0 20 16 16 12",
    "7 0 0 32 0 4 16",
    "8 16 0 32 16 16 16",
    "9 32 0 32 16 16 16",
    "10 16 3 0 8 4 8",
    "11 16 3 0 8 4 16",
    "12 16 4 0 8 4 8",
    "13 16 4 0 8 4 16",
    "14 0 0 16 0 4 12",
    "15 16 4 0 8 4 16",
  ]);
});

Deno.test("an IvPool draws in bulk and forgets what it gave out and what it did not", () => {
  let draws = 0;
  const pool = new IvPool({
    fill(bytes) {
      draws++;
      bytes.fill(draws);
    },
  });
  const iv = new Uint8Array(20);
  for (let i = 0; i < 64; i++) pool.writeTo(iv, 2);
  assert.equal(draws, 1);
  assert.equal(toHex(iv), "0000" + "01".repeat(16) + "0000");
  pool.writeTo(iv, 2);
  assert.equal(draws, 2);
  pool.wipe();
  pool.writeTo(iv, 2);
  assert.equal(toHex(iv), "0000" + "03".repeat(16) + "0000");
});

Deno.test("key errors name lengths and never octets", () => {
  assert.throws(
    () =>
      checkEspKeys(espSuite(8), {
        encryption: new Uint8Array(15).fill(0xab),
        authentication: NO_KEY,
      }),
    (error: Error) => /15 octets, need 16/.test(error.message) && !/ab|171/.test(error.message),
  );
});
