import assert from "node:assert/strict";
import fc from "fast-check";
import { abbreviateHit, formatOctets, formatSpan, sentence } from "../../lib/cli/format.ts";
import { renderTable } from "../../lib/cli/table.ts";

Deno.test("formatSpan() keeps two digits of what matters", () => {
  const cases: [number, string][] = [
    [0.64, "0.6 ms"],
    [12.4, "12 ms"],
    [3210, "3.2 s"],
    [59_999, "59 s"],
    [300_000, "5 min"],
    [3 * 3_600_000, "3 h"],
    [72 * 3_600_000, "3 d"],
  ];
  for (const [ms, text] of cases) assert.equal(formatSpan(ms), text);
});

Deno.test("formatOctets() uses decimal prefixes and never shows four digits", () => {
  assert.equal(formatOctets(0), "0 B");
  assert.equal(formatOctets(999), "999 B");
  assert.equal(formatOctets(1_200_000_000), "1.2 GB");
  assert.equal(formatOctets(88_000_000), "88 MB");
  fc.assert(fc.property(fc.nat({ max: 2 ** 50 }), (octets) => {
    assert.match(formatOctets(octets), /^\d{1,3}(\.\d)? [kMGTP]?B$/);
  }));
});

Deno.test("abbreviateHit() shows head and tail, and leaves short addresses alone", () => {
  assert.equal(abbreviateHit("2001:22:8f31:1:2:3:4:9a04"), "2001:22:8f31:...:9a04");
  assert.equal(abbreviateHit("192.0.2.1"), "192.0.2.1");
  assert.equal(abbreviateHit("fd00::1"), "fd00::1");
});

Deno.test("sentence() begins small behind a command's name and ends once", () => {
  assert.equal(sentence("Cannot open it (gone). Free\n it"), "cannot open it (gone). Free it.");
  assert.equal(sentence("TUN is missing."), "TUN is missing.");
  assert.equal(sentence("open. Run: chmod 600 /a/b.pem"), "open. Run: chmod 600 /a/b.pem");
});

Deno.test("renderTable() aligns columns and never exceeds the width", () => {
  assert.deepEqual(renderTable([["A", "B"], ["long", "x"], ["", "y"]]), [
    "A     B",
    "long  x",
    "      y",
  ]);
  const row = fc.tuple(fc.string({ maxLength: 90 }), fc.string({ maxLength: 90 }), fc.string());
  fc.assert(fc.property(fc.array(row, { minLength: 1 }), (rows) => {
    for (const line of renderTable(rows, { width: 40 })) assert.ok(line.length <= 40);
  }));
});

Deno.test("renderTable() takes room only from the columns that may give way", () => {
  const [line] = renderTable([["x".repeat(30), "y".repeat(30)]], { width: 40, shrinkable: [1] });
  assert.equal(line, `${"x".repeat(30)}  ${"y".repeat(7)}…`);
});
