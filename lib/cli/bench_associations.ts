/**
 * A hundred thousand associations in one engine: what each costs in memory, and whether look-ups and
 * timers are as quick as with a hundred. Two engines, one with few and one with many, take turns.
 */

import { instant } from "../base/time.ts";
import { ESP_HEADER_LENGTH } from "../crypto/esp_suite.ts";
import type { OutgoingPacket } from "../engine/effects.ts";
import { TimerTable } from "../hip/timers.ts";
import { BenchCrowd } from "./bench_crowd.ts";
import { type BenchProviders, memoryInUse, RESPONDER_ADDRESS, timed } from "./bench_engine.ts";
import { median } from "./bench_statistics.ts";

export interface AssociationsReport {
  readonly count: number;
  /** Octets that each holds, in the heap and in buffers outside it. */
  readonly octetsEach: number;
  /** Resident memory in octets with few associations and with all. */
  readonly resident: { readonly before: number; readonly after: number };
  readonly few: LookUpTimes;
  readonly many: LookUpTimes;
}

/** Milliseconds, medians. */
export interface LookUpTimes {
  readonly count: number;
  /** An ESP packet that is too short: its SA is found, and no more done. */
  readonly bySpi: number;
  /** One association as `hip status` shows it. */
  readonly byHits: number;
  /** A timer is set anew, and the next one asked for. */
  readonly timer: number;
}

/** How many are few. */
const FEW = 100;

/** Samples, and steps in each. */
const SAMPLES = 100;
const STEPS = 200;

export function measureAssociations(
  providers: BenchProviders,
  count: number,
  progress: (step: string) => void,
): AssociationsReport {
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
  const octetsEach = (after.held - before.held) / (count - FEW);
  progress("look-ups and timers");
  const probes = [new Probe(few, FEW), new Probe(many, count)] as const;
  for (let sample = 0; sample < SAMPLES; sample++) {
    for (const probe of probes) probe.sample();
  }
  const resident = { before: before.resident, after: after.resident };
  return { count, octetsEach, resident, few: probes[0].times, many: probes[1].times };
}

/** Takes samples of one engine, of a hundred associations that are in use as others rest. */
class Probe {
  readonly #crowd: BenchCrowd;
  readonly #count: number;
  readonly #hits: readonly Uint8Array[];
  readonly #packets: readonly OutgoingPacket[];
  readonly #timers = new TimerTable<number>();
  readonly #bySpi: number[] = [];
  readonly #byHits: number[] = [];
  readonly #timer: number[] = [];

  constructor(crowd: BenchCrowd, count: number) {
    this.#crowd = crowd;
    this.#count = count;
    const associations = spread(crowd.responder.engine.status().associations);
    this.#hits = associations.map(({ peerHit }) => peerHit);
    this.#packets = associations.map(({ inboundSpi = 0, peerHit }) =>
      shortEsp(inboundSpi, peerHit)
    );
    for (let owner = 0; owner < count; owner++) this.#timers.set(owner, this.#anyTime());
  }

  get times(): LookUpTimes {
    return {
      count: this.#count,
      bySpi: median(this.#bySpi),
      byHits: median(this.#byHits),
      timer: median(this.#timer),
    };
  }

  sample(): void {
    const { responder } = this.#crowd;
    this.#bySpi.push(this.#each(this.#packets, (packet) => responder.receive(packet)));
    this.#byHits.push(this.#each(this.#hits, (hit) => void responder.engine.association(hit)));
    const stride = Math.floor(this.#count / FEW);
    const owners = Array.from({ length: STEPS }, () => below(FEW) * stride);
    this.#timer.push(
      timed(() => {
        for (const owner of owners) {
          this.#timers.set(owner, this.#anyTime());
          this.#timers.next();
          responder.engine.nextTimeout();
        }
      }) / STEPS,
    );
  }

  #anyTime() {
    return instant(Math.random() * 3_600_000);
  }

  /** Milliseconds for one of those that chance picks. */
  #each<T>(all: readonly T[], step: (one: T) => void): number {
    const chosen = Array.from(
      { length: STEPS },
      () => all[below(all.length)]!,
    );
    return timed(() => chosen.forEach(step)) / STEPS;
  }
}

/** So many of them as there are few, from everywhere. */
function spread<T>(all: readonly T[]): T[] {
  return Array.from({ length: FEW }, (_, i) => all[Math.floor(i * all.length / FEW)]!);
}

function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}

/** SPI and sequence number, and nothing else. */
function shortEsp(spi: number, peerHit: Uint8Array): OutgoingPacket {
  const bytes = new Uint8Array(ESP_HEADER_LENGTH);
  new DataView(bytes.buffer).setUint32(0, spi);
  return {
    protocol: 50,
    source: peerHit,
    destination: RESPONDER_ADDRESS,
    bytes,
    trafficClass: 0,
    hopLimit: 64,
  };
}
