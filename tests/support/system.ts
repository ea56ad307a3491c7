/**
 * System tests: the compiled program in a network of namespaces (`lib/lab/lab.ts` draws it). Every
 * test gets a lab of its own, and nothing of it is left afterwards, whatever the test did.
 */

import { compareBytes } from "../../lib/base/bytes.ts";
import type { IdentityKind } from "../../lib/identity/host_identity.ts";
import { formatHit } from "../../lib/identity/hit.ts";
import {
  type LabAgent,
  prepareIdentity,
  startLabAgent,
  startLabDns,
} from "../../lib/lab/agents.ts";
import {
  type CommandResult,
  Lab,
  type LabFamilies,
  type LabHost,
  runCommand,
} from "../../lib/lab/lab.ts";
import { startWeb, waitFor } from "../../lib/lab/services.ts";
import type { AssociationReport, StatusReport } from "../../lib/runtime/api_protocol.ts";

/** How the program under test is started. */
export const SELF: readonly string[] = [Deno.env.get("HIP_BINARY") ?? "hip"];

/** Whether system tests cannot run here: they need root and the path of the program. */
export const CANNOT_RUN: boolean = Deno.uid() !== 0 || Deno.env.get("HIP_BINARY") === undefined;

/** What the web servers of a lab serve. */
export const PAGE = "The page of this host.";

/** A name, a HIT and an association take less than this, in milliseconds; the rest is a stall. */
export const PATIENCE_MS = 15_000;

const FIXTURES = new URL("../system/fixtures/", import.meta.url).pathname;

/** What the lab of a test is like. */
export interface SceneOptions {
  readonly families?: LabFamilies;
  readonly clientKind?: IdentityKind;
  readonly serverKind?: IdentityKind;
  /** Who is to have the greater HIT. */
  readonly greater?: "client" | "server";
  /** `KEY=VALUE` settings of both agents. */
  readonly settings?: readonly string[];
  /** Called when everything is there but the agents. */
  readonly beforeAgents?: (lab: Lab) => Promise<void>;
}

/** A lab in which both agents are up. */
export interface Scene {
  readonly lab: Lab;
  readonly client: LabAgent;
  readonly server: LabAgent;
}

/** Runs a test in a lab without agents. */
export async function withLab(
  families: LabFamilies,
  test: (lab: Lab) => Promise<void>,
): Promise<void> {
  const lab = await Lab.create(families);
  try {
    await test(lab);
  } finally {
    await lab.dispose();
  }
}

/** Runs a test between two agents; the server's HIP record is in DNS, both have a web server. */
export function withScene(
  options: SceneOptions,
  test: (scene: Scene) => Promise<void>,
): Promise<void> {
  const { families = "both", clientKind = "ecdsa-p256", serverKind = "ecdsa-p256" } = options;
  const { settings = [] } = options;
  return withLab(families, async (lab) => {
    const atServer = prepareIdentity(lab, "server", serverKind);
    let atClient = prepareIdentity(lab, "client", clientKind);
    while (options.greater !== undefined && greaterOf(atClient, atServer) !== options.greater) {
      await Deno.remove(atClient.stateFolder, { recursive: true });
      atClient = prepareIdentity(lab, "client", clientKind);
    }
    await options.beforeAgents?.(lab);
    const services = [
      startLabDns(lab, SELF, atServer.identity, families),
      startWeb(lab.server, SELF, PAGE),
      startWeb(lab.client, SELF, PAGE),
    ];
    await Promise.all(services);
    const [client, server] = await Promise.all([
      startLabAgent(lab, lab.client, SELF, atClient, settings),
      startLabAgent(lab, lab.server, SELF, atServer, settings),
    ]);
    try {
      await test({ lab, client, server });
    } catch (error) {
      await showLogs(lab);
      throw error;
    }
  });
}

type Prepared = ReturnType<typeof prepareIdentity>;

function greaterOf(atClient: Prepared, atServer: Prepared): "client" | "server" {
  const order = compareBytes(atClient.identity.hit, atServer.identity.hit);
  return order > 0 ? "client" : "server";
}

/** What the agents had to say, for whoever looks into a failure. */
async function showLogs(lab: Lab): Promise<void> {
  for (const name of ["client", "server"]) {
    const log = await Deno.readTextFile(`${lab.folder}/${name}.log`).catch(() => "");
    console.error(`--- log of the ${name}\n${log.split("\n").slice(-30).join("\n")}`);
  }
}

/** The agent's HIT as text. */
export function hitOf(agent: LabAgent): string {
  return formatHit(agent.identity.hit);
}

/** Runs `hip` against an agent. */
export function hip(agent: LabAgent, ...args: string[]): Promise<CommandResult> {
  return hipAt(agent.host, agent.stateFolder, ...args);
}

/** Runs `hip` in a host with a state folder. */
export function hipAt(
  host: LabHost,
  stateFolder: string,
  ...args: string[]
): Promise<CommandResult> {
  return host.run([...SELF, "--state", stateFolder, ...args], { timeoutMs: 40_000 });
}

/** `hip status --json`. */
export async function statusOf(agent: LabAgent): Promise<StatusReport> {
  return JSON.parse((await hip(agent, "status", "--json")).stdout) as StatusReport;
}

/** The association with a peer, of which there must be exactly one. */
export async function associationWith(agent: LabAgent, peer: LabAgent): Promise<AssociationReport> {
  const { associations } = await statusOf(agent);
  const found = associations.filter(({ peerHit }) => peerHit === hitOf(peer));
  if (found.length !== 1) throw new Error(`${found.length} associations with ${hitOf(peer)}`);
  return found[0]!;
}

/**
 * Keeps curl sequential: by default it tries the next family after 200 ms (RFC 8305), and a test on
 * a busy machine is no race.
 */
export const SEQUENTIAL: readonly string[] = ["--happy-eyeballs-timeout-ms", "10000"];

/** Fetches a page with curl; says what came and from where. */
export async function fetchPage(
  host: LabHost,
  url: string,
  ...options: string[]
): Promise<{ code: number; page: string; remote: string; seconds: number }> {
  const format = "\n%{remote_ip} %{time_total}";
  const { code, stdout } = await host.run(
    ["curl", "-s", "-g", ...SEQUENTIAL, "--max-time", "12", "-w", format, ...options, url],
    { timeoutMs: PATIENCE_MS },
  );
  const lines = stdout.split("\n");
  const [remote = "", seconds = ""] = (lines.pop() ?? "").split(" ");
  return { code, page: lines.join("\n"), remote, seconds: Number(seconds) };
}

/** Where a fixture of these tests lies, as a command line. */
export function fixture(file: string, ...args: string[]): string[] {
  const deno = [Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all"];
  return [...deno, `${FIXTURES}${file}`, ...args];
}

/** Runs a fixture in a host; its last line of output is JSON. */
export async function runFixture<T>(host: LabHost, file: string, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await host.run(fixture(file, ...args), { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as T;
}

/** Starts the transfer server. @returns SHA-256 of the `length` octets that it serves. */
export async function startTransfers(host: LabHost, length: number): Promise<string> {
  await startFixture(host, "transfer_server.ts");
  const hash = await runCommand(fixture("transfer_server.ts", "hash", String(length)));
  return JSON.parse(hash.stdout) as string;
}

/** Starts a fixture and waits for the first line it prints. */
export async function startFixture(
  host: LabHost,
  file: string,
  ...args: string[]
): Promise<Deno.ChildProcess> {
  const child = host.spawn(fixture(file, ...args), { stdout: "piped", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  if (value === undefined) throw new Error(`${file} ended before it was ready`);
  return child;
}

/** Waits until something about an agent holds. */
export async function untilStatus(
  agent: LabAgent,
  what: string,
  holds: (status: StatusReport) => boolean,
): Promise<void> {
  await waitFor(what, async () => holds(await statusOf(agent)));
}
