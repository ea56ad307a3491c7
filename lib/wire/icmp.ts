/**
 * ICMP for IPv4 (RFC 792, RFC 1191): errors that quote a packet, and echo. Builders give whole IPv4
 * packets with both checksums; errors go to the source of the packet they quote and never exceed
 * 576 octets (RFC 1812 §4.3.2.3).
 */

import { finishSum, sumBytes } from "./checksum.ts";
import { emitIcmpMessage } from "./icmp_message.ts";
import { isMulticast, isUnspecified, mapIpv4 } from "./ip_address.ts";
import { buildIpv4Packet, IPV4_FIELD, IPV4_HEADER_LENGTH, parseIpv4Header } from "./ipv4.ts";
import { NEXT_HEADER } from "./ipv6.ts";

/** Octets of type, code, checksum and the four that follow. */
export const ICMP_HEADER_LENGTH = 8;

const ICMP_ERROR_MAXIMUM = 576;

/** Message types. */
export const ICMP_TYPE = {
  echoReply: 0,
  destinationUnreachable: 3,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const;

/** Codes of Destination Unreachable (RFC 792, RFC 1812 §5.2.7.1). */
export const ICMP_UNREACHABLE = {
  network: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  administrativelyProhibited: 13,
} as const;

/**
 * Whether an error may answer this IPv4 packet: never an ICMP error, a multicast address, a source
 * that is no single host, or a fragment but the first (RFC 1812 §4.3.2.7).
 *
 * @throws {MalformedPacketError} When `packet` is not an IPv4 packet.
 */
export function mayAnswerWithIcmpError(packet: Uint8Array): boolean {
  const header = parseIpv4Header(packet);
  if (isUnspecified(header.source) || isMulticast(header.source)) return false;
  if (isMulticast(header.destination) || header.fragmentOffset !== 0) return false;
  if (header.protocol !== NEXT_HEADER.icmp) return true;
  const type = packet[header.headerLength];
  return type === ICMP_TYPE.echoRequest || type === ICMP_TYPE.echoReply;
}

/**
 * Destination Unreachable for `quoted`, a whole IPv4 packet.
 *
 * @param source Who says so, IPv4-mapped. @param code See `ICMP_UNREACHABLE`.
 * @param mtu With `fragmentationNeeded`: octets that would fit (RFC 1191 §4).
 */
export function buildIcmpUnreachable(
  quoted: Uint8Array,
  source: Uint8Array,
  code: number,
  mtu = 0,
): Uint8Array {
  return buildError(ICMP_TYPE.destinationUnreachable, code, mtu, quoted, source);
}

/**
 * Parameter Problem, code 0, for `quoted`; `pointer`, 0 to 255, counts octets from the start of
 * that packet (RFC 792, RFC 7401 §5.4).
 */
export function buildIcmpParameterProblem(
  quoted: Uint8Array,
  source: Uint8Array,
  pointer: number,
): Uint8Array {
  return buildError(ICMP_TYPE.parameterProblem, 0, (pointer & 0xff) * 0x1000000, quoted, source);
}

/** An echo request or reply. */
export interface IcmpEcho {
  readonly kind: "request" | "reply";
  /** Both 16 octets, IPv4-mapped. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** 16 bits. */
  readonly identifier: number;
  /** 16 bits. */
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** The whole packet of an echo message. */
export function buildIcmpEcho(echo: IcmpEcho): Uint8Array {
  const type = echo.kind === "request" ? ICMP_TYPE.echoRequest : ICMP_TYPE.echoReply;
  const word = echo.identifier * 0x10000 + echo.sequence;
  return buildMessage(type, 0, word, echo.data, echo.source, echo.destination);
}

/**
 * Reads a whole IPv4 packet as an echo message.
 *
 * @returns `undefined` for anything else, and when the ICMP checksum is wrong. Slices are views.
 * @throws {MalformedPacketError} When `packet` is not an IPv4 packet.
 */
export function parseIcmpEcho(packet: Uint8Array): IcmpEcho | undefined {
  const header = parseIpv4Header(packet);
  const isFragment = header.moreFragments || header.fragmentOffset !== 0;
  if (header.protocol !== NEXT_HEADER.icmp || isFragment) return undefined;
  const message = packet.subarray(header.headerLength, header.totalLength);
  if (message.length < ICMP_HEADER_LENGTH) return undefined;
  const type = message[0];
  if (type !== ICMP_TYPE.echoRequest && type !== ICMP_TYPE.echoReply) return undefined;
  if (message[1] !== 0 || finishSum(sumBytes(message, 0, message.length)) !== 0) {
    return undefined;
  }
  return {
    kind: type === ICMP_TYPE.echoRequest ? "request" : "reply",
    source: header.source,
    destination: header.destination,
    identifier: (message[4]! << 8) | message[5]!,
    sequence: (message[6]! << 8) | message[7]!,
    data: message.subarray(ICMP_HEADER_LENGTH),
  };
}

function buildError(
  type: number,
  code: number,
  word: number,
  quoted: Uint8Array,
  source: Uint8Array,
): Uint8Array {
  const body = quoted.subarray(0, ICMP_ERROR_MAXIMUM - IPV4_HEADER_LENGTH - ICMP_HEADER_LENGTH);
  return buildMessage(type, code, word, body, source, mapIpv4(quoted, IPV4_FIELD.source));
}

/** @param word The four octets behind the checksum. */
function buildMessage(
  type: number,
  code: number,
  word: number,
  body: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array {
  const payload = emitIcmpMessage({ type, code, word, body });
  return buildIpv4Packet({ source, destination, protocol: NEXT_HEADER.icmp, payload });
}
