/**
 * ESP ciphers that exist only while packets pass: an SA keeps its keys, 64 octets in a slab, and the
 * provider's cipher, which takes kilobytes, is made for the first packet. Of those that were made a
 * bounded number lives; the ones that rested longest go and come back when they are needed.
 *
 * A cipher has no state but its keys: sequence numbers belong to the SA, and what IVs there are come
 * from them or from chance. So nothing is lost with it.
 */

import { OctetSlab } from "../base/octet_slab.ts";
import type { Random } from "../base/random.ts";
import {
  checkEspKeys,
  type EspKeys,
  type EspOpener,
  type EspProvider,
  type EspSealer,
  espSuite,
} from "./esp_suite.ts";

/** Octets of the longest keys: AES-256 and HMAC-SHA-256. */
const LONGEST_KEYS = 64;

/** Ciphers that live at most; each direction of an SA is one. */
const DEFAULT_LIMIT = 4096;

/** The provider behind a pool of its ciphers. */
export class EspCipherPool implements EspProvider {
  readonly #provider: EspProvider;
  readonly #limit: number;
  readonly #keys = new OctetSlab(LONGEST_KEYS);
  /** Those whose cipher lives, in a circle. */
  readonly #living: PooledCipher<EspSealer | EspOpener>[] = [];
  /** Where in the circle the next one to go is looked for. */
  #hand = 0;

  /** @param limit Ciphers that live at most, at least 1. */
  constructor(provider: EspProvider, limit: number = DEFAULT_LIMIT) {
    this.#provider = provider;
    this.#limit = limit;
  }

  get name(): string {
    return this.#provider.name;
  }

  /** Ciphers that live. */
  get livingCount(): number {
    return this.#living.length;
  }

  /** SAs whose keys are stored. */
  get storedCount(): number {
    return this.#keys.size;
  }

  supports(suiteId: number): boolean {
    return this.#provider.supports(suiteId);
  }

  sealer(suiteId: number, keys: EspKeys, random: Random): EspSealer {
    return new PooledSealer(this, suiteId, this.#store(suiteId, keys), random);
  }

  opener(suiteId: number, keys: EspKeys): EspOpener {
    return new PooledOpener(this, suiteId, this.#store(suiteId, keys));
  }

  /** What was stored; borrowed. */
  keysOf({ suiteId, slot }: { readonly suiteId: number; readonly slot: number }): EspKeys {
    const { encryptionKeyLength, saltLength, authenticationKeyLength } = espSuite(suiteId);
    const split = encryptionKeyLength + saltLength;
    return {
      encryption: this.#keys.view(slot, 0, split),
      authentication: this.#keys.view(slot, split, split + authenticationKeyLength),
    };
  }

  /** The provider's cipher for keys that were stored; from now on its owner is among the living. */
  enliven<T extends EspSealer | EspOpener>(owner: PooledCipher<T>): T {
    const cipher = owner.make(this.#provider, this.keysOf(owner));
    if (this.#living.length < this.#limit) this.#living.push(owner);
    else this.#living[this.#replaced()] = owner;
    return cipher;
  }

  /** Overwrites the keys of a cipher that will not be used again. */
  forget(owner: PooledCipher<EspSealer | EspOpener>): void {
    this.#keys.give(owner.slot);
    const at = owner.isAlive ? this.#living.indexOf(owner) : -1;
    if (at < 0) return;
    const last = this.#living.pop()!;
    if (last !== owner) this.#living[at] = last;
  }

  /** The place of one that was not used since the hand last passed it; its cipher is gone. */
  #replaced(): number {
    for (;;) {
      this.#hand = (this.#hand + 1) % this.#living.length;
      const candidate = this.#living[this.#hand]!;
      if (!candidate.wasUsed) {
        candidate.rest();
        return this.#hand;
      }
      candidate.wasUsed = false;
    }
  }

  #store(suiteId: number, keys: EspKeys): number {
    if (!this.supports(suiteId)) throw new RangeError(`Cannot use ESP suite ${suiteId}`);
    checkEspKeys(espSuite(suiteId), keys);
    const slot = this.#keys.take();
    const view = this.#keys.view(slot);
    view.set(keys.encryption);
    view.set(keys.authentication, keys.encryption.length);
    return slot;
  }
}

/** What stands for a cipher in an SA. */
abstract class PooledCipher<T extends EspSealer | EspOpener> {
  readonly suiteId: number;
  /** Where the keys are. */
  readonly slot: number;
  omitsHigh = false;
  /** Since the pool last looked. */
  wasUsed = false;
  readonly #pool: EspCipherPool;
  #cipher: T | undefined;
  #isWiped = false;

  constructor(pool: EspCipherPool, suiteId: number, slot: number) {
    this.#pool = pool;
    this.suiteId = suiteId;
    this.slot = slot;
  }

  /** The provider's cipher with these keys, which are copied. */
  abstract make(provider: EspProvider, keys: EspKeys): T;

  storedKeys(): EspKeys | undefined {
    return this.#isWiped ? undefined : this.#pool.keysOf(this);
  }

  get isAlive(): boolean {
    return this.#cipher !== undefined;
  }

  /** The cipher for one packet; undefined once wiped. */
  protected get cipher(): T | undefined {
    if (this.#isWiped) return undefined;
    this.wasUsed = true;
    const cipher = this.#cipher ??= this.#pool.enliven(this);
    cipher.omitsHigh = this.omitsHigh;
    return cipher;
  }

  /** Gives up the cipher until it is needed again. */
  rest(): void {
    this.#cipher?.wipe();
    this.#cipher = undefined;
  }

  wipe(): void {
    if (this.#isWiped) return;
    this.#isWiped = true;
    this.#pool.forget(this);
    this.rest();
  }
}

class PooledSealer extends PooledCipher<EspSealer> implements EspSealer {
  readonly #random: Random;

  constructor(pool: EspCipherPool, suiteId: number, slot: number, random: Random) {
    super(pool, suiteId, slot);
    this.#random = random;
  }

  make(provider: EspProvider, keys: EspKeys): EspSealer {
    return provider.sealer(this.suiteId, keys, this.#random);
  }

  seal(
    bytes: Uint8Array,
    start: number,
    end: number,
    sequenceHigh: number,
    sequenceLow: number,
  ): boolean {
    return this.cipher?.seal(bytes, start, end, sequenceHigh, sequenceLow) ?? false;
  }
}

class PooledOpener extends PooledCipher<EspOpener> implements EspOpener {
  make(provider: EspProvider, keys: EspKeys): EspOpener {
    return provider.opener(this.suiteId, keys);
  }

  open(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    return this.cipher?.open(bytes, start, end, sequenceHigh) ?? false;
  }
}
