/**
 * Inner packets that wait for their association: bounded per association and in all, the oldest
 * dropped first (RFC 7401 §6.1, RFC 7402 §3.3.1).
 */

import { after, type Duration, type Instant } from "../base/time.ts";
import { pairKey } from "../hip/association_table.ts";
import { MAX_STAGED, MAX_STAGED_PER_ASSOCIATION } from "../hip/constants.ts";

/** One packet and how long it may wait. */
export interface StagedPacket {
  /** A whole inner IPv6 packet. */
  readonly packet: Uint8Array;
  readonly until: Instant;
}

export class Staging {
  readonly #byPair = new Map<string, StagedPacket[]>();
  readonly #lifetime: Duration;
  #count = 0;

  constructor(lifetime: Duration) {
    this.#lifetime = lifetime;
  }

  /** Packets waiting. */
  get size(): number {
    return this.#count;
  }

  /** Keeps a packet, which is copied. @returns How many others had to go for it: 0 or 1. */
  stage(now: Instant, localHit: Uint8Array, peerHit: Uint8Array, packet: Uint8Array): number {
    const key = pairKey(localHit, peerHit);
    const queue = this.#byPair.get(key) ?? [];
    let dropped = 0;
    if (queue.length >= MAX_STAGED_PER_ASSOCIATION) {
      queue.shift();
      this.#count--;
      dropped = 1;
    } else if (this.#count >= MAX_STAGED) {
      this.#dropOldest();
      dropped = 1;
    }
    queue.push({ packet: packet.slice(), until: after(now, this.#lifetime) });
    this.#byPair.set(key, queue);
    this.#count++;
    return dropped;
  }

  /** How many packets wait for this pair of HITs. */
  waiting(localHit: Uint8Array, peerHit: Uint8Array): number {
    return this.#byPair.get(pairKey(localHit, peerHit))?.length ?? 0;
  }

  /** Hands over all that wait for a pair of HITs, oldest first. */
  release(localHit: Uint8Array, peerHit: Uint8Array): Uint8Array[] {
    const key = pairKey(localHit, peerHit);
    const queue = this.#byPair.get(key) ?? [];
    this.#byPair.delete(key);
    this.#count -= queue.length;
    return queue.map(({ packet }) => packet);
  }

  /** Hands over all that waited too long. */
  expire(now: Instant): Uint8Array[] {
    const expired: Uint8Array[] = [];
    for (const [key, queue] of this.#byPair) {
      while (queue[0] !== undefined && queue[0].until <= now) {
        expired.push(queue.shift()!.packet);
      }
      if (queue.length === 0) this.#byPair.delete(key);
    }
    this.#count -= expired.length;
    return expired;
  }

  /** When `expire` has work. */
  nextTimeout(): Instant | undefined {
    let next: Instant | undefined;
    for (const queue of this.#byPair.values()) {
      const until = queue[0]?.until;
      if (until !== undefined && (next === undefined || until < next)) next = until;
    }
    return next;
  }

  #dropOldest(): void {
    let oldest: string | undefined;
    let soonest = Infinity;
    for (const [key, queue] of this.#byPair) {
      const until = queue[0]?.until ?? Infinity;
      if (until < soonest) [oldest, soonest] = [key, until];
    }
    if (oldest === undefined) return;
    const queue = this.#byPair.get(oldest)!;
    queue.shift();
    this.#count--;
    if (queue.length === 0) this.#byPair.delete(oldest);
  }
}
