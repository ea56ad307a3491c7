/**
 * Tunnels of other programs between the two hosts of a lab, to measure HIP beside them. Each daemon
 * runs in the foreground with an empty /run of its own, where it leaves process ids and sockets;
 * its keys and settings lie in the lab's folder. So nothing of the machine is read or changed.
 */

import { UserError } from "../base/errors.ts";
import {
  type CommandResult,
  hasTool,
  type Lab,
  type LabHost,
  runCommand,
  type RunOptions,
} from "./lab.ts";

/** A tunnel that is up. */
export interface LabTunnel {
  /** The server's address inside. */
  readonly address: string;
  /** Name of the tunnel's device in both hosts. */
  readonly device: string;
  /** Process ids of the daemons. */
  readonly client: number;
  readonly server: number;
}

/** A program that makes tunnels, as Debian has it. */
export interface TunnelProgram {
  readonly name: string;
  /** The package whose version is the program's. */
  readonly debianPackage: string;
  /** Commands and files that must be there, and the packages that have them. */
  readonly needs: readonly (readonly [file: string, debianPackage: string])[];
  /** Starts it in both hosts. @throws {UserError} When the tunnel does not come up. */
  start(lab: Lab): Promise<LabTunnel>;
}

/** How long a daemon and then its tunnel may take, and between two looks; milliseconds. */
const UP_MS = 10_000;
const POLL_MS = 100;

/** The packages that a program lacks on this machine. */
export async function missingPackages({ needs }: TunnelProgram): Promise<string[]> {
  const missing = new Set<string>();
  for (const [file, debianPackage] of needs) {
    const isThere = file.startsWith("/") ? await isFile(file) : await hasTool(file);
    if (!isThere) missing.add(debianPackage);
  }
  return [...missing];
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** "wireguard-go 0.0.20220316-1+b4": with the version of Debian's package, where that is known. */
export async function tunnelVersion({ name, debianPackage }: TunnelProgram): Promise<string> {
  const query = ["dpkg-query", "-W", "-f", "${Version}", debianPackage];
  const { code, stdout } = await runCommand(query);
  return code === 0 ? `${name} ${stdout.trim()}` : name;
}

/** One end of a tunnel: a program in a host, with an empty /run. */
export class LabDaemon {
  readonly pid: number;
  readonly #lab: Lab;
  readonly #logFile: string;
  #isOver = false;

  /** Starts it; it ends with the lab. */
  constructor(
    lab: Lab,
    host: LabHost,
    command: readonly string[],
    env: Record<string, string> = {},
  ) {
    const name = command[0]!.split("/").pop();
    this.#lab = lab;
    this.#logFile = `${lab.folder}/${host.name}.${name}.log`;
    const script = `mount -t tmpfs -o mode=755 hip-run /run && exec "$@" >"$0" 2>&1`;
    const child = host.spawn([
      ...["unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", script, this.#logFile, ...command],
    ], { env });
    this.pid = child.pid;
    child.status.then(() => this.#isOver = true);
  }

  /** Runs a command beside it, with the same /run. */
  run(command: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const { signal } = this.#lab;
    return runCommand(
      ["nsenter", `--target=${this.pid}`, "--net", "--mount", "--", ...command],
      { timeoutMs: UP_MS, ...options, ...signal === undefined ? {} : { signal } },
    );
  }

  /** Waits until it is up. @throws {UserError} With its last words when it ends or takes long. */
  async waitUntil(isUp: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + UP_MS;
    while (!this.#isOver && performance.now() < deadline) {
      if (await isUp()) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const log = await Deno.readTextFile(this.#logFile).catch(() => "");
    const lastWords = log.trim().split("\n").pop() ?? "";
    throw new UserError(`it did not come up${lastWords === "" ? "" : ` (${lastWords})`}.`);
  }

  /** Waits until the server can be pinged at its address inside. @throws {UserError} If not. */
  async waitForPath(address: string): Promise<void> {
    const ping = ["ping", "-c", "1", "-W", "1", address];
    await this.waitUntil(async () => (await this.run(ping)).code === 0);
  }
}

/** Runs a command in a host. @returns What it printed. @throws {UserError} When it fails. */
export async function must(host: LabHost, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run(command, { timeoutMs: UP_MS });
  if (code === 0) return stdout;
  const problem = (stderr.trim() || stdout.trim()).split("\n").pop() ?? "";
  throw new UserError(`"${command.slice(0, 3).join(" ")}" failed with code ${code} (${problem}).`);
}
