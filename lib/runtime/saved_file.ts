/**
 * Files of the system that are replaced for a while: what they were, replacing them by rename only,
 * and putting them back byte for byte.
 */

import { dirname } from "node:path";
import { createHash } from "node:crypto";

/** A file as it was before, and the digest of what replaced it. */
export interface SavedFile {
  readonly path: string;
  readonly kind: "absent" | "file" | "symlink";
  /** Base64 of the content, for a file. */
  readonly content?: string;
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** SHA-256 of the content that we wrote. */
  readonly writtenSha256: string;
}

export function saveFile(path: string, written: string): SavedFile {
  const writtenSha256 = sha256(new TextEncoder().encode(written));
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { path, kind: "absent", writtenSha256 };
    throw error;
  }
  if (info.isSymlink) {
    return { path, kind: "symlink", target: Deno.readLinkSync(path), writtenSha256 };
  }
  return {
    path,
    kind: "file",
    content: Deno.readFileSync(path).toBase64(),
    mode: (info.mode ?? 0o644) & 0o7777,
    uid: info.uid ?? 0,
    gid: info.gid ?? 0,
    writtenSha256,
  };
}

/** Whether the file is a plain one with the content that we wrote. */
export function isOurs(saved: SavedFile): boolean {
  try {
    if (!Deno.lstatSync(saved.path).isFile) return false;
    return sha256(Deno.readFileSync(saved.path)) === saved.writtenSha256;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether the file is still, or again, as it was before the take-over. */
export function isOriginal(saved: SavedFile): boolean {
  let now: SavedFile;
  try {
    now = saveFile(saved.path, "");
  } catch {
    return false;
  }
  return now.kind === saved.kind && now.content === saved.content && now.target === saved.target;
}

export function putBack(saved: SavedFile): void {
  if (saved.kind === "absent") {
    Deno.removeSync(saved.path);
    return;
  }
  if (saved.kind === "symlink") {
    const temporary = temporaryName(saved.path);
    removeIfPresent(temporary);
    Deno.symlinkSync(saved.target!, temporary);
    Deno.renameSync(temporary, saved.path);
    return;
  }
  const content = Uint8Array.fromBase64(saved.content!);
  const temporary = writeTemporary(saved.path, content, saved);
  try {
    Deno.renameSync(temporary, saved.path);
  } catch (error) {
    removeIfPresent(temporary);
    throw error;
  }
}

/** A full copy beside `path`, synced, with mode and owner of what it replaces. */
export function writeTemporary(path: string, content: Uint8Array, like: SavedFile): string {
  const temporary = temporaryName(path);
  removeIfPresent(temporary);
  try {
    writeSynced(temporary, content, like.mode ?? 0o644);
    if (like.uid !== undefined && like.gid !== undefined) {
      const info = Deno.lstatSync(temporary);
      if (info.uid !== like.uid || info.gid !== like.gid) {
        Deno.chownSync(temporary, like.uid, like.gid);
      }
    }
  } catch (error) {
    removeIfPresent(temporary);
    throw error;
  }
  return temporary;
}

function temporaryName(path: string): string {
  return `${path}.hip-new`;
}

export function writeSynced(path: string, content: Uint8Array, mode: number): void {
  const file = Deno.openSync(path, { write: true, createNew: true, mode });
  try {
    for (let written = 0; written < content.length;) {
      written += file.writeSync(content.subarray(written));
    }
    file.syncSync();
  } finally {
    file.close();
  }
  // The mode given to open is subject to the umask.
  Deno.chmodSync(path, mode);
}

/** Makes a rename in the folder of `path` survive a loss of power. */
export function syncFolder(path: string): void {
  const folder = Deno.openSync(dirname(path), { read: true });
  try {
    folder.syncSync();
  } finally {
    folder.close();
  }
}

export function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The text of a file; undefined when there is none. */
export function readText(path: string): string | undefined {
  try {
    return new TextDecoder().decode(Deno.readFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
