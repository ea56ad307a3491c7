/**
 * Slabs for the loop. They are made at start-up and lent out one at a time; the pool grows when
 * more are out than ever before and keeps what comes back.
 */

import { PacketBuffer } from "../base/packet_buffer.ts";

/** Octets of the largest IP packet: what a reassembled packet may have. */
export const LARGEST_PACKET = 65535;

export class BufferPool {
  readonly #capacity: number;
  readonly #free: PacketBuffer[] = [];

  /**
   * @param capacity Octets a packet may have.
   * @param count Slabs to make now.
   */
  constructor(capacity: number = LARGEST_PACKET, count: number = 1) {
    this.#capacity = capacity;
    for (let i = 0; i < count; i++) this.#free.push(new PacketBuffer(capacity));
  }

  /** An empty slab, to be given back with `giveBack`. */
  take(): PacketBuffer {
    return this.#free.pop() ?? new PacketBuffer(this.#capacity);
  }

  giveBack(buffer: PacketBuffer): void {
    buffer.reset();
    this.#free.push(buffer);
  }
}
