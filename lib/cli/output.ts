/** What commands print: results on standard output, problems on standard error. */

export type Style = "bold" | "dim" | "green" | "yellow" | "red";

const CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, green: 32, yellow: 33, red: 31 };

/** Width that everything fits, in columns. */
export const COLUMNS = 80;

/** A place to print to; tests have one that keeps the lines. */
export interface Output {
  /** Prints one or more lines of results. */
  print(text: string): void;
  /** Prints a line for the user's eyes only, on standard error. */
  note(text: string): void;
  /** `text` in colour where the reader is a terminal that wants colours. */
  paint(style: Style, text: string): string;
  /** Whether a person watches. */
  readonly isTerminal: boolean;
}

/** Prints a value for programs: indented JSON and a line end. */
export function printJson(output: Output, value: unknown): void {
  output.print(JSON.stringify(value, null, 2));
}

/**
 * The terminal or whatever stands in its place.
 *
 * @param noColor The variable NO_COLOR.
 */
export function systemOutput(noColor: string | undefined): Output {
  const isTerminal = Deno.stdout.isTerminal();
  const isColoured = isTerminal && (noColor === undefined || noColor === "");
  return {
    isTerminal,
    print: (text) => writeAll(Deno.stdout, `${text}\n`),
    note: (text) => writeAll(Deno.stderr, `${text}\n`),
    paint: (style, text) => isColoured ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text,
  };
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let written = 0; written < bytes.length;) {
      written += stream.writeSync(bytes.subarray(written));
    }
  } catch (error) {
    // The reader left ("hip status | head -1"): nothing to do.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
