/** Which Host Identities an agent uses: several at once, one of them where nothing else decides. */

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { generateHostIdentity } from "../identity/host_identity.ts";
import { formatHit } from "../identity/hit.ts";
import type { Config } from "./config.ts";
import { identityName } from "./config_values.ts";
import type { IdentityStore, StoredIdentity } from "./identity_store.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";

/**
 * The identities that the configuration names, all of them by default; the first one is the
 * default. The first start makes one.
 *
 * @throws {UserError} When one that is named does not exist, or the default is not among them.
 */
export function ownIdentities(
  config: Pick<Config, "identity" | "identities" | "identityKind">,
  store: IdentityStore,
  logger: Logger,
): StoredIdentity[] {
  if (store.names().length === 0) makeFirst(config, store, logger);
  const used = config.identities.length === 0 ? store.names() : config.identities;
  const chosen = config.identity === "" ? chosenBy(store, used) : config.identity;
  // Where all are in use, one that is not among them does not exist, which `read` says.
  if (config.identities.length > 0 && !used.includes(chosen)) {
    throw new UserError(
      `identity = ${chosen} is not one of identities = ${used.join(", ")}. Add it there.`,
    );
  }
  return [chosen, ...used.filter((name) => name !== chosen)]
    .map((name) => ({ ...store.read(name), isDefault: name === chosen }));
}

/** What `hip identity use` chose, where it is in use; else the first that is. */
function chosenBy(store: IdentityStore, used: readonly string[]): string {
  const chosen = store.defaultName();
  return chosen !== undefined && used.includes(chosen) ? chosen : used[0]!;
}

function makeFirst(
  { identity: name, identities, identityKind }: Pick<
    Config,
    "identity" | "identities" | "identityKind"
  >,
  store: IdentityStore,
  logger: Logger,
): void {
  const made = generateHostIdentity(identityKind, SYSTEM_RANDOM);
  const given = name === "" ? identities[0] : name;
  const stored = store.add(given ?? hostName(), made, false);
  logger.log("info", `Made the identity "${stored.name}" with HIT ${formatHit(made.hit)}`);
}

/** The host's name where it can name a file, else "default". */
function hostName(): string {
  try {
    return identityName(Deno.hostname());
  } catch {
    return "default";
  }
}
