/**
 * DSA as HIP has it: keys and signatures in the form of RFC 2536, so Q has 160 bits and P at most
 * 1024 (T is 0 to 8), with the hash of the signer's HIT Suite, cut to 160 bits (FIPS 186-4 §4.6).
 */

import { concatBytes } from "../base/bytes.ts";
import { type Random, randomBytes } from "../base/random.ts";
import {
  bitLength,
  integerFromBytes,
  integerToBytes,
  inverseModulo,
  powerModulo,
} from "./integers.ts";
import type { DsaPrivateKey } from "./private_key.ts";
import { digest, type Rhash } from "./rhash.ts";

/** Octets of Q, R and S (RFC 2536 §2, §3). */
const Q_LENGTH = 20;
const MAX_T = 8;

export interface DsaPublicKey {
  readonly p: bigint;
  readonly q: bigint;
  readonly g: bigint;
  readonly y: bigint;
}

/** The public half of a private key. */
export function dsaPublicKey(key: DsaPrivateKey): DsaPublicKey {
  return { p: key.p, q: key.q, g: key.g, y: powerModulo(key.g, key.x, key.p) };
}

/**
 * RFC 2536 §2: T | Q | P | G | Y, T the smallest with which P fits.
 *
 * @throws {RangeError} When Q does not have 160 bits or P has more than 1024.
 */
export function emitDsaPublicKey(key: DsaPublicKey): Uint8Array {
  const t = smallestT(key.p);
  if (bitLength(key.q) !== 8 * Q_LENGTH || t > MAX_T) {
    throw new RangeError(
      `Cannot write a DSA key with Q of ${bitLength(key.q)} and P of ${bitLength(key.p)} bits: ` +
        "RFC 2536 has 160 and at most 1024",
    );
  }
  const width = 64 + 8 * t;
  return concatBytes(
    Uint8Array.of(t),
    integerToBytes(key.q, Q_LENGTH),
    ...[key.p, key.g, key.y].map((number) => integerToBytes(number, width)),
  );
}

/** The key in RFC 2536 octets, or undefined when its numbers cannot make a key. */
export function parseDsaPublicKey(octets: Uint8Array): DsaPublicKey | undefined {
  const t = octets[0];
  if (t === undefined || t > MAX_T) return undefined;
  const width = 64 + 8 * t;
  if (octets.length !== 1 + Q_LENGTH + 3 * width) return undefined;
  const number = (i: number) => {
    const start = 1 + Q_LENGTH + i * width;
    return integerFromBytes(octets.subarray(start, start + width));
  };
  const q = integerFromBytes(octets.subarray(1, 1 + Q_LENGTH));
  const [p, g, y] = [number(0), number(1), number(2)];
  const isUsable = bitLength(q) === 8 * Q_LENGTH && bitLength(p) >= 512 && p % 2n === 1n &&
    (p - 1n) % q === 0n && g > 1n && g < p && y > 1n && y < p &&
    powerModulo(g, q, p) === 1n && powerModulo(y, q, p) === 1n;
  return isUsable ? { p, q, g, y } : undefined;
}

/**
 * T(1) | R(20) | S(20) (RFC 2536 §3). The one-time number comes from the key, the message and
 * `random` together: a generator that repeats itself does not give the key away.
 */
export function signDsa(
  key: DsaPrivateKey,
  rhash: Rhash,
  message: Uint8Array,
  random: Random,
): Uint8Array {
  const { p, q, g, x } = key;
  const hash = truncatedHash(rhash, message);
  for (;;) {
    const secrets = concatBytes(integerToBytes(x, Q_LENGTH), integerToBytes(hash, Q_LENGTH));
    const k = integerFromBytes(digest("sha384", secrets, randomBytes(random, 32))) % q;
    if (k === 0n) continue;
    const r = powerModulo(g, k, p) % q;
    const s = inverseModulo(k, q)! * (hash + x * r) % q;
    if (r === 0n || s === 0n) continue;
    return concatBytes(
      Uint8Array.of(smallestT(p)),
      integerToBytes(r, Q_LENGTH),
      integerToBytes(s, Q_LENGTH),
    );
  }
}

/** Whether the signature is right. Its T octet repeats what the key says and is not looked at. */
export function verifyDsa(
  key: DsaPublicKey,
  rhash: Rhash,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== 1 + 2 * Q_LENGTH) return false;
  const { p, q, g, y } = key;
  const r = integerFromBytes(signature.subarray(1, 1 + Q_LENGTH));
  const s = integerFromBytes(signature.subarray(1 + Q_LENGTH));
  if (r < 1n || r >= q || s < 1n || s >= q) return false;
  const w = inverseModulo(s, q);
  if (w === undefined) return false;
  const u1 = truncatedHash(rhash, message) * w % q;
  const u2 = r * w % q;
  return powerModulo(g, u1, p) * powerModulo(y, u2, p) % p % q === r;
}

/** Smallest T with which a number as large as `p` fits into 64 + 8 T octets. */
function smallestT(p: bigint): number {
  return Math.max(0, Math.ceil((bitLength(p) - 512) / 64));
}

function truncatedHash(rhash: Rhash, message: Uint8Array): bigint {
  return integerFromBytes(digest(rhash, message).subarray(0, Q_LENGTH));
}
