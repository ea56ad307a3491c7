/**
 * Clears what an agent left behind that was killed: resolver settings, rules and labels. Its device
 * went with it, and the addresses and routes with the device.
 */

import type { Logger } from "../base/logger.ts";
import { SILENT } from "../base/logger.ts";
import { HostConfigurator } from "./host_configurator.ts";
import { NetlinkClient } from "./netlink_client.ts";
import { leftBehind, openHipSockets } from "./open_sockets.ts";
import type { Platform } from "./ports.ts";
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

/**
 * Takes away the rules and the label; only for a host where no agent runs. Rules that keep open
 * connections from the network stay.
 *
 * @throws {UserError} No right to change the network.
 * @throws {NetlinkError}
 */
export function repairNetwork(platform: Pick<Platform, "openNetlink">): void {
  const socket = platform.openNetlink([]);
  try {
    new HostConfigurator(new NetlinkClient(socket), undefined, SILENT)
      .restore(leftBehind(openHipSockets()));
  } finally {
    socket.close();
  }
}

/** The resolver configurator whose backup lies in the state folder. */
export function resolverOf(paths: StatePaths, logger: Logger): ResolverConfigurator {
  const systemPaths = systemResolverPaths(paths.stateFolder);
  return new ResolverConfigurator({ ...systemPaths, stateFile: paths.resolverBackup }, logger);
}
