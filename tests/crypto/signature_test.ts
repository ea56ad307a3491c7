import { equal, notEqual } from "node:assert/strict";
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { Buffer } from "node:buffer";
import { ed25519, ed25519ph } from "@noble/curves/ed25519.js";
import { ed448 } from "@noble/curves/ed448.js";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../../lib/crypto/host_key.ts";
import { P384 } from "../../lib/crypto/ec_curve.ts";
import { integerToBytes } from "../../lib/crypto/integers.ts";
import { emitEcPrivateKey, emitEd25519PrivateKey } from "../../lib/crypto/private_key.ts";
import { emitRsaPublicKey, parseRsaPublicKey, signRsaPss } from "../../lib/crypto/rsa.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import { signMessage, verifySignature } from "../../lib/crypto/signature.ts";
import { generateHostIdentity, IDENTITY_KINDS } from "../../lib/identity/host_identity.ts";

const seeded = (octet = 1) => new SeededRandom(new Uint8Array(32).fill(octet));
const SAMPLE = new TextEncoder().encode("sample");

const identities = new Map(
  IDENTITY_KINDS.map((kind) => [kind, generateHostIdentity(kind, seeded(), { rsaBits: 1024 })]),
);

function identity(kind: (typeof IDENTITY_KINDS)[number]): PrivateHostIdentity {
  return identities.get(kind)!;
}

const nodePrivateKey = (own: PrivateHostIdentity) =>
  createPrivateKey({ key: Buffer.from(own.privateKey), format: "der", type: "pkcs8" });

/** Made for this test: 1025 bits. */
const ODD_SIZED_KEY = {
  modulus: BigInt(
    "0x" +
      "113320228cb28ad77a657fa8351adda96cccd46d0a069e7f3fb8e1b1100702a7c21c45bf028bea69" +
      "9cc8360433f6360c75c7d3183043571a1e0daa7377ba656e0cd9532af3ab32d5eeb92f053bad38d1" +
      "dbc196ae2b5080485f0c05a9ef0d97c87296db12aeca09ae079b1f85f5770325dd40e26f81b77027" +
      "de90f88b943093023",
  ),
  publicExponent: 65537n,
  prime1: BigInt(
    "0x" +
      "199ffd86adc0de3098e2306768c60085e159f2afd776b086d39744fb261738e0c8d26929da00ad29" +
      "f72e1a8e31213c8d7964ae7d8f0bcb76e9b827869e393e2e7",
  ),
  prime2: BigInt(
    "0x" +
      "abd45cdd30b96c575e64ae049129b90c9d8b958cfa8d1b6faef6e8545c44020043edc4fc5b753da0" +
      "b284e7d7babdc6e1f74d541e43f2ca9788b77902240f9d65",
  ),
  exponent1: BigInt(
    "0x" +
      "166c34499c532f59f0fdc40348e031e6f4d9638e51090fd0fae7dc39b40c0ffe4a5c2c1fae1e7768" +
      "485df468c63ee2209dbfe71c0186fda471416e7cd2891e8b3",
  ),
  exponent2: BigInt(
    "0x" +
      "a446a381d4d3718115fdab61326771435e5bd4deb3abb44f52373c676ace9a1b26d66b3dd9327d78" +
      "e533ab73d4551b8f6d9fc08c2eea30462faf394192b85b01",
  ),
  coefficient: BigInt(
    "0x" +
      "84ef799fb5afa7f0e82ff3baef9b4891038ece44d482e3d79ba0fa746a254c89c72aa8eb2dfee5c6" +
      "890ada9eebcd3985ee8e8a1acf63bd6d9e282cadf4cccc62",
  ),
};

Deno.test("SIG-003 SIG-004 verifySignature() accepts RFC 6979 ECDSA with SHA-384 on P-256 and P-384", () => {
  // Appendix A.2.5 and A.2.6: X, Y, r, s for the message "sample" and SHA-384.
  const vectors: [number, string[]][] = [
    [1, [
      "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
      "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
      "0EAFEA039B20E9B42309FB1D89E213057CBF973DC0CFC8F129EDDDC800EF7719",
      "4861F0491E6998B9455193E34E7B0D284DDD7149A74B95B9261F13ABDE940954",
    ]],
    [2, [
      "EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DEF8F0EA9055866064A254515480BC13",
      "8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1288B231C3AE0D4FE7344FD2533264720",
      "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
      "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
    ]],
  ];
  for (const [label, numbers] of vectors) {
    const [x, y, r, s] = numbers.map(fromHex);
    const point = concatBytes(x!, y!);
    const signature = concatBytes(r!, s!);
    equal(signature.length, label === 1 ? 64 : 96);
    for (const prefix of [[4], []]) { // OPEN-10: the point with and without its 04
      const head = Uint8Array.of(0, label, ...prefix);
      const key = { algorithm: 7, hostIdentity: concatBytes(head, point) };
      equal(verifySignature(key, signature, SAMPLE), true);
      equal(verifySignature(key, signature, SAMPLE.subarray(1)), false);
    }
  }
});

Deno.test("signMessage() gives the one-time number of RFC 6979 on P-384", () => {
  // Appendix A.2.6: private key x and r for the message "sample" and SHA-384.
  const x =
    "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5";
  const r =
    "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46";
  const own = { ...identity("ecdsa-p384"), privateKey: emitEcPrivateKey(P384, fromHex(x)) };
  equal(toHex(signMessage(own, SAMPLE, seeded()).subarray(0, 48)), r.toLowerCase());
});

Deno.test("signMessage() takes a new one-time number for a new message", () => {
  for (const kind of ["ecdsa-p256", "ecdsa-p384"] as const) {
    const halves = [0, 1].map((octet) =>
      toHex(signMessage(identity(kind), Uint8Array.of(octet), seeded()).subarray(0, 32))
    );
    notEqual(halves[0], halves[1], kind);
  }
});

Deno.test("signMessage() gives each of many keys its own Ed25519 signature, that of RFC 8032", () => {
  // More keys than are kept ready, and each of them twice.
  for (let i = 0; i < 40; i++) {
    const seed = new Uint8Array(32).fill(i % 20);
    const own = { ...identity("ed25519"), privateKey: emitEd25519PrivateKey(seed) };
    const message = Uint8Array.of(i);
    equal(toHex(signMessage(own, message, seeded())), toHex(ed25519.sign(message, seed)));
  }
});

Deno.test("verifySignature() refuses Ed25519 keys of small order and in a longer form", () => {
  // With the neutral element as key, R = 0 and S = 0 satisfy the equation for every message.
  const neutral = "01" + "00".repeat(31);
  // The same point with y + p, and y = -1.
  const keys = [neutral, "ee" + "ff".repeat(30) + "7f", "ec" + "ff".repeat(30) + "7f"];
  const signature = fromHex(neutral + "00".repeat(32));
  for (const key of keys) {
    const hostIdentity = fromHex("00010000" + key);
    for (let i = 0; i < 4; i++) {
      equal(verifySignature({ algorithm: 13, hostIdentity }, signature, Uint8Array.of(i)), false);
    }
  }
});

Deno.test("SIG-005 DSA signatures are T | R | S: RFC 6979 A.2.1 with SHA-256 verifies", () => {
  const p = fromHex(
    "86F5CA03DCFEB225063FF830A0C769B9DD9D6153AD91D7CE27F787C43278B447" +
      "E6533B86B18BED6E8A48B784A14C252C5BE0DBF60B86D6385BD2F12FB763ED88" +
      "73ABFD3F5BA2E0A8C0A59082EAC056935E529DAF7C610467899C77ADEDFC846C" +
      "881870B7B19B2B58F9BE0521A17002E3BDD6B86685EE90B3D9A1B02B782B1779",
  );
  const q = fromHex("996F967F6C8E388D9E28D01E205FBA957A5698B1");
  const g = fromHex(
    "07B0F92546150B62514BB771E2A0C0CE387F03BDA6C56B505209FF25FD3C133D" +
      "89BBCD97E904E09114D9A7DEFDEADFC9078EA544D2E401AEECC40BB9FBBF78FD" +
      "87995A10A1C27CB7789B594BA7EFB5C4326A9FE59A070E136DB77175464ADCA4" +
      "17BE5DCE2F40D10A46A3A3943F26AB7FD9C0398FF8C76EE0A56826A8A88F1DBD",
  );
  const y = fromHex(
    "5DF5E01DED31D0297E274E1691C192FE5868FEF9E19A84776454B100CF16F653" +
      "92195A38B90523E2542EE61871C0440CB87C322FC4B4D2EC5E1E7EC766E1BE8D" +
      "4CE935437DC11C3C8FD426338933EBFE739CB3465F4D3668C5E473508253B1E6" +
      "82F65CBDC4FAE93C2EA212390E54905A86E2223170B44EAA7DA5DD9FFCFB7F3B",
  );
  const key = { algorithm: 3, hostIdentity: concatBytes(Uint8Array.of(8), q, p, g, y) };
  const signature = concatBytes(
    Uint8Array.of(8),
    fromHex("81F2F5850BE5BC123C43F71A3033E9384611C545"),
    fromHex("4CDD914B65EB6C66A8AAAD27299BEE6B035F5E89"),
  );
  equal(verifySignature(key, signature, SAMPLE), true);
  equal(verifySignature(key, signature.subarray(1), SAMPLE), false);
  signature[40]! ^= 1;
  equal(verifySignature(key, signature, SAMPLE), false);
});

Deno.test("verifySignature() accepts RFC 8032 Ed25519 test 2 under DET-019's Host Identity", () => {
  const hostIdentity = fromHex(
    "00010000" + "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  );
  const signature = fromHex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  const key = { algorithm: 13, hostIdentity };
  equal(verifySignature(key, signature, Uint8Array.of(0x72)), true);
  equal(verifySignature(key, signature, Uint8Array.of(0x73)), false);
});

Deno.test("verifySignature() takes every EdDSA curve label, and only with its own kind of signature", () => {
  const seed25519 = new Uint8Array(32).fill(4);
  const seed448 = new Uint8Array(57).fill(4);
  const prehashed = ed25519ph.sign(SAMPLE, seed25519);
  const key25519 = ed25519ph.getPublicKey(seed25519);
  const labelled = (label: number, key: Uint8Array) => ({
    algorithm: 13,
    hostIdentity: concatBytes(Uint8Array.of(0, label, 0, 0), key),
  });
  equal(verifySignature(labelled(2, key25519), prehashed, SAMPLE), true);
  equal(verifySignature(labelled(1, key25519), prehashed, SAMPLE), false);
  const key448 = labelled(3, ed448.getPublicKey(seed448));
  equal(verifySignature(key448, ed448.sign(SAMPLE, seed448), SAMPLE), true);
  equal(verifySignature(labelled(5, key25519), prehashed, SAMPLE), false);
});

/** The runtime's web cryptography, whose PSS is right; `node:crypto` signs PKCS#1 v1.5 instead. */
function webPrivateKey(own: PrivateHostIdentity, hash: string): Promise<CryptoKey> {
  const octets = Uint8Array.from(own.privateKey);
  return crypto.subtle.importKey("pkcs8", octets, { name: "RSA-PSS", hash }, false, ["sign"]);
}

function webPublicKey(own: PrivateHostIdentity): Promise<CryptoKey> {
  const spki = createPublicKey(nodePrivateKey(own)).export({ format: "der", type: "spki" });
  const algorithm = { name: "RSA-PSS", hash: "SHA-256" };
  return crypto.subtle.importKey("spki", Uint8Array.from(spki), algorithm, false, ["verify"]);
}

Deno.test("SIG-002 RSA signatures are PSS, SHA-256 with 32 octets of salt, and PKCS#1 v1.5 is refused", async () => {
  const own = identity("rsa");
  const pss = { name: "RSA-PSS", saltLength: 32 };
  for (let i = 0; i < 10; i++) {
    const signature = Uint8Array.from(signMessage(own, SAMPLE, seeded(i)));
    equal(signature.length, 128);
    equal(await crypto.subtle.verify(pss, await webPublicKey(own), signature, SAMPLE), true);
  }
  const v15 = sign("sha256", SAMPLE, nodePrivateKey(own));
  equal(verifySignature(own, new Uint8Array(v15), SAMPLE), false);
});

Deno.test("RSA signatures with other lengths of salt verify too, with another hash they do not", async () => {
  const own = identity("rsa");
  for (const saltLength of [0, 20, 32, 64]) {
    const pss = { name: "RSA-PSS", saltLength };
    const signature = await crypto.subtle.sign(pss, await webPrivateKey(own, "SHA-256"), SAMPLE);
    equal(verifySignature(own, new Uint8Array(signature), SAMPLE), true);
  }
  const pss = { name: "RSA-PSS", saltLength: 20 };
  const other = await crypto.subtle.sign(pss, await webPrivateKey(own, "SHA-1"), SAMPLE);
  equal(verifySignature(own, new Uint8Array(other), SAMPLE), false);
});

Deno.test("RSA with a modulus one bit longer than whole octets signs and verifies", () => {
  // emBits is then a multiple of 8, and the encoded message one octet shorter than the modulus.
  const key = { kind: "rsa" as const, ...ODD_SIZED_KEY };
  const hostIdentity = emitRsaPublicKey({ modulus: key.modulus, exponent: key.publicExponent });
  const signature = signRsaPss(key, "sha256", SAMPLE, seeded());
  equal(signature.length, 129);
  equal(verifySignature({ algorithm: 5, hostIdentity }, signature, SAMPLE), true);
  equal(verifySignature({ algorithm: 5, hostIdentity }, signature, SAMPLE.subarray(1)), false);
});

Deno.test("ECDSA signatures of ours verify in the runtime after conversion to DER", () => {
  for (const kind of ["ecdsa-p256", "ecdsa-p384"] as const) {
    const own = identity(kind);
    const width = kind === "ecdsa-p256" ? 32 : 48;
    for (let i = 0; i < 20; i++) {
      const message = Uint8Array.of(i);
      const signature = signMessage(own, message, seeded(i));
      equal(signature.length, 2 * width);
      const integer = (octets: Uint8Array) => {
        let hex = toHex(octets).replace(/^(00)+/, "");
        if (parseInt(hex.slice(0, 2), 16) >= 0x80) hex = "00" + hex;
        return "02" + (hex.length / 2).toString(16).padStart(2, "0") + hex;
      };
      const body = integer(signature.subarray(0, width)) + integer(signature.subarray(width));
      const der = fromHex("30" + (body.length / 2).toString(16).padStart(2, "0") + body);
      equal(verify("sha384", message, createPublicKey(nodePrivateKey(own)), der), true);
      equal(verifySignature(own, signature, message), true);
    }
  }
});

Deno.test("DSA signatures of ours verify in the runtime", () => {
  const own = identity("dsa");
  const signature = signMessage(own, SAMPLE, seeded());
  equal(signature.length, 41);
  equal(signature[0], 8);
  // A superfluous zero is not DER: take a signature both of whose numbers need one.
  let usable = signature;
  for (let i = 2; usable[1]! < 0x80 || usable[21]! < 0x80; i++) {
    usable = signMessage(own, SAMPLE, seeded(i));
  }
  const integer = (octets: Uint8Array) => concatBytes(Uint8Array.of(2, 21, 0), octets);
  const body = concatBytes(integer(usable.slice(1, 21)), integer(usable.slice(21)));
  const der = concatBytes(Uint8Array.of(0x30, body.length), body);
  equal(verify("sha256", SAMPLE, createPublicKey(nodePrivateKey(own)), der), true);
});

Deno.test("HIT-001 HIT-002 signMessage() and verifySignature() agree for every kind of key", () => {
  for (const kind of IDENTITY_KINDS) {
    const own = identity(kind);
    const signature = signMessage(own, SAMPLE, seeded());
    equal(verifySignature(own, signature, SAMPLE), true, kind);
    equal(verifySignature(own, signature, SAMPLE.subarray(1)), false, kind);
    for (const at of [1, signature.length >> 1, signature.length - 1]) {
      const altered = signature.slice();
      altered[at]! ^= 0x10;
      equal(verifySignature(own, altered, SAMPLE), false, `${kind} at ${at}`);
    }
    equal(verifySignature(own, signature.subarray(1), SAMPLE), false);
    equal(verifySignature(own, concatBytes(signature, Uint8Array.of(0)), SAMPLE), false);
    equal(verifySignature(own, new Uint8Array(signature.length), SAMPLE), false);
  }
});

Deno.test("signMessage() gives the same octets for the same generator", () => {
  for (const kind of IDENTITY_KINDS) {
    const own = identity(kind);
    const [a, b] = [signMessage(own, SAMPLE, seeded(7)), signMessage(own, SAMPLE, seeded(7))];
    equal(toHex(a), toHex(b), kind);
  }
});

Deno.test("DSA one-time numbers differ when the generator repeats itself under another message", () => {
  const own = identity("dsa");
  const first = signMessage(own, SAMPLE, seeded());
  const second = signMessage(own, SAMPLE.subarray(1), seeded());
  notEqual(toHex(first.subarray(1, 21)), toHex(second.subarray(1, 21)));
});

Deno.test("HIT-021 ECDSA_LOW signatures have 42 octets, as the order of SECP160R1 has 161 bits", () => {
  const own = identity("ecdsa-low");
  equal(own.hostIdentity.length, 43);
  equal(signMessage(own, SAMPLE, seeded()).length, 42);
});

Deno.test("verifySignature() answers false, and never throws, for keys and signatures out of thin air", () => {
  const anyKey: fc.Arbitrary<PublicHostIdentity> = fc.record({
    algorithm: fc.constantFrom(3, 5, 7, 9, 13, 0, 99),
    hostIdentity: fc.uint8Array({ maxLength: 410, size: "max" }),
  });
  fc.assert(
    fc.property(anyKey, fc.uint8Array({ maxLength: 260, size: "max" }), (key, signature) => {
      equal(verifySignature(key, signature, SAMPLE), false);
    }),
    { numRuns: 500 },
  );
});

Deno.test("verifySignature() refuses keys that differ from a good one in any octet", () => {
  for (const kind of IDENTITY_KINDS) {
    const own = identity(kind);
    const signature = signMessage(own, SAMPLE, seeded());
    const step = kind === "rsa" || kind === "dsa" ? 13 : 5;
    for (let at = 0; at < own.hostIdentity.length; at += step) {
      const hostIdentity = own.hostIdentity.slice();
      hostIdentity[at]! ^= 0x81;
      const key = { algorithm: own.algorithm, hostIdentity };
      equal(verifySignature(key, signature, SAMPLE), false, `${kind} octet ${at}`);
      verifySignature(
        { algorithm: own.algorithm, hostIdentity: hostIdentity.slice(at) },
        signature,
        SAMPLE,
      );
    }
  }
});

Deno.test("HIT-010 RSA keys are RFC 3110: exponent length in one octet, or zero and two", () => {
  const modulus = (1n << 1023n) + 1n;
  const short = emitRsaPublicKey({ modulus, exponent: 65537n });
  equal(toHex(short.subarray(0, 4)), "03010001");
  equal(short.length, 4 + 128);
  const long = concatBytes(fromHex("000003010001"), integerToBytes(modulus, 128));
  equal(parseRsaPublicKey(long)!.exponent, 65537n);
  equal(parseRsaPublicKey(long)!.modulus, modulus);
  equal(emitRsaPublicKey({ modulus, exponent: (1n << 2047n) + 1n }).length, 3 + 256 + 128);
});

Deno.test("parseRsaPublicKey() refuses keys that cost too much or cannot be any", () => {
  const encode = (modulus: bigint, exponent: bigint) => emitRsaPublicKey({ modulus, exponent });
  const good = (1n << 1023n) + 1n;
  notEqual(parseRsaPublicKey(encode(good, 3n)), undefined);
  notEqual(parseRsaPublicKey(encode((1n << 4095n) + 1n, 3n)), undefined);
  const bad: [bigint, bigint][] = [
    [good - 1n, 3n],
    [good, 1n],
    [good, 4n],
    [good, (1n << 64n) + 1n],
    [(1n << 1022n) + 1n, 3n],
    [(1n << 4096n) + 1n, 3n],
  ];
  for (const [modulus, exponent] of bad) {
    equal(parseRsaPublicKey(encode(modulus, exponent)), undefined);
  }
  for (const octets of ["", "00", "0000", "03", "03010001", "0001"]) {
    equal(parseRsaPublicKey(fromHex(octets)), undefined);
  }
});
