/** Tables of plain text with aligned columns. Pure. */

import { truncate } from "./format.ts";
import { COLUMNS } from "./output.ts";

/** Spaces between two columns. */
const GAP = 2;

/** How a table is laid out. */
export interface TableOptions {
  /** Columns that no line exceeds. */
  readonly width?: number;
  /** Numbers of the columns that give way, the widest of them first; all if left out. */
  readonly shrinkable?: readonly number[];
}

/**
 * Lays out a table.
 *
 * @param rows The first row is the heading; all rows have the same number of cells.
 * @returns Lines without trailing spaces.
 */
export function renderTable(
  rows: readonly (readonly string[])[],
  { width = COLUMNS, shrinkable }: TableOptions = {},
): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from(
    { length: columns },
    (_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  const total = () => widths.reduce((sum, w) => sum + w, 0) + GAP * (columns - 1);
  while (total() > width) {
    const candidates = shrinkable ?? widths.keys().toArray();
    const widest = candidates.reduce((a, b) => widths[b]! > widths[a]! ? b : a);
    if (widths[widest]! <= 1) break;
    widths[widest]!--;
  }
  return rows.map((row) =>
    row.map((cell, column) => truncate(cell, widths[column]!).padEnd(widths[column]! + GAP))
      .join("").trimEnd()
  );
}
