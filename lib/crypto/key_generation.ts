/** Key pairs whose making is left to the runtime and its own generator: RSA and DSA. */

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { MAX_RSA_BITS, MIN_RSA_BITS } from "./rsa.ts";

/** The only sizes that RFC 2536 and the signature form of RFC 7401 §5.2.14 can carry. */
export const DSA_BITS = 1024;
const DSA_Q_BITS = 160;

/**
 * A fresh RSA key as PKCS#8 DER.
 *
 * @throws {RangeError} When `bits` is not a multiple of 8 within the limits of `rsa.ts`.
 */
export function generateRsaKey(bits: number): Uint8Array {
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS || bits % 8 !== 0) {
    throw new RangeError(`Cannot make an RSA key of ${bits} bits`);
  }
  return pkcs8(generateKeyPairSync("rsa", { modulusLength: bits }).privateKey);
}

/** A fresh DSA key as PKCS#8 DER. */
export function generateDsaKey(): Uint8Array {
  const sizes = { modulusLength: DSA_BITS, divisorLength: DSA_Q_BITS };
  return pkcs8(generateKeyPairSync("dsa", sizes).privateKey);
}

function pkcs8(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: "der", type: "pkcs8" }));
}
