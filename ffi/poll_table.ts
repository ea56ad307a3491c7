/** The table of poll(2): which descriptors are waited for, and what the last call found. */

import type { Pollable } from "../lib/runtime/ports.ts";
import { LITTLE, POLLFD, POLLIN } from "./layouts.ts";
import { Struct } from "./memory.ts";

/** The kernel passes over negative descriptors. */
const NOBODY = -1;

export class PollTable {
  /** The octets, for the call. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly count: bigint;
  readonly #table: Struct;
  /** Where a descriptor's entry begins. */
  readonly #offsets: ReadonlyMap<number, number>;

  constructor(sources: readonly Pollable[]) {
    this.#offsets = new Map(sources.map(({ descriptor }, i) => [descriptor, i * POLLFD.SIZE]));
    this.count = BigInt(sources.length);
    this.#table = new Struct(sources.length * POLLFD.SIZE);
    this.bytes = this.#table.bytes;
    sources.forEach(({ descriptor }, i) => {
      this.#table.view.setInt32(i * POLLFD.SIZE + POLLFD.descriptor, descriptor, LITTLE);
      this.#table.view.setInt16(i * POLLFD.SIZE + POLLFD.events, POLLIN, LITTLE);
    });
  }

  /** Whether the last call found it readable, or broken. */
  isReady(source: Pollable): boolean {
    const at = this.#offsets.get(source.descriptor)!;
    return this.#table.view.getInt16(at + POLLFD.returnedEvents, LITTLE) !== 0;
  }

  /** Whether it is waited for from the next call on; all are at first. */
  setWatched(source: Pollable, isWatched: boolean): void {
    const at = this.#offsets.get(source.descriptor)!;
    const descriptor = isWatched ? source.descriptor : NOBODY;
    this.#table.view.setInt32(at + POLLFD.descriptor, descriptor, LITTLE);
  }
}
