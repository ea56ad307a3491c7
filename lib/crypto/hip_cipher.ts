/**
 * HIP ciphers and what ENCRYPTED holds (RFC 7401 §5.2.8, §5.2.18; RFC 3602).
 *
 * AES-CBC is always padded as PKCS#5 says, by 1 to 16 octets; NULL has neither IV nor padding.
 */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { concatBytes } from "../base/bytes.ts";
import { HIP_CIPHER_ID } from "../wire/hip/code_points.ts";

/** HIP Cipher IDs (RFC 7401 §5.2.8). */
export const { NULL_ENCRYPT, AES_128_CBC, AES_256_CBC } = HIP_CIPHER_ID;

const AES_BLOCK = 16;
const TLV_ALIGNMENT = 8;

interface HipCipher {
  readonly keyLength: number;
  readonly ivLength: number;
  readonly name: "aes-128-cbc" | "aes-256-cbc" | undefined;
}

const CIPHERS = new Map<number, HipCipher>([
  [NULL_ENCRYPT, { keyLength: 0, ivLength: 0, name: undefined }],
  [AES_128_CBC, { keyLength: 16, ivLength: AES_BLOCK, name: "aes-128-cbc" }],
  [AES_256_CBC, { keyLength: 32, ivLength: AES_BLOCK, name: "aes-256-cbc" }],
]);

/** The Cipher IDs that are implemented, in numeric order. */
export const HIP_CIPHERS: readonly number[] = [...CIPHERS.keys()];

/** Octets of the key; throws a RangeError for an unknown cipher. */
export function cipherKeyLength(cipherId: number): number {
  return cipherOf(cipherId).keyLength;
}

/** Octets of the IV; throws a RangeError for an unknown cipher. */
export function cipherIvLength(cipherId: number): number {
  return cipherOf(cipherId).ivLength;
}

/**
 * What ENCRYPTED carries after its Reserved field: IV and ciphertext.
 *
 * @param iv `cipherIvLength(cipherId)` octets, fresh and unpredictable for each parameter.
 * @param plaintext Whole TLVs, each padded to a multiple of 8 octets.
 */
export function encryptParameterContents(
  cipherId: number,
  key: Uint8Array,
  iv: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const { name, ivLength } = cipherFor(cipherId, key);
  if (iv.length !== ivLength) {
    throw new RangeError(`Cannot encrypt: need an IV of ${ivLength} octets, have ${iv.length}`);
  }
  if (name === undefined) return plaintext.slice();
  const cipher = createCipheriv(name, key, iv);
  cipher.setAutoPadding(false);
  const padding = AES_BLOCK - plaintext.length % AES_BLOCK;
  const padded = concatBytes(plaintext, new Uint8Array(padding).fill(padding));
  return concatBytes(iv, cipher.update(padded), cipher.final());
}

/**
 * The TLVs inside ENCRYPTED. Call it only after HIP_MAC was found right.
 *
 * TLVs fill multiples of 8 octets, so correct padding has 8 or 16 octets. Whatever else stands
 * at the end stays: TLVs that were not padded at all, or a peer's filler.
 *
 * @param data IV and ciphertext.
 * @returns The plaintext, or undefined when the length cannot be right.
 */
export function decryptParameterContents(
  cipherId: number,
  key: Uint8Array,
  data: Uint8Array,
): Uint8Array | undefined {
  const { name, ivLength } = cipherFor(cipherId, key);
  if (name === undefined) return data.slice();
  const length = data.length - ivLength;
  if (length < AES_BLOCK || length % AES_BLOCK !== 0) return undefined;
  const decipher = createDecipheriv(name, key, data.subarray(0, ivLength));
  decipher.setAutoPadding(false);
  const plaintext = concatBytes(decipher.update(data.subarray(ivLength)), decipher.final());
  const padding = plaintext.at(-1)!;
  const isPadding = padding !== 0 && padding <= AES_BLOCK && padding % TLV_ALIGNMENT === 0 &&
    plaintext.subarray(-padding).every((octet) => octet === padding);
  return isPadding ? plaintext.subarray(0, plaintext.length - padding) : plaintext;
}

function cipherOf(cipherId: number): HipCipher {
  const cipher = CIPHERS.get(cipherId);
  if (cipher === undefined) throw new RangeError(`Cannot use HIP cipher ${cipherId}: unknown`);
  return cipher;
}

/** The cipher of a key; the runtime would end the process on a key of another length. */
function cipherFor(cipherId: number, key: Uint8Array): HipCipher {
  const cipher = cipherOf(cipherId);
  if (key.length === cipher.keyLength) return cipher;
  throw new RangeError(`Cannot use a key of ${key.length} octets: need ${cipher.keyLength}`);
}
