/**
 * RSA public keys as RFC 3110 encodes them, and RSASSA-PSS (RFC 8017 §8.1, §9.1; RFC 7401 §5.2.9).
 *
 * The hash is that of the signer's HIT Suite, MGF1 uses the same, and we put in as many octets of
 * salt as the hash has. A signature with any other salt length that its length permits verifies.
 * The arithmetic is here because the runtime's synchronous signing (`node:crypto` in Deno 2.5)
 * takes the PSS option and then signs and verifies PKCS#1 v1.5. It also lets the salt come from the
 * caller's generator.
 */

import { bytesEqual, concatBytes } from "../base/bytes.ts";
import { type Random, randomBytes } from "../base/random.ts";
import {
  bitLength,
  integerFromBytes,
  integerToBytes,
  inverseModulo,
  powerModulo,
  randomInteger,
} from "./integers.ts";
import type { RsaPrivateKey } from "./private_key.ts";
import { digest, type Rhash, rhashLength } from "./rhash.ts";

/** Modulus sizes that are accepted; the bound keeps verification cheap. */
export const MIN_RSA_BITS = 1024;
export const MAX_RSA_BITS = 4096;

/** Largest public exponent accepted, in bits: a longer one only costs the verifier. */
const MAX_EXPONENT_BITS = 64;

const PSS_TRAILER = 0xbc;

export interface RsaPublicKey {
  readonly modulus: bigint;
  readonly exponent: bigint;
}

/** RFC 3110 §2: exponent length in one octet, or zero and two; exponent; modulus. */
export function emitRsaPublicKey(key: RsaPublicKey): Uint8Array {
  const exponent = minimalOctets(key.exponent);
  const length = exponent.length <= 255
    ? Uint8Array.of(exponent.length)
    : Uint8Array.of(0, exponent.length >> 8, exponent.length & 0xff);
  return concatBytes(length, exponent, minimalOctets(key.modulus));
}

/** The key in RFC 3110 octets, or undefined when it is malformed or outside the sizes accepted. */
export function parseRsaPublicKey(octets: Uint8Array): RsaPublicKey | undefined {
  let start = 1;
  let length = octets[0] ?? 0;
  if (length === 0) {
    if (octets.length < 3) return undefined;
    length = octets[1]! * 256 + octets[2]!;
    start = 3;
  }
  if (length === 0 || octets.length <= start + length) return undefined;
  const exponent = integerFromBytes(octets.subarray(start, start + length));
  const modulus = integerFromBytes(octets.subarray(start + length));
  const bits = bitLength(modulus);
  const isUsable = bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS && modulus % 2n === 1n &&
    exponent >= 3n && exponent % 2n === 1n && bitLength(exponent) <= MAX_EXPONENT_BITS;
  return isUsable ? { modulus, exponent } : undefined;
}

/**
 * A signature as long as the modulus. The private operation is blinded, so that its time says
 * nothing of the key, and checked, so that a fault of the machine never leaves it.
 */
export function signRsaPss(
  key: RsaPrivateKey,
  rhash: Rhash,
  message: Uint8Array,
  random: Random,
): Uint8Array {
  const bits = bitLength(key.modulus);
  const salt = randomBytes(random, rhashLength(rhash));
  const encoded = encodePss(rhash, digest(rhash, message), salt, bits - 1);
  const signature = privateOperation(key, integerFromBytes(encoded), random);
  return integerToBytes(signature, Math.ceil(bits / 8));
}

/** Whether the signature is right, with whatever length of salt. */
export function verifyRsaPss(
  key: RsaPublicKey,
  rhash: Rhash,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const bits = bitLength(key.modulus);
  const value = integerFromBytes(signature);
  if (signature.length !== Math.ceil(bits / 8) || value >= key.modulus) return false;
  const encoded = powerModulo(value, key.exponent, key.modulus);
  const width = Math.ceil((bits - 1) / 8);
  if (bitLength(encoded) > 8 * width) return false;
  return checkPss(rhash, digest(rhash, message), integerToBytes(encoded, width), bits - 1);
}

/** EMSA-PSS-ENCODE (RFC 8017 §9.1.1). */
function encodePss(rhash: Rhash, hash: Uint8Array, salt: Uint8Array, bits: number): Uint8Array {
  const width = Math.ceil(bits / 8);
  const h = digest(rhash, new Uint8Array(8), hash, salt);
  const block = new Uint8Array(width - h.length - 1);
  block[block.length - salt.length - 1] = 1;
  block.set(salt, block.length - salt.length);
  applyMask(rhash, h, block);
  block[0]! &= 0xff >> (8 * width - bits);
  return concatBytes(block, h, Uint8Array.of(PSS_TRAILER));
}

/** EMSA-PSS-VERIFY (RFC 8017 §9.1.2), the salt's length read from the block. */
function checkPss(rhash: Rhash, hash: Uint8Array, encoded: Uint8Array, bits: number): boolean {
  const hashLength = rhashLength(rhash);
  const blockLength = encoded.length - hashLength - 1;
  const unusedBits = 8 * encoded.length - bits;
  if (blockLength < 1 || encoded.at(-1) !== PSS_TRAILER) return false;
  if (encoded[0]! >> (8 - unusedBits) !== 0) return false;
  const block = encoded.slice(0, blockLength);
  const h = encoded.subarray(blockLength, blockLength + hashLength);
  applyMask(rhash, h, block);
  block[0]! &= 0xff >> unusedBits;
  const separator = block.findIndex((octet) => octet !== 0);
  if (separator < 0 || block[separator] !== 1) return false;
  return bytesEqual(h, digest(rhash, new Uint8Array(8), hash, block.subarray(separator + 1)));
}

/** Exclusive or with MGF1 (RFC 8017 B.2.1) of the seed, in place. */
function applyMask(rhash: Rhash, seed: Uint8Array, block: Uint8Array): void {
  const counter = new Uint8Array(4);
  for (let start = 0, i = 0; start < block.length; start += rhashLength(rhash), i++) {
    counter[3] = i;
    const mask = digest(rhash, seed, counter);
    const end = Math.min(block.length, start + mask.length);
    for (let k = start; k < end; k++) block[k]! ^= mask[k - start]!;
  }
}

function privateOperation(key: RsaPrivateKey, message: bigint, random: Random): bigint {
  const { modulus, prime1, prime2 } = key;
  for (;;) {
    const blind = randomInteger(random, modulus);
    const unblind = inverseModulo(blind, modulus);
    if (unblind === undefined) continue;
    const blinded = message * powerModulo(blind, key.publicExponent, modulus) % modulus;
    const m1 = powerModulo(blinded % prime1, key.exponent1, prime1);
    const m2 = powerModulo(blinded % prime2, key.exponent2, prime2);
    const difference = ((m1 - m2) % prime1 + prime1) % prime1;
    const joined = m2 + prime2 * (key.coefficient * difference % prime1);
    const result = joined * unblind % modulus;
    if (powerModulo(result, key.publicExponent, modulus) !== message) {
      throw new Error("Cannot sign: the RSA key does not fit together, or the machine erred");
    }
    return result;
  }
}

function minimalOctets(value: bigint): Uint8Array {
  return integerToBytes(value, Math.ceil(bitLength(value) / 8));
}
