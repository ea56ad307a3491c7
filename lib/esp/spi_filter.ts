/**
 * Which SPIs have an inbound SA, roughly: what it does not know has none, what it knows may have
 * one. Data threads ask it about packets of SAs that they do not work on, so that a flood of made-up
 * SPIs costs the engine's thread nothing.
 */

/** Counters; a stranger who guesses is right once in this many for each SA there is. */
const COUNTERS = 1 << 16;

/** One that has counted so far stays: it has lost count. */
const FULL = 255;

/** Octets of the filter's memory. */
export const SPI_FILTER_SIZE = COUNTERS;

export class SpiFilter {
  readonly #counters: Uint8Array;

  /** @param memory `SPI_FILTER_SIZE` octets, which other threads may read. */
  constructor(memory: SharedArrayBuffer) {
    this.#counters = new Uint8Array(memory);
  }

  /** Whether an SA may have this SPI; false is certain. */
  mayHave(spi: number): boolean {
    return this.#counters[slotOf(spi)] !== 0;
  }

  /** There is an SA with this SPI now. */
  add(spi: number): void {
    const slot = slotOf(spi);
    if (this.#counters[slot]! < FULL) this.#counters[slot]! += 1;
  }

  /** There is one less; it must have been added. */
  remove(spi: number): void {
    const slot = slotOf(spi);
    if (this.#counters[slot]! < FULL) this.#counters[slot]! -= 1;
  }
}

/** SPIs are random: any of their bits do. */
function slotOf(spi: number): number {
  return spi & (COUNTERS - 1);
}
