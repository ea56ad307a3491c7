/**
 * ECHO_REQUEST and ECHO_RESPONSE, signed and unsigned: opaque octets that come back unchanged
 * (RFC 7401 §5.2.20 to §5.2.23).
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface Echo {
  /** Possibly empty. */
  readonly opaque: Uint8Array;
}

/** At most one in a packet; answered with ECHO_RESPONSE_SIGNED. */
export const ECHO_REQUEST_SIGNED = echoCodec("ECHO_REQUEST_SIGNED");
/** Behind the signature; middleboxes may add more of them. */
export const ECHO_REQUEST_UNSIGNED = echoCodec("ECHO_REQUEST_UNSIGNED");
export const ECHO_RESPONSE_SIGNED = echoCodec("ECHO_RESPONSE_SIGNED");
export const ECHO_RESPONSE_UNSIGNED = echoCodec("ECHO_RESPONSE_UNSIGNED");

function echoCodec(
  name:
    | "ECHO_REQUEST_SIGNED"
    | "ECHO_REQUEST_UNSIGNED"
    | "ECHO_RESPONSE_SIGNED"
    | "ECHO_RESPONSE_UNSIGNED",
): ParameterCodec<Echo> {
  return {
    type: PARAMETER[name],
    name,
    length: (echo) => echo.opaque.length,
    parse: (reader) => ({ opaque: reader.rest() }),
    emit: (writer, echo) => writer.bytes(echo.opaque),
  };
}
