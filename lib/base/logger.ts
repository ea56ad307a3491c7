/** What the program says of itself. No output here: the runtime decides where lines go. */

export type LogLevel = "debug" | "info" | "warning" | "error";

/** A line is one sentence. Keys and secrets have no printed form and are never passed. */
export interface Logger {
  log(level: LogLevel, message: string): void;
}

/** Says nothing; for tests and tools. */
export const SILENT: Logger = { log: () => {} };
