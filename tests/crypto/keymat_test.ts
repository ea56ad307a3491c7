import { deepEqual, equal, throws } from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import {
  drawEspKeys,
  drawHipKeys,
  drawKeymat,
  extractKeymat,
  type Keymat,
} from "../../lib/crypto/keymat.ts";
import { type Rhash, rhashLength } from "../../lib/crypto/rhash.ts";

const LOWER = fromHex("20010021000000000000000000000001");
const GREATER = fromHex("20010021000000000000000000000002");

function keymat(rhash: Rhash): Keymat {
  const n = rhashLength(rhash);
  return extractKeymat(
    rhash,
    new Uint8Array(32).fill(7),
    new Uint8Array(n).fill(1),
    new Uint8Array(n).fill(2),
    GREATER,
    LOWER,
  );
}

Deno.test("extractKeymat() and drawKeymat() are HKDF: RFC 5869 cases 1 and 4", () => {
  // The salt comes in two parts, as #I and #J; the info too, as the two HITs.
  const halves = [
    fromHex("00010203040506"),
    fromHex("0708090a0b0c"),
    fromHex("f5f6f7f8f9"),
    fromHex("f0f1f2f3f4"),
  ] as const;
  const first = extractKeymat("sha256", new Uint8Array(22).fill(0x0b), ...halves);
  equal(toHex(first.prk), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  equal(
    toHex(drawKeymat(first, 0, 42)),
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
  );
  const fourth = extractKeymat("sha1", new Uint8Array(11).fill(0x0b), ...halves);
  equal(
    toHex(drawKeymat(fourth, 0, 42)),
    "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896",
  );
});

Deno.test("KEY-001 KEY-002 KEY-003 KEYMAT is HKDF with salt #I | #J and the HITs in order of value", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("sha256" as const, "sha384" as const, "sha1" as const),
      fc.uint8Array({ minLength: 20, maxLength: 66 }),
      (rhash, kij) => {
        const n = rhashLength(rhash);
        const randomI = new Uint8Array(n); // leading zeros count
        randomI[n - 1] = 1;
        const solutionJ = new Uint8Array(n);
        solutionJ[n - 1] = 2;
        const ours = extractKeymat(rhash, kij, randomI, solutionJ, GREATER, LOWER);
        const theirs = extractKeymat(rhash, kij, randomI, solutionJ, LOWER, GREATER);
        deepEqual(ours, theirs);
        const expected = hkdfSync(
          rhash,
          kij,
          concatBytes(randomI, solutionJ),
          concatBytes(LOWER, GREATER),
          200,
        );
        equal(toHex(drawKeymat(ours, 0, 200)), toHex(new Uint8Array(expected)));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("KEY-010 drawKeymat() from an index continues where an earlier draw ended", () => {
  fc.assert(
    fc.property(fc.nat(300), fc.nat(300), (index, length) => {
      const k = keymat("sha256");
      const whole = drawKeymat(k, 0, 600);
      equal(toHex(drawKeymat(k, index, length)), toHex(whole.subarray(index, index + length)));
    }),
  );
});

Deno.test("KEY-011 KEYMAT reaches 255 blocks and no further", () => {
  const k = keymat("sha1");
  equal(drawKeymat(k, 255 * 20 - 1, 1).length, 1);
  throws(() => drawKeymat(k, 255 * 20, 1), RangeError);
  throws(() => drawKeymat(k, -1, 1), RangeError);
});

Deno.test("KEY-006 KEY-008 drawHipKeys() draws the four keys at the offsets of every suite and cipher", () => {
  const rows: [Rhash, number, number, number][] = [
    ["sha256", 2, 16, 96],
    ["sha256", 4, 32, 128],
    ["sha256", 1, 0, 64],
    ["sha384", 2, 16, 128],
    ["sha384", 4, 32, 160],
    ["sha1", 2, 16, 72],
    ["sha1", 4, 32, 104],
  ];
  for (const [rhash, cipher, keyLength, next] of rows) {
    const k = keymat(rhash);
    const n = rhashLength(rhash);
    const { keys, nextIndex } = drawHipKeys(k, cipher, GREATER, LOWER);
    equal(nextIndex, next);
    const octets = drawKeymat(k, 0, next);
    let offset = 0;
    const cut = (length: number) => toHex(octets.subarray(offset, offset += length));
    equal(toHex(keys.encryptionOut), cut(keyLength));
    equal(toHex(keys.integrityOut), cut(n));
    equal(toHex(keys.encryptionIn), cut(keyLength));
    equal(toHex(keys.integrityIn), cut(n));
  }
});

Deno.test("KEY-007 the host with the greater HIT sends under the gl keys, the other one receives", () => {
  const k = keymat("sha384");
  const greater = drawHipKeys(k, 4, GREATER, LOWER).keys;
  const lower = drawHipKeys(k, 4, LOWER, GREATER).keys;
  deepEqual(greater, {
    encryptionOut: lower.encryptionIn,
    integrityOut: lower.integrityIn,
    encryptionIn: lower.encryptionOut,
    integrityIn: lower.integrityOut,
  });
  equal(toHex(greater.encryptionOut), toHex(drawKeymat(k, 0, 32)));
});

Deno.test("drawEspKeys() draws SA-gl before SA-lg, encryption before authentication", () => {
  const k = keymat("sha256");
  const sizes = { encryptionLength: 20, authenticationLength: 32 };
  const ours = drawEspKeys(k, 96, sizes, LOWER, GREATER);
  const theirs = drawEspKeys(k, 96, sizes, GREATER, LOWER);
  deepEqual(ours.outbound, theirs.inbound);
  deepEqual(ours.inbound, theirs.outbound);
  equal(ours.nextIndex, 96 + 104);
  const octets = drawKeymat(k, 96, 104);
  equal(toHex(ours.inbound.encryption), toHex(octets.subarray(0, 20)));
  equal(toHex(ours.inbound.authentication), toHex(octets.subarray(20, 52)));
  equal(toHex(ours.outbound.encryption), toHex(octets.subarray(52, 72)));
  equal(toHex(ours.outbound.authentication), toHex(octets.subarray(72, 104)));
});
