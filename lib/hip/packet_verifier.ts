/**
 * The checks that undo `packet_builder.ts`, over the octets that were received and never over
 * something encoded anew (RFC 7401 §6.4): take off the MAC or signature and all behind it, set
 * Header Length to what is left and Checksum to zero, compute, compare. The packet itself is not
 * changed.
 */

import { concatBytes, constantTimeEqual } from "../base/bytes.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { hipMac } from "../crypto/mac.ts";
import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import type { Rhash } from "../crypto/rhash.ts";
import { PARAMETER } from "../wire/hip/code_points.ts";
import {
  HIP_FIELD,
  HIP_PACKET_MAXIMUM,
  type HipPacket,
  setHeaderLength,
} from "../wire/hip/packet.ts";
import { PARAMETER_HEADER_LENGTH } from "../wire/hip/parameter.ts";
import { HIP_MAC, HIP_MAC_2 } from "../wire/hip/parameters/hip_mac.ts";
import {
  HIP_SIGNATURE,
  HIP_SIGNATURE_2,
  type HipSignature,
} from "../wire/hip/parameters/hip_signature.ts";

/** Where Opaque, and #I behind it, stand in PUZZLE: after Type, Length, #K and Lifetime (§5.2.4). */
const PUZZLE_OPAQUE = 6;

/**
 * HIP_MAC, in time that does not depend on where it differs.
 *
 * @param key Integrity key of the sender's direction.
 * @throws {MalformedPacketError} When there is none.
 */
export function verifyHipMac(packet: HipPacket, rhash: Rhash, key: Uint8Array): boolean {
  const { mac } = packet.require(HIP_MAC);
  const covered = coveredBy(packet, PARAMETER.HIP_MAC);
  return constantTimeEqual(mac, hipMac(rhash, key, covered));
}

/**
 * HIP_MAC_2, with the Responder's HOST_ID behind what is covered (RFC 7401 §6.4.1).
 *
 * @param hostIdTlv As received in R1, padding included.
 * @throws {MalformedPacketError} When there is none.
 */
export function verifyHipMac2(
  packet: HipPacket,
  rhash: Rhash,
  key: Uint8Array,
  hostIdTlv: Uint8Array,
): boolean {
  const { mac } = packet.require(HIP_MAC_2);
  const covered = concatBytes(coveredBy(packet, PARAMETER.HIP_MAC_2), hostIdTlv);
  if (covered.length > HIP_PACKET_MAXIMUM) return false;
  setHeaderLength(covered, covered.length);
  return constantTimeEqual(mac, hipMac(rhash, key, covered));
}

/**
 * HIP_SIGNATURE of I2, R2, UPDATE, NOTIFY, CLOSE and CLOSE_ACK.
 *
 * @throws {MalformedPacketError} When there is none.
 */
export function verifyHipSignature(
  packet: HipPacket,
  signer: PublicHostIdentity,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): boolean {
  const covered = coveredBy(packet, PARAMETER.HIP_SIGNATURE);
  return isSignedBy(signer, packet.require(HIP_SIGNATURE), covered, publicKeys);
}

/**
 * HIP_SIGNATURE_2 of R1, with receiver HIT, and Opaque and #I of PUZZLE, as zeros (§5.2.15).
 *
 * @throws {MalformedPacketError} When there is none.
 */
export function verifyHipSignature2(
  packet: HipPacket,
  signer: PublicHostIdentity,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): boolean {
  const covered = coveredBy(packet, PARAMETER.HIP_SIGNATURE_2);
  covered.fill(0, HIP_FIELD.receiverHit, HIP_FIELD.receiverHit + 16);
  for (const { type, offset, contents } of packet.parameters) {
    if (type !== PARAMETER.PUZZLE) continue;
    covered.fill(0, offset + PUZZLE_OPAQUE, offset + PARAMETER_HEADER_LENGTH + contents.length);
  }
  return isSignedBy(signer, packet.require(HIP_SIGNATURE_2), covered, publicKeys);
}

function isSignedBy(
  signer: PublicHostIdentity,
  { algorithm, signature }: HipSignature,
  covered: Uint8Array,
  publicKeys: PublicKeyProvider,
): boolean {
  return algorithm === signer.algorithm && publicKeys.verify(signer, signature, covered);
}

/**
 * A copy of the packet up to its first parameter of this type or above, with Header Length for
 * just that and Checksum zero.
 */
function coveredBy(packet: HipPacket, type: number): Uint8Array {
  const end = packet.parameters.find((parameter) => parameter.type >= type)?.offset ??
    packet.bytes.length;
  const covered = packet.bytes.slice(0, end);
  covered.fill(0, HIP_FIELD.checksum, HIP_FIELD.checksum + 2);
  setHeaderLength(covered, covered.length);
  return covered;
}
