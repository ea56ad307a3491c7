/** The engine that a configuration asks for, and who computes ESP for it. */

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { EspCipherPool } from "../crypto/esp_cipher_pool.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../crypto/portable_suites.ts";
import { type Digest, digest } from "../crypto/rhash.ts";
import { Engine } from "../engine/engine.ts";
import { AccessList } from "../hip/access_list.ts";
import type { Config } from "./config.ts";
import { controlSettings, exchangePolicy } from "./engine_settings.ts";
import type { StoredIdentity } from "./identity_store.ts";
import type { Platform } from "./ports.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";

/**
 * The system's libcrypto where it is there, else the runtime's own; each has every suite.
 *
 * @throws {UserError} When the configuration insists on libcrypto and there is none.
 */
export function chooseProvider(
  { crypto }: Pick<Config, "crypto">,
  platform: Pick<Platform, "openEspProvider">,
): EspProvider {
  if (crypto === "portable") return PORTABLE_PROVIDER;
  const provider = platform.openEspProvider() ?? PORTABLE_PROVIDER;
  requireLibcrypto({ crypto }, provider.name);
  return provider;
}

/** Who hashes for puzzles: libcrypto where the configuration lets it, else the runtime. */
export function chooseDigest(
  { crypto }: Pick<Config, "crypto">,
  platform: Pick<Platform, "openDigest">,
): Digest {
  return (crypto === "portable" ? undefined : platform.openDigest()) ?? digest;
}

/**
 * Takes what is to be used for what the configuration wants.
 *
 * @param provider Name of a provider.
 * @throws {UserError} When the configuration insists on libcrypto and the name is another.
 */
export function requireLibcrypto({ crypto }: Pick<Config, "crypto">, provider: string): void {
  if (crypto !== "libcrypto" || provider === "libcrypto") return;
  throw new UserError(
    "this host has no libcrypto.so.3. Install OpenSSL 3, or set crypto = auto.",
  );
}

export interface EngineParts {
  readonly config: Config;
  /** The default one first. */
  readonly identities: readonly StoredIdentity[];
  readonly espProvider: EspProvider;
  readonly digest: Digest;
  readonly logger: Logger;
}

export function makeEngine(parts: EngineParts): Engine {
  const { config, identities, espProvider, digest, logger } = parts;
  return new Engine({
    identities,
    policy: exchangePolicy(config),
    access: new AccessList(config.peers),
    espProvider: new EspCipherPool(espProvider),
    digest,
    random: SYSTEM_RANDOM,
    logger,
    settings: controlSettings(config),
    // RFC 7401 §4.1.4: never lower than before; the calendar outlives every restart.
    firstR1Generation: BigInt(Math.floor(Date.now() / 1000)),
  });
}
