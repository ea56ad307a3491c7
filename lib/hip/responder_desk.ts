/**
 * The Responder before there is an association: I1 is answered from the R1 pool without state, and
 * an I2 passes the cheap checks of RFC 7401 §6.9 in order of cost before any public-key work
 * (RFC 7401 §4.1.1, §6.7, §6.9).
 *
 * Work per packet: an I1 costs a copy of it, its parsing, one hash, and one copy of an R1 with a sum
 * over what is new in it. An I2 costs its parsing and two hashes until its puzzle has been found
 * right. Both look through our identities, which are few. In UDP it is the same but for the sums; the
 * limits count addresses, whatever the ports, and an R1 is no larger there.
 */

import { bytesEqual, isAllZero, toHex, wipe } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import { type Random, randomUint32 } from "../base/random.ts";
import { earliest, type Instant, milliseconds, seconds } from "../base/time.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../crypto/host_key.ts";
import { type Digest, rhashOfSuite } from "../crypto/rhash.ts";
import { hitSuiteId, isHit } from "../identity/hit.ts";
import { DH_GROUP_LIST } from "../wire/hip/parameters/dh_group_list.ts";
import { R1_COUNTER } from "../wire/hip/parameters/r1_counter.ts";
import { SOLUTION, type Solution } from "../wire/hip/parameters/solution.ts";
import { type HipPacket, isAnonymous } from "../wire/hip/packet.ts";
import type { AccessList } from "./access_list.ts";
import type { AddressPair } from "./association_context.ts";
import { pairKey } from "./association_table.ts";
import type { ControlSettings } from "./constants.ts";
import type { AcceptI2Job, AcceptI2Result, BuildR1Job, ExchangePolicy, JobResult } from "./jobs.ts";
import { LoadPolicy } from "./load_policy.ts";
import type { NotifyHits } from "./notify.ts";
import { checkSolution, puzzleRandomI, type PuzzleSubject } from "./puzzle.ts";
import { type R1Entry, R1Pool } from "./r1_pool.ts";
import { RateLimit, RecentlySeen } from "./rate_limit.ts";
import { checkI2Form } from "./responder.ts";

/** R1 packets per second to one address (RFC 7401 §6.7); an exchange needs one. */
const R1_PER_SECOND = 20;

/** An I1 with the same octets from the same address within this time is not answered again. */
const IDENTICAL_I1_WINDOW = milliseconds(20);

/** Solutions remembered per R1 with which an I2 failed after its puzzle was right (RFC 7401 §8). */
const MAX_BAD_SOLUTIONS = 256;

/** Exchanges that one prepared R1 serves at most. */
const MAX_USED_SOLUTIONS = 4096;

/** One of our identities, as the desk knows it. */
export interface DeskIdentity {
  readonly identity: PrivateHostIdentity;
  readonly isAnonymous: boolean;
}

export interface DeskOptions {
  /** The first is the default. */
  readonly identities: readonly DeskIdentity[];
  readonly policy: ExchangePolicy;
  readonly access: AccessList;
  readonly settings: ControlSettings;
  readonly random: Random;
  /** Who hashes for puzzles. */
  readonly digest: Digest;
  readonly firstR1Generation: bigint;
}

/** What the desk asks of the engine. */
export interface DeskContext {
  /** Sends the octets of a HIP packet that are as they go out to these addresses. */
  transmit(now: Instant, addresses: AddressPair, packet: Uint8Array): void;
  submitPoolJob(localHit: Uint8Array, job: BuildR1Job): void;
  submitI2Job(pending: PendingI2, job: AcceptI2Job): void;
  /** Whether an exchange that we started is under way: its crossing twin is not refused. */
  isInitiating(localHit: Uint8Array, peerHit: Uint8Array): boolean;
  /** See `ExchangeRecord.hasOvertaken`. */
  hasOvertaken(localHit: Uint8Array, peerHit: Uint8Array, r1Number: number): boolean;
  expectedIdentity(now: Instant, peerHit: Uint8Array): PublicHostIdentity | undefined;
  allocateSpi(): number | undefined;
  /** An I2 was right in everything; both SAs are to be installed and R2 sent. */
  accepted(now: Instant, pending: PendingI2, result: AcceptI2Result): void;
  drop(now: Instant, reason: DropReason, detail: string): void;
  /** Tells the sender of an I2 with a right solution why it was not taken (§6.9.1). */
  refuse(now: Instant, hits: NotifyHits, addresses: AddressPair, reason: DropReason): void;
}

/** An I2 in public-key work. */
export interface PendingI2 {
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
  readonly i2: Uint8Array;
  /** The R1 that it answers; see `ResponderDesk.lastR1`. */
  readonly r1Number: number;
  readonly addresses: AddressPair;
  readonly receivedAt: Instant;
  readonly inboundSpi: number;
  readonly entry: R1Entry;
  /** #I and #J, under which a failure is remembered. */
  readonly solutionKey: string;
  /** A copy of its own: the entry may be retired and wiped while the job waits for its turn. */
  readonly dhPrivateKey: Uint8Array;
}

export class ResponderDesk {
  readonly #options: DeskOptions;
  readonly #context: DeskContext;
  /** Of one identity: first the pool with the host's offer, then one per list of ESP suites. */
  readonly #pools = new Map<string, readonly R1Pool[]>();
  /** The ESP suites of those further pools, joined, in their order. */
  readonly #offers: readonly string[];
  readonly #pending = new Map<string, PendingI2>();
  readonly #r1Limit: RateLimit;
  readonly #recentI1: RecentlySeen;
  readonly #load: LoadPolicy;
  /**
   * The number of the last R1 sent, from a random one on. Its low 16 bits are the PUZZLE Opaque, so
   * that no Initiator gets one #I twice (RFC 7401 §4.1.2).
   */
  #sent: number;
  readonly #opaqueOctets = new Uint8Array(2);

  #isClosed = false;

  constructor(options: DeskOptions, context: DeskContext) {
    const { identities, policy, settings, random, firstR1Generation } = options;
    this.#options = options;
    this.#context = context;
    this.#r1Limit = new RateLimit(random, R1_PER_SECOND, seconds(1));
    this.#recentI1 = new RecentlySeen(random, IDENTICAL_I1_WINDOW);
    this.#load = new LoadPolicy({
      baseK: settings.puzzleDifficultyK,
      maximumK: settings.puzzleDifficultyKMax,
      maxPendingI2: settings.maxPendingI2,
    });
    this.#sent = randomUint32(random) & 0xffff;
    const lists = options.access.espSuiteLists;
    this.#offers = lists.map((suites) => suites.join());
    const policies = [policy, ...lists.map((espSuites) => ({ ...policy, espSuites }))];
    for (const { identity, isAnonymous } of identities) {
      // One counter per identity (§4.1.4), so that a generation names one R1.
      let generation = firstR1Generation;
      const nextGeneration = () => generation++;
      const pools = policies.map((offer) =>
        new R1Pool({ identity, isAnonymous, policy: offer, settings, random, nextGeneration })
      );
      this.#pools.set(toHex(identity.hit), pools);
    }
  }

  /** Queues the jobs that fill the pools. */
  start(): void {
    this.#eachPool((hit, pool) => {
      for (const job of pool.missing()) this.#context.submitPoolJob(hit, job);
    });
  }

  /**
   * Answers no I1 any more: whoever holds an R1 of ours would send its I2 in vain for long, and the
   * next I1 finds the next agent.
   */
  close(): void {
    this.#isClosed = true;
  }

  /** Whether the default identity has an R1 for every group; the others follow soon. */
  get isReady(): boolean {
    return this.#pools.get(toHex(this.#options.identities[0]!.identity.hit))![0]!.isReady;
  }

  /** I2 packets in public-key work. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** The number of the last R1 sent. */
  get lastR1(): number {
    return this.#sent;
  }

  /** The number of the R1 that an I2 answers: the last that had its Opaque, if it was one of ours. */
  #r1Of({ opaque }: Solution): number {
    const [high = 0, low = 0] = opaque;
    return this.#sent - ((this.#sent - (high << 8) - low) & 0xffff);
  }

  /** RFC 7401 §6.7; the tie-break of step 3 is the caller's. Creates no state. */
  handleI1(now: Instant, packet: HipPacket, addresses: AddressPair): DropReason | undefined {
    if (this.#isClosed) return "hip-refused";
    const { groupIds } = packet.require(DH_GROUP_LIST);
    const isOpportunistic = isAllZero(packet.receiverHit);
    const local = isOpportunistic
      ? this.#identityForOpportunistic(packet.senderHit)
      : this.#identityOf(packet.receiverHit);
    if (local === undefined) return "hip-not-for-us";
    if (isOpportunistic && !this.#options.settings.answersOpportunistic) return "hip-refused";
    const { hit } = local.identity;
    if (this.#options.access.refusesI1(packet.senderHit)) {
      if (!this.#context.isInitiating(hit, packet.senderHit)) return "hip-refused";
    }
    if (this.#recentI1.seen(now, addresses.peer, packet.bytes)) return "hip-rate-limited";
    if (!this.#r1Limit.allow(now, addresses.peer)) return "hip-rate-limited";
    const entry = this.#poolFor(hit, packet.senderHit).offer(groupIds);
    if (entry === undefined) return "hip-busy";
    this.#load.noteI1(now);
    const number = ++this.#sent & 0xffff;
    const opaque = this.#opaqueOctets;
    opaque[0] = number >> 8;
    opaque[1] = number;
    const subject = puzzleSubject(packet.senderHit, hit, addresses, opaque);
    const rhash = rhashOfSuite(hitSuiteId(hit));
    const randomI = puzzleRandomI(rhash, entry.secret, subject, this.#options.digest);
    const r1 = entry.prepared.fill(addresses, packet.senderHit, number, randomI);
    this.#context.transmit(now, addresses, r1);
    return undefined;
  }

  /** RFC 7401 §6.9 steps 1 to 9; what costs more is a job. */
  handleI2(now: Instant, packet: HipPacket, addresses: AddressPair): DropReason | undefined {
    // (2) one of our HITs, (3) a suite we can verify.
    const local = this.#identityOf(packet.receiverHit);
    if (local === undefined) return "hip-not-for-us";
    const peerHit = packet.senderHit;
    if (!this.#options.policy.hitSuites.includes(hitSuiteId(peerHit))) {
      return "hip-unsupported-suite";
    }
    // (7) the counter names the R1 that is answered: ours always carry one.
    const pool = this.#poolFor(local.identity.hit, peerHit);
    const counter = packet.first(R1_COUNTER);
    const entry = counter === undefined ? undefined : pool.find(counter.generation);
    if (entry === undefined) return "hip-old-generation";
    // (8) the puzzle is ours and solved.
    const solution = packet.require(SOLUTION);
    // Enough of both to tell all honest ones apart; up to 4096 are kept per R1.
    const solutionKey = toHex(solution.randomI.subarray(-16)) +
      toHex(solution.solutionJ.subarray(-16));
    if (entry.badSolutions.has(solutionKey)) return "hip-known-bad-solution";
    // A replay would bring back old keys with counters at zero (RFC 7401 §4.1.4, RFC 5116 §3.1).
    if (entry.usedSolutions.has(solutionKey)) return "hip-replayed";
    if (this.#context.hasOvertaken(local.identity.hit, peerHit, this.#r1Of(solution))) {
      return "hip-overtaken";
    }
    if (entry.usedSolutions.size >= MAX_USED_SOLUTIONS) return "hip-busy";
    const refusal = checkSolution(
      rhashOfSuite(hitSuiteId(local.identity.hit)),
      entry.secret,
      puzzleSubject(peerHit, local.identity.hit, addresses, solution.opaque),
      entry.difficultyK,
      solution,
      this.#options.digest,
    );
    if (refusal !== undefined) return refusal;
    // From here on the sender has earned an answer, malformed or not (§6.9.1).
    let refused: DropReason | undefined = "hip-malformed";
    try {
      refused = this.#takeI2(now, packet, addresses, local, entry, solutionKey);
    } finally {
      if (refused !== undefined) {
        const hits = { localHit: local.identity.hit, peerHit };
        this.#context.refuse(now, hits, addresses, refused);
      }
    }
    return refused;
  }

  /** An I2 with a right solution: the form of its choices, then a job. */
  #takeI2(
    now: Instant,
    packet: HipPacket,
    addresses: AddressPair,
    local: DeskIdentity,
    entry: R1Entry,
    solutionKey: string,
  ): DropReason | undefined {
    const peerHit = packet.senderHit;
    // (17) moved up: it costs nothing.
    if (this.#options.access.refuses(peerHit, isAnonymous(packet.bytes))) {
      if (!this.#context.isInitiating(local.identity.hit, peerHit)) return "hip-refused";
    }
    // (9) and (10) what it chose is what we offered, before any arithmetic.
    const unfit = checkI2Form(packet, entry.template, this.#options.policy);
    if (unfit !== undefined) return unfit.reason;
    this.#load.noteI2(now, this.#pending.size + 1);
    const key = pairKey(local.identity.hit, peerHit);
    if (this.#pending.has(key) || this.#pending.size >= this.#options.settings.maxPendingI2) {
      return "hip-busy";
    }
    const inboundSpi = this.#context.allocateSpi();
    if (inboundSpi === undefined) return "hip-busy";
    const pending: PendingI2 = {
      localHit: local.identity.hit,
      peerHit,
      i2: packet.bytes,
      r1Number: this.#r1Of(packet.require(SOLUTION)),
      addresses,
      receivedAt: now,
      inboundSpi,
      entry,
      solutionKey,
      dhPrivateKey: entry.dhPrivateKey.slice(),
    };
    this.#pending.set(key, pending);
    this.#context.submitI2Job(pending, {
      kind: "accept-i2",
      seed: this.#seed(),
      identity: local.identity,
      i2: packet.bytes,
      r1Template: entry.template,
      dhPrivateKey: pending.dhPrivateKey,
      policy: this.#options.policy,
      inboundSpi: pending.inboundSpi,
      expectedIdentity: this.#context.expectedIdentity(now, peerHit),
    });
    return undefined;
  }

  /** Whether this very I2 is being worked on: its retransmission needs no second look. */
  isPending(localHit: Uint8Array, packet: HipPacket): boolean {
    if (this.#pending.size === 0) return false;
    const pending = this.#pending.get(pairKey(localHit, packet.senderHit));
    return pending !== undefined && bytesEqual(pending.i2, packet.bytes);
  }

  handleI2Done(now: Instant, pending: PendingI2, result: JobResult): void {
    this.#pending.delete(pairKey(pending.localHit, pending.peerHit));
    wipe(pending.dhPrivateKey);
    if (result.kind === "accept-i2") {
      pending.entry.usedSolutions.add(pending.solutionKey);
      this.#replaceUsed(now, pending);
      this.#context.accepted(now, pending, result);
    } else if (result.kind === "failed") {
      // A worker that was lost says nothing of the packet.
      if (result.reason !== "hip-job-failed" && result.reason !== "hip-busy") {
        rememberBad(pending.entry, pending.solutionKey);
      }
      this.#context.drop(now, result.reason, `I2: ${result.detail}`);
      this.#context.refuse(now, pending, pending.addresses, result.reason);
    }
  }

  handlePoolJobDone(now: Instant, localHit: Uint8Array, job: BuildR1Job, result: JobResult): void {
    // Only the pool that asked for it knows its generation.
    const pools = this.#pools.get(toHex(localHit))!;
    if (result.kind === "build-r1") {
      for (const pool of pools) pool.handleBuilt(now, job, result);
      // The load may have changed while it was made.
      this.#adjustDifficulty();
      return;
    }
    for (const pool of pools) pool.handleLost(now, job);
    const reason = result.kind === "failed" ? result.reason : "hip-job-failed";
    this.#context.drop(now, reason, `R1 for group ${job.dhGroup} could not be prepared`);
  }

  /** Renews what is old, fills what is missing, and poses puzzles that suit the load. */
  handleTimeout(now: Instant): void {
    this.#load.handleTimeout(now, this.#pending.size);
    this.#adjustDifficulty();
    this.#eachPool((hit, pool) => {
      for (const job of [...pool.handleTimeout(now), ...pool.missing()]) {
        this.#context.submitPoolJob(hit, job);
      }
    });
  }

  /** When `handleTimeout` has work. */
  nextTimeout(): Instant | undefined {
    let next = this.#load.nextTimeout();
    this.#eachPool((_hit, pool) => next = earliest(next, pool.nextTimeout()));
    return next;
  }

  #adjustDifficulty(): void {
    this.#eachPool((hit, pool) => {
      for (const job of pool.setDifficulty(this.#load.difficultyK)) {
        this.#context.submitPoolJob(hit, job);
      }
    });
  }

  #replaceUsed(now: Instant, pending: PendingI2): void {
    const job = this.#poolFor(pending.localHit, pending.peerHit).noteUsed(now, pending.entry);
    if (job !== undefined) this.#context.submitPoolJob(pending.localHit, job);
  }

  /** The R1s that a peer gets: those with the ESP suites that the access list has for it. */
  #poolFor(localHit: Uint8Array, peerHit: Uint8Array): R1Pool {
    const pools = this.#pools.get(toHex(localHit))!;
    if (pools.length === 1) return pools[0]!;
    const suites = this.#options.access.espSuitesFor(peerHit);
    return pools[suites === undefined ? 0 : 1 + this.#offers.indexOf(suites.join())]!;
  }

  #eachPool(visit: (localHit: Uint8Array, pool: R1Pool) => void): void {
    for (const { identity } of this.#options.identities) {
      for (const pool of this.#pools.get(toHex(identity.hit))!) visit(identity.hit, pool);
    }
  }

  #identityOf(hit: Uint8Array): DeskIdentity | undefined {
    return this.#options.identities.find(({ identity }) => bytesEqual(identity.hit, hit));
  }

  /**
   * A HIT of ours from the suite of the Initiator's, else of the REQUIRED suite 1, else the
   * default (RFC 7401 §6.7 step 5). Anonymous identities do not answer.
   */
  #identityForOpportunistic(peerHit: Uint8Array): DeskIdentity | undefined {
    if (!isHit(peerHit)) return undefined;
    const named = this.#options.identities.filter(({ isAnonymous }) => !isAnonymous);
    const ofSuite = (suite: number) =>
      named.find(({ identity }) => hitSuiteId(identity.hit) === suite);
    return ofSuite(hitSuiteId(peerHit)) ?? ofSuite(1) ?? named[0];
  }

  #seed(): Uint8Array {
    const seed = new Uint8Array(32);
    this.#options.random.fill(seed);
    return seed;
  }
}

/** To whom we pose a puzzle: the peer is the Initiator. */
function puzzleSubject(
  initiatorHit: Uint8Array,
  responderHit: Uint8Array,
  addresses: AddressPair,
  opaque: Uint8Array,
): PuzzleSubject {
  return {
    initiatorHit,
    responderHit,
    initiatorAddress: addresses.peer,
    responderAddress: addresses.local,
    opaque,
  };
}

/** Of too many the oldest is forgotten. */
function rememberBad({ badSolutions }: R1Entry, solutionKey: string): void {
  if (badSolutions.size >= MAX_BAD_SOLUTIONS) {
    const [oldest] = badSolutions;
    if (oldest !== undefined) badSolutions.delete(oldest);
  }
  badSolutions.add(solutionKey);
}
