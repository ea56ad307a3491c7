/**
 * A cryptographic expansion of one secret seed: SHA-256 over the seed and a counter. A job carries
 * a seed instead of a generator, so that it gives the same result wherever it runs.
 */

import type { Random } from "../base/random.ts";
import { digest } from "./rhash.ts";

/** Octets of a seed. */
export const SEED_LENGTH = 32;

/** Endless octets from one seed; as secret as the seed is. */
export class SeededRandom implements Random {
  /** Seed, then the block counter in its last eight octets. */
  readonly #input = new Uint8Array(SEED_LENGTH + 8);
  readonly #counter = new DataView(this.#input.buffer, SEED_LENGTH);
  #block = new Uint8Array(0);
  #used = 0;
  #blocks = 0n;

  /**
   * @param seed 32 octets, copied.
   * @throws {RangeError} When the seed has another length.
   */
  constructor(seed: Uint8Array) {
    if (seed.length !== SEED_LENGTH) {
      throw new RangeError(`Cannot seed: need ${SEED_LENGTH} octets, have ${seed.length}`);
    }
    this.#input.set(seed);
  }

  fill(bytes: Uint8Array): void {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#used === this.#block.length) this.#nextBlock();
      const part = this.#block.subarray(this.#used, this.#used + bytes.length - offset);
      bytes.set(part, offset);
      this.#used += part.length;
      offset += part.length;
    }
  }

  #nextBlock(): void {
    this.#counter.setBigUint64(0, this.#blocks);
    this.#blocks += 1n;
    this.#block = new Uint8Array(digest("sha256", this.#input));
    this.#used = 0;
  }
}
