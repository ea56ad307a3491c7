/**
 * Many short strings of octets, all of one length, in few large blocks: an array of its own costs
 * some 300 octets beside what it holds. A slot is known by its number and must be given back.
 */

const SLOTS_PER_BLOCK = 1024;

export class OctetSlab {
  /** Octets of a slot. */
  readonly slotLength: number;
  readonly #blocks: Uint8Array[] = [];
  readonly #free: number[] = [];
  #used = 0;

  constructor(slotLength: number) {
    this.slotLength = slotLength;
  }

  /** Slots in use. */
  get size(): number {
    return this.#used - this.#free.length;
  }

  /** The number of a slot that is all zero. */
  take(): number {
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    const slot = this.#used++;
    if (slot % SLOTS_PER_BLOCK === 0) {
      this.#blocks.push(new Uint8Array(SLOTS_PER_BLOCK * this.slotLength));
    }
    return slot;
  }

  /** The octets of a slot from `start` to `end`: a view, good until the slot is given back. */
  view(slot: number, start = 0, end = this.slotLength): Uint8Array {
    const offset = (slot % SLOTS_PER_BLOCK) * this.slotLength;
    return this.#blocks[Math.floor(slot / SLOTS_PER_BLOCK)]!.subarray(offset + start, offset + end);
  }

  /** Overwrites a slot with zeros and takes it back. */
  give(slot: number): void {
    this.view(slot).fill(0);
    this.#free.push(slot);
  }
}
