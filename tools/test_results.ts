/**
 * The results of the last test runs, kept in `dist/test-results.json` for `deno task conformance`,
 * and the totals that end a run.
 */

import { dirname } from "node:path";
import type { TestResult } from "./junit.ts";

export const RESULTS_FILE = "dist/test-results.json";

/** Results by stage ("unit", "system"); a stage that runs again replaces its former results. */
export type StoredResults = Record<string, readonly TestResult[]>;

/** @returns `undefined` when no run has left results. */
export async function readResults(path = RESULTS_FILE): Promise<StoredResults | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(path)) as StoredResults;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Stores the results of one stage beside those of the others, replacing the file in one step. */
export async function storeResults(
  stage: string,
  results: readonly TestResult[],
  path = RESULTS_FILE,
): Promise<void> {
  const stored = await readResults(path) ?? {};
  stored[stage] = results;
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(stored));
  await Deno.rename(`${path}.new`, path);
}

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** Tests by outcome; steps are parts of tests and not counted. */
export function countTests(results: readonly TestResult[]): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results) {
    if (!result.isStep) totals[result.outcome]++;
  }
  return totals;
}

/** The last line of a run. */
export function formatTotals(totals: Totals): string {
  const skipped = totals.skipped === 0 ? "" : `, ${totals.skipped} skipped`;
  return `${totals.passed} passed, ${totals.failed} failed${skipped}`;
}
