/**
 * The whole program without I/O: packets, names, time and results go in, effects come out.
 *
 * After any `handle…`, `learnPeer`, `connect` or `close`, call each `poll…` until it has nothing,
 * then ask `nextTimeout`. Time is an argument and never goes back. No call does unbounded work:
 * what may take more than about a millisecond is a job. Nothing here is asynchronous.
 *
 * Read `data_path.ts` and `control_path.ts` first: they are the story of a packet.
 */

import { DropCounters } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { earliest, type Instant } from "../base/time.ts";
import { hitSuiteId } from "../identity/hit.ts";
import { digest } from "../crypto/rhash.ts";
import { AccessList } from "../hip/access_list.ts";
import { Association } from "../hip/association.ts";
import type {
  AssociationContext,
  AssociationHandle,
  StateName,
} from "../hip/association_context.ts";
import { AssociationTable } from "../hip/association_table.ts";
import { type ControlSettings, DEFAULT_CONTROL_SETTINGS } from "../hip/constants.ts";
import { FailureHistory } from "../hip/failure_history.ts";
import { IcmpAnswers } from "../hip/icmp_answers.ts";
import { type JobResult, wipeJob } from "../hip/jobs.ts";
import { I2_ERRORS, Notifier } from "../hip/notify.ts";
import { ResponderDesk } from "../hip/responder_desk.ts";
import { permits, portsToTry, type Transport } from "../hip/transport.ts";
import { TimerTable } from "../hip/timers.ts";
import type { LocalLocator } from "../host/local_locators.ts";
import { LsiTable } from "../identity/lsi.ts";
import { PeerDirectory, type PeerMapping } from "../identity/peer_directory.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";
import { classifyUdp, ZERO_MARKER_LENGTH } from "../wire/udp_encapsulation.ts";
import { AnonymousIdentities, type AnonymousPeer } from "./anonymous_identities.ts";
import { associationServices } from "./association_services.ts";
import { Audit } from "./audit.ts";
import type {
  AssociationStatus,
  EngineEvent,
  EngineStatus,
  JobRequest,
  OutgoingPacket,
} from "./effects.ts";
import { Contacts } from "./contacts.ts";
import { Chronicle } from "./chronicle.ts";
import { addressesOf, ControlPath } from "./control_path.ts";
import { DataPath, type ThreadSide } from "./data_path.ts";
import type { EngineOptions } from "./engine_options.ts";
import { IcmpInput } from "./icmp_input.ts";
import { IdentityTable } from "./identity_table.ts";
import { JobTable } from "./job_table.ts";
import { LocalPolicy } from "./local_policy.ts";
import { Outbox } from "./outbox.ts";
import { associationStatus, identityStatus } from "./status.ts";

export type { EngineOptions };

export class Engine {
  /** What is known of peers; names and hosts files fill it through `learnPeer`. */
  readonly peers = new PeerDirectory();
  /** Where peers were met, for the agent after this one. */
  readonly contacts: Contacts;
  /**
   * What stands for HITs, ours and those of peers, in programs that know only IPv4. Where nothing is
   * assigned, IPv4 packets are refused.
   */
  readonly lsis = new LsiTable();
  readonly #options: EngineOptions;
  readonly #settings: ControlSettings;
  readonly #identities: IdentityTable;
  readonly #anonymous: AnonymousIdentities;
  readonly #access: AccessList;
  readonly #drops = new DropCounters();
  readonly #associations: AssociationTable;
  readonly #timers = new TimerTable<AssociationHandle>();
  readonly #failures: FailureHistory;
  readonly #desk: ResponderDesk;
  readonly #dataPath: DataPath;
  readonly #controlPath: ControlPath;
  readonly #icmpInput: IcmpInput;
  readonly #context: AssociationContext;
  readonly #jobs = new JobTable();
  #isGoingDown = false;
  #hasUdp = true;
  readonly #notifier: Notifier;
  #locators: readonly LocalLocator[] = [];
  readonly #outbox = new Outbox(this.#drops);
  readonly #localPolicy: LocalPolicy;
  readonly #chronicle: Chronicle;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#chronicle = new Chronicle(options.logger, this.peers);
    this.#identities = new IdentityTable(options.identities);
    this.#settings = { ...DEFAULT_CONTROL_SETTINGS, ...options.settings };
    this.#access = options.access ?? AccessList.OPEN;
    this.#associations = new AssociationTable(this.#settings.maxAssociations);
    this.#failures = new FailureHistory(this.#settings);
    this.#notifier = new Notifier({
      random: options.random,
      identityOf: (localHit) => this.#identities.require(localHit).identity,
      submit: (addresses, job) => this.#jobs.submit({ kind: "notify", addresses, job }),
    });
    this.contacts = new Contacts(this.peers, this.#associations, {
      isLocal: (hit) => this.#isLocal(hit),
      isAnonymous: (localHit) => this.#context.isAnonymous(localHit),
      ensure: (localHit, peerHit) => this.#ensureAssociation(localHit, peerHit),
    });
    this.#dataPath = this.#makeDataPath();
    this.#desk = new ResponderDesk({
      identities: options.identities,
      policy: options.policy,
      access: this.#access,
      settings: this.#settings,
      random: options.random,
      digest: options.digest ?? digest,
      firstR1Generation: options.firstR1Generation,
    }, {
      transmit: (now, addresses, packet) => this.#outbox.transmitFinished(now, addresses, packet),
      submitPoolJob: (localHit, job) => this.#jobs.submit({ kind: "pool", localHit, job }),
      submitI2Job: (pending, job) => this.#jobs.submit({ kind: "i2", pending, job }),
      isInitiating: (localHit, peerHit) =>
        this.#associations.find(localHit, peerHit)?.isInitiating === true,
      hasOvertaken: (localHit, peerHit, r1Number) =>
        this.#associations.find(localHit, peerHit)?.record.hasOvertaken(r1Number) === true,
      expectedIdentity: (now, hit) => this.peers.lookup(now, hit)?.identity,
      allocateSpi: () => this.#dataPath.saDatabase.allocateSpi(options.random),
      accepted: (now, pending, result) => this.#controlPath.acceptI2(now, pending, result),
      drop: (now, reason, detail) => this.#outbox.drop(now, reason, detail),
      refuse: (now, hits, addresses, reason) =>
        this.#notifier.report(now, hits, addresses, I2_ERRORS[reason]),
    });
    this.#controlPath = this.#makeControlPath();
    this.#icmpInput = new IcmpInput({
      saDatabase: this.#dataPath.saDatabase,
      associations: this.#associations,
      settings: this.#settings,
      drops: this.#drops,
    });
    this.#context = associationServices({
      options,
      settings: this.#settings,
      access: this.#access,
      identities: this.#identities,
      peers: this.peers,
      associations: this.#associations,
      timers: this.#timers,
      failures: this.#failures,
      desk: this.#desk,
      dataPath: this.#dataPath,
      jobs: this.#jobs,
      outbox: this.#outbox,
      notifier: this.#notifier,
      chronicle: this.#chronicle,
      locators: () => this.#locators,
      portsOf: (hits, address) =>
        portsToTry(this.#transportFor(hits.peerHit), this.contacts.portOf(hits, address)),
      changed: (now, association, from, to, why) =>
        this.#handleStateChange(now, association, from, to, why),
    });
    this.#anonymous = this.#makeAnonymous();
    this.#localPolicy = new LocalPolicy(
      this.#access,
      this.#identities,
      this.#anonymous,
      this.#associations,
    );
  }

  // ---- life ------------------------------------------------------------------------------------

  /** Queues the jobs that prepare R1 packets. Before `isReady` no I1 is answered. */
  start(): void {
    for (const peerHit of this.#access.metAnonymously) this.#anonymous.keep(peerHit);
    this.#desk.start();
  }

  /** Whether an I1 can be answered in every group, and anonymous identities stand ready. */
  get isReady(): boolean {
    return this.#desk.isReady && this.#anonymous.isSettled;
  }

  /** The system has no UDP for us: peers are met without it, those with a rule of their own never. */
  withdrawUdp(): void {
    this.#hasUdp = false;
  }

  // ---- packets ---------------------------------------------------------------------------------

  /**
   * A packet from an application: `buffer` holds an inner IPv6 packet, or an IPv4 one
   * between LSIs.
   *
   * @returns "transmit" when `buffer` has become an ESP packet with its path filled in; "consumed"
   *   when it was staged or dropped, or a data thread has it (see `SaOffload`).
   */
  handleTunPacket(now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    return this.#dataPath.handleTunPacket(now, buffer);
  }

  /**
   * A packet from outside: `buffer` holds ESP, HIP, an ICMP error or what a UDP datagram carries,
   * without the outer headers; its path tells protocol and addresses.
   *
   * @returns "deliver" when `buffer` has become an inner packet for the applications: IPv6, or IPv4 for a
   *   flow that a program began with an LSI.
   */
  handleDatagram(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    switch (buffer.path.protocol) {
      case NEXT_HEADER.esp:
        return this.#dataPath.handleEsp(now, buffer);
      case NEXT_HEADER.hip:
        this.#controlPath.handleHipPacket(now, buffer);
        return "consumed";
      case NEXT_HEADER.udp:
        return this.#handleUdp(now, buffer);
      case NEXT_HEADER.icmp:
      case NEXT_HEADER.icmpv6:
        this.#icmpInput.handle(now, buffer);
        return "consumed";
      default:
        this.#drops.count("datagram-unknown");
        return "consumed";
    }
  }

  #handleUdp(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    switch (classifyUdp(buffer.bytes, buffer.start, buffer.end)) {
      case "esp":
        return this.#dataPath.handleEsp(now, buffer);
      case "hip":
        buffer.start += ZERO_MARKER_LENGTH;
        this.#controlPath.handleHipPacket(now, buffer);
        return "consumed";
      case "keepalive":
        return "consumed";
      case "short":
        this.#drops.count("udp-too-short");
        return "consumed";
      case "reserved":
        this.#drops.count("udp-reserved-spi");
        return "consumed";
    }
  }

  // ---- data threads ----------------------------------------------------------------------------

  /** What data threads get and say. */
  get forThreads(): ThreadSide {
    return this.#dataPath;
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
        if (result.kind === "sign-packet") {
          this.#outbox.transmit(now, owner.addresses, result.packet);
        }
        break;
      case "i2":
        this.#desk.handleI2Done(now, owner.pending, result);
        break;
      case "identity":
        this.#anonymous.handleMade(now, owner.peer, result);
        break;
      case "forget":
        this.#anonymous.handleForgotten(now, owner.job.identity.hit);
        break;
    }
    wipeJob(owner.job);
    this.#anonymous.reap();
    // Harmless for an SPI that an SA has taken over by now.
    if ("inboundSpi" in owner.job) this.#dataPath.saDatabase.releaseSpi(owner.job.inboundSpi);
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
    this.#dataPath.handleTimeout(now);
  }

  /** When `handleTimeout` wants to be called next. */
  nextTimeout(): Instant | undefined {
    const control = earliest(this.#timers.next(), this.#desk.nextTimeout());
    return earliest(control, this.#dataPath.nextTimeout());
  }

  // ---- commands --------------------------------------------------------------------------------

  /** Whether we can verify what comes from a HIT: its suite is one of ours (RFC 7401 §6.6 step 1). */
  accepts(hit: Uint8Array): boolean {
    return this.#options.policy.hitSuites.includes(hitSuiteId(hit));
  }

  /**
   * Takes in what DNS or the hosts file says of a peer; sends nothing.
   *
   * @returns False for a HIT of a suite that is not accepted: of several of one name, another will
   *   do.
   */
  learnPeer(now: Instant, mapping: PeerMapping): boolean {
    if (!this.accepts(mapping.hit)) return false;
    this.peers.learn(now, mapping);
    if (mapping.source === "dns") {
      const { name, hit, locators } = mapping;
      this.#outbox.events.add({ kind: "learned", at: now, name, peerHit: hit, locators });
    }
    return true;
  }

  /**
   * Starts an exchange with a HIT unless there is an association already.
   *
   * @param localHit Ours; the one that local policy names when absent.
   */
  connect(now: Instant, peerHit: Uint8Array, localHit?: Uint8Array): void {
    const from = localHit ?? this.#localPolicy.localHitFor(peerHit);
    if (from === undefined) {
      this.#anonymous.connect(now, { hit: peerHit });
      return;
    }
    const mayChangeHit = localHit === undefined && !this.#identities.isPassing(from);
    this.#ensureAssociation(from, peerHit)?.initiate(now, { mayChangeHit });
  }

  /**
   * Meets a peer under an anonymous identity that is made for it, unless that has happened and its
   * association still stands. The identity goes with the association.
   *
   * @returns False when there are too many anonymous identities.
   */
  connectAnonymously(now: Instant, peer: AnonymousPeer): boolean {
    return this.#anonymous.connect(now, peer);
  }

  /** Whether a HIT of ours is anonymous, and goes with its association. */
  isPassing(localHit: Uint8Array): boolean {
    return this.#identities.isPassing(localHit);
  }

  /** The source that traffic for a peer is to have, where it is not the default HIT. */
  get routes(): { readonly localHit: Uint8Array; readonly peerHit: Uint8Array }[] {
    return this.#anonymous.standing;
  }

  /** The same with whoever answers at an address (RFC 7401 §4.1.8). @returns Whether there is room. */
  connectOpportunistic(now: Instant, address: Uint8Array, localHit?: Uint8Array): boolean {
    const anyone = new Uint8Array(16);
    const from = localHit ?? this.#identities.default.identity.hit;
    if (this.#associations.find(from, anyone) !== undefined) return true;
    const association = new Association(this.#context, from, anyone, address);
    if (!this.#associations.add(association)) return false;
    association.initiate(now, { mayChangeHit: localHit === undefined });
    return true;
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
      .filter(({ rekeying }) => rekeying?.start(now, options.withDh) === true);
    return begun.length > 0;
  }

  /** Ends all associations; data and peers that want new ones are refused from then on. */
  closeAll(now: Instant): void {
    this.#isGoingDown = true;
    this.#desk.close();
    for (const association of [...this.#associations]) association.close(now, "going down");
  }

  /** Associations that carry data or wait for a CLOSE_ACK. */
  get openAssociations(): number {
    return this.#associations.openCount;
  }

  /** The association with a peer, whichever local HIT it has. */
  association(peerHit: Uint8Array): AssociationStatus | undefined {
    const [found] = this.#associations.withPeer(peerHit);
    return found && associationStatus(found, this.peers.nameOf(peerHit));
  }

  /** Everything that `hip status` shows. */
  status(): EngineStatus {
    return {
      identities: identityStatus(this.#identities.all),
      locators: this.#locators,
      associations: [...this.#associations].map((association) =>
        associationStatus(association, this.peers.nameOf(association.peerHit))
      ),
      drops: this.#drops.toJSON(),
      knownPeers: this.peers.size,
      tables: {
        associations: this.#associations.size,
        timers: this.#timers.size,
        ...this.#dataPath.tableSizes,
        jobs: this.#jobs.size,
        pendingI2: this.#desk.pendingCount,
      },
    };
  }

  // ---- effects ---------------------------------------------------------------------------------

  pollTransmit(): OutgoingPacket | undefined {
    return this.#outbox.transmits.shift();
  }

  /** An inner IPv6 packet for the applications. */
  pollDeliver(): Uint8Array | undefined {
    return this.#outbox.deliveries.shift();
  }

  pollJob(): JobRequest | undefined {
    return this.#jobs.poll();
  }

  pollEvent(): EngineEvent | undefined {
    return this.#outbox.events.take();
  }

  // ---- within ----------------------------------------------------------------------------------

  #isLocal(hit: Uint8Array): boolean {
    return this.#identities.find(hit) !== undefined;
  }

  #transportFor(peerHit: Uint8Array): Transport {
    const wanted = this.#access.transportFor(peerHit) ?? this.#settings.transport;
    return wanted === "auto" && !this.#hasUdp ? "raw" : wanted;
  }

  #ensureAssociation(localHit: Uint8Array, peerHit: Uint8Array): Association | undefined {
    const found = this.#associations.find(localHit, peerHit);
    if (found !== undefined) return found;
    const association = new Association(this.#context, localHit, peerHit);
    return this.#associations.add(association) ? association : undefined;
  }

  #makeDataPath(): DataPath {
    return new DataPath(
      {
        isLocal: (hit) => this.#isLocal(hit),
        localHitFor: (peerHit) => this.#localPolicy.localHitFor(peerHit),
        associationFor: (now, localHit, peerHit) => {
          if (this.#isGoingDown) {
            this.#outbox.drop(now, "association-closed", "going down");
            return undefined;
          }
          const refusal = this.#localPolicy.refuses(localHit, peerHit);
          if (refusal !== undefined) {
            this.#outbox.drop(now, refusal, "");
            return undefined;
          }
          const association = this.#ensureAssociation(localHit, peerHit);
          if (association === undefined) {
            this.#outbox.drop(now, "hip-busy", "too many associations");
          }
          return association;
        },
        securityOf: ({ localHit, peerHit }) => this.#associations.find(localHit, peerHit)?.security,
        unwatched: (now, { localHit, peerHit }) =>
          this.#associations.find(localHit, peerHit)?.rekeying?.watch(now),
        rekeyDue: (now, { localHit, peerHit }) => {
          const { rekeyWithDh } = this.#settings;
          this.#associations.find(localHit, peerHit)?.rekeying?.start(now, rekeyWithDh);
        },
        staged: (at, localHit, peerHit, packets) =>
          this.#outbox.events.add({ kind: "staged", at, localHit, peerHit, packets }),
        transmit: (packet) => this.#outbox.transmits.push(packet),
        deliver: (packet) => this.#outbox.deliveries.push(packet),
        spent: (now, sa) => this.#associations.closeUsedUp(now, sa),
        unknownSpi: (now, buffer) => {
          const { peer, peerPort } = addressesOf(buffer.path);
          this.contacts.meetAgain(now, peer, peerPort);
          if (!this.#settings.icmpToStrangers) return;
          this.#controlPath.answerDrop(now, buffer, "esp-unknown-spi");
        },
      },
      {
        drops: this.#drops,
        audit: new Audit(this.#options.logger, this.#settings.audit),
        lsis: this.lsis,
        limits: this.#settings,
      },
    );
  }

  #makeControlPath(): ControlPath {
    const { random, logger } = this.#options;
    return new ControlPath({
      associations: this.#associations,
      desk: this.#desk,
      notifier: this.#notifier,
      refusesTransport: (peerHit, { peerPort = 0 }) =>
        !permits(this.#transportFor(peerHit), peerPort),
      icmp: new IcmpAnswers(random, this.#settings.icmpToStrangers),
      events: this.#outbox.events,
      logger,
      isLocal: (hit) => this.#isLocal(hit),
      ensureAssociation: (localHit, peerHit) => this.#ensureAssociation(localHit, peerHit),
      meetAgain: (now, { peer, peerPort = 0 }, peerHit) =>
        this.contacts.meetAgain(now, peer, peerPort, peerHit),
      transmit: (packet) => this.#outbox.transmits.push(packet),
      drop: (now, reason, detail) => this.#outbox.drop(now, reason, detail),
    });
  }

  #makeAnonymous(): AnonymousIdentities {
    return new AnonymousIdentities({
      random: this.#options.random,
      identities: this.#identities,
      submitGenerate: (peer, job) => this.#jobs.submit({ kind: "identity", peer, job }),
      submitForget: (job) => this.#jobs.submit({ kind: "forget", job }),
      isNeeded: (localHit) => this.#jobs.needs(localHit),
      begin: (now, localHit, peer) => {
        if ("address" in peer) return this.connectOpportunistic(now, peer.address, localHit);
        const association = this.#ensureAssociation(localHit, peer.hit);
        association?.initiate(now);
        return association !== undefined;
      },
      changed: (at, localHit, isGone) =>
        this.#outbox.events.add({ kind: "identity", at, localHit, isGone }),
      drop: (now, reason, detail) => this.#outbox.drop(now, reason, detail),
    });
  }

  #handleStateChange(
    at: Instant,
    association: AssociationHandle,
    from: StateName,
    to: StateName,
    why: string,
  ): void {
    const { localHit, peerHit } = association;
    this.#outbox.events.add({ kind: "state", at, localHit, peerHit, from, to, why });
    this.#chronicle.stateChanged(peerHit, from, to, why);
    this.contacts.noteState(at, localHit, peerHit, to);
    if (to === "ESTABLISHED") this.#anonymous.noteUsed(localHit);
    if (to !== "UNASSOCIATED") return;
    this.#associations.remove(association);
    this.#anonymous.noteEnded(localHit);
  }
}
