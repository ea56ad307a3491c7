/**
 * The same traffic over every subject, in rounds: in each of them all take their turn, so that a
 * neighbour's load meets them alike.
 */

import { UserError } from "../base/errors.ts";
import { readBusySeconds, readProcessorSeconds, readSentOctets } from "../lab/readings.ts";
import type { TrafficTools, UdpTrial } from "../lab/traffic.ts";
import { readProcess, residentOctets } from "./bench_bed.ts";
import { median, type Samples, type Unit } from "./bench_figures.ts";
import { RateSearch, type RateTrial } from "./bench_rate_search.ts";
import { subjectTitle } from "./bench_names.ts";
import { type Subject, type SubjectOptions, Subjects } from "./bench_subjects.ts";
import { count } from "./format.ts";

/** How much of everything. */
export interface SideBySidePlan {
  readonly rounds: number;
  /** Pings in each round, idle. */
  readonly pings: number;
  /** Whole seconds of a flow of TCP. */
  readonly flowSeconds: number;
  /** Seconds of a trial with UDP. */
  readonly trialSeconds: number;
  /** How finely the first round looks: a rate that failed is at most so many times a passed one. */
  readonly resolution: number;
}

/** What can be left out. */
export const SIDE_BY_SIDE_PARTS = ["throughput", "packets", "ping", "cpu", "memory"] as const;

export type SideBySidePart = typeof SIDE_BY_SIDE_PARTS[number];

/** One line of the table. */
interface Measure {
  readonly part: SideBySidePart;
  readonly measure: string;
  readonly unit: Unit;
}

const ONE_FLOW: Measure = { part: "throughput", measure: "TCP, one flow", unit: "Mbit/s" };
const FOUR_FLOWS: Measure = { part: "throughput", measure: "TCP, four flows", unit: "Mbit/s" };
const IDLE: Measure = { part: "ping", measure: "round trip, idle", unit: "ms" };
const LOADED: Measure = { part: "ping", measure: "round trip, loaded", unit: "ms" };
const OWN_CPU: Measure = { part: "cpu", measure: "CPU, its processes", unit: "s/GB" };
const ALL_CPU: Measure = { part: "cpu", measure: "CPU, whole machine", unit: "s/GB" };
const IDLE_MEMORY: Measure = { part: "memory", measure: "memory, idle", unit: "MB" };
const LOADED_MEMORY: Measure = { part: "memory", measure: "memory, after load", unit: "MB" };

/** Octets of the packets of UDP, headers included. */
const PACKET_OCTETS = [64, 1400] as const;

function packetMeasure(packetOctets: number): Measure {
  return { part: "packets", measure: `UDP, ${packetOctets} octets`, unit: "packets/s" };
}

/** All lines, in order. */
export const MEASURES: readonly Measure[] = [
  ONE_FLOW,
  FOUR_FLOWS,
  ...PACKET_OCTETS.map(packetMeasure),
  IDLE,
  LOADED,
  OWN_CPU,
  ALL_CPU,
  IDLE_MEMORY,
  LOADED_MEMORY,
];

/** A rate passes when at most so much of it is lost, */
export const TOLERATED_LOSS = 0.001;

/** and so much of it has arrived when the sender ends. */
const ARRIVED_IN_TIME = 0.9;

/** A sender that is slower than this part of the rate does not keep to it. */
const REACHED = 0.95;

/** Where the first round looks for the highest rate, in packets per second, and in which steps. */
const FIRST_RATE = 20_000;
const FIRST_FACTOR = 2;

/** Later rounds begin with what the earlier ones found, and go up or down in such steps. */
const LATER_FACTOR = 1.15;

/** What the program ends with at Ctrl-C. */
export const INTERRUPTED = 130;

/** A flow is left alone for this long before and after it counts as load, in seconds. */
const FLOW_EDGE = 0.4;

/** Pings per second, roughly. */
const PINGS_PER_SECOND = 90;

/** What came of it. */
export interface SideBySide {
  readonly samples: readonly Samples[];
  /** Names of those that have samples. */
  readonly subjects: readonly string[];
  /** "wireguard-go 0.0.20220316-1+b4". */
  readonly versions: readonly string[];
  /** How it was measured and what was not, a paragraph each. */
  readonly notes: readonly string[];
}

/** Starts the subjects that are wanted, measures, and ends them. */
export async function measureSideBySide(
  wanted: ReadonlySet<string>,
  parts: ReadonlySet<SideBySidePart>,
  plan: SideBySidePlan,
  options: SubjectOptions,
): Promise<SideBySide> {
  const notes = methodNotes(parts, plan, options.tools);
  const keep = (text: string) => {
    options.note(text);
    notes.push(text);
  };
  options.note("side by side: starting");
  const subjects = await Subjects.start(wanted, { ...options, note: keep });
  try {
    const { samples, left } = await runRounds(subjects.all, parts, plan, { ...options, keep });
    await subjects.stopAgents();
    const names = left.map(({ name }) => name);
    return { samples, subjects: names, versions: subjects.versions, notes };
  } finally {
    await subjects.dispose();
  }
}

/** Who hears of a run of rounds, and ends it. */
export interface RoundsOptions {
  readonly signal: AbortSignal;
  /** Hears of every step. */
  readonly note: (text: string) => void;
  /** Hears what a reader of the results must know. */
  readonly keep: (text: string) => void;
}

/** @returns Those that held out: programs of others that fail are left out from then on. */
export async function runRounds(
  subjects: readonly Subject[],
  parts: ReadonlySet<SideBySidePart>,
  plan: SideBySidePlan,
  { note, keep, signal }: RoundsOptions,
): Promise<{ readonly samples: Samples[]; readonly left: readonly Subject[] }> {
  const sheet = new Sheet();
  const run = new Run(sheet, parts, plan);
  let left = subjects;
  const each = async (
    all: readonly Subject[],
    step: string,
    measure: (subject: Subject) => void | Promise<void>,
  ) => {
    for (const subject of all) {
      const title = subjectTitle(subject.name);
      note(`side by side: ${step}, ${title}`);
      try {
        await measure(subject);
      } catch (error) {
        signal.throwIfAborted();
        if (!subject.isForeign || !(error instanceof UserError)) throw error;
        left = left.filter((other) => other !== subject);
        keep(`${title} is left out: ${error.message}`);
      }
    }
  };
  await each(left, "first traffic", async (subject) => {
    run.memory(subject, IDLE_MEMORY);
    await run.warmUp(subject);
  });
  for (let round = 0; round < plan.rounds; round++) {
    const turn = round % left.length;
    const turns = [...left.slice(turn), ...left.slice(0, turn)];
    await each(turns, `round ${round + 1} of ${plan.rounds}`, (subject) => run.round(subject));
  }
  if (parts.has("memory")) {
    await each(left, "memory", (subject) => run.memory(subject, LOADED_MEMORY));
  }
  return { samples: sheet.samples(MEASURES.filter(({ part }) => parts.has(part)), left), left };
}

/** How it is measured. */
function methodNotes(
  parts: ReadonlySet<SideBySidePart>,
  { rounds, flowSeconds, trialSeconds }: SideBySidePlan,
  { iperf3, ping }: TrafficTools,
): string[] {
  const tcpTool = iperf3 ? "iperf3" : "the built-in sender (no iperf3 here)";
  const lines = [
    `Side by side: median of ${count(rounds, "round")} in which all take turns, both hosts and ` +
    "the load on this machine, IPv6 inside and outside, every device with its program's own MTU.",
  ];
  if (parts.has("throughput")) lines.push(`TCP: ${tcpTool}, ${flowSeconds} s.`);
  if (parts.has("packets")) {
    lines.push(
      iperf3
        ? "UDP: iperf3, packets of so many octets with headers; the highest rate of which at most " +
          `${
            TOLERATED_LOSS * 100
          } % is lost in ${trialSeconds} s. Raw is limited by iperf3, which sends them one by one.`
        : "UDP: not measured, as iperf3 is not installed (apt-get install iperf3).",
    );
  }
  if (parts.has("ping")) {
    const tool = ping ? "ping" : "built-in echo over TCP (no ping here)";
    lines.push(`Round trip: ${tool}; loaded is during one flow of TCP.`);
  }
  if (parts.has("cpu")) {
    lines.push(
      "CPU: seconds for 10^9 octets of one flow of TCP; its processes are those of both hosts, " +
        "and the whole machine includes the load.",
    );
  }
  if (parts.has("memory")) {
    lines.push("Memory: VmRSS of one process, median of both hosts'.");
  }
  return [lines.join(" ")];
}

/** What was seen, by measure and subject. */
class Sheet {
  readonly #values = new Map<string, number[]>();

  values({ measure }: Measure, { name }: Subject): number[] {
    const key = `${measure}\n${name}`;
    const values = this.#values.get(key) ?? [];
    this.#values.set(key, values);
    return values;
  }

  samples(measures: readonly Measure[], subjects: readonly Subject[]): Samples[] {
    return measures.flatMap((measure) =>
      subjects.map((subject) => ({
        measure: measure.measure,
        subject: subject.name,
        unit: measure.unit,
        values: this.values(measure, subject),
      }))
    );
  }
}

/** The measurements of one subject after the other. */
class Run {
  readonly #sheet: Sheet;
  readonly #parts: ReadonlySet<SideBySidePart>;
  readonly #plan: SideBySidePlan;

  constructor(sheet: Sheet, parts: ReadonlySet<SideBySidePart>, plan: SideBySidePlan) {
    this.#sheet = sheet;
    this.#parts = parts;
    this.#plan = plan;
  }

  /** Traffic that does not count: code gets warm, and the tunnel shows that it carries it. */
  async warmUp({ client, traffic, address, tunnel }: Subject): Promise<void> {
    const sent = async () => {
      if (tunnel === undefined) return Infinity;
      const show = ["ip", "-statistics", "-json", "link", "show", "dev", tunnel.device];
      return readSentOctets((await client.run(show)).stdout);
    };
    const before = tunnel === undefined ? 0 : await sent();
    const { octets } = await traffic.tcp(address, 1, this.#plan.flowSeconds);
    const carried = await sent() - before;
    if (carried >= octets) return;
    throw new UserError(`of ${octets} octets its tunnel carried ${carried}. Run it again.`);
  }

  async round(subject: Subject): Promise<void> {
    const { pings } = this.#plan;
    if (this.#parts.has("ping")) {
      this.#add(IDLE, subject, median(await subject.traffic.roundTrips(subject.address, pings)));
    }
    if (["throughput", "ping", "cpu"].some((part) => this.#parts.has(part as SideBySidePart))) {
      await this.#oneFlow(subject);
    }
    if (this.#parts.has("throughput")) {
      const { traffic, address } = subject;
      const { bitsPerSecond } = await traffic.tcp(address, 4, this.#plan.flowSeconds);
      this.#add(FOUR_FLOWS, subject, bitsPerSecond / 1e6);
    }
    if (this.#parts.has("packets") && subject.traffic.tools.iperf3) {
      for (const octets of PACKET_OCTETS) await this.#packets(subject, octets);
    }
  }

  /** Of its processes in both hosts. */
  memory(subject: Subject, measure: Measure): void {
    const { tunnel } = subject;
    if (tunnel === undefined) return;
    const resident = [tunnel.client, tunnel.server].map(residentOctets);
    for (const octets of resident) this.#add(measure, subject, octets / 1e6);
  }

  async #oneFlow(subject: Subject): Promise<void> {
    const { traffic, address, tunnel } = subject;
    const { flowSeconds } = this.#plan;
    const own = () =>
      tunnel === undefined ? NaN : [tunnel.client, tunnel.server]
        .reduce((sum, pid) => sum + readProcessorSeconds(readProcess(pid, "stat")), 0);
    const all = () => readBusySeconds(Deno.readTextFileSync("/proc/stat"));
    const ownBefore = own();
    const allBefore = all();
    const [{ bitsPerSecond, octets }, roundTrips] = await Promise.all([
      traffic.tcp(address, 1, flowSeconds),
      this.#parts.has("ping") ? this.#pingsUnderLoad(subject) : [],
    ]);
    const gigabytes = octets / 1e9;
    this.#add(ONE_FLOW, subject, bitsPerSecond / 1e6);
    this.#add(LOADED, subject, median(roundTrips));
    this.#add(OWN_CPU, subject, (own() - ownBefore) / gigabytes);
    this.#add(ALL_CPU, subject, (all() - allBefore) / gigabytes);
  }

  async #pingsUnderLoad({ traffic, address }: Subject): Promise<number[]> {
    await new Promise((resolve) => setTimeout(resolve, FLOW_EDGE * 1000));
    const seconds = this.#plan.flowSeconds - 2 * FLOW_EDGE;
    return await traffic.roundTrips(address, Math.floor(seconds * PINGS_PER_SECOND));
  }

  async #packets(subject: Subject, packetOctets: number): Promise<void> {
    const { trialSeconds: seconds, resolution } = this.#plan;
    const measure = packetMeasure(packetOctets);
    const earlier = this.#sheet.values(measure, subject).filter((rate) => rate > 0);
    const search = new RateSearch(
      earlier.length === 0
        ? { start: FIRST_RATE, factor: FIRST_FACTOR, resolution }
        : { start: median(earlier), factor: LATER_FACTOR, resolution: LATER_FACTOR },
    );
    for (let rate = search.rate; rate !== undefined; rate = search.rate) {
      search.report(await this.#trial(subject, { packetOctets, rate, seconds }));
    }
    this.#add(measure, subject, search.best);
  }

  /** Overload can break iperf3's own connection: then nothing has passed. */
  async #trial({ traffic, address }: Subject, trial: UdpTrial): Promise<RateTrial> {
    try {
      const { sent, received, lost, seconds } = await traffic.udp(address, trial);
      return {
        arrived: received / seconds,
        isLossless: lost <= TOLERATED_LOSS * sent && received >= ARRIVED_IN_TIME * sent,
        isReached: sent / seconds >= REACHED * trial.rate,
      };
    } catch (error) {
      if (!(error instanceof UserError) || error.exitCode === INTERRUPTED) throw error;
      return { arrived: 0, isLossless: false, isReached: true };
    }
  }

  /** NaN is what a subject does not have. */
  #add(measure: Measure, subject: Subject, value: number): void {
    if (!Number.isNaN(value)) this.#sheet.values(measure, subject).push(value);
  }
}
