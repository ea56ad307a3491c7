/** Clears what an agent left behind that was killed; its device and addresses went with it. */

import type { Logger } from "../base/logger.ts";
import { SILENT } from "../base/logger.ts";
import { ResolverConfigurator, systemResolverPaths } from "./resolver_configurator.ts";
import type { StatePaths } from "./state_paths.ts";

/**
 * Restores the resolver settings if a backup of them is still there.
 *
 * @returns The files that were put back.
 * @throws {UserError} When one cannot be put back.
 */
export function repairHost(paths: StatePaths, logger: Logger = SILENT): string[] {
  return resolverOf(paths, logger).restore();
}

/** The resolver configurator whose backup lies in the state folder. */
export function resolverOf(paths: StatePaths, logger: Logger): ResolverConfigurator {
  const systemPaths = systemResolverPaths(paths.stateFolder);
  return new ResolverConfigurator({ ...systemPaths, stateFile: paths.resolverBackup }, logger);
}
