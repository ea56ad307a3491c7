/**
 * DIFFIE_HELLMAN (RFC 7401 §5.2.7).
 *
 * ```text
 * |             Type              |             Length            |
 * |    Group ID   |      Public Value Length      | Public Value  /
 * ```
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface DiffieHellman {
  readonly groupId: number;
  /** As sent; its width and form are the group's business. */
  readonly publicValue: Uint8Array;
}

export const DIFFIE_HELLMAN: ParameterCodec<DiffieHellman> = {
  type: PARAMETER.DIFFIE_HELLMAN,
  name: "DIFFIE_HELLMAN",
  length: (value) => 3 + value.publicValue.length,
  parse(reader) {
    const groupId = reader.uint8();
    const publicValueLength = reader.uint16();
    return { groupId, publicValue: reader.bytes(publicValueLength) };
  },
  emit(writer, value) {
    writer.uint8(value.groupId);
    writer.uint16(value.publicValue.length);
    writer.bytes(value.publicValue);
  },
};
