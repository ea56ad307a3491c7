/**
 * The ESP suites of the HIP registry and what a provider of them must do (RFC 7402 §5.1.2,
 * RFC 4303 §3.3.2, §3.4.4).
 *
 * Sealers and openers work in place on one packet, synchronously, and never throw for anything
 * that a packet holds. Every HIP SA has 64-bit extended sequence numbers (RFC 7402 §3.3.6): the
 * high word is an argument and takes part in the ICV or the AAD, but is never in the packet. There
 * are peers that leave it out of the ICV; `omitsHigh` is for them.
 */

import type { Random } from "../base/random.ts";
import type { EspKeys } from "./keymat.ts";

export type { EspKeys };

/** Sizes of one suite, all in octets. */
export interface EspSuiteParameters {
  /** Suite ID of ESP_TRANSFORM. */
  readonly id: number;
  readonly name: string;
  /** Without the salt; 0 where nothing is encrypted and no combined key exists. */
  readonly encryptionKeyLength: number;
  /** Trailing octets of the encryption key as drawn from KEYMAT (RFC 4106 §8.1). */
  readonly saltLength: number;
  /** 0 for combined-mode suites. */
  readonly authenticationKeyLength: number;
  readonly ivLength: number;
  /** Data, padding and the two trailer octets together are a multiple of this. */
  readonly padModulus: number;
  readonly icvLength: number;
}

function suite(
  id: number,
  name: string,
  encryptionKeyLength: number,
  saltLength: number,
  authenticationKeyLength: number,
  ivLength: number,
  padModulus: number,
  icvLength: number,
): [number, EspSuiteParameters] {
  return [id, {
    id,
    name,
    encryptionKeyLength,
    saltLength,
    authenticationKeyLength,
    ivLength,
    padModulus,
    icvLength,
  }];
}

/**
 * Every suite that is neither reserved nor deprecated, by ID. RFC 7402 names no key size for 10 to
 * 13 and 15; 128 bits is what we take.
 */
export const ESP_SUITES: ReadonlyMap<number, EspSuiteParameters> = new Map([
  suite(1, "AES-128-CBC with HMAC-SHA1", 16, 0, 20, 16, 16, 12), // RFC 3602, RFC 2404
  suite(7, "NULL with HMAC-SHA-256", 0, 0, 32, 0, 4, 16), // RFC 2410, RFC 4868
  suite(8, "AES-128-CBC with HMAC-SHA-256", 16, 0, 32, 16, 16, 16), // RFC 3602, RFC 4868
  suite(9, "AES-256-CBC with HMAC-SHA-256", 32, 0, 32, 16, 16, 16), // RFC 3602, RFC 4868
  suite(10, "AES-CCM-8", 16, 3, 0, 8, 4, 8), // RFC 4309
  suite(11, "AES-CCM-16", 16, 3, 0, 8, 4, 16), // RFC 4309
  suite(12, "AES-GCM with an 8-octet ICV", 16, 4, 0, 8, 4, 8), // RFC 4106
  suite(13, "AES-GCM with a 16-octet ICV", 16, 4, 0, 8, 4, 16), // RFC 4106
  suite(14, "AES-CMAC-96", 0, 0, 16, 0, 4, 12), // RFC 4494
  suite(15, "AES-GMAC", 16, 4, 0, 8, 4, 16), // RFC 4543
]);

/** Octets of SPI and sequence number, before the IV (RFC 4303 §2). */
export const ESP_HEADER_LENGTH = 8;

/**
 * The parameters of a suite that is known.
 *
 * @throws {RangeError} On a reserved, deprecated or unknown ID.
 */
export function espSuite(id: number): EspSuiteParameters {
  const parameters = ESP_SUITES.get(id);
  if (parameters === undefined) throw new RangeError(`Cannot use ESP suite ${id}: not known`);
  return parameters;
}

/** What sealers and openers have in common. */
export interface EspTransform {
  /**
   * Whether the ICV or the AAD leaves out the high sequence word, as RFC 4303 has it without
   * extended numbers. May be changed between packets; absent: false.
   */
  omitsHigh?: boolean;
  /** The keys, where they are stored, for another provider; borrowed, undefined once wiped. */
  storedKeys?(): EspKeys | undefined;
}

/** Seals the packets of one outbound SA. */
export interface EspSealer extends EspTransform {
  /**
   * Encrypts and authenticates in place. The caller has written SPI and low sequence word at
   * `start`, left room for the IV, and put data, padding and trailer after it up to `end`; there is
   * room for the ICV at `end`. IV and ICV are written here.
   *
   * @returns Whether the packet was sealed; if not, it must not be sent.
   */
  seal(
    bytes: Uint8Array,
    start: number,
    end: number,
    sequenceHigh: number,
    sequenceLow: number,
  ): boolean;
  /** Overwrites the keys. Nothing else may be called after it. */
  wipe(): void;
}

/** Opens the packets of one inbound SA. */
export interface EspOpener extends EspTransform {
  /**
   * Verifies and decrypts in place a whole packet, `start` at the SPI, `end` after the ICV, whose
   * length suits the suite. The octets of the ICV may be overwritten; what the packet holds when
   * this returns false is of no use to anybody.
   *
   * @returns Whether the ICV was right.
   */
  open(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean;
  /** Overwrites the keys. Nothing else may be called after it. */
  wipe(): void;
}

/** One implementation of the suites. */
export interface EspProvider {
  /** For logs and `hip status`. */
  readonly name: string;
  supports(suiteId: number): boolean;
  /** @throws {RangeError} When the suite is not supported or a key has not its exact length. */
  sealer(suiteId: number, keys: EspKeys, random: Random): EspSealer;
  /** @throws {RangeError} When the suite is not supported or a key has not its exact length. */
  opener(suiteId: number, keys: EspKeys): EspOpener;
}

/**
 * Refuses keys that have not the suite's lengths (RFC 4868 §2.1.1: "no other length").
 *
 * @throws {RangeError} With the lengths, never with the keys.
 */
export function checkEspKeys(parameters: EspSuiteParameters, keys: EspKeys): void {
  const encryptionLength = parameters.encryptionKeyLength + parameters.saltLength;
  if (keys.encryption.length !== encryptionLength) {
    throw new RangeError(
      `Cannot key ${parameters.name}: encryption key has ${keys.encryption.length} octets, ` +
        `need ${encryptionLength}`,
    );
  }
  if (keys.authentication.length !== parameters.authenticationKeyLength) {
    throw new RangeError(
      `Cannot key ${parameters.name}: authentication key has ${keys.authentication.length} ` +
        `octets, need ${parameters.authenticationKeyLength}`,
    );
  }
}

/** Initialisation vectors drawn at once, since one draw costs more than one packet. */
const POOLED_VECTORS = 64;

/** Random 16-octet IVs for CBC, each given out once (RFC 3602 §3). */
export class IvPool {
  readonly #random: Random;
  readonly #pool = new Uint8Array(POOLED_VECTORS * 16);
  #next = POOLED_VECTORS * 16;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Writes a fresh IV at `offset`. */
  writeTo(bytes: Uint8Array, offset: number): void {
    if (this.#next === this.#pool.length) {
      this.#random.fill(this.#pool);
      this.#next = 0;
    }
    for (let i = 0; i < 16; i++) {
      bytes[offset + i] = this.#pool[this.#next + i]!;
      // A value that was used must not be found again, not even by us.
      this.#pool[this.#next + i] = 0;
    }
    this.#next += 16;
  }

  /** Forgets the vectors not yet given out. */
  wipe(): void {
    this.#pool.fill(0);
    this.#next = this.#pool.length;
  }
}

/** Writes a 32-bit word in network byte order; plain stores, so that no view is needed. */
export function writeWord(bytes: Uint8Array, offset: number, word: number): void {
  bytes[offset] = word >>> 24;
  bytes[offset + 1] = (word >>> 16) & 0xff;
  bytes[offset + 2] = (word >>> 8) & 0xff;
  bytes[offset + 3] = word & 0xff;
}
