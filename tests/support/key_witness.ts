/**
 * Sees every key that an engine comes to hold, without the engine's help: what jobs are given and
 * give back, what ESP ciphers are keyed with, and every `slice` of any of these. The arrays are of a
 * class whose copies register themselves, so that a copy which is forgotten is found.
 *
 * Not seen: the keys of prepared R1s and of the host itself, which outlive associations.
 */

import { isAllZero } from "../../lib/base/bytes.ts";
import type { EspKeys, EspProvider } from "../../lib/crypto/esp_suite.ts";
import type { DhKeyPair } from "../../lib/crypto/dh_group.ts";
import type { Keymat } from "../../lib/crypto/keymat.ts";
import type { ExchangeSecrets, Job, JobResult } from "../../lib/hip/jobs.ts";

/** What belongs together: the secrets of one exchange, one job, one cipher. */
export type KeyKind = "exchange" | "rekey" | "job" | "cipher";

/** Keys that came together, and go together. */
class KeySet {
  readonly keys: Uint8Array[] = [];

  constructor(readonly kind: KeyKind, readonly label: string) {}

  get isLive(): boolean {
    return this.keys.some((key) => !isAllZero(key));
  }
}

/** To which set copies of an array belong, by its memory. */
const setOf = new WeakMap<ArrayBufferLike, KeySet>();

class WatchedKey extends Uint8Array {
  override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    const copy = super.slice(start, end);
    const set = setOf.get(this.buffer);
    if (set !== undefined) watch(set, copy);
    return copy;
  }
}

function watch(set: KeySet, key: Uint8Array): void {
  setOf.set(key.buffer, set);
  set.keys.push(key);
}

export class KeyWitness {
  /** Every object that holds keys and was given to the engine, for who wants to know of its end. */
  readonly holders: WeakRef<object>[] = [];
  #sets: KeySet[] = [];

  /** The sets of a kind of which some octet is not zero. */
  live(kind: KeyKind): number {
    return this.#remaining().filter((set) => set.kind === kind).length;
  }

  /** What is not overwritten, in words; empty when no key is left. */
  remaining(): string[] {
    return this.#remaining().map(({ kind, label }) => `${kind}: ${label}`);
  }

  /** Notes the secrets that the engine puts into a job. */
  job(job: Job): void {
    const set = this.#open("job", job.kind);
    if ("seed" in job) set.keys.push(job.seed);
    if (job.kind === "accept-i2") set.keys.push(job.dhPrivateKey);
    if (job.kind === "agree-dh") set.keys.push(job.keyPair.privateKey);
  }

  /** The same result, its secrets in arrays that are watched. */
  result(result: JobResult): JobResult {
    switch (result.kind) {
      case "build-i2":
      case "accept-i2":
        return { ...result, ...this.#secrets(this.#open("exchange", result.kind), result) };
      case "generate-dh": {
        const set = this.#open("rekey", result.kind);
        return { ...result, keyPair: this.#keyPair(set, result.keyPair) };
      }
      case "agree-dh": {
        const set = this.#open("rekey", result.kind);
        return { ...result, keymat: this.#keymat(set, result.keymat) };
      }
      default:
        return result;
    }
  }

  /** The same provider, keyed with arrays that are watched; `wipe` has to be called too. */
  provider(inner: EspProvider): EspProvider {
    const watched = <T extends { wipe(): void }>(
      name: string,
      keys: EspKeys,
      make: (keys: EspKeys) => T,
    ): T => {
      const set = this.#open("cipher", name);
      set.keys.push(keys.encryption, keys.authentication);
      const [encryption, authentication] = [
        this.#watched(set, keys.encryption),
        this.#watched(set, keys.authentication),
      ];
      const cipher = make({ encryption, authentication });
      // These two are ours; what the cipher made of them is its own.
      encryption.fill(0);
      authentication.fill(0);
      const isKeyed = Uint8Array.of(1);
      set.keys.push(isKeyed);
      const wipe = cipher.wipe.bind(cipher);
      cipher.wipe = () => {
        isKeyed.fill(0);
        wipe();
      };
      this.holders.push(new WeakRef(cipher));
      return cipher;
    };
    return {
      name: inner.name,
      supports: (suiteId) => inner.supports(suiteId),
      sealer: (suiteId, keys, random) =>
        watched("sealer", keys, (own) => inner.sealer(suiteId, own, random)),
      opener: (suiteId, keys) => watched("opener", keys, (own) => inner.opener(suiteId, own)),
    };
  }

  #secrets(
    set: KeySet,
    secrets: ExchangeSecrets,
  ): Pick<ExchangeSecrets, "keymat" | "hipKeys" | "dhKeyPair"> {
    const { encryptionIn, encryptionOut, integrityIn, integrityOut } = secrets.hipKeys;
    const hipKeys = {
      encryptionIn: this.#watched(set, encryptionIn),
      encryptionOut: this.#watched(set, encryptionOut),
      integrityIn: this.#watched(set, integrityIn),
      integrityOut: this.#watched(set, integrityOut),
    };
    this.holders.push(new WeakRef(hipKeys));
    return {
      hipKeys,
      keymat: this.#keymat(set, secrets.keymat),
      dhKeyPair: this.#keyPair(set, secrets.dhKeyPair),
    };
  }

  #keymat(set: KeySet, keymat: Keymat): Keymat {
    const watched = { ...keymat, prk: this.#watched(set, keymat.prk) };
    this.holders.push(new WeakRef(watched));
    return watched;
  }

  #keyPair(set: KeySet, keyPair: DhKeyPair): DhKeyPair {
    const watched = { ...keyPair, privateKey: this.#watched(set, keyPair.privateKey) };
    this.holders.push(new WeakRef(watched));
    return watched;
  }

  #watched(set: KeySet, octets: Uint8Array): Uint8Array {
    const key = new WatchedKey(octets);
    watch(set, key);
    return key;
  }

  #open(kind: KeyKind, label: string): KeySet {
    const set = new KeySet(kind, label);
    this.#sets.push(set);
    return set;
  }

  /** Sets that are dead stay dead, so that they need not be looked at again. */
  #remaining(): KeySet[] {
    this.#sets = this.#sets.filter((set) => set.isLive);
    return this.#sets;
  }
}
