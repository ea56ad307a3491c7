/** The results of `hip bench`, and how they look: a table for terminals, one for Markdown. Pure. */

import { dhGroupName } from "../engine/describe.ts";
import type { IdentityKind } from "../identity/host_identity.ts";
import type { AssociationsReport } from "./bench_associations.ts";
import type { ExchangeReport } from "./bench_exchange.ts";
import type { FloodReport } from "./bench_flood.ts";
import type { Machine } from "./bench_machine.ts";
import type { PingReport, ThroughputReport } from "./bench_paths.ts";
import type { ResponderReport } from "./bench_responder.ts";
import type { MemoryReport, StartUpReport } from "./bench_process.ts";

/** Everything that one run measured; what was not asked for is absent. */
export interface BenchReport {
  readonly machine: Machine;
  /** Shortened for automatic runs: more noise. */
  readonly isQuick: boolean;
  readonly throughput?: ThroughputReport;
  readonly ping?: PingReport;
  readonly exchange?: ExchangeReport;
  readonly startup?: StartUpReport;
  readonly memory?: MemoryReport;
  readonly responder?: ResponderReport;
  readonly flood?: FloodReport;
  readonly associations?: AssociationsReport;
}

/** One line of the table: what, on the raw path or without HIP, with HIP, and their ratio. */
export interface BenchRow {
  readonly what: string;
  readonly raw: string;
  readonly hip: string;
  readonly ratio: string;
}

/** Octets that an association may take. */
const MEMORY_AIM = 4096;

const KIND_NAMES: Readonly<Record<IdentityKind, string>> = {
  "rsa": "RSA",
  "dsa": "DSA",
  "ecdsa-p256": "ECDSA P-256",
  "ecdsa-p384": "ECDSA P-384",
  "ecdsa-low": "ECDSA_LOW",
  "ed25519": "Ed25519",
};

/** All rows, in the order of the measurements. */
export function benchRows(report: BenchReport): BenchRow[] {
  return [
    ...throughputRows(report.throughput),
    ...pingRows(report.ping),
    ...exchangeRows(report.exchange),
    ...processRows(report.startup, report.memory),
    ...responderRows(report.responder),
    ...floodRows(report.flood),
    ...associationRows(report.associations),
  ];
}

function throughputRows(report: ThroughputReport | undefined): BenchRow[] {
  return (report?.rows ?? []).map(({ direction, raw, hip }) => ({
    what: `TCP, ${direction}`,
    raw: formatBits(raw),
    hip: formatBits(hip),
    ratio: formatRatio(hip / raw),
  }));
}

function pingRows(report: PingReport | undefined): BenchRow[] {
  if (report === undefined) return [];
  const { raw, hip } = report;
  return [
    timeRow("round trip, median", raw.median, hip.median),
    timeRow("round trip, 99th percentile", raw.p99, hip.p99),
  ];
}

function exchangeRows(report: ExchangeReport | undefined): BenchRow[] {
  if (report === undefined) return [];
  const { rawTwoRoundTrips, hardK } = report;
  return report.rows.flatMap(({ kind, dhGroup, withoutPuzzle, withPuzzle }) => {
    const group = `DH ${dhGroup}, ${dhGroupName(dhGroup)}`;
    const what = `exchange, ${KIND_NAMES[kind]} (${group})`;
    return [
      timeRow(what, rawTwoRoundTrips, withoutPuzzle),
      timeRow(`  the same with a puzzle of 2^${hardK}`, rawTwoRoundTrips, withPuzzle),
    ];
  });
}

function processRows(
  startUp: StartUpReport | undefined,
  memory: MemoryReport | undefined,
): BenchRow[] {
  const rows: BenchRow[] = [];
  if (startUp !== undefined) rows.push(timeRow("start to ready", startUp.bare, startUp.ready));
  if (memory !== undefined) {
    const { bare, idle, afterTraffic } = memory;
    rows.push(
      memoryRow("resident memory, idle", bare, idle),
      memoryRow("resident memory, after traffic", bare, afterTraffic),
    );
  }
  return rows;
}

function responderRows(report: ResponderReport | undefined): BenchRow[] {
  return (report?.rows ?? []).map(({ kind, dhGroup, perSecond, barePerSecond }) => {
    const what = `Responder, ${KIND_NAMES[kind]} (DH ${dhGroup}, ${dhGroupName(dhGroup)})`;
    return rateRow(what, barePerSecond, perSecond);
  });
}

function floodRows(report: FloodReport | undefined): BenchRow[] {
  if (report === undefined) return [];
  const { i1, wrongI2, hash, i1s, wrongI2s, before, after } = report;
  return [
    rateRow("I1s answered in a flood", 1000 / hash, 1000 / i1),
    rateRow("I2s with wrong solutions refused", 1000 / hash, 1000 / wrongI2),
    memoryRow(`memory, ${formatCount(i1s)} I1s, ${formatCount(wrongI2s)} I2s later`, before, after),
  ];
}

function associationRows(report: AssociationsReport | undefined): BenchRow[] {
  if (report === undefined) return [];
  const { count, octetsEach, resident, few, many } = report;
  const among = `among ${formatCount(count)} associations`;
  return [
    {
      what: `memory of one association, ${formatCount(count)} of them`,
      raw: `${MEMORY_AIM} B`,
      hip: `${octetsEach.toFixed(0)} B`,
      ratio: formatRatio(octetsEach / MEMORY_AIM),
    },
    memoryRow(
      `resident memory, ${formatCount(count)} associations`,
      resident.before,
      resident.after,
    ),
    timeRow(`SA by SPI ${among}`, few.bySpi, many.bySpi),
    timeRow(`association by HITs ${among}`, few.byHits, many.byHits),
    timeRow(`timer ${among}`, few.timer, many.timer),
  ];
}

/** A ratio above 1 is good. */
function rateRow(what: string, raw: number, hip: number): BenchRow {
  const rate = (perSecond: number) => `${formatCount(Number(perSecond.toPrecision(3)))}/s`;
  return { what, raw: rate(raw), hip: rate(hip), ratio: formatRatio(hip / raw) };
}

function timeRow(what: string, raw: number, hip: number): BenchRow {
  return { what, raw: formatTime(raw), hip: formatTime(hip), ratio: formatRatio(hip / raw) };
}

function memoryRow(what: string, raw: number, hip: number): BenchRow {
  const megabytes = (octets: number) => `${(octets / 1e6).toFixed(0)} MB`;
  return { what, raw: megabytes(raw), hip: megabytes(hip), ratio: formatRatio(hip / raw) };
}

/** The machine, in one line for each fact. */
export function machineLines({ machine, isQuick }: BenchReport): string[] {
  const { processor, cores, kernel, program, espProvider, publicKeyProvider } = machine;
  const providers = espProvider === publicKeyProvider
    ? `, ESP and public keys by ${espProvider}`
    : `, ESP by ${espProvider}, public keys by ${publicKeyProvider}`;
  return [
    `${processor}, ${cores} ${cores === 1 ? "core" : "cores"}, ${kernel}`,
    `${program}${espProvider === "" ? "" : providers}${isQuick ? "; quick run" : ""}`,
  ];
}

/** How it was measured, one sentence for each measurement that was made. */
export function methodLines(report: BenchReport): string[] {
  const { throughput, ping, exchange, startup, memory } = report;
  const lines: string[] = [];
  if (throughput !== undefined) {
    const { tool, rounds, secondsEach } = throughput;
    const by = tool === "iperf3" ? "iperf3" : "the built-in sender (no iperf3 here)";
    lines.push(`TCP: ${by}, median of ${rounds} x ${secondsEach} s, taking turns.`);
  }
  if (ping !== undefined) {
    const by = ping.tool === "ping" ? "ping" : "built-in echo over TCP (no ping here)";
    lines.push(`Round trip: ${by}, ${ping.count} on each path, taking turns.`);
  }
  if (exchange !== undefined) {
    lines.push(
      "Base exchange: first I1 to verified R2, both hosts with this kind of identity, " +
        `median of ${exchange.count}; raw is two round trips.`,
    );
  }
  if (startup !== undefined) {
    lines.push(
      `Start to ready: names resolve and HITs can be bound, median of ${startup.count}; ` +
        'raw is "hip version".',
    );
  }
  if (report.responder !== undefined) {
    lines.push(
      "Responder: exchanges on one core, engine and jobs on one thread, median of " +
        `${report.responder.count}; raw is their public-key work alone.`,
    );
  }
  if (report.flood !== undefined) {
    lines.push(
      "Flood: one engine on one core, every I1 from another HIT and address; raw is one hash of " +
        "the puzzle, and the memory before.",
    );
  }
  if (report.associations !== undefined) {
    lines.push(
      `Associations: those of a Responder; raw is ${MEMORY_AIM} octets, and the times with ` +
        `${report.associations.few.count} of them. Chance picks SAs and timers from all, and of ` +
        "many most are in no cache. Their public-key work is done once and copied. " +
        "Memory is exact under DENO_V8_FLAGS=--expose-gc; else some garbage counts too.",
    );
  }
  if (memory !== undefined) {
    lines.push(
      "Memory: VmRSS of one agent, the executable's pages included, and after " +
        `${memory.trafficSeconds} s of TCP; raw is the same runtime without HIP.`,
    );
  }
  return lines;
}

/** A table in Markdown with machine and method, ready to be pasted. */
export function renderMarkdown(report: BenchReport): string {
  const lines = [
    ...machineLines(report).map((line) => `${line}.`),
    "",
    "| | raw veth | HIP | ratio |",
    "| --- | ---: | ---: | ---: |",
  ];
  for (const { what, raw, hip, ratio } of benchRows(report)) {
    lines.push(`| ${what.trim()} | ${raw} | ${hip} | ${ratio} |`);
  }
  return [...lines, "", ...methodLines(report)].join("\n");
}

/** "1,000,000". */
function formatCount(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** "2.10 Gbit/s", "480 Mbit/s". */
export function formatBits(bits: number): string {
  return bits >= 1e9 ? `${(bits / 1e9).toFixed(2)} Gbit/s` : `${(bits / 1e6).toFixed(0)} Mbit/s`;
}

/** Milliseconds with three digits that say something: "0.70 µs", "0.082 ms", "9.41 ms", "312 ms". */
export function formatTime(ms: number): string {
  if (ms < 0.01) return `${(ms * 1000).toFixed(2)} µs`;
  if (ms < 1) return `${ms.toFixed(3)} ms`;
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}

/** "0.04", "1.3", "120". */
export function formatRatio(ratio: number): string {
  if (ratio < 1) return ratio.toFixed(2);
  return ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0);
}
