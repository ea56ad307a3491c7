/**
 * What a library does not ask of an Ed25519 public key: that it is encoded as RFC 8032 §5.1.3 wants
 * it and is no point of small order, under which one signature fits many messages. Whether it is a
 * point of the curve at all shows when a signature is verified.
 */

import { bytesEqual, fromHex } from "../base/bytes.ts";

const KEY_LENGTH = 32;

/** p = 2^255 - 19, little-endian as keys are. */
const PRIME = fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");

/**
 * The y of the eight points whose order divides 8: 0, 1, -1, and two of order 8. Each stands for
 * both signs of x.
 */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(fromHex);

/** Whether 32 octets may serve as a key. */
export function isUsableEd25519Key(key: Uint8Array): boolean {
  if (key.length !== KEY_LENGTH) return false;
  const y = key.slice();
  y[KEY_LENGTH - 1]! &= 0x7f;
  return isBelowPrime(y) && !SMALL_ORDER.some((known) => bytesEqual(known, y));
}

function isBelowPrime(y: Uint8Array): boolean {
  for (let i = KEY_LENGTH - 1; i >= 0; i--) {
    if (y[i] !== PRIME[i]) return y[i]! < PRIME[i]!;
  }
  return false;
}
