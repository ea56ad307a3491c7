/**
 * R1 packets made and signed in advance, one per Diffie-Hellman group and local identity, so that
 * an I1 costs no public-key work and leaves no state (RFC 7401 §4.1.1, §6.7.1, appendix A).
 *
 * Every prepared R1 has a generation of its own in R1_COUNTER, which the I2 echoes: it finds the
 * entry, with the secret that makes #I and the Diffie-Hellman key. A retired entry is kept for as
 * long as an I2 that answers it may still arrive, then wiped.
 */

import { wipe } from "../base/bytes.ts";
import { type Random, randomBytes } from "../base/random.ts";
import { after, type Duration, earliest, elapsed, type Instant, seconds } from "../base/time.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import { type ControlSettings, puzzleLifetime } from "./constants.ts";
import type { BuildR1Job, BuildR1Result, ExchangePolicy } from "./jobs.ts";
import { chooseDhGroup } from "./negotiation.ts";
import { PreparedR1 } from "./prepared_r1.ts";

/** Retired entries kept at most per identity; the oldest goes first. */
const MAX_RETIRED = 64;

/** How long a group stays without the R1 whose job was lost. */
const RETRY_AFTER = seconds(1);

/** A prepared R1 and what it takes to accept the I2 that answers it. */
export interface R1Entry {
  readonly generation: bigint;
  readonly dhGroup: number;
  readonly difficultyK: number;
  readonly template: Uint8Array;
  readonly prepared: PreparedR1;
  readonly dhPrivateKey: Uint8Array;
  /** S of appendix A: keys #I to the Initiator's HIT and address. */
  readonly secret: Uint8Array;
  readonly builtAt: Instant;
  /** Solutions that made an association: the same I2 again would make the same keys again. */
  readonly usedSolutions: Set<string>;
  /** Solutions with which an I2 failed after its puzzle was right: forgotten with the R1 (§8). */
  readonly badSolutions: Set<string>;
}

interface RetiredEntry {
  readonly entry: R1Entry;
  readonly until: Instant;
}

/** What the pool needs to know of its owner. */
export interface R1PoolOptions {
  readonly identity: PrivateHostIdentity;
  readonly isAnonymous: boolean;
  readonly policy: ExchangePolicy;
  readonly settings: ControlSettings;
  readonly random: Random;
  /** The identity's R1 generation counter: greater each time (RFC 7401 §4.1.4). */
  readonly nextGeneration: () => bigint;
}

/** The prepared R1s of one local identity, all with the same offer. */
export class R1Pool {
  readonly #options: R1PoolOptions;
  readonly #current = new Map<number, R1Entry>();
  readonly #byGeneration = new Map<bigint, R1Entry>();
  readonly #retired: RetiredEntry[] = [];
  /** Groups for which a job is under way, with the generation it will have. */
  readonly #building = new Map<number, bigint>();
  #difficultyK: number;
  /** When what a lost job should have made is tried again. */
  #retryAt: Instant | undefined;

  constructor(options: R1PoolOptions) {
    this.#options = options;
    this.#difficultyK = options.settings.puzzleDifficultyK;
  }

  /** Whether there is an R1 for every group of the policy. */
  get isReady(): boolean {
    return this.#options.policy.dhGroups.every((group) => this.#current.has(group));
  }

  /** Entries that can still be answered, retired ones included. */
  get size(): number {
    return this.#byGeneration.size;
  }

  /** #K of the R1s made from now on. */
  get difficultyK(): number {
    return this.#difficultyK;
  }

  /** Jobs that fill every group without an entry and without a job. */
  missing(): BuildR1Job[] {
    return this.#options.policy.dhGroups
      .filter((group) => !this.#current.has(group) && !this.#building.has(group))
      .map((group) => this.#build(group));
  }

  /** Takes in a job's result; entries whose job is unknown are dropped. */
  handleBuilt(now: Instant, job: BuildR1Job, result: BuildR1Result): void {
    if (this.#building.get(job.dhGroup) !== job.r1Generation) return;
    this.#building.delete(job.dhGroup);
    this.#retire(now, job.dhGroup);
    const entry: R1Entry = {
      generation: job.r1Generation,
      dhGroup: job.dhGroup,
      difficultyK: job.difficultyK,
      template: result.template,
      prepared: new PreparedR1(result.template),
      dhPrivateKey: result.dhPrivateKey,
      secret: randomBytes(this.#options.random, 32),
      builtAt: now,
      usedSolutions: new Set(),
      badSolutions: new Set(),
    };
    this.#current.set(entry.dhGroup, entry);
    this.#byGeneration.set(entry.generation, entry);
  }

  /** Makes room for another try, a little later, after a job that failed or was lost. */
  handleLost(now: Instant, job: BuildR1Job): void {
    if (this.#building.get(job.dhGroup) !== job.r1Generation) return;
    this.#building.delete(job.dhGroup);
    this.#retryAt = after(now, RETRY_AFTER);
  }

  /**
   * The R1 for an Initiator that offers `groups`: the first of our list that is in its list, or
   * any when none is (RFC 7401 §6.7 step 4). Undefined while the pool is being filled.
   */
  offer(groups: readonly number[]): R1Entry | undefined {
    const ours = this.#options.policy.dhGroups;
    const group = chooseDhGroup(ours, groups) ?? ours[0];
    return group === undefined ? undefined : this.#current.get(group);
  }

  /** The entry with this generation, current or retired not too long ago. */
  find(generation: bigint): R1Entry | undefined {
    return this.#byGeneration.get(generation);
  }

  /**
   * A valid I2 used this entry: its Diffie-Hellman key should serve no further Initiator
   * (RFC 7401 §5.3.2), unless exchanges come faster than `r1MinimumUse` allows new ones.
   *
   * @returns The job that replaces it, if it is to be replaced now.
   */
  noteUsed(now: Instant, entry: R1Entry): BuildR1Job | undefined {
    if (this.#current.get(entry.dhGroup) !== entry || this.#building.has(entry.dhGroup)) {
      return undefined;
    }
    if (elapsed(entry.builtAt, now) < this.#options.settings.r1MinimumUse) return undefined;
    return this.#build(entry.dhGroup);
  }

  /**
   * Jobs for a new #K in every group; what is offered meanwhile keeps the old one. A group whose
   * R1 is being made already gets its own when it is asked again.
   */
  setDifficulty(difficultyK: number): BuildR1Job[] {
    this.#difficultyK = difficultyK;
    return [...this.#current.values()]
      .filter((entry) => entry.difficultyK !== difficultyK && !this.#building.has(entry.dhGroup))
      .map((entry) => this.#build(entry.dhGroup));
  }

  /** Forgets what is too old to be answered. @returns Jobs that replace entries by age. */
  handleTimeout(now: Instant): BuildR1Job[] {
    if (this.#retryAt !== undefined && this.#retryAt <= now) this.#retryAt = undefined;
    while (this.#retired[0] !== undefined && this.#retired[0].until <= now) this.#forgetOldest();
    return [...this.#current.values()]
      .filter((entry) => this.#renewalOf(entry) <= now && !this.#building.has(entry.dhGroup))
      .map((entry) => this.#build(entry.dhGroup));
  }

  /** When `handleTimeout` has work. */
  nextTimeout(): Instant | undefined {
    let next = earliest(this.#retired[0]?.until, this.#retryAt);
    for (const entry of this.#current.values()) {
      if (!this.#building.has(entry.dhGroup)) next = earliest(next, this.#renewalOf(entry));
    }
    return next;
  }

  #renewalOf(entry: R1Entry): Instant {
    return after(entry.builtAt, this.#options.settings.r1Lifetime);
  }

  /** Delta S: the puzzle's lifetime and every retransmission of the I2 that solves it. */
  get #answerable(): Duration {
    return puzzleLifetime(this.#options.settings.puzzleLifetimeExponent);
  }

  #build(dhGroup: number): BuildR1Job {
    const { identity, policy, settings, random, isAnonymous } = this.#options;
    const r1Generation = this.#options.nextGeneration();
    this.#building.set(dhGroup, r1Generation);
    return {
      kind: "build-r1",
      seed: randomBytes(random, 32),
      identity,
      dhGroup,
      policy,
      difficultyK: this.#difficultyK,
      puzzleLifetime: settings.puzzleLifetimeExponent,
      r1Generation,
      isAnonymous,
    };
  }

  #retire(now: Instant, dhGroup: number): void {
    const entry = this.#current.get(dhGroup);
    if (entry === undefined) return;
    this.#current.delete(dhGroup);
    this.#retired.push({ entry, until: after(now, this.#answerable) });
    if (this.#retired.length > MAX_RETIRED) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#retired.shift();
    if (oldest === undefined) return;
    this.#byGeneration.delete(oldest.entry.generation);
    wipe(oldest.entry.dhPrivateKey, oldest.entry.secret);
  }
}
