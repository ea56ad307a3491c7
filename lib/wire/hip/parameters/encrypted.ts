/**
 * ENCRYPTED (RFC 7401 §5.2.18).
 *
 * ```text
 * |             Type              |             Length            |
 * |                            Reserved                           |
 * |                              IV                               /
 * /                        Encrypted data                         /
 * ```
 *
 * Where the IV ends depends on the cipher, so both stay in one piece here.
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface Encrypted {
  /** IV (none for NULL-ENCRYPT) and ciphertext. */
  readonly data: Uint8Array;
}

export const ENCRYPTED: ParameterCodec<Encrypted> = {
  type: PARAMETER.ENCRYPTED,
  name: "ENCRYPTED",
  length: (encrypted) => 4 + encrypted.data.length,
  parse(reader) {
    reader.bytes(4); // Reserved: not inspected.
    return { data: reader.rest() };
  },
  emit(writer, encrypted) {
    writer.zeros(4);
    writer.bytes(encrypted.data);
  },
};
