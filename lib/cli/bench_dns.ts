/**
 * `hip bench --only dns`: the proxy beside dnsmasq and unbound, each a caching forwarder to the same
 * server, with ten thousand names that have HIP records. The proxy answers them with HITs; the others
 * hand on what they got.
 */

import { generateHostIdentity } from "../identity/host_identity.ts";
import { hipRdata, prepareIdentity, startLabAgent } from "../lab/agents.ts";
import {
  askMany,
  type DnsLoad,
  type Forwarder,
  missingLoadTools,
  startForwarders,
} from "../lab/dns_load.ts";
import { CLIENT_ADDRESSES, Lab } from "../lab/lab.ts";
import { startDns, ZONE, type ZoneEntry } from "../lab/services.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";
import { residentOctets } from "./bench_bed.ts";
import { median, RAW, type Samples } from "./bench_figures.ts";
import { HIP, type Measured } from "./bench_report.ts";

/** How much of everything. */
export interface DnsPlan {
  readonly names: number;
  readonly clients: number;
  readonly rounds: number;
  readonly seconds: number;
  /** Questions of a round whose answers nobody has yet. */
  readonly fresh: number;
}

/** Different keys among the names: enough that none is answered out of the last. */
const IDENTITIES = 100;

/** Questions without an answer at a time, of all clients together. */
const OUTSTANDING = 100;

/** Questions per second where the time of each answer counts; no server is busy with them. */
const CALM_RATE = 500;

/** Questions that the client of the flood has under way. */
const FLOOD_OUTSTANDING = 200;

/** Questions per second of the client beside the flood. */
const BESIDE_RATE = 50;

const PROXY_PORT = 53;

const MEASURES = {
  cached: "DNS out of the cache, to",
  fresh: "DNS not in the cache, to",
  p99: "DNS, 99th percentile, to",
  beside: "DNS, median beside a flood, to",
  memory: "memory of the proxy, to",
} as const;

interface Subject {
  readonly name: string;
  readonly port: number;
  readonly process: Deno.ChildProcess;
}

export async function measureDns(
  self: readonly string[],
  plan: DnsPlan,
  progress: (step: string) => void,
  signal: AbortSignal,
): Promise<Measured> {
  const missing = await missingLoadTools();
  if (missing.length > 0) {
    const method = `DNS was not measured: ${missing.join(" and ")} not found; ` +
      "apt-get install dnsperf dnsmasq-base unbound.";
    return { samples: [], method };
  }
  const lab = await Lab.create("ipv4", signal);
  try {
    return await measureIn(lab, self, plan, progress);
  } finally {
    await lab.dispose();
  }
}

async function measureIn(
  lab: Lab,
  self: readonly string[],
  plan: DnsPlan,
  progress: (step: string) => void,
): Promise<Measured> {
  const { client, router, folder } = lab;
  const upstream = CLIENT_ADDRESSES.gatewayIpv4;
  progress(`${plan.names} names with HIP records`);
  await startDns(router, `${folder}/dns`, [upstream], zoneEntries(plan), self);
  await client.run(["sh", "-c", `echo nameserver ${upstream} > /etc/resolv.conf`]);
  const forwarders = await startForwarders(client, folder, upstream);
  const agent = await startLabAgent(lab, client, self, prepareIdentity(lab, "dns", "ecdsa-p256"), [
    `upstream=${upstream}`,
  ]);
  const subjects: Subject[] = [
    { name: HIP, port: PROXY_PORT, process: agent.process },
    ...forwarders,
  ];
  const taken = new Map<string, number[]>();
  const note = (measure: string, subject: string, value: number) => {
    const key = `${measure} ${subject}`;
    taken.set(key, [...taken.get(key) ?? [], value]);
  };
  const known = `${folder}/known`;
  await Deno.writeTextFile(known, questions(plan.names, (i) => `n${i}`));
  for (const { port } of subjects) await askMany(client, loadOf(port, known, plan.clients));
  for (let round = 1; round <= plan.rounds; round++) {
    for (const { name, port } of subjects) {
      progress(`round ${round} of ${plan.rounds}, ${name}`);
      const load = loadOf(port, known, plan.clients);
      const cached = await askMany(client, { ...load, seconds: plan.seconds });
      note(MEASURES.cached, name, cached.perSecond);
      const fresh = `${folder}/fresh`;
      const label = `r${round}${name}`;
      await Deno.writeTextFile(fresh, questions(plan.fresh, (i) => `${label}-${i}.w`));
      const unknown = await askMany(client, loadOf(port, fresh, plan.clients));
      note(MEASURES.fresh, name, unknown.perSecond);
      const calm = { ...load, seconds: plan.seconds, rate: CALM_RATE, notesLatencies: true };
      note(MEASURES.p99, name, percentile((await askMany(client, calm)).latenciesMs, 0.99));
      const flood = `${folder}/flood`;
      await Deno.writeTextFile(flood, questions(100_000, (i) => `f${label}-${i}.w`));
      const flooding = askMany(client, {
        ...loadOf(port, flood, 1),
        outstanding: FLOOD_OUTSTANDING,
        seconds: plan.seconds + 1,
      });
      await new Promise((resolve) => setTimeout(resolve, 500));
      const beside = await askMany(client, {
        ...loadOf(port, known, 1),
        seconds: plan.seconds,
        rate: BESIDE_RATE,
        notesLatencies: true,
      });
      await flooding;
      note(
        MEASURES.beside,
        name,
        beside.latenciesMs.length === 0 ? NaN : median(beside.latenciesMs),
      );
    }
  }
  for (const { name, process } of subjects) {
    note(MEASURES.memory, name, residentOctets(process.pid) / 1e6);
  }
  return { samples: samplesOf(taken, forwarders), method: methodOf(plan) };
}

/** Each forwarder is what "raw" is in rows of its own. */
function samplesOf(
  taken: ReadonlyMap<string, readonly number[]>,
  forwarders: readonly Forwarder[],
): Samples[] {
  const units = { cached: "/s", fresh: "/s", p99: "ms", beside: "ms", memory: "MB" } as const;
  return (Object.keys(MEASURES) as (keyof typeof MEASURES)[]).flatMap((which) =>
    forwarders.flatMap(({ name }) =>
      [[RAW, name], [HIP, HIP]].map(([subject, key]) => ({
        measure: `${MEASURES[which]} ${name}`,
        subject: subject!,
        unit: units[which],
        values: (taken.get(`${MEASURES[which]} ${key}`) ?? []).filter(Number.isFinite),
      }))
    )
  );
}

function methodOf({ names, clients, rounds, seconds, fresh }: DnsPlan): string {
  return `DNS: the proxy beside Debian's dnsmasq and unbound (raw) as forwarders to one server, ` +
    `median of ${rounds} rounds in turns; AAAA questions by dnsperf from ${clients} sockets for ` +
    `${names} names with HIP records, ${seconds} s out of the cache and ${fresh} names that ` +
    `nobody has, for which the proxy asks three questions each. 99th percentile at ${CALM_RATE} ` +
    `questions per second. Beside a flood: a client with ${BESIDE_RATE} questions per second ` +
    `while another has ${FLOOD_OUTSTANDING} random names under way. Memory: VmRSS afterwards.`;
}

function zoneEntries({ names }: DnsPlan): ZoneEntry[] {
  const records = Array.from(
    { length: IDENTITIES },
    () => hipRdata(generateHostIdentity("ecdsa-p256", SYSTEM_RANDOM)),
  );
  const entries = Array.from({ length: names }, (_, i) => ({
    label: `n${i}`,
    ipv4: `10.99.${2 + (i >> 8)}.${i & 0xff}`,
    ipv6: `fd00:2::${i.toString(16)}`,
    hip: records[i % IDENTITIES]!,
  }));
  return [...entries, { label: "*.w", ipv6: "fd00:2::80", hip: records[0]! }];
}

function questions(count: number, label: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => `${label(i)}.${ZONE} AAAA\n`).join("");
}

function loadOf(port: number, questions: string, clients: number): DnsLoad {
  return { port, questions, clients, outstanding: OUTSTANDING };
}

/** The value below which `share` of all lie; NaN of none. */
function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
