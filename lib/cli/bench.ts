/**
 * `hip bench`: what HIP costs on this machine, beside the same network without it and beside other
 * tunnels. Makes labs of namespaces, measures there, and takes them down again, also on Ctrl-C.
 * What one engine bears is measured in this process, without a network.
 */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { requireLab } from "../lab/lab.ts";
import { findTrafficTools } from "../lab/traffic.ts";
import { ownCommand } from "../runtime/daemon.ts";
import { measureAssociations } from "./bench_associations.ts";
import { BenchBed } from "./bench_bed.ts";
import { type DnsPlan, measureDns } from "./bench_dns.ts";
import { benchProviders } from "./bench_engine.ts";
import { type ExchangePlan, measureExchanges } from "./bench_exchange.ts";
import { figuresOf, RAW, type Samples } from "./bench_figures.ts";
import { type FloodPlan, measureFlood } from "./bench_flood.ts";
import { measureGarbage } from "./bench_garbage.ts";
import { describeMachine } from "./bench_machine.ts";
import { SUBJECTS } from "./bench_names.ts";
import { renderPlot } from "./bench_plot.ts";
import { measureStartUp } from "./bench_process.ts";
import {
  type BenchReport,
  machineLines,
  type Measured,
  renderMarkdown,
  renderText,
} from "./bench_report.ts";
import { measureResponder } from "./bench_responder.ts";
import {
  INTERRUPTED,
  measureSideBySide,
  SIDE_BY_SIDE_PARTS,
  type SideBySide,
  type SideBySidePlan,
} from "./bench_side_by_side.ts";
import { type CliContext, example } from "./context.ts";
import { printJson } from "./output.ts";

/** What can be measured, in the order of the results. */
export const MEASUREMENTS = [
  ...SIDE_BY_SIDE_PARTS,
  "exchange",
  "startup",
  "responder",
  "flood",
  "garbage",
  "associations",
  "dns",
] as const;

export type Measurement = typeof MEASUREMENTS[number];

/** Those of HIP alone that need a network, and rights to make one. */
const BED_MEASUREMENTS = ["exchange", "startup"] as const;

/** How much of everything. */
interface Extent {
  readonly sideBySide: SideBySidePlan;
  readonly exchange: ExchangePlan;
  readonly starts: number;
  /** Exchanges for each kind of identity. */
  readonly responder: number;
  readonly flood: FloodPlan;
  /** Batches of each kind. */
  readonly garbage: number;
  readonly associations: number;
  readonly dns: DnsPlan;
}

const FULL: Extent = {
  sideBySide: { rounds: 5, pings: 50, flowSeconds: 2, trialSeconds: 0.4, resolution: 1.12 },
  exchange: {
    count: 7,
    groups: [7, 8, 9, 11, 4, 3],
    kinds: ["rsa", "ecdsa-p256", "ecdsa-p384", "ed25519"],
  },
  starts: 5,
  responder: 400,
  flood: { i1s: 1_000_000, wrongI2s: 100_000 },
  garbage: 2000,
  associations: 100_000,
  dns: { names: 10_000, clients: 1000, rounds: 3, seconds: 4, fresh: 5000 },
};

const QUICK: Extent = {
  sideBySide: { rounds: 1, pings: 20, flowSeconds: 1, trialSeconds: 0.1, resolution: 1.5 },
  exchange: { count: 3, groups: [7], kinds: [] },
  starts: 2,
  responder: 40,
  flood: { i1s: 50_000, wrongI2s: 5_000 },
  garbage: 200,
  associations: 3_000,
  dns: { names: 500, clients: 50, rounds: 1, seconds: 1, fresh: 200 },
};

interface BenchOptions {
  readonly quick?: true;
  readonly json?: true;
  readonly markdown?: true;
  readonly only?: string;
  readonly subjects?: string;
  readonly svg?: string;
}

/** What a run is to do. */
interface Wish {
  readonly measurements: ReadonlySet<Measurement>;
  readonly subjects: ReadonlySet<string>;
  readonly isQuick: boolean;
}

export function registerBench(program: Command, context: CliContext): void {
  const names = SUBJECTS.map(({ name }) => name).filter((name) => name !== RAW);
  program.command("bench")
    .description("measure HIP beside raw veth and other tunnels (8 min)")
    .option("--quick", "a short run of about a minute, with more noise")
    .option("--only <list>", `some of ${MEASUREMENTS.join(", ")}`)
    .option("--subjects <list>", `beside raw veth some of ${names.join(", ")}`)
    .option("--json", "print a list of figures as JSON")
    .option("--markdown", "print tables in Markdown")
    .option("--svg <file>", "draw what is side by side into a file")
    .addHelpText(
      "after",
      example(
        "sudo hip bench",
        "sudo hip bench --only throughput,ping --subjects hip-udp,wireguard-go",
        "hip bench --only flood",
      ),
    )
    .action(async (options: BenchOptions) => {
      const { output } = context;
      const wish = {
        measurements: chosen("--only", MEASUREMENTS, options.only),
        subjects: chosen("--subjects", names, options.subjects),
        isQuick: options.quick ?? false,
      };
      // What cannot be written should be known before minutes of work.
      if (options.svg !== undefined) writeFile(options.svg, "");
      const report = await untilInterrupted((signal) => runBench(wish, context, signal));
      if (options.json) {
        for (const line of machineLines(report.machine, wish.isQuick)) output.note(line);
        printJson(output, [...report.sideBySide, ...report.alone]);
      } else if (options.markdown) output.print(renderMarkdown(report));
      else for (const line of renderText(report)) output.print(line);
      if (options.svg === undefined) return;
      const plot = renderPlot(report.sideBySide, report.subjects);
      if (plot === undefined) output.note(`${options.svg} is empty: nothing to draw was measured.`);
      else writeFile(options.svg, plot);
    });
}

/** The words that an option lists; all without it. @throws {UserError} On another word. */
export function chosen<T extends string>(
  option: string,
  all: readonly T[],
  listed: string | undefined,
): ReadonlySet<T> {
  if (listed === undefined) return new Set(all);
  return new Set(
    listed.split(",").map((word) => {
      const known = all.find((one) => one === word.trim());
      if (known !== undefined) return known;
      throw new UserError(`${option} cannot be "${word}". Use some of ${all.join(",")}.`);
    }),
  );
}

function writeFile(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/ \(os error.*$/, "") : "";
    throw new UserError(`cannot write ${path} (${reason}). Choose another file with --svg.`);
  }
}

async function runBench(
  { measurements, subjects, isQuick }: Wish,
  { output, platform }: CliContext,
  signal: AbortSignal,
): Promise<BenchReport> {
  const extent = isQuick ? QUICK : FULL;
  const providers = benchProviders(platform);
  const own = ownCommand();
  const self = [own.program, ...own.arguments];
  const notes: string[] = [];
  const alone: Samples[] = [];
  /** Runs one measurement of HIP alone if it is wanted. */
  const measure = async (
    measurement: Measurement,
    run: (progress: (step: string) => void) => Measured | Promise<Measured>,
  ) => {
    signal.throwIfAborted();
    if (!measurements.has(measurement)) return;
    const { samples, method } = await run((step) => output.note(`${measurement}: ${step}`));
    alone.push(...samples);
    notes.push(method);
  };
  const parts = new Set(SIDE_BY_SIDE_PARTS.filter((part) => measurements.has(part)));
  const needsBed = BED_MEASUREMENTS.some((measurement) => measurements.has(measurement));
  if (parts.size > 0 || needsBed) await requireLab();
  const tools = await findTrafficTools();
  let beside: SideBySide = { samples: [], subjects: [], versions: [], notes: [] };
  if (parts.size > 0) {
    const options = { self, tools, signal, note: (text: string) => output.note(text) };
    beside = await measureSideBySide(subjects, parts, extent.sideBySide, options);
  }
  if (needsBed) {
    const bed = await BenchBed.create(self, tools, signal);
    try {
      await measure("exchange", (tell) => measureExchanges(bed, extent.exchange, tell));
      await measure("startup", (tell) => measureStartUp(bed, extent.starts, tell));
      await bed.stopAgents();
    } finally {
      await bed.lab.dispose();
    }
  }
  await measure("responder", (tell) => measureResponder(providers, extent.responder, tell));
  await measure("flood", (tell) => measureFlood(providers, extent.flood, tell));
  await measure("garbage", (tell) => measureGarbage(providers, extent.garbage, tell));
  await measure("associations", (tell) => {
    return measureAssociations(providers, extent.associations, tell);
  });
  await measure("dns", (tell) => measureDns(self, extent.dns, tell, signal));
  return {
    machine: describeMachine(providers.esp.name, providers.publicKeys.name, beside.versions),
    isQuick,
    subjects: SUBJECTS.filter(({ name }) => beside.subjects.includes(name)),
    sideBySide: figuresOf(beside.samples),
    alone: figuresOf(alone),
    notes: [...beside.notes, ...notes],
  };
}

/** Runs something that Ctrl-C ends in good order. @throws {UserError} With code 130 then. */
async function untilInterrupted<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const interrupt = () => abort.abort(new UserError("interrupted.", INTERRUPTED));
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", interrupt);
  try {
    return await run(abort.signal);
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    Deno.removeSignalListener("SIGTERM", interrupt);
  }
}
