/**
 * The ESP suites on the runtime's own cryptography, for hosts without a usable libcrypto
 * (RFC 7402 §5.1.2; RFC 3602, 4106, 4309, 4494, 4543, 4868).
 *
 * Clear rather than fast: every packet makes cipher objects. CCM and CMAC are put together from
 * CBC and CTR, since the runtime has neither.
 */

import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { constantTimeEqual, wipe } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import {
  checkEspKeys,
  ESP_HEADER_LENGTH,
  ESP_SUITES,
  type EspKeys,
  type EspOpener,
  type EspProvider,
  type EspSealer,
  espSuite,
  type EspSuiteParameters,
  IvPool,
  writeWord,
} from "./esp_suite.ts";

/** SPI and the sequence number of 64 or of 32 bits, in AAD (RFC 4106 §5). */
const AAD_LENGTH = 12;
const SHORT_AAD_LENGTH = 8;

/** Every suite of `ESP_SUITES`. */
export const PORTABLE_PROVIDER: EspProvider = {
  name: "portable",
  supports: (suiteId) => ESP_SUITES.has(suiteId),
  sealer(suiteId, keys, random) {
    const suite = espSuite(suiteId);
    checkEspKeys(suite, keys);
    return new PortableCipher(suite, transformOf(suite, keys), random);
  },
  opener(suiteId, keys) {
    const suite = espSuite(suiteId);
    checkEspKeys(suite, keys);
    return new PortableCipher(suite, transformOf(suite, keys), undefined);
  },
};

/** A packet cut into what the suites work on; all are views of the packet but `aad`. */
interface Parts {
  /** SPI, high sequence word unless it is omitted, low sequence word. */
  readonly aad: Uint8Array;
  readonly iv: Uint8Array;
  readonly text: Uint8Array;
  /** From SPI to the end of the text. */
  readonly covered: Uint8Array;
  readonly sequenceHigh: Uint8Array;
}

/** One suite with its keys. */
interface Transform {
  /** Encrypts `text` in place and returns at least as many ICV octets as the suite sends. */
  seal(parts: Parts): Uint8Array;
  /** Decrypts `text` in place; false when `icv` is not the packet's. */
  open(parts: Parts, icv: Uint8Array): boolean;
  wipe(): void;
}

function transformOf(suite: EspSuiteParameters, keys: EspKeys): Transform {
  switch (suite.id) {
    case 10:
    case 11:
      return new CcmTransform(keys.encryption.slice(), suite.icvLength);
    case 12:
    case 13:
      return new GcmTransform(keys.encryption.slice(), suite.icvLength);
    case 14:
      return new CmacTransform(keys.authentication.slice(), suite.icvLength);
    case 15:
      return new GmacTransform(keys.encryption.slice());
    default:
      return new CbcHmacTransform(
        suite,
        keys.encryption.slice(),
        keys.authentication.slice(),
      );
  }
}

/** Cuts packets up for a transform; sealer and opener in one. */
class PortableCipher implements EspSealer, EspOpener {
  readonly #suite: EspSuiteParameters;
  readonly #transform: Transform;
  readonly #ivPool: IvPool | undefined;
  omitsHigh = false;

  constructor(suite: EspSuiteParameters, transform: Transform, random: Random | undefined) {
    this.#suite = suite;
    this.#transform = transform;
    if (random !== undefined && suite.ivLength === 16) this.#ivPool = new IvPool(random);
  }

  seal(
    bytes: Uint8Array,
    start: number,
    end: number,
    sequenceHigh: number,
    sequenceLow: number,
  ): boolean {
    const iv = start + ESP_HEADER_LENGTH;
    if (this.#ivPool !== undefined) {
      this.#ivPool.writeTo(bytes, iv);
    } else if (this.#suite.ivLength === 8) {
      // The sequence number is a counter that never repeats under one key (RFC 4106 §3.1).
      writeWord(bytes, iv, sequenceHigh);
      writeWord(bytes, iv + 4, sequenceLow);
    }
    const icv = this.#transform.seal(this.#cut(bytes, start, end, sequenceHigh));
    bytes.set(icv.subarray(0, this.#suite.icvLength), end);
    return true;
  }

  open(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    const textEnd = end - this.#suite.icvLength;
    const parts = this.#cut(bytes, start, textEnd, sequenceHigh);
    return this.#transform.open(parts, bytes.subarray(textEnd, end));
  }

  wipe(): void {
    this.#transform.wipe();
    this.#ivPool?.wipe();
  }

  #cut(bytes: Uint8Array, start: number, textEnd: number, sequenceHigh: number): Parts {
    const ivStart = start + ESP_HEADER_LENGTH;
    const textStart = ivStart + this.#suite.ivLength;
    const aad = new Uint8Array(this.omitsHigh ? SHORT_AAD_LENGTH : AAD_LENGTH);
    aad.set(bytes.subarray(start, start + 4));
    if (!this.omitsHigh) writeWord(aad, 4, sequenceHigh);
    aad.set(bytes.subarray(start + 4, start + 8), aad.length - 4);
    return {
      aad,
      iv: bytes.subarray(ivStart, textStart),
      text: bytes.subarray(textStart, textEnd),
      covered: bytes.subarray(start, textEnd),
      sequenceHigh: aad.subarray(4, aad.length - 4),
    };
  }
}

/** Suites 1, 7, 8, 9: encrypt, then HMAC over SPI to ciphertext and the high sequence word. */
class CbcHmacTransform implements Transform {
  readonly #cipher: string | undefined;
  readonly #hash: string;
  readonly #icvLength: number;
  readonly #encryptionKey: Uint8Array;
  readonly #authenticationKey: Uint8Array;

  constructor(suite: EspSuiteParameters, encryptionKey: Uint8Array, authenticationKey: Uint8Array) {
    const bits = suite.encryptionKeyLength * 8;
    this.#cipher = bits === 0 ? undefined : `aes-${bits}-cbc`;
    this.#hash = suite.id === 1 ? "sha1" : "sha256";
    this.#icvLength = suite.icvLength;
    this.#encryptionKey = encryptionKey;
    this.#authenticationKey = authenticationKey;
  }

  seal(parts: Parts): Uint8Array {
    if (this.#cipher !== undefined) {
      const cipher = createCipheriv(this.#cipher, this.#encryptionKey, parts.iv);
      cipher.setAutoPadding(false);
      parts.text.set(cipher.update(parts.text));
      cipher.final();
    }
    return this.#hmac(parts);
  }

  open(parts: Parts, icv: Uint8Array): boolean {
    if (!constantTimeEqual(this.#hmac(parts).subarray(0, this.#icvLength), icv)) return false;
    if (this.#cipher === undefined) return true;
    const decipher = createDecipheriv(this.#cipher, this.#encryptionKey, parts.iv);
    decipher.setAutoPadding(false);
    const head = decipher.update(parts.text);
    const tail = decipher.final();
    parts.text.set(head);
    parts.text.set(tail, head.length);
    return true;
  }

  #hmac(parts: Parts): Uint8Array {
    const hmac = createHmac(this.#hash, this.#authenticationKey);
    return hmac.update(parts.covered).update(parts.sequenceHigh).digest();
  }

  wipe(): void {
    wipe(this.#encryptionKey, this.#authenticationKey);
  }
}

/** Suites 12 and 13. `key` is a 16-octet key and a 4-octet salt. */
class GcmTransform implements Transform {
  readonly #key: Uint8Array;
  readonly #tagLength: number;

  constructor(key: Uint8Array, tagLength: number) {
    this.#key = key;
    this.#tagLength = tagLength;
  }

  seal(parts: Parts): Uint8Array {
    const cipher = createCipheriv("aes-128-gcm", this.#key.subarray(0, 16), this.#nonce(parts));
    cipher.setAAD(parts.aad);
    parts.text.set(cipher.update(parts.text));
    cipher.final();
    return cipher.getAuthTag();
  }

  open(parts: Parts, icv: Uint8Array): boolean {
    const options = { authTagLength: this.#tagLength };
    const decipher = createDecipheriv(
      "aes-128-gcm",
      this.#key.subarray(0, 16),
      this.#nonce(parts),
      options,
    );
    decipher.setAAD(parts.aad);
    decipher.setAuthTag(icv);
    const plain = decipher.update(parts.text);
    try {
      decipher.final();
    } catch {
      // The only way in which the runtime says that the tag is wrong.
      return false;
    }
    parts.text.set(plain);
    return true;
  }

  #nonce(parts: Parts): Uint8Array {
    return nonceOf(this.#key.subarray(16), parts.iv);
  }

  wipe(): void {
    wipe(this.#key);
  }
}

/** Suite 15: GCM with everything in the AAD, the IV included (RFC 4543 §3.3, Figure 4). */
class GmacTransform implements Transform {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  seal(parts: Parts): Uint8Array {
    const nonce = nonceOf(this.#key.subarray(16), parts.iv);
    const cipher = createCipheriv("aes-128-gcm", this.#key.subarray(0, 16), nonce);
    const ivStart = parts.aad.length;
    const aad = new Uint8Array(ivStart + parts.iv.length + parts.text.length);
    aad.set(parts.aad);
    aad.set(parts.iv, ivStart);
    aad.set(parts.text, ivStart + parts.iv.length);
    cipher.setAAD(aad);
    cipher.final();
    return cipher.getAuthTag();
  }

  open(parts: Parts, icv: Uint8Array): boolean {
    return constantTimeEqual(this.seal(parts), icv);
  }

  wipe(): void {
    wipe(this.#key);
  }
}

/** Suites 10 and 11: CCM with an 11-octet nonce and a 4-octet counter (RFC 4309 §4, RFC 3610). */
class CcmTransform implements Transform {
  readonly #key: Uint8Array;
  readonly #tagLength: number;

  constructor(key: Uint8Array, tagLength: number) {
    this.#key = key;
    this.#tagLength = tagLength;
  }

  seal(parts: Parts): Uint8Array {
    const mac = this.#cbcMac(parts);
    return this.#applyCounter(parts, mac);
  }

  open(parts: Parts, icv: Uint8Array): boolean {
    const sealed = new Uint8Array(16);
    sealed.set(icv);
    const mac = this.#applyCounter(parts, sealed).subarray(0, this.#tagLength);
    if (constantTimeEqual(this.#cbcMac(parts).subarray(0, this.#tagLength), mac)) return true;
    // What was deciphered must not get any further.
    parts.text.fill(0);
    return false;
  }

  /** Applies the key stream to `mac` (block 0) and, in place, to the text (blocks 1 and on). */
  #applyCounter(parts: Parts, mac: Uint8Array): Uint8Array {
    const firstCounter = new Uint8Array(16);
    firstCounter[0] = 3; // L - 1
    firstCounter.set(nonceOf(this.#key.subarray(16), parts.iv), 1);
    const cipher = createCipheriv("aes-128-ctr", this.#key.subarray(0, 16), firstCounter);
    const sealedMac = cipher.update(mac);
    parts.text.set(cipher.update(parts.text));
    // Nothing comes out of it, but without it the runtime keeps the cipher for ever.
    cipher.final();
    return sealedMac;
  }

  /** CBC-MAC over B_0, the AAD with its length, and the text, each padded to whole blocks. */
  #cbcMac(parts: Parts): Uint8Array {
    const blocks = new Uint8Array(32 + Math.ceil(parts.text.length / 16) * 16);
    blocks[0] = 0x40 | (((this.#tagLength - 2) / 2) << 3) | 3;
    blocks.set(nonceOf(this.#key.subarray(16), parts.iv), 1);
    writeWord(blocks, 12, parts.text.length);
    blocks[17] = parts.aad.length;
    blocks.set(parts.aad, 18);
    blocks.set(parts.text, 32);
    return lastCbcBlock(this.#key.subarray(0, 16), blocks);
  }

  wipe(): void {
    wipe(this.#key);
  }
}

/** Suite 14: AES-CMAC over SPI to payload and the high sequence word (RFC 4493, RFC 4494). */
class CmacTransform implements Transform {
  readonly #key: Uint8Array;
  readonly #icvLength: number;

  constructor(key: Uint8Array, icvLength: number) {
    this.#key = key;
    this.#icvLength = icvLength;
  }

  seal(parts: Parts): Uint8Array {
    const length = parts.covered.length + parts.sequenceHigh.length;
    const blocks = new Uint8Array(Math.ceil(length / 16) * 16);
    blocks.set(parts.covered);
    blocks.set(parts.sequenceHigh, parts.covered.length);
    let subkey = doubled(lastCbcBlock(this.#key, new Uint8Array(16)));
    if (length < blocks.length) {
      blocks[length] = 0x80;
      subkey = doubled(subkey);
    }
    for (let i = 0; i < 16; i++) blocks[blocks.length - 16 + i]! ^= subkey[i]!;
    return lastCbcBlock(this.#key, blocks);
  }

  open(parts: Parts, icv: Uint8Array): boolean {
    return constantTimeEqual(this.seal(parts).subarray(0, this.#icvLength), icv);
  }

  wipe(): void {
    wipe(this.#key);
  }
}

/** Salt, then the IV of the packet (RFC 4106 §4, RFC 4309 §4). */
function nonceOf(salt: Uint8Array, iv: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(salt.length + iv.length);
  nonce.set(salt);
  nonce.set(iv, salt.length);
  return nonce;
}

/** The last block of AES-128-CBC with a zero IV over whole blocks. */
function lastCbcBlock(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-cbc", key, new Uint8Array(16));
  cipher.setAutoPadding(false);
  const sealed = cipher.update(blocks);
  cipher.final();
  return sealed.subarray(sealed.length - 16);
}

/** Doubling in GF(2^128) as CMAC makes its subkeys (RFC 4493 §2.3). */
function doubled(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(16);
  for (let i = 0; i < 16; i++) result[i] = (block[i]! << 1) | ((block[i + 1] ?? 0) >>> 7);
  if (block[0]! & 0x80) result[15]! ^= 0x87;
  return result;
}
