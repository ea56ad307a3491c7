/** What a completed exchange leaves at either end. */

import type { PublicHostIdentity } from "../crypto/host_key.ts";
import type { InboundSa, OutboundSa } from "../esp/security_association.ts";
import { wipe } from "../base/bytes.ts";
import type { AddressPair } from "./association_context.ts";
import type { ExchangeSecrets } from "./jobs.ts";

/**
 * What protects control packets once keys are agreed. HIP keys keep their values for the life of
 * the association; a rekey replaces ESP keys alone (RFC 7402 §7).
 */
export interface ControlKeys extends ExchangeSecrets {
  readonly peerIdentity: PublicHostIdentity;
}

/** Keys, and an SA in each direction. */
export interface Security {
  readonly keys: ControlKeys;
  readonly inbound: InboundSa;
  readonly outbound: OutboundSa;
}

/** The addresses in use, as copies. */
export function pathOf({ outbound }: Security): AddressPair {
  return { local: outbound.localAddress.slice(), peer: outbound.peerAddress.slice() };
}

/** Overwrites what an exchange has agreed on (RFC 7401 §6.16). */
export function wipeSecrets({ keymat, hipKeys, dhKeyPair }: ExchangeSecrets): void {
  const { encryptionIn, encryptionOut, integrityIn, integrityOut } = hipKeys;
  wipe(keymat.prk, encryptionIn, encryptionOut, integrityIn, integrityOut, dhKeyPair.privateKey);
}
