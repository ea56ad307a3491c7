/**
 * Counts the rows of the conformance checklists that tests show.
 *
 *     deno task conformance [--json] [--rows DIR] [--open FILE]
 *     deno task conformance --update DIR
 *
 * A row is shown when its id stands in the title of a test that passed in the last run; a test that is
 * skipped or fails shows nothing. Without results the unit tests are run first. Rows come from the
 * checklists in DIR, else from the compact copy in the repository, which `--update` renews.
 */

import {
  type Checklists,
  type Count,
  cover,
  type Coverage,
  emitRows,
  idsShown,
  levelOf,
  parseChecklist,
  parseRows,
  unknownIds,
} from "./conformance_rows.ts";
import { readResults, type StoredResults } from "./test_results.ts";

const ROWS_FILE = "tests/conformance/rows.tsv";

async function readChecklists(folder: string): Promise<Checklists> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && entry.name.endsWith(".md")) names.push(entry.name);
  }
  const checklists = new Map<string, ReturnType<typeof parseChecklist>>();
  for (const name of names.sort()) {
    const rows = parseChecklist(await Deno.readTextFile(`${folder}/${name}`));
    if (rows.length > 0) checklists.set(name, rows);
  }
  return checklists;
}

/** The stored results; runs the unit tests when there are none, with their output on stderr. */
async function resultsOrRun(): Promise<StoredResults> {
  const stored = await readResults();
  if (stored !== undefined) return stored;
  console.error("conformance: no test results yet; running the unit tests");
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tools/run_tests.ts", "unit"],
    stderr: "inherit",
  }).output();
  await Deno.stderr.write(stdout);
  return await readResults() ?? {};
}

function formatTable(coverage: ReadonlyMap<string, Coverage>): string {
  const cell = (count: Count) => count.rows === 0 ? "-" : `${count.shown}/${count.rows}`;
  const sum: Coverage = {
    must: { rows: 0, shown: 0 },
    should: { rows: 0, shown: 0 },
    may: { rows: 0, shown: 0 },
    open: [],
  };
  const lines = [["", "must", "should", "may"]];
  for (const [file, one] of coverage) {
    lines.push([file, cell(one.must), cell(one.should), cell(one.may)]);
    for (const level of ["must", "should", "may"] as const) {
      sum[level].rows += one[level].rows;
      sum[level].shown += one[level].shown;
    }
  }
  lines.push(["all", cell(sum.must), cell(sum.should), cell(sum.may)]);
  return lines.map(([file, ...cells]) =>
    file!.padEnd(20) + cells.map((text) => text.padStart(11)).join("")
  ).join("\n");
}

function printOpen(checklists: Checklists, file: string, open: readonly string[]): void {
  const rows = checklists.get(file);
  if (rows === undefined) {
    throw new RangeError(`There is no checklist ${file}; there are ${[...checklists.keys()]}`);
  }
  for (const row of rows) {
    if (open.includes(row.id)) {
      console.log(`${row.id}  ${levelOf(row).padEnd(6)}  §${row.section}  ${row.requirement}`);
    }
  }
}

async function main(args: readonly string[]): Promise<void> {
  let isJson = false;
  let folder: string | undefined;
  let update: string | undefined;
  let openFile: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === "--json") isJson = true;
    else if (args[i + 1] === undefined) throw new RangeError(`Cannot use "${argument}" alone`);
    else if (argument === "--rows") folder = args[++i];
    else if (argument === "--update") update = args[++i];
    else if (argument === "--open") openFile = args[++i];
    else throw new RangeError(`There is no option ${argument}`);
  }
  if (update !== undefined) {
    const checklists = await readChecklists(update);
    await Deno.writeTextFile(ROWS_FILE, emitRows(checklists));
    const count = [...checklists.values()].reduce((sum, rows) => sum + rows.length, 0);
    console.log(`${ROWS_FILE}: ${count} rows of ${checklists.size} files`);
    return;
  }
  const checklists = folder === undefined
    ? parseRows(await Deno.readTextFile(ROWS_FILE))
    : await readChecklists(folder);
  const shown = idsShown(Object.values(await resultsOrRun()).flat());
  const coverage = cover(checklists, shown);
  if (openFile !== undefined) {
    printOpen(checklists, openFile, coverage.get(openFile)?.open ?? []);
  } else if (isJson) {
    console.log(JSON.stringify(Object.fromEntries(coverage), null, 2));
  } else {
    console.log(formatTable(coverage));
  }
  for (const id of unknownIds(checklists, shown)) {
    console.error(`conformance: a test cites ${id}, which is in no checklist`);
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(`conformance: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
