import { deepEqual, equal, throws } from "node:assert/strict";
import { cshake128 } from "@noble/hashes/sha3-addons.js";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { digest, isKnownHitSuite, rhashLength, rhashOfSuite } from "../../lib/crypto/rhash.ts";
import { hipMac } from "../../lib/crypto/mac.ts";

const text = (ascii: string) => new TextEncoder().encode(ascii);

Deno.test("rhashOfSuite() knows suites 1, 2, 3 and 5 and no other", () => {
  deepEqual([1, 2, 3, 5].map(rhashOfSuite), ["sha256", "sha384", "sha1", "cshake128"]);
  for (const suite of [0, 4, 6, 15]) {
    equal(isKnownHitSuite(suite), false);
    throws(() => rhashOfSuite(suite), RangeError);
  }
});

Deno.test("digest() gives the FIPS 180 values of abc, and joins its parts", () => {
  equal(
    toHex(digest("sha256", text("a"), text("bc"))),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  equal(
    toHex(digest("sha384", text("abc"))),
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
      "8086072ba1e7cc2358baeca134c825a7",
  );
  equal(toHex(digest("sha1", text("ab"), text("c"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
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
  equal(
    toHex(digest("cshake128")),
    "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
  );
});

Deno.test("rhashLength() is what digest() and hipMac() return: MAC-001 HMAC at its natural length", () => {
  for (const rhash of ["sha256", "sha384", "sha1", "cshake128"] as const) {
    equal(digest(rhash, text("x")).length, rhashLength(rhash));
    equal(hipMac(rhash, text("k"), text("x")).length, rhashLength(rhash));
  }
  deepEqual([rhashLength("sha256"), rhashLength("sha384"), rhashLength("sha1")], [32, 48, 20]);
});

Deno.test("cSHAKE128 is what another implementation makes of the same octets, in any pieces", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 400, size: "max" }), { maxLength: 4 });
  fc.assert(fc.property(parts, (parts) => {
    const expected = cshake128(concatBytes(...parts), { dkLen: 32 });
    deepEqual(digest("cshake128", ...parts), expected);
  }));
});
