/**
 * The agent: everything that runs while `hip` is up, put together in the order of HLP-032. First
 * what touches nothing (identity, R1 packets), then the packet paths, then the host, then names.
 * Every step notes how it is taken back; a failure and the end of the agent take the same way out.
 */

import { bytesEqual } from "../base/bytes.ts";
import { sumOfDrops } from "../base/drop_reason.ts";
import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import type { AnonymousPeer } from "../engine/anonymous_identities.ts";
import type { AssociationStatus, EngineEvent } from "../engine/effects.ts";
import type { Engine } from "../engine/engine.ts";
import { formatHit } from "../identity/hit.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import type { ApiAgent } from "./api_handlers.ts";
import { associationReport, type StatusReport } from "./api_protocol.ts";
import { ApiServer } from "./api_server.ts";
import { systemProblem } from "./atomic_file.ts";
import type { Config } from "./config.ts";
import { ContactsFile } from "./contacts_file.ts";
import { removeProcessId, writeProcessId } from "./daemon.ts";
import { IdentityStore } from "./identity_store.ts";
import { WorkerJobRunner } from "./job_runner.ts";
import type { Loop } from "./loop.ts";
import { chooseDigest, chooseProvider, makeEngine, requireLibcrypto } from "./make_engine.ts";
import { NameService } from "./name_service.ts";
import { ownIdentities } from "./own_identities.ts";
import { openPath, type PacketPath } from "./packet_path.ts";
import type { JobRunner, Platform } from "./ports.ts";
import { repairHost } from "./repair.ts";
import type { StatePaths } from "./state_paths.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";
import { describeTransport } from "./udp_port.ts";
import { UndoStack } from "./undo_stack.ts";
import { VERSION } from "./version.ts";
import { weakChoices } from "./weak_choices.ts";

/** How long the end waits for CLOSE_ACKs, in milliseconds. */
const CLOSE_WAIT_MS = 2000;

/** Between two looks at whether all are closed, in milliseconds. */
const CLOSE_POLL_MS = 10;

/** A running agent. */
export interface Agent {
  /** Begins the end; harmless when it has begun. */
  shutdown(): void;
  /** Resolves when everything is restored; rejects when the agent ended by a fault. */
  readonly stopped: Promise<void>;
}

/**
 * Starts everything; when it returns, HITs can be bound and names resolve.
 *
 * @throws {UserError} When a step fails; whatever was changed is then restored.
 */
export async function startAgent(
  config: Config,
  platform: Platform,
  paths: StatePaths,
  logger: Logger,
): Promise<Agent> {
  const undo = new UndoStack(logger);
  try {
    return await assemble({ config, platform, paths, logger }, undo);
  } catch (error) {
    await undo.unwind();
    throw error;
  }
}

interface Surroundings {
  readonly config: Config;
  readonly platform: Platform;
  readonly paths: StatePaths;
  readonly logger: Logger;
}

async function assemble(surroundings: Surroundings, undo: UndoStack): Promise<Agent> {
  const { config, platform, paths, logger } = surroundings;
  const startedAt = SYSTEM_CLOCK.now();

  // 1. The socket first: it tells whether another agent is at work.
  const api = await claimSocket(paths, logger);
  undo.push("Closing the control socket", () => api.close());
  writeProcessId(paths.processIdFile);
  undo.push("Removing the process id", () => removeProcessId(paths.processIdFile));
  for (const path of repairHost(paths, logger)) {
    logger.log("warning", `${path} was left changed by an agent that was killed; it is restored`);
  }

  // 2. Identity, then R1 packets, before any packet path is open (HLP-032).
  const identities = ownIdentities(config, new IdentityStore(paths.identityFolder), logger);
  const weaknesses = weakChoices(config, identities);
  for (const weakness of weaknesses) logger.log("warning", weakness);
  const espProvider = chooseProvider(config, platform);
  const jobs = new WorkerJobRunner(
    config.crypto === "portable" ? {} : { workerUrl: platform.jobWorkerUrl },
  );
  undo.push("Stopping the workers", () => jobs.close());
  await jobs.ready;
  requireLibcrypto(config, jobs.publicKeys);
  const digest = chooseDigest(config, platform);
  const engine = makeEngine({ config, identities, espProvider, digest, logger });
  await prepareR1s(engine, jobs);
  const contacts = new ContactsFile(paths.contactsFile, () => engine.contacts.list(), logger);
  undo.push("Noting where peers are", () => contacts.close());
  engine.contacts.restore(SYSTEM_CLOCK.now(), contacts.read());
  logger.log(
    "info",
    `R1 packets are ready, ESP by ${espProvider.name}, public keys by ${jobs.publicKeys}`,
  );

  // 3. The packet paths and the host.
  const events = new Set<(event: EngineEvent) => void>();
  let addressesChanged = () => {};
  const usesLibcrypto = espProvider.name === "libcrypto";
  const path = openPath({
    ...surroundings,
    engine,
    jobs,
    usesLibcrypto,
    onLocators: () => addressesChanged(),
    events,
  }, undo);
  const { loop, fault, lsis } = path;
  undo.push("Closing all associations", () => closeAssociations(engine, loop));

  // 4. Names, once HITs can be bound.
  const names = await NameService.start({
    config,
    paths,
    interfaceIndex: path.device.interfaceIndex,
    engine,
    ...(lsis === undefined ? {} : { lsis }),
    ownHits: identities
      .filter(({ isAnonymous }) => !isAnonymous)
      .map(({ identity, name }) => ({ hit: identity.hit, name })),
    now: () => SYSTEM_CLOCK.now(),
    logger,
  }, undo);

  addressesChanged = () => names.flush();
  events.add((event) => {
    if (event.kind !== "state") return;
    if (event.to === "E-FAILED") names.noteUnreachable(event.peerHit);
    else if (event.to === "ESTABLISHED") {
      names.noteReachable(event.peerHit);
      contacts.touch();
    }
  });

  // 5. Ready. Whoever waited at the control socket is served now.
  const end = Promise.withResolvers<void>();
  let isEnding = false;
  const shutdown = (failure?: Error) => {
    if (isEnding) return;
    isEnding = true;
    logger.log("info", "Going down");
    undo.unwind().then(() => failure === undefined ? end.resolve() : end.reject(failure));
  };
  fault.then((failure) => shutdown(failure));
  const handler = makeApiAgent({
    startedAt,
    defaultHit: identities[0]!.identity.hit,
    weaknesses: [
      ...weaknesses,
      ...path.udpProblems,
      ...path.lsiProblem === undefined ? [] : [path.lsiProblem],
    ],
    transport: describeTransport(config, path.hasUdp),
    espProvider,
    jobs,
    engine,
    path,
    names,
    events,
    shutdown: () => setTimeout(shutdown, 0),
  });
  api.serve(handler).catch((error) =>
    logger.log("debug", `Control socket: ${systemProblem(error)}`)
  );
  const took = (SYSTEM_CLOCK.now() - startedAt).toFixed(0);
  logger.log("info", `Ready after ${took} ms, device ${path.device.name}`);
  return { shutdown: () => shutdown(), stopped: end.promise };
}

async function claimSocket(paths: StatePaths, logger: Logger): Promise<ApiServer> {
  const socketFolder = paths.socketFile.slice(0, paths.socketFile.lastIndexOf("/"));
  try {
    Deno.mkdirSync(paths.stateFolder, { recursive: true, mode: 0o700 });
    Deno.mkdirSync(socketFolder, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new UserError(
      `cannot make the folders ${paths.stateFolder} and ${socketFolder} ` +
        `(${systemProblem(error)}). Run it as root, or choose another folder with --state.`,
    );
  }
  return await ApiServer.listen(paths.socketFile, logger);
}

/** Runs the engine's jobs until an I1 can be answered. */
async function prepareR1s(engine: Engine, jobs: JobRunner): Promise<void> {
  let wake = () => {};
  jobs.onDone(() => wake());
  engine.start();
  for (;;) {
    for (let job = engine.pollJob(); job; job = engine.pollJob()) jobs.submit(job);
    if (engine.isReady) return;
    if (jobs.pending === 0) throw new Error("The R1 packets could not be prepared");
    const done = new Promise<void>((resolve) => wake = resolve);
    await done;
    for (let result = jobs.poll(); result; result = jobs.poll()) {
      engine.handleJobDone(SYSTEM_CLOCK.now(), result.id, result.result);
    }
  }
}

/** CLOSE to every peer, and a while for their CLOSE_ACKs (RFC 7401 §6.14). */
async function closeAssociations(engine: Engine, loop: Loop): Promise<void> {
  engine.closeAll(SYSTEM_CLOCK.now());
  loop.flush();
  const deadline = SYSTEM_CLOCK.now() + CLOSE_WAIT_MS;
  while (engine.openAssociations > 0 && SYSTEM_CLOCK.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MS));
  }
}

interface Parts {
  readonly startedAt: number;
  readonly defaultHit: Uint8Array;
  /** Sentences about weak choices in the configuration, and about what is missing. */
  readonly weaknesses: readonly string[];
  /** What HIP and ESP pass over. */
  readonly transport: string;
  readonly espProvider: EspProvider;
  readonly jobs: JobRunner;
  readonly engine: Engine;
  readonly path: PacketPath;
  readonly names: NameService;
  readonly events: Set<(event: EngineEvent) => void>;
  readonly shutdown: () => void;
}

/** The agent as the control socket sees it. */
function makeApiAgent(parts: Parts): ApiAgent {
  const { engine, path: { loop, echo }, names, events } = parts;
  const now = () => SYSTEM_CLOCK.now();
  const isReachable = (peerHit: Uint8Array) => {
    const mapping = engine.peers.lookup(now(), peerHit);
    return (mapping?.locators.length ?? 0) + (mapping?.rendezvous.length ?? 0) > 0;
  };
  return {
    now,
    isReachable,
    ready: Promise.resolve(),
    status: () => statusReport(parts),
    connect: (peerHit) => {
      if (!isReachable(peerHit) && engine.association(peerHit) === undefined) return false;
      engine.connect(now(), peerHit);
      loop.flush();
      return true;
    },
    association: (peerHit) => engine.association(peerHit),
    connectOpportunistic: (address) => {
      engine.connectOpportunistic(now(), address);
      loop.flush();
    },
    associationAt: (address) => associationAt(engine, address),
    anonymousAssociation: (peer) => anonymousAssociation(engine, peer),
    connectAnonymously: (peer) => {
      const isBegun = engine.connectAnonymously(now(), peer);
      loop.flush();
      return isBegun;
    },
    rekey: (peerHit, withDh) => {
      const isBegun = engine.rekey(now(), peerHit, { withDh });
      loop.flush();
      return isBegun;
    },
    close: (peerHit) => {
      const wasOpen = engine.close(now(), peerHit);
      loop.flush();
      return wasOpen;
    },
    echo: ({ peerHit, localHit }, sequence, timeoutMs) => {
      const from = localHit ?? engine.association(peerHit)?.localHit ?? parts.defaultHit;
      return echo.ask(from, peerHit, sequence, timeoutMs);
    },
    lookup: (name) => names.lookup(name),
    reloadHosts: () => names.reloadHosts(),
    flushNames: () => names.flush(),
    shutdown: parts.shutdown,
    onEvent: (listener) => {
      events.add(listener);
      return () => events.delete(listener);
    },
  };
}

function statusReport(parts: Parts): StatusReport {
  const { engine, path, names, espProvider, jobs, startedAt } = parts;
  const status = engine.status();
  const now = SYSTEM_CLOCK.now();
  const drops = sumOfDrops(status.drops, ...path.drops());
  return {
    version: VERSION,
    processId: Deno.pid,
    isReady: true,
    upForMs: now - startedAt,
    interface: path.device.name,
    transport: parts.transport,
    espProvider: espProvider.name,
    publicKeyProvider: jobs.publicKeys,
    dataPath: path.report(),
    identities: status.identities.map(({ name, hit, kind, isAnonymous, isDefault }) => ({
      name,
      hit: formatHit(hit),
      kind,
      isAnonymous,
      isDefault,
    })),
    locators: status.locators.map(({ address }) => formatIpAddress(address)),
    dns: names.report(),
    associations: status.associations.map((one) => associationReport(one, now)),
    knownPeers: status.knownPeers,
    tables: status.tables,
    drops,
    warnings: [...parts.weaknesses, ...names.warnings],
  };
}

/** The association that carries data to an address, or the opportunistic one made for it. */
function associationAt(engine: Engine, address: Uint8Array): AssociationStatus | undefined {
  const { associations } = engine.status();
  const isAt = (known: Uint8Array | undefined) => known !== undefined && bytesEqual(known, address);
  return associations.find(({ peerAddress }) => isAt(peerAddress)) ??
    associations.find(({ opportunisticAddress }) => isAt(opportunisticAddress));
}

/** The association that has an anonymous identity of its own. */
function anonymousAssociation(engine: Engine, peer: AnonymousPeer): AssociationStatus | undefined {
  const { associations } = engine.status();
  const known = "hit" in peer ? peer.hit : peer.address;
  return associations.find(({ localHit, peerHit, opportunisticAddress }) =>
    engine.isPassing(localHit) &&
    bytesEqual("hit" in peer ? peerHit : opportunisticAddress ?? peerHit, known)
  );
}
