/**
 * The way of packets through the agent: the TUN device, the sockets, the host's addresses and
 * routes, the loop over them, and data threads once there is data.
 */

import type { DropReason } from "../base/drop_reason.ts";
import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { randomUint32 } from "../base/random.ts";
import type { EngineEvent } from "../engine/effects.ts";
import type { Engine } from "../engine/engine.ts";
import { hostPlan } from "../host/host_plan.ts";
import { isIpv4, isLinkLocal } from "../wire/ip_address.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";
import type { DataPathReport } from "./api_protocol.ts";
import type { Config } from "./config.ts";
import { enableIpv6 } from "./device_ipv6.ts";
import { EchoClient } from "./echo.ts";
import { EchoTun } from "./echo_tun.ts";
import { HostConfigurator } from "./host_configurator.ts";
import { LsiService } from "./lsi_service.ts";
import { LOCATOR_GROUPS, LocatorMonitor } from "./locator_monitor.ts";
import { Loop } from "./loop.ts";
import { NetlinkClient } from "./netlink_client.ts";
import { describeOpenSockets, leftBehind, openHipSockets } from "./open_sockets.ts";
import type { IpFamily, IpSocket, JobRunner, Platform, TunDevice } from "./ports.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";
import { pairsOf, ThreadStarter } from "./thread_starter.ts";
import { openUdpPort, type UdpPort } from "./udp_port.ts";
import type { StatePaths } from "./state_paths.ts";
import type { UndoStack } from "./undo_stack.ts";

export interface PacketPathOptions {
  readonly config: Config;
  readonly platform: Platform;
  readonly paths: StatePaths;
  readonly engine: Engine;
  readonly jobs: JobRunner;
  /** Whether ESP is computed by libcrypto, by data threads too. */
  readonly usesLibcrypto: boolean;
  /** Called when the host has other addresses than before, and at the start. */
  readonly onLocators: () => void;
  /** Everybody who hears of the engine's events. */
  readonly events: Set<(event: EngineEvent) => void>;
  readonly logger: Logger;
}

export interface PacketPath {
  readonly loop: Loop;
  readonly echo: EchoClient;
  readonly device: TunDevice;
  /** How packets are moved at present. */
  report(): DataPathReport;
  /** What was dropped outside the engine. */
  drops(): readonly Partial<Record<DropReason, number>>[];
  /** What is missing of UDP, a sentence each. */
  readonly udpProblems: readonly string[];
  readonly hasUdp: boolean;
  /** For programs that know only IPv4; undefined when there are none. */
  readonly lsis: LsiService | undefined;
  /** Why there are none, where they were wanted. */
  readonly lsiProblem: string | undefined;
  /** Resolves with the reason when the loop ends by itself. */
  readonly fault: Promise<Error>;
}

/** @throws {UserError} No right to a device or to sockets, or another program has them. */
export function openPath(options: PacketPathOptions, undo: UndoStack): PacketPath {
  const { config, platform, engine, jobs, events, logger } = options;
  const mayHaveQueues = pairsOf(config) > 1;
  const device = platform.openTun(config.interfaceName, mayHaveQueues);
  undo.push("Closing the TUN device", () => device.close());
  enableIpv6(device.name);
  const udp = openUdp(options, mayHaveQueues, undo);
  const sockets = [...udp.sockets, ...openSockets(options, undo)];
  const { monitor, lsis, lsiProblem } = configureHost(options, device, undo);
  const bell = platform.makeBell();
  undo.push("Closing the bell", () => bell.close());
  const readiness = platform.makeReadiness([device, ...sockets, monitor.source, bell]);
  undo.push("Closing the wait", () => readiness.close());

  const threads = new ThreadStarter({
    ...options,
    device,
    sockets,
    bell,
    knownSpis: engine.forThreads.knownSpis,
  });
  const echo = new EchoClient({
    now: () => SYSTEM_CLOCK.now(),
    inject: (packet) => {
      tun.inject(packet);
      readiness.wake();
    },
    awaits: (isAwaited) => threads.setReplyAwaited(isAwaited),
  }, randomUint32(SYSTEM_RANDOM) & 0xffff);
  const tun = new EchoTun(device, () => echo.isWaiting, (packet) => echo.takeReply(packet));
  const loop = new Loop({
    engine,
    tun,
    sockets,
    monitor,
    bell,
    readiness,
    jobs,
    clock: SYSTEM_CLOCK,
    logger,
    onEvent: (event) => {
      for (const listener of events) listener(event);
    },
    onFirstData: () => threads.start(),
    onLocators: options.onLocators,
  });
  threads.onChange = (running) => {
    tun.isReadElsewhere = running !== undefined;
    loop.handOver(running);
    engine.forThreads.setOffload(running);
    threads.setReplyAwaited(echo.isWaiting);
  };
  undo.push("Stopping the data threads", () => threads.stop());
  const fault = runLoop(loop, undo);
  return {
    loop,
    echo,
    device,
    report: () => ({
      threads: threads.count,
      tunChecksums: device.offload.checksums,
      tunSegments: device.offload.segments,
      tunDatagrams: device.offload.datagrams,
      tunJoins: device.offload.hasHeader,
      socketBatches: sockets.every(({ isBatched }) => isBatched),
      udpSegments: udp.sockets.some(({ isSegmenting }) => isSegmenting),
      udpJoins: udp.sockets.some(({ isCoalescing }) => isCoalescing),
    }),
    udpProblems: udp.problems,
    hasUdp: udp.sockets.length > 0,
    lsis,
    lsiProblem,
    drops: () => [loop.drops.toJSON(), ...threads.drops],
    fault,
  };
}

function openUdp(
  { config, platform, engine, logger }: PacketPathOptions,
  sharesPort: boolean,
  undo: UndoStack,
): UdpPort {
  const udp = openUdpPort(config, platform, sharesPort);
  for (const socket of udp.sockets) undo.push("Closing a UDP socket", () => socket.close());
  if (udp.sockets.length === 0) engine.withdrawUdp();
  for (const problem of udp.problems) logger.log("warning", problem);
  return udp;
}

function openSockets({ config, platform }: PacketPathOptions, undo: UndoStack): IpSocket[] {
  const open = (protocol: number, family: IpFamily) => {
    // Control packets, which are few, pass wherever anything does.
    const discoversPathMtu = protocol === NEXT_HEADER.esp && config.pathMtuDiscovery;
    const { udpPort } = config;
    const socket = platform.openIpSocket(protocol, family, { discoversPathMtu, udpPort });
    undo.push("Closing a raw socket", () => socket.close());
    return socket;
  };
  return [
    open(NEXT_HEADER.hip, 6),
    open(NEXT_HEADER.hip, 4),
    open(NEXT_HEADER.esp, 6),
    open(NEXT_HEADER.esp, 4),
    open(NEXT_HEADER.icmpv6, 6),
    open(NEXT_HEADER.icmp, 4),
  ];
}

/** What the host's configuration gives to the rest. */
interface ConfiguredHost {
  /** Tells of the host's own addresses. */
  readonly monitor: LocatorMonitor;
  readonly lsis: LsiService | undefined;
  readonly lsiProblem: string | undefined;
}

/** Gives the device its addresses and routes. */
function configureHost(
  options: PacketPathOptions,
  device: TunDevice,
  undo: UndoStack,
): ConfiguredHost {
  const { config, platform, engine, events, logger } = options;
  const requests = platform.openNetlink([]);
  undo.push("Closing netlink", () => requests.close());
  const client = new NetlinkClient(requests);
  const configurator = new HostConfigurator(client, device.interfaceIndex, logger);
  const { lsis, problem } = openLsis(options, client, configurator, device.interfaceIndex);
  if (lsis !== undefined) undo.push("Noting LSIs", () => lsis.close());
  undo.push("Restoring addresses, routes and rules", () => {
    const ownLsis = lsis?.wish.own ?? [];
    const open = openHipSockets(ownLsis);
    configurator.restore(leftBehind(open, ownLsis));
    const remark = describeOpenSockets(open);
    if (remark !== undefined) logger.log("warning", remark);
  });
  const notifications = platform.openNetlink(LOCATOR_GROUPS);
  undo.push("Closing the address monitor", () => notifications.close());
  const monitor = new LocatorMonitor(notifications, client, device.interfaceIndex);
  const configure = () =>
    configurator.apply(hostPlan({
      interfaceIndex: device.interfaceIndex,
      innerMtu: config.mtu,
      hits: engine.status().identities.map(({ hit }) => hit),
      routes: engine.routes,
      hasIpv6Source: monitor.locators.some(({ address }) => isWideIpv6(address)),
      ...(lsis === undefined ? {} : { lsis: lsis.wish }),
    }));
  configure();
  lsis?.listen();
  const reconfigure = () => {
    try {
      configure();
    } catch (error) {
      logger.log("warning", `HITs could not be configured anew: ${String(error)}`);
    }
  };
  events.add((event) => {
    if (event.kind === "identity") reconfigure();
  });
  monitor.onChange = reconfigure;
  return { monitor, lsis, lsiProblem: problem };
}

/** LSIs where they are wanted and can be had; else what keeps them away, if anything does. */
function openLsis(
  { config, paths, engine, logger }: PacketPathOptions,
  client: NetlinkClient,
  configurator: HostConfigurator,
  interfaceIndex: number,
): { lsis: LsiService | undefined; problem: string | undefined } {
  if (config.lsi === "off") return { lsis: undefined, problem: undefined };
  try {
    const lsis = new LsiService({
      table: engine.lsis,
      mode: config.lsi,
      pool: config.lsiPool,
      routesPool: config.lsiRoutePool,
      interfaceIndex,
      ownHits: engine.status().identities.map(({ hit }) => hit),
      client,
      configurator,
      file: paths.lsiFile,
      nameOf: (hit) => engine.peers.nameOf(hit),
      now: () => SYSTEM_CLOCK.now(),
      logger,
    });
    return { lsis, problem: undefined };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    logger.log("warning", error.message);
    return { lsis: undefined, problem: error.message };
  }
}

function runLoop(loop: Loop, undo: UndoStack): Promise<Error> {
  let isStopping = false;
  const running = loop.run();
  undo.push("Stopping the loop", async () => {
    isStopping = true;
    loop.stop();
    await running.catch(() => {});
  });
  return new Promise<Error>((resolve) => {
    running.catch((error) => {
      if (!isStopping) resolve(error instanceof Error ? error : new Error(String(error)));
    });
  });
}

/** Whether packets beyond the link may have this source. */
function isWideIpv6(address: Uint8Array): boolean {
  return !isIpv4(address) && !isLinkLocal(address);
}
