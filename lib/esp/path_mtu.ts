/**
 * The path MTU of an SA, as ICMP reports it (RFC 4301 §8.2, RFC 8201, RFC 1191).
 *
 * A report lowers it and never raises it; it is forgotten with age, and when the SA gets another
 * path. What applications are told never falls below 1280, the least that IPv6 allows, which is also
 * the floor under forged reports (RFC 4301 §6.1.1): the system cuts up outer packets that the path
 * does not carry.
 */

import { after, type Duration, type Instant } from "../base/time.ts";
import { isIpv4 } from "../wire/ip_address.ts";
import { offeredMtu } from "./inner_mtu.ts";
import type { OutboundSa } from "./security_association.ts";

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
  if (sa.pathMtu !== undefined && mtu >= sa.pathMtu.octets) return false;
  const family = isIpv4(sa.peerAddress) ? 4 : 6;
  sa.pathMtu = { octets: mtu, until: after(now, lifetime) };
  sa.innerLimit = offeredMtu(sa.suite, mtu, { family, isUdp: sa.peerPort !== 0 });
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
