/**
 * HOST_ID (RFC 7401 §5.2.9).
 *
 * ```text
 * |             Type              |             Length            |
 * |          HI Length            |DI-Type|      DI Length        |
 * |           Algorithm           |         Host Identity         /
 * /                               |       Domain Identifier       /
 * ```
 *
 * Some deployed peers count the two Algorithm octets in HI Length; the parameter's own Length then
 * gives them away and both readings lead to the same Host Identity. What is hashed into a HIT is
 * the Host Identity field alone.
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface HostId {
  /** HI algorithm: 3 DSA, 5 RSA, 7 ECDSA, 9 ECDSA_LOW, 13 EdDSA. */
  readonly algorithm: number;
  /** The Host Identity field. */
  readonly hostIdentity: Uint8Array;
  /** 0 none, 1 FQDN, 2 NAI; 4 bits. */
  readonly domainIdType: number;
  /** At most 4095 octets; unauthenticated. */
  readonly domainId: Uint8Array;
}

export const HOST_ID: ParameterCodec<HostId> = {
  type: PARAMETER.HOST_ID,
  name: "HOST_ID",
  length: (value) => 6 + value.hostIdentity.length + value.domainId.length,
  parse(reader) {
    const contentsLength = reader.remaining;
    const hiLength = reader.uint16();
    const domainIdField = reader.uint16();
    const domainIdLength = domainIdField & 0x0fff;
    const algorithm = reader.uint16();
    const excess = 6 + hiLength + domainIdLength - contentsLength;
    if ((excess !== 0 && excess !== 2) || hiLength < excess) {
      reader.fail(
        `HI Length ${hiLength} and DI Length ${domainIdLength} do not make up ${contentsLength}`,
      );
    }
    return {
      algorithm,
      hostIdentity: reader.bytes(hiLength - excess),
      domainIdType: domainIdField >>> 12,
      domainId: reader.bytes(domainIdLength),
    };
  },
  emit(writer, value) {
    if (value.domainIdType > 0xf || value.domainId.length > 0xfff) {
      throw new RangeError(
        `Cannot emit HOST_ID: DI-Type ${value.domainIdType}, DI Length ${value.domainId.length}`,
      );
    }
    writer.uint16(value.hostIdentity.length);
    writer.uint16((value.domainIdType << 12) | value.domainId.length);
    writer.uint16(value.algorithm);
    writer.bytes(value.hostIdentity);
    writer.bytes(value.domainId);
  },
};
