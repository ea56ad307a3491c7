/** What an engine is made of. */

import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import type { Digest } from "../crypto/rhash.ts";
import type { AccessList } from "../hip/access_list.ts";
import type { ControlSettings } from "../hip/constants.ts";
import type { ExchangePolicy } from "../hip/jobs.ts";

/** One of our identities. */
export interface LocalIdentity {
  readonly identity: PrivateHostIdentity;
  readonly name: string;
  /** Not published anywhere; R1 and I2 say so (RFC 7401 §5.1.2). */
  readonly isAnonymous: boolean;
}

export interface EngineOptions {
  /** Ours; the first is used where nothing else decides. At least one. */
  readonly identities: readonly LocalIdentity[];
  readonly policy: ExchangePolicy;
  /** Whom we serve, and how; everybody alike when absent. */
  readonly access?: AccessList;
  readonly espProvider: EspProvider;
  /** Who hashes for the puzzles that we pose; `digest` of `rhash.ts` when absent. */
  readonly digest?: Digest;
  readonly random: Random;
  readonly logger: Logger;
  /** What differs from `DEFAULT_CONTROL_SETTINGS`. */
  readonly settings?: Partial<ControlSettings>;
  /** Greater than any that earlier runs used (RFC 7401 §4.1.4): seconds of the calendar will do. */
  readonly firstR1Generation: bigint;
}
