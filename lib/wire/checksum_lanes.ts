/**
 * The Internet checksum in 32-bit lanes (RFC 1071 §2, "parallel summation" and "byte order
 * independence"): the sum that `sumBytes` gives, in a third of the time, for the data path.
 */

const TWO_32 = 2 ** 32;

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
