import assert from "node:assert/strict";
import {
  cover,
  emitRows,
  idsShown,
  levelOf,
  parseChecklist,
  parseRows,
  unknownIds,
} from "../../tools/conformance_rows.ts";
import type { Outcome, TestResult } from "../../tools/junit.ts";

const CHECKLIST = `# Example

| ID | Meaning |
| --- | --- |
| Level | no row |

| ID | Requirement | Level | § |
| --- | --- | --- | --- |
| HDR-001 | First, with a \\| in it. | MUST† | 4, 5.1 |
| R1M-002 | Second. | SHOULD NOT | 6 |
| HDR-003 | withdrawn | MUST | 6 |

| ID | Parameter | Type | § |
|---|---|---|---|
| PRM-001 | PUZZLE | 257 | 5.2.4 |

| id | requirement | level | source |
|---|---|---|---|
| DNS-001 | Third. | MAY | 8005 §3 |
| OPEN-01 | decision | MUST | 1 |

| step | HDR-009 |
|---|---|
| HDR-010 | not a table of rows |
`;

function test(title: string, outcome: Outcome = "passed"): TestResult {
  return { file: "t_test.ts", name: title, title, isStep: false, outcome, seconds: 0 };
}

Deno.test("parseChecklist() finds rows by their id and cells by the head of their table", () => {
  assert.deepEqual(parseChecklist(CHECKLIST), [
    { id: "HDR-001", grade: "MUST†", section: "4, 5.1", requirement: "First, with a | in it." },
    { id: "R1M-002", grade: "SHOULD NOT", section: "6", requirement: "Second." },
    { id: "PRM-001", grade: "", section: "5.2.4", requirement: "PUZZLE · 257" },
    { id: "DNS-001", grade: "MAY", section: "8005 §3", requirement: "Third." },
  ]);
});

Deno.test("parseChecklist() refuses an id that stands twice", () => {
  const twice = "| ID | Requirement | Level |\n|---|---|---|\n| A1-001 | a | MUST |\n";
  assert.equal(parseChecklist(twice).length, 1);
  assert.throws(() => parseChecklist(twice + "| A1-001 | b | MUST |\n"), /A1-001 stands twice/);
});

Deno.test("MUST NOT, MUST† and rows without grade count as must", () => {
  const levels = parseChecklist(CHECKLIST).map(levelOf);
  assert.deepEqual(levels, ["must", "should", "must", "may"]);
  assert.equal(levelOf({ id: "A", grade: "MUST NOT", section: "", requirement: "" }), "must");
});

Deno.test("the compact copy holds all rows", () => {
  const checklists = new Map([["a.md", parseChecklist(CHECKLIST)], ["b.md", []]]);
  assert.deepEqual(parseRows(emitRows(checklists)), checklists);
  assert.throws(() => parseRows("# a.md\nHDR-001\tMUST\n"), /line 2/);
});

Deno.test("a row is shown by a passing test that names its id, and by no other", () => {
  const shown = idsShown([
    test("HDR-001, R1M-002 two rows at once"),
    test("DNS-001 fails", "failed"),
    test("PRM-001 skipped", "skipped"),
    test("HDR-0011 is no id of three digits"),
  ]);
  assert.deepEqual([...shown], ["HDR-001", "R1M-002"]);
  const coverage = cover(new Map([["a.md", parseChecklist(CHECKLIST)]]), shown);
  assert.deepEqual(Object.fromEntries(coverage), {
    "a.md": {
      must: { rows: 2, shown: 1 },
      should: { rows: 1, shown: 1 },
      may: { rows: 1, shown: 0 },
      open: ["PRM-001", "DNS-001"],
    },
  });
});

Deno.test("ids of a known group that no checklist holds are named, other words are not", () => {
  const checklists = new Map([["a.md", parseChecklist(CHECKLIST)]]);
  const shown = idsShown([test("HDR-999 and SHA-256 and AES-128")]);
  assert.deepEqual(unknownIds(checklists, shown), ["HDR-999"]);
});

Deno.test("the copy in the repository has the rows of nine checklists and no id twice", async () => {
  const url = new URL("../conformance/rows.tsv", import.meta.url);
  const checklists = parseRows(await Deno.readTextFile(url));
  assert.equal(checklists.size, 9);
  const ids = [...checklists.values()].flat().map((row) => row.id);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(checklists.get("base-exchange.md")!.length, 609);
});
