/**
 * The file of static names (`/etc/hip/hosts`): who is reached under which name, written by hand, by
 * `hip host add`, or taken from a peer's `hip identity show --hosts`.
 *
 * ```
 * # a HIT, a locator or an LSI, then names; lines that share a name belong together
 * 2001:22:41c0:...:77ef  db1.example.org db1
 * 192.0.2.7              db1.example.org
 * 2001:22:8f31:...:9a04  locator=192.0.2.9,2001:db8::9 rvs=rvs.example.org key=BASE64 alg=3 web1
 * ```
 *
 * A key is checked against the HIT in its line. Malformed lines are reported and passed over.
 */

import { bytesEqual } from "../base/bytes.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { dnsKeyToHostIdentity, hitOf, isHit } from "../identity/hit.ts";
import { DEFAULT_LSI_POOL, type LsiPool, mappedAddress } from "../identity/lsi.ts";
import { decodeBase64, encodeBase64 } from "../wire/dns/hip_presentation.ts";
import { formatHostName, nameKey, parseName } from "../wire/dns/name.ts";
import { formatIpAddress, hasPrefix, parseIpAddress } from "../wire/ip_address.ts";
import { isUsableLocator } from "./locator_rules.ts";

/** One line of the file. */
export interface HostsEntry {
  readonly kind: "hit" | "locator" | "lsi";
  /** 16 octets: the HIT, the locator, or the LSI as IPv4-mapped. */
  readonly address: Uint8Array;
  /** At least one; uncompressed. The first is the canonical one. */
  readonly names: readonly Uint8Array[];
  /** Of a HIT only; most preferred first. */
  readonly locators: readonly Uint8Array[];
  /** Names of rendezvous servers, of a HIT only; most preferred first. */
  readonly rendezvousNames: readonly Uint8Array[];
  /** Of a HIT only: the key in its DNS form. */
  readonly key: { readonly pkAlgorithm: number; readonly publicKey: Uint8Array } | undefined;
}

/** A line that was passed over. */
export interface HostsProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

/** An entry of a file, and its line, counted from 1. */
export interface NumberedEntry extends HostsEntry {
  readonly line: number;
}

/**
 * Reads the whole file.
 *
 * @param pool Where LSIs are taken from.
 */
export function parseHostsFile(
  text: string,
  pool: LsiPool = DEFAULT_LSI_POOL,
): { entries: NumberedEntry[]; problems: HostsProblem[] } {
  const entries: NumberedEntry[] = [];
  const problems: HostsProblem[] = [];
  text.split("\n").forEach((source, index) => {
    try {
      const entry = parseHostsLine(source, pool);
      if (entry !== undefined) entries.push({ ...entry, line: index + 1 });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      problems.push({ line: index + 1, message: error.message });
    }
  });
  return { entries, problems };
}

/**
 * Reads one line.
 *
 * @returns undefined for an empty line or a comment.
 * @throws {SyntaxError} Saying what is wrong with it.
 */
export function parseHostsLine(
  source: string,
  pool: LsiPool = DEFAULT_LSI_POOL,
): HostsEntry | undefined {
  const [first, ...words] = source.replace(/#.*/, "").split(/\s+/).filter((word) => word !== "");
  if (first === undefined) return undefined;
  const address = parseIpAddress(first);
  const kind = isHit(address)
    ? "hit"
    : hasPrefix(address, mappedAddress(pool.first), 96 + pool.prefixLength)
    ? "lsi"
    : "locator";
  const options = new Map<string, string>();
  const names: Uint8Array[] = [];
  for (const word of words) {
    const option = /^([a-z]+)=(.*)$/.exec(word);
    if (option === null) {
      names.push(parseName(word));
      continue;
    }
    const [, key, value] = option as unknown as [string, string, string];
    if (!["locator", "rvs", "key", "alg"].includes(key)) {
      throw new SyntaxError(`unknown option "${key}="; known are locator=, rvs=, key= and alg=`);
    }
    if (options.has(key)) throw new SyntaxError(`option "${key}=" appears twice`);
    if (kind !== "hit") throw new SyntaxError(`option "${key}=" needs a HIT, ${first} is none`);
    options.set(key, value);
  }
  if (names.length === 0) throw new SyntaxError(`no name behind ${first}`);
  if (kind === "locator" && !isUsableLocator(address)) {
    throw new SyntaxError(`${first} is neither a HIT nor an address that can be reached`);
  }
  const locators = (options.get("locator") ?? "").split(",").filter((item) => item !== "")
    .map((item) => {
      const locator = parseIpAddress(item);
      if (!isUsableLocator(locator)) throw new SyntaxError(`locator ${item} cannot be reached`);
      return locator;
    });
  const rendezvousNames = (options.get("rvs") ?? "").split(",").filter((item) => item !== "")
    .map((item) => parseName(item));
  const entry = {
    kind,
    address,
    names,
    locators,
    rendezvousNames,
    key: parseKey(options),
  } as const;
  const identity = entryIdentity(entry);
  if (identity !== undefined && !bytesEqual(hitOf(identity), address)) {
    throw new SyntaxError(
      `the key's HIT is ${formatIpAddress(hitOf(identity))}, the line says ${first}`,
    );
  }
  return entry;
}

function parseKey(options: ReadonlyMap<string, string>): HostsEntry["key"] {
  const key = options.get("key");
  const algorithm = options.get("alg");
  if (key === undefined && algorithm === undefined) return undefined;
  if (key === undefined || algorithm === undefined || !/^[1-4]$/.test(algorithm)) {
    throw new SyntaxError("key= and alg= belong together, and alg= is 1 to 4");
  }
  const parsed = { pkAlgorithm: Number(algorithm), publicKey: decodeBase64(key) };
  if (dnsKeyToHostIdentity(parsed.pkAlgorithm, parsed.publicKey) === undefined) {
    throw new SyntaxError(`key= is no key of algorithm ${algorithm}`);
  }
  return parsed;
}

/** The full key of an entry, where it has one. */
export function entryIdentity(entry: Pick<HostsEntry, "key">): PublicHostIdentity | undefined {
  if (entry.key === undefined) return undefined;
  return dnsKeyToHostIdentity(entry.key.pkAlgorithm, entry.key.publicKey);
}

/** The line for an entry; `parseHostsLine` reads it back as the same entry. */
export function formatHostsLine(entry: HostsEntry): string {
  const words = [formatIpAddress(entry.address)];
  if (entry.locators.length > 0) {
    words.push(`locator=${entry.locators.map(formatIpAddress).join(",")}`);
  }
  if (entry.rendezvousNames.length > 0) {
    words.push(`rvs=${entry.rendezvousNames.map(formatHostName).join(",")}`);
  }
  if (entry.key !== undefined) {
    words.push(`key=${encodeBase64(entry.key.publicKey)}`, `alg=${entry.key.pkAlgorithm}`);
  }
  return [...words, ...entry.names.map(formatHostName)].join(" ");
}

/** The file with `entry` at its end; lines for the same address and first name are replaced. */
export function addHostsEntry(text: string, entry: HostsEntry): string {
  const name = nameKey(entry.names[0]!);
  const kept = keepLines(
    text,
    (known) => !(bytesEqual(known.address, entry.address) && nameKey(known.names[0]!) === name),
  );
  return `${kept.text}${formatHostsLine(entry)}\n`;
}

/** The file without the lines of a name or of an address, and how many there were. */
export function removeHostsEntries(
  text: string,
  nameOrAddress: string,
): { text: string; removed: number } {
  let address: Uint8Array | undefined;
  try {
    address = parseIpAddress(nameOrAddress);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const name = address === undefined ? nameKey(parseName(nameOrAddress)) : undefined;
  return keepLines(
    text,
    (entry) =>
      address === undefined
        ? !entry.names.some((known) => nameKey(known) === name)
        : !bytesEqual(entry.address, address),
  );
}

/** Comments and lines that cannot be read stay as they are. */
function keepLines(
  text: string,
  isKept: (entry: HostsEntry) => boolean,
): { text: string; removed: number } {
  let removed = 0;
  const lines = text === "" ? [] : text.replace(/\n$/, "").split("\n");
  const kept = lines.filter((line) => {
    let entry: HostsEntry | undefined;
    try {
      entry = parseHostsLine(line);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    if (entry === undefined || isKept(entry)) return true;
    removed++;
    return false;
  });
  return { text: kept.map((line) => `${line}\n`).join(""), removed };
}
