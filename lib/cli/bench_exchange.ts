/**
 * Base exchange time: from the first I1 to the R2 that the Initiator has verified, per
 * Diffie-Hellman group and per kind of identity, with no puzzle to speak of (#K = 0: one hash) and
 * with #K = 10. The floor is what the raw path takes for the same four packets: two round trips.
 */

import type { IdentityKind } from "../identity/host_identity.ts";
import { type BenchBed, connect, disconnect, RAW_ADDRESS, USUAL_KIND } from "./bench_bed.ts";
import { roundTrips } from "./bench_paths.ts";
import { median } from "./bench_statistics.ts";

/** The #K of RFC 7401's own example of a puzzle that costs something. */
const HARD_K = 10;

/** Round trips taken on the raw path before each row. */
const RAW_ROUND_TRIPS = 20;

/**
 * Rest after an exchange, in milliseconds: longer than a Responder takes an equal I1 for a repeated
 * one (100 ms), and time for it to make its next R1.
 */
const REST_MS = 150;

/** One row: both hosts have this kind of identity. Milliseconds, medians. */
export interface ExchangeRow {
  readonly kind: IdentityKind;
  readonly dhGroup: number;
  /** #K = 0. */
  readonly withoutPuzzle: number;
  /** #K = 10. */
  readonly withPuzzle: number;
  /** The first exchange of freshly started agents, #K = 0. */
  readonly first: number;
}

export interface ExchangeReport {
  /** Exchanges behind each median. */
  readonly count: number;
  readonly hardK: number;
  /** Two round trips on the raw path. */
  readonly rawTwoRoundTrips: number;
  readonly rows: readonly ExchangeRow[];
}

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
): Promise<ExchangeReport> {
  const cells: { kind: IdentityKind; dhGroup: number }[] = [
    ...groups.map((dhGroup) => ({ kind: USUAL_KIND, dhGroup })),
    ...kinds.filter((kind) => kind !== USUAL_KIND)
      .map((kind) => ({ kind, dhGroup: groups[0]! })),
  ];
  const raw: number[] = [];
  const rows: ExchangeRow[] = [];
  for (const { kind, dhGroup } of cells) {
    progress(`${kind}, group ${dhGroup}`);
    raw.push(...await roundTrips(bed, RAW_ADDRESS, RAW_ROUND_TRIPS));
    const easy = await exchangeTimes(bed, kind, dhGroup, 0, count);
    const hard = await exchangeTimes(bed, kind, dhGroup, HARD_K, count);
    rows.push({
      kind,
      dhGroup,
      withoutPuzzle: median(easy),
      withPuzzle: median(hard),
      first: easy[0]!,
    });
  }
  return { count, hardK: HARD_K, rawTwoRoundTrips: 2 * median(raw), rows };
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
