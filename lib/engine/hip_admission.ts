/**
 * The cheap checks that every HIP packet passes before anything is parsed: presence of its octets,
 * version, checksum, type (RFC 7401 §5.1, §5.4).
 */

import type { DropReason } from "../base/drop_reason.ts";
import { isHit } from "../identity/hit.ts";
import type { AddressPair } from "../hip/association_context.ts";
import {
  checksumOk,
  HIP_FIELD,
  HIP_HEADER_LENGTH,
  HIP_VERSION,
  type HipPacket,
  isKnownPacketType,
  parseHipPacket,
  unknownCriticalParameter,
} from "../wire/hip/packet.ts";

/**
 * @param octets Borrowed until return.
 * @param addresses Outer addresses, which the checksum covers.
 * @returns A copy of exactly the packet's octets, or why it is dropped.
 */
export function admitHipPacket(
  octets: Uint8Array,
  addresses: AddressPair,
): Uint8Array | DropReason {
  if (octets.length < HIP_HEADER_LENGTH) return "hip-malformed";
  const length = (octets[HIP_FIELD.headerLength]! + 1) * 8;
  if (length < HIP_HEADER_LENGTH || octets.length < length) return "hip-malformed";
  if (octets[HIP_FIELD.version]! >> 4 !== HIP_VERSION) return "hip-bad-version";
  const bytes = octets.slice(0, length);
  if (!checksumOk(bytes, addresses.peer, addresses.local)) return "hip-bad-checksum";
  if (!isKnownPacketType(bytes[HIP_FIELD.packetType]! & 0x7f)) return "hip-unknown-type";
  return bytes;
}

/** What NOTIFY says beside its type: which critical parameter was unknown (RFC 7401 §5.2.19). */
export function notificationData(reason: DropReason, octets: Uint8Array): Uint8Array {
  if (reason !== "hip-unknown-critical-parameter") return new Uint8Array(0);
  const length = (octets[HIP_FIELD.headerLength]! + 1) * 8;
  const type = unknownCriticalParameter(parseHipPacket(octets.slice(0, length))) ?? 0;
  return new Uint8Array([type >>> 8, type & 0xff]);
}

/** The checks that need the parameters but no association. */
export function admitParsed(packet: HipPacket): DropReason | undefined {
  if (!isHit(packet.senderHit)) return "hip-invalid-hit";
  if (unknownCriticalParameter(packet) !== undefined) return "hip-unknown-critical-parameter";
  return undefined;
}
