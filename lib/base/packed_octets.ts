/**
 * Several strings of octets in one array, for what is kept long and used seldom: an array of its own
 * costs some 300 octets beside what it holds.
 */

export class PackedOctets {
  /** For each part its length in two octets; then the parts. */
  readonly #block: Uint8Array;
  readonly #count: number;

  /** @param parts Copied; at most 65535 octets each. */
  constructor(parts: readonly Uint8Array[]) {
    let offset = 2 * parts.length;
    const block = new Uint8Array(parts.reduce((sum, { length }) => sum + length, offset));
    for (const [index, part] of parts.entries()) {
      if (part.length > 0xffff) throw new RangeError(`Cannot pack a part of ${part.length} octets`);
      block[2 * index] = part.length >>> 8;
      block[2 * index + 1] = part.length;
      block.set(part, offset);
      offset += part.length;
    }
    this.#block = block;
    this.#count = parts.length;
  }

  /** The part itself: who writes to it changes it. */
  view(index: number): Uint8Array {
    let offset = 2 * this.#count;
    for (let i = 0; i < index; i++) offset += this.#lengthOf(i);
    return this.#block.subarray(offset, offset + this.#lengthOf(index));
  }

  /** A copy of the part. */
  copy(index: number): Uint8Array {
    return this.view(index).slice();
  }

  #lengthOf(index: number): number {
    return (this.#block[2 * index]! << 8) | this.#block[2 * index + 1]!;
  }
}
