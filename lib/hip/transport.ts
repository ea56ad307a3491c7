/**
 * What carries HIP and ESP to a peer: IP alone (protocols 139 and 50), or UDP (RFC 9028 §4.7.3,
 * Appendix E). Whoever answers does so over what the question came by.
 */

import { HIP_UDP_PORT } from "../wire/udp_encapsulation.ts";

export const TRANSPORTS = ["auto", "udp", "raw"] as const;

/** `auto`: UDP, and IP alone for peers that do not answer to it. */
export type Transport = typeof TRANSPORTS[number];

/** Whether an exchange may begin, or be begun with us, like this. @param peerPort 0: without UDP. */
export function permits(transport: Transport, peerPort: number): boolean {
  return transport === "auto" || (transport === "udp") === (peerPort !== 0);
}

/**
 * The ports to which I1 goes, 0 for without UDP: to the first at once, to the others when that gets
 * no answer.
 *
 * @param met What the peer was met over last at the same address, if it was.
 */
export function portsToTry(transport: Transport, met: number | undefined): number[] {
  const ports = transport === "udp"
    ? [HIP_UDP_PORT]
    : transport === "raw"
    ? [0]
    : [HIP_UDP_PORT, 0];
  if (met === undefined || !permits(transport, met)) return ports;
  return [met, ...ports.filter((port) => port !== met)];
}
