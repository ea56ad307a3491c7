/**
 * The Internet checksum in 32-bit lanes (RFC 1071 §2, "parallel summation" and "byte order
 * independence"): the sum that `sumBytes` gives, in a third of the time, for the data path; in
 * memory of `wideMemory` in a tenth.
 */

import { type WideSum, wideSumOf } from "./checksum_simd.ts";

const TWO_32 = 2 ** 32;

/** Octets from which on the quicker function is quicker. */
const WORTH_A_CALL = 64;

/** What was found last: a thread has few memories. */
let lastBuffer: ArrayBufferLike | undefined;
let lastSum: WideSum | undefined;

/**
 * The sum of the 16-bit words of `view[start..end)`, folded to 16 bits; an odd last octet counts as
 * the high half of a word. Words are counted from `start`, wherever it stands.
 *
 * @param initial Running sum of the parts before, below 2^48.
 * @returns 0 to 0xffff, and 0 only when every octet and `initial` are 0.
 */
export function sumLanes(view: DataView, start: number, end: number, initial = 0): number {
  // Lanes in the host's usual order; exact, since 16,384 times 2^32 is far below 2^53.
  let even = 0;
  let odd = 0;
  let at = start;
  if (end - start >= WORTH_A_CALL) {
    const { buffer } = view;
    if (buffer !== lastBuffer) {
      lastBuffer = buffer;
      lastSum = wideSumOf(buffer);
    }
    if (lastSum !== undefined) {
      const from = view.byteOffset + start;
      const length = (end - start) & ~15;
      even = lastSum(from, from + length) >>> 0;
      at += length;
    }
  }
  for (; at + 7 < end; at += 8) {
    even += view.getUint32(at, true);
    odd += view.getUint32(at + 4, true);
  }
  const swapped = fold(even + odd);
  let sum = initial + ((swapped & 0xff) << 8) + (swapped >>> 8);
  for (; at + 1 < end; at += 2) sum += view.getUint16(at);
  if (at < end) sum += view.getUint8(at) << 8;
  return fold(sum);
}

/** Adds the carries back in until 16 bits are left. */
function fold(sum: number): number {
  const low = sum % TWO_32;
  let folded = (low & 0xffff) + (low >>> 16) + Math.floor(sum / TWO_32);
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}
