/**
 * A hundred thousand associations in one engine: what each costs in memory, and whether look-ups and
 * timers are as quick as with a hundred. Two engines, one with few and one with many, take turns.
 */

import { instant } from "../base/time.ts";
import { ESP_HEADER_LENGTH } from "../crypto/esp_suite.ts";
import type { OutgoingPacket } from "../engine/effects.ts";
import { TimerTable } from "../hip/timers.ts";
import { BenchCrowd } from "./bench_crowd.ts";
import {
  type BenchProviders,
  mappedAddress,
  memoryInUse,
  RESPONDER_ADDRESS,
  timed,
} from "./bench_engine.ts";
import { RAW, type Unit } from "./bench_figures.ts";
import { formatCount, HIP, type Measured } from "./bench_report.ts";

/** Milliseconds, of each sample. */
interface LookUpTimes {
  /** An ESP packet that is too short: its SA is found, and no more done. */
  readonly bySpi: readonly number[];
  /** One association as `hip status` shows it. */
  readonly byHits: readonly number[];
  /** A timer is set anew, and the next one asked for. */
  readonly timer: readonly number[];
}

/** Octets that an association may take. */
const MEMORY_AIM = 4096;

/** How many are few. */
const FEW = 100;

/** Samples, and steps in each. */
const SAMPLES = 100;
const STEPS = 200;

export function measureAssociations(
  providers: BenchProviders,
  count: number,
  progress: (step: string) => void,
): Measured {
  const settings = { maxAssociations: count, puzzleDifficultyKMax: 0 };
  const few = BenchCrowd.before(providers, settings);
  const many = BenchCrowd.before(providers, settings);
  few.populate(1, FEW);
  many.populate(1, FEW);
  few.rest();
  many.rest();
  const before = memoryInUse();
  const step = Math.ceil(count / 10);
  for (let from = FEW; from < count; from += step) {
    progress(`${from} of ${count}`);
    many.populate(from, Math.min(count, from + step));
  }
  many.rest();
  const after = memoryInUse();
  progress("look-ups and timers");
  const probes = [new Probe(few, FEW), new Probe(many, count)] as const;
  for (let sample = 0; sample < SAMPLES; sample++) {
    for (const probe of probes) probe.sample();
  }
  const [fewTimes, manyTimes] = [probes[0].times, probes[1].times];
  const among = `among ${formatCount(count)} associations`;
  const pair = (measure: string, unit: Unit, raw: readonly number[], hip: readonly number[]) => [
    { measure, subject: RAW, unit, values: raw },
    { measure, subject: HIP, unit, values: hip },
  ];
  return {
    samples: [
      ...pair(
        `memory of one association, ${formatCount(count)} of them`,
        "octets",
        [MEMORY_AIM],
        [(after.held - before.held) / (count - FEW)],
      ),
      ...pair(
        `resident memory, ${formatCount(count)} associations`,
        "MB",
        [before.resident / 1e6],
        [after.resident / 1e6],
      ),
      ...pair(`SA by SPI ${among}`, "ms", fewTimes.bySpi, manyTimes.bySpi),
      ...pair(`association by HITs ${among}`, "ms", fewTimes.byHits, manyTimes.byHits),
      ...pair(`timer ${among}`, "ms", fewTimes.timer, manyTimes.timer),
    ],
    method: `Associations: those of a Responder; raw is ${MEMORY_AIM} octets, and the times with ` +
      `${FEW} of them. Chance picks SAs and timers from all, and of many most are in no cache. ` +
      "Their public-key work is done once and copied. Memory is exact under " +
      "DENO_V8_FLAGS=--expose-gc; else some garbage counts too.",
  };
}

/**
 * Takes samples of one engine. SAs and timers are picked by chance from all: what asks for one lies
 * ready, as in a packet that has just come, and what is known of it may be in no cache. The status
 * of an association that rests is put together anew when it is asked for, so a hundred from
 * everywhere are asked over and over.
 */
class Probe {
  readonly #crowd: BenchCrowd;
  readonly #count: number;
  readonly #hits: readonly Uint8Array[];
  readonly #spis: readonly number[];
  readonly #packet = shortEsp();
  readonly #timers = new TimerTable<number>();
  readonly #bySpi: number[] = [];
  readonly #byHits: number[] = [];
  readonly #timer: number[] = [];

  constructor(crowd: BenchCrowd, count: number) {
    this.#crowd = crowd;
    this.#count = count;
    const { associations } = crowd.responder.engine.status();
    this.#hits = spread(associations).map(({ peerHit }) => peerHit);
    this.#spis = associations.map(({ inboundSpi = 0 }) => inboundSpi);
    for (let owner = 0; owner < count; owner++) this.#timers.set(owner, this.#anyTime());
  }

  get times(): LookUpTimes {
    return { bySpi: this.#bySpi, byHits: this.#byHits, timer: this.#timer };
  }

  sample(): void {
    const { responder } = this.#crowd;
    const view = new DataView(this.#packet.bytes.buffer);
    this.#bySpi.push(each(some(this.#spis), (spi) => {
      view.setUint32(0, spi);
      responder.receive(this.#packet);
    }));
    this.#byHits.push(
      each(some(this.#hits), (hit) => void responder.engine.association(hit)),
    );
    const owners = Array.from({ length: STEPS }, () => below(this.#count));
    this.#timer.push(each(owners, (owner) => {
      this.#timers.set(owner, this.#anyTime());
      this.#timers.next();
      responder.engine.nextTimeout();
    }));
  }

  #anyTime() {
    return instant(Math.random() * 3_600_000);
  }
}

/** Milliseconds for one of them. */
function each<T>(all: readonly T[], step: (one: T) => void): number {
  return timed(() => all.forEach(step)) / all.length;
}

/** As many as a sample takes, by chance. */
function some<T>(all: readonly T[]): T[] {
  return Array.from({ length: STEPS }, () => all[below(all.length)]!);
}

/** So many of them as there are few, from everywhere. */
function spread<T>(all: readonly T[]): T[] {
  return Array.from({ length: FEW }, (_, i) => all[Math.floor(i * all.length / FEW)]!);
}

function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}

/** SPI and sequence number, and nothing else. */
function shortEsp(): OutgoingPacket {
  return {
    protocol: 50,
    source: mappedAddress(192, 0, 2, 2),
    destination: RESPONDER_ADDRESS,
    bytes: new Uint8Array(ESP_HEADER_LENGTH),
    trafficClass: 0,
    hopLimit: 64,
  };
}
