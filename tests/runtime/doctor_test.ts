import assert from "node:assert/strict";
import type { StatusReport } from "../../lib/runtime/api_protocol.ts";
import { type DoctorHost, examine, type Health } from "../../lib/runtime/doctor.ts";
import { statePaths } from "../../lib/runtime/state_paths.ts";
import { makeResolverBench, type ResolverBench } from "../support/resolver_bench.ts";

const HEALTHY: Readonly<Record<string, string>> = {
  "/proc/self/status": "CapEff:\t0000000000003000\n",
  "/proc/net/if_inet6": "",
};

const UP = {
  warnings: [],
  dns: {
    isServing: true,
    counters: {},
    listen: "127.0.0.1",
    upstream: ["192.0.2.1"],
    isResolver: true,
    takeOver: ["file"],
  },
} as unknown as StatusReport;

interface Illness extends Partial<Omit<DoctorHost, "read">> {
  readonly files?: Readonly<Record<string, string>>;
  readonly prepare?: (bench: ResolverBench) => void;
}

/** What is not good about a host with one illness: "bad device: ...". */
async function diagnose({ files = {}, prepare, ...illness }: Illness): Promise<string> {
  const bench = makeResolverBench("nameserver 192.0.2.1\n");
  try {
    prepare?.(bench);
    const texts: Record<string, string> = { ...HEALTHY, ...files };
    const findings = await examine({
      paths: statePaths(`${bench.folder}/state`),
      resolver: bench.paths,
      agent: () => Promise.resolve("down" as const),
      read: (path) => {
        const known = texts[path];
        if (known !== undefined) return known;
        try {
          return Deno.readTextFileSync(path);
        } catch {
          return undefined;
        }
      },
      tunProblem: () => undefined,
      processes: () => ["init"],
      leftRules: () => 0,
      answers: () => Promise.resolve(true),
      packetFilter: () => Promise.resolve(undefined),
      ...illness,
    });
    const ill = (health: Health) => health !== "good";
    return findings.filter(({ health }) => ill(health))
      .map(({ subject, health, text }) => `${health} ${subject}: ${text}`)
      .filter((line) => !line.startsWith("poor identity: There is no identity yet"))
      .join("\n");
  } finally {
    Deno.removeSync(bench.folder, { recursive: true });
  }
}

Deno.test("nothing is found wrong with a host that is well, up or down", async () => {
  assert.equal(await diagnose({}), "");
  const prepare = ({ paths }: ResolverBench) =>
    Deno.writeTextFileSync(paths.gaiConf, "precedence 2001:20::/28 45\n");
  assert.equal(await diagnose({ agent: () => Promise.resolve(UP), prepare }), "");
});

/** It names nothing that it lets pass. */
const CLOSED = "chain input { type filter hook input priority 0; policy drop; }";

Deno.test("a packet filter that names what HIP passes over is not complained of", async () => {
  for (const [settings, names] of [["", "udp dport 10500"], ["transport = raw", "139"]]) {
    const prepare = ({ folder }: ResolverBench) =>
      Deno.writeTextFileSync(`${folder}/state/hip.conf`, `${settings}\n`);
    const packetFilter = () => Promise.resolve(`${CLOSED} ${names} accept`);
    assert.equal(await diagnose({ packetFilter, prepare }), "");
  }
});

Deno.test("each illness is named, with what to do", async () => {
  const cases: [Illness, RegExp][] = [
    [{ tunProblem: () => "no such file or folder" }, /^bad device: .*sudo modprobe tun$/],
    [{ files: { "/proc/self/status": "CapEff:\t0\n" } }, /^poor rights: .*sudo hip doctor$/],
    [{ agent: () => Promise.resolve("stuck") }, /^bad agent: .*sudo hip down; sudo hip up$/],
    [{ processes: () => ["hipd"] }, /^bad agent: Another HIP program runs, hipd\. Stop it/],
    [{ leftRules: () => 4 }, /^poor leftovers: 4 rules .*sudo hip doctor --repair$/],
    [{ answers: () => Promise.resolve(false) }, /^bad DNS servers: 192\.0\.2\.1 does not answer/],
    [{ processes: () => ["nscd"] }, /^poor caches: nscd .*enable-cache hosts no/],
    [{ packetFilter: () => Promise.resolve(CLOSED) }, /^poor packet filter: .*UDP port 10500 /],
    [{
      packetFilter: () => Promise.resolve(`${CLOSED} udp dport 10500 accept`),
      prepare: ({ folder }) =>
        Deno.writeTextFileSync(`${folder}/state/hip.conf`, "transport = raw\n"),
    }, /^poor packet filter: .*protocols 139 and 50/],
    [{
      prepare: ({ paths }) =>
        Deno.writeTextFileSync(paths.nsswitchConf, "hosts: files mymachines\n"),
    }, /^bad resolver: Programs do not ask DNS.*Add "dns"/],
    [
      { prepare: ({ folder }) => Deno.writeTextFileSync(`${folder}/state/hip.conf`, "mtu = 1\n") },
      /^bad settings: .*hip\.conf, line 1/,
    ],
    [
      { prepare: ({ folder }) => Deno.writeTextFileSync(`${folder}/state/hosts`, "2001:22::\n") },
      /^bad names: .*hosts, line 1 is passed over/,
    ],
    [
      { prepare: ({ make }) => make().takeOver("127.0.0.1") },
      /^bad leftovers: .*doctor --repair$/m,
    ],
    [{
      prepare: ({ paths, make }) => {
        make().takeOver("127.0.0.1");
        Deno.removeSync(paths.stateFile);
      },
    }, /^bad leftovers: .*no backup is left\. Write your DNS server into it\.$/m],
    [{
      agent: () => Promise.resolve({ ...UP, dns: { ...UP.dns, isResolver: false, takeOver: [] } }),
    }, /^bad resolver: Programs do not ask the proxy/],
    [{ agent: () => Promise.resolve(UP) }, /^poor order: .*gai\.conf does not put HITs first/],
  ];
  for (const [illness, expected] of cases) {
    assert.match(await diagnose(illness), expected);
  }
});

Deno.test("DNS-185 a static name that stands in /etc/hosts too is pointed out", async () => {
  const found = await diagnose({
    files: { "/etc/hosts": "127.0.0.1 localhost\n192.0.2.4 Db.example.org # mine\n" },
    prepare: ({ folder }) =>
      Deno.writeTextFileSync(
        `${folder}/state/hosts`,
        "2001:22:1:2:3:4:5:6 db.example.org\n192.0.2.5 other.example.org\n",
      ),
  });
  assert.match(found, /^poor names: db\.example\.org stands in \/etc\/hosts too/);
});

Deno.test("DNS-212 systemd-resolved before the proxy is mentioned as a cache", async () => {
  const bench = makeResolverBench("nameserver 127.0.0.53\n");
  try {
    const dns = { ...UP.dns, takeOver: ["systemd-resolved" as const] };
    const findings = await examine({
      paths: statePaths(`${bench.folder}/state`),
      resolver: bench.paths,
      agent: () => Promise.resolve({ ...UP, dns }),
      read: (path) => HEALTHY[path],
      tunProblem: () => undefined,
      processes: () => [],
      leftRules: () => 0,
      answers: () => Promise.resolve(true),
      packetFilter: () => Promise.resolve(undefined),
    });
    assert.ok(findings.some(({ text }) => /^systemd-resolved caches in front/.test(text)));
  } finally {
    Deno.removeSync(bench.folder, { recursive: true });
  }
});
