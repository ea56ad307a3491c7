/**
 * ICMP and ICMPv6 errors as they come in: what they say, and of which packet (RFC 792, RFC 1191 §4,
 * RFC 4443 §3). Nobody vouches for them: the quoted packet is all that can be checked.
 */

import { finishSum, pseudoHeaderSum, sumBytes } from "./checksum.ts";
import { ICMP_TYPE, ICMP_UNREACHABLE } from "./icmp.ts";
import { ICMPV6_TYPE, ICMPV6_UNREACHABLE } from "./icmpv6.ts";
import { mapIpv4 } from "./ip_address.ts";
import { IPV4_FIELD, IPV4_HEADER_LENGTH, ipv4HeaderLength, ipv4Protocol } from "./ipv4.ts";
import {
  IPV6_HEADER_LENGTH,
  ipv6Destination,
  ipv6NextHeader,
  ipv6Source,
  ipVersion,
  NEXT_HEADER,
} from "./ipv6.ts";
import { UDP_HEADER_LENGTH, udpDestinationPort } from "./udp.ts";
import { classifyUdp, ZERO_MARKER_LENGTH } from "./udp_encapsulation.ts";

/** Octets of type, code, checksum and the four that follow. */
const MESSAGE_HEADER_LENGTH = 8;

/** Octets of an IPv6 fragment header (RFC 8200 §4.5). */
const FRAGMENT_HEADER_LENGTH = 8;

/** What ICMPv6 says in place of "protocol unreachable": Parameter Problem, code 1 (RFC 4443 §3.4). */
const UNRECOGNIZED_NEXT_HEADER = 1;

/** What packet filters say with ICMP: network, host, communication prohibited (RFC 1812 §5.2.7.1). */
const PROHIBITED: ReadonlySet<number> = new Set([
  9,
  10,
  ICMP_UNREACHABLE.administrativelyProhibited,
]);

/** The beginning of a packet, as an error quotes it. Slices are views. */
export interface QuotedPacket {
  /** Both 16 octets. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** 50 ESP, 139 HIP; in UDP or by itself. */
  readonly protocol: number;
  /** The UDP port that it was sent to; 0 when it went by itself. */
  readonly peerPort: number;
  /** As much of it as was quoted; may be empty. */
  readonly payload: Uint8Array;
}

/** An error about a packet. */
export type IcmpError =
  | {
    readonly kind: "too-big";
    /** Octets that would have fit, IP header included; 0 when the sender does not say. */
    readonly mtu: number;
    readonly quoted: QuotedPacket;
  }
  | {
    readonly kind: "unreachable";
    /** Whether somebody forbids it: "administratively prohibited". */
    readonly isProhibited: boolean;
    readonly quoted: QuotedPacket;
  };

/**
 * Reads a message, which begins behind the IP header, as an error.
 *
 * @param protocol 1 or 58. @param source Who says so. @param destination We.
 * @returns Undefined for messages of another type, a wrong checksum, and quotations that do not
 *   hold the start of a packet: other fragments than the first tell nothing.
 */
export function parseIcmpError(
  message: Uint8Array,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
): IcmpError | undefined {
  if (message.length < MESSAGE_HEADER_LENGTH) return undefined;
  const isV6 = protocol === NEXT_HEADER.icmpv6;
  const pseudo = isV6 ? pseudoHeaderSum(source, destination, protocol, message.length) : 0;
  if (finishSum(sumBytes(message, 0, message.length, pseudo)) !== 0) return undefined;
  const packet = message.subarray(MESSAGE_HEADER_LENGTH);
  const inner = isV6 ? quotedIpv6(packet) : quotedIpv4(packet);
  const quoted = inner?.protocol === NEXT_HEADER.udp ? quotedInUdp(inner) : inner;
  if (quoted === undefined) return undefined;
  const type = message[0]!;
  const word = new DataView(message.buffer, message.byteOffset).getUint32(4);
  if (isV6) {
    if (type === ICMPV6_TYPE.packetTooBig) return { kind: "too-big", mtu: word, quoted };
    const isUnreachable = type === ICMPV6_TYPE.destinationUnreachable ||
      (type === ICMPV6_TYPE.parameterProblem && message[1] === UNRECOGNIZED_NEXT_HEADER);
    const isProhibited = type === ICMPV6_TYPE.destinationUnreachable &&
      message[1] === ICMPV6_UNREACHABLE.administrativelyProhibited;
    return isUnreachable ? { kind: "unreachable", isProhibited, quoted } : undefined;
  }
  if (type !== ICMP_TYPE.destinationUnreachable) return undefined;
  return message[1] === ICMP_UNREACHABLE.fragmentationNeeded
    ? { kind: "too-big", mtu: word & 0xffff, quoted }
    : { kind: "unreachable", isProhibited: PROHIBITED.has(message[1]!), quoted };
}

function quotedIpv4(packet: Uint8Array): QuotedPacket | undefined {
  if (packet.length < IPV4_HEADER_LENGTH || ipVersion(packet) !== 4) return undefined;
  const headerLength = ipv4HeaderLength(packet);
  if (headerLength < IPV4_HEADER_LENGTH) return undefined;
  const at = IPV4_FIELD.flagsAndFragment;
  if ((((packet[at]! << 8) | packet[at + 1]!) & 0x1fff) !== 0) return undefined;
  return {
    source: mapIpv4(packet, IPV4_FIELD.source),
    destination: mapIpv4(packet, IPV4_FIELD.destination),
    protocol: ipv4Protocol(packet),
    peerPort: 0,
    payload: packet.subarray(headerLength),
  };
}

function quotedIpv6(packet: Uint8Array): QuotedPacket | undefined {
  if (packet.length < IPV6_HEADER_LENGTH || ipVersion(packet) !== 6) return undefined;
  let protocol = ipv6NextHeader(packet);
  let start = IPV6_HEADER_LENGTH;
  // The system cuts up what is too long for the path that it knows.
  if (protocol === NEXT_HEADER.fragment) {
    if (packet.length < start + FRAGMENT_HEADER_LENGTH) return undefined;
    if (packet[start + 2] !== 0 || packet[start + 3]! >>> 3 !== 0) return undefined;
    protocol = packet[start]!;
    start += FRAGMENT_HEADER_LENGTH;
  }
  return {
    source: ipv6Source(packet),
    destination: ipv6Destination(packet),
    protocol,
    peerPort: 0,
    payload: packet.subarray(start),
  };
}

/** The packet that a UDP datagram carries. */
function quotedInUdp(packet: QuotedPacket): QuotedPacket | undefined {
  const { payload } = packet;
  const content = classifyUdp(payload, UDP_HEADER_LENGTH, payload.length);
  if (content !== "hip" && content !== "esp") return undefined;
  const isHip = content === "hip";
  return {
    ...packet,
    protocol: isHip ? NEXT_HEADER.hip : NEXT_HEADER.esp,
    peerPort: udpDestinationPort(payload),
    payload: payload.subarray(UDP_HEADER_LENGTH + (isHip ? ZERO_MARKER_LENGTH : 0)),
  };
}
