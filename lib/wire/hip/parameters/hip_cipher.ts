/** HIP_CIPHER: Cipher IDs, two octets each, most preferred first (RFC 7401 §5.2.8). */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface HipCipher {
  /** All that were sent, those after the sixth included. */
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
