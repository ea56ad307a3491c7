/**
 * Load on DNS servers of a lab: dnsperf as many clients, and Debian's dnsmasq and unbound as caching
 * forwarders to hold the proxy against.
 */

import { UserError } from "../base/errors.ts";
import { hasTool, type LabHost } from "./lab.ts";
import { accepts, waitFor } from "./services.ts";

/** A forwarder beside the proxy, on its own port of 127.0.0.1. */
export interface Forwarder {
  readonly name: "dnsmasq" | "unbound";
  readonly port: number;
  readonly process: Deno.ChildProcess;
}

/** Names that a forwarder keeps. */
const CACHE_ENTRIES = 50_000;

/** How long dnsperf waits for one answer, in seconds. */
const PATIENCE_SECONDS = 5;

/** What is needed and not installed. */
export async function missingLoadTools(): Promise<string[]> {
  const missing: string[] = [];
  for (const name of ["dnsperf", "dnsmasq"]) if (!await hasTool(name)) missing.push(name);
  return missing;
}

/** Starts dnsmasq, and unbound where it is installed, before `upstream`. */
export async function startForwarders(
  host: LabHost,
  folder: string,
  upstream: string,
): Promise<Forwarder[]> {
  const forwarders: Forwarder[] = [{
    name: "dnsmasq",
    port: 5301,
    process: host.spawn([
      ...["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=5301"],
      ...["--no-resolv", "--no-hosts", `--server=${upstream}`, "--listen-address=127.0.0.1"],
      ...["--bind-interfaces", `--cache-size=${CACHE_ENTRIES}`, "--dns-forward-max=5000"],
    ]),
  }];
  if (await hasTool("unbound")) {
    const config = `${folder}/unbound.conf`;
    await Deno.writeTextFile(config, unboundConfig(folder, upstream));
    const process = host.spawn(["unbound", "-d", "-c", config]);
    forwarders.push({ name: "unbound", port: 5302, process });
  }
  for (const { name, port } of forwarders) {
    await waitFor(name, () => accepts(host, "127.0.0.1", port));
  }
  return forwarders;
}

function unboundConfig(folder: string, upstream: string): string {
  return `server:
  interface: 127.0.0.1@5302
  do-ip6: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "${folder}"
  use-syslog: no
  logfile: "/dev/null"
  module-config: "iterator"
  local-zone: "test." nodefault
  msg-cache-size: 32m
  rrset-cache-size: 64m
  num-queries-per-thread: 4096
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: ${upstream}
`;
}

/** What dnsperf is to do. */
export interface DnsLoad {
  readonly port: number;
  /** File with a name and a type on each line. */
  readonly questions: string;
  /** Sockets that ask. */
  readonly clients: number;
  /** Questions without an answer at a time. */
  readonly outstanding: number;
  /** Undefined: once through the file. */
  readonly seconds?: number;
  /** Questions per second at most. */
  readonly rate?: number;
  /** Whether to note how long each answer took. */
  readonly notesLatencies?: boolean;
}

/** What came of it. */
export interface DnsLoadReading {
  readonly perSecond: number;
  readonly lost: number;
  /** Milliseconds, in the order of the answers; empty unless asked for. */
  readonly latenciesMs: readonly number[];
}

/** Asks as `load` says. @throws {UserError} When dnsperf fails. */
export async function askMany(host: LabHost, load: DnsLoad): Promise<DnsLoadReading> {
  const { port, questions, clients, outstanding, seconds, rate, notesLatencies } = load;
  const { code, stdout, stderr } = await host.run([
    ...["dnsperf", "-s", "127.0.0.1", "-p", String(port), "-d", questions],
    ...["-c", String(clients), "-q", String(outstanding), "-t", String(PATIENCE_SECONDS), "-W"],
    ...(seconds === undefined ? ["-n", "1"] : ["-l", String(seconds)]),
    ...(rate === undefined ? [] : ["-Q", String(rate)]),
    ...(notesLatencies ? ["-v"] : []),
  ], { timeoutMs: 120_000 });
  if (code !== 0) throw new UserError(`dnsperf failed (${stderr.trim()}). Run it again.`);
  return readDnsperf(stdout);
}

/** Reads what dnsperf 2 prints. Pure. */
export function readDnsperf(text: string): DnsLoadReading {
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? NaN);
  return {
    perSecond: number(/Queries per second:\s+([\d.]+)/),
    lost: number(/Queries lost:\s+(\d+)/),
    latenciesMs: [...text.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm)]
      .map((match) => Number(match[1]) * 1000),
  };
}
