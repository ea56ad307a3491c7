/**
 * What can be wrong with a host, each with what to do. Looks only; `repair.ts` puts things back.
 * The host is seen through `DoctorHost`, so that tests can show a sick one.
 */

import { UserError } from "../base/errors.ts";
import { SILENT } from "../base/logger.ts";
import { parseHostsFile } from "../dns/hosts_file.ts";
import { formatHostName, nameKey } from "../wire/dns/name.ts";
import type { StatusReport } from "./api_protocol.ts";
import { type Config, DEFAULT_CONFIG } from "./config.ts";
import { parseConfig } from "./config_file.ts";
import { isTrusted } from "./hosts_watcher.ts";
import { IdentityStore } from "./identity_store.ts";
import { missingCapabilities } from "./privilege.ts";
import { resolverPathsOf } from "./repair.ts";
import { OWNER_MARK } from "./resolv_conf.ts";
import { ResolverConfigurator, type ResolverPaths } from "./resolver_configurator.ts";
import { readText } from "./saved_file.ts";
import type { StatePaths } from "./state_paths.ts";

/** How a thing is: `bad` keeps hip from working, `poor` may surprise. */
export type Health = "good" | "poor" | "bad";

export interface Finding {
  /** What was looked at, one or two words. */
  readonly subject: string;
  readonly health: Health;
  /** A sentence; for what is not good, the next one says what to do. */
  readonly text: string;
}

/** A host as a doctor sees it. */
export interface DoctorHost {
  readonly paths: StatePaths;
  readonly resolver: ResolverPaths;
  /** The agent's report; "down" when none runs, "stuck" when it does not answer. */
  agent(): Promise<StatusReport | "down" | "stuck">;
  /** The text of a file of the system; undefined when it is missing or may not be read. */
  read(path: string): string | undefined;
  /** Whether a device can be made; undefined when it can, else what the system said. */
  tunProblem(): string | undefined;
  /** Names of the processes that run. */
  processes(): readonly string[];
  /** Rules and labels that a killed agent left; undefined when that may not be asked. */
  leftRules(): number | undefined;
  /** Whether a DNS server answers anything. */
  answers(address: string): Promise<boolean>;
  /** The packet filter as `nft list ruleset` prints it; undefined without one. */
  packetFilter(): Promise<string | undefined>;
}

/** Looks at everything, in the order in which things build on each other. */
export async function examine(host: DoctorHost): Promise<Finding[]> {
  const agent = await host.agent();
  const config = readConfig(host);
  const settings = config instanceof UserError ? DEFAULT_CONFIG : config;
  return [
    ...kernelFindings(host),
    ...(config instanceof UserError ? [bad("settings", config.message)] : [
      good("settings", `${host.paths.configFile} is understood.`),
    ]),
    ...identityFindings(host),
    ...hostsFindings(host),
    ...agentFindings(host, agent),
    ...await resolverFindings(host, agent, settings),
    ...await filterFindings(host, settings),
  ];
}

const good = (subject: string, text: string): Finding => ({ subject, health: "good", text });
const poor = (subject: string, text: string): Finding => ({ subject, health: "poor", text });
const bad = (subject: string, text: string): Finding => ({ subject, health: "bad", text });

function readConfig(host: DoctorHost): Config | UserError {
  const { configFile } = host.paths;
  try {
    return parseConfig(host.read(configFile) ?? "", configFile, []);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}

function kernelFindings(host: DoctorHost): Finding[] {
  const findings: Finding[] = [];
  const missing = missingCapabilities(host.read("/proc/self/status") ?? "") ?? [];
  if (missing.length > 0) {
    findings.push(poor(
      "rights",
      `Not all can be looked at without ${missing.join(" and ")}. Run it with: sudo hip doctor`,
    ));
  } else findings.push(good("rights", "Network devices and raw sockets may be made."));
  const problem = host.tunProblem();
  findings.push(
    problem === undefined ? good("device", "/dev/net/tun can be opened.") : bad(
      "device",
      `/dev/net/tun cannot be opened (${problem}). Load it with: sudo modprobe tun`,
    ),
  );
  findings.push(
    host.read("/proc/net/if_inet6") === undefined
      ? bad(
        "IPv6",
        "The kernel runs without IPv6, which HITs are. Remove ipv6.disable=1 from its command line.",
      )
      : good("IPv6", "The kernel has IPv6."),
  );
  return findings;
}

function identityFindings({ paths }: DoctorHost): Finding[] {
  try {
    const identities = new IdentityStore(paths.identityFolder).list();
    if (identities.length === 0) {
      return [poor("identity", "There is no identity yet. The first hip up makes one.")];
    }
    const names = identities.map(({ name }) => name).join(", ");
    return [good("identity", `Keys can be read and are ours alone: ${names}.`)];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [bad("identity", error.message)];
  }
}

function hostsFindings(host: DoctorHost): Finding[] {
  const path = host.paths.hostsFile;
  const text = host.read(path);
  if (text === undefined) return [good("names", `There are no static names (${path}).`)];
  const findings: Finding[] = [];
  const { uid, mode } = Deno.statSync(path);
  if (!isTrusted(uid, mode, Deno.uid())) {
    findings.push(bad(
      "names",
      `${path} is not used, since others may write it. Mend it with: sudo chown root ${path}; ` +
        `sudo chmod 644 ${path}`,
    ));
  }
  const { entries, problems } = parseHostsFile(text);
  for (const { line, message } of problems) {
    findings.push(bad("names", `${path}, line ${line} is passed over: ${message}`));
  }
  // The C library answers names of that file itself and never asks the proxy (DNS-185).
  const inSystemFile = new Set(
    (host.read("/etc/hosts") ?? "").split("\n").flatMap((line) =>
      line.replace(/#.*/, "").trim().split(/\s+/).slice(1).map((name) => name.toLowerCase())
    ),
  );
  const hitNames = entries.filter(({ kind }) => kind === "hit").flatMap(({ names }) => names);
  const shadowed = [...new Map(hitNames.map((name) => [nameKey(name), name])).values()]
    .map(formatHostName).filter((name) => inSystemFile.has(name.toLowerCase()));
  for (const name of shadowed) {
    findings.push(poor(
      "names",
      `${name} stands in /etc/hosts too, and programs get it from there without its HIT. ` +
        "Remove it there.",
    ));
  }
  return findings.length > 0 ? findings : [good("names", `${path} is understood.`)];
}

const REPAIR = "Put it back with: sudo hip doctor --repair";

function agentFindings(host: DoctorHost, agent: StatusReport | "down" | "stuck"): Finding[] {
  if (agent === "stuck") {
    return [bad("agent", "The agent does not answer. Restart it with: sudo hip down; sudo hip up")];
  }
  if (agent !== "down") return [good("agent", "hip is up.")];
  const left: Finding[] = [];
  const files = new ResolverConfigurator(host.resolver, SILENT);
  if (files.hasBackup()) {
    const what = files.isInForce() ? host.resolver.resolvConf : host.resolver.gaiConf;
    left.push(bad("leftovers", `${what} is still that of an agent that was killed. ${REPAIR}`));
  } else if (host.read(host.resolver.resolvConf)?.includes(OWNER_MARK)) {
    left.push(bad(
      "leftovers",
      `${host.resolver.resolvConf} points at the proxy, which is down, and no backup is left. ` +
        "Write your DNS server into it.",
    ));
  }
  const rules = host.leftRules() ?? 0;
  if (rules > 0) {
    left.push(poor(
      "leftovers",
      `${rules} rules of an agent that was killed keep HITs from the network. ${REPAIR}`,
    ));
  }
  const other = host.processes().find((name) => name === "hipd" || name === "hipfw");
  if (other !== undefined) {
    left.push(bad("agent", `Another HIP program runs, ${other}. Stop it before hip up.`));
  }
  return [good("agent", "hip is down. Start it with: sudo hip up"), ...left];
}

async function resolverFindings(
  host: DoctorHost,
  agent: StatusReport | "down" | "stuck",
  config: Config,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const dns = typeof agent === "string" ? undefined : agent.dns;
  const { resolvConf, nsswitchConf, gaiConf } = host.resolver;
  const hosts = /^\s*hosts:(.*)$/m.exec(host.read(nsswitchConf) ?? "")?.[1];
  if (hosts !== undefined && !/\b(dns|resolve)\b/.test(hosts)) {
    findings.push(bad(
      "resolver",
      `Programs do not ask DNS: ${nsswitchConf} has "hosts:${hosts}". Add "dns" to that line.`,
    ));
  }
  if (dns !== undefined && !dns.isResolver && config.resolver !== "none") {
    const why = typeof agent === "string" ? "" : agent.warnings.join(" ");
    findings.push(bad("resolver", `Programs do not ask the proxy. ${why}`.trim()));
  } else if (dns !== undefined) {
    const how = dns.takeOver.length === 0 ? "as you set it up" : `by ${dns.takeOver.join(" and ")}`;
    findings.push(good("resolver", `Programs ask the proxy on ${dns.listen}, ${how}.`));
  } else if (agent === "down") findings.push(good("resolver", `${resolvConf} is as it was.`));
  if (dns?.isResolver && !/^\s*precedence\s+2001:20::\/28/m.test(host.read(gaiConf) ?? "")) {
    findings.push(poor(
      "order",
      `${gaiConf} does not put HITs first, so that glibc sorts near addresses before them. ` +
        "Restart hip, or give 2001:20::/28 a higher precedence there.",
    ));
  }
  findings.push(...await serverFindings(host, dns, config));
  findings.push(...cacheFindings(host, dns));
  return findings;
}

async function serverFindings(
  host: DoctorHost,
  dns: StatusReport["dns"] | undefined,
  config: Config,
): Promise<Finding[]> {
  const own = dns?.listen === undefined || dns.listen === null ? [] : [dns.listen];
  const found = dns?.upstream ??
    (config.upstream.length > 0
      ? config.upstream
      : new ResolverConfigurator(host.resolver, SILENT).inspect(own).upstreams);
  if (found.length === 0) {
    return [poor("DNS servers", "No DNS server is known; only static names resolve.")];
  }
  const silent: string[] = [];
  await Promise.all(found.map(async (address) => {
    if (!await host.answers(address)) silent.push(address);
  }));
  if (silent.length === 0) return [good("DNS servers", `${found.join(", ")} answer.`)];
  const text =
    `${silent.join(", ")} does not answer. Look at the network, or name another server ` +
    "with upstream = ADDRESS.";
  return [silent.length === found.length ? bad("DNS servers", text) : poor("DNS servers", text)];
}

/** Caches in front of the proxy may turn the order of addresses round (DNS-212). */
function cacheFindings(host: DoctorHost, dns: StatusReport["dns"] | undefined): Finding[] {
  const running = new Set(host.processes());
  if (running.has("nscd")) {
    return [poor(
      "caches",
      'nscd keeps answers of its own. Set "enable-cache hosts no" in /etc/nscd.conf and restart it.',
    )];
  }
  if (dns?.takeOver.includes("systemd-resolved")) {
    return [good(
      "caches",
      "systemd-resolved caches in front of the proxy; glibc sorts what it gives.",
    )];
  }
  return [];
}

/** A filter that drops what it does not name, and does not name ours. */
async function filterFindings(
  host: DoctorHost,
  { transport, udpPort }: Config,
): Promise<Finding[]> {
  const ruleset = await host.packetFilter();
  if (ruleset === undefined) return [];
  const dropsUnknown = /hook (input|output)[^;]*;\s*policy drop;/.test(ruleset);
  const isRaw = transport === "raw";
  const namesHip = new RegExp(`\\b${isRaw ? 139 : udpPort}\\b`).test(ruleset);
  if (!dropsUnknown || namesHip) return [good("packet filter", "It lets HIP pass, as it seems.")];
  const [what, rule] = isRaw
    ? ["protocols 139 and 50", "meta l4proto { 139, 50 }"]
    : [`UDP port ${udpPort}`, `udp dport ${udpPort}`];
  return [poor(
    "packet filter",
    `It drops what it does not know, and no rule names HIP. Let ${what} pass: ` +
      `nft add rule inet filter input ${rule} accept`,
  )];
}

/** The part of `DoctorHost` that files give. */
export function systemFiles(
  paths: StatePaths,
): Pick<DoctorHost, "paths" | "resolver" | "read" | "processes"> {
  return {
    paths,
    resolver: resolverPathsOf(paths),
    read: (path) => {
      try {
        return readText(path);
      } catch {
        return undefined;
      }
    },
    processes: () =>
      [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => {
        try {
          return Deno.readTextFileSync(`/proc/${name}/comm`).trim();
        } catch {
          return "";
        }
      }),
  };
}
