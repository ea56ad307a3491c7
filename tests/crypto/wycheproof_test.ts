/**
 * The primitives as this program calls them, against the vectors of Project Wycheproof
 * (`tests/vectors/README.md`): edge cases of arithmetic, malformed points and signatures, wrong
 * padding. Each provider answers all of them.
 */

import { equal, throws } from "node:assert/strict";
import { openLibcrypto } from "../../ffi/libcrypto.ts";
import { loadKeySymbols } from "../../ffi/libcrypto_key_symbols.ts";
import { openLibcryptoPublicKeys } from "../../ffi/libcrypto_public_keys.ts";
import { LibcryptoSignatures } from "../../ffi/libcrypto_signatures.ts";
import { bytesEqual, concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import type { Random } from "../../lib/base/random.ts";
import { emitDsaPublicKey, parseDsaPublicKey, verifyDsa } from "../../lib/crypto/dsa.ts";
import { type EcCurve, P256, P384 } from "../../lib/crypto/ec_curve.ts";
import type { EspProvider } from "../../lib/crypto/esp_suite.ts";
import { decryptParameterContents, encryptParameterContents } from "../../lib/crypto/hip_cipher.ts";
import { drawKeymat, extractKeymat } from "../../lib/crypto/keymat.ts";
import { hipMac } from "../../lib/crypto/mac.ts";
import { PORTABLE_PUBLIC_KEYS } from "../../lib/crypto/portable_public_keys.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import type { Rhash } from "../../lib/crypto/rhash.ts";
import { verifyEcdsa } from "../../lib/crypto/signature.ts";

/** What is wrong, message, signature, and 1 when it is valid after all. */
type SignatureCase = readonly [comment: string, message: string, signature: string, valid: 0 | 1];

function load<T>(name: string): readonly T[] {
  const url = new URL(`../vectors/wycheproof/${name}.json`, import.meta.url);
  return JSON.parse(Deno.readTextFileSync(url));
}

const libcryptoKeys = openLibcryptoPublicKeys();
const PUBLIC_KEYS = [PORTABLE_PUBLIC_KEYS, ...(libcryptoKeys ? [libcryptoKeys] : [])];
const libcryptoEsp = openLibcrypto();
const ESP: readonly EspProvider[] = [PORTABLE_PROVIDER, ...(libcryptoEsp ? [libcryptoEsp] : [])];

const symbols = loadKeySymbols();
const libcryptoSignatures = symbols && new LibcryptoSignatures(symbols);
const ECDSA_VERIFIERS: [string, typeof verifyEcdsa][] = [["portable", verifyEcdsa]];
if (libcryptoSignatures !== undefined) {
  ECDSA_VERIFIERS.push(["libcrypto", (...job) => libcryptoSignatures.verifyEcdsa(...job)]);
}

const ECDSA_FILES: readonly [string, EcCurve, Rhash][] = [
  ["ecdsa_p256_sha256", P256, "sha256"],
  ["ecdsa_p384_sha384", P384, "sha384"],
];

for (const [name, verify] of ECDSA_VERIFIERS) {
  for (const [file, curve, rhash] of ECDSA_FILES) {
    Deno.test(`SIG-004 ${name}: ECDSA r | s is judged as Wycheproof says: ${file}`, () => {
      for (const [key, cases] of load<[string, SignatureCase[]]>(file)) {
        for (const [comment, message, signature, valid] of cases) {
          const isRight = verify(
            curve,
            fromHex(key),
            rhash,
            fromHex(signature),
            fromHex(message),
          );
          equal(isRight, valid === 1, `${comment}: ${signature}`);
        }
      }
    });
  }
}

for (const provider of PUBLIC_KEYS) {
  const { name } = provider;

  Deno.test(`${name}: Ed25519 signatures are judged as Wycheproof says`, () => {
    for (const [key, cases] of load<[string, SignatureCase[]]>("ed25519")) {
      const signer = { algorithm: 13, hostIdentity: fromHex("00010000" + key) };
      for (const [comment, message, signature, valid] of cases) {
        const isRight = provider.verify(signer, fromHex(signature), fromHex(message));
        equal(isRight, valid === 1, `${comment}: ${signature}`);
      }
    }
  });

  Deno.test(`SIG-002 ${name}: RSA-PSS signatures are judged as Wycheproof says, any salt allowed`, () => {
    for (const [e, n, cases] of load<[string, string, SignatureCase[]]>("rsa_pss_sha256")) {
      const exponent = fromHex(e);
      const hostIdentity = concatBytes(
        Uint8Array.of(exponent.length),
        exponent,
        fromHex(n.replace(/^00/, "")),
      );
      const signer = { algorithm: 5, hostIdentity };
      for (const [comment, message, signature, valid] of cases) {
        const isRight = provider.verify(signer, fromHex(signature), fromHex(message));
        equal(isRight, valid === 1, `${comment}: ${signature}`);
      }
    }
  });

  for (
    const [file, groupId, width] of [["ecdh_p256", 7, 32], ["ecdh_p384", 8, 48], [
      "ecdh_p521",
      9,
      66,
    ]] as const
  ) {
    Deno.test(`DHG-024 ${name}: Kij of group ${groupId} is as Wycheproof says, or none`, () => {
      for (
        const [comment, peer, secret, shared] of load<[string, string, string, string | null]>(file)
      ) {
        const privateKey = fromHex(secret.slice(-2 * width).padStart(2 * width, "0"));
        const pair = { groupId, privateKey, publicValue: new Uint8Array(0) };
        const kij = provider.agree(pair, fromHex(peer));
        equal(kij && toHex(kij), shared ?? undefined, `${comment}: ${peer}`);
      }
    });
  }
}

Deno.test("DSA signatures T | R | S are judged as Wycheproof says", () => {
  type Row = [p: string, q: string, g: string, y: string, cases: SignatureCase[]];
  for (const [p, q, g, y, cases] of load<Row>("dsa_sha1")) {
    const [P, Q, G, Y] = [p, q, g, y].map((number) => BigInt("0x" + number));
    const key = parseDsaPublicKey(emitDsaPublicKey({ p: P!, q: Q!, g: G!, y: Y! }));
    for (const [comment, message, numbers, valid] of cases) {
      const signature = fromHex("08" + numbers);
      const isRight = verifyDsa(key!, "sha1", fromHex(message), signature);
      equal(isRight, valid === 1, `${comment}: ${numbers}`);
    }
  }
});

Deno.test("hipMac() gives Wycheproof's HMACs, for short and long keys", () => {
  for (const [rhash, key, message, mac] of load<[Rhash, string, string, string]>("hmac")) {
    const octets = fromHex(message);
    const half = octets.length >> 1;
    equal(toHex(hipMac(rhash, fromHex(key), octets)), mac);
    equal(toHex(hipMac(rhash, fromHex(key), octets.slice(0, half), octets.slice(half))), mac);
  }
});

Deno.test("KEYMAT is Wycheproof's HKDF, and ends where HKDF does", () => {
  const [none, hit] = [new Uint8Array(0), new Uint8Array(16)];
  for (
    const [rhash, secret, salt, info, size, expected] of load<
      [Rhash, string, string, string, number, string | null]
    >("hkdf")
  ) {
    const extracted = extractKeymat(rhash, fromHex(secret), fromHex(salt), none, hit, hit);
    const keymat = { ...extracted, info: fromHex(info) };
    if (expected === null) throws(() => drawKeymat(keymat, 0, size), RangeError);
    else {
      equal(toHex(drawKeymat(keymat, 0, size)), expected);
      equal(
        toHex(drawKeymat(keymat, size >> 1, size - (size >> 1))),
        expected.slice(size >> 1 << 1),
      );
    }
  }
});

Deno.test("ENCRYPTED holds Wycheproof's AES-CBC, and wrong padding gives nothing away", () => {
  for (
    const [comment, key, iv, message, ciphertext, valid] of load<
      [string, string, string, string, string, 0 | 1]
    >("aes_cbc_pkcs5")
  ) {
    const cipherId = key.length === 32 ? 2 : 4;
    const data = fromHex(iv + ciphertext);
    const opened = decryptParameterContents(cipherId, fromHex(key), data);
    if (valid === 1) {
      const made = encryptParameterContents(cipherId, fromHex(key), fromHex(iv), fromHex(message));
      equal(toHex(made), toHex(data), comment);
      // TLVs fill multiples of 8 octets; other padding than theirs stays, as a peer's filler.
      const text = toHex(opened!);
      const isTlvs = message.length % 16 === 0;
      equal(isTlvs ? text : text.slice(0, message.length), message, comment);
    } else if (ciphertext.length === 0 || ciphertext.length % 32 !== 0) {
      equal(opened, undefined, comment);
    } else {
      // HIP_MAC was right before anything is decrypted: the octets are the peer's own, all kept.
      equal(opened!.length, ciphertext.length / 2, comment);
    }
  }
});

for (const provider of ESP) {
  const { name } = provider;

  Deno.test(`${name}: the combined suites open Wycheproof's AES-GCM and AES-CCM, unaltered alone`, () => {
    for (
      const [suite, key, nonce, aad, message, ciphertext, tag, valid] of load<
        [number, string, string, string, string, string, string, 0 | 1]
      >("esp_aead")
    ) {
      // The nonce is salt and IV, the AAD SPI and sequence number (RFC 4106 §4, §5; RFC 4309).
      const salt = nonce.slice(0, -16);
      const packet = fromHex(aad + nonce.slice(-16) + ciphertext + tag);
      const keys = { encryption: fromHex(key + salt), authentication: new Uint8Array(0) };
      const opener = provider.opener(suite, keys);
      opener.omitsHigh = true;
      for (let at = -1; at < packet.length; at++) {
        const received = packet.slice();
        if (at >= 0) received[at]! ^= 0x04;
        const isOpened = opener.open(received, 0, received.length, 0);
        equal(isOpened, at < 0 && valid === 1, `suite ${suite}, octet ${at}`);
        const text = received.subarray(16, received.length - tag.length / 2);
        if (message !== "") equal(toHex(text) === message, isOpened);
      }
      opener.wipe();
    }
  });

  Deno.test(`${name}: the ICV of suite 14 is the first 96 bits of Wycheproof's AES-CMAC`, () => {
    for (const [key, message, tag, valid] of load<[string, string, string, 0 | 1]>("aes_cmac")) {
      const keys = { encryption: new Uint8Array(0), authentication: fromHex(key) };
      const sealer = provider.sealer(14, keys, NO_RANDOM);
      sealer.omitsHigh = true;
      const octets = fromHex(message);
      const packet = concatBytes(octets, new Uint8Array(12));
      equal(sealer.seal(packet, 0, octets.length, 0, 1), true);
      const icv = packet.slice(octets.length);
      // Bits that were flipped behind the first 96 make no difference here.
      const isSame = bytesEqual(icv, fromHex(tag.slice(0, 24)));
      if (valid === 1) equal(isSame, true);
      const opener = provider.opener(14, keys);
      opener.omitsHigh = true;
      const received = fromHex(message + tag.slice(0, 24));
      equal(opener.open(received, 0, received.length, 0), isSame);
      sealer.wipe();
      opener.wipe();
    }
  });
}

const NO_RANDOM: Random = { fill: () => {} };
