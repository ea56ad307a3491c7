/**
 * Things that stand between two HITs, at most one per pair, found without making anything: HITs are
 * read where they lie. Those with one peer stand together, whichever local HIT they have; a host has
 * few of these.
 *
 * A look-up costs one hash over a HIT, however many there are. Whoever wants to make it slower must
 * get things with equal hashes in: only what a base exchange or an application has made gets in.
 */

import { bytesEqual } from "../base/bytes.ts";

/** 16 octets each; must not change while it stands in a table. */
export interface BetweenHits {
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
}

export class HitPairTable<T extends BetweenHits> {
  /** By a hash of the peer's HIT; mostly there is one for each. */
  readonly #chains = new Map<number, T | T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The one between two HITs, which begin at these offsets. */
  find(
    localHit: Uint8Array,
    peerHit: Uint8Array,
    localOffset = 0,
    peerOffset = 0,
  ): T | undefined {
    const chain = this.#chains.get(hashOf(peerHit, peerOffset));
    if (chain === undefined) return undefined;
    if (!Array.isArray(chain)) {
      return isBetween(chain, localHit, peerHit, localOffset, peerOffset) ? chain : undefined;
    }
    for (let i = 0; i < chain.length; i++) {
      const value = chain[i]!;
      if (isBetween(value, localHit, peerHit, localOffset, peerOffset)) return value;
    }
    return undefined;
  }

  /** Those with this peer, under whichever local HIT. */
  withPeer(peerHit: Uint8Array): T[] {
    const chain = this.#chains.get(hashOf(peerHit, 0));
    if (chain === undefined) return [];
    return (Array.isArray(chain) ? chain : [chain])
      .filter((value) => bytesEqual(value.peerHit, peerHit));
  }

  /** Puts one in. @returns False, changing nothing, when its pair is taken. */
  add(value: T): boolean {
    const { localHit, peerHit } = value;
    if (this.find(localHit, peerHit) !== undefined) return false;
    const hash = hashOf(peerHit, 0);
    const chain = this.#chains.get(hash);
    if (chain === undefined) this.#chains.set(hash, value);
    else if (Array.isArray(chain)) chain.push(value);
    else this.#chains.set(hash, [chain, value]);
    this.#size++;
    return true;
  }

  /** Takes one out. @returns Whether this very one was there. */
  remove(value: BetweenHits): boolean {
    return this.#take(value, value.peerHit) !== undefined;
  }

  /** Files one anew whose HITs have changed. @returns False, changing nothing, when they are taken. */
  move(value: BetweenHits, oldPeerHit: Uint8Array): boolean {
    const isTaken = this.withPeer(value.peerHit).some((other) =>
      other !== value && bytesEqual(other.localHit, value.localHit)
    );
    if (isTaken) return false;
    const taken = this.#take(value, oldPeerHit);
    return taken !== undefined && this.add(taken);
  }

  #take(value: BetweenHits, peerHit: Uint8Array): T | undefined {
    const hash = hashOf(peerHit, 0);
    const chain = this.#chains.get(hash);
    if (chain === undefined) return undefined;
    const list = Array.isArray(chain) ? chain : [chain];
    const found = list.find((other) => other === value);
    if (found === undefined) return undefined;
    const rest = list.filter((other) => other !== value);
    if (rest.length === 0) this.#chains.delete(hash);
    else this.#chains.set(hash, rest.length === 1 ? rest[0]! : rest);
    this.#size--;
    return found;
  }

  clear(): void {
    this.#chains.clear();
    this.#size = 0;
  }

  /** All, those with one peer together. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const chain of this.#chains.values()) {
      if (Array.isArray(chain)) yield* chain;
      else yield chain;
    }
  }
}

/**
 * FNV-1a; small integers are what a `Map` finds fastest. The first four octets of a HIT are prefix
 * and suite, the same for nearly all.
 */
function hashOf(hit: Uint8Array, offset: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 4; i < 16; i++) hash = Math.imul(hash ^ hit[offset + i]!, 0x01000193);
  return hash;
}

function isBetween(
  value: BetweenHits,
  localHit: Uint8Array,
  peerHit: Uint8Array,
  localOffset: number,
  peerOffset: number,
): boolean {
  for (let i = 0; i < 16; i++) {
    if (
      value.localHit[i] !== localHit[localOffset + i] ||
      value.peerHit[i] !== peerHit[peerOffset + i]
    ) return false;
  }
  return true;
}
