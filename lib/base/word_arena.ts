/**
 * Short arrays of words that lie side by side in common buffers: a buffer of its own costs some 300
 * octets beside what it holds. Nothing is given back; a buffer goes when none of its arrays is held
 * any more. So this is for things of like length and like life.
 */

/** Arrays that share a buffer, about: what one that outlives the others holds fast. */
const SHARING = 16;

export class WordArena {
  #buffer = new ArrayBuffer(0);
  #used = 0;

  /** An array of zeros. */
  take(length: number): Uint32Array {
    const size = length * 4;
    if (this.#used + size > this.#buffer.byteLength) {
      this.#buffer = new ArrayBuffer(size * SHARING);
      this.#used = 0;
    }
    const words = new Uint32Array(this.#buffer, this.#used, length);
    this.#used += size;
    return words;
  }
}
