/**
 * Unsigned integers between octets and `bigint`, and modular arithmetic on them. Not constant
 * time: secrets are blinded before they get here, or serve once.
 */

import type { Random } from "../base/random.ts";
import { randomBytes } from "../base/random.ts";
import { fromHex, toHex } from "../base/bytes.ts";

/** The big-endian integer that the octets spell; zero for none. */
export function integerFromBytes(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt("0x" + toHex(bytes));
}

/**
 * Big-endian octets of exactly `width`.
 *
 * @throws {RangeError} When the value does not fit.
 */
export function integerToBytes(value: bigint, width: number): Uint8Array {
  const hex = value.toString(16).padStart(2 * width, "0");
  if (value < 0n || hex.length > 2 * width) {
    throw new RangeError(`Cannot write an integer of ${bitLength(value)} bits in ${width} octets`);
  }
  return fromHex(hex);
}

/** Bits needed for the value; 0 for zero. */
export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

/** `base` to the power of `exponent`, modulo `modulus`; four bits of the exponent at a time. */
export function powerModulo(base: bigint, exponent: bigint, modulus: bigint): bigint {
  const powers = [1n % modulus];
  for (let i = 1; i < 16; i++) powers.push(powers[i - 1]! * base % modulus);
  let result = powers[0]!;
  for (const digit of exponent.toString(16)) {
    for (let i = 0; i < 4; i++) result = result * result % modulus;
    result = result * powers[parseInt(digit, 16)]! % modulus;
  }
  return result;
}

/** The inverse modulo `modulus`, or undefined when there is none. */
export function inverseModulo(value: bigint, modulus: bigint): bigint | undefined {
  let [r0, r1] = [modulus, ((value % modulus) + modulus) % modulus];
  let [t0, t1] = [0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [t0, t1] = [t1, t0 - quotient * t1];
  }
  if (r0 !== 1n) return undefined;
  return t0 < 0n ? t0 + modulus : t0;
}

/** A uniform integer from 1 to `limit` - 1, by 64 surplus bits. */
export function randomInteger(random: Random, limit: bigint): bigint {
  const octets = Math.ceil(bitLength(limit) / 8) + 8;
  return integerFromBytes(randomBytes(random, octets)) % (limit - 1n) + 1n;
}
