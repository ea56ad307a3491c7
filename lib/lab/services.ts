/**
 * What the hosts of a lab run: a DNS server with one zone, and a web server. The DNS server is one
 * that Debian has when it is installed, else our own small one, so that the proxy is shown to work
 * with a server that is not ours.
 */

import { toHex } from "../base/bytes.ts";
import { UserError } from "../base/errors.ts";
import { endProcess, hasTool, type LabHost } from "./lab.ts";

/** One name of the zone. */
export interface ZoneEntry {
  /** Within `hip.test`, "www". */
  readonly label: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** RDATA of a HIP record (RFC 8005 §5). */
  readonly hip?: Uint8Array;
}

export const ZONE = "hip.test";

/** Between two looks at whether something has come up, in milliseconds. */
const POLL_MS = 50;

/** The zone as a master file, the HIP record in the form of RFC 3597 that every server reads. */
export function zoneFile(entries: readonly ZoneEntry[], nameServer: string): string {
  const lines = [
    `$ORIGIN ${ZONE}.`,
    "$TTL 60",
    "@ IN SOA ns hostmaster 1 3600 600 86400 60",
    "@ IN NS ns",
    `ns IN ${nameServer.includes(":") ? "AAAA" : "A"} ${nameServer}`,
  ];
  for (const { label, ipv4, ipv6, hip } of entries) {
    if (ipv6 !== undefined) lines.push(`${label} IN AAAA ${ipv6}`);
    if (ipv4 !== undefined) lines.push(`${label} IN A ${ipv4}`);
    if (hip !== undefined) lines.push(`${label} IN TYPE55 \\# ${hip.length} ${toHex(hip)}`);
  }
  return lines.join("\n") + "\n";
}

/** A running DNS server. */
export interface LabDns {
  /** "knotd", "named", "built-in". */
  readonly software: string;
}

/**
 * Starts a DNS server for the zone.
 *
 * @param host Where; it answers on `addresses`, port 53.
 * @param folder Scratch folder for its files.
 * @param self How to start this program, for the built-in server.
 */
export async function startDns(
  host: LabHost,
  folder: string,
  addresses: readonly string[],
  entries: readonly ZoneEntry[],
  self: readonly string[],
): Promise<LabDns> {
  const zone = `${folder}/${ZONE}.zone`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(zone, zoneFile(entries, addresses[0]!));
  const listen = addresses.flatMap((address) => ["--listen", address]);
  const candidates: [software: string, command: string[]][] = [
    ["knotd", ["knotd", "-c", `${folder}/knot.conf`]],
    ["named", ["named", "-f", "-c", `${folder}/named.conf`]],
    ["built-in", [...self, "lab-dns", "--zone", zone, ...listen]],
  ];
  await Deno.writeTextFile(`${folder}/knot.conf`, knotConfig(folder, addresses));
  await Deno.writeTextFile(`${folder}/named.conf`, namedConfig(folder, zone, addresses));
  for (const [software, command] of candidates) {
    const isOwn = software === "built-in";
    if (!isOwn && !await hasTool(software)) continue;
    const server = host.spawn(command);
    const isUp = () => accepts(host, addresses[0]!, 53);
    // One that the machine's policy keeps from our folder (AppArmor) does not come up.
    if (await comesUp(server, isUp, isOwn ? OWN_SERVER_MS : INSTALLED_SERVER_MS)) {
      return { software };
    }
    await endProcess(server);
  }
  throw new UserError("the DNS server did not come up. Run it again with HIP_DEBUG=1.");
}

/** How long a DNS server may take to answer, in milliseconds. */
const INSTALLED_SERVER_MS = 3000;
const OWN_SERVER_MS = 20_000;

/** Waits until a server answers; false when it ends or takes too long. */
async function comesUp(
  server: Deno.ChildProcess,
  isUp: () => Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  let isOver = false;
  server.status.then(() => isOver = true);
  const deadline = performance.now() + timeoutMs;
  while (!isOver && performance.now() < deadline) {
    if (await isUp()) return !isOver;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

function knotConfig(folder: string, addresses: readonly string[]): string {
  return [
    "server:",
    `  rundir: ${folder}`,
    `  listen: [${addresses.map((address) => `${address}@53`).join(", ")}]`,
    "database:",
    `  storage: ${folder}`,
    "log:",
    "  - target: stderr",
    "    any: error",
    "zone:",
    `  - domain: ${ZONE}`,
    `    storage: ${folder}`,
    `    file: ${ZONE}.zone`,
    "",
  ].join("\n");
}

function namedConfig(folder: string, zone: string, addresses: readonly string[]): string {
  const listed = (isWanted: (address: string) => boolean) =>
    addresses.filter(isWanted).map((address) => `${address};`).join(" ");
  return [
    "options {",
    `  directory "${folder}"; pid-file "${folder}/named.pid";`,
    `  listen-on { ${listed((address) => !address.includes(":")) || "none;"} };`,
    `  listen-on-v6 { ${listed((address) => address.includes(":")) || "none;"} };`,
    "  recursion no; dnssec-validation no;",
    "};",
    "controls { };",
    `zone "${ZONE}" { type primary; file "${zone}"; };`,
    "",
  ].join("\n");
}

/** Starts a web server on port 80 of `host` that serves `page` at every path. */
export async function startWeb(
  host: LabHost,
  self: readonly string[],
  page: string,
): Promise<void> {
  host.spawn([...self, "lab-web", "--page", page]);
  await waitFor("the web server", () => accepts(host, "127.0.0.1", 80));
}

/** Whether a TCP connection from the host succeeds. */
export async function accepts(host: LabHost, address: string, port: number): Promise<boolean> {
  const script = `exec 3<>"/dev/tcp/$1/$2"`;
  const probe = ["bash", "-c", script, "bash", address, String(port)];
  return (await host.run(probe, { timeoutMs: 1000 })).code === 0;
}

/** Polls every `intervalMs` until something holds. @throws {UserError} After twenty seconds. */
export async function waitFor(
  what: string,
  holds: () => Promise<boolean>,
  intervalMs = POLL_MS,
): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
  throw new UserError(`${what} did not come up within 20 s. Run it again with HIP_DEBUG=1.`);
}
