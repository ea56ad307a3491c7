/** The results of `hip bench`, and how they look: tables for terminals and for Markdown. Pure. */

import type { IdentityKind } from "../identity/host_identity.ts";
import { type Figure, figureOf, RAW, type Samples, type Unit } from "./bench_figures.ts";
import type { Machine } from "./bench_machine.ts";
import { type SubjectName, subjectTitle } from "./bench_names.ts";
import { wrap } from "./format.ts";
import { COLUMNS } from "./output.ts";
import { renderTable } from "./table.ts";

/** The subject of what is measured of HIP alone, beside a `RAW` that its method explains. */
export const HIP = "hip";

/** What one measurement of HIP alone gives. */
export interface Measured {
  readonly samples: readonly Samples[];
  /** How it was measured, in a few sentences. */
  readonly method: string;
}

/** Everything that one run measured. */
export interface BenchReport {
  readonly machine: Machine;
  /** Shortened for automatic runs: more noise. */
  readonly isQuick: boolean;
  /** Those that were measured side by side. */
  readonly subjects: readonly SubjectName[];
  readonly sideBySide: readonly Figure[];
  /** Figures of HIP and of what its methods call raw. */
  readonly alone: readonly Figure[];
  /** How it was measured, and what was not: a paragraph each. */
  readonly notes: readonly string[];
}

export const KIND_NAMES: Readonly<Record<IdentityKind, string>> = {
  "rsa": "RSA",
  "dsa": "DSA",
  "ecdsa-p256": "ECDSA P-256",
  "ecdsa-p384": "ECDSA P-384",
  "ecdsa-low": "ECDSA_LOW",
  "ed25519": "Ed25519",
};

/** Columns of the table side by side: the measure, and each subject. */
const MEASURE_WIDTH = 20;
const SUBJECT_WIDTH = 10;

/** One line of the table of HIP alone. */
interface AloneRow {
  readonly what: string;
  readonly raw: string;
  readonly hip: string;
  readonly ratio: string;
}

/** For a terminal, every line within `COLUMNS`. */
export function renderText(report: BenchReport): string[] {
  const paragraphs = [
    machineLines(report.machine, report.isQuick),
    sideBySideLines(report),
    aloneLines(report),
    report.notes,
  ];
  return paragraphs.filter((lines) => lines.length > 0).flatMap((lines, index) => [
    ...index === 0 ? [] : [""],
    ...lines.flatMap((line) => line.length <= COLUMNS ? [line] : wrap(line, COLUMNS, "  ")),
  ]);
}

/** Two lines for each measure: medians, and their ratios to raw. */
function sideBySideLines({ subjects, sideBySide }: BenchReport): string[] {
  const line = (first: string, cells: readonly string[]) =>
    (first.padEnd(MEASURE_WIDTH) + cells.map((cell) => cell.padStart(SUBJECT_WIDTH)).join(""))
      .trimEnd();
  const rows = measuresOf(sideBySide).flatMap(({ measure, unit }) => {
    const figures = subjects.map(({ name }) => figureOf(sideBySide, measure, name));
    return [
      line(
        measure,
        figures.map((figure) => figure === undefined ? "-" : formatNumber(figure.median)),
      ),
      line(
        `  ${unit}${figures.some(isRatio) ? "; to raw" : ""}`,
        figures.map((figure) => isRatio(figure) ? formatRatio(figure.ratioToRaw) : ""),
      ),
    ];
  });
  if (rows.length === 0) return [];
  return [
    line("", subjects.map(({ heading }) => heading[0])),
    line("", subjects.map(({ heading }) => heading[1])),
    ...rows,
  ];
}

function aloneLines({ alone }: BenchReport): string[] {
  const rows = aloneRows(alone).map(({ what, raw, hip, ratio }) => [what, raw, hip, ratio]);
  return rows.length === 0
    ? []
    : renderTable([["", "raw", "HIP", "ratio"], ...rows], { shrinkable: [0] });
}

/** Tables in Markdown with machine and method, ready to be pasted. */
export function renderMarkdown({ machine, isQuick, ...report }: BenchReport): string {
  const { subjects, sideBySide, alone, notes } = report;
  const beside = measuresOf(sideBySide).map(({ measure, unit }) => {
    const cells = subjects.map(({ name }) => {
      const figure = figureOf(sideBySide, measure, name);
      if (figure === undefined) return "";
      const ratio = isRatio(figure) && name !== RAW ? ` (${formatRatio(figure.ratioToRaw)})` : "";
      return formatNumber(figure.median) + ratio;
    });
    return [`${measure} (${unit})`, ...cells];
  });
  const rows = aloneRows(alone).map(({ what, raw, hip, ratio }) => [what, raw, hip, ratio]);
  const parts = [
    machineLines(machine, isQuick).map((line) => `${line}.`),
    markdownTable(["", ...subjects.map(({ name }) => subjectTitle(name))], beside),
    markdownTable(["", "raw", "HIP", "ratio"], rows),
    notes,
  ];
  return parts.filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n");
}

function markdownTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = heading.map((_, column) => column === 0 ? "---" : "---:");
  return [line(heading), line(rule), ...rows.map(line)];
}

/** The machine, in one line for each fact. */
export function machineLines(machine: Machine, isQuick: boolean): string[] {
  const { processor, cores, kernel, program, espProvider, publicKeyProvider, peers } = machine;
  const providers = espProvider === publicKeyProvider
    ? `, ESP and public keys by ${espProvider}`
    : `, ESP by ${espProvider}, public keys by ${publicKeyProvider}`;
  return [
    `${processor}, ${cores} ${cores === 1 ? "core" : "cores"}, ${kernel}`,
    `${program}${providers}${isQuick ? "; quick run" : ""}`,
    ...peers.length === 0 ? [] : [`Beside ${peers.join(", ")}`],
  ];
}

/** Every measure once, in the order of the figures. */
function measuresOf(figures: readonly Figure[]): Figure[] {
  return figures.filter(({ measure }, index) =>
    figures.findIndex((figure) => figure.measure === measure) === index
  );
}

function aloneRows(figures: readonly Figure[]): AloneRow[] {
  return measuresOf(figures).map(({ measure }) => {
    const raw = figureOf(figures, measure, RAW);
    const hip = figureOf(figures, measure, HIP);
    return {
      what: measure,
      raw: raw === undefined ? "-" : formatFigure(raw),
      hip: hip === undefined ? "-" : formatFigure(hip),
      ratio: isRatio(hip) ? formatRatio(hip.ratioToRaw) : "",
    };
  });
}

function isRatio(figure: Figure | undefined): figure is Figure & { readonly ratioToRaw: number } {
  return figure !== undefined && figure.ratioToRaw !== null;
}

/** A median with its unit: "9.41 ms", "1,234/s". */
function formatFigure({ median, unit }: Figure): string {
  if (unit === "ms") return formatTime(median);
  return `${unit === "octets" ? formatCount(median) : formatNumber(median)}${SUFFIXES[unit]}`;
}

const SUFFIXES: Readonly<Record<Unit, string>> = {
  "Mbit/s": " Mbit/s",
  "packets/s": " packets/s",
  "ms": " ms",
  "s/GB": " s/GB",
  "MB": " MB",
  "/s": "/s",
  "octets": " B",
};

/** Three digits that say something: "0.024", "9.41", "31.2", "13,800". */
export function formatNumber(value: number): string {
  if (value < 1) return value.toFixed(3);
  if (value < 10) return value.toFixed(2);
  return value < 100 ? value.toFixed(1) : formatCount(Number(value.toPrecision(3)));
}

/** "1,000,000". */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** Milliseconds with three digits that say something: "0.70 µs", "0.082 ms", "9.41 ms", "312 ms". */
export function formatTime(ms: number): string {
  if (ms < 0.01) return `${(ms * 1000).toFixed(2)} µs`;
  if (ms < 1) return `${ms.toFixed(3)} ms`;
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}

/** "0.018", "0.20", "1.3", "120". */
export function formatRatio(ratio: number): string {
  if (ratio < 0.1) return ratio.toFixed(3);
  if (ratio < 1) return ratio.toFixed(2);
  return ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0);
}
