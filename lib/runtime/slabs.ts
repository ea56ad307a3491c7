/** The slabs of the loop: as many as one batch needs, made at start-up, side by side in memory. */

import { PacketBuffer, slabSize } from "../base/packet_buffer.ts";
import { wideMemory } from "../wire/checksum_simd.ts";

/** Octets of the largest IP packet: what a reassembled packet may have. */
export const LARGEST_PACKET = 65535;

/** Slabs begin at multiples of this: lines of the processor's cache. */
const ALIGNMENT = 64;

/**
 * Makes `count` slabs in one piece of memory, of which the system gives us only what is written.
 *
 * @param capacity Octets a packet may have.
 */
export function makeSlabs(count: number, capacity: number = LARGEST_PACKET): PacketBuffer[] {
  const stride = Math.ceil(slabSize(capacity) / ALIGNMENT) * ALIGNMENT;
  const memory = wideMemory(count * stride);
  return Array.from({ length: count }, (_, i) => new PacketBuffer(capacity, memory, i * stride));
}
