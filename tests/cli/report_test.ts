import assert from "node:assert/strict";
import { lookupLines } from "../../lib/cli/lookup.ts";
import { summary } from "../../lib/cli/ping.ts";
import { statusLines } from "../../lib/cli/status.ts";
import { summaryLines } from "../../lib/cli/up.ts";
import type { AssociationReport, StatusReport } from "../../lib/runtime/api_protocol.ts";

const HIT = "2001:22:8f31:1234:5678:9abc:def0:9a04";

const ASSOCIATION: AssociationReport = {
  name: "db1.a-rather-long-name.example.org",
  localHit: HIT,
  peerHit: "2001:22:41c0:1234:5678:9abc:def0:77ef",
  state: "ESTABLISHED",
  role: "initiator",
  isOpportunistic: false,
  isPeerAnonymous: false,
  localAddress: "2001:db8:1111:2222:3333:4444:5555:6666",
  peerAddress: "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
  transport: "UDP 10500",
  inboundSpi: "0x00000100",
  outboundSpi: "0x00000101",
  espSuite: "AES-GCM",
  sequenceNumbers: "64-bit",
  dhGroup: 7,
  hipCipher: 2,
  peerAlgorithm: 7,
  packetsIn: 1,
  packetsOut: 1,
  octetsIn: 1_200_000_000,
  octetsOut: 88_000_000,
  baseExchangeMs: 4.1,
  puzzleMs: null,
  establishedForMs: 7_200_000,
  failure: null,
};

const REPORT: StatusReport = {
  version: "0.1.0",
  processId: 1,
  isReady: true,
  upForMs: 3 * 3_600_000,
  interface: "hip0",
  transport: "auto, UDP port 10500",
  espProvider: "libcrypto",
  publicKeyProvider: "portable",
  dataPath: {
    threads: 2,
    tunChecksums: true,
    tunSegments: true,
    tunDatagrams: true,
    tunJoins: true,
    socketBatches: true,
    udpSegments: true,
    udpJoins: true,
  },
  identities: [{
    name: "web1",
    hit: HIT,
    kind: "ECDSA P-256",
    isAnonymous: false,
    isDefault: true,
  }],
  locators: ["192.0.2.1"],
  dns: {
    isServing: true,
    counters: {},
    listen: "127.0.0.1",
    upstream: ["10.0.2.3"],
    isResolver: true,
    takeOver: ["file"],
  },
  associations: [ASSOCIATION],
  knownPeers: 1,
  tables: {
    associations: 1,
    timers: 1,
    inboundSas: 1,
    outboundSas: 1,
    reservedSpis: 0,
    awaitedSas: 0,
    stagedPackets: 0,
    jobs: 0,
    pendingI2: 0,
  },
  drops: {},
  warnings: [],
};

const PLAIN = (_style: string, text: string) => text;

Deno.test("hip status shows peers with whole HITs and states, in 80 columns", () => {
  const failed = {
    ...ASSOCIATION,
    state: "E-FAILED",
    establishedForMs: null,
    failure: "no answer",
  };
  const lines = statusLines({ ...REPORT, associations: [ASSOCIATION, failed] }, PLAIN);
  for (const line of lines) assert.ok(line.length <= 80, line);
  const text = lines.join("\n");
  assert.match(text, /^web1 {2}2001:22:8f31:/);
  assert.match(text, /up 3 h {3}DNS ok \(127\.0\.0\.1\)/);
  assert.match(text, /^control plane: public keys by portable$/m);
  assert.match(
    text,
    /^data path: user space, libcrypto, 2 threads; TUN super-segments, sockets\n {2}batches, UDP GSO and GRO$/m,
  );
  assert.match(
    text,
    /2001:22:41c0:\.\.\.:77ef {2}ESTABLISHED {2}2001:db8.* 1\.2 GB \/ 88 MB {2}2 h/,
  );
  assert.match(text, /E-FAILED .*\n {2}no answer$/);
  assert.ok(!text.includes("as web1"));
});

Deno.test("hip status puts associations under the identity that they belong to, reasons in full", () => {
  const other = "2001:25:1111:1234:5678:9abc:def0:2222";
  const [first] = REPORT.identities;
  const identities = [first!, { ...first!, name: "work", hit: other, isDefault: false }];
  const failure = "the peer did not answer I1 (ICMP says that it is prohibited: the peer or a " +
    "packet filter may refuse this host)";
  const associations = [
    { ...ASSOCIATION, localHit: other, name: "db2" },
    ASSOCIATION,
    { ...ASSOCIATION, name: "", peerHit: "::", state: "E-FAILED", failure, establishedForMs: null },
  ];
  const warnings = ["/etc/resolv.conf is a bind mount, as in a container, and cannot be replaced."];
  const lines = statusLines({ ...REPORT, identities, associations, warnings }, PLAIN);
  for (const line of lines) assert.ok(line.length <= 80, line);
  const table = lines.slice(lines.indexOf("") + 1).map((line) => line.split(/\s+/)[0]);
  assert.deepEqual(table, ["PEER", "as", table[2], "-", "", "", "as", "db2"]);
  assert.ok(lines.join("\n").replaceAll("\n  ", " ").includes(failure));
  assert.match(lines.join("\n"), /^- +not known +E-FAILED/m);
  assert.deepEqual(lines.filter((line) => line.startsWith("as ")), ["as web1", "as work"]);
});

Deno.test("hip status names what of the kernel's help is in use", () => {
  for (
    const [tun, sockets, words] of [
      ["csdj", "bsj", "TUN super-segments, sockets batches, UDP GSO and GRO"],
      ["csj", "bs", "TUN super-segments of TCP, sockets batches, UDP GSO"],
      ["cj", "bj", "TUN checksums, joined segments, sockets batches, UDP GRO"],
      ["j", "b", "TUN joined segments, sockets batches"],
      ["", "", "TUN plain packets, sockets single packets"],
    ] as const
  ) {
    const has = (letters: string, letter: string) => letters.includes(letter);
    const dataPath = {
      threads: 0,
      tunChecksums: has(tun, "c"),
      tunSegments: has(tun, "s"),
      tunDatagrams: has(tun, "d"),
      tunJoins: has(tun, "j"),
      socketBatches: has(sockets, "b"),
      udpSegments: has(sockets, "s"),
      udpJoins: has(sockets, "j"),
    };
    const lines = statusLines({ ...REPORT, dataPath }, PLAIN);
    const text = lines.join("\n").replaceAll("\n  ", " ");
    assert.match(text, new RegExp(`^data path: user space, libcrypto; ${words}$`, "m"));
  }
});

Deno.test("hip up says who we are, where the resolver points and what to try", () => {
  const lines = summaryLines(REPORT, 180);
  assert.deepEqual(lines, [
    `hip is up.  ${HIT}  (ECDSA P-256, "web1")`,
    "resolver: 127.0.0.1 (was 10.0.2.3)   ready in 180 ms",
    "Try:  hip ping NAME    hip status    hip identity show --dns",
  ]);
  for (const line of lines) assert.ok(line.length <= 80);
  const dns = { ...REPORT.dns, isResolver: false };
  assert.match(summaryLines({ ...REPORT, dns }, 1)[1]!, /^resolver: unchanged, the proxy listens/);
});

Deno.test("hip lookup shows what an application gets, in order", () => {
  const lines = lookupLines({
    name: "www.hip.test",
    identities: [{
      hit: HIT,
      kind: "ECDSA P-256",
      rendezvous: ["rvs.hip.test"],
      source: "dns",
      isAccepted: true,
    }],
    records: [],
    mappings: [{
      hit: HIT,
      lsi: "198.18.7.9",
      source: "dns-secure",
      locators: ["192.0.2.2"],
      rendezvous: ["192.0.2.53"],
      secondsLeft: 290,
    }],
    locators: ["192.0.2.2"],
    answer: [HIT, "192.0.2.2"],
    responseCode: "NOERROR",
  });
  assert.deepEqual(lines.slice(-3), [
    "an application gets, in this order:",
    `            ${HIT}`,
    "            192.0.2.2",
  ]);
  assert.ok(lines.some((line) => line.includes("rvs.hip.test (rendezvous)")));
  assert.ok(lines.includes("  as IPv4   198.18.7.9"));
  assert.ok(lines.includes("  known     from DNS, validated, for 290 s more"));
});

Deno.test("hip ping sums up", () => {
  assert.equal(
    summary(3, [0.6, 0.7, 0.8]),
    "3 sent, 3 received; least 0.6 ms, mean 0.7 ms, most 0.8 ms",
  );
  assert.equal(summary(2, []), "2 sent, 0 received");
});
