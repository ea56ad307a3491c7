/** Identities and associations as `hip status` shows them. */

import { espSuite } from "../crypto/esp_suite.ts";
import type { InboundSa } from "../esp/security_association.ts";
import { describeAlgorithm } from "../identity/host_identity.ts";
import type { Association } from "../hip/association.ts";
import type { AssociationStatus, EngineStatus } from "./effects.ts";
import type { LocalIdentity } from "./engine_options.ts";

/** @param identities The default one first. */
export function identityStatus(
  identities: readonly LocalIdentity[],
): EngineStatus["identities"] {
  return identities.map(({ identity, name, isAnonymous }, index) => ({
    hit: identity.hit,
    name,
    algorithm: identity.algorithm,
    kind: describeAlgorithm(identity),
    isAnonymous,
    isDefault: index === 0,
  }));
}

/** @param name The name its peer was learned under, or "". */
export function associationStatus(association: Association, name: string): AssociationStatus {
  const { security, keys, traffic, record } = association;
  const outbound = security?.outbound;
  const inbound = security?.inbound;
  return {
    localHit: association.localHit,
    peerHit: association.peerHit,
    name,
    isPeerAnonymous: record.isPeerAnonymous,
    state: association.state,
    role: record.role,
    opportunisticAddress: association.opportunisticAddress,
    localAddress: outbound?.localAddress.slice(),
    peerAddress: outbound?.peerAddress.slice(),
    peerPort: outbound?.peerPort,
    inboundSpi: inbound?.spi,
    outboundSpi: outbound?.spi,
    espSuite: keys === undefined ? undefined : espSuite(keys.espSuite).name,
    sequenceNumbers: sequenceNumbers(inbound),
    dhGroup: keys?.dhGroup,
    hipCipher: keys?.hipCipher,
    peerAlgorithm: keys?.peerIdentity.algorithm,
    packetsIn: Number(traffic.packetsIn),
    packetsOut: Number(traffic.packetsOut),
    octetsIn: Number(traffic.octetsIn),
    octetsOut: Number(traffic.octetsOut),
    baseExchangeTime: record.baseExchangeTime,
    puzzleTime: record.puzzleTime,
    establishedAt: record.establishedAt,
    failure: record.failure,
  };
}

function sequenceNumbers(inbound: InboundSa | undefined): AssociationStatus["sequenceNumbers"] {
  if (inbound?.isFormKnown !== true) return undefined;
  return inbound.omitsHigh ? "32-bit in ICV" : "64-bit";
}
