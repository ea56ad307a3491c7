/**
 * All associations, found by their pair of HITs (RFC 7401 §6). Bounded: when it is full, a new one
 * is refused rather than an old one lost.
 */

import { toHex } from "../base/bytes.ts";
import type { Instant } from "../base/time.ts";
import type { InboundSa, OutboundSa } from "../esp/security_association.ts";
import { HitPairTable } from "../identity/hit_pair_table.ts";
import type { Association } from "./association.ts";
import type { AssociationHandle, HitPair } from "./association_context.ts";

export class AssociationTable {
  readonly #table = new HitPairTable<Association>();
  readonly #limit: number;

  /** @param limit Associations at most. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#table.size;
  }

  get isFull(): boolean {
    return this.#table.size >= this.#limit;
  }

  /** Associations that carry data or wait for a CLOSE_ACK. Looks at all of them. */
  get openCount(): number {
    let open = 0;
    for (const { state } of this) {
      if (state === "ESTABLISHED" || state === "R2-SENT" || state === "CLOSING") open++;
    }
    return open;
  }

  find(localHit: Uint8Array, peerHit: Uint8Array): Association | undefined {
    return this.#table.find(localHit, peerHit);
  }

  /** Those with this peer, under whichever local HIT. */
  withPeer(peerHit: Uint8Array): Association[] {
    return this.#table.withPeer(peerHit);
  }

  /** @returns Whether there was room. */
  add(association: Association): boolean {
    return !this.isFull && this.#table.add(association);
  }

  /** Files it under its new pair of HITs. @returns False, changing nothing, when that is taken. */
  move(association: AssociationHandle, old: HitPair): boolean {
    return this.#table.move(association, old.peerHit);
  }

  /** An SA carries nothing any more: its association ends, unless others are in its place by now. */
  closeUsedUp(now: Instant, sa: InboundSa | OutboundSa): void {
    const association = this.find(sa.localHit, sa.peerHit);
    const { inbound, outbound } = association?.security ?? {};
    if (sa === inbound || sa === outbound) association?.close(now, "an SA is used up");
  }

  /** Forgets it, if it is the one that stands under its pair. */
  remove(association: AssociationHandle): void {
    this.#table.remove(association);
  }

  /** All of them. */
  [Symbol.iterator](): IterableIterator<Association> {
    return this.#table[Symbol.iterator]();
  }
}

/** A map key for a pair of HITs. */
export function pairKey(localHit: Uint8Array, peerHit: Uint8Array): string {
  return toHex(localHit) + toHex(peerHit);
}
