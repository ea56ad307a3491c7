/** Figures: samples of one measure and one subject, summed up and set beside the raw path. Pure. */

export type Unit = "Mbit/s" | "packets/s" | "ms" | "s/GB" | "MB" | "/s" | "octets";

/** What was seen of one subject. */
export interface Samples {
  /** What was measured, as it stands in tables: "TCP, one flow". */
  readonly measure: string;
  /** `RAW`, or what is set beside it. */
  readonly subject: string;
  readonly unit: Unit;
  /** In the order in which they were taken. */
  readonly values: readonly number[];
}

/** What is made of it. */
export interface Figure {
  readonly measure: string;
  readonly subject: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly unit: Unit;
  /** Median to the raw path's median; null where that has no such figure. */
  readonly ratioToRaw: number | null;
}

/** The subject that others are compared with. */
export const RAW = "raw";

/** The value in the middle; of an even number of values the mean of the two. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** One figure for each that has samples, in their order. */
export function figuresOf(all: readonly Samples[]): Figure[] {
  const raw = new Map(
    all.filter(({ subject }) => subject === RAW)
      .map(({ measure, values }) => [measure, median(values)]),
  );
  return all.filter(({ values }) => values.length > 0).map(
    ({ measure, subject, unit, values }) => {
      const middle = median(values);
      const ratio = middle / (raw.get(measure) ?? NaN);
      return {
        measure,
        subject,
        median: middle,
        min: Math.min(...values),
        max: Math.max(...values),
        unit,
        ratioToRaw: Number.isFinite(ratio) ? ratio : null,
      };
    },
  );
}

/** The figure of a subject, if there is one. */
export function figureOf(
  figures: readonly Figure[],
  measure: string,
  subject: string,
): Figure | undefined {
  return figures.find((figure) => figure.measure === measure && figure.subject === subject);
}
