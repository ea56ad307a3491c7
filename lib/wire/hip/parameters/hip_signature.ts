/**
 * HIP_SIGNATURE and HIP_SIGNATURE_2 (RFC 7401 §5.2.14, §5.2.15).
 *
 * ```text
 * |             Type              |             Length            |
 * |    SIG alg                    |            Signature          /
 * ```
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface HipSignature {
  /** HI algorithm of the key that signed. */
  readonly algorithm: number;
  readonly signature: Uint8Array;
}

export const HIP_SIGNATURE = signatureCodec("HIP_SIGNATURE");
/** In R1: computed with parts of the packet set to zero. */
export const HIP_SIGNATURE_2 = signatureCodec("HIP_SIGNATURE_2");

function signatureCodec(
  name: "HIP_SIGNATURE" | "HIP_SIGNATURE_2",
): ParameterCodec<HipSignature> {
  return {
    type: PARAMETER[name],
    name,
    length: (value) => 2 + value.signature.length,
    parse: (reader) => ({ algorithm: reader.uint16(), signature: reader.rest() }),
    emit(writer, value) {
      writer.uint16(value.algorithm);
      writer.bytes(value.signature);
    },
  };
}
