/** HIP_MAC and HIP_MAC_2: an HMAC with RHASH, not truncated (RFC 7401 §5.2.12, §5.2.13). */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface HipMac {
  /** As long as the output of RHASH, which only the association knows. */
  readonly mac: Uint8Array;
}

export const HIP_MAC = macCodec("HIP_MAC");
/** In R2: covers the Responder's HOST_ID too, which the packet does not carry. */
export const HIP_MAC_2 = macCodec("HIP_MAC_2");

function macCodec(name: "HIP_MAC" | "HIP_MAC_2"): ParameterCodec<HipMac> {
  return {
    type: PARAMETER[name],
    name,
    length: (value) => value.mac.length,
    parse(reader) {
      if (reader.remaining === 0) reader.fail("HMAC is empty");
      return { mac: reader.rest() };
    },
    emit: (writer, value) => writer.bytes(value.mac),
  };
}
