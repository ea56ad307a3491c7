/**
 * Limits on what unauthenticated packets can make us do, in fixed memory: a table of buckets into
 * which keys are hashed with a secret, so that nobody can choose whom to crowd out (RFC 7401 §6.7,
 * §8).
 *
 * A bucket belongs to the key that used it last. So a flood of ever new keys uses up nobody's
 * share: whoever is crowded out starts anew. That costs the sender of the flood a table full of
 * packets on average for each time one key gets its share again.
 *
 * Work per event: one hash over the key.
 */

import { type Random, randomUint32 } from "../base/random.ts";
import type { Duration, Instant } from "../base/time.ts";

const BUCKETS = 4096;

/** So many events per key and period. */
export class RateLimit {
  readonly #seed: number;
  readonly #perPeriod: number;
  readonly #period: Duration;
  /** The whole hash of the key that a bucket belongs to. */
  readonly #owners = new Uint32Array(BUCKETS);
  readonly #counts = new Uint16Array(BUCKETS);
  readonly #since = new Float64Array(BUCKETS).fill(-Infinity);

  /** @param perPeriod 1 to 65535 events. */
  constructor(random: Random, perPeriod: number, period: Duration) {
    this.#seed = randomUint32(random);
    this.#perPeriod = perPeriod;
    this.#period = period;
  }

  /** Whether one more event for `key` is within the limit; counts it if so. */
  allow(now: Instant, key: Uint8Array): boolean {
    const value = finish(hash(this.#seed, key));
    const bucket = value % BUCKETS;
    if (this.#owners[bucket] !== value || now - this.#since[bucket]! >= this.#period) {
      this.#owners[bucket] = value;
      this.#since[bucket] = now;
      this.#counts[bucket] = 0;
    }
    if (this.#counts[bucket]! >= this.#perPeriod) return false;
    this.#counts[bucket]! += 1;
    return true;
  }
}

/** Remembers what was seen within a period: for packets repeated octet for octet. */
export class RecentlySeen {
  readonly #seed: number;
  readonly #period: Duration;
  readonly #hashes = new Uint32Array(BUCKETS);
  readonly #at = new Float64Array(BUCKETS).fill(-Infinity);

  constructor(random: Random, period: Duration) {
    this.#seed = randomUint32(random);
    this.#period = period;
  }

  /** Whether `octets` came from `source` less than a period ago; remembers them. */
  seen(now: Instant, source: Uint8Array, octets: Uint8Array): boolean {
    const value = finish(hash(hash(this.#seed, source), octets));
    const bucket = value % BUCKETS;
    const isRepeated = this.#hashes[bucket] === value && now - this.#at[bucket]! < this.#period;
    if (!isRepeated) {
      this.#hashes[bucket] = value;
      this.#at[bucket] = now;
    }
    return isRepeated;
  }
}

/** FNV-1a from a secret start; for spreading, not for authentication. `finish` comes last. */
function hash(seed: number, octets: Uint8Array): number {
  let value = seed;
  for (let i = 0; i < octets.length; i++) {
    value = Math.imul(value ^ octets[i]!, 0x01000193);
  }
  return value;
}

/** Spreads all bits over the low ones. */
function finish(value: number): number {
  const mixed = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
