/**
 * Runs stages of the test suite and ends with one line of totals over all of them:
 * `N passed, N failed` (and `, N skipped` when there are such).
 *
 *     deno run -A tools/run_tests.ts [STAGE...] [PATH...] [--filter TEXT] [--failed=REASON]
 *
 * Stages: fmt, lint, check, unit (simulator included), compile, system. A stage that is one tool's run
 * counts as one test. With paths or a filter the unit tests are restricted to them and the stored
 * results stay as they are. `--failed` counts a step that failed before, such as the set-up.
 */

import { parseJunit, type TestResult } from "./junit.ts";
import { countTests, formatTotals, storeResults, type Totals } from "./test_results.ts";

/** What a stage may take, in minutes, before it is ended and counted as failed. */
const LIMIT_MINUTES = { tool: 4, unit: 6, system: 16 };

/** Files of unit tests that run at a time, at most: each is a thread with a heap of its own. */
const UNIT_THREADS = 4;

const LIVES = "dist/lives.txt";
const SLOWEST_SHOWN = 8;
const SLOW_SECONDS = 0.5;

const TOOL_STAGES: Readonly<Record<string, readonly string[]>> = {
  fmt: ["fmt", "--check"],
  lint: ["lint"],
  check: ["check", "."],
  compile: ["run", "-A", "tools/compile.ts"],
};
const TEST_STAGES = ["unit", "system"];

export interface Plan {
  readonly stages: readonly string[];
  /** Test files or folders in place of all unit tests. */
  readonly paths: readonly string[];
  readonly filter: string | undefined;
  /** Reasons of steps that failed before this program started. */
  readonly failedBefore: readonly string[];
}

/**
 * What the arguments ask for.
 *
 * @throws {SyntaxError} On an argument that is neither a stage nor a path nor an option.
 */
export function parsePlan(args: readonly string[]): Plan {
  const stages: string[] = [];
  const paths: string[] = [];
  const failedBefore: string[] = [];
  let filter: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument.startsWith("--failed=")) failedBefore.push(argument.slice("--failed=".length));
    else if (argument.startsWith("--filter=")) filter = argument.slice("--filter=".length);
    else if (argument === "--filter" && args[i + 1] !== undefined) filter = args[++i];
    else if (argument in TOOL_STAGES || TEST_STAGES.includes(argument)) stages.push(argument);
    else if (argument.includes("/") || argument.endsWith(".ts")) paths.push(argument);
    else throw new SyntaxError(`There is no stage, path or option ${argument}`);
  }
  return { stages, paths, filter, failedBefore };
}

/** The exit code, or `undefined` when the limit ran out. */
async function runDeno(
  args: readonly string[],
  limitMinutes: number,
  env: Record<string, string> = {},
): Promise<number | undefined> {
  const child = new Deno.Command(Deno.execPath(), { args: [...args], env }).spawn();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGTERM");
  }, limitMinutes * 60_000);
  const { code } = await child.status;
  clearTimeout(timer);
  return isLate ? undefined : code;
}

async function runTool(stage: string): Promise<Totals> {
  const code = await runDeno(TOOL_STAGES[stage]!, LIMIT_MINUTES.tool);
  if (code === undefined) console.error(`${stage} took over ${LIMIT_MINUTES.tool} minutes`);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

/**
 * Totals of one run of `deno test`. A run that ends badly without naming a failed test, such as a file
 * that cannot be loaded, counts as one failed test.
 */
export function judgeRun(results: readonly TestResult[], code: number | undefined): Totals {
  const totals = countTests(results);
  if (code !== 0 && totals.failed === 0) totals.failed = 1;
  return totals;
}

async function readReport(path: string): Promise<TestResult[]> {
  try {
    return parseJunit(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function printSlowest(results: readonly TestResult[]): void {
  const slow = results.filter((one) => !one.isStep && one.seconds >= SLOW_SECONDS)
    .sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST_SHOWN);
  if (slow.length === 0) return;
  console.log("slowest:");
  for (const one of slow) console.log(`  ${one.seconds.toFixed(1).padStart(6)} s  ${one.title}`);
}

/** What the simulator has to tell of its random lives, if they were played. */
async function printLives(): Promise<void> {
  try {
    console.log((await Deno.readTextFile(LIVES)).trimEnd());
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function runTests(stage: "unit" | "system", plan: Plan): Promise<Totals> {
  await Deno.mkdir("dist", { recursive: true });
  const report = `dist/junit-${stage}.xml`;
  await Deno.remove(report).catch(() => {});
  await Deno.remove(LIVES).catch(() => {});
  const isPartial = stage === "unit" && (plan.paths.length > 0 || plan.filter !== undefined);
  const args = ["test", "--allow-all", "--no-check", `--junit-path=${report}`];
  const env: Record<string, string> = {};
  if (stage === "unit") {
    if (!isPartial) args.push("--reporter=dot", "--parallel");
    env["DENO_JOBS"] = `${Math.min(UNIT_THREADS, navigator.hardwareConcurrency)}`;
    if (plan.filter !== undefined) args.push(`--filter=${plan.filter}`);
    args.push("--ignore=tests/system", ...(plan.paths.length > 0 ? plan.paths : ["tests"]));
  } else {
    args.push("--permit-no-files", "tests/system");
    env["HIP_BINARY"] = Deno.env.get("HIP_BINARY") ?? `${Deno.cwd()}/dist/hip`;
  }
  const limit = LIMIT_MINUTES[stage];
  const code = await runDeno(args, limit, env);
  const results = await readReport(report);
  if (code === undefined) console.error(`the ${stage} tests took over ${limit} minutes`);
  if (code !== 0 && results.length === 0) console.error(`the ${stage} tests left no report`);
  if (!isPartial) await storeResults(stage, results);
  if (stage === "unit" && !isPartial) await printLives();
  printSlowest(results);
  return judgeRun(results, code);
}

/** @returns The exit code: 0 only when nothing failed. */
async function main(args: readonly string[]): Promise<number> {
  const plan = parsePlan(args);
  const sum: Totals = { passed: 0, failed: plan.failedBefore.length, skipped: 0 };
  const failed = [...plan.failedBefore];
  for (const stage of plan.stages) {
    console.log(`==> ${stage}`);
    const started = Date.now();
    const totals = stage === "unit" || stage === "system"
      ? await runTests(stage, plan)
      : await runTool(stage);
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`<== ${stage}: ${formatTotals(totals)} (${seconds} s)`);
    sum.passed += totals.passed;
    sum.failed += totals.failed;
    sum.skipped += totals.skipped;
    if (totals.failed > 0) failed.push(stage);
  }
  if (failed.length > 0) console.log(`failed: ${failed.join("; ")}`);
  console.log(formatTotals(sum));
  return sum.failed === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`run_tests: ${error instanceof Error ? error.message : error}`);
    console.log("0 passed, 1 failed");
    Deno.exit(1);
  }
}
