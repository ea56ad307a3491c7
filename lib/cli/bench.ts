/**
 * `hip bench`: what HIP costs on this machine, beside the same network without it. Makes a lab of
 * three namespaces, measures there, and takes it down again, also on Ctrl-C. What one engine bears
 * is measured in this process, without a network.
 */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { ownCommand } from "../runtime/daemon.ts";
import { measureAssociations } from "./bench_associations.ts";
import { BenchBed } from "./bench_bed.ts";
import { benchProviders } from "./bench_engine.ts";
import { type ExchangePlan, measureExchanges } from "./bench_exchange.ts";
import { describeMachine } from "./bench_machine.ts";
import { type FloodPlan, measureFlood } from "./bench_flood.ts";
import { measurePing, measureThroughput } from "./bench_paths.ts";
import { measureMemory, measureStartUp } from "./bench_process.ts";
import {
  type BenchReport,
  benchRows,
  machineLines,
  methodLines,
  renderMarkdown,
} from "./bench_report.ts";
import { measureResponder } from "./bench_responder.ts";
import { type CliContext, example } from "./context.ts";
import { wrap } from "./format.ts";
import { COLUMNS, printJson } from "./output.ts";
import { renderTable } from "./table.ts";

/** What can be measured, in the order in which it is. */
export const MEASUREMENTS = [
  "throughput",
  "ping",
  "exchange",
  "startup",
  "memory",
  "responder",
  "flood",
  "associations",
] as const;

export type Measurement = typeof MEASUREMENTS[number];

/** Those that need a network, and rights to make one. */
const NETWORK_MEASUREMENTS = ["throughput", "ping", "exchange", "startup", "memory"] as const;

/** How much of everything. */
interface Extent {
  readonly throughput: { readonly rounds: number; readonly secondsEach: number };
  readonly ping: { readonly rounds: number; readonly countEach: number };
  readonly exchange: ExchangePlan;
  readonly starts: number;
  readonly trafficSeconds: number;
  /** Exchanges for each kind of identity. */
  readonly responder: number;
  readonly flood: FloodPlan;
  readonly associations: number;
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
  responder: 400,
  flood: { i1s: 1_000_000, wrongI2s: 100_000 },
  associations: 100_000,
};

const QUICK: Extent = {
  throughput: { rounds: 1, secondsEach: 1 },
  ping: { rounds: 2, countEach: 50 },
  exchange: { count: 3, groups: [7], kinds: [] },
  starts: 2,
  trafficSeconds: 1,
  responder: 40,
  flood: { i1s: 50_000, wrongI2s: 5_000 },
  associations: 3_000,
};

interface BenchOptions {
  readonly quick?: true;
  readonly json?: true;
  readonly markdown?: true;
  readonly only?: string;
}

export function registerBench(program: Command, context: CliContext): void {
  program.command("bench")
    .description("measure HIP beside the same network without it (4 min)")
    .option("--quick", "a short run of about 20 s, with more noise")
    .option("--only <list>", `some of ${MEASUREMENTS.join(", ")}`)
    .option("--json", "print JSON")
    .option("--markdown", "print a table in Markdown")
    .addHelpText(
      "after",
      example("sudo hip bench", "sudo hip bench --only ping,startup", "hip bench --only flood"),
    )
    .action(async (options: BenchOptions) => {
      const wanted = chosenMeasurements(options.only);
      const { output } = context;
      const report = await untilInterrupted((signal) =>
        runBench(wanted, options.quick ?? false, context, signal)
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
  { output, platform }: CliContext,
  signal: AbortSignal,
): Promise<BenchReport> {
  const extent = isQuick ? QUICK : FULL;
  const providers = benchProviders(platform);
  const progress = (measurement: Measurement) => (step: string) =>
    output.note(`${measurement}: ${step}`);
  const measure = async <T>(
    measurement: Measurement,
    run: (progress: (step: string) => void) => T | Promise<T>,
  ) => wanted.has(measurement) ? { [measurement]: await run(progress(measurement)) } : {};
  const engine = {
    ...await measure("responder", (tell) => measureResponder(providers, extent.responder, tell)),
    ...await measure("flood", (tell) => measureFlood(providers, extent.flood, tell)),
    ...await measure(
      "associations",
      (tell) => measureAssociations(providers, extent.associations, tell),
    ),
  };
  signal.throwIfAborted();
  if (NETWORK_MEASUREMENTS.every((measurement) => !wanted.has(measurement))) {
    const { esp: { name: espProvider }, publicKeys: { name: publicKeyProvider } } = providers;
    return { machine: describeMachine({ espProvider, publicKeyProvider }), isQuick, ...engine };
  }
  const own = ownCommand();
  const bed = await BenchBed.create([own.program, ...own.arguments], signal);
  try {
    const network = {
      ...await measure("throughput", (tell) => measureThroughput(bed, extent.throughput, tell)),
      ...await measure("ping", (tell) => measurePing(bed, extent.ping, tell)),
      ...await measure("exchange", (tell) => measureExchanges(bed, extent.exchange, tell)),
      ...await measure("startup", (tell) => measureStartUp(bed, extent.starts, tell)),
      ...await measure("memory", (tell) => measureMemory(bed, extent.trafficSeconds, tell)),
    };
    await bed.stopAgents();
    return { machine: describeMachine(bed), isQuick, ...network, ...engine };
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
