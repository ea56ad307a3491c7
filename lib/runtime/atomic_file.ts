/** Files that are there whole or not at all, also after a power cut. */

let counter = 0;

/** How a file is put in place. */
export interface WriteOptions {
  /** Permission bits. */
  readonly mode: number;
  /** Fail with `Deno.errors.AlreadyExists` rather than replace a file. */
  readonly isNew?: boolean;
}

/**
 * Writes `text` to a temporary file beside `path`, brings it to disk and renames it.
 *
 * @throws {Deno.errors} As the system refuses; the temporary file is gone then.
 */
export function writeFileAtomically(path: string, text: string, options: WriteOptions): void {
  const folder = path.slice(0, path.lastIndexOf("/")) || "/";
  const temporary = `${path}.${Deno.pid}-${++counter}.tmp`;
  try {
    const file = Deno.openSync(temporary, { createNew: true, write: true, mode: options.mode });
    try {
      const bytes = new TextEncoder().encode(text);
      for (let written = 0; written < bytes.length;) {
        written += file.writeSync(bytes.subarray(written));
      }
      file.syncSync();
    } finally {
      file.close();
    }
    // A link refuses to replace; a rename does replace.
    if (options.isNew) Deno.linkSync(temporary, path);
    else Deno.renameSync(temporary, path);
  } finally {
    removeIfThere(temporary);
  }
  const directory = Deno.openSync(folder, { read: true });
  try {
    directory.syncSync();
  } finally {
    directory.close();
  }
}

/** Removes a file; its absence is no error. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The text of a file, or undefined when there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** "permission denied", "no such file": what the system said, for a sentence in parentheses. */
export function systemProblem(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file or folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.AlreadyExists) return "it exists already";
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/ \(os error \d+\).*$/, "").replace(/[.\s]+$/, "");
}
