/**
 * Clears what an agent left behind that was killed: resolver settings, rules and labels. Its device
 * went with it, and the addresses and routes with the device.
 */

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { SILENT } from "../base/logger.ts";
import { guardedLsis } from "../host/host_plan.ts";
import { HostConfigurator } from "./host_configurator.ts";
import { NetlinkClient, NetlinkError } from "./netlink_client.ts";
import { leftBehind, openHipSockets } from "./open_sockets.ts";
import type { Platform } from "./ports.ts";
import {
  ResolverConfigurator,
  type ResolverPaths,
  systemResolverPaths,
} from "./resolver_configurator.ts";
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
    const configurator = new HostConfigurator(new NetlinkClient(socket), undefined, SILENT);
    const ownLsis = guardedLsis(configurator.installed().rules);
    configurator.restore(leftBehind(openHipSockets(ownLsis), ownLsis));
  } finally {
    socket.close();
  }
}

/** Rules and labels of an agent that was killed; undefined when the kernel may not be asked. */
export function leftRules(platform: Pick<Platform, "openNetlink">): number | undefined {
  try {
    const socket = platform.openNetlink([]);
    try {
      const client = new NetlinkClient(socket);
      const { rules, labels } = new HostConfigurator(client, undefined, SILENT).installed();
      const ownLsis = guardedLsis(rules);
      const { rules: kept } = leftBehind(openHipSockets(ownLsis), ownLsis);
      return Math.max(0, rules.length - kept.length) + labels.length;
    } finally {
      socket.close();
    }
  } catch (error) {
    if (error instanceof UserError || error instanceof NetlinkError) return undefined;
    throw error;
  }
}

/** The system's resolver files, with the backup in the state folder. */
export function resolverPathsOf(paths: StatePaths): ResolverPaths {
  return { ...systemResolverPaths(paths.stateFolder), stateFile: paths.resolverBackup };
}

/** The resolver configurator whose backup lies in the state folder. */
export function resolverOf(paths: StatePaths, logger: Logger): ResolverConfigurator {
  return new ResolverConfigurator(resolverPathsOf(paths), logger);
}
