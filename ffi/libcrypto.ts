/**
 * The ESP suites on the system's libcrypto (OpenSSL 3), in place and without allocation per packet
 * (RFC 7402 §5.1.2).
 *
 * One cipher context and one MAC context per SA, keyed once; a packet costs the fewest EVP calls
 * that do it, since those and not the cipher are the cost. The library is optional; a library that
 * gives a wrong answer is a fatal error, not a reason to fall back.
 */

import { wipe } from "../lib/base/bytes.ts";
import type { Random } from "../lib/base/random.ts";
import {
  checkEspKeys,
  ESP_HEADER_LENGTH,
  type EspKeys,
  type EspOpener,
  type EspProvider,
  type EspSealer,
  espSuite,
  type EspSuiteParameters,
  IvPool,
  writeWord,
} from "../lib/crypto/esp_suite.ts";
import { checkProvider } from "./libcrypto_self_test.ts";
import {
  cString,
  fixedBytes,
  type LibcryptoSymbols,
  loadLibcrypto,
  octetParameter,
  type ParameterArray,
  pointerTo,
  stringParameter,
} from "./libcrypto_symbols.ts";
import { PointerCache } from "./pointer_cache.ts";

const SUPPORTED = new Set([1, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

/** EVP_CTRL_AEAD_SET_IVLEN and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const SET_IV_LENGTH = 0x9;
const SET_TAG = 0x11;

/** SPI and the sequence number of 64 or of 32 bits (RFC 4106 §5). */
const AAD_LENGTH = 12;
const SHORT_AAD_LENGTH = 8;

/** SHA-256 gives the longest MAC. */
const MAX_MAC_LENGTH = 32;

/** What all contexts of this thread share. */
interface Shared {
  readonly lib: LibcryptoSymbols;
  readonly pointers: PointerCache;
  /** Where libcrypto says how much it wrote; nobody reads it. */
  readonly written: Deno.PointerObject;
  /** Algorithms fetched so far, by name. */
  readonly algorithms: Map<string, Deno.PointerObject>;
  /** Keeps what the pointers point to. */
  readonly owned: readonly Uint8Array[];
}

/**
 * The provider on libcrypto; undefined where the system has none.
 *
 * @throws {Error} When the library gives a wrong answer to a known question.
 */
export function openLibcrypto(): EspProvider | undefined {
  const lib = loadLibcrypto();
  if (lib === undefined) return undefined;
  const written = fixedBytes(8);
  const shared: Shared = {
    lib,
    pointers: new PointerCache(),
    written: pointerTo(written),
    algorithms: new Map(),
    owned: [written],
  };
  const provider: EspProvider = {
    name: "libcrypto",
    supports: (suiteId) => SUPPORTED.has(suiteId),
    sealer: (suiteId, keys, random) => cipherFor(shared, suiteId, keys, random),
    opener: (suiteId, keys) => cipherFor(shared, suiteId, keys, undefined),
  };
  checkProvider(provider);
  return provider;
}

/** A sealer where `random` is given, else an opener. */
function cipherFor(
  shared: Shared,
  suiteId: number,
  keys: EspKeys,
  random: Random | undefined,
): EspSealer & EspOpener {
  if (!SUPPORTED.has(suiteId)) throw new RangeError(`Cannot use ESP suite ${suiteId}`);
  const suite = espSuite(suiteId);
  checkEspKeys(suite, keys);
  return suite.authenticationKeyLength === 0
    ? new CombinedCipher(shared, suite, keys.encryption, random !== undefined)
    : new SeparateCipher(shared, suite, keys, random);
}

/** Suites 10 to 13 and 15: CCM, GCM and GMAC (RFC 4309, RFC 4106, RFC 4543). */
class CombinedCipher implements EspSealer, EspOpener {
  readonly #shared: Shared;
  readonly #context: CipherContext;
  readonly #saltLength: number;
  readonly #icvLength: number;
  readonly #isCcm: boolean;
  readonly #isGmac: boolean;
  readonly #nonce: Uint8Array;
  readonly #noncePointer: Deno.PointerObject;
  readonly #aad = fixedBytes(AAD_LENGTH);
  readonly #aadPointer = pointerTo(this.#aad);
  readonly #tag = fixedBytes(16);
  readonly #tagParameter: ParameterArray;
  omitsHigh = false;

  constructor(shared: Shared, suite: EspSuiteParameters, key: Uint8Array, isSealer: boolean) {
    this.#shared = shared;
    this.#saltLength = suite.saltLength;
    this.#icvLength = suite.icvLength;
    this.#isCcm = suite.id === 10 || suite.id === 11;
    this.#isGmac = suite.id === 15;
    this.#nonce = fixedBytes(suite.saltLength + suite.ivLength);
    this.#nonce.set(key.subarray(suite.encryptionKeyLength));
    this.#noncePointer = pointerTo(this.#nonce);
    this.#tagParameter = octetParameter("tag", this.#tag, suite.icvLength);
    const name = this.#isCcm ? "AES-128-CCM" : "AES-128-GCM";
    this.#context = new CipherContext(shared, name, isSealer, (context) => {
      const { lib } = shared;
      check(lib.EVP_CIPHER_CTX_ctrl(context, SET_IV_LENGTH, this.#nonce.length, null));
      if (this.#isCcm) check(lib.EVP_CIPHER_CTX_ctrl(context, SET_TAG, suite.icvLength, null));
    }, key.subarray(0, suite.encryptionKeyLength));
  }

  seal(
    bytes: Uint8Array,
    start: number,
    end: number,
    sequenceHigh: number,
    sequenceLow: number,
  ): boolean {
    const iv = start + ESP_HEADER_LENGTH;
    // The sequence number is a counter that never repeats under one key (RFC 4106 §3.1).
    writeWord(bytes, iv, sequenceHigh);
    writeWord(bytes, iv + 4, sequenceLow);
    if (!this.#run(bytes, start, end, sequenceHigh, null)) return false;
    const { lib } = this.#shared;
    const parameter = this.#tagParameter.pointer;
    if (lib.EVP_CIPHER_CTX_get_params(this.#context.pointer, parameter) !== 1) return false;
    for (let i = 0; i < this.#icvLength; i++) bytes[end + i] = this.#tag[i]!;
    return true;
  }

  open(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    const textEnd = end - this.#icvLength;
    for (let i = 0; i < this.#icvLength; i++) this.#tag[i] = bytes[textEnd + i]!;
    if (this.#run(bytes, start, textEnd, sequenceHigh, this.#tagParameter.pointer)) return true;
    // What was deciphered must not get any further.
    bytes.fill(0, start + ESP_HEADER_LENGTH, textEnd);
    return false;
  }

  wipe(): void {
    this.#context.free();
    wipe(this.#nonce);
  }

  /** Nonce, AAD, text; `tag` is what to compare with, when opening. */
  #run(
    bytes: Uint8Array,
    start: number,
    textEnd: number,
    sequenceHigh: number,
    tag: Deno.PointerValue,
  ): boolean {
    const context = this.#context.pointer;
    if (context === null) return false;
    const { lib, pointers, written } = this.#shared;
    const nonce = this.#nonce;
    const aad = this.#aad;
    const iv = start + ESP_HEADER_LENGTH;
    for (let i = 0; i < 8; i++) nonce[this.#saltLength + i] = bytes[iv + i]!;
    const aadLength = this.omitsHigh ? SHORT_AAD_LENGTH : AAD_LENGTH;
    for (let i = 0; i < 4; i++) {
      aad[i] = bytes[start + i]!;
      aad[aadLength - 4 + i] = bytes[start + 4 + i]!;
    }
    if (!this.omitsHigh) writeWord(aad, 4, sequenceHigh);
    const direction = this.#context.direction;
    if (
      lib.EVP_CipherInit_ex2(context, null, null, this.#noncePointer, direction, tag) !== 1
    ) return false;
    const length = textEnd - iv - 8;
    // CCM must know the length before the AAD.
    if (this.#isCcm && lib.EVP_CipherUpdate(context, null, written, null, length) !== 1) {
      return false;
    }
    if (lib.EVP_CipherUpdate(context, null, written, this.#aadPointer, aadLength) !== 1) {
      return false;
    }
    if (this.#isGmac) {
      // The IV and the text are authenticated only (RFC 4543 §3.3, Figure 4).
      const rest = pointers.at(bytes, iv);
      if (lib.EVP_CipherUpdate(context, null, written, rest, length + 8) !== 1) return false;
    } else {
      const text = pointers.at(bytes, iv + 8);
      if (lib.EVP_CipherUpdate(context, text, written, text, length) !== 1) return false;
    }
    // CCM has judged the tag in the update already and has nothing left to say.
    return this.#isCcm || lib.EVP_CipherFinal_ex(context, this.#aadPointer, written) === 1;
  }
}

/** Suites 1, 7, 8, 9 and 14: AES-CBC or nothing, then a MAC over SPI to ciphertext and ESN. */
class SeparateCipher implements EspSealer, EspOpener {
  readonly #shared: Shared;
  readonly #cipher: CipherContext | undefined;
  readonly #mac: MacContext;
  readonly #ivLength: number;
  readonly #icvLength: number;
  readonly #ivPool: IvPool | undefined;
  readonly #received = new Uint8Array(MAX_MAC_LENGTH);
  omitsHigh = false;

  constructor(
    shared: Shared,
    suite: EspSuiteParameters,
    keys: EspKeys,
    random: Random | undefined,
  ) {
    this.#shared = shared;
    this.#ivLength = suite.ivLength;
    this.#icvLength = suite.icvLength;
    if (suite.encryptionKeyLength > 0) {
      const name = `AES-${suite.encryptionKeyLength * 8}-CBC`;
      const isSealer = random !== undefined;
      this.#cipher = new CipherContext(shared, name, isSealer, (context) => {
        check(shared.lib.EVP_CIPHER_CTX_set_padding(context, 0));
      }, keys.encryption);
      if (random !== undefined) this.#ivPool = new IvPool(random);
    }
    const parameter = suite.id === 14
      ? stringParameter("cipher", "AES-128-CBC")
      : stringParameter("digest", suite.id === 1 ? "SHA1" : "SHA256");
    const name = suite.id === 14 ? "CMAC" : "HMAC";
    this.#mac = new MacContext(shared, name, parameter, keys.authentication);
  }

  seal(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    if (this.#cipher !== undefined) {
      this.#ivPool!.writeTo(bytes, start + ESP_HEADER_LENGTH);
      if (!this.#crypt(this.#cipher, bytes, start, end)) return false;
    }
    if (!this.#authenticate(bytes, start, end, sequenceHigh)) return false;
    for (let i = 0; i < this.#icvLength; i++) bytes[end + i] = this.#mac.result[i]!;
    return true;
  }

  open(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    const textEnd = end - this.#icvLength;
    for (let i = 0; i < this.#icvLength; i++) this.#received[i] = bytes[textEnd + i]!;
    if (!this.#authenticate(bytes, start, textEnd, sequenceHigh)) return false;
    let difference = 0;
    for (let i = 0; i < this.#icvLength; i++) {
      difference |= this.#received[i]! ^ this.#mac.result[i]!;
    }
    if (difference !== 0) return false;
    return this.#cipher === undefined || this.#crypt(this.#cipher, bytes, start, textEnd);
  }

  wipe(): void {
    this.#cipher?.free();
    this.#mac.free();
    this.#ivPool?.wipe();
  }

  /** The high word is not sent: it stands where the ICV belongs (RFC 4303 §3.3.2.1). */
  #authenticate(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    if (this.omitsHigh) return this.#mac.compute(bytes, start, end - start);
    writeWord(bytes, end, sequenceHigh);
    return this.#mac.compute(bytes, start, end + 4 - start);
  }

  /** Whole blocks without padding come out of one update; there is nothing final to ask for. */
  #crypt(cipher: CipherContext, bytes: Uint8Array, start: number, textEnd: number): boolean {
    const { lib, pointers, written } = this.#shared;
    const context = cipher.pointer;
    if (context === null) return false;
    const iv = start + ESP_HEADER_LENGTH;
    const ivPointer = pointers.at(bytes, iv);
    if (
      lib.EVP_CipherInit_ex2(context, null, null, ivPointer, cipher.direction, null) !== 1
    ) return false;
    const text = pointers.at(bytes, iv + this.#ivLength);
    const length = textEnd - iv - this.#ivLength;
    return lib.EVP_CipherUpdate(context, text, written, text, length) === 1;
  }
}

/** An EVP_CIPHER_CTX with its key. */
class CipherContext {
  /** 1 encrypts, 0 decrypts: the `enc` argument. */
  readonly direction: number;
  readonly #lib: LibcryptoSymbols;
  #pointer: Deno.PointerValue;

  /** @param configure Called between choosing the algorithm and setting the key. */
  constructor(
    shared: Shared,
    algorithm: string,
    isSealer: boolean,
    configure: (context: Deno.PointerObject) => void,
    key: Uint8Array,
  ) {
    const { lib } = shared;
    this.#lib = lib;
    this.direction = isSealer ? 1 : 0;
    const fetched = fetch(shared, algorithm, "EVP_CIPHER_fetch");
    const context = present(lib.EVP_CIPHER_CTX_new());
    this.#pointer = context;
    const copy = fixedBytes(key.length);
    copy.set(key);
    const { direction } = this;
    check(lib.EVP_CipherInit_ex2(context, fetched, null, null, direction, null));
    configure(context);
    check(lib.EVP_CipherInit_ex2(context, null, pointerTo(copy), null, direction, null));
    wipe(copy);
  }

  /** Null once freed. */
  get pointer(): Deno.PointerValue {
    return this.#pointer;
  }

  /** Gives the context back; libcrypto overwrites the key. */
  free(): void {
    if (this.#pointer !== null) this.#lib.EVP_CIPHER_CTX_free(this.#pointer);
    this.#pointer = null;
  }
}

/** An EVP_MAC_CTX with its key. */
class MacContext {
  /** What `compute` wrote last; the MAC's own length counts from the start. */
  readonly result = fixedBytes(MAX_MAC_LENGTH);
  readonly #shared: Shared;
  readonly #resultPointer = pointerTo(this.result);
  readonly #resultLength: Deno.PointerValue;
  #pointer: Deno.PointerValue;

  constructor(shared: Shared, algorithm: string, parameter: ParameterArray, key: Uint8Array) {
    const { lib, pointers } = shared;
    this.#shared = shared;
    this.#resultLength = pointers.length(MAX_MAC_LENGTH);
    const context = present(lib.EVP_MAC_CTX_new(fetch(shared, algorithm, "EVP_MAC_fetch")));
    this.#pointer = context;
    const copy = fixedBytes(key.length);
    copy.set(key);
    check(
      lib.EVP_MAC_init(context, pointerTo(copy), pointers.length(key.length), parameter.pointer),
    );
    wipe(copy);
  }

  /** The MAC of `length` octets from `start` on, into `result`. */
  compute(bytes: Uint8Array, start: number, length: number): boolean {
    const context = this.#pointer;
    if (context === null) return false;
    const { lib, pointers, written } = this.#shared;
    return lib.EVP_MAC_init(context, null, null, null) === 1 &&
      lib.EVP_MAC_update(context, pointers.at(bytes, start), pointers.length(length)) === 1 &&
      lib.EVP_MAC_final(context, this.#resultPointer, written, this.#resultLength) === 1;
  }

  /** Gives the context back; libcrypto overwrites the key. */
  free(): void {
    if (this.#pointer !== null) this.#shared.lib.EVP_MAC_CTX_free(this.#pointer);
    this.#pointer = null;
  }
}

/** An algorithm by name, fetched once for the life of the program. */
function fetch(
  shared: Shared,
  name: string,
  by: "EVP_CIPHER_fetch" | "EVP_MAC_fetch",
): Deno.PointerObject {
  const known = shared.algorithms.get(name);
  if (known !== undefined) return known;
  const fetched = present(shared.lib[by](null, cString(name), null));
  shared.algorithms.set(name, fetched);
  return fetched;
}

/** @throws {Error} When libcrypto refused something that it cannot refuse. */
function check(result: number): void {
  if (result !== 1) throw new Error("Cannot key an ESP suite: libcrypto refused");
}

function present(pointer: Deno.PointerValue): Deno.PointerObject {
  if (pointer === null) throw new Error("Cannot key an ESP suite: libcrypto has no such algorithm");
  return pointer;
}
