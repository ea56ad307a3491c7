/**
 * Floods before a Responder: I1s of ever new HITs from ever new addresses, and I2s with wrong
 * solutions. The engine runs on this thread, octets in and octets out. The baseline is one hash as
 * the puzzle needs it, taking turns with the flood.
 */

import { UserError } from "../base/errors.ts";
import { randomBytes } from "../base/random.ts";
import { instant } from "../base/time.ts";
import { rhashOfSuite } from "../crypto/rhash.ts";
import { hitSuiteId } from "../identity/hit.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";
import { BenchCrowd } from "./bench_crowd.ts";
import { type BenchEngine, type BenchProviders, memoryInUse, timed } from "./bench_engine.ts";
import { RAW, type Samples } from "./bench_figures.ts";
import { formatCount, HIP, type Measured } from "./bench_report.ts";

export interface FloodPlan {
  readonly i1s: number;
  readonly wrongI2s: number;
}

/** Packets between two looks at the clock. */
const BATCH = 1000;

/** Packets of each kind before those that count. */
const WARM_UP = 20 * BATCH;

/**
 * I1s of a batch that may be taken for repetitions of others: the desk knows what it has just seen by
 * a hash of 32 bits, which meets another about once in a million I1s.
 */
const MISTAKEN = 2;

/** Octets under the hash that makes #I: a secret, two HITs, two addresses, Opaque. */
const HASHED_OCTETS = 98;

/** #K of the puzzles: the one real Initiator solves its own at once, and no guess comes true. */
const DIFFICULTY_K = 16;

/** Guesses that may come true all the same. */
const LUCKY_GUESSES = 20;

export function measureFlood(
  providers: BenchProviders,
  { i1s, wrongI2s }: FloodPlan,
  progress: (step: string) => void,
): Measured {
  const crowd = BenchCrowd.before(providers, {
    puzzleDifficultyK: DIFFICULTY_K,
    puzzleDifficultyKMax: DIFFICULTY_K,
  });
  const { responder } = crowd;
  const rhash = rhashOfSuite(hitSuiteId(responder.hit));
  const hashed = randomBytes(SYSTEM_RANDOM, HASHED_OCTETS);
  const hashes: number[] = [];
  /** @returns Packets per second, of each batch. */
  const flood = (count: number, send: (from: number) => number) => {
    const rates: number[] = [];
    for (let from = 0; from < count; from += BATCH) {
      responder.advance(instant(responder.now + BATCH / 100));
      rates.push(1000 * BATCH / send(from));
      const hashing = timed(() => {
        for (let i = 0; i < BATCH; i++) providers.digest(rhash, hashed);
      });
      hashes.push(1000 * BATCH / hashing);
    }
    return rates;
  };
  // Code that is compiled and tables that are full do not count as growth.
  flood(WARM_UP, (from) => sendI1s(crowd, i1s + from));
  flood(WARM_UP, (from) => sendWrongI2s(crowd, i1s + from));
  const before = memoryInUse().resident;
  progress(`${i1s} I1s`);
  const i1 = flood(i1s, (from) => sendI1s(crowd, from));
  progress(`${wrongI2s} I2s with wrong solutions`);
  const wrongI2 = flood(wrongI2s, (from) => sendWrongI2s(crowd, from));
  checkRefusals(responder, WARM_UP + wrongI2s);
  const after = memoryInUse().resident;
  const rates = [
    { measure: "I1s answered in a flood", values: i1 },
    { measure: "I2s with wrong solutions refused", values: wrongI2 },
  ];
  const memory = `memory, ${formatCount(i1s)} I1s, ${formatCount(wrongI2s)} I2s later`;
  return {
    samples: [
      ...rates.flatMap(({ measure, values }): Samples[] => [
        { measure, subject: RAW, unit: "/s", values: hashes },
        { measure, subject: HIP, unit: "/s", values },
      ]),
      { measure: memory, subject: RAW, unit: "MB", values: [before / 1e6] },
      { measure: memory, subject: HIP, unit: "MB", values: [after / 1e6] },
    ],
    method: "Flood: one engine on one core, every I1 from another HIT and address, median of " +
      `${BATCH} at a time; raw is one hash of the puzzle, and the memory before.`,
  };
}

/** @returns Milliseconds, the making of the I1s left out. @throws {UserError} Without the R1s. */
function sendI1s(crowd: BenchCrowd, from: number): number {
  const i1s = Array.from({ length: BATCH }, (_, i) => crowd.i1(from + i));
  let answered = 0;
  const time = timed(() => {
    for (const i1 of i1s) {
      crowd.responder.receive(i1);
      if (crowd.responder.sent() !== undefined) answered++;
    }
  });
  checkAnswered(answered);
  return time;
}

/** @throws {UserError} When more I1s of a batch stayed without R1 than chance explains. */
function checkAnswered(answered: number): void {
  if (answered >= BATCH - MISTAKEN) return;
  throw new UserError(`of ${BATCH} I1s ${answered} were answered.`);
}

function sendWrongI2s(crowd: BenchCrowd, from: number): number {
  const { responder } = crowd;
  const i2s = Array.from({ length: BATCH }, (_, i) => {
    const r1 = responder.answer(crowd.i1(from + i));
    return r1 === undefined ? [] : [crowd.i2(from + i, r1)];
  }).flat();
  checkAnswered(i2s.length);
  const time = timed(() => {
    for (const i2 of i2s) responder.receive(i2);
  });
  responder.runJobs();
  while (responder.sent() !== undefined);
  return time;
}

function checkRefusals({ engine }: BenchEngine, wrongI2s: number): void {
  const { drops } = engine.status();
  const refused = drops["hip-puzzle-failed"] ?? 0;
  if (refused < wrongI2s - LUCKY_GUESSES) {
    throw new UserError(`of ${wrongI2s} solutions ${refused} were wrong.`);
  }
}
