/** The UDP port on which HIP and ESP come in, where the configuration wants one. */

import { UserError } from "../base/errors.ts";
import type { Config } from "./config.ts";
import type { IpFamily, IpSocket, Platform } from "./ports.ts";

export interface UdpPort {
  /** One per family; those that the system has. */
  readonly sockets: readonly IpSocket[];
  /** What is missing, a sentence each. */
  readonly problems: readonly string[];
}

const FAMILIES: readonly IpFamily[] = [6, 4];

/**
 * @param sharesPort Whether it may be opened more than once.
 * @throws {UserError} Nothing can be had, and the configuration allows nothing but UDP.
 */
export function openUdpPort(
  config: Pick<Config, "transport" | "udpPort" | "pathMtuDiscovery" | "peers">,
  platform: Pick<Platform, "openUdpSocket">,
  sharesPort = false,
): UdpPort {
  const isWanted = [config, ...config.peers]
    .some(({ transport = "raw" }) => transport !== "raw");
  if (!isWanted) return { sockets: [], problems: [] };
  const discoversPathMtu = config.pathMtuDiscovery;
  const sockets: IpSocket[] = [];
  const problems: string[] = [];
  for (const family of FAMILIES) {
    try {
      sockets.push(
        platform.openUdpSocket(config.udpPort, family, { discoversPathMtu, sharesPort }),
      );
    } catch (error) {
      if (!(error instanceof UserError)) {
        for (const socket of sockets) socket.close();
        throw error;
      }
      problems.push(error.message);
    }
  }
  const [problem] = problems;
  if (problem === undefined || sockets.length > 0) {
    const lacking = sockets[0]?.family === 6 ? 4 : 6;
    const partly = problems.map((what) => `HIP goes without UDP over IPv${lacking}: ${what}`);
    return { sockets, problems: partly };
  }
  if (config.transport === "udp") throw new UserError(problem);
  return { sockets, problems: [`HIP goes without UDP: ${problem}`] };
}

/** "auto, UDP port 10500": what is wanted, and what there is. */
export function describeTransport(
  { transport, udpPort }: Pick<Config, "transport" | "udpPort">,
  hasUdp: boolean,
): string {
  return `${transport}, ${hasUdp ? `UDP port ${udpPort}` : "no UDP port"}`;
}
