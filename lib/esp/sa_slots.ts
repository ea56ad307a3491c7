/**
 * Places for the blocks of SAs in shared memory, all of one size, so that a number says which. Of
 * the memory the system gives only what was used.
 */

import { LONGEST_BLOCK } from "./security_association.ts";

/** SAs that a data thread works on at most; others stay with the engine. */
export const MOST_SLOTS = 4096;

/** Octets of memory for the blocks of one thread. */
export const SLOTS_SIZE = MOST_SLOTS * LONGEST_BLOCK * 4;

/** The block in slot `slot`. @param length Words of it. */
export function slotWords(memory: SharedArrayBuffer, slot: number, length: number): Uint32Array {
  return new Uint32Array(memory, slot * LONGEST_BLOCK * 4, length);
}

/** Which slots are free; kept by the engine's thread alone. */
export class FreeSlots {
  readonly #given: number[] = [];
  #untouched = 0;

  /** A slot, the one given back last first; undefined when all are taken. */
  take(): number | undefined {
    return this.#given.pop() ??
      (this.#untouched < MOST_SLOTS ? this.#untouched++ : undefined);
  }

  /** Takes one back, of whose block nobody holds anything any more. */
  give(slot: number): void {
    this.#given.push(slot);
  }
}
