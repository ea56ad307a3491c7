/**
 * A network on this machine for demonstrations, benchmarks and system tests: two hosts and a
 * router between them, each a network namespace.
 *
 * ```
 *   client                    router                     server
 *   10.99.1.10  ----------  10.99.1.1
 *   fd00:1::10              fd00:1::1
 *                           10.99.2.1  ----------  10.99.2.80
 *                           fd00:2::1              fd00:2::80
 * ```
 *
 * A host also has a mount namespace in which /etc is a copy of its own, so that its resolver
 * configuration can change without the machine's changing. Everything goes with `dispose`, and what
 * a killed run left behind goes when the next one starts. Processes of a lab are in sessions of
 * their own: Ctrl-C reaches the program that made the lab, which then takes it down in order.
 */

import { UserError } from "../base/errors.ts";

/** What a command said. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Addresses of one host of the lab. */
export interface LabAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
  readonly gatewayIpv4: string;
  readonly gatewayIpv6: string;
}

/** Which families a lab has. */
export type LabFamilies = "both" | "ipv4" | "ipv6";

export const CLIENT_ADDRESSES: LabAddresses = {
  ipv4: "10.99.1.10",
  ipv6: "fd00:1::10",
  gatewayIpv4: "10.99.1.1",
  gatewayIpv6: "fd00:1::1",
};

export const SERVER_ADDRESSES: LabAddresses = {
  ipv4: "10.99.2.80",
  ipv6: "fd00:2::80",
  gatewayIpv4: "10.99.2.1",
  gatewayIpv6: "fd00:2::1",
};

const PREFIX = "hiplab";

/** One namespace and the processes in it. */
export class LabHost {
  readonly name: string;
  /** Name of the network namespace. */
  readonly namespace: string;
  readonly #children: Deno.ChildProcess[] = [];
  readonly #signal: AbortSignal | undefined;
  #anchor: Deno.ChildProcess | undefined;

  /** @param signal Once aborted, nothing is started here any more. */
  constructor(name: string, namespace: string, signal?: AbortSignal) {
    this.name = name;
    this.namespace = namespace;
    this.#signal = signal;
  }

  /**
   * Gives the host an /etc of its own, in which names come from files and DNS and nowhere else.
   *
   * @param folder Where the copy is mounted; must exist.
   * @param resolvConf Its /etc/resolv.conf.
   */
  async privateEtc(folder: string, resolvConf: string): Promise<void> {
    const script = `set -e
      mount -t tmpfs -o mode=755 hip-etc "$1"
      cp -a /etc/. "$1"
      rm -f "$1/resolv.conf"
      printf '%s' "$2" > "$1/resolv.conf"
      if [ -f "$1/nsswitch.conf" ]; then
        sed -i 's/^hosts:.*/hosts: files dns/' "$1/nsswitch.conf"
      fi
      if [ -d /run/nscd ]; then mount -t tmpfs hip-nscd /run/nscd; fi
      mount --bind "$1" /etc
      echo ready
      exec sleep 86400`;
    this.#signal?.throwIfAborted();
    const anchor = new Deno.Command("ip", {
      args: [
        ...["netns", "exec", this.namespace, "unshare", "--mount", "--propagation", "private"],
        ...["sh", "-c", script, "sh", folder, resolvConf],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.#anchor = anchor;
    const reader = anchor.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    if (value === undefined || !new TextDecoder().decode(value).includes("ready")) {
      const problem = await new Response(anchor.stderr).text();
      throw new UserError(
        `cannot make a mount namespace (${problem.trim()}). Run it as root, with util-linux.`,
      );
    }
    await anchor.stderr.cancel();
  }

  /** The command line that runs `command` inside this host. */
  enter(command: readonly string[]): string[] {
    return this.#anchor === undefined
      ? ["ip", "netns", "exec", this.namespace, ...command]
      : ["nsenter", `--target=${this.#anchor.pid}`, "--net", "--mount", "--", ...command];
  }

  /** Runs a command to its end. Rejects with the signal's reason when that is aborted. */
  run(command: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const signal = this.#signal;
    return runCommand(this.enter(command), signal === undefined ? options : { ...options, signal });
  }

  /** Starts a command that goes on until `stop` or `dispose`. */
  spawn(
    command: readonly string[],
    options: Omit<Deno.CommandOptions, "args"> = {},
  ): Deno.ChildProcess {
    this.#signal?.throwIfAborted();
    const [program, ...args] = this.enter(command);
    const child = new Deno.Command(program!, {
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
      ...options,
      args,
    }).spawn();
    this.#children.push(child);
    return child;
  }

  /** Ends what was spawned here, the latest first, and whatever else still runs in it. */
  async dispose(): Promise<void> {
    for (const child of this.#children.splice(0).reverse()) await endProcess(child);
    if (this.#anchor !== undefined) await endProcess(this.#anchor);
    await deleteNamespace(this.namespace);
  }
}

/** Two hosts and a router; see the drawing above. */
export class Lab {
  readonly client: LabHost;
  readonly router: LabHost;
  readonly server: LabHost;
  /** Scratch files of this lab. */
  readonly folder: string;
  /** Once aborted, nothing is started any more; `dispose` still works. */
  readonly signal: AbortSignal | undefined;

  private constructor(folder: string, signal: AbortSignal | undefined, tag: string) {
    const make = (name: string) => new LabHost(name, `${PREFIX}-${Deno.pid}-${name}${tag}`, signal);
    this.folder = folder;
    this.signal = signal;
    this.client = make("client");
    this.router = make("router");
    this.server = make("server");
  }

  /**
   * @param signal Aborted, it stops the making, and later whatever runs in the lab; what was made
   *   until then is taken down.
   * @param tag Tells the labs of one program apart, where it has several: a digit or so.
   * @throws {UserError} When a tool or the privilege is missing.
   */
  static async create(
    families: LabFamilies = "both",
    signal?: AbortSignal,
    tag = "",
  ): Promise<Lab> {
    await requireLab();
    await sweepLeftovers();
    const folder = await Deno.makeTempDir({ prefix: `${PREFIX}-${Deno.pid}-` });
    await sweepFolders(folder.slice(0, folder.lastIndexOf("/")));
    const lab = new Lab(folder, signal, tag);
    try {
      await lab.#build(families);
    } catch (error) {
      await lab.dispose();
      throw error;
    }
    return lab;
  }

  async #build(families: LabFamilies): Promise<void> {
    for (const host of [this.client, this.router, this.server]) {
      await this.#must(["ip", "netns", "add", host.namespace]);
      await this.#must(host.enter(["ip", "link", "set", "lo", "up"]));
    }
    const forward = `for path in ipv4/ip_forward ipv6/conf/all/forwarding; do
      if [ -e "/proc/sys/net/$path" ]; then echo 1 > "/proc/sys/net/$path"; fi
    done`;
    await this.#must(this.router.enter(["sh", "-e", "-c", forward]));
    await this.#link(this.client, "to-client", CLIENT_ADDRESSES, families);
    await this.#link(this.server, "to-server", SERVER_ADDRESSES, families);
    for (const [host, addresses] of this.#endHosts()) {
      const etc = `${this.folder}/etc-${host.name}`;
      await Deno.mkdir(etc);
      const server = families === "ipv4" ? addresses.gatewayIpv4 : addresses.gatewayIpv6;
      await host.privateEtc(etc, `nameserver ${server}\n`);
    }
    await this.#warmUp(families);
  }

  /** A new link drops what is sent before it has settled; one ping through both ends that. */
  async #warmUp(families: LabFamilies): Promise<void> {
    const { ipv4, ipv6 } = SERVER_ADDRESSES;
    for (
      const address of [
        ...(families === "ipv6" ? [] : [ipv4]),
        ...(families === "ipv4" ? [] : [ipv6]),
      ]
    ) {
      await this.client.run(["ping", "-c", "1", "-i", "0.2", "-w", "5", address]);
    }
  }

  #endHosts(): [LabHost, LabAddresses][] {
    return [[this.client, CLIENT_ADDRESSES], [this.server, SERVER_ADDRESSES]];
  }

  async #link(
    host: LabHost,
    routerDevice: string,
    addresses: LabAddresses,
    families: LabFamilies,
  ): Promise<void> {
    const { router } = this;
    await this.#must([
      ...["ip", "link", "add", "eth0", "netns", host.namespace, "type", "veth"],
      ...["peer", "name", routerDevice, "netns", router.namespace],
    ]);
    await this.#must(host.enter(["ip", "link", "set", "eth0", "up"]));
    await this.#must(router.enter(["ip", "link", "set", routerDevice, "up"]));
    if (families !== "ipv6") {
      const { ipv4, gatewayIpv4 } = addresses;
      await this.#must(host.enter(["ip", "address", "add", `${ipv4}/24`, "dev", "eth0"]));
      await this.#must(
        router.enter(["ip", "address", "add", `${gatewayIpv4}/24`, "dev", routerDevice]),
      );
      await this.#must(host.enter(["ip", "route", "add", "default", "via", gatewayIpv4]));
    }
    if (families !== "ipv4") {
      const { ipv6, gatewayIpv6 } = addresses;
      const add = (address: string, device: string) => [
        ...["ip", "address", "add", `${address}/64`, "dev", device, "nodad"],
      ];
      await this.#must(host.enter(add(ipv6, "eth0")));
      await this.#must(router.enter(add(gatewayIpv6, routerDevice)));
      await this.#must(host.enter(["ip", "route", "add", "default", "via", gatewayIpv6]));
    }
  }

  async #must(command: readonly string[]): Promise<void> {
    const { signal } = this;
    const { code, stderr } = await runCommand(command, signal === undefined ? {} : { signal });
    if (code !== 0) {
      throw new UserError(`"${command.join(" ")}" failed (${stderr.trim()}). Run it as root.`);
    }
  }

  /** Takes everything down again; safe to call twice. */
  async dispose(): Promise<void> {
    await Promise.all([this.client, this.server].map((host) => host.dispose()));
    await this.router.dispose();
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }
}

/** How a command is run. */
export interface RunOptions {
  /** Variables beside our own. */
  readonly env?: Record<string, string>;
  /** After this the command is killed and reported with code 124. */
  readonly timeoutMs?: number;
  /** Aborted, it kills the command, and the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** Runs a command to its end, in a session of its own. */
export async function runCommand(
  command: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const [program, ...args] = command;
  const { env = {}, timeoutMs, signal } = options;
  signal?.throwIfAborted();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program!, {
      args,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { code: 127, stdout: "", stderr: `${program}: not found` };
    }
    throw error;
  }
  let isLate = false;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => {
    isLate = true;
    tryKill(child, "SIGKILL");
  }, timeoutMs);
  const kill = () => tryKill(child, "SIGKILL");
  signal?.addEventListener("abort", kill);
  const { code, stdout, stderr } = await child.output();
  signal?.removeEventListener("abort", kill);
  clearTimeout(timer);
  signal?.throwIfAborted();
  const decoder = new TextDecoder();
  return {
    code: isLate ? 124 : code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Whether a program can be found on PATH. */
export async function hasTool(name: string): Promise<boolean> {
  return (await runCommand(["sh", "-c", `command -v "$1"`, "sh", name])).code === 0;
}

/** @throws {UserError} That names what is missing and how to get it. */
export async function requireTools(names: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of names) if (!await hasTool(name)) missing.push(name);
  if (missing.length > 0) {
    throw new UserError(
      `${missing.join(", ")} not found. Install it: apt-get install iproute2 util-linux curl.`,
    );
  }
}

/**
 * Checks what can be checked before anything is made.
 *
 * @param tools What is needed beside the lab's own.
 * @throws {UserError} When a tool or the privilege is missing.
 */
export async function requireLab(...tools: readonly string[]): Promise<void> {
  if (Deno.uid() !== 0) {
    throw new UserError("network namespaces need root. Run it again with sudo.");
  }
  await requireTools(["ip", "nsenter", "unshare", "mount", ...tools]);
}

/** Asks a process to end, and insists after five seconds. */
export async function endProcess(child: Deno.ChildProcess): Promise<void> {
  tryKill(child, "SIGTERM");
  const timer = setTimeout(() => tryKill(child, "SIGKILL"), 5000);
  await child.status;
  clearTimeout(timer);
}

function tryKill(
  child: { kill(signal: Deno.Signal): void },
  signal: Deno.Signal,
): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended by itself.
  }
}

/** Removes what runs that were killed left behind: their own process does not exist any more. */
async function sweepLeftovers(): Promise<void> {
  const { stdout } = await runCommand(["ip", "netns", "list"]);
  for (const match of stdout.matchAll(new RegExp(`^(${PREFIX}-(\\d+)-\\w+)`, "gm"))) {
    const [, namespace, pid] = match;
    if (!await isOver(pid!)) continue;
    await deleteNamespace(namespace!);
  }
}

/** Deletes a namespace with all that runs in it; without its name nobody would find that. */
async function deleteNamespace(namespace: string): Promise<void> {
  const { stdout } = await runCommand(["ip", "netns", "pids", namespace]);
  for (const line of stdout.split("\n").filter((line) => line !== "")) {
    tryKill({ kill: (signal) => Deno.kill(Number(line), signal) }, "SIGKILL");
  }
  await runCommand(["ip", "netns", "delete", namespace]);
}

/** Removes the scratch folders of runs that were killed. */
async function sweepFolders(parent: string): Promise<void> {
  for await (const { name } of Deno.readDir(parent)) {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || !await isOver(pid)) continue;
    await Deno.remove(`${parent}/${name}`, { recursive: true }).catch(() => {});
  }
}

async function isOver(pid: string): Promise<boolean> {
  return await Deno.stat(`/proc/${pid}`).then(() => false, () => true);
}
