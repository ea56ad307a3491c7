import { equal, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import {
  cipherIvLength,
  cipherKeyLength,
  decryptParameterContents,
  encryptParameterContents,
} from "../../lib/crypto/hip_cipher.ts";
import { createCipheriv } from "node:crypto";

const KEY = fromHex("56e47a38c5598974bc46903dba290349");
const IV = fromHex("8ce82eefbea0da3c44699ed7db51b7d9");

Deno.test("CIP-001 encryptParameterContents() gives the AES-CBC values of RFC 3602 case 4", () => {
  const plaintext = Uint8Array.from({ length: 64 }, (_, i) => 0xa0 + i);
  const contents = encryptParameterContents(2, KEY, IV, plaintext);
  equal(toHex(contents.subarray(0, 16)), toHex(IV));
  equal(
    toHex(contents.subarray(16, 80)),
    "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e" +
      "35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
  );
});

Deno.test("ENC-002 plaintext is always padded by 1 to 16 octets that say how many, and ENC-003 they go", () => {
  for (const cipher of [2, 4]) {
    const key = new Uint8Array(cipherKeyLength(cipher)).fill(9);
    for (const [length, padded] of [[8, 16], [16, 32], [24, 32], [264, 272]] as const) {
      const plaintext = new Uint8Array(length).fill(1);
      const contents = encryptParameterContents(cipher, key, IV, plaintext);
      equal(contents.length, 16 + padded);
      equal(toHex(decryptParameterContents(cipher, key, contents)!), toHex(plaintext));
    }
  }
});

Deno.test("decryptParameterContents() leaves octets that are no padding of whole TLVs", () => {
  const cipher = createCipheriv("aes-128-cbc", KEY, IV);
  cipher.setAutoPadding(false);
  const plaintext = new Uint8Array(32);
  plaintext[31] = 1; // PKCS#5 padding by the letter, but no TLV ends there
  const contents = new Uint8Array([...IV, ...cipher.update(plaintext), ...cipher.final()]);
  equal(toHex(decryptParameterContents(2, KEY, contents)!), toHex(plaintext));
});

Deno.test("decryptParameterContents() refuses lengths that AES-CBC cannot give", () => {
  for (const length of [0, 15, 16, 31, 33, 40]) {
    equal(decryptParameterContents(2, KEY, new Uint8Array(length)), undefined);
  }
});

Deno.test("ENC-004 the NULL cipher has no key, no IV and no padding", () => {
  equal(cipherKeyLength(1), 0);
  equal(cipherIvLength(1), 0);
  equal(cipherIvLength(2), 16);
  equal(cipherIvLength(4), 16);
  const empty = new Uint8Array(0);
  const contents = encryptParameterContents(1, empty, empty, fromHex("0102030405060708"));
  equal(toHex(contents), "0102030405060708");
  equal(toHex(decryptParameterContents(1, empty, contents)!), "0102030405060708");
});

Deno.test("hip ciphers 0, 3 and 5 are unknown, and a wrong IV is refused", () => {
  for (const cipher of [0, 3, 5]) throws(() => cipherKeyLength(cipher), RangeError);
  throws(() => encryptParameterContents(2, KEY, new Uint8Array(8), IV), RangeError);
});
