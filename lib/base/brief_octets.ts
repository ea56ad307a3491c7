/**
 * Octets that live briefly, cut from blocks one after the other: an array of its own costs half a
 * microsecond and work for the garbage collector, a piece of a block a tenth of that.
 *
 * A block lives as long as any of its pieces. So nothing that is kept belongs here, and nothing that
 * goes to another thread, for that copies the whole block.
 */

const BLOCK_LENGTH = 0x10000;

let block = new Uint8Array(BLOCK_LENGTH);
let used = 0;

/** So many octets, all zero, that nobody else has; at most 4096. */
export function briefOctets(length: number): Uint8Array {
  if (used + length > BLOCK_LENGTH) {
    block = new Uint8Array(BLOCK_LENGTH);
    used = 0;
  }
  const piece = block.subarray(used, used + length);
  used += length;
  return piece;
}
