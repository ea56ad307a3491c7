/**
 * ECDSA signatures between r | s at fixed width, as HIP has them (RFC 7401 §5.2.9), and the DER of
 * RFC 3279 §2.2.3, as libraries have them.
 */

import { concatBytes } from "../base/bytes.ts";
import { DER_INTEGER, DER_SEQUENCE, derElement, derInteger, DerReader } from "./der.ts";

/** DER of r | s, which are halves of `signature`. */
export function ecdsaToDer(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2;
  return derElement(
    DER_SEQUENCE,
    derInteger(signature.subarray(0, half)),
    derInteger(signature.subarray(half)),
  );
}

/**
 * r | s out of the DER that a library of ours made.
 *
 * @param width Octets of each number.
 * @throws {SyntaxError} When it is not DER or a number is longer.
 */
export function ecdsaFromDer(der: Uint8Array, width: number): Uint8Array {
  const numbers = new DerReader(der).sequence();
  return concatBytes(fixedWidth(numbers, width), fixedWidth(numbers, width));
}

function fixedWidth(numbers: DerReader, width: number): Uint8Array {
  const octets = numbers.element(DER_INTEGER);
  const surplus = octets.length - width;
  if (surplus > 1 || (surplus === 1 && octets[0] !== 0)) {
    throw new SyntaxError(`Cannot read an ECDSA signature: a number exceeds ${width} octets`);
  }
  const fixed = new Uint8Array(width);
  fixed.set(octets.subarray(Math.max(0, surplus)), Math.max(0, -surplus));
  return fixed;
}
