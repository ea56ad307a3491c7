/**
 * The whole program without I/O: packets, names, time and results go in, effects come out.
 *
 * After any `handle…`, `learnPeer`, `connect` or `close`, call each `poll…` until it has nothing,
 * then ask `nextTimeout`. Time is an argument and never goes back. No call does unbounded work:
 * what may take more than about a millisecond is a job. Nothing here is asynchronous.
 *
 * Read `handleTunPacket` and `handleDatagram` first: they are the story of a packet.
 */

import { bytesEqual, isAllZero } from "../base/bytes.ts";
import { DropCounters, type DropReason } from "../base/drop_reason.ts";
import { MalformedPacketError } from "../base/errors.ts";
import { PacketBuffer } from "../base/packet_buffer.ts";
import { earliest, type Instant } from "../base/time.ts";
import { isHit, shortHit } from "../identity/hit.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { decapsulate } from "../esp/decapsulate.ts";
import { encapsulate } from "../esp/encapsulate.ts";
import { type InboundSa, NO_REKEY_LIMITS, type OutboundSa } from "../esp/security_association.ts";
import { SaDatabase } from "../esp/sa_database.ts";
import { Association } from "../hip/association.ts";
import type {
  AddressPair,
  AssociationContext,
  AssociationHandle,
  StateName,
} from "../hip/association_context.ts";
import { AssociationTable } from "../hip/association_table.ts";
import { type ControlSettings, DEFAULT_CONTROL_SETTINGS } from "../hip/constants.ts";
import { wipeSecrets } from "../hip/control_keys.ts";
import { IcmpAnswers } from "../hip/icmp_answers.ts";
import type { AcceptI2Result, JobResult } from "../hip/jobs.ts";
import { CONTROL_ERRORS, controlHits, I2_ERRORS, Notifier } from "../hip/notify.ts";
import { type PendingI2, ResponderDesk } from "../hip/responder_desk.ts";
import { TimerTable } from "../hip/timers.ts";
import { type LocalLocator, pathsTo } from "../host/local_locators.ts";
import { PeerDirectory, type PeerMapping } from "../identity/peer_directory.ts";
import { notifyTypeName, PACKET } from "../wire/hip/code_points.ts";
import { HIP_PROTOCOL, type HipPacket, parseHipPacket } from "../wire/hip/packet.ts";
import { NOTIFICATION } from "../wire/hip/parameters/notification.ts";
import {
  type AssociationStatus,
  type EngineEvent,
  type EngineStatus,
  type JobRequest,
  outgoingHipPacket,
  type OutgoingPacket,
  outgoingPacket,
} from "./effects.ts";
import { type EngineOptions, identityWithHit } from "./engine_options.ts";
import { EventLog } from "./event_log.ts";
import { admitHipPacket, admitParsed, notificationData } from "./hip_admission.ts";
import { JobTable } from "./job_table.ts";
import { Staging } from "./staging.ts";
import { associationStatus, identityStatus } from "./status.ts";
import { unreachableAnswer } from "./unreachable.ts";

export type { EngineOptions };

const ESP_PROTOCOL = 50;
const IPV6_HEADER = 40;
const INNER_SOURCE = 8;
const INNER_DESTINATION = 24;
/** Largest inner packet that can be staged and sealed later. */
const STAGED_CAPACITY = 65_535;

export class Engine {
  /** What is known of peers; names and hosts files fill it through `learnPeer`. */
  readonly peers = new PeerDirectory();
  readonly #options: EngineOptions;
  readonly #settings: ControlSettings;
  readonly #drops = new DropCounters();
  readonly #saDatabase = new SaDatabase();
  readonly #associations: AssociationTable;
  readonly #timers = new TimerTable<AssociationHandle>();
  readonly #desk: ResponderDesk;
  readonly #staging: Staging;
  readonly #context: AssociationContext;
  /** Who is to hear of the first packet on an inbound SA, by SPI: few, and not for long. */
  readonly #awaitingData = new Map<number, AssociationHandle>();
  readonly #jobs = new JobTable();
  readonly #icmp: IcmpAnswers;
  readonly #notifier: Notifier;
  readonly #scratch = new PacketBuffer(STAGED_CAPACITY);
  #locators: readonly LocalLocator[] = [];
  readonly #transmits: OutgoingPacket[] = [];
  readonly #deliveries: Uint8Array[] = [];
  readonly #events = new EventLog();

  constructor(options: EngineOptions) {
    if (options.identities.length === 0) throw new RangeError("Engine needs an identity, got none");
    this.#options = options;
    this.#settings = { ...DEFAULT_CONTROL_SETTINGS, ...options.settings };
    this.#associations = new AssociationTable(this.#settings.maxAssociations);
    this.#notifier = new Notifier({
      random: options.random,
      identityOf: (localHit) => identityWithHit(options.identities, localHit).identity,
      submit: (addresses, job) => this.#jobs.submit({ kind: "notify", addresses, job }),
    });
    this.#icmp = new IcmpAnswers(options.random, this.#settings.icmpToStrangers);
    this.#staging = new Staging(this.#settings.stagedLifetime);
    this.#desk = new ResponderDesk({
      identities: options.identities,
      policy: options.policy,
      settings: this.#settings,
      random: options.random,
      firstR1Generation: options.firstR1Generation,
    }, {
      transmit: (now, addresses, packet) => this.#transmit(now, addresses, packet),
      submitPoolJob: (localHit, job) => this.#jobs.submit({ kind: "pool", localHit, job }),
      submitI2Job: (pending, job) => this.#jobs.submit({ kind: "i2", pending, job }),
      expectedIdentity: (now, hit) => this.peers.lookup(now, hit)?.identity,
      allocateSpi: () => this.#saDatabase.allocateSpi(options.random),
      accepted: (now, pending, result) => this.#acceptI2(now, pending, result),
      drop: (now, reason, detail) => this.#drop(now, reason, detail),
      refuse: (now, hits, addresses, reason) =>
        this.#notifier.report(now, hits, addresses, I2_ERRORS[reason]),
    });
    this.#context = this.#makeContext();
  }

  // ---- life ------------------------------------------------------------------------------------

  /** Queues the jobs that prepare R1 packets. Before `isReady` no I1 is answered. */
  start(): void {
    this.#desk.start();
  }

  /** Whether an I1 can be answered in every group. */
  get isReady(): boolean {
    return this.#desk.isReady;
  }

  // ---- data path -------------------------------------------------------------------------------

  /**
   * A packet from an application: `buffer` holds an inner IPv6 packet.
   *
   * @returns "transmit" when `buffer` has become an ESP packet with its path filled in; "consumed"
   *   when it was staged or dropped.
   */
  handleTunPacket(now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    const { bytes, start } = buffer;
    if (buffer.length < IPV6_HEADER || bytes[start]! >> 4 !== 6) {
      this.#drops.count("tun-not-ipv6");
      return "consumed";
    }
    const sa = this.#saDatabase.outboundFor(
      bytes,
      start + INNER_SOURCE,
      bytes,
      start + INNER_DESTINATION,
    );
    if (sa !== undefined && sa.isActive) {
      const reason = encapsulate(sa, buffer);
      if (sa.isRekeyDue) this.#startRekey(now, sa);
      if (reason === undefined) return "transmit";
      this.#drops.count(reason);
      return "consumed";
    }
    this.#stage(now, buffer.contents());
    return "consumed";
  }

  /**
   * A packet from outside: `buffer` holds ESP or HIP without the outer IP header, its path tells
   * protocol and addresses.
   *
   * @returns "deliver" when `buffer` has become an inner IPv6 packet for the applications.
   */
  handleDatagram(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    switch (buffer.path.protocol) {
      case ESP_PROTOCOL:
        return this.#handleEsp(now, buffer);
      case HIP_PROTOCOL:
        this.#handleHipPacket(now, buffer);
        return "consumed";
      default:
        this.#drops.count("datagram-unknown");
        return "consumed";
    }
  }

  #handleEsp(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    if (buffer.length < 8) {
      this.#drops.count("esp-too-short");
      return "consumed";
    }
    const spi = buffer.view.getUint32(buffer.start);
    const sa = this.#saDatabase.inboundBySpi(spi);
    if (sa === undefined) {
      this.#drops.count("esp-unknown-spi");
      if (this.#settings.icmpToStrangers) this.#answerDrop(now, buffer, "esp-unknown-spi");
      return "consumed";
    }
    const reason = decapsulate(sa, buffer);
    if (reason !== undefined) {
      this.#drops.count(reason);
      if (reason !== "esp-dummy") return "consumed";
    }
    if (sa.isRekeyDue) this.#startRekey(now, sa);
    if (this.#awaitingData.size > 0) {
      const awaiting = this.#awaitingData.get(spi);
      this.#awaitingData.delete(spi);
      awaiting?.handleData(now, spi);
    }
    return reason === undefined ? "deliver" : "consumed";
  }

  /** Asked once: while the rekey runs, the SA does not ask again. */
  #startRekey(now: Instant, sa: InboundSa | OutboundSa): void {
    sa.rekeyLimits = NO_REKEY_LIMITS;
    const association = this.#associations.find(sa.localHit, sa.peerHit);
    association?.rekey(now, this.#settings.rekeyWithDh);
  }

  /** No SA yet: the packet waits, the exchange starts (RFC 7401 §6.1). */
  #stage(now: Instant, packet: Uint8Array): void {
    const localHit = packet.slice(INNER_SOURCE, INNER_SOURCE + 16);
    const peerHit = packet.slice(INNER_DESTINATION, INNER_DESTINATION + 16);
    if (!isHit(peerHit)) {
      this.#drops.count("tun-not-a-hit");
      return;
    }
    if (!this.#isLocal(localHit) || this.#isLocal(peerHit)) {
      this.#drops.count("tun-source-not-local");
      return;
    }
    const association = this.#ensureAssociation(localHit, peerHit);
    if (association === undefined) {
      this.#drop(now, "hip-busy", "too many associations");
      return;
    }
    const dropped = this.#staging.stage(now, localHit, peerHit, packet);
    if (dropped > 0) this.#drops.count("staged-overflow");
    const packets = this.#staging.waiting(localHit, peerHit);
    this.#events.add({ kind: "staged", at: now, localHit, peerHit, packets });
    association.initiate(now);
  }

  // ---- control path ----------------------------------------------------------------------------

  /** The one place where malformed packets end (RFC 7401 §5.4, §6). */
  #handleHipPacket(now: Instant, buffer: PacketBuffer): void {
    const { path } = buffer;
    const addresses = { local: path.localAddress.slice(), peer: path.peerAddress.slice() };
    const admitted = admitHipPacket(buffer.contents(), addresses);
    const reason = typeof admitted === "string"
      ? admitted
      : this.#handleAdmitted(now, admitted, addresses);
    if (reason === undefined) return;
    this.#drop(now, reason, "");
    this.#answerDrop(now, buffer, reason);
  }

  #handleAdmitted(now: Instant, octets: Uint8Array, addresses: AddressPair) {
    try {
      const packet = parseHipPacket(octets);
      this.#events.addPacket(now, "in", packet, addresses);
      return admitParsed(packet) ?? this.#dispatch(now, packet, addresses);
    } catch (error) {
      if (!(error instanceof MalformedPacketError)) throw error;
      this.#options.logger.log("debug", error.message);
      return error.what === "parameter order" ? "hip-parameter-order" : "hip-malformed";
    }
  }

  /** Few drops are answered: strangers by ICMP, peers by NOTIFY (RFC 7401 §4.3, §5.4). */
  #answerDrop(now: Instant, buffer: PacketBuffer, reason: DropReason): void {
    const { protocol, localAddress, peerAddress } = buffer.path;
    const addresses = { local: localAddress.slice(), peer: peerAddress.slice() };
    const refused = { protocol, addresses, octets: buffer.contents(), reason };
    const hits = protocol === HIP_PROTOCOL ? controlHits(refused.octets) : undefined;
    const association = hits && this.#associations.find(hits.localHit, hits.peerHit);
    if (association?.keys !== undefined) {
      const data = notificationData(reason, refused.octets);
      this.#notifier.report(now, association, addresses, CONTROL_ERRORS[reason], { data });
      return;
    }
    const isKnown = (hit: Uint8Array) => this.#associations.withPeer(hit).length > 0;
    const answer = this.#icmp.answer(now, refused, isKnown);
    if (answer !== undefined) this.#transmits.push(answer);
  }

  #dispatch(now: Instant, packet: HipPacket, addresses: AddressPair): DropReason | undefined {
    const localHit = packet.receiverHit;
    const peerHit = packet.senderHit;
    if (this.#isLocal(peerHit)) return "hip-own-packet";
    const association = this.#associations.find(localHit, peerHit);
    switch (packet.packetType) {
      case PACKET.I1:
        if (association?.yieldsToI1 === false) return "hip-tie-break";
        return this.#desk.handleI1(now, packet, addresses);
      case PACKET.R1: {
        const initiating = association ?? this.#associations.find(localHit, new Uint8Array(16));
        return initiating?.handleR1(now, packet, addresses) ?? noAssociation(initiating);
      }
      case PACKET.I2:
        if (association?.repeatR2(now, packet.bytes, addresses)) return undefined;
        if (this.#desk.isPending(localHit, packet)) return "hip-replayed";
        if (association?.yieldsToI2 === false) return "hip-tie-break";
        return this.#desk.handleI2(now, packet, addresses);
      case PACKET.R2:
        return association?.handleR2(now, packet) ?? noAssociation(association);
      default:
        if (!this.#notifier.admits(now, packet)) return "hip-rate-limited";
        return association?.handleControl(now, packet, addresses) ?? noAssociation(association);
    }
  }

  #acceptI2(now: Instant, pending: PendingI2, result: AcceptI2Result): void {
    const { localHit, peerHit, i2, receivedAt, addresses, inboundSpi } = pending;
    const association = this.#ensureAssociation(localHit, peerHit);
    if (association === undefined) {
      wipeSecrets(result);
      this.#drop(now, "hip-busy", "too many associations");
      this.#notifier.report(now, pending, addresses, I2_ERRORS["hip-busy"]);
    } else if (!association.yieldsToI2) {
      // The state has changed while the I2 was verified: the tie-break once more (§6.9 step 5).
      wipeSecrets(result);
      this.#drop(now, "hip-tie-break", "");
    } else {
      association.acceptI2(now, i2, receivedAt, addresses, result, inboundSpi);
    }
  }

  // ---- jobs, timers, the host ------------------------------------------------------------------

  /** The result of a job taken from `pollJob`. Unknown numbers are ignored. */
  handleJobDone(now: Instant, id: number, result: JobResult): void {
    const owner = this.#jobs.finish(id);
    if (owner === undefined) return;
    switch (owner.kind) {
      case "association":
        owner.association.handleJobDone(now, id, owner.job, result);
        break;
      case "pool":
        this.#desk.handlePoolJobDone(now, owner.localHit, owner.job, result);
        break;
      case "notify":
        if (result.kind === "sign-packet") this.#transmit(now, owner.addresses, result.packet);
        break;
      case "i2":
        this.#desk.handleI2Done(now, owner.pending, result);
        break;
    }
    // Harmless for an SPI that an SA has taken over by now.
    if ("inboundSpi" in owner.job) this.#saDatabase.releaseSpi(owner.job.inboundSpi);
  }

  /** The addresses of this host, whole, whenever they change. */
  handleLocatorsChanged(_now: Instant, locators: readonly LocalLocator[]): void {
    this.#locators = locators;
  }

  /** Does all that is due; harmless when nothing is. */
  handleTimeout(now: Instant): void {
    for (;;) {
      const association = this.#timers.popDue(now);
      if (association === undefined) break;
      association.handleTimeout(now);
      this.#timers.set(association, association.nextTimeout());
    }
    const deskDue = this.#desk.nextTimeout();
    if (deskDue !== undefined && deskDue <= now) this.#desk.handleTimeout(now);
    for (const packet of this.#staging.expire(now)) {
      this.#drops.count("staged-expired");
      this.#answerUnreachable(packet);
    }
  }

  /** When `handleTimeout` wants to be called next. */
  nextTimeout(): Instant | undefined {
    const control = earliest(this.#timers.next(), this.#desk.nextTimeout());
    return earliest(control, this.#staging.nextTimeout());
  }

  // ---- commands --------------------------------------------------------------------------------

  /** Takes in what DNS or the hosts file says of a peer; sends nothing. */
  learnPeer(now: Instant, mapping: PeerMapping): void {
    this.peers.learn(now, mapping);
    if (mapping.source === "dns") {
      const { name, hit, locators } = mapping;
      this.#events.add({ kind: "learned", at: now, name, peerHit: hit, locators });
    }
  }

  /** Starts an exchange with a HIT unless there is an association already. */
  connect(now: Instant, peerHit: Uint8Array, localHit = this.#defaultHit): void {
    this.#ensureAssociation(localHit, peerHit)?.initiate(now);
  }

  /** Starts an exchange with whoever answers at an address (RFC 7401 §4.1.8). */
  connectOpportunistic(now: Instant, address: Uint8Array, localHit = this.#defaultHit): void {
    const anyone = new Uint8Array(16);
    if (this.#associations.find(localHit, anyone) !== undefined) return;
    const association = new Association(this.#context, localHit, anyone, address);
    if (this.#associations.add(association)) association.initiate(now);
  }

  /** Ends the associations with a peer. @returns Whether there was one. */
  close(now: Instant, peerHit: Uint8Array): boolean {
    const found = this.#associations.withPeer(peerHit);
    for (const association of found) association.close(now, "closed by the user");
    return found.length > 0;
  }

  /**
   * Replaces the SAs with a peer, from a new Diffie-Hellman key if asked for (RFC 7402 §6.8).
   *
   * @returns Whether that was begun: an association must be ESTABLISHED and no rekey under way.
   */
  rekey(now: Instant, peerHit: Uint8Array, options: { readonly withDh: boolean }): boolean {
    const begun = this.#associations.withPeer(peerHit)
      .filter((association) => association.rekey(now, options.withDh));
    return begun.length > 0;
  }

  closeAll(now: Instant): void {
    for (const association of [...this.#associations]) association.close(now, "going down");
  }

  /** Associations that carry data or wait for a CLOSE_ACK. */
  get openAssociations(): number {
    return this.#associations.openCount;
  }

  /** The association with a peer, whichever local HIT it has. */
  association(peerHit: Uint8Array): AssociationStatus | undefined {
    return this.status().associations.find((status) => bytesEqual(status.peerHit, peerHit));
  }

  /** Everything that `hip status` shows. */
  status(): EngineStatus {
    return {
      identities: identityStatus(this.#options.identities),
      locators: this.#locators,
      associations: [...this.#associations].map((association) =>
        associationStatus(association, this.peers.nameOf(association.peerHit))
      ),
      drops: this.#drops.toJSON(),
      knownPeers: this.peers.size,
    };
  }

  // ---- effects ---------------------------------------------------------------------------------

  pollTransmit(): OutgoingPacket | undefined {
    return this.#transmits.shift();
  }

  /** An inner IPv6 packet for the applications. */
  pollDeliver(): Uint8Array | undefined {
    return this.#deliveries.shift();
  }

  pollJob(): JobRequest | undefined {
    return this.#jobs.poll();
  }

  pollEvent(): EngineEvent | undefined {
    return this.#events.take();
  }

  // ---- within ----------------------------------------------------------------------------------

  get #defaultHit(): Uint8Array {
    return this.#options.identities[0]!.identity.hit;
  }

  #isLocal(hit: Uint8Array): boolean {
    return this.#options.identities.some(({ identity }) => bytesEqual(identity.hit, hit));
  }

  #ensureAssociation(localHit: Uint8Array, peerHit: Uint8Array): Association | undefined {
    const found = this.#associations.find(localHit, peerHit);
    if (found !== undefined) return found;
    const association = new Association(this.#context, localHit, peerHit);
    return this.#associations.add(association) ? association : undefined;
  }

  #transmit(now: Instant, addresses: AddressPair, packet: Uint8Array): void {
    const outgoing = outgoingHipPacket(addresses, packet);
    this.#transmits.push(outgoing);
    this.#events.addPacket(now, "out", parseHipPacket(outgoing.bytes), addresses);
  }

  /** What waited for an association goes out through its SA. */
  #releaseStaged(association: AssociationHandle): void {
    const { localHit, peerHit, security } = association;
    if (security === undefined) return;
    for (const packet of this.#staging.release(localHit, peerHit)) {
      const buffer = this.#scratch;
      buffer.load(packet);
      const reason = encapsulate(security.outbound, buffer);
      if (reason !== undefined) {
        this.#drops.count(reason);
        continue;
      }
      this.#transmits.push(outgoingPacket(buffer));
    }
  }

  #answerUnreachable(packet: Uint8Array): void {
    const answer = unreachableAnswer(packet);
    if (answer !== undefined) this.#deliveries.push(answer);
  }

  #drop(now: Instant, reason: DropReason, detail: string): void {
    this.#drops.count(reason);
    this.#events.add({ kind: "drop", at: now, reason, detail });
  }

  #makeContext(): AssociationContext {
    const { identities, policy, random, espProvider } = this.#options;
    return {
      settings: this.#settings,
      policy,
      random,
      espProvider,
      saDatabase: this.#saDatabase,
      identityOf: (localHit) => identityWithHit(identities, localHit).identity,
      isAnonymous: (localHit) => identityWithHit(identities, localHit).isAnonymous,
      expectedIdentity: (now, hit): PublicHostIdentity | undefined =>
        isAllZero(hit) ? undefined : this.peers.lookup(now, hit)?.identity,
      pathsOf: (now, hit) => {
        const mapping = this.peers.lookup(now, hit);
        // RFC 8005 §3.2: a rendezvous server is asked before the peer's own addresses.
        return pathsTo(this.#locators, [...mapping?.rendezvous ?? [], ...mapping?.locators ?? []]);
      },
      pathsTo: (addresses) => pathsTo(this.#locators, addresses),
      submit: (association, job) => this.#jobs.submit({ kind: "association", association, job }),
      transmit: (now, addresses, packet) => this.#transmit(now, addresses, packet),
      drop: (now, reason, detail) => this.#drop(now, reason, detail),
      report: (now, hits, addresses, messageType, more) =>
        this.#notifier.report(now, hits, addresses, messageType, more),
      reschedule: (association) => this.#timers.set(association, association.nextTimeout()),
      changed: (now, association, from, to, why) =>
        this.#handleStateChange(now, association, from, to, why),
      puzzleSolved: (at, { localHit, peerHit }, difficultyK, tries) =>
        this.#events.add({ kind: "puzzle-solved", at, localHit, peerHit, difficultyK, tries }),
      established: (_now, association) => this.#releaseStaged(association),
      unreachable: (_now, { localHit, peerHit }) => {
        for (const packet of this.#staging.release(localHit, peerHit)) {
          this.#drops.count("association-closed");
          this.#answerUnreachable(packet);
        }
      },
      notified: (_now, { peerHit }, packet) => {
        for (const { messageType } of packet.all(NOTIFICATION)) {
          const name = notifyTypeName(messageType);
          this.#options.logger.log("info", `${shortHit(peerHit)} sent NOTIFY ${name}`);
        }
      },
      adopted: (association, oldPeerHit) => this.#associations.move(association, oldPeerHit),
      removeSas: (inbound, outbound) => this.#removeSas(inbound, outbound),
      awaitData: ({ spi }, association) => this.#awaitingData.set(spi, association),
      allocateSpi: () => this.#saDatabase.allocateSpi(random),
      releaseSpi: (spi) => this.#saDatabase.releaseSpi(spi),
      rekeyed: (_now, { peerHit }, isNewKeymat) => {
        const who = this.peers.nameOf(peerHit) || shortHit(peerHit);
        const from = isNewKeymat ? "a new Diffie-Hellman key" : "the same KEYMAT";
        this.#options.logger.log("info", `${who}: new ESP keys from ${from}`);
      },
    };
  }

  #handleStateChange(
    at: Instant,
    association: AssociationHandle,
    from: StateName,
    to: StateName,
    why: string,
  ): void {
    const { localHit, peerHit } = association;
    this.#events.add({ kind: "state", at, localHit, peerHit, from, to, why });
    const who = this.peers.nameOf(peerHit) || shortHit(peerHit);
    this.#options.logger.log("info", `${who}: ${from} -> ${to} (${why})`);
    if (to === "UNASSOCIATED") this.#associations.remove(association);
  }

  #removeSas(inbound: InboundSa, outbound: OutboundSa | undefined): void {
    this.#awaitingData.delete(inbound.spi);
    this.#saDatabase.removeInbound(inbound.spi);
    if (outbound !== undefined) {
      this.#saDatabase.removeOutbound(outbound.localHit, outbound.peerHit);
    }
  }
}

/** Told apart from "the association had no use for it". */
function noAssociation(association: Association | undefined): DropReason | undefined {
  return association === undefined ? "hip-no-association" : undefined;
}
