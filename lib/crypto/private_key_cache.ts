/**
 * Private keys of our own in the form in which a provider takes them. Making one costs as much as a
 * signature, so the last few are kept; they stay within the thread that signs.
 */

import { bytesEqual, toHex, wipe } from "../base/bytes.ts";
import type { PrivateHostIdentity } from "./host_key.ts";

/** Keys that are kept: more than a host has identities, as a rule. */
export const MAX_CACHED_KEYS = 16;

interface Entry<T> {
  /** What `prepared` was made of; another key under the same HIT takes its place. */
  readonly privateKey: Uint8Array;
  readonly prepared: T;
}

/** Prepared keys by HIT, the oldest first to go. */
export class PrivateKeyCache<T> {
  readonly #prepare: (identity: PrivateHostIdentity) => T;
  readonly #release: (prepared: T) => void;
  readonly #entries = new Map<string, Entry<T>>();

  /**
   * @param prepare May throw; then nothing is kept.
   * @param release Called once for each key that is no longer kept.
   */
  constructor(
    prepare: (identity: PrivateHostIdentity) => T,
    release: (prepared: T) => void = () => {},
  ) {
    this.#prepare = prepare;
    this.#release = release;
  }

  /** The prepared key of an identity; good until the next call. */
  get(identity: PrivateHostIdentity): T {
    const name = toHex(identity.hit);
    const known = this.#entries.get(name);
    if (known !== undefined && bytesEqual(known.privateKey, identity.privateKey)) {
      return known.prepared;
    }
    const prepared = this.#prepare(identity);
    this.#drop(name);
    if (this.#entries.size >= MAX_CACHED_KEYS) this.#drop(this.#entries.keys().next().value!);
    this.#entries.set(name, { privateKey: identity.privateKey.slice(), prepared });
    return prepared;
  }

  /** Keeps nothing of an identity's key any more. */
  forget({ hit }: PrivateHostIdentity): void {
    this.#drop(toHex(hit));
  }

  #drop(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#release(entry.prepared);
    wipe(entry.privateKey);
  }
}
