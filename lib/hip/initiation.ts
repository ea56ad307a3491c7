/**
 * The Initiator's way from the first I1 to a finished I2 (RFC 7401 §6.6, §6.8).
 *
 * I1 goes to one address at a time, each in its turn, in UDP and without it where the peer may answer
 * to either: the first R1 that leads to an I2 decides (RFC 9028 §4.7.3). R1 packets are looked at one after another,
 * after a short wait when several may come: signature, offer, puzzle, key agreement; whichever fails
 * makes room for the next. Every long step is a job, and the number of the one awaited is all that
 * connects them.
 */

import { bytesEqual } from "../base/bytes.ts";
import { DROP_REASONS, type DropReason } from "../base/drop_reason.ts";
import { MalformedPacketError } from "../base/errors.ts";
import { randomBytes } from "../base/random.ts";
import {
  after,
  type Duration,
  earliest,
  elapsed,
  type Instant,
  milliseconds,
} from "../base/time.ts";
import { rhashLength, rhashOfSuite } from "../crypto/rhash.ts";
import { hitSuiteId } from "../identity/hit.ts";
import { PACKET } from "../wire/hip/code_points.ts";
import { emitHipPacket, type HipPacket, isAnonymous, parseHipPacket } from "../wire/hip/packet.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../wire/hip/parameters/dh_group_list.ts";
import { R1_COUNTER } from "../wire/hip/parameters/r1_counter.ts";
import { PUZZLE } from "../wire/hip/parameters/puzzle.ts";
import { addressKey } from "../wire/ip_address.ts";
import {
  type AddressPair,
  type AssociationContext,
  type AssociationHandle,
  isInUdp,
} from "./association_context.ts";
import { backOff } from "./back_off.ts";
import {
  EASY_PUZZLE_K,
  EASY_PUZZLE_TRIES,
  I1_TRIES_WHEN_UNREACHABLE,
  MAX_R1_CANDIDATES,
  PUZZLE_SLICE_TRIES,
  puzzleLifetime,
} from "./constants.ts";
import { wipeSecrets } from "./control_keys.ts";
import { isFailure } from "./job_failure.ts";
import type { BuildI2Result, Job, JobResult, SolvePuzzleJob } from "./jobs.ts";
import { chooseFromR1 } from "./negotiation.ts";
import { R1_ERRORS } from "./notify.ts";
import { solvePuzzle } from "./puzzle.ts";
import { SuiteFallback } from "./suite_fallback.ts";

/** Between two looks at whether a name has led to addresses. */
const NAME_POLL = milliseconds(50);

/** An R1 with where it came from. */
export interface R1Candidate {
  readonly bytes: Uint8Array;
  readonly addresses: AddressPair;
  readonly receivedAt: Instant;
  /** Of R1_COUNTER. */
  readonly generation: bigint;
}

/** An R1 being worked on. */
interface R1Work {
  readonly r1: R1Candidate;
  /** The job whose result is awaited. */
  job: number;
  searchFrom: Instant;
  /** When the puzzle's lifetime, or our patience, is over. */
  searchUntil: Instant;
  tries: number;
}

/** The generation of an R1; one without R1_COUNTER counts as the oldest. */
export function r1Generation(packet: HipPacket): bigint {
  return packet.first(R1_COUNTER)?.generation ?? -1n;
}

function isNewer(r1: R1Candidate, other: R1Candidate): boolean {
  return r1.generation === other.generation
    ? isInUdp(r1.addresses) && !isInUdp(other.addresses)
    : r1.generation > other.generation;
}

function keyOfWay({ local, peer, peerPort = 0 }: AddressPair): string {
  return `${addressKey(local)} ${addressKey(peer)} ${peerPort}`;
}

/** What an initiation tells its association. */
export interface InitiationOwner {
  /** No R1 that helps came in time, or there is nowhere to send I1 to. */
  initiationFailed(now: Instant, why: string): void;
  /** I2 is ready to be sent. */
  i2Built(now: Instant, r1: R1Candidate, result: BuildI2Result, inboundSpi: number): void;
  /** An opportunistic exchange has met this HIT. @returns Whether it may go on with it. */
  adoptPeer(peerHit: Uint8Array): boolean;
  /** The next I1 is to come from this HIT of ours. @returns Whether it may. */
  adoptLocal(now: Instant, localHit: Uint8Array): boolean;
}

export interface InitiationOptions {
  /** For opportunistic mode: the only address to send I1 to. */
  readonly address: Uint8Array | undefined;
  /** Whether another HIT of ours may take the place of this one. */
  readonly mayChangeHit: boolean;
  /** R1_COUNTER of the peer's R1 that was used last, if any. */
  readonly knownGeneration: bigint | undefined;
  /** When the first I1 goes out; at once when absent. */
  readonly firstI1At?: Instant;
}

export class Initiation {
  readonly startedAt: Instant;
  /** From R1 to the puzzle's solution. */
  puzzleTime: Duration | undefined;
  readonly #context: AssociationContext;
  readonly #association: AssociationHandle;
  readonly #owner: InitiationOwner;
  readonly #options: InitiationOptions;
  readonly #fallback: SuiteFallback;
  /** R1 packets not looked at yet, oldest first; bounded. */
  readonly #candidates: R1Candidate[] = [];
  #work: R1Work | undefined;
  #attempts = 0;
  /** Those of them that came from the HIT we use now. */
  #attemptsOfHit = 0;
  /** Ways on which I1 went, and those of them of which ICMP said that they lead nowhere. */
  readonly #tried = new Set<string>();
  readonly #unreachable = new Set<string>();
  /** Whether ICMP said so because somebody forbids it. */
  #isProhibited = false;
  #pathCount = 0;
  /** Ways of the last I1 that are tried when the first one has brought no R1. */
  #otherWays: { readonly at: Instant; readonly ways: readonly AddressPair[] } | undefined;
  /** Whether an R1 without UDP was put back for one in UDP: once, whoever sends us how many. */
  #hasPutBack = false;
  #retryAt: Instant;
  /** Until when further R1s are awaited before any is looked at, or an I1 is sent because of one. */
  #collectUntil: Instant | undefined;
  #lastRefusal: DropReason | undefined;

  constructor(
    now: Instant,
    context: AssociationContext,
    association: AssociationHandle,
    owner: InitiationOwner,
    options: InitiationOptions,
  ) {
    this.startedAt = now;
    this.#retryAt = options.firstI1At ?? now;
    this.#context = context;
    this.#association = association;
    this.#owner = owner;
    this.#options = options;
    this.#fallback = new SuiteFallback(context.policyFor(association.peerHit).hitSuites);
  }

  /** When `handleTimeout` has work. */
  get retryAt(): Instant {
    return earliest(earliest(this.#retryAt, this.#collectUntil), this.#otherWays?.at)!;
  }

  /** Looks at the R1s that were collected; sends I1 until the tries are used up (§6.6). */
  handleTimeout(now: Instant): void {
    if (this.#otherWays !== undefined && this.#otherWays.at <= now) {
      const { ways } = this.#otherWays;
      this.#otherWays = undefined;
      if (!this.#hasR1) this.#sendI1Over(now, ways);
      this.#context.reschedule(this.#association);
    } else if (this.#collectUntil !== undefined && this.#collectUntil <= now) {
      this.#collectUntil = undefined;
      if (this.#candidates.length > 0) this.#verifyNext(now);
      else this.#changeHit(now);
      this.#context.reschedule(this.#association);
    } else if (this.#retryAt <= now) {
      this.#retry(now);
    }
  }

  #retry(now: Instant): void {
    const { settings } = this.#context;
    if (this.#hasR1) {
      // An R1 is being worked on: another I1 would only bring another R1.
      this.#retryAt = after(now, settings.i1Timeout);
    } else if (this.#attempts >= this.#triesMax) {
      this.#owner.initiationFailed(now, this.#describeFailure());
      return;
    } else if (!this.#sendI1(now)) {
      if (!this.#context.awaitsPaths(now, this.#association.peerHit)) {
        this.#owner.initiationFailed(now, "no address is known that this host can send to");
        return;
      }
      this.#retryAt = after(now, NAME_POLL);
    }
    this.#context.reschedule(this.#association);
  }

  /** Whether an R1 is being worked on, or more are awaited. */
  get #hasR1(): boolean {
    return this.#work !== undefined || this.#collectUntil !== undefined;
  }

  #describeFailure(): string {
    if (this.#lastRefusal !== undefined) return describeRefusal(this.#lastRefusal);
    const because = this.#isProhibited
      ? " (ICMP says that it is prohibited: the peer or a packet filter may refuse this host)"
      : this.#unreachable.size > 0
      ? " (ICMP says that it cannot be reached)"
      : "";
    return `the peer did not answer I1${because}`;
  }

  /** Fewer when ICMP said of all ways that they lead nowhere: no more than a hint (§6.6.2, §8). */
  get #triesMax(): number {
    const { i1RetriesMax } = this.#context.settings;
    const isHopeless = this.#unreachable.size > 0 && this.#attempts >= this.#pathCount &&
      this.#unreachable.size === this.#tried.size;
    return isHopeless ? Math.min(i1RetriesMax, I1_TRIES_WHEN_UNREACHABLE) : i1RetriesMax;
  }

  /**
   * ICMP says that I1 did not get there: other ways are tried at once. @returns Whether one went that
   * way.
   */
  noteUnreachable(addresses: AddressPair, isProhibited: boolean): boolean {
    const way = keyOfWay(addresses);
    if (!this.#tried.has(way)) return false;
    this.#isProhibited ||= isProhibited;
    this.#unreachable.add(way);
    if (this.#otherWays !== undefined) {
      this.#otherWays = { ...this.#otherWays, at: this.startedAt };
      this.#context.reschedule(this.#association);
    }
    return true;
  }

  #sendI1(now: Instant): boolean {
    const { settings } = this.#context;
    const { peerHit } = this.#association;
    const { address } = this.#options;
    const paths = address !== undefined
      ? this.#context.pathsTo([address])
      : this.#context.pathsOf(now, peerHit);
    if (paths.length === 0) return false;
    const { local, peer } = paths[this.#attempts % paths.length]!;
    const [first, ...others] = this.#context.portsOf(this.#association, peer)
      .map((peerPort) => ({ local, peer, peerPort }));
    const isFirst = this.#attempts < paths.length;
    this.#attempts++;
    this.#attemptsOfHit++;
    this.#pathCount = paths.length;
    this.#otherWays = isFirst && others.length > 0
      ? { at: after(now, settings.otherTransportWait), ways: others }
      : undefined;
    this.#retryAt = after(now, backOff(settings.i1Timeout, settings.i1TimeoutMax, this.#attempts));
    this.#sendI1Over(now, isFirst ? [first!] : [first!, ...others]);
    return true;
  }

  #sendI1Over(now: Instant, ways: readonly AddressPair[]): void {
    const { localHit, peerHit } = this.#association;
    const { dhGroups } = this.#context.policyFor(peerHit);
    const i1 = emitHipPacket(
      { packetType: PACKET.I1, senderHit: localHit, receiverHit: peerHit },
      [encodeParameter(DH_GROUP_LIST, { groupIds: [...dhGroups] })],
    );
    for (const way of ways) {
      this.#tried.add(keyOfWay(way));
      this.#context.transmit(now, way, i1);
    }
  }

  /** §6.8 steps 1 to 3: an R1 for these HITs, or from the address of an opportunistic I1. */
  handleR1(now: Instant, packet: HipPacket, addresses: AddressPair): DropReason | undefined {
    const { address } = this.#options;
    if (address !== undefined && !bytesEqual(addresses.peer, address)) {
      return "hip-no-association";
    }
    if (this.#candidates.length >= MAX_R1_CANDIDATES) return "hip-busy";
    const generation = this.#isUnverifiable(packet) ? -1n : r1Generation(packet);
    this.#candidates.push({ bytes: packet.bytes, addresses, receivedAt: now, generation });
    if (this.#hasR1) return undefined;
    if (this.#expectsMore(generation)) this.#collect(now);
    else this.#verifyNext(now);
    return undefined;
  }

  /** Takes over R1s that came for an I1 of before. */
  addCandidates(now: Instant, r1s: readonly R1Candidate[]): void {
    this.#candidates.push(...r1s);
    if (this.#work === undefined) this.#verifyNext(now);
  }

  /**
   * Whether other R1s may come that are better: after several I1s, and when this one is older than
   * what the peer has shown before (§4.1.4).
   */
  #expectsMore(generation: bigint): boolean {
    const { knownGeneration } = this.#options;
    if (this.#context.settings.r1CollectionTime === 0) return false;
    return this.#attemptsOfHit > 1 ||
      (knownGeneration !== undefined && generation < knownGeneration);
  }

  #collect(now: Instant): void {
    this.#collectUntil = after(now, this.#context.settings.r1CollectionTime);
    this.#context.reschedule(this.#association);
  }

  /** In opportunistic mode a Responder may have a HIT of any suite (§4.1.8). */
  #isUnverifiable(packet: HipPacket): boolean {
    return this.#options.address !== undefined && this.#fallback.isUnverifiable(packet);
  }

  /** Begins again under another HIT, within the tries that are left (§6.8 step 6). */
  #changeHit(now: Instant): void {
    const suites = this.#fallback.take();
    const localHit = suites && this.#context.localHitOf(suites);
    if (localHit === undefined || !this.#owner.adoptLocal(now, localHit)) return;
    this.#attemptsOfHit = 0;
    this.#retryAt = now;
    this.#retry(now);
  }

  /** R1 packets that nobody has looked at, now the caller's. */
  takeCandidates(): R1Candidate[] {
    return this.#candidates.splice(0);
  }

  /** The result of a job; one that is no longer awaited is ignored. */
  handleJobDone(now: Instant, id: number, job: Job, result: JobResult): void {
    const work = this.#work;
    if (work === undefined || work.job !== id) return;
    switch (result.kind) {
      case "verify-r1":
        try {
          this.#handleVerified(now, work.r1);
        } catch (error) {
          // Signed, and still not in its form: another R1 may be.
          if (!(error instanceof MalformedPacketError)) throw error;
          this.#drop(now, "hip-malformed", error.message);
        }
        return;
      case "solve-puzzle":
        work.tries += result.tries;
        if (result.solutionJ !== undefined) {
          this.#handleSolved(now, work.r1, work.tries, result.solutionJ);
        } else if (now >= work.searchUntil) {
          this.#drop(now, "hip-puzzle-unsolvable", `2^${work.tries} tries`);
        } else {
          this.#solve(parseHipPacket(work.r1.bytes), result.nextJ);
        }
        return;
      case "build-i2":
        if (job.kind !== "build-i2") return;
        if (this.#mayBeBettered(work.r1)) {
          wipeSecrets(result);
          this.#candidates.push(work.r1);
          this.#verifyNext(now);
        } else this.#owner.i2Built(now, work.r1, result, job.inboundSpi);
        return;
      case "failed":
        this.#drop(now, result.reason, result.detail);
        return;
      default:
        return;
    }
  }

  /** Whether an R1 in UDP has come beside this one, and takes its place (RFC 9028 Appendix E). */
  #mayBeBettered(r1: R1Candidate): boolean {
    if (this.#hasPutBack || isInUdp(r1.addresses)) return false;
    const isBetter = this.#candidates.some(({ addresses, generation }) =>
      isInUdp(addresses) && generation >= r1.generation
    );
    if (isBetter) this.#hasPutBack = true;
    return isBetter;
  }

  #verifyNext(now: Instant): void {
    this.#work = undefined;
    const r1 = this.#takeNewest();
    if (r1 === undefined) {
      // Others may still come before we begin again (§6.8 step 6).
      if (this.#fallback.isWanted && this.#options.mayChangeHit) this.#collect(now);
      return;
    }
    const packet = parseHipPacket(r1.bytes);
    if (this.#isUnverifiable(packet)) {
      this.#takeHearsay(now, packet);
      return;
    }
    const expectedIdentity = this.#context.expectedIdentity(now, this.#association.peerHit);
    const job = this.#submit({ kind: "verify-r1", r1: r1.bytes, expectedIdentity });
    this.#work = { r1, job, searchFrom: now, searchUntil: now, tries: 0 };
  }

  /** An R1 whose signature is beyond us; nothing but its list of suites is read (§4.1.8). */
  #takeHearsay(now: Instant, packet: HipPacket): void {
    try {
      this.#fallback.noteUnverifiable(packet, hitSuiteId(this.#association.localHit));
    } catch (error) {
      if (!(error instanceof MalformedPacketError)) throw error;
      this.#drop(now, "hip-malformed", error.message);
      return;
    }
    const suite = hitSuiteId(packet.senderHit);
    this.#drop(now, "hip-unsupported-suite", `the Responder has HIT suite ${suite}`);
  }

  /** Of several R1s the one of the latest generation is answered (§6.8 step 5), UDP first. */
  #takeNewest(): R1Candidate | undefined {
    let newest = 0;
    for (let i = 1; i < this.#candidates.length; i++) {
      if (isNewer(this.#candidates[i]!, this.#candidates[newest]!)) newest = i;
    }
    return this.#candidates.splice(newest, 1)[0];
  }

  /** §6.8 steps 6 to 12: what R1 offers suits us, then its puzzle. */
  #handleVerified(now: Instant, r1: R1Candidate): void {
    const { settings, access, random } = this.#context;
    const packet = parseHipPacket(r1.bytes);
    // §6.8 step 9: the user who names a HIT wants just that peer, anonymous or not.
    if (this.#options.address !== undefined && access.refusesAnonymous && isAnonymous(r1.bytes)) {
      this.#drop(now, "hip-refused", "whoever answered is anonymous");
      return;
    }
    const policy = this.#context.policyFor(packet.senderHit);
    const ownSuite = hitSuiteId(this.#association.localHit);
    const misfit = this.#fallback.checkVerified(packet, ownSuite);
    const choice = misfit ?? chooseFromR1(packet, policy, ownSuite);
    if (isFailure(choice)) {
      const error = R1_ERRORS[choice.reason];
      this.#context.report(now, this.#association, r1.addresses, error, { withHostId: true });
      this.#drop(now, choice.reason, choice.detail);
      return;
    }
    const { puzzle, rhash } = choice;
    if (puzzle.difficultyK > settings.maxDifficultyK) {
      this.#drop(now, "hip-puzzle-unsolvable", `2^${puzzle.difficultyK} hashes on average`);
      return;
    }
    if (this.#options.address !== undefined && !this.#owner.adoptPeer(packet.senderHit)) {
      this.#drop(now, "hip-tie-break", "there is an association with this HIT already");
      return;
    }
    const claimed = puzzleLifetime(puzzle.lifetime);
    const usable = claimed < settings.maxPuzzleTime ? claimed : settings.maxPuzzleTime;
    const work = this.#work!;
    work.searchFrom = now;
    work.searchUntil = after(r1.receivedAt, usable);
    const firstJ = randomBytes(random, rhashLength(rhash));
    if (puzzle.difficultyK > EASY_PUZZLE_K) {
      this.#solve(packet, firstJ);
      return;
    }
    // Not worth the way to a worker and back.
    const result = solvePuzzle(this.#puzzleJob(packet, firstJ, EASY_PUZZLE_TRIES));
    work.tries = result.tries;
    if (result.solutionJ === undefined) this.#solve(packet, result.nextJ);
    else this.#handleSolved(now, r1, result.tries, result.solutionJ);
  }

  #solve(packet: HipPacket, firstJ: Uint8Array): void {
    this.#work!.job = this.#submit(this.#puzzleJob(packet, firstJ, PUZZLE_SLICE_TRIES));
  }

  #puzzleJob(packet: HipPacket, firstJ: Uint8Array, tries: number): SolvePuzzleJob {
    const { difficultyK, randomI } = packet.require(PUZZLE);
    return {
      kind: "solve-puzzle",
      rhash: rhashOfSuite(hitSuiteId(packet.senderHit)),
      randomI,
      initiatorHit: this.#association.localHit,
      responderHit: packet.senderHit,
      difficultyK,
      firstJ,
      tries,
    };
  }

  #handleSolved(now: Instant, r1: R1Candidate, tries: number, solutionJ: Uint8Array): void {
    const { localHit } = this.#association;
    const { difficultyK } = parseHipPacket(r1.bytes).require(PUZZLE);
    this.puzzleTime = elapsed(this.#work!.searchFrom, now);
    this.#context.puzzleSolved(now, this.#association, difficultyK, tries);
    const inboundSpi = this.#context.allocateSpi();
    if (inboundSpi === undefined) {
      this.#drop(now, "hip-busy", "no SPI is free");
      return;
    }
    this.#work!.job = this.#submit({
      kind: "build-i2",
      seed: randomBytes(this.#context.random, 32),
      identity: this.#context.identityOf(localHit),
      r1: r1.bytes,
      solutionJ,
      policy: this.#context.policyFor(parseHipPacket(r1.bytes).senderHit),
      inboundSpi,
      encryptHostId: this.#context.settings.encryptHostId,
      isAnonymous: this.#context.isAnonymous(localHit),
    });
  }

  /** An R1 that turned out unusable: the wait for a better one goes on (§6.8.1). */
  #drop(now: Instant, reason: DropReason, detail: string): void {
    this.#lastRefusal = reason;
    this.#context.drop(now, reason, `R1: ${detail}`);
    this.#verifyNext(now);
  }

  #submit(job: Job): number {
    return this.#context.submit(this.#association, job);
  }
}

/** The settings that both hosts must have something in common in. */
const SETTING_BEHIND: Partial<Record<DropReason, string>> = {
  "hip-no-common-group": "dh_groups",
  "hip-no-common-cipher": "hip_ciphers",
  "hip-no-common-esp-suite": "esp_suites",
  "hip-unsupported-suite": "hit_suites",
};

/** Why no R1 led anywhere, and where to look. */
function describeRefusal(reason: DropReason): string {
  const setting = SETTING_BEHIND[reason];
  const advice = setting === undefined ? "" : `; compare ${setting} on both hosts`;
  return `the peer's R1 was refused: ${DROP_REASONS[reason]} (${reason})${advice}`;
}
