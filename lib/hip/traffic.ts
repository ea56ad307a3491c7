/** What an association has carried, over all the SAs it had. */

import type { InboundSa, OutboundSa } from "../esp/security_association.ts";

/** Counts since the association was established. */
export interface Traffic {
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly octetsIn: bigint;
  readonly octetsOut: bigint;
}

export const NO_TRAFFIC: Traffic = { packetsIn: 0n, packetsOut: 0n, octetsIn: 0n, octetsOut: 0n };

/** `traffic` and what these SAs have counted. */
export function withTraffic(
  traffic: Traffic,
  inbound: InboundSa | undefined,
  outbound?: OutboundSa,
): Traffic {
  return {
    packetsIn: traffic.packetsIn + (inbound?.packets ?? 0n),
    packetsOut: traffic.packetsOut + (outbound?.packets ?? 0n),
    octetsIn: traffic.octetsIn + (inbound?.octets ?? 0n),
    octetsOut: traffic.octetsOut + (outbound?.octets ?? 0n),
  };
}
