/**
 * Base exchanges between two keys made for the purpose, all in one thread, so that a worker's code is
 * compiled and its tables are filled before a real peer waits. Its results are thrown away.
 */

import { type Random, randomBytes } from "../base/random.ts";
import { rhashLength, rhashOfSuite } from "../crypto/rhash.ts";
import type { ExchangePolicy, Job, JobResult } from "../hip/jobs.ts";
import { fillR1 } from "../hip/responder.ts";
import { generateHostIdentity } from "../identity/host_identity.ts";
import { hitSuiteId } from "../identity/hit.ts";

/** The usual choices: they are what is worth being fast the first time. */
const POLICY: ExchangePolicy = { dhGroups: [7], hipCiphers: [2], espSuites: [8], hitSuites: [2] };

/** How often everything is done; the compiler acts on what it has seen more than once. */
const ROUNDS = 4;

const INITIATOR_SPI = 0x1000;
const RESPONDER_SPI = 0x2000;

/** Rehearses puzzles, a few milliseconds at a time. @throws {Error} When one goes wrong. */
export function* rehearsePuzzles(run: (job: Job) => JobResult, random: Random): Generator<void> {
  for (let round = 0; round < ROUNDS; round++) {
    expect("solve-puzzle", run, {
      kind: "solve-puzzle",
      rhash: "sha384",
      randomI: randomBytes(random, 48),
      initiatorHit: new Uint8Array(16),
      responderHit: new Uint8Array(16),
      difficultyK: 8,
      firstJ: randomBytes(random, 48),
      tries: 512,
    });
    yield;
  }
}

/** Rehearses the public-key work of both ends, one job at a time. Throws as above. */
export function* rehearseExchanges(run: (job: Job) => JobResult, random: Random): Generator<void> {
  const initiator = generateHostIdentity("ecdsa-p256", random);
  const responder = generateHostIdentity("ecdsa-p256", random);
  const rhash = rhashOfSuite(hitSuiteId(responder.hit));
  const seed = () => randomBytes(random, 32);
  for (let round = 0; round < ROUNDS; round++) {
    const { template, dhPrivateKey } = expect("build-r1", run, {
      kind: "build-r1",
      seed: seed(),
      identity: responder,
      dhGroup: 7,
      policy: POLICY,
      difficultyK: 0,
      puzzleLifetime: 38,
      r1Generation: 1n,
      isAnonymous: false,
    });
    yield;
    const randomI = new Uint8Array(rhashLength(rhash));
    const r1 = fillR1(template, initiator.hit, new Uint8Array(2), randomI);
    expect("verify-r1", run, { kind: "verify-r1", r1, expectedIdentity: undefined });
    yield;
    const { i2, hipKeys, keymatIndex } = expect("build-i2", run, {
      kind: "build-i2",
      seed: seed(),
      identity: initiator,
      r1,
      solutionJ: new Uint8Array(rhashLength(rhash)),
      policy: POLICY,
      inboundSpi: INITIATOR_SPI,
      encryptHostId: true,
      isAnonymous: false,
    });
    yield;
    const { r2 } = expect("accept-i2", run, {
      kind: "accept-i2",
      seed: seed(),
      identity: responder,
      i2,
      r1Template: r1,
      dhPrivateKey,
      policy: POLICY,
      inboundSpi: RESPONDER_SPI,
      expectedIdentity: undefined,
    });
    yield;
    expect("verify-r2", run, {
      kind: "verify-r2",
      r2,
      r1,
      rhash,
      integrityKey: hipKeys.integrityIn,
      keymatIndex,
    });
    yield;
  }
}

function expect<K extends Job["kind"]>(
  kind: K,
  run: (job: Job) => JobResult,
  job: Job,
): Extract<JobResult, { kind: K }> {
  const result = run(job);
  if (result.kind === kind) return result as Extract<JobResult, { kind: K }>;
  const why = result.kind === "failed" ? `${result.reason}, ${result.detail}` : result.kind;
  throw new Error(`Cannot rehearse ${kind}: ${why}`);
}
