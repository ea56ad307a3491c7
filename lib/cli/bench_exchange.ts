/**
 * Base exchange time: from the first I1 to the R2 that the Initiator has verified, per
 * Diffie-Hellman group and per kind of identity, with no puzzle to speak of (#K = 0: one hash) and
 * with #K = 10. The floor is what the raw path takes for the same four packets: two round trips.
 */

import { dhGroupName } from "../engine/describe.ts";
import type { IdentityKind } from "../identity/host_identity.ts";
import { type BenchBed, connect, disconnect, RAW_ADDRESS, USUAL_KIND } from "./bench_bed.ts";
import { RAW, type Samples } from "./bench_figures.ts";
import { HIP, KIND_NAMES, type Measured } from "./bench_report.ts";

/** The #K of RFC 7401's own example of a puzzle that costs something. */
const HARD_K = 10;

/** Round trips taken on the raw path before each row. */
const RAW_ROUND_TRIPS = 20;

/**
 * Rest after an exchange, in milliseconds: longer than a Responder takes an equal I1 for a repeated
 * one (100 ms), and time for it to make its next R1.
 */
const REST_MS = 150;

/** What to vary, and how often to repeat. */
export interface ExchangePlan {
  readonly count: number;
  /** Groups to try with the usual kind of identity. */
  readonly groups: readonly number[];
  /** Kinds to try with the first of the groups. */
  readonly kinds: readonly IdentityKind[];
}

export async function measureExchanges(
  bed: BenchBed,
  { count, groups, kinds }: ExchangePlan,
  progress: (step: string) => void,
): Promise<Measured> {
  const cells: { kind: IdentityKind; dhGroup: number }[] = [
    ...groups.map((dhGroup) => ({ kind: USUAL_KIND, dhGroup })),
    ...kinds.filter((kind) => kind !== USUAL_KIND)
      .map((kind) => ({ kind, dhGroup: groups[0]! })),
  ];
  const raw: number[] = [];
  const times: { measure: string; values: number[] }[] = [];
  for (const { kind, dhGroup } of cells) {
    progress(`${kind}, group ${dhGroup}`);
    const roundTrips = await bed.traffic.roundTrips(RAW_ADDRESS, RAW_ROUND_TRIPS);
    raw.push(...roundTrips.map((ms) => 2 * ms));
    const name = `exchange, ${KIND_NAMES[kind]}, DH ${dhGroup} ${dhGroupName(dhGroup)}`;
    const easy = await exchangeTimes(bed, kind, dhGroup, 0, count);
    const hard = await exchangeTimes(bed, kind, dhGroup, HARD_K, count);
    if (times.length === 0) {
      times.push({ measure: "first exchange of fresh agents", values: [easy[0]!] });
    }
    times.push(
      { measure: name, values: easy },
      { measure: `${name}, #K ${HARD_K}`, values: hard },
    );
  }
  return {
    samples: times.flatMap(({ measure, values }): Samples[] => [
      { measure, subject: RAW, unit: "ms", values: raw },
      { measure, subject: HIP, unit: "ms", values },
    ]),
    method: "Base exchange: first I1 to verified R2, both hosts with this kind of identity, " +
      `median of ${count}; #K ${HARD_K} is a puzzle of 2^${HARD_K} hashes. ` +
      "Raw is two round trips.",
  };
}

/** Times of `count` exchanges between two agents that are started for it, in order. */
async function exchangeTimes(
  bed: BenchBed,
  kind: IdentityKind,
  dhGroup: number,
  difficultyK: number,
  count: number,
): Promise<number[]> {
  const groups = `dh_groups=${dhGroup}`;
  const pair = await bed.pair({
    kind,
    client: [groups],
    server: [groups, `puzzle_difficulty=${difficultyK}`],
  });
  const times: number[] = [];
  while (times.length < count) {
    const { baseExchangeMs } = await connect(pair);
    if (baseExchangeMs !== null) times.push(baseExchangeMs);
    await disconnect(pair);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
  return times;
}
