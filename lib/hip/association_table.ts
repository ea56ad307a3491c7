/**
 * All associations, found by their pair of HITs (RFC 7401 §6). Bounded: when it is full, a new one
 * is refused rather than an old one lost.
 */

import { toHex } from "../base/bytes.ts";
import type { Association } from "./association.ts";
import type { AssociationHandle } from "./association_context.ts";

export class AssociationTable {
  readonly #byPair = new Map<string, Association>();
  readonly #limit: number;

  /** @param limit Associations at most. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byPair.size;
  }

  get isFull(): boolean {
    return this.#byPair.size >= this.#limit;
  }

  /** Associations that carry data or wait for a CLOSE_ACK. */
  get openCount(): number {
    let open = 0;
    for (const { state } of this.#byPair.values()) {
      if (state === "ESTABLISHED" || state === "R2-SENT" || state === "CLOSING") open++;
    }
    return open;
  }

  find(localHit: Uint8Array, peerHit: Uint8Array): Association | undefined {
    return this.#byPair.get(pairKey(localHit, peerHit));
  }

  /** Those with this peer, under whichever local HIT. */
  withPeer(peerHit: Uint8Array): Association[] {
    const suffix = toHex(peerHit);
    return [...this.#byPair].filter(([key]) => key.endsWith(suffix)).map(([, found]) => found);
  }

  /** @returns Whether there was room. */
  add(association: Association): boolean {
    if (this.isFull) return false;
    this.#byPair.set(pairKey(association.localHit, association.peerHit), association);
    return true;
  }

  /** Files it under its new peer HIT. @returns False, changing nothing, when that is taken. */
  move(association: AssociationHandle, oldPeerHit: Uint8Array): boolean {
    const oldKey = pairKey(association.localHit, oldPeerHit);
    const newKey = pairKey(association.localHit, association.peerHit);
    const found = this.#byPair.get(oldKey);
    if (found !== association || this.#byPair.has(newKey)) return false;
    this.#byPair.delete(oldKey);
    this.#byPair.set(newKey, found);
    return true;
  }

  /** Forgets it, if it is the one that stands under its pair. */
  remove(association: AssociationHandle): void {
    const key = pairKey(association.localHit, association.peerHit);
    if (this.#byPair.get(key) === association) this.#byPair.delete(key);
  }

  /** In the order they came. */
  [Symbol.iterator](): IterableIterator<Association> {
    return this.#byPair.values();
  }
}

/** A map key for a pair of HITs. */
export function pairKey(localHit: Uint8Array, peerHit: Uint8Array): string {
  return toHex(localHit) + toHex(peerHit);
}
