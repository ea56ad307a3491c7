/**
 * Host Identities on disk: one PEM file of mode 0600 each, in a folder of mode 0700, and a file
 * `default` that names one of them.
 *
 * A key file that others may read is refused rather than used: the identity in it is no longer
 * ours alone. Text before the PEM block says what the file is; `Anonymous: yes` in it marks an
 * identity that is not published (RFC 7401 §5.1.2).
 */

import { UserError } from "../base/errors.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import { decodeIdentityPem, encodeIdentityPem } from "../identity/host_identity.ts";
import { formatHit } from "../identity/hit.ts";
import { readIfThere, systemProblem, writeFileAtomically } from "./atomic_file.ts";
import { identityName } from "./config_values.ts";

/** One identity and what is noted beside it. */
export interface StoredIdentity {
  readonly name: string;
  readonly identity: PrivateHostIdentity;
  readonly isAnonymous: boolean;
  readonly isDefault: boolean;
}

const SUFFIX = ".pem";

/** The identities in one folder. Nothing is cached: every call reads the disk. */
export class IdentityStore {
  readonly #folder: string;

  /** @param folder Made on the first write. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * All identities, the default one first, the others by name.
   *
   * @throws {UserError} When a key file cannot be read, is open to others or is damaged.
   */
  list(): StoredIdentity[] {
    const names = this.names();
    const chosen = this.defaultName(names);
    return names
      .map((name) => this.#read(name, name === chosen))
      .sort((a, b) => Number(b.isDefault) - Number(a.isDefault));
  }

  /** The names, in alphabetical order. */
  names(): string[] {
    try {
      return [...Deno.readDirSync(this.#folder)]
        .filter((entry) => !entry.isDirectory && entry.name.endsWith(SUFFIX))
        .map((entry) => entry.name.slice(0, -SUFFIX.length))
        .sort();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw new UserError(
        `cannot read the identities in ${this.#folder} (${systemProblem(error)}). ${AS_ROOT}`,
      );
    }
  }

  /** One identity. @throws {UserError} When there is none of that name, or as for `list`. */
  read(name: string): StoredIdentity {
    const names = this.names();
    if (!names.includes(name)) throw this.#unknown(name, names);
    return this.#read(name, name === this.defaultName(names));
  }

  /**
   * Keeps a new identity; the first one becomes the default.
   *
   * @throws {UserError} When the name is taken or unusable, or the disk refuses.
   */
  add(name: string, identity: PrivateHostIdentity, isAnonymous: boolean): StoredIdentity {
    try {
      identityName(name);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new UserError(`"${name}" cannot name an identity. ${error.message}.`);
    }
    const isFirst = this.names().length === 0;
    const head = `Host Identity "${name}", HIT ${formatHit(identity.hit)}\n` +
      (isAnonymous ? "Anonymous: yes\n" : "");
    const path = this.#path(name);
    try {
      Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      writeFileAtomically(path, head + encodeIdentityPem(identity), { mode: 0o600, isNew: true });
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) {
        throw new UserError(`there is an identity named "${name}" already. Choose another name.`);
      }
      throw new UserError(
        `cannot write the key file ${path} (${systemProblem(error)}). ${AS_ROOT}`,
      );
    }
    if (isFirst) this.setDefault(name);
    return { name, identity, isAnonymous, isDefault: isFirst };
  }

  /** Chooses the default. @throws {UserError} When there is no such identity. */
  setDefault(name: string): void {
    const names = this.names();
    if (!names.includes(name)) throw this.#unknown(name, names);
    const path = `${this.#folder}/default`;
    try {
      writeFileAtomically(path, `${name}\n`, { mode: 0o600 });
    } catch (error) {
      throw new UserError(`cannot write ${path} (${systemProblem(error)}). ${AS_ROOT}`);
    }
  }

  /** The name that was chosen; the first one when that one is gone; undefined without any. */
  defaultName(names: readonly string[] = this.names()): string | undefined {
    const chosen = readIfThere(`${this.#folder}/default`)?.trim();
    return chosen !== undefined && names.includes(chosen) ? chosen : names[0];
  }

  #read(name: string, isDefault: boolean): StoredIdentity {
    const path = this.#path(name);
    const text = readKeyFile(path);
    const begin = Math.max(0, text.indexOf("-----BEGIN"));
    const isAnonymous = /^Anonymous: yes$/m.test(text.slice(0, begin));
    try {
      return { name, identity: decodeIdentityPem(text.slice(begin)), isAnonymous, isDefault };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(`${path}: ${error.message}`);
    }
  }

  #path(name: string): string {
    return `${this.#folder}/${name}${SUFFIX}`;
  }

  #unknown(name: string, names: readonly string[]): UserError {
    const known = names.length === 0 ? "There is none yet" : `There are: ${names.join(", ")}`;
    return new UserError(`there is no identity named "${name}". ${known}.`);
  }
}

const AS_ROOT = "Run it as root.";

function readKeyFile(path: string): string {
  try {
    // One descriptor for check and read, so that the file cannot be exchanged in between.
    const file = Deno.openSync(path, { read: true });
    try {
      const { mode, size } = file.statSync();
      if (((mode ?? 0) & 0o077) !== 0) {
        const octal = ((mode ?? 0) & 0o777).toString(8).padStart(4, "0");
        throw new UserError(
          `the key file ${path} is open to other users (mode ${octal}). Run: chmod 600 ${path}`,
        );
      }
      const bytes = new Uint8Array(Math.min(size, 65_536));
      let length = 0;
      for (;;) {
        const got = file.readSync(bytes.subarray(length));
        if (got === null || got === 0) break;
        length += got;
      }
      return new TextDecoder().decode(bytes.subarray(0, length));
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot read the key file ${path} (${systemProblem(error)}). ${AS_ROOT}`);
  }
}
