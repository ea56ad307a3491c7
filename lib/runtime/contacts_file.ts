/**
 * Where peers were met, kept for the agent after this one: connections of applications outlive an
 * agent that is restarted, but not the host's own restart, and neither does this file, which names
 * the boot it belongs to. No key and no other state of an association is in it (RFC 7401 §6.16).
 *
 * ```
 * boot 6f3c…
 * 2001:22:…local 2001:22:…peer 192.0.2.7 10500
 * ```
 *
 * The last word is the peer's UDP port; 0, or nothing, for without UDP.
 */

import type { Logger } from "../base/logger.ts";
import type { Contact } from "../engine/contacts.ts";
import { formatHit, isHit } from "../identity/hit.ts";
import { formatIpAddress, parseIpAddress } from "../wire/ip_address.ts";
import { readIfThere, systemProblem, writeFileAtomically } from "./atomic_file.ts";

/** Changes that come within this many milliseconds are written at once. */
const SETTLE_MS = 200;

/** The text of the file, contacts in order. */
export function formatContacts(boot: string, contacts: readonly Contact[]): string {
  const lines = contacts.map(({ localHit, peerHit, address, peerPort }) =>
    `${formatHit(localHit)} ${formatHit(peerHit)} ${formatIpAddress(address)} ${peerPort}\n`
  );
  return `boot ${boot}\n${lines.join("")}`;
}

/** The contacts of a file of this boot; lines that make no sense are passed over. */
export function parseContacts(boot: string, text: string): Contact[] {
  const [first, ...lines] = text.split("\n");
  if (first !== `boot ${boot}`) return [];
  return lines.flatMap((line) => {
    const words = line.split(" ");
    if (words.length < 3 || words.length > 4) return [];
    try {
      const [localHit, peerHit, address] = words.slice(0, 3).map((word) => parseIpAddress(word));
      const peerPort = Number(words[3] ?? 0);
      const isPort = Number.isInteger(peerPort) && peerPort >= 0 && peerPort <= 0xffff;
      if (!isHit(localHit!) || !isHit(peerHit!) || !isPort) return [];
      return [{ localHit: localHit!, peerHit: peerHit!, address: address!, peerPort }];
    } catch {
      return [];
    }
  });
}

/** Keeps the file as the engine knows it. */
export class ContactsFile {
  readonly #path: string;
  readonly #contacts: () => readonly Contact[];
  readonly #logger: Logger;
  readonly #boot: string;
  #timer: number | undefined;

  /** @param contacts What is to be in the file when it is written. */
  constructor(path: string, contacts: () => readonly Contact[], logger: Logger) {
    this.#path = path;
    this.#contacts = contacts;
    this.#logger = logger;
    this.#boot = readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  }

  /** What the agent before this one has left; nothing where that was before the host started. */
  read(): Contact[] {
    try {
      const text = readIfThere(this.#path);
      return text === undefined || this.#boot === "" ? [] : parseContacts(this.#boot, text);
    } catch (error) {
      this.#logger.log("warning", `Cannot read ${this.#path}: ${systemProblem(error)}`);
      return [];
    }
  }

  /** Something has changed. */
  touch(): void {
    this.#timer ??= setTimeout(() => this.#write(), SETTLE_MS);
  }

  /** Writes what is not written yet. */
  close(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#write();
  }

  #write(): void {
    this.#timer = undefined;
    try {
      const text = formatContacts(this.#boot, this.#contacts());
      writeFileAtomically(this.#path, text, { mode: 0o600 });
    } catch (error) {
      this.#logger.log("warning", `Cannot write ${this.#path}: ${systemProblem(error)}`);
    }
  }
}
