/** HIP_CIPHER: Cipher IDs, two octets each, most preferred first (RFC 7401 §5.2.8). */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

/** A sender lists no more; a receiver uses the first so many and drops the rest. */
export const HIP_CIPHER_MAXIMUM = 6;

export interface HipCipher {
  /** All that were sent; see `usableCipherIds`. */
  readonly cipherIds: readonly number[];
}

export const HIP_CIPHER: ParameterCodec<HipCipher> = {
  type: PARAMETER.HIP_CIPHER,
  name: "HIP_CIPHER",
  length: (list) => 2 * list.cipherIds.length,
  parse(reader) {
    if (reader.remaining === 0) reader.fail("no Cipher ID");
    const cipherIds: number[] = [];
    while (reader.remaining > 0) cipherIds.push(reader.uint16());
    return { cipherIds };
  },
  emit(writer, list) {
    for (const cipherId of list.cipherIds) writer.uint16(cipherId);
  },
};

/** The first six: what a receiver considers (RFC 7401 §5.2.8). */
export function usableCipherIds(list: HipCipher): readonly number[] {
  return list.cipherIds.slice(0, HIP_CIPHER_MAXIMUM);
}
