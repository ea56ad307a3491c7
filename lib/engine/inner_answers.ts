/** What an application hears when its packet cannot be delivered. */

import {
  buildIcmpv6PacketTooBig,
  buildIcmpv6Unreachable,
  mayAnswerWithIcmpv6Error,
} from "../wire/icmpv6.ts";

const INNER_DESTINATION = 24;
/** ICMPv6 Destination Unreachable, address unreachable (RFC 4443 §3.1). */
const ADDRESS_UNREACHABLE = 3;

/**
 * Answers for the peer that cannot be reached: no router in between could (RFC 4443 §3.1).
 *
 * @param packet The inner packet that is not sent.
 * @returns Undefined when it must not be answered.
 */
export function unreachableAnswer(packet: Uint8Array): Uint8Array | undefined {
  if (!mayAnswerWithIcmpv6Error(packet)) return undefined;
  return buildIcmpv6Unreachable(packet, peerHitOf(packet), ADDRESS_UNREACHABLE);
}

/**
 * Says in the peer's name what the path carries (RFC 4301 §8.2.1, RFC 4443 §3.2).
 *
 * @param packet The inner packet that is not sent. @param mtu Octets, 1280 at least.
 * @returns Undefined when it must not be answered.
 */
export function packetTooBigAnswer(packet: Uint8Array, mtu: number): Uint8Array | undefined {
  if (!mayAnswerWithIcmpv6Error(packet)) return undefined;
  return buildIcmpv6PacketTooBig(packet, peerHitOf(packet), mtu);
}

function peerHitOf(packet: Uint8Array): Uint8Array {
  return packet.slice(INNER_DESTINATION, INNER_DESTINATION + 16);
}
