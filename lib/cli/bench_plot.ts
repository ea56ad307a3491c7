/**
 * A plot of what `hip bench` set side by side, as SVG: a panel for each measure with a bar for each
 * subject. The bare network is left out of the bars, beside which nothing else would be seen, and
 * named in the heading. Colours are such that light and dark pages both show them. Pure.
 */

import { type Figure, figureOf, RAW } from "./bench_figures.ts";
import { type SubjectName, subjectTitle } from "./bench_names.ts";
import { formatNumber } from "./bench_report.ts";

/** The measures that are drawn, and what is good. */
const PANELS: readonly { readonly measure: string; readonly isLessBetter?: true }[] = [
  { measure: "TCP, one flow" },
  { measure: "TCP, four flows" },
  { measure: "UDP, 64 octets" },
  { measure: "round trip, idle", isLessBetter: true },
];

/** Lengths in units of the drawing. */
const WIDTH = 760;
const MARGIN = 8;
const PANEL_GAP = 24;
const NAME_WIDTH = 92;
const VALUE_WIDTH = 60;
const HEADING_HEIGHT = 26;
const BAR_HEIGHT = 14;
const BAR_PITCH = 22;
const COLUMNS = 2;

/** Readable on white and on black alike. */
const TEXT = "#78808a";
const OWN_BAR = "#3584e4";
const OTHER_BAR = "#9aa2ac";

/** @returns The drawing; undefined when nothing that it shows was measured. */
export function renderPlot(
  figures: readonly Figure[],
  subjects: readonly SubjectName[],
): string | undefined {
  const others = subjects.filter(({ name }) =>
    name !== RAW && PANELS.some(({ measure }) => figureOf(figures, measure, name) !== undefined)
  );
  const panels = PANELS.filter(({ measure }) =>
    others.some(({ name }) => figureOf(figures, measure, name) !== undefined)
  );
  if (panels.length === 0) return undefined;
  const panelWidth = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * PANEL_GAP) / COLUMNS;
  const panelHeight = HEADING_HEIGHT + others.length * BAR_PITCH + PANEL_GAP / 2;
  const rows = Math.ceil(panels.length / COLUMNS);
  const height = 2 * MARGIN + rows * panelHeight;
  const drawn = panels.map(({ measure, isLessBetter }, index) => {
    const x = MARGIN + (index % COLUMNS) * (panelWidth + PANEL_GAP);
    const y = MARGIN + Math.floor(index / COLUMNS) * panelHeight;
    const better = isLessBetter ? "less is better" : "more is better";
    return renderPanel(figures, others, measure, better, panelWidth, `translate(${x} ${y})`);
  });
  const font = "font-family=\"-apple-system,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif\"";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
    `width="${WIDTH}" height="${height}" role="img" ${font} font-size="12" fill="${TEXT}">`,
    "<title>HIP beside other tunnels</title>",
    ...drawn.flat(),
    "</svg>",
    "",
  ].join("\n");
}

function renderPanel(
  figures: readonly Figure[],
  subjects: readonly SubjectName[],
  measure: string,
  better: string,
  width: number,
  transform: string,
): string[] {
  const rows = subjects.map(({ name }) => ({ name, figure: figureOf(figures, measure, name) }));
  const largest = Math.max(...rows.map(({ figure }) => figure?.median ?? 0));
  const room = width - NAME_WIDTH - VALUE_WIDTH;
  const unit = rows.find(({ figure }) => figure !== undefined)?.figure?.unit ?? "";
  const raw = figureOf(figures, measure, RAW);
  const beside = raw === undefined ? "" : `; raw veth ${formatNumber(raw.median)}`;
  return [
    `<g transform="${transform}">`,
    `<text y="14"><tspan font-weight="bold">${escapeXml(measure)}</tspan> ` +
    `<tspan font-size="11">${unit}, ${better}${beside}</tspan></text>`,
    ...rows.flatMap(({ name, figure }, row) => {
      const y = HEADING_HEIGHT + row * BAR_PITCH;
      const base = y + BAR_HEIGHT - 3;
      const length = largest > 0 ? room * (figure?.median ?? 0) / largest : 0;
      const colour = name.startsWith("hip") ? OWN_BAR : OTHER_BAR;
      const value = figure === undefined ? "-" : formatNumber(figure.median);
      return [
        `<text x="${NAME_WIDTH - 8}" y="${base}" text-anchor="end">${
          escapeXml(subjectTitle(name))
        }</text>`,
        `<rect x="${NAME_WIDTH}" y="${y}" width="${length.toFixed(1)}" height="${BAR_HEIGHT}" ` +
        `rx="2" fill="${colour}"/>`,
        `<text x="${(NAME_WIDTH + length + 6).toFixed(1)}" y="${base}">${value}</text>`,
      ];
    }),
    "</g>",
  ];
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
