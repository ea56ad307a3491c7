/** Our Host Identities: those the engine was made with, and anonymous ones that come and go. */

import { bytesEqual, toHex } from "../base/bytes.ts";
import { hitSuiteId, shortHit } from "../identity/hit.ts";
import type { LocalIdentity } from "./engine_options.ts";

export class IdentityTable {
  /** The first is the default; few. */
  readonly own: readonly LocalIdentity[];
  readonly #passing = new Map<string, LocalIdentity>();

  constructor(own: readonly LocalIdentity[]) {
    if (own.length === 0) throw new RangeError("Engine needs an identity, got none");
    this.own = own;
  }

  /** All of them, the default one first. */
  get all(): readonly LocalIdentity[] {
    return [...this.own, ...this.#passing.values()];
  }

  get default(): LocalIdentity {
    return this.own[0]!;
  }

  find(hit: Uint8Array): LocalIdentity | undefined {
    const own = this.own.find(({ identity }) => bytesEqual(identity.hit, hit));
    return own ?? (this.#passing.size === 0 ? undefined : this.#passing.get(toHex(hit)));
  }

  /** @throws {Error} When none of ours has this HIT. */
  require(hit: Uint8Array): LocalIdentity {
    const found = this.find(hit);
    if (found === undefined) throw new Error(`No identity has the HIT ${shortHit(hit)}`);
    return found;
  }

  /** One of ours that is not anonymous, of the first of these HIT suites that has one. */
  hitOfSuite(suites: readonly number[]): Uint8Array | undefined {
    const named = this.own.filter(({ isAnonymous }) => !isAnonymous);
    for (const suite of suites) {
      const found = named.find(({ identity }) => hitSuiteId(identity.hit) === suite);
      if (found !== undefined) return found.identity.hit;
    }
    return undefined;
  }

  /** Whether it is one of those that come and go. */
  isPassing(hit: Uint8Array): boolean {
    return this.#passing.size > 0 && this.#passing.has(toHex(hit));
  }

  add(local: LocalIdentity): void {
    this.#passing.set(toHex(local.identity.hit), local);
  }

  remove(hit: Uint8Array): void {
    this.#passing.delete(toHex(hit));
  }
}
