/** What `hip bench` takes and prints, and that one engine bears real packets. */

import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import { chosen, MEASUREMENTS } from "../../lib/cli/bench.ts";
import { measureAssociations } from "../../lib/cli/bench_associations.ts";
import { BenchCrowd } from "../../lib/cli/bench_crowd.ts";
import { figuresOf, type Samples } from "../../lib/cli/bench_figures.ts";
import { processorModel } from "../../lib/cli/bench_machine.ts";
import { SUBJECTS, subjectTitle } from "../../lib/cli/bench_names.ts";
import {
  type BenchReport,
  formatNumber,
  formatRatio,
  formatTime,
  renderMarkdown,
  renderText,
} from "../../lib/cli/bench_report.ts";
import { measureGarbage } from "../../lib/cli/bench_garbage.ts";
import { measureResponder } from "../../lib/cli/bench_responder.ts";
import { MEASURES } from "../../lib/cli/bench_side_by_side.ts";
import { COLUMNS } from "../../lib/cli/output.ts";
import { PORTABLE_PUBLIC_KEYS } from "../../lib/crypto/portable_public_keys.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { digest } from "../../lib/crypto/rhash.ts";

const PROVIDERS = { esp: PORTABLE_PROVIDER, publicKeys: PORTABLE_PUBLIC_KEYS, digest };

/** A figure of each measure for each subject, but of raw none of those that it cannot have. */
const SIDE_BY_SIDE = figuresOf(
  MEASURES.flatMap(({ measure, unit }) =>
    SUBJECTS.map(({ name }, index): Samples => ({
      measure,
      subject: name,
      unit,
      values: name === "raw" && /memory|its processes/.test(measure) ? [] : [123_456 / 10 ** index],
    }))
  ),
);

const ALONE = figuresOf(
  [
    ["exchange, ECDSA P-384, DH 11 MODP 2048, #K 10", "ms", 0.1, 15.3],
    ["start to ready", "ms", 180, 500],
    ["memory when ready", "MB", 75.4, 137],
    ["I1s answered in a flood", "/s", 769_231, 121_951],
    ["memory of one association, 100,000 of them", "octets", 4096, 3987.4],
    ["SA by SPI among 100,000 associations", "ms", 0.0004, 0.0005],
  ].flatMap(([measure, unit, raw, hip]) =>
    [["raw", raw], ["hip", hip]].map(([subject, value]) =>
      ({ measure, subject, unit, values: [value] }) as Samples
    )
  ),
);

const REPORT: BenchReport = {
  machine: {
    processor: "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
    cores: 2,
    kernel: "Linux 6.1.0-18-cloud-amd64, TCP cubic",
    program: "hip 0.1.0, Deno 2.5.7",
    espProvider: "libcrypto",
    publicKeyProvider: "libcrypto",
    peers: ["wireguard-go 0.0.20220316-1+b4", "strongSwan 5.9.8-5", "yggdrasil 0.4.7-1+b5"],
  },
  isQuick: false,
  subjects: SUBJECTS,
  sideBySide: SIDE_BY_SIDE,
  alone: ALONE,
  notes: ["Side by side: median of five rounds. ".repeat(5).trim(), "Base exchange: quick."],
};

Deno.test("hip bench prints within 80 columns, with two lines for each measure side by side", () => {
  const lines = renderText(REPORT);
  for (const line of lines) assert.ok(line.length <= COLUMNS, line);
  const at = lines.indexOf(
    "                           raw       hip       hip     wire-   strong-      ygg-",
  );
  assert.deepEqual(lines.slice(at, at + 4), [
    "                           raw       hip       hip     wire-   strong-      ygg-",
    "                          veth       UDP       ESP  guard-go      Swan    drasil",
    "TCP, one flow          123,000    12,300     1,230       123      12.3      1.23",
    "  Mbit/s; to raw           1.0      0.10     0.010     0.001     0.000     0.000",
  ]);
  for (const { measure, unit } of MEASURES) {
    const row = lines.findIndex((line) => line.startsWith(`${measure} `));
    assert.ok(row > 0 && lines[row + 1]!.startsWith(`  ${unit}`), measure);
  }
  const text = lines.join("\n");
  assert.match(text, /Xeon.*2 cores/);
  assert.match(text, /hip 0\.1\.0.*ESP and public keys by libcrypto/);
  assert.match(text, /Beside wireguard-go 0\.0\.20220316-1\+b4, strongSwan/);
  assert.match(text, /memory, idle +- +12,300 .*\n {2}MB\n/);
});

Deno.test("hip bench sets HIP alone beside what the notes call raw", () => {
  const text = renderText(REPORT).join("\n");
  for (
    const row of [
      /^exchange, ECDSA P-384, DH 11 MODP 2048, #K 10 +0\.100 ms +15\.3 ms +153$/m,
      /^start to ready +180 ms +500 ms +2\.8$/m,
      /^memory when ready +75\.4 MB +137 MB +1\.8$/m,
      /^I1s answered in a flood +769,000\/s +122,000\/s +0\.16$/m,
      /^memory of one association, 100,000 of them +4,096 B +3,987 B +0\.97$/m,
      /^SA by SPI among 100,000 associations +0\.40 µs +0\.50 µs +1\.3$/m,
    ]
  ) assert.match(text, row);
});

Deno.test("hip bench leaves out what it did not measure", () => {
  const none = { ...REPORT, subjects: [], sideBySide: [] };
  const text = renderText({ ...none, isQuick: true, notes: [] }).join("\n");
  assert.doesNotMatch(text, /TCP, one|veth|\n\n\n/);
  assert.match(text, /quick run/);
  const beside = renderText({ ...REPORT, alone: [], notes: [] }).join("\n");
  assert.doesNotMatch(beside, /ratio|exchange/);
});

Deno.test("a subject without a figure has a dash, and one that failed has no column", () => {
  const figures = SIDE_BY_SIDE.filter(({ measure, subject }) =>
    measure !== "UDP, 64 octets" || subject !== "strongswan"
  );
  const subjects = SUBJECTS.filter(({ name }) => name !== "yggdrasil");
  const text = renderText({ ...REPORT, subjects, sideBySide: figures, alone: [] }).join("\n");
  assert.match(text, /^UDP, 64 octets +123,000 +12,300 +1,230 +123 +-$/m);
  assert.doesNotMatch(text, /ygg-/);
});

Deno.test("hip bench --markdown has both tables, machine before and notes behind them", () => {
  const lines = renderMarkdown(REPORT).split("\n");
  const tables = lines.filter((line) => line.startsWith("|"));
  assert.equal(tables.length, 2 + MEASURES.length + 2 + ALONE.length / 2);
  assert.ok(tables.includes(
    "| TCP, one flow (Mbit/s) | 123,000 | 12,300 (0.10) | 1,230 (0.010) | 123 (0.001) | 12.3 (0.000) | 1.23 (0.000) |",
  ));
  assert.ok(tables.includes("| start to ready | 180 ms | 500 ms | 2.8 |"));
  assert.match(lines[0]!, /^Intel/);
  assert.equal(lines.at(-1), "Base exchange: quick.");
});

Deno.test("numbers of the tables keep three digits that say something", () => {
  assert.deepEqual([0.00082, 0.0821, 9.414, 31.26, 312.4].map(formatTime), [
    "0.82 µs",
    "0.082 ms",
    "9.41 ms",
    "31.3 ms",
    "312 ms",
  ]);
  assert.deepEqual([0, 0.0244, 9.414, 31.26, 312.4, 13_842].map(formatNumber), [
    "0.000",
    "0.024",
    "9.41",
    "31.3",
    "312",
    "13,800",
  ]);
  assert.deepEqual([0.0179, 0.215, 1.34, 121.4].map(formatRatio), ["0.018", "0.21", "1.3", "121"]);
});

Deno.test("a heading of two lines is also a name in one", () => {
  assert.deepEqual(SUBJECTS.map(({ name }) => subjectTitle(name)), [
    "raw veth",
    "hip UDP",
    "hip ESP",
    "wireguard-go",
    "strongSwan",
    "yggdrasil",
  ]);
});

Deno.test("--only names measurements, and another word is refused with the known ones", () => {
  assert.deepEqual([...chosen("--only", MEASUREMENTS, "ping, startup")], ["ping", "startup"]);
  assert.deepEqual([...chosen("--only", MEASUREMENTS, undefined)], [...MEASUREMENTS]);
  assert.throws(
    () => chosen("--only", MEASUREMENTS, "ping,pong"),
    (error) => error instanceof UserError && /--only.*"pong".*throughput/.test(error.message),
  );
});

Deno.test("the processor has the name that /proc/cpuinfo gives it, on x86 and on ARM boards", () => {
  assert.equal(processorModel("processor\t: 0\nmodel name\t: AMD  EPYC 7B13\n"), "AMD EPYC 7B13");
  assert.equal(processorModel("processor : 0\n\nModel\t\t: Raspberry Pi 4\n"), "Raspberry Pi 4");
  assert.match(processorModel("processor : 0\n"), /^unnamed \S+ processor$/);
});

Deno.test("what hip bench measures in one engine comes about with real packets and states", () => {
  const crowd = BenchCrowd.before(PROVIDERS, { puzzleDifficultyKMax: 0 });
  crowd.populate(1, 40);
  crowd.rest();
  const { associations, tables } = crowd.responder.engine.status();
  // The real one and 39 copies.
  assert.equal(associations.length, 40);
  assert.ok(associations.every(({ state }) => state === "ESTABLISHED"));
  assert.equal(new Set(associations.map(({ inboundSpi }) => inboundSpi)).size, 40);
  assert.deepEqual([tables.jobs, tables.reservedSpis], [0, 0]);
  const figures = figuresOf(measureAssociations(PROVIDERS, 150, () => {}).samples);
  assert.equal(figures.length, 10);
  for (const { measure, median } of figures) assert.ok(median > 0, measure);
});

Deno.test("garbage is refused and counted as what it is, beside good packets that are opened", () => {
  const { samples } = measureGarbage(PROVIDERS, 2, () => {});
  assert.equal(samples.length, 10);
  assert.ok(samples.every(({ values }) => values.length === 2 && values.every((rate) => rate > 0)));
  assert.equal(new Set(samples.map(({ measure }) => measure)).size, 5);
});

Deno.test("a Responder's exchanges are counted for each kind beside their bare work", () => {
  const { samples } = measureResponder(PROVIDERS, 3, () => {});
  assert.deepEqual(
    samples.map(({ measure, subject, values }) => [measure, subject, values.length]),
    ["Responder, ECDSA P-256, DH 7 P-256", "Responder, Ed25519, DH 7 P-256"].flatMap((measure) =>
      ["raw", "hip"].map((subject) => [measure, subject, 3])
    ),
  );
  assert.ok(samples.every(({ values }) => values.every((rate) => rate > 0)));
});
