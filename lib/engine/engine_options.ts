/** What an engine is made of. */

import { bytesEqual } from "../base/bytes.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import type { AccessList } from "../hip/access_list.ts";
import type { ControlSettings } from "../hip/constants.ts";
import type { ExchangePolicy } from "../hip/jobs.ts";
import { hitSuiteId, shortHit } from "../identity/hit.ts";

export interface EngineOptions {
  /** Ours; the first is used where nothing else decides. At least one. */
  readonly identities: readonly {
    readonly identity: PrivateHostIdentity;
    readonly name: string;
    readonly isAnonymous: boolean;
  }[];
  readonly policy: ExchangePolicy;
  /** Whom we serve, and how; everybody alike when absent. */
  readonly access?: AccessList;
  readonly espProvider: EspProvider;
  readonly random: Random;
  readonly logger: Logger;
  /** What differs from `DEFAULT_CONTROL_SETTINGS`. */
  readonly settings?: Partial<ControlSettings>;
  /** Greater than any that earlier runs used (RFC 7401 §4.1.4): seconds of the calendar will do. */
  readonly firstR1Generation: bigint;
}

/** @throws {Error} When none of ours has this HIT. */
export function identityWithHit(
  identities: EngineOptions["identities"],
  hit: Uint8Array,
): EngineOptions["identities"][number] {
  const found = identities.find(({ identity }) => bytesEqual(identity.hit, hit));
  if (found === undefined) throw new Error(`No identity has the HIT ${shortHit(hit)}`);
  return found;
}

/** One of ours that is not anonymous, of the first of these HIT suites that has one. */
export function localHitOf(
  identities: EngineOptions["identities"],
  suites: readonly number[],
): Uint8Array | undefined {
  const named = identities.filter(({ isAnonymous }) => !isAnonymous);
  for (const suite of suites) {
    const found = named.find(({ identity }) => hitSuiteId(identity.hit) === suite);
    if (found !== undefined) return found.identity.hit;
  }
  return undefined;
}
