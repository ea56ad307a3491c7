/** What `hip bench` makes of its measurements: medians, tables, the reading of other programs. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { UserError } from "../../lib/base/errors.ts";
import { chosenMeasurements, MEASUREMENTS, renderText } from "../../lib/cli/bench.ts";
import { measureAssociations } from "../../lib/cli/bench_associations.ts";
import { BenchCrowd } from "../../lib/cli/bench_crowd.ts";
import { processorModel } from "../../lib/cli/bench_machine.ts";
import { pingTimes, receivedBits } from "../../lib/cli/bench_paths.ts";
import {
  type BenchReport,
  benchRows,
  formatBits,
  formatRatio,
  formatTime,
  renderMarkdown,
} from "../../lib/cli/bench_report.ts";
import { PORTABLE_PUBLIC_KEYS } from "../../lib/crypto/portable_public_keys.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { digest } from "../../lib/crypto/rhash.ts";
import { median, percentile } from "../../lib/cli/bench_statistics.ts";
import { COLUMNS } from "../../lib/cli/output.ts";

const REPORT: BenchReport = {
  machine: {
    processor: "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
    cores: 2,
    kernel: "Linux 6.1.0-18-cloud-amd64",
    program: "hip 0.1.0, Deno 2.5.7",
    espProvider: "libcrypto",
    publicKeyProvider: "libcrypto",
  },
  isQuick: false,
  throughput: {
    tool: "iperf3",
    rounds: 3,
    secondsEach: 3,
    rows: [{ direction: "upload", raw: 13.7e9, hip: 0.48e9 }],
  },
  ping: {
    tool: "ping",
    count: 1000,
    raw: { median: 0.05, p99: 0.2 },
    hip: { median: 0.6, p99: 3 },
  },
  exchange: {
    count: 15,
    hardK: 10,
    rawTwoRoundTrips: 0.1,
    rows: [
      { kind: "ecdsa-p384", dhGroup: 11, withoutPuzzle: 15.3, withPuzzle: 21, first: 70 },
      { kind: "rsa", dhGroup: 3, withoutPuzzle: 1234, withPuzzle: 12_345, first: 70 },
    ],
  },
  startup: { count: 7, ready: 500, bare: 180 },
  memory: { bare: 75e6, idle: 137e6, afterTraffic: 141e6, trafficSeconds: 5 },
  responder: {
    count: 400,
    rows: [{ kind: "ed25519", dhGroup: 7, perSecond: 1234.5, barePerSecond: 3456.7 }],
  },
  flood: {
    i1s: 1_000_000,
    wrongI2s: 100_000,
    i1: 0.0082,
    wrongI2: 0.0113,
    hash: 0.0013,
    before: 140e6,
    after: 141e6,
  },
  associations: {
    count: 100_000,
    octetsEach: 3987.4,
    resident: { before: 120e6, after: 650e6 },
    few: { count: 100, bySpi: 0.0004, byHits: 0.003, timer: 0.0006 },
    many: { count: 100_000, bySpi: 0.0005, byHits: 0.0033, timer: 0.0009 },
  },
};

Deno.test("median() is the middle of the sorted values, or the mean of the two", () => {
  assert.equal(median([10, 9, 100]), 10);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("median() leaves its values as they were and does not depend on their order", () => {
  fc.assert(
    fc.property(
      // Of 0 and -0 neither is the lesser, so the order decides: leave -0 out.
      fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }).map((x) => x + 0), { minLength: 1 }),
      (values) => {
        const copy = [...values];
        assert.equal(median(values), median(copy.toReversed()));
        assert.deepEqual(values, copy);
      },
    ),
  );
});

Deno.test("percentile() is a value that so many values do not exceed, and the least such", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(percentile(hundred, 99), 99);
  assert.equal(percentile(hundred, 100), 100);
  assert.equal(percentile([7], 99), 7);
  assert.equal(percentile([2, 1], 50), 1);
  assert.ok(Number.isNaN(percentile([], 99)));
});

Deno.test("hip bench prints what it measured within 80 columns, a row for each", () => {
  const lines = renderText(REPORT);
  for (const line of lines) assert.ok(line.length <= COLUMNS, line);
  const text = lines.join("\n");
  for (const { what, raw, hip, ratio } of benchRows(REPORT)) {
    const isThere = lines.some((line) =>
      line.startsWith(what) && line.includes(raw) && line.includes(hip) && line.endsWith(ratio)
    );
    assert.ok(isThere, what);
  }
  assert.match(text, /Xeon.*2 cores/);
  assert.match(text, /hip 0\.1\.0.*ESP and public keys by libcrypto/);
  assert.match(text, /TCP, upload +13\.70 Gbit\/s +480 Mbit\/s +0\.04\n/);
  assert.match(text, /round trip, median +0\.050 ms +0\.600 ms +12\n/);
});

Deno.test("hip bench names each cell of the base exchange twice: without and with a puzzle", () => {
  const rows = benchRows({ machine: REPORT.machine, isQuick: true, exchange: REPORT.exchange! });
  assert.deepEqual(rows.map(({ what }) => what.trim()), [
    "exchange, ECDSA P-384 (DH 11, MODP 2048)",
    "the same with a puzzle of 2^10",
    "exchange, RSA (DH 3, MODP 1536)",
    "the same with a puzzle of 2^10",
  ]);
  assert.deepEqual(rows[0], { ...rows[0], raw: "0.100 ms", hip: "15.3 ms", ratio: "153" });
});

Deno.test("hip bench leaves out what it did not measure, and says how it measured the rest", () => {
  const report: BenchReport = { machine: REPORT.machine, isQuick: true, ping: REPORT.ping! };
  const text = renderText(report).join("\n");
  assert.doesNotMatch(text, /TCP|Memory|resident|exchange/);
  assert.match(text, /quick run/);
  assert.match(text, /Round trip: ping, 1000 on each path/);
});

Deno.test("hip bench says which tool measured where the usual one is missing", () => {
  const report: BenchReport = {
    ...REPORT,
    throughput: { ...REPORT.throughput!, tool: "built-in" },
    ping: { ...REPORT.ping!, tool: "built-in" },
  };
  const text = renderText(report).join("\n");
  assert.match(text, /no iperf3 here/);
  assert.match(text, /no ping here/);
});

Deno.test("hip bench --markdown is a table of four columns with machine and method around it", () => {
  const lines = renderMarkdown(REPORT).split("\n");
  const table = lines.filter((line) => line.startsWith("|"));
  assert.equal(table.length, 2 + benchRows(REPORT).length);
  for (const line of table) assert.equal(line.split("|").length, 6, line);
  assert.ok(table.includes("| start to ready | 180 ms | 500 ms | 2.8 |"));
  assert.ok(table.includes("| resident memory, idle | 75 MB | 137 MB | 1.8 |"));
  assert.match(lines[0]!, /^Intel/);
});

Deno.test("numbers of the table keep three digits that say something", () => {
  assert.deepEqual([0.0821, 9.414, 31.26, 312.4].map(formatTime), [
    "0.082 ms",
    "9.41 ms",
    "31.3 ms",
    "312 ms",
  ]);
  assert.deepEqual([2.1e9, 480.4e6].map(formatBits), ["2.10 Gbit/s", "480 Mbit/s"]);
  assert.deepEqual([0.0415, 1.34, 121.4].map(formatRatio), ["0.04", "1.3", "121"]);
});

Deno.test("--only names measurements, and another word is refused with the known ones", () => {
  assert.deepEqual([...chosenMeasurements("ping, startup")], ["ping", "startup"]);
  assert.deepEqual([...chosenMeasurements(undefined)], [...MEASUREMENTS]);
  assert.throws(
    () => chosenMeasurements("ping,pong"),
    (error) => error instanceof UserError && /"pong".*throughput/.test(error.message),
  );
});

Deno.test("round trips and bits are read out of what ping and iperf3 print", () => {
  const ping = [
    "PING fd00:2::80(fd00:2::80) 56 data bytes",
    "64 bytes from fd00:2::80: icmp_seq=1 ttl=63 time=0.061 ms",
    "64 bytes from fd00:2::80: icmp_seq=2 ttl=63 time=12 ms",
    "--- fd00:2::80 ping statistics ---",
    "2 packets transmitted, 2 received, 0% packet loss, time 5ms",
    "rtt min/avg/max/mdev = 0.061/6.030/12.000/5.969 ms",
  ].join("\n");
  assert.deepEqual(pingTimes(ping), [0.061, 12]);
  const iperf = { end: { sum_sent: { bits_per_second: 9 }, sum_received: { bits_per_second: 8 } } };
  assert.equal(receivedBits(JSON.stringify(iperf)), 8);
});

Deno.test("the processor has the name that /proc/cpuinfo gives it, on x86 and on ARM boards", () => {
  assert.equal(processorModel("processor\t: 0\nmodel name\t: AMD  EPYC 7B13\n"), "AMD EPYC 7B13");
  assert.equal(processorModel("processor : 0\n\nModel\t\t: Raspberry Pi 4\n"), "Raspberry Pi 4");
  assert.match(processorModel("processor : 0\n"), /^unnamed \S+ processor$/);
});

Deno.test("hip bench sets what a Responder bears beside its bare work, and many beside few", () => {
  const { machine, responder, flood, associations } = REPORT;
  const rows = benchRows({
    machine,
    isQuick: true,
    responder: responder!,
    flood: flood!,
    associations: associations!,
  });
  assert.deepEqual(rows.map(({ what, raw, hip, ratio }) => [what, raw, hip, ratio]), [
    ["Responder, Ed25519 (DH 7, P-256)", "3,460/s", "1,230/s", "0.36"],
    ["I1s answered in a flood", "769,000/s", "122,000/s", "0.16"],
    ["I2s with wrong solutions refused", "769,000/s", "88,500/s", "0.12"],
    ["memory, 1,000,000 I1s, 100,000 I2s later", "140 MB", "141 MB", "1.0"],
    ["memory of one association, 100,000 of them", "4096 B", "3987 B", "0.97"],
    ["resident memory, 100,000 associations", "120 MB", "650 MB", "5.4"],
    ["SA by SPI among 100,000 associations", "0.40 µs", "0.50 µs", "1.3"],
    ["association by HITs among 100,000 associations", "3.00 µs", "3.30 µs", "1.1"],
    ["timer among 100,000 associations", "0.60 µs", "0.90 µs", "1.5"],
  ]);
});

Deno.test("what hip bench measures in one engine comes about with real packets and states", () => {
  const providers = { esp: PORTABLE_PROVIDER, publicKeys: PORTABLE_PUBLIC_KEYS, digest };
  const crowd = BenchCrowd.before(providers, { puzzleDifficultyKMax: 0 });
  crowd.populate(1, 40);
  crowd.rest();
  const { associations, tables } = crowd.responder.engine.status();
  // The real one and 39 copies.
  assert.equal(associations.length, 40);
  assert.ok(associations.every(({ state }) => state === "ESTABLISHED"));
  assert.equal(new Set(associations.map(({ inboundSpi }) => inboundSpi)).size, 40);
  assert.deepEqual([tables.jobs, tables.reservedSpis], [0, 0]);
  const report = measureAssociations(providers, 150, () => {});
  assert.deepEqual([report.few.count, report.many.count], [100, 150]);
  assert.ok(Object.values(report.many).every((value) => value > 0));
});
