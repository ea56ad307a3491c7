/**
 * The cheap checks that every HIP packet passes before anything is parsed: presence of its octets,
 * version, checksum, type (RFC 7401 §5.1, §5.4).
 */

import { briefOctets } from "../base/brief_octets.ts";
import type { DropReason } from "../base/drop_reason.ts";
import { isHit } from "../identity/hit.ts";
import { type AddressPair, isInUdp } from "../hip/association_context.ts";
import { PACKET } from "../wire/hip/code_points.ts";
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
 * Work: a sum over the packet, but for one in UDP, whose own checksum covers it (RFC 9028 §5.1).
 *
 * @param octets Borrowed until return.
 * @param addresses Outer addresses, which the checksum covers.
 * @returns Why it is dropped, if it is.
 */
export function admitHipPacket(octets: Uint8Array, addresses: AddressPair): DropReason | undefined {
  if (octets.length < HIP_HEADER_LENGTH) return "hip-malformed";
  const length = lengthOf(octets);
  if (length < HIP_HEADER_LENGTH || octets.length < length) return "hip-malformed";
  if (octets[HIP_FIELD.version]! >> 4 !== HIP_VERSION) return "hip-bad-version";
  if (!isInUdp(addresses) && !checksumOk(octets, addresses.peer, addresses.local)) {
    return "hip-bad-checksum";
  }
  if (!isKnownPacketType(octets[HIP_FIELD.packetType]! & 0x7f)) return "hip-unknown-type";
  return undefined;
}

/** A packet that was admitted, with the addresses it came over, to be kept by whoever wants. */
export interface AdmittedPacket {
  /** Exactly the packet. */
  readonly octets: Uint8Array;
  readonly addresses: AddressPair;
}

/**
 * Copies, which lie in one block: making three costs more than all checks together. Nothing of an
 * I1 is kept.
 */
export function takeIn(octets: Uint8Array, addresses: AddressPair): AdmittedPacket {
  const length = lengthOf(octets);
  const isI1 = (octets[HIP_FIELD.packetType]! & 0x7f) === PACKET.I1;
  const block = isI1 ? briefOctets(32 + length) : new Uint8Array(32 + length);
  block.set(addresses.local, 0);
  block.set(addresses.peer, 16);
  block.set(octets.subarray(0, length), 32);
  return {
    octets: block.subarray(32),
    addresses: {
      local: block.subarray(0, 16),
      peer: block.subarray(16, 32),
      peerPort: addresses.peerPort ?? 0,
    },
  };
}

function lengthOf(octets: Uint8Array): number {
  return (octets[HIP_FIELD.headerLength]! + 1) * 8;
}

/** What NOTIFY says beside its type: which critical parameter was unknown (RFC 7401 §5.2.19). */
export function notificationData(reason: DropReason, octets: Uint8Array): Uint8Array {
  if (reason !== "hip-unknown-critical-parameter") return new Uint8Array(0);
  const type = unknownCriticalParameter(parseHipPacket(octets)) ?? 0;
  return new Uint8Array([type >>> 8, type & 0xff]);
}

/** The checks that need the parameters but no association. */
export function admitParsed(packet: HipPacket): DropReason | undefined {
  if (!isHit(packet.senderHit)) return "hip-invalid-hit";
  if (unknownCriticalParameter(packet) !== undefined) return "hip-unknown-critical-parameter";
  return undefined;
}
