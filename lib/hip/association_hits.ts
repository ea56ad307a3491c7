/**
 * The two HITs of an association. Either may change before there are keys: the peer's in
 * opportunistic mode, ours when the Responder does not support its suite (RFC 7401 §4.1.6, §4.1.8).
 */

import { bytesEqual, compareBytes } from "../base/bytes.ts";
import type { HitPair } from "./association_context.ts";

export class AssociationHits implements HitPair {
  #localHit: Uint8Array;
  #peerHit: Uint8Array;

  constructor(localHit: Uint8Array, peerHit: Uint8Array) {
    this.#localHit = localHit;
    this.#peerHit = peerHit;
  }

  get localHit(): Uint8Array {
    return this.#localHit;
  }

  get peerHit(): Uint8Array {
    return this.#peerHit;
  }

  /** Whether our HIT is the greater one, which decides crossing exchanges. */
  get isOursGreater(): boolean {
    return compareBytes(this.#localHit, this.#peerHit) > 0;
  }

  /** From now on the peer's HIT is held in this array, where the same octets stand. */
  holdPeerIn(peerHit: Uint8Array): void {
    this.#peerHit = peerHit;
  }

  /**
   * @param mayStand Whether the new HITs, already in force, may stay; it gets the old ones.
   * @returns The same; when not, everything is as before.
   */
  change(next: Partial<HitPair>, mayStand: (old: HitPair) => boolean): boolean {
    const old = { localHit: this.#localHit, peerHit: this.#peerHit };
    const { localHit, peerHit } = { ...old, ...next };
    if (bytesEqual(localHit, old.localHit) && bytesEqual(peerHit, old.peerHit)) return true;
    this.#localHit = localHit;
    this.#peerHit = peerHit;
    if (mayStand(old)) return true;
    this.#localHit = old.localHit;
    this.#peerHit = old.peerHit;
    return false;
  }
}
