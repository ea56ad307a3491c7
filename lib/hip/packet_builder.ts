/**
 * Protected packets, built the way RFC 7401 §6.4 tells it: parameters in order of type, then the
 * MAC over what stands before it, then the signature over that, then what nothing covers.
 *
 * Every function takes a packet and gives a longer one in a new array. Header Length always counts
 * what is there, and Checksum is zero throughout: it belongs to an address pair and comes last
 * (§6.4.1, §6.4.2).
 */

import { concatBytes } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../crypto/host_key.ts";
import { hipMac } from "../crypto/mac.ts";
import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import type { Rhash } from "../crypto/rhash.ts";
import { HIP_PACKET_MAXIMUM, setHeaderLength } from "../wire/hip/packet.ts";
import { encodeParameter, type ParameterCodec } from "../wire/hip/parameter.ts";
import { HIP_MAC, HIP_MAC_2 } from "../wire/hip/parameters/hip_mac.ts";
import { HOST_ID } from "../wire/hip/parameters/host_id.ts";
import {
  HIP_SIGNATURE,
  HIP_SIGNATURE_2,
  type HipSignature,
} from "../wire/hip/parameters/hip_signature.ts";

/** Our HOST_ID, without a domain identifier (§5.2.9). */
export function hostIdTlv({ algorithm, hostIdentity }: PublicHostIdentity): Uint8Array {
  const domainId = new Uint8Array(0);
  return encodeParameter(HOST_ID, { algorithm, hostIdentity, domainIdType: 0, domainId });
}

/**
 * Appends whole TLVs, which the caller gives in ascending order and above all that is there. The
 * result may exceed `HIP_PACKET_MAXIMUM`: whoever sends it asks.
 */
export function withParameters(packet: Uint8Array, ...tlvs: Uint8Array[]): Uint8Array {
  const longer = concatBytes(packet, ...tlvs);
  if (longer.length <= HIP_PACKET_MAXIMUM) setHeaderLength(longer, longer.length);
  return longer;
}

/**
 * `HIP_MAC = HMAC(integrity key, header | parameters below 61505)` (RFC 7401 §6.4.1).
 *
 * @param key Integrity key of the sender's direction.
 */
export function withHipMac(packet: Uint8Array, rhash: Rhash, key: Uint8Array): Uint8Array {
  return withParameters(packet, encodeParameter(HIP_MAC, { mac: hipMac(rhash, key, packet) }));
}

/**
 * `HIP_MAC_2 = HMAC(integrity key, header | parameters below 61569 | HOST_ID of the Responder)`,
 * the header counting the HOST_ID, which itself is not sent (RFC 7401 §6.4.1).
 *
 * @param hostIdTlv Exactly as in the R1, padding included.
 */
export function withHipMac2(
  packet: Uint8Array,
  rhash: Rhash,
  key: Uint8Array,
  hostIdTlv: Uint8Array,
): Uint8Array {
  const mac = hipMac(rhash, key, withParameters(packet, hostIdTlv));
  return withParameters(packet, encodeParameter(HIP_MAC_2, { mac }));
}

/** HIP_SIGNATURE over everything before it, any MAC included (RFC 7401 §6.4.2). */
export function withSignature(
  packet: Uint8Array,
  identity: PrivateHostIdentity,
  random: Random,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): Uint8Array {
  return withSignatureOf(HIP_SIGNATURE, packet, identity, random, publicKeys);
}

/**
 * HIP_SIGNATURE_2 over everything before it. The packet must hold zeros where the signature wants
 * them: receiver HIT, and Opaque and #I of PUZZLE (RFC 7401 §5.2.15, §6.4.2).
 */
export function withSignature2(
  packet: Uint8Array,
  identity: PrivateHostIdentity,
  random: Random,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): Uint8Array {
  return withSignatureOf(HIP_SIGNATURE_2, packet, identity, random, publicKeys);
}

function withSignatureOf(
  codec: ParameterCodec<HipSignature>,
  packet: Uint8Array,
  identity: PrivateHostIdentity,
  random: Random,
  publicKeys: PublicKeyProvider,
): Uint8Array {
  const signature = publicKeys.sign(identity, packet, random);
  return withParameters(
    packet,
    encodeParameter(codec, { algorithm: identity.algorithm, signature }),
  );
}
