/**
 * Places for the blocks of SAs in shared memory, all of one size, so that a number says which. Of
 * the memory the system gives only what was used.
 */

import { LONGEST_BLOCK } from "./security_association.ts";

/** Octets of a slot. */
export const SLOT_SIZE = LONGEST_BLOCK * 4;

/** The block in slot `slot`. @param length Words of it. */
export function slotWords(memory: SharedArrayBuffer, slot: number, length: number): Uint32Array {
  return new Uint32Array(memory, slot * SLOT_SIZE, length);
}

/** Which slots are free; kept by the engine's thread alone. */
export class FreeSlots {
  readonly #count: number;
  readonly #given: number[] = [];
  #untouched = 0;

  /** @param memory Where the slots are; as many as it has room for. */
  constructor(memory: SharedArrayBuffer) {
    this.#count = Math.floor(memory.byteLength / SLOT_SIZE);
  }

  /** A slot, the one given back last first; undefined when all are taken. */
  take(): number | undefined {
    return this.#given.pop() ??
      (this.#untouched < this.#count ? this.#untouched++ : undefined);
  }

  /** Takes one back, of whose block nobody holds anything any more. */
  give(slot: number): void {
    this.#given.push(slot);
  }
}
