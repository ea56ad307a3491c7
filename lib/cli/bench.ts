/**
 * `hip bench`: what HIP costs on this machine, beside the same network without it. Makes a lab of
 * three namespaces, measures there, and takes it down again, also on Ctrl-C.
 */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { ownCommand } from "../runtime/daemon.ts";
import { BenchBed } from "./bench_bed.ts";
import { type ExchangePlan, measureExchanges } from "./bench_exchange.ts";
import { describeMachine } from "./bench_machine.ts";
import { measurePing, measureThroughput } from "./bench_paths.ts";
import { measureMemory, measureStartUp } from "./bench_process.ts";
import {
  type BenchReport,
  benchRows,
  machineLines,
  methodLines,
  renderMarkdown,
} from "./bench_report.ts";
import { type CliContext, example } from "./context.ts";
import { wrap } from "./format.ts";
import { COLUMNS, type Output, printJson } from "./output.ts";
import { renderTable } from "./table.ts";

/** What can be measured, in the order in which it is. */
export const MEASUREMENTS = ["throughput", "ping", "exchange", "startup", "memory"] as const;

export type Measurement = typeof MEASUREMENTS[number];

/** How much of everything. */
interface Extent {
  readonly throughput: { readonly rounds: number; readonly secondsEach: number };
  readonly ping: { readonly rounds: number; readonly countEach: number };
  readonly exchange: ExchangePlan;
  readonly starts: number;
  readonly trafficSeconds: number;
}

const FULL: Extent = {
  throughput: { rounds: 3, secondsEach: 3 },
  ping: { rounds: 5, countEach: 200 },
  exchange: {
    count: 15,
    groups: [7, 8, 9, 11, 4, 3],
    kinds: ["rsa", "ecdsa-p256", "ecdsa-p384", "ed25519"],
  },
  starts: 7,
  trafficSeconds: 5,
};

const QUICK: Extent = {
  throughput: { rounds: 1, secondsEach: 1 },
  ping: { rounds: 2, countEach: 50 },
  exchange: { count: 3, groups: [7], kinds: [] },
  starts: 2,
  trafficSeconds: 1,
};

interface BenchOptions {
  readonly quick?: true;
  readonly json?: true;
  readonly markdown?: true;
  readonly only?: string;
}

export function registerBench(program: Command, context: CliContext): void {
  program.command("bench")
    .description("measure HIP beside the same network without it (2 min)")
    .option("--quick", "a short run of about 15 s, with more noise")
    .option("--only <list>", `some of ${MEASUREMENTS.join(",")}`)
    .option("--json", "print JSON")
    .option("--markdown", "print a table in Markdown")
    .addHelpText("after", example("sudo hip bench", "sudo hip bench --only ping,startup"))
    .action(async (options: BenchOptions) => {
      const wanted = chosenMeasurements(options.only);
      const { output } = context;
      const report = await untilInterrupted((signal) =>
        runBench(wanted, options.quick ?? false, output, signal)
      );
      if (options.json) printJson(output, report);
      else if (options.markdown) output.print(renderMarkdown(report));
      else for (const line of renderText(report)) output.print(line);
    });
}

/** The measurements that `--only` names; all without it. @throws {UserError} On another word. */
export function chosenMeasurements(only: string | undefined): ReadonlySet<Measurement> {
  if (only === undefined) return new Set(MEASUREMENTS);
  return new Set(
    only.split(",").map((word) => {
      const known = MEASUREMENTS.find((measurement) => measurement === word.trim());
      if (known === undefined) {
        throw new UserError(`--only cannot be "${word}". Use some of ${MEASUREMENTS.join(",")}.`);
      }
      return known;
    }),
  );
}

/** The table for a terminal, every line within `COLUMNS`. */
export function renderText(report: BenchReport): string[] {
  const rows = benchRows(report).map(({ what, raw, hip, ratio }) => [what, raw, hip, ratio]);
  return [
    ...machineLines(report).flatMap(wrapped),
    "",
    ...renderTable([["", "raw veth", "HIP", "ratio"], ...rows], { shrinkable: [0] }),
    "",
    ...methodLines(report).flatMap(wrapped),
  ];
}

function wrapped(line: string): string[] {
  return wrap(line, COLUMNS, "  ");
}

async function runBench(
  wanted: ReadonlySet<Measurement>,
  isQuick: boolean,
  output: Output,
  signal: AbortSignal,
): Promise<BenchReport> {
  const extent = isQuick ? QUICK : FULL;
  const progress = (measurement: Measurement) => (step: string) =>
    output.note(`${measurement}: ${step}`);
  const measure = async <T>(measurement: Measurement, run: () => Promise<T>) =>
    wanted.has(measurement) ? { [measurement]: await run() } : {};
  const own = ownCommand();
  const bed = await BenchBed.create([own.program, ...own.arguments], signal);
  try {
    const results = {
      ...await measure(
        "throughput",
        () => measureThroughput(bed, extent.throughput, progress("throughput")),
      ),
      ...await measure("ping", () => measurePing(bed, extent.ping, progress("ping"))),
      ...await measure(
        "exchange",
        () => measureExchanges(bed, extent.exchange, progress("exchange")),
      ),
      ...await measure("startup", () => measureStartUp(bed, extent.starts, progress("startup"))),
      ...await measure(
        "memory",
        () => measureMemory(bed, extent.trafficSeconds, progress("memory")),
      ),
    };
    await bed.stopAgents();
    return { machine: describeMachine(bed), isQuick, ...results };
  } finally {
    await bed.lab.dispose();
  }
}

/** Runs something that Ctrl-C ends in good order. @throws {UserError} With code 130 then. */
async function untilInterrupted<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const interrupt = () => abort.abort(new UserError("interrupted.", 130));
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", interrupt);
  try {
    return await run(abort.signal);
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    Deno.removeSignalListener("SIGTERM", interrupt);
  }
}
