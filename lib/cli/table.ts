/** Tables of plain text with aligned columns. Pure. */

import { truncate } from "./format.ts";
import { COLUMNS } from "./output.ts";

/** Spaces between two columns. */
const GAP = 2;

/**
 * Lays out a table.
 *
 * @param rows The first row is the heading; all rows have the same number of cells.
 * @param width Columns that no line exceeds; the widest column gives way.
 * @returns Lines without trailing spaces.
 */
export function renderTable(rows: readonly (readonly string[])[], width = COLUMNS): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from(
    { length: columns },
    (_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  const total = () => widths.reduce((sum, w) => sum + w, 0) + GAP * (columns - 1);
  while (total() > width) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= 1) break;
    widths[widest]!--;
  }
  return rows.map((row) =>
    row.map((cell, column) => truncate(cell, widths[column]!).padEnd(widths[column]! + GAP))
      .join("").trimEnd()
  );
}
