/**
 * What `hip bench` sets side by side: the bare network, HIP over each of its transports, and the
 * tunnels of other programs that are installed. All are up at once and only one of them at a time
 * has traffic. HIP has hosts of its own for each transport; the others share theirs with the bare
 * network, each with its own device and addresses.
 */

import { UserError } from "../base/errors.ts";
import { Lab, type LabHost } from "../lab/lab.ts";
import { STRONGSWAN } from "../lab/strongswan.ts";
import { Traffic, type TrafficTools } from "../lab/traffic.ts";
import { missingPackages, type TunnelProgram, tunnelVersion } from "../lab/tunnel.ts";
import { WIREGUARD_GO } from "../lab/wireguard.ts";
import { YGGDRASIL } from "../lab/yggdrasil.ts";
import { BenchBed, connect, IPERF_PORT, RAW_ADDRESS, USUAL_KIND } from "./bench_bed.ts";
import { RAW } from "./bench_figures.ts";
import { subjectTitle } from "./bench_names.ts";

/** The transports of HIP, and what makes an agent use one. */
const TRANSPORTS: readonly (readonly [name: string, setting: string])[] = [
  ["hip-udp", "transport=udp"],
  ["hip-esp", "transport=raw"],
];

const PROGRAMS: readonly (readonly [name: string, program: TunnelProgram])[] = [
  ["wireguard-go", WIREGUARD_GO],
  ["strongswan", STRONGSWAN],
  ["yggdrasil", YGGDRASIL],
];

/** A way from client to server that is up. */
export interface Subject {
  readonly name: string;
  readonly client: Pick<LabHost, "run">;
  readonly traffic: Pick<Traffic, "tcp" | "udp" | "roundTrips" | "tools">;
  /** The server's address on this way. */
  readonly address: string;
  /** The device of its tunnel, and the processes behind it; the bare network has neither. */
  readonly tunnel?: { readonly device: string; readonly client: number; readonly server: number };
  /** Whether it is a program of others, without which the rest goes on. */
  readonly isForeign: boolean;
}

/** What subjects are made with. */
export interface SubjectOptions {
  /** How to start this program. */
  readonly self: readonly string[];
  readonly tools: TrafficTools;
  readonly signal: AbortSignal;
  /** Hears what cannot be had. */
  readonly note: (text: string) => void;
}

/** The subjects that could be started, and what a reader must know of the others. */
export class Subjects {
  readonly all: Subject[] = [];
  /** "wireguard-go 0.0.20220316-1+b4". */
  readonly versions: string[] = [];
  readonly #options: SubjectOptions;
  readonly #labs: Lab[] = [];
  readonly #beds: BenchBed[] = [];

  private constructor(options: SubjectOptions) {
    this.#options = options;
  }

  /** Starts those that are wanted and can be had; `dispose` ends them. */
  static async start(wanted: ReadonlySet<string>, options: SubjectOptions): Promise<Subjects> {
    const subjects = new Subjects(options);
    try {
      await subjects.#start(wanted);
    } catch (error) {
      await subjects.dispose();
      throw error;
    }
    return subjects;
  }

  async #start(wanted: ReadonlySet<string>): Promise<void> {
    const { self, tools, signal } = this.#options;
    const lab = await Lab.create("both", signal, "0");
    this.#labs.push(lab);
    const traffic = (port: number) => new Traffic(lab, self, tools, port);
    this.all.push({
      name: RAW,
      client: lab.client,
      traffic: traffic(IPERF_PORT),
      address: RAW_ADDRESS,
      isForeign: false,
    });
    for (const [number, [name, setting]] of TRANSPORTS.entries()) {
      if (wanted.has(name)) await this.#startHip(name, setting, String(number + 1));
    }
    for (const [number, [name, program]] of PROGRAMS.entries()) {
      if (!wanted.has(name)) continue;
      await this.#startProgram(name, program, lab, traffic(IPERF_PORT + 2 * (number + 1)));
    }
  }

  async #startHip(name: string, setting: string, tag: string): Promise<void> {
    const { self, tools, signal } = this.#options;
    const bed = await BenchBed.create(self, tools, signal, tag);
    this.#labs.push(bed.lab);
    this.#beds.push(bed);
    const pair = await bed.pair({ kind: USUAL_KIND, client: [setting], server: [setting] });
    const { transport } = await connect(pair);
    if (transport?.startsWith("UDP") !== (name === "hip-udp")) {
      throw new UserError(
        `${subjectTitle(name)} went over ${transport}. Look into the agents' logs.`,
      );
    }
    const { client, server } = pair;
    this.all.push({
      name,
      client: bed.lab.client,
      traffic: bed.traffic,
      address: pair.serverHit,
      tunnel: { device: "hip0", client: client.process.pid, server: server.process.pid },
      isForeign: false,
    });
  }

  async #startProgram(
    name: string,
    program: TunnelProgram,
    lab: Lab,
    traffic: Traffic,
  ): Promise<void> {
    const { signal, note } = this.#options;
    const missing = await missingPackages(program);
    if (missing.length > 0) {
      return note(`${program.name}: not installed (apt-get install ${missing.join(" ")}).`);
    }
    try {
      const { address, ...tunnel } = await program.start(lab);
      this.versions.push(await tunnelVersion(program));
      this.all.push({ name, client: lab.client, traffic, address, tunnel, isForeign: true });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      note(`${program.name}: ${error.message}`);
    }
  }

  /** Ends HIP's agents in good order. */
  async stopAgents(): Promise<void> {
    for (const bed of this.#beds.splice(0)) await bed.stopAgents();
  }

  /** Ends everything; safe to call twice. */
  async dispose(): Promise<void> {
    for (const lab of this.#labs.splice(0).reverse()) await lab.dispose();
  }
}
