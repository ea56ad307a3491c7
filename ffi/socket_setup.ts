/** How sockets of packets are set up: queues, path MTU, what comes with a packet. */

import type { IpFamily, IpSocketOptions } from "../lib/runtime/ports.ts";
import * as c from "./layouts.ts";
import { Ipv4Headers, Ipv6Headers, type PacketHeaders } from "./packet_headers.ts";
import { setSocketOption, trySocketOption } from "./socket_option.ts";

/** Octets that the kernel may hold for us in each direction. */
const QUEUE_SIZE = 4 << 20;

/** The address family's number. */
export function domainOf(family: IpFamily): number {
  return family === 4 ? c.AF_INET : c.AF_INET6;
}

export function headersOf(family: IpFamily): PacketHeaders {
  return family === 4 ? new Ipv4Headers() : new Ipv6Headers();
}

/**
 * Sets what all of them have. Fragments: what fits the path MTU that the kernel knows leaves over
 * IPv4 with "don't fragment" where that was asked for, so that routers report a smaller MTU; it
 * always does over IPv6. Longer packets are cut up.
 *
 * @throws {SyscallError}
 */
export function setUpPackets(
  descriptor: number,
  family: IpFamily,
  { discoversPathMtu }: IpSocketOptions,
): void {
  for (const option of [c.SO_RCVBUF, c.SO_RCVBUFFORCE, c.SO_SNDBUF, c.SO_SNDBUFFORCE]) {
    // The plain form is bounded by the system's settings, the forced one needs CAP_NET_ADMIN.
    trySocketOption(descriptor, c.SOL_SOCKET, option, QUEUE_SIZE);
  }
  if (family === 4) {
    const mode = discoversPathMtu ? c.IP_PMTUDISC_WANT : c.IP_PMTUDISC_DONT;
    setSocketOption(descriptor, c.SOL_IP, c.IP_MTU_DISCOVER, mode);
    return;
  }
  setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_MTU_DISCOVER, c.IPV6_PMTUDISC_WANT);
  setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVPKTINFO, 1);
  setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVTCLASS, 1);
  setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_RECVHOPLIMIT, 1);
}
