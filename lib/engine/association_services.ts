/** What associations get from the engine, wired to those parts of it that give it. */

import { isAllZero } from "../base/bytes.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import type { AccessList } from "../hip/access_list.ts";
import type { AssociationContext, AssociationHandle } from "../hip/association_context.ts";
import type { AssociationTable } from "../hip/association_table.ts";
import type { ControlSettings } from "../hip/constants.ts";
import type { FailureHistory } from "../hip/failure_history.ts";
import type { Notifier } from "../hip/notify.ts";
import type { ResponderDesk } from "../hip/responder_desk.ts";
import type { TimerTable } from "../hip/timers.ts";
import { type LocalLocator, pathsTo } from "../host/local_locators.ts";
import type { PeerDirectory } from "../identity/peer_directory.ts";
import type { Chronicle } from "./chronicle.ts";
import type { DataPath } from "./data_path.ts";
import type { EngineOptions } from "./engine_options.ts";
import type { IdentityTable } from "./identity_table.ts";
import type { JobTable } from "./job_table.ts";
import type { Outbox } from "./outbox.ts";

/** The parts of the engine that associations have to do with. */
export interface AssociationServiceParts {
  readonly options: EngineOptions;
  readonly settings: ControlSettings;
  readonly access: AccessList;
  readonly identities: IdentityTable;
  readonly peers: PeerDirectory;
  readonly associations: AssociationTable;
  readonly timers: TimerTable<AssociationHandle>;
  readonly failures: FailureHistory;
  readonly desk: ResponderDesk;
  readonly dataPath: DataPath;
  readonly jobs: JobTable;
  readonly outbox: Outbox;
  readonly notifier: Notifier;
  readonly chronicle: Chronicle;
  /** The addresses of this host. */
  locators(): readonly LocalLocator[];
  readonly portsOf: AssociationContext["portsOf"];
  readonly changed: AssociationContext["changed"];
}

export function associationServices(parts: AssociationServiceParts): AssociationContext {
  const { settings, access, identities, peers, associations, timers, failures } = parts;
  const { desk, dataPath, jobs, outbox, notifier, chronicle } = parts;
  const { policy, random, espProvider } = parts.options;
  return {
    settings,
    policyFor: (peerHit) => {
      const espSuites = access.espSuitesFor(peerHit);
      return espSuites === undefined ? policy : { ...policy, espSuites };
    },
    access,
    random,
    espProvider,
    saDatabase: dataPath.saDatabase,
    identityOf: (localHit) => identities.require(localHit).identity,
    localHitOf: (suites) => identities.hitOfSuite(suites),
    isAnonymous: (localHit) => identities.require(localHit).isAnonymous,
    expectedIdentity: (now, hit): PublicHostIdentity | undefined =>
      isAllZero(hit) ? undefined : peers.lookup(now, hit)?.identity,
    awaitsPaths: (now, hit) => peers.isAwaited(now, hit),
    pathsOf: (now, hit) => {
      const mapping = peers.require(now, hit);
      // RFC 8005 §3.2: a rendezvous server is asked before the peer's own addresses.
      return pathsTo(parts.locators(), [...mapping?.rendezvous ?? [], ...mapping?.locators ?? []]);
    },
    pathsTo: (addresses) => pathsTo(parts.locators(), addresses),
    portsOf: parts.portsOf,
    submit: (association, job) => jobs.submit({ kind: "association", association, job }),
    transmit: (now, addresses, packet) => outbox.transmit(now, addresses, packet),
    drop: (now, reason, detail) => outbox.drop(now, reason, detail),
    report: (now, hits, addresses, messageType, more) =>
      notifier.report(now, hits, addresses, messageType, more),
    reschedule: (association) => timers.set(association, association.nextTimeout()),
    changed: parts.changed,
    puzzleSolved: (at, { localHit, peerHit }, difficultyK, tries) =>
      outbox.events.add({
        kind: "puzzle-solved",
        at,
        localHit,
        peerHit,
        difficultyK,
        tries,
      }),
    established: (_now, association) => {
      failures.forget(association);
      dataPath.releaseStaged(association);
    },
    dataMayPass: (association) => dataPath.releaseStaged(association),
    failedWait: (now, hits) => failures.note(now, hits),
    unreachable: (_now, association) => dataPath.refuseStaged(association),
    notified: (_now, { peerHit }, packet) => chronicle.notified(peerHit, packet),
    moved: (association, old) => associations.move(association, old),
    removeSas: (inbound, outbound) => dataPath.removeSas(inbound, outbound),
    awaitData: (inbound, association) => dataPath.awaitData(inbound, association),
    lastR1: () => desk.lastR1,
    allocateSpi: () => dataPath.saDatabase.allocateSpi(random),
    releaseSpi: (spi) => dataPath.saDatabase.releaseSpi(spi),
    rekeyed: (now, association, isNewKeymat) => {
      dataPath.lendSuccessor(now, association);
      chronicle.rekeyed(association.peerHit, isNewKeymat);
    },
  };
}
