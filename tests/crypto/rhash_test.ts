import { deepEqual, equal, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { cshake128 } from "@noble/hashes/sha3-addons.js";
import fc from "fast-check";
import { checkDigest, openLibcryptoDigest } from "../../ffi/libcrypto_digest.ts";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import {
  type Digest,
  digest,
  isKnownHitSuite,
  rhashLength,
  rhashOfSuite,
} from "../../lib/crypto/rhash.ts";
import { hipMac } from "../../lib/crypto/mac.ts";

const text = (ascii: string) => new TextEncoder().encode(ascii);

Deno.test("rhashOfSuite() knows suites 1, 2, 3 and 5 and no other", () => {
  deepEqual([1, 2, 3, 5].map(rhashOfSuite), ["sha256", "sha384", "sha1", "cshake128"]);
  for (const suite of [0, 4, 6, 15]) {
    equal(isKnownHitSuite(suite), false);
    throws(() => rhashOfSuite(suite), RangeError);
  }
});

const RHASHES = ["sha256", "sha384", "sha1", "cshake128"] as const;
const LIBCRYPTO = openLibcryptoDigest();
const PROVIDERS: readonly (readonly [string, Digest])[] = LIBCRYPTO === undefined
  ? [["the runtime", digest]]
  : [["the runtime", digest], ["libcrypto", LIBCRYPTO]];

for (const [name, compute] of PROVIDERS) {
  Deno.test(`${name} gives the FIPS 180 values of abc, and joins its parts`, () => {
    equal(
      toHex(compute("sha256", text("a"), text("bc"))),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    equal(
      toHex(compute("sha384", text("abc"))),
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
        "8086072ba1e7cc2358baeca134c825a7",
    );
    equal(
      toHex(compute("sha1", text("ab"), text("c"))),
      "a9993e364706816aba3e25717850c26c9cd0d89d",
    );
    checkDigest(compute);
  });

  Deno.test(`${name} hashes what another implementation does, however long and in any pieces`, () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 300, size: "max" }), { maxLength: 4 });
    fc.assert(fc.property(fc.constantFrom(...RHASHES), parts, (rhash, parts) => {
      const whole = concatBytes(...parts);
      const expected = rhash === "cshake128"
        ? cshake128(whole, { dkLen: 32 })
        : new Uint8Array(createHash(rhash).update(whole).digest());
      deepEqual(compute(rhash, ...parts), expected);
      // What it gave stays as it is when it is asked again.
      const given = compute(rhash, ...parts);
      compute(rhash, text("other"));
      deepEqual(given, expected);
    }));
  });
}

Deno.test("a hash with one wrong bit does not pass the questions asked of libcrypto", () => {
  for (const wrong of RHASHES) {
    throws(() =>
      checkDigest((rhash, ...parts) => {
        const hash = digest(rhash, ...parts);
        if (rhash === wrong) hash[hash.length - 1]! ^= 1;
        return hash;
      }), /wrong answer/);
  }
});

Deno.test("DET-015 cSHAKE128 gives both samples of SP 800-185, and is SHAKE128 without strings", () => {
  const options = { dkLen: 32, personalization: text("Email Signature") };
  equal(
    toHex(cshake128(fromHex("00010203"), options)),
    "c1c36925b6409a04f1b504fcbca9d82b4017277cb5ed2b2065fc1d3814d5aaf5",
  );
  equal(
    toHex(cshake128(Uint8Array.from({ length: 200 }, (_, i) => i), options)),
    "c5221d50e4f822d96a2e8881a961420f294b7b24fe3d2094baed2c6524cc166b",
  );
  // SHAKE128 of nothing, FIPS 202.
  for (const [, compute] of PROVIDERS) {
    equal(
      toHex(compute("cshake128")),
      "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
    );
  }
});

Deno.test("rhashLength() is what digest() and hipMac() return: MAC-001 HMAC at its natural length", () => {
  for (const rhash of RHASHES) {
    equal(digest(rhash, text("x")).length, rhashLength(rhash));
    equal(hipMac(rhash, text("k"), text("x")).length, rhashLength(rhash));
  }
  deepEqual([rhashLength("sha256"), rhashLength("sha384"), rhashLength("sha1")], [32, 48, 20]);
});
