/**
 * Errors of ICMP as errors of ICMPv6 and back, the quoted packet included (RFC 7915 §4.2, §5.2).
 * The quoted packet went the other way: its source is the error's destination. Checksums are left
 * to the caller.
 */

import { finishSum, sumBytes } from "./checksum.ts";
import { ICMP_TYPE, ICMP_UNREACHABLE } from "./icmp.ts";
import { ICMPV6_TYPE, ICMPV6_UNREACHABLE } from "./icmpv6.ts";
import { buildIpv4Packet, IPV4_FIELD, IPV4_HEADER_LENGTH, ipv4HeaderLength } from "./ipv4.ts";
import {
  buildIpv6Packet,
  IPV6_FIELD,
  IPV6_HEADER_LENGTH,
  ipv6NextHeader,
  ipVersion,
  NEXT_HEADER,
} from "./ipv6.ts";

const HEADER_LENGTH = 8;

/** What the header of IPv6 has more than that of IPv4. */
const GROWTH = IPV6_HEADER_LENGTH - IPV4_HEADER_LENGTH;

/** Octets of a quoted packet that are kept: an error stays below the smallest MTU. */
const MOST_QUOTED = 512;

/** Parameter Problem, code 1: unrecognized Next Header (RFC 4443 §3.4). */
const UNRECOGNIZED = 1;

/**
 * An ICMP error for the host with the HIT `destination` about a packet that it sent to `source`.
 *
 * @param message From the type on. @returns Undefined for what has no counterpart.
 */
export function translateIcmpError(
  message: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array | undefined {
  const head = headOfIcmp(message);
  const quoted = message.subarray(HEADER_LENGTH);
  if (head === undefined || quoted.length < IPV4_HEADER_LENGTH || ipVersion(quoted) !== 4) {
    return undefined;
  }
  const payload = quoted.slice(ipv4HeaderLength(quoted)).subarray(0, MOST_QUOTED);
  const protocol = quoted[IPV4_FIELD.protocol]!;
  const next = protocol === NEXT_HEADER.icmp ? NEXT_HEADER.icmpv6 : protocol;
  const hops = quoted[IPV4_FIELD.timeToLive]!;
  const packet = buildIpv6Packet(destination, source, next, payload, hops);
  moveUdpChecksum(packet, IPV6_HEADER_LENGTH, protocol, quoted.subarray(12, 20), packet, 8);
  return join(head, packet);
}

/** The reverse; addresses are LSIs, IPv4-mapped. */
export function translateIcmpv6Error(
  message: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array | undefined {
  const head = headOfIcmpv6(message);
  const quoted = message.subarray(HEADER_LENGTH);
  if (head === undefined || quoted.length < IPV6_HEADER_LENGTH || ipVersion(quoted) !== 6) {
    return undefined;
  }
  const payload = quoted.subarray(IPV6_HEADER_LENGTH, IPV6_HEADER_LENGTH + MOST_QUOTED).slice();
  const next = ipv6NextHeader(quoted);
  const protocol = next === NEXT_HEADER.icmpv6 ? NEXT_HEADER.icmp : next;
  const packet = buildIpv4Packet({
    source: destination,
    destination: source,
    protocol,
    payload,
    timeToLive: quoted[IPV6_FIELD.hopLimit]!,
  });
  if (protocol === NEXT_HEADER.icmp && payload.length > 0) {
    packet[IPV4_HEADER_LENGTH] = payload[0] === ICMPV6_TYPE.echoRequest
      ? ICMP_TYPE.echoRequest
      : ICMP_TYPE.echoReply;
  }
  moveUdpChecksum(packet, IPV4_HEADER_LENGTH, protocol, quoted.subarray(8, 40), packet, 12);
  return join(head, packet);
}

interface Head {
  readonly type: number;
  readonly code: number;
  /** The four octets behind the checksum. */
  readonly word: number;
}

function headOfIcmp(message: Uint8Array): Head | undefined {
  const [type, code] = [message[0]!, message[1]!];
  if (type === ICMP_TYPE.timeExceeded) return { type: ICMPV6_TYPE.timeExceeded, code, word: 0 };
  if (type !== ICMP_TYPE.destinationUnreachable) return undefined;
  const unreachable = (six: number) => ({
    type: ICMPV6_TYPE.destinationUnreachable,
    code: six,
    word: 0,
  });
  switch (code) {
    case ICMP_UNREACHABLE.protocol:
      return {
        type: ICMPV6_TYPE.parameterProblem,
        code: UNRECOGNIZED,
        word: IPV6_FIELD.nextHeader,
      };
    case ICMP_UNREACHABLE.port:
      return unreachable(ICMPV6_UNREACHABLE.portUnreachable);
    case ICMP_UNREACHABLE.fragmentationNeeded: {
      const mtu = (message[6]! << 8) | message[7]!;
      return { type: ICMPV6_TYPE.packetTooBig, code: 0, word: mtu + GROWTH };
    }
    case 9:
    case 10:
    case ICMP_UNREACHABLE.administrativelyProhibited:
      return unreachable(ICMPV6_UNREACHABLE.administrativelyProhibited);
    default:
      return unreachable(ICMPV6_UNREACHABLE.noRoute);
  }
}

function headOfIcmpv6(message: Uint8Array): Head | undefined {
  const [type, code] = [message[0]!, message[1]!];
  const unreachable = (four: number, word = 0) => ({
    type: ICMP_TYPE.destinationUnreachable,
    code: four,
    word,
  });
  switch (type) {
    case ICMPV6_TYPE.timeExceeded:
      return { type: ICMP_TYPE.timeExceeded, code, word: 0 };
    case ICMPV6_TYPE.packetTooBig: {
      const mtu = (message[6]! << 8) | message[7]!;
      return unreachable(ICMP_UNREACHABLE.fragmentationNeeded, Math.max(68, mtu - GROWTH));
    }
    case ICMPV6_TYPE.parameterProblem:
      return code === UNRECOGNIZED ? unreachable(ICMP_UNREACHABLE.protocol) : undefined;
    case ICMPV6_TYPE.destinationUnreachable:
      if (code === ICMPV6_UNREACHABLE.portUnreachable) return unreachable(ICMP_UNREACHABLE.port);
      return code === ICMPV6_UNREACHABLE.administrativelyProhibited
        ? unreachable(ICMP_UNREACHABLE.administrativelyProhibited)
        : unreachable(ICMP_UNREACHABLE.host);
    default:
      return undefined;
  }
}

/** The quoted datagram's own checksum follows its addresses, as far as it is quoted at all. */
function moveUdpChecksum(
  packet: Uint8Array,
  upper: number,
  protocol: number,
  oldAddresses: Uint8Array,
  newAddresses: Uint8Array,
  at: number,
): void {
  const where = upper + 6;
  if (protocol !== NEXT_HEADER.udp || packet.length < where + 2) return;
  const value = (packet[where]! << 8) | packet[where + 1]!;
  if (value === 0) return;
  const before = finishSum(sumBytes(oldAddresses, 0, oldAddresses.length));
  const now = sumBytes(newAddresses, at, upper);
  const sum = finishSum((~value & 0xffff) + before + now);
  packet[where] = sum >>> 8;
  packet[where + 1] = sum;
}

function join({ type, code, word }: Head, packet: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_LENGTH + packet.length);
  message[0] = type;
  message[1] = code;
  new DataView(message.buffer).setUint32(4, word);
  message.set(packet, HEADER_LENGTH);
  return message;
}
