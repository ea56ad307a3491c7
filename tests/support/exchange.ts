/** A whole base exchange in memory, job by job, as the engine would run it. */

import { strict as assert } from "node:assert";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import { rhashLength, rhashOfSuite } from "../../lib/crypto/rhash.ts";
import type {
  AcceptI2Job,
  AcceptI2Result,
  BuildI2Job,
  BuildI2Result,
  BuildR1Result,
  ExchangePolicy,
  Job,
  JobFailure,
  JobResult,
  VerifyR2Job,
  VerifyR2Result,
} from "../../lib/hip/jobs.ts";
import { puzzleRandomI, type PuzzleSubject } from "../../lib/hip/puzzle.ts";
import { fillR1 } from "../../lib/hip/responder.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { testIdentity } from "./identities.ts";

/** Accepts everything that is implemented, cheap things first. */
export const WIDE_POLICY: ExchangePolicy = {
  dhGroups: [7, 8, 9, 10, 11, 4, 3],
  hipCiphers: [2, 4],
  espSuites: [8, 9, 13, 12],
  hitSuites: [1, 2, 3, 5],
};

export interface ExchangeOptions {
  readonly initiator?: PrivateHostIdentity;
  readonly responder?: PrivateHostIdentity;
  readonly initiatorPolicy?: ExchangePolicy;
  readonly responderPolicy?: ExchangePolicy;
  readonly dhGroup?: number;
  readonly difficultyK?: number;
  readonly encryptHostId?: boolean;
  readonly isAnonymous?: boolean;
  readonly unsignedEchoRequests?: readonly Uint8Array[];
}

export const INITIATOR_SPI = 0x11112222;
export const RESPONDER_SPI = 0x33334444;

/** Seeds differ, as the engine's do. */
export function seed(octet: number): Uint8Array {
  return new Uint8Array(32).fill(octet);
}

/** The result of a job that must succeed. */
export function succeed<K extends JobResult["kind"]>(
  job: Job & { readonly kind: K },
): JobResult & { readonly kind: K } {
  const result = runJob(job);
  if (result.kind === "failed") assert.fail(`${job.kind}: ${result.reason}: ${result.detail}`);
  assert.equal(result.kind, job.kind);
  return result as JobResult & { readonly kind: K };
}

/** The reason of a job that must fail. */
export function refusal(job: Job): JobFailure["reason"] {
  const result = runJob(job);
  assert.equal(result.kind, "failed", `${job.kind} succeeded`);
  return (result as JobFailure).reason;
}

/** Both ends up to a filled-in R1. */
export function exchangeToR1(options: ExchangeOptions = {}) {
  const initiator = options.initiator ?? testIdentity("ecdsa-p256", "alice");
  const responder = options.responder ?? testIdentity("ecdsa-p256", "bob");
  const initiatorPolicy = options.initiatorPolicy ?? WIDE_POLICY;
  const responderPolicy = options.responderPolicy ?? WIDE_POLICY;
  const difficultyK = options.difficultyK ?? 0;
  const prepared: BuildR1Result = succeed({
    kind: "build-r1",
    seed: seed(1),
    identity: responder,
    dhGroup: options.dhGroup ?? responderPolicy.dhGroups[0]!,
    policy: responderPolicy,
    difficultyK,
    puzzleLifetime: 38,
    r1Generation: 77n,
    isAnonymous: options.isAnonymous ?? false,
  });
  const rhash = rhashOfSuite(hitSuiteId(responder.hit));
  const subject: PuzzleSubject = {
    initiatorHit: initiator.hit,
    responderHit: responder.hit,
    initiatorAddress: new Uint8Array(16).fill(1),
    responderAddress: new Uint8Array(16).fill(2),
    opaque: new Uint8Array([0x12, 0x34]),
  };
  const secret = seed(9);
  const randomI = puzzleRandomI(rhash, secret, subject);
  const r1 = fillR1(
    prepared.template,
    initiator.hit,
    subject.opaque,
    randomI,
    options.unsignedEchoRequests,
  );
  return {
    options,
    initiator,
    responder,
    initiatorPolicy,
    responderPolicy,
    difficultyK,
    prepared,
    rhash,
    subject,
    secret,
    randomI,
    r1,
  };
}

export type ToR1 = ReturnType<typeof exchangeToR1>;

/** #J for the puzzle of an R1. */
export function solutionFor(to: ToR1): Uint8Array {
  const { solutionJ } = succeed({
    kind: "solve-puzzle",
    rhash: to.rhash,
    randomI: to.randomI,
    initiatorHit: to.initiator.hit,
    responderHit: to.responder.hit,
    difficultyK: to.difficultyK,
    firstJ: new Uint8Array(rhashLength(to.rhash)).fill(7),
    tries: 1 << 16,
  });
  assert.ok(solutionJ !== undefined);
  return solutionJ;
}

export function buildI2Job(to: ToR1): BuildI2Job {
  return {
    kind: "build-i2",
    seed: seed(2),
    identity: to.initiator,
    r1: to.r1,
    solutionJ: solutionFor(to),
    policy: to.initiatorPolicy,
    inboundSpi: INITIATOR_SPI,
    encryptHostId: to.options.encryptHostId ?? true,
    isAnonymous: to.options.isAnonymous ?? false,
  };
}

export function acceptI2Job(to: ToR1, i2: Uint8Array): AcceptI2Job {
  return {
    kind: "accept-i2",
    seed: seed(3),
    identity: to.responder,
    i2,
    r1Template: to.prepared.template,
    dhPrivateKey: to.prepared.dhPrivateKey,
    policy: to.responderPolicy,
    inboundSpi: RESPONDER_SPI,
    expectedIdentity: undefined,
  };
}

export function verifyR2Job(to: ToR1, built: BuildI2Result, r2: Uint8Array): VerifyR2Job {
  return {
    kind: "verify-r2",
    r2,
    r1: to.r1,
    rhash: built.rhash,
    integrityKey: built.hipKeys.integrityIn,
    keymatIndex: built.keymatIndex,
  };
}

export interface Exchange extends ToR1 {
  readonly built: BuildI2Result;
  readonly accepted: AcceptI2Result;
  readonly verified: VerifyR2Result;
}

/** The whole exchange; every step must succeed. */
export function runExchange(options: ExchangeOptions = {}): Exchange {
  const to = exchangeToR1(options);
  succeed({ kind: "verify-r1", r1: to.r1, expectedIdentity: undefined });
  const built = succeed(buildI2Job(to));
  const accepted = succeed(acceptI2Job(to, built.i2));
  const verified = succeed(verifyR2Job(to, built, accepted.r2));
  return { ...to, built, accepted, verified };
}

/** A copy with one bit of one octet changed. */
export function flip(packet: Uint8Array, offset: number): Uint8Array {
  const copy = packet.slice();
  copy[offset]! ^= 1 << (offset % 8);
  return copy;
}
