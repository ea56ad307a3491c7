/** ICMP errors as routers and hosts send them about a packet of ours. */

import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { buildIcmpUnreachable, ICMP_UNREACHABLE } from "../../lib/wire/icmp.ts";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import {
  buildIcmpv6PacketTooBig,
  buildIcmpv6ParameterProblem,
  buildIcmpv6Unreachable,
  ICMPV6_UNREACHABLE,
} from "../../lib/wire/icmpv6.ts";
import { isIpv4, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { buildIpv4Packet, IPV4_HEADER_LENGTH } from "../../lib/wire/ipv4.ts";
import {
  buildIpv6Packet,
  IPV6_HEADER_LENGTH,
  ipv6Destination,
  ipv6Source,
  NEXT_HEADER,
} from "../../lib/wire/ipv6.ts";
import { buildUdpDatagram } from "../../lib/wire/udp.ts";
import { HIP_UDP_PORT } from "../../lib/wire/udp_encapsulation.ts";

/** "Protocol unreachable", on its way to whoever sent `about`; for IPv6 what a host says there. */
export function unreachable(about: OutgoingPacket): OutgoingPacket {
  const code = ICMP_UNREACHABLE.protocol;
  return message(
    about,
    (quoted, router) => buildIcmpUnreachable(quoted, router, code),
    (quoted, router) => {
      // Parameter Problem, unrecognized Next Header (RFC 4443 §3.4).
      const whole = buildIcmpv6ParameterProblem(quoted, router, 6);
      whole[IPV6_HEADER_LENGTH + 1] = 1;
      return withIcmpv6Checksum(whole);
    },
  );
}

/** What a router says that has no way to there. */
export function noRoute(about: OutgoingPacket): OutgoingPacket {
  return message(
    about,
    (quoted, router) => buildIcmpUnreachable(quoted, router, ICMP_UNREACHABLE.network),
    (quoted, router) => buildIcmpv6Unreachable(quoted, router, ICMPV6_UNREACHABLE.noRoute),
  );
}

function withIcmpv6Checksum(packet: Uint8Array): Uint8Array {
  const at = IPV6_HEADER_LENGTH;
  packet.fill(0, at + 2, at + 4);
  const [source, destination] = [ipv6Source(packet), ipv6Destination(packet)];
  const sum = upperLayerChecksum(source, destination, NEXT_HEADER.icmpv6, packet, at);
  packet.set([sum >>> 8, sum & 0xff], at + 2);
  return packet;
}

/** "Fragmentation needed", or Packet Too Big. @param mtu Octets. */
export function tooBig(about: OutgoingPacket, mtu: number): OutgoingPacket {
  const code = ICMP_UNREACHABLE.fragmentationNeeded;
  return message(
    about,
    (quoted, router) => buildIcmpUnreachable(quoted, router, code, mtu),
    (quoted, router) => buildIcmpv6PacketTooBig(quoted, router, mtu),
  );
}

type Build = (quoted: Uint8Array, router: Uint8Array) => Uint8Array;

function message(about: OutgoingPacket, build4: Build, build6: Build): OutgoingPacket {
  const { source, destination, protocol } = about;
  const bytes = protocol === NEXT_HEADER.udp
    ? buildUdpDatagram(source, HIP_UDP_PORT, destination, about.peerPort!, about.bytes)
    : about.bytes;
  const path = { destination: source, trafficClass: 0, hopLimit: 60 };
  if (isIpv4(source)) {
    const router = parseIpAddress("203.0.113.9");
    const quoted = buildIpv4Packet({ source, destination, protocol, payload: bytes });
    const octets = build4(quoted, router).slice(IPV4_HEADER_LENGTH);
    return { ...path, protocol: 1, source: router, bytes: octets };
  }
  const router = parseIpAddress("2001:db8:9::9");
  const quoted = buildIpv6Packet(source, destination, protocol, bytes);
  const octets = build6(quoted, router).slice(IPV6_HEADER_LENGTH);
  return { ...path, protocol: 58, source: router, bytes: octets };
}
