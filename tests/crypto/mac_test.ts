import { deepEqual, equal, throws } from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { HipMac, hipMac } from "../../lib/crypto/mac.ts";

const text = (ascii: string) => new TextEncoder().encode(ascii);

Deno.test("hipMac() gives the values of RFC 4231 and RFC 2202 case 2", () => {
  const parts = [text("what do ya want "), text("for nothing?")];
  equal(
    toHex(hipMac("sha256", text("Jefe"), ...parts)),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
  equal(
    toHex(hipMac("sha384", text("Jefe"), ...parts)),
    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e" +
      "8e2240ca5e69e2c78b3239ecfab21649",
  );
  equal(toHex(hipMac("sha1", text("Jefe"), ...parts)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
});

Deno.test("hipMac() hashes keys that are longer than a block, RFC 4231 case 6", () => {
  equal(
    toHex(
      hipMac(
        "sha256",
        new Uint8Array(131).fill(0xaa),
        text("Test Using Larger Than Block-Size Key - Hash Key First"),
      ),
    ),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  );
});

Deno.test("hipMac() of suite 5 is KMAC128, sample 1 of SP 800-185", () => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => 0x40 + i);
  equal(
    toHex(hipMac("cshake128", key, fromHex("0001"), fromHex("0203"))),
    "e5780b0d3ea6f7d3a429c5706aa43a00fadbd7d49628839e3187243f456ee14e",
  );
});

Deno.test("HipMac gives one message after the other what hipMac() does, and nothing once wiped", () => {
  const rhashes = fc.constantFrom("sha1", "sha256", "sha384", "cshake128");
  const octets = fc.uint8Array({ maxLength: 300, size: "max" });
  const messages = fc.array(fc.array(octets, { maxLength: 3 }), { maxLength: 4 });
  fc.assert(fc.property(rhashes, octets, messages, (rhash, key, messages) => {
    const mac = new HipMac(rhash, key);
    for (const parts of messages) deepEqual(mac.of(...parts), hipMac(rhash, key, ...parts));
    mac.wipe();
    if (rhash === "cshake128") throws(() => mac.of(text("after")));
  }));
});

Deno.test("hipMac() is the runtime's HMAC for keys and messages of any length, in any pieces", () => {
  const rhashes = fc.constantFrom("sha1", "sha256", "sha384");
  const octets = fc.uint8Array({ maxLength: 300, size: "max" });
  const parts = fc.array(octets, { maxLength: 4 });
  fc.assert(fc.property(rhashes, octets, parts, (rhash, key, parts) => {
    const hmac = createHmac(rhash, key);
    for (const part of parts) hmac.update(part);
    const copy = key.slice();
    deepEqual(hipMac(rhash, key, ...parts), new Uint8Array(hmac.digest()));
    deepEqual(key, copy);
  }));
});
