/**
 * The lab in which `hip bench` measures: identities of every kind for both hosts, agents that come
 * and go with different settings, and the two ways to the server: the raw address and the HIT.
 */

import { UserError } from "../base/errors.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import { formatHit } from "../identity/hit.ts";
import type { IdentityKind } from "../identity/host_identity.ts";
import { type LabAgent, prepareIdentity, startLabAgent, startLabDns } from "../lab/agents.ts";
import { Lab, type LabHost, SERVER_ADDRESSES } from "../lab/lab.ts";
import { readResidentOctets } from "../lab/readings.ts";
import { waitFor } from "../lab/services.ts";
import { Traffic, type TrafficTools } from "../lab/traffic.ts";
import { ApiClient } from "../runtime/api_client.ts";
import type { AssociationReport, StatusReport } from "../runtime/api_protocol.ts";
import { statePaths } from "../runtime/state_paths.ts";

/** The address of the server without HIP. */
export const RAW_ADDRESS = SERVER_ADDRESSES.ipv6;

/** Port of the traffic in a lab; the next one is the meter's. */
export const IPERF_PORT = 5201;

/** The identity of everything that is not about identities: what a first start makes. */
export const USUAL_KIND: IdentityKind = "ecdsa-p256";

interface Prepared {
  readonly stateFolder: string;
  readonly identity: PrivateHostIdentity;
}

/** Two agents that know each other. */
export interface AgentPair {
  readonly client: LabAgent;
  readonly server: LabAgent;
  /** The server's HIT as text. */
  readonly serverHit: string;
}

/** How the two agents of a pair differ from a usual start. */
export interface PairSettings {
  readonly kind: IdentityKind;
  readonly client?: readonly string[];
  readonly server?: readonly string[];
}

export class BenchBed {
  readonly lab: Lab;
  readonly traffic: Traffic;
  /** How to start this program. */
  readonly self: readonly string[];
  readonly #prepared = new Map<string, Prepared>();
  #pair: (AgentPair & { readonly settings: string }) | undefined;

  private constructor(lab: Lab, self: readonly string[], tools: TrafficTools) {
    this.lab = lab;
    this.traffic = new Traffic(lab, self, tools, IPERF_PORT);
    this.self = self;
  }

  /**
   * @param signal Aborted, it ends whatever runs; `lab.dispose` is still needed.
   * @param tag Tells the labs of this program apart.
   */
  static async create(
    self: readonly string[],
    tools: TrafficTools,
    signal: AbortSignal,
    tag = "",
  ): Promise<BenchBed> {
    const lab = await Lab.create("both", signal, tag);
    try {
      const bed = new BenchBed(lab, self, tools);
      await startLabDns(lab, self, bed.#prepare("server", USUAL_KIND).identity, "both");
      return bed;
    } catch (error) {
      await lab.dispose();
      throw error;
    }
  }

  /** The two agents, with these settings: those that run when they have them, else new ones. */
  async pair(settings: PairSettings): Promise<AgentPair> {
    const key = JSON.stringify(settings);
    if (this.#pair?.settings === key) return this.#pair;
    await this.stopAgents();
    const server = this.#prepare("server", settings.kind);
    const client = this.#prepare("client", settings.kind);
    const serverHit = formatHit(server.identity.hit);
    await Deno.writeTextFile(
      statePaths(client.stateFolder).hostsFile,
      `${serverHit} locator=${RAW_ADDRESS} server\n`,
    );
    // Both at once: there is one core for each.
    const [serverAgent, clientAgent] = await Promise.all([
      this.#start(this.lab.server, server, settings.server ?? []),
      this.#start(this.lab.client, client, settings.client ?? []),
    ]);
    this.#pair = { client: clientAgent, server: serverAgent, serverHit, settings: key };
    return this.#pair;
  }

  /** Starts an agent alone, as after `hip up`, and ends it again. */
  async startOnce(): Promise<{ readonly startUpMs: number; readonly residentOctets: number }> {
    await this.stopAgents();
    const agent = await this.#start(this.lab.client, this.#prepare("client", USUAL_KIND), []);
    const resident = residentOctets(agent.process.pid);
    await stop(agent);
    return { startUpMs: agent.startUpMs, residentOctets: resident };
  }

  /** Ends the agents that run. */
  async stopAgents(): Promise<void> {
    const pair = this.#pair;
    this.#pair = undefined;
    // The client first, while there is somebody to answer its CLOSE.
    if (pair !== undefined) { for (const agent of [pair.client, pair.server]) await stop(agent); }
  }

  #start(host: LabHost, prepared: Prepared, settings: readonly string[]): Promise<LabAgent> {
    return startLabAgent(this.lab, host, this.self, prepared, settings);
  }

  #prepare(host: "client" | "server", kind: IdentityKind): Prepared {
    const name = `${host}-${kind}`;
    const prepared = this.#prepared.get(name) ?? prepareIdentity(this.lab, name, kind);
    this.#prepared.set(name, prepared);
    return prepared;
  }
}

async function stop(agent: LabAgent): Promise<void> {
  await ApiClient.ask(agent.socketFile, "down");
  await agent.process.status;
}

/** Makes an association if there is none. */
export async function connect({ client, serverHit }: AgentPair): Promise<AssociationReport> {
  return await ApiClient.ask<AssociationReport>(client.socketFile, "connect", { peer: serverHit });
}

/** Closes the association and waits until the client has forgotten it. */
export async function disconnect({ client, serverHit }: AgentPair): Promise<void> {
  await ApiClient.ask(client.socketFile, "close", { peer: serverHit });
  await waitFor("the end of an association", async () => {
    const { associations } = await ApiClient.ask<StatusReport>(client.socketFile, "status");
    return associations.every(({ peerHit, state }) =>
      peerHit !== serverHit || state === "UNASSOCIATED"
    );
  }, 5);
}

/** Resident memory of a process, in octets. @throws {UserError} When it has ended. */
export function residentOctets(processId: number): number {
  return readResidentOctets(readProcess(processId, "status"));
}

/** A file of /proc on a process. @throws {UserError} When it has ended. */
export function readProcess(processId: number, file: "stat" | "status"): string {
  try {
    return Deno.readTextFileSync(`/proc/${processId}/${file}`);
  } catch {
    throw new UserError(`process ${processId} has ended during a measurement. Run it again.`);
  }
}
