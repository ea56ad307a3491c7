/** ICMP errors as routers and hosts send them about a packet of ours. */

import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { buildIcmpUnreachable, ICMP_UNREACHABLE } from "../../lib/wire/icmp.ts";
import { buildIcmpv6PacketTooBig, buildIcmpv6Unreachable } from "../../lib/wire/icmpv6.ts";
import { isIpv4, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { buildIpv4Packet, IPV4_HEADER_LENGTH } from "../../lib/wire/ipv4.ts";
import { buildIpv6Packet, IPV6_HEADER_LENGTH } from "../../lib/wire/ipv6.ts";

/** Codes of "protocol unreachable" for IPv4, and the nearest that ICMPv6 has: "port". */
const CODES = { 4: ICMP_UNREACHABLE.protocol, 6: 4 } as const;

/** A message about `about`, on its way to whoever sent that. */
export function unreachable(about: OutgoingPacket): OutgoingPacket {
  return message(
    about,
    (quoted, router) => buildIcmpUnreachable(quoted, router, CODES[4]),
    (quoted, router) => buildIcmpv6Unreachable(quoted, router, CODES[6]),
  );
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

function message(
  { source, destination, protocol, bytes }: OutgoingPacket,
  build4: Build,
  build6: Build,
): OutgoingPacket {
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
