/**
 * The path MTU of an SA, as ICMP reports it (RFC 4301 §8.2, RFC 8201, RFC 1191).
 *
 * A report lowers it, never raises it, and never below a floor; it is forgotten with age, and when
 * the SA gets another path. What applications are told never falls below 1280, the least that IPv6
 * allows: the system cuts up outer packets that the path does not carry.
 */

import { after, type Duration, type Instant } from "../base/time.ts";
import { isIpv4 } from "../wire/ip_address.ts";
import { offeredMtu, SMALLEST_IPV6_MTU } from "./inner_mtu.ts";
import type { OutboundSa } from "./security_association.ts";

/**
 * Floors: every IPv6 link carries 1280 octets (RFC 8200 §5), every IPv4 host takes 576 (RFC 1122
 * §3.3.3). Below lie only forged reports and links that nobody has (RFC 4301 §6.1.1).
 */
const FLOOR = { 4: 576, 6: SMALLEST_IPV6_MTU } as const;

/**
 * Takes in a reported path MTU; `mtu` in octets, outer IP header included.
 *
 * @returns Whether anything follows from it.
 */
export function lowerPathMtu(
  sa: OutboundSa,
  mtu: number,
  now: Instant,
  lifetime: Duration,
): boolean {
  if (mtu === 0) return false;
  const family = isIpv4(sa.peerAddress) ? 4 : 6;
  const pathMtu = Math.max(FLOOR[family], mtu);
  if (sa.pathMtu !== undefined && pathMtu >= sa.pathMtu.octets) return false;
  sa.pathMtu = { octets: pathMtu, until: after(now, lifetime) };
  sa.innerLimit = offeredMtu(sa.suite, pathMtu, { family });
  return true;
}

/**
 * Whether an inner packet above `sa.innerLimit` must not go out: so long as what was reported is not
 * too old. When it is, it is forgotten (RFC 4301 §8.2.2).
 */
export function isPathMtuInForce(sa: OutboundSa, now: Instant): boolean {
  if (sa.pathMtu !== undefined && now < sa.pathMtu.until) return true;
  sa.forgetPathMtu();
  return false;
}
