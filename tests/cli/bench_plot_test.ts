/** The plot of hip bench as an SVG document. */

import assert from "node:assert/strict";
import type { Figure } from "../../lib/cli/bench_figures.ts";
import { SUBJECTS } from "../../lib/cli/bench_names.ts";
import { renderPlot } from "../../lib/cli/bench_plot.ts";

function figure(measure: string, subject: string, median: number): Figure {
  return { measure, subject, median, min: median, max: median, unit: "Mbit/s", ratioToRaw: null };
}

const FIGURES = [
  figure("TCP, one flow", "raw", 13_800),
  figure("TCP, one flow", "hip-esp", 1000),
  figure("TCP, one flow", "wireguard-go", 250),
  figure("round trip, idle", "hip-esp", 0.4),
  figure("memory, idle", "yggdrasil", 8),
];

Deno.test("the plot has a panel for each measure, and bars as long as their figures", () => {
  const svg = renderPlot(FIGURES, SUBJECTS)!;
  assert.deepEqual(
    [...svg.matchAll(/font-weight="bold">([^<]*)</g)].map(([, measure]) => measure),
    ["TCP, one flow", "round trip, idle"],
  );
  const bars = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  // hip ESP and wireguard-go, in each of the panels.
  assert.equal(bars.length, 4);
  assert.ok(Math.abs(bars[0]! / bars[1]! - 4) < 0.01, bars.join(" "));
  assert.equal(bars[3], 0);
  assert.match(svg, /raw veth 13,800/);
  assert.match(svg, />1,000</);
  assert.match(svg, />wireguard-go</);
});

Deno.test("the plot has no bar for raw veth, nor a row for what it has no figure of", () => {
  const svg = renderPlot(FIGURES, SUBJECTS)!;
  assert.doesNotMatch(svg, />raw veth</);
  assert.doesNotMatch(svg, /yggdrasil|strongSwan/);
});

Deno.test("the plot is well-formed: every element ends, in order", () => {
  const svg = renderPlot(FIGURES, SUBJECTS)!;
  const open: string[] = [];
  for (const [, end, name, alone] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (end === "/") assert.equal(open.pop(), name);
    else if (alone === "") open.push(name!);
  }
  assert.deepEqual(open, []);
  assert.ok(svg.startsWith("<svg ") && svg.endsWith("</svg>\n"));
});

Deno.test("nothing to draw is no plot", () => {
  assert.equal(renderPlot([], SUBJECTS), undefined);
  assert.equal(renderPlot([figure("TCP, one flow", "raw", 1)], SUBJECTS), undefined);
  assert.equal(renderPlot([figure("memory, idle", "hip-esp", 130)], SUBJECTS), undefined);
});
