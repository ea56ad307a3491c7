/** What of a configuration is for tests, or for old peers, and should not go unnoticed. */

import { espSuite } from "../crypto/esp_suite.ts";
import { describeAlgorithm, isWeakIdentity } from "../identity/host_identity.ts";
import type { Config } from "./config.ts";
import type { StoredIdentity } from "./identity_store.ts";

/** HIP Cipher ID of NULL-ENCRYPT (RFC 7401 §5.2.8). */
const NULL_ENCRYPT = 1;

/** SECP160R1 (RFC 7401 appendix D). */
const WEAK_GROUP = 10;

/** Sentences for the user, none for the defaults. */
export function weakChoices(
  config: Pick<Config, "dhGroups" | "hipCiphers" | "espSuites" | "peers">,
  identities: readonly Pick<StoredIdentity, "name" | "identity">[],
): string[] {
  const warnings = identities
    .filter(({ identity }) => isWeakIdentity(identity))
    .map(({ name, identity }) => weakIdentity(name, describeAlgorithm(identity)));
  if (config.hipCiphers.includes(NULL_ENCRYPT)) {
    warnings.push("hip_ciphers has 1 (NULL): control packets may go unencrypted, as for tests.");
  }
  const suites = [config.espSuites, ...config.peers.map(({ espSuites }) => espSuites ?? [])].flat();
  const plain = [...new Set(suites)].filter(isUnencrypted);
  if (plain.length > 0) {
    warnings.push(`esp_suites has ${plain.join(", ")}: data may go unencrypted.`);
  }
  if (config.dhGroups.includes(WEAK_GROUP)) {
    warnings.push(`dh_groups has ${WEAK_GROUP} (SECP160R1), which has 80 bits of strength.`);
  }
  return warnings;
}

/** RFC 7401 §5.2.9. */
export function weakIdentity(name: string, kind: string): string {
  return `The identity "${name}" (${kind}) has less than the 112 bits of strength that ` +
    "RFC 7401 wants.";
}

/** AES-GMAC has a key for encryption, and encrypts nothing. */
function isUnencrypted(suite: number): boolean {
  return espSuite(suite).encryptionKeyLength === 0 || suite === 15;
}
