/** An association as `hip status` shows it. */

import { espSuite } from "../crypto/esp_suite.ts";
import type { InboundSa } from "../esp/security_association.ts";
import type { Association } from "../hip/association.ts";
import type { AssociationStatus } from "./effects.ts";

/** @param name The name its peer was learned under, or "". */
export function associationStatus(association: Association, name: string): AssociationStatus {
  const { security, keys } = association;
  const outbound = security?.outbound;
  const inbound = security?.inbound;
  return {
    localHit: association.localHit,
    peerHit: association.peerHit,
    name,
    state: association.state,
    role: association.role,
    opportunisticAddress: association.opportunisticAddress,
    localAddress: outbound?.localAddress.slice(),
    peerAddress: outbound?.peerAddress.slice(),
    inboundSpi: inbound?.spi,
    outboundSpi: outbound?.spi,
    espSuite: keys === undefined ? undefined : espSuite(keys.espSuite).name,
    sequenceNumbers: sequenceNumbers(inbound),
    dhGroup: keys?.dhGroup,
    hipCipher: keys?.hipCipher,
    peerAlgorithm: keys?.peerIdentity.algorithm,
    packetsIn: Number(inbound?.packets ?? 0n),
    packetsOut: Number(outbound?.packets ?? 0n),
    octetsIn: Number(inbound?.octets ?? 0n),
    octetsOut: Number(outbound?.octets ?? 0n),
    baseExchangeTime: association.baseExchangeTime,
    puzzleTime: association.puzzleTime,
    establishedAt: association.establishedAt,
    failure: association.failure,
  };
}

function sequenceNumbers(inbound: InboundSa | undefined): AssociationStatus["sequenceNumbers"] {
  if (inbound?.isFormKnown !== true) return undefined;
  return inbound.omitsHigh ? "32-bit in ICV" : "64-bit";
}
