/**
 * CERT (RFC 8002 §2).
 *
 * ```text
 * |             Type              |             Length            |
 * |  CERT group   |  CERT count   |    CERT ID    |   CERT type   |
 * |                          Certificate                          /
 * ```
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface Cert {
  /** Which certificates belong together, 0 to 255. */
  readonly group: number;
  /** How many certificates the group has. */
  readonly count: number;
  /** Place of this one in its group, from 1. */
  readonly id: number;
  /** 1 X.509 v3, 3 hash and URL, 5 LDAP URL, 7 distinguished name. */
  readonly certType: number;
  readonly certificate: Uint8Array;
}

export const CERT: ParameterCodec<Cert> = {
  type: PARAMETER.CERT,
  name: "CERT",
  length: (cert) => 4 + cert.certificate.length,
  parse: (reader) => ({
    group: reader.uint8(),
    count: reader.uint8(),
    id: reader.uint8(),
    certType: reader.uint8(),
    certificate: reader.rest(),
  }),
  emit(writer, cert) {
    writer.uint8(cert.group);
    writer.uint8(cert.count);
    writer.uint8(cert.id);
    writer.uint8(cert.certType);
    writer.bytes(cert.certificate);
  },
};
