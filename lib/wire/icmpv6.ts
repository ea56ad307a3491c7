/**
 * ICMPv6 (RFC 4443): errors that quote a packet, and echo. Builders give whole IPv6 packets with
 * checksum; errors go to the source of the packet they quote and never exceed 1280 octets.
 */

import { pseudoHeaderSum, upperLayerChecksum } from "./checksum.ts";
import { emitIcmpMessage } from "./icmp_message.ts";
import { isMulticast, isUnspecified } from "./ip_address.ts";
import {
  buildIpv6Packet,
  IPV6_FIELD,
  IPV6_HEADER_LENGTH,
  IPV6_MINIMUM_MTU,
  ipv6Destination,
  ipv6NextHeader,
  ipv6Source,
  isIpv6Packet,
  NEXT_HEADER,
} from "./ipv6.ts";

/** Octets of type, code, checksum and the four that follow. */
export const ICMPV6_HEADER_LENGTH = 8;

/** Message types; errors are below 128. */
export const ICMPV6_TYPE = {
  destinationUnreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
} as const;

/** Codes of Destination Unreachable (RFC 4443 §3.1). */
export const ICMPV6_UNREACHABLE = {
  noRoute: 0,
  administrativelyProhibited: 1,
  beyondScope: 2,
  addressUnreachable: 3,
  portUnreachable: 4,
  failedPolicy: 5,
  rejectRoute: 6,
} as const;

/**
 * Whether an error may answer this IPv6 packet: never an ICMPv6 error, a multicast destination or
 * a source that is no single host (RFC 4443 §2.4 (e)).
 */
export function mayAnswerWithIcmpv6Error(packet: Uint8Array): boolean {
  if (packet.length < IPV6_HEADER_LENGTH) return false;
  const source = ipv6Source(packet);
  if (isUnspecified(source) || isMulticast(source)) return false;
  if (isMulticast(ipv6Destination(packet))) return false;
  if (ipv6NextHeader(packet) !== NEXT_HEADER.icmpv6) return true;
  const type = packet[IPV6_HEADER_LENGTH];
  // Redirect (137) is informational by number, but counts as an error here (§2.4 (e.2)).
  return type !== undefined && type >= 128 && type !== 137;
}

/**
 * Destination Unreachable for `quoted`, a whole IPv6 packet.
 *
 * @param source Who says so, 16 octets. @param code See `ICMPV6_UNREACHABLE`.
 */
export function buildIcmpv6Unreachable(
  quoted: Uint8Array,
  source: Uint8Array,
  code: number,
): Uint8Array {
  return buildError(ICMPV6_TYPE.destinationUnreachable, code, 0, quoted, source);
}

/** Packet Too Big for `quoted`; `mtu` is what would fit, in octets (RFC 4443 §3.2). */
export function buildIcmpv6PacketTooBig(
  quoted: Uint8Array,
  source: Uint8Array,
  mtu: number,
): Uint8Array {
  return buildError(ICMPV6_TYPE.packetTooBig, 0, mtu, quoted, source);
}

/**
 * Parameter Problem, code 0, for `quoted`; `pointer` counts octets from the start of that packet
 * (RFC 4443 §3.4, RFC 7401 §5.4).
 */
export function buildIcmpv6ParameterProblem(
  quoted: Uint8Array,
  source: Uint8Array,
  pointer: number,
): Uint8Array {
  return buildError(ICMPV6_TYPE.parameterProblem, 0, pointer, quoted, source);
}

/** An echo request or reply (RFC 4443 §4). */
export interface Icmpv6Echo {
  readonly kind: "request" | "reply";
  /** Both 16 octets. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** 16 bits. */
  readonly identifier: number;
  /** 16 bits. */
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** The whole packet of an echo message. */
export function buildIcmpv6Echo(echo: Icmpv6Echo, hopLimit = 64): Uint8Array {
  const type = echo.kind === "request" ? ICMPV6_TYPE.echoRequest : ICMPV6_TYPE.echoReply;
  const word = echo.identifier * 0x10000 + echo.sequence;
  return buildMessage(type, 0, word, echo.data, echo.source, echo.destination, hopLimit);
}

/**
 * Reads an IPv6 packet as an echo message.
 *
 * @returns `undefined` for anything else, and when lengths or checksum are wrong. Slices are views.
 */
export function parseIcmpv6Echo(packet: Uint8Array): Icmpv6Echo | undefined {
  if (!isIpv6Packet(packet, 0, packet.length)) return undefined;
  if (ipv6NextHeader(packet) !== NEXT_HEADER.icmpv6) return undefined;
  const at = IPV6_HEADER_LENGTH;
  if (packet.length < at + ICMPV6_HEADER_LENGTH) return undefined;
  const type = packet[at];
  const isEcho = type === ICMPV6_TYPE.echoRequest || type === ICMPV6_TYPE.echoReply;
  if (!isEcho || packet[at + 1] !== 0) return undefined;
  const source = ipv6Source(packet);
  const destination = ipv6Destination(packet);
  if (upperLayerChecksum(source, destination, NEXT_HEADER.icmpv6, packet, at) !== 0) {
    return undefined;
  }
  return {
    kind: type === ICMPV6_TYPE.echoRequest ? "request" : "reply",
    source,
    destination,
    identifier: (packet[at + 4]! << 8) | packet[at + 5]!,
    sequence: (packet[at + 6]! << 8) | packet[at + 7]!,
    data: packet.subarray(at + ICMPV6_HEADER_LENGTH),
  };
}

/** As much of `quoted` as fits into 1280 octets (RFC 4443 §3). */
function buildError(
  type: number,
  code: number,
  word: number,
  quoted: Uint8Array,
  source: Uint8Array,
): Uint8Array {
  const room = IPV6_MINIMUM_MTU - IPV6_HEADER_LENGTH - ICMPV6_HEADER_LENGTH;
  const body = quoted.subarray(0, room);
  return buildMessage(type, code, word, body, source, ipv6Source(quoted), 64);
}

/** @param word The four octets behind the checksum. */
function buildMessage(
  type: number,
  code: number,
  word: number,
  body: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  hopLimit: number,
): Uint8Array {
  const length = ICMPV6_HEADER_LENGTH + body.length;
  const pseudo = pseudoHeaderSum(source, destination, NEXT_HEADER.icmpv6, length);
  const message = emitIcmpMessage({ type, code, word, body }, pseudo);
  return buildIpv6Packet(source, destination, NEXT_HEADER.icmpv6, message, hopLimit);
}

/**
 * Whether the IPv6 packet at `start` says that nobody has the port of a UDP datagram (RFC 4443 §3.1),
 * of which it quotes the IPv6 and UDP headers.
 */
export function isUdpPortUnreachable(bytes: Uint8Array, start: number, end: number): boolean {
  const at = start + IPV6_HEADER_LENGTH;
  const quoted = at + ICMPV6_HEADER_LENGTH;
  return end - quoted >= IPV6_HEADER_LENGTH + 8 &&
    bytes[start + IPV6_FIELD.nextHeader] === NEXT_HEADER.icmpv6 &&
    bytes[at] === ICMPV6_TYPE.destinationUnreachable &&
    bytes[at + 1] === ICMPV6_UNREACHABLE.portUnreachable &&
    bytes[quoted + IPV6_FIELD.nextHeader] === NEXT_HEADER.udp;
}
