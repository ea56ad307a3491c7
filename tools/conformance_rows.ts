/**
 * Rows of the conformance checklists: reading them from their Markdown tables, the compact copy in
 * `tests/conformance/rows.tsv`, and which of them passing tests show.
 *
 * A checklist row is a table line whose first cell is an id such as `BEX-057`. `OPEN-nn` rows record
 * decisions and oblige to nothing, so they are not counted.
 */

import type { TestResult } from "./junit.ts";

export type Level = "must" | "should" | "may";

export interface Row {
  readonly id: string;
  /** As the checklist grades it, for example "MUST NOT" or "MUST†". */
  readonly grade: string;
  /** Where the requirement stands, for example "5.2.4". */
  readonly section: string;
  readonly requirement: string;
}

/** Checklist file name to its rows, both in the order of the source. */
export type Checklists = ReadonlyMap<string, readonly Row[]>;

const ID = /^[A-Z][A-Z0-9]{1,3}-[0-9]{2,3}[a-z]?$/;
const DECISION = /^OPEN-/;

/** Cells of a Markdown table line, trimmed; `\|` does not end a cell. */
function splitCells(line: string): string[] {
  return line.trim().replace(/^\|/, "").replace(/\|$/, "").split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** MUST NOT and MUST† count as must; a row without grade defines a format and counts as must. */
export function levelOf(row: Row): Level {
  if (/^(SHOULD|RECOMMENDED|NOT RECOMMENDED)/.test(row.grade)) return "should";
  return /^(MAY|OPTIONAL)/.test(row.grade) ? "may" : "must";
}

/**
 * The rows of one checklist.
 *
 * @throws {SyntaxError} When an id stands for two rows.
 */
export function parseChecklist(markdown: string): Row[] {
  const rows: Row[] = [];
  const seen = new Set<string>();
  let heads: string[] = [];
  for (const line of markdown.split("\n")) {
    if (!line.startsWith("|")) {
      heads = [];
      continue;
    }
    const cells = splitCells(line);
    if (heads.length === 0) heads = cells.map((cell) => cell.toLowerCase());
    const id = cells[0]!;
    if (heads[0] !== "id" || !ID.test(id) || DECISION.test(id)) continue;
    if (seen.has(id)) throw new SyntaxError(`Row ${id} stands twice`);
    seen.add(id);
    const gradeAt = heads.indexOf("level");
    const sectionAt = heads.findIndex((head) => /^(§|rfc section|section|source)/.test(head));
    rows.push({
      id,
      grade: gradeAt < 0 ? "" : cells[gradeAt] ?? "",
      section: sectionAt < 0 ? "" : cells[sectionAt] ?? "",
      requirement: cells.filter((cell, i) =>
        i > 0 && i !== gradeAt && i !== sectionAt && cell !== ""
      ).join(" · "),
    });
  }
  return rows.filter((row) => !/^withdrawn\b/i.test(row.requirement));
}

/** The compact copy: `# file` lines, then one line per row with tabs between the fields. */
export function emitRows(checklists: Checklists): string {
  let text = "";
  for (const [file, rows] of checklists) {
    text += `# ${file}\n`;
    for (const row of rows) {
      text += [row.id, row.grade, row.section, row.requirement]
        .map((field) => field.replace(/\s+/g, " ")).join("\t") + "\n";
    }
  }
  return text;
}

/**
 * Reads what `emitRows` wrote.
 *
 * @throws {SyntaxError} On a line of another form.
 */
export function parseRows(text: string): Checklists {
  const checklists = new Map<string, Row[]>();
  let rows: Row[] | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue;
    if (line.startsWith("# ")) {
      rows = [];
      checklists.set(line.slice(2), rows);
      continue;
    }
    const [id, grade, section, requirement] = line.split("\t");
    if (rows === undefined || requirement === undefined) {
      throw new SyntaxError(`Cannot read line ${index + 1} of the rows: need four fields`);
    }
    rows.push({ id: id!, grade: grade!, section: section!, requirement });
  }
  return checklists;
}

/** Ids in the titles of tests that passed. */
export function idsShown(results: readonly TestResult[]): Set<string> {
  const ids = new Set<string>();
  for (const result of results) {
    if (result.outcome !== "passed") continue;
    for (const [id] of result.title.matchAll(/\b[A-Z][A-Z0-9]{1,3}-[0-9]{2,3}[a-z]?\b/g)) {
      ids.add(id);
    }
  }
  return ids;
}

export interface Count {
  rows: number;
  shown: number;
}

/** Rows and shown rows of one checklist by level, and the ids not shown. */
export interface Coverage {
  must: Count;
  should: Count;
  may: Count;
  open: string[];
}

/** Coverage by checklist file. */
export function cover(checklists: Checklists, shown: ReadonlySet<string>): Map<string, Coverage> {
  const coverage = new Map<string, Coverage>();
  for (const [file, rows] of checklists) {
    const one: Coverage = {
      must: { rows: 0, shown: 0 },
      should: { rows: 0, shown: 0 },
      may: { rows: 0, shown: 0 },
      open: [],
    };
    for (const row of rows) {
      const count = one[levelOf(row)];
      count.rows++;
      if (shown.has(row.id)) count.shown++;
      else one.open.push(row.id);
    }
    coverage.set(file, one);
  }
  return coverage;
}

/** Ids in passing tests that no checklist knows: misspelt, or withdrawn. */
export function unknownIds(checklists: Checklists, shown: ReadonlySet<string>): string[] {
  const known = new Set<string>();
  const groups = new Set<string>();
  for (const rows of checklists.values()) {
    for (const row of rows) {
      known.add(row.id);
      groups.add(row.id.split("-")[0]!);
    }
  }
  return [...shown].filter((id) => groups.has(id.split("-")[0]!) && !known.has(id)).sort();
}
