/**
 * Sees every key that an engine comes to hold, without the engine's help: what jobs are given and
 * give back, what ESP ciphers are keyed with, and every copy that `slice` or `set` makes of any of
 * these, wherever. A copy that is forgotten is found.
 *
 * For this the two methods are wrapped while the module is loaded; they do what they always do. Not
 * seen: the keys of prepared R1s and of the host itself, which outlive associations.
 */

import { Buffer } from "node:buffer";
import { isAllZero } from "../../lib/base/bytes.ts";
import type { EspKeys, EspProvider } from "../../lib/crypto/esp_suite.ts";
import type { ExchangeSecrets, Job, JobResult } from "../../lib/hip/jobs.ts";

/** What belongs together: the secrets of one exchange, one rekey, one job, one cipher. */
export type KeyKind = "exchange" | "rekey" | "job" | "cipher";

/** Keys that came together, and go together, with all their copies. */
class KeySet {
  readonly keys = new Set<Uint8Array>();
  /** The memory of all keys there have been. */
  readonly memory: WeakRef<ArrayBufferLike>[] = [];

  constructor(readonly kind: KeyKind, readonly label: string) {}

  get isLive(): boolean {
    for (const key of this.keys) if (!isAllZero(key)) return true;
    return false;
  }
}

/** A stretch of memory that holds a key. */
interface Place {
  readonly key: Uint8Array;
  readonly set: KeySet;
}

const places = new WeakMap<ArrayBufferLike, Place[]>();

function overlaps(key: Uint8Array, { byteOffset, byteLength }: Uint8Array): boolean {
  return key.byteOffset < byteOffset + byteLength && byteOffset < key.byteOffset + key.byteLength;
}

/** Copies of fewer octets are salts on their way into a nonce, which every packet has one of. */
const SHORTEST_KEY = 8;

function placeIn(octets: Uint8Array): Place | undefined {
  if (octets.length < SHORTEST_KEY) return undefined;
  return places.get(octets.buffer)?.find(({ key }) => overlaps(key, octets));
}

/** From now on the octets are a key of the set, and of no other. */
function watch(set: KeySet, key: Uint8Array): void {
  const others = places.get(key.buffer) ?? [];
  for (const other of others) if (overlaps(other.key, key)) other.set.keys.delete(other.key);
  places.set(key.buffer, [...others.filter((other) => !overlaps(other.key, key)), { key, set }]);
  set.keys.add(key);
  set.memory.push(new WeakRef(key.buffer));
}

const { slice, set: write } = Uint8Array.prototype;

Uint8Array.prototype.slice = function (this: Uint8Array, start?: number, end?: number) {
  const copy = slice.call(this, start, end);
  if (!places.has(this.buffer)) return copy;
  const source = placeIn(this.subarray(start, end));
  if (source !== undefined) watch(source.set, copy);
  return copy;
};

Uint8Array.prototype.set = function (this: Uint8Array, from: ArrayLike<number>, offset = 0) {
  if (places.has(this.buffer)) forgetWiped(this.subarray(offset, offset + from.length));
  write.call(this, from, offset);
  if (!(from instanceof Uint8Array) || !places.has(from.buffer)) return;
  // Of the runtime's own HMAC, which blends a key with its pad.
  if (this instanceof Buffer) return;
  const source = placeIn(from);
  if (source !== undefined) watch(source.set, this.subarray(offset, offset + from.length));
};

/** What was overwritten with zeros and is used for something else now is no key any more. */
function forgetWiped(octets: Uint8Array): void {
  const here = places.get(octets.buffer)!;
  const isGone = ({ key }: Place) => overlaps(key, octets) && isAllZero(key);
  for (const place of here.filter(isGone)) place.set.keys.delete(place.key);
  places.set(octets.buffer, here.filter((place) => !isGone(place)));
}

export class KeyWitness {
  #sets: KeySet[] = [];
  readonly #all: KeySet[] = [];

  /** The sets of a kind of which some octet is not zero. */
  live(kind: KeyKind): number {
    return this.#remaining().filter((set) => set.kind === kind).length;
  }

  /** What is not overwritten, in words; empty when no key is left. */
  remaining(): string[] {
    return this.#remaining().map(({ kind, label }) => `${kind}: ${label}`);
  }

  /** Lets go of all keys. @returns Their memory, which is collected once nobody else has it. */
  release(): WeakRef<ArrayBufferLike>[] {
    this.#sets = [];
    return this.#all.splice(0).flatMap(({ keys, memory }) => {
      keys.clear();
      return memory;
    });
  }

  /** Notes the secrets that the engine has put into a job. */
  job(job: Job): void {
    if (job.kind === "build-r1") return;
    const set = this.#open("job", job.kind);
    if ("seed" in job) watch(set, job.seed);
    switch (job.kind) {
      case "accept-i2":
        watch(set, job.dhPrivateKey);
        break;
      case "agree-dh":
        watch(set, job.keyPair.privateKey);
        break;
      case "verify-r2":
        watch(set, job.integrityKey);
        break;
      case "sign-packet":
        if (job.mac !== undefined) watch(set, job.mac.key);
    }
  }

  /** Notes the secrets of a result before the engine has it. @returns The same result. */
  result(result: JobResult): JobResult {
    switch (result.kind) {
      case "build-i2":
      case "accept-i2":
        this.#noteSecrets(this.#open("exchange", result.kind), result);
        break;
      case "generate-dh":
        watch(this.#open("rekey", result.kind), result.keyPair.privateKey);
        break;
      case "agree-dh":
        watch(this.#open("rekey", result.kind), result.keymat.prk);
    }
    return result;
  }

  /** The same provider; every cipher is to be wiped, and the keys that it was given. */
  provider(inner: EspProvider): EspProvider {
    const watched = <T extends { wipe(): void }>(
      label: string,
      keys: EspKeys,
      make: () => T,
    ): T => {
      const set = this.#open("cipher", label);
      // What the cipher copies from here is its own.
      watch(set, keys.encryption);
      watch(set, keys.authentication);
      // Stands for what an implementation keeps out of sight.
      const isKeyed = Uint8Array.of(1);
      set.keys.add(isKeyed);
      const cipher = make();
      const wipe = cipher.wipe.bind(cipher);
      cipher.wipe = () => {
        isKeyed.fill(0);
        wipe();
      };
      return cipher;
    };
    return {
      name: inner.name,
      supports: (suiteId) => inner.supports(suiteId),
      sealer: (suiteId, keys, random) =>
        watched("sealer", keys, () => inner.sealer(suiteId, keys, random)),
      opener: (suiteId, keys) => watched("opener", keys, () => inner.opener(suiteId, keys)),
    };
  }

  #noteSecrets(set: KeySet, { keymat, hipKeys, dhKeyPair }: ExchangeSecrets): void {
    const { encryptionIn, encryptionOut, integrityIn, integrityOut } = hipKeys;
    const keys = [keymat.prk, encryptionIn, encryptionOut, integrityIn, integrityOut];
    for (const key of [...keys, dhKeyPair.privateKey]) watch(set, key);
  }

  #open(kind: KeyKind, label: string): KeySet {
    const set = new KeySet(kind, label);
    this.#sets.push(set);
    this.#all.push(set);
    return set;
  }

  /** Sets that are dead stay dead, so that they need not be looked at again. */
  #remaining(): KeySet[] {
    this.#sets = this.#sets.filter((set) => set.isLive);
    return this.#sets;
  }
}
