/** Where log lines go: one line each with time and level, to standard error or to a file. */

import type { Logger, LogLevel } from "../base/logger.ts";

const RANKS: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warning: 2, error: 3 };

/** Log file size, in octets, at which it is moved aside to `NAME.1` and begun anew. */
const MAX_FILE_OCTETS = 4 * 1024 * 1024;

/** `2026-05-01T12:00:00.123Z info message`, with control characters made visible. */
export function formatLogLine(time: Date, level: LogLevel, message: string): string {
  // A message may quote a name from the network: it must not be able to forge a second line.
  const safe = message.replace(
    /\p{Cc}/gu,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `${time.toISOString()} ${level} ${safe}\n`;
}

/** Writes lines of at least `level` to `write`, which must not throw. */
export class LogOutput implements Logger {
  readonly #level: LogLevel;
  readonly #write: (line: string) => void;

  constructor(level: LogLevel, write: (line: string) => void) {
    this.#level = level;
    this.#write = write;
  }

  log(level: LogLevel, message: string): void {
    if (RANKS[level] < RANKS[this.#level]) return;
    this.#write(formatLogLine(new Date(), level, message));
  }
}

/** Lines on standard error, for `--foreground`. A closed pipe is no reason to stop. */
export function writeToStandardError(line: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(line));
  } catch {
    // Nobody listens any more.
  }
}

/**
 * A writer that appends to a file of mode 0600 and bounds its size. Lines that cannot be written
 * (disk full) are lost; the program goes on.
 */
export function fileWriter(path: string): (line: string) => void {
  const encoder = new TextEncoder();
  let file = openForAppend(path);
  let size = file.statSync().size;
  return (line) => {
    const bytes = encoder.encode(line);
    try {
      if (size + bytes.length > MAX_FILE_OCTETS) {
        file.close();
        Deno.renameSync(path, `${path}.1`);
        file = openForAppend(path);
        size = 0;
      }
      file.writeSync(bytes);
      size += bytes.length;
    } catch {
      // There is no better place to say so.
    }
  };
}

function openForAppend(path: string): Deno.FsFile {
  return Deno.openSync(path, { append: true, create: true, mode: 0o600 });
}
