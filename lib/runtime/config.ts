/**
 * The configuration: one complete, documented type, parsed once before anything starts.
 *
 * The file holds `KEY = VALUE` lines and `#` comments. An unknown key, a repeated key or a value
 * that cannot be used is an error that names file and line, so that a slip never passes for a
 * setting. Command-line options are lines of the same form that win over the file.
 */

import { ConfigError } from "../base/errors.ts";
import type { LogLevel } from "../base/logger.ts";
import { AUDIT_EVENTS, type AuditEvent } from "../esp/audit_event.ts";
import type { EsnMode } from "../esp/security_association.ts";
import { DEFAULT_CONTROL_SETTINGS, ICMP_KINDS, type IcmpKind } from "../hip/constants.ts";
import { IDENTITY_KINDS, type IdentityKind } from "../identity/host_identity.ts";
import { parseIpAddress } from "../wire/ip_address.ts";

/** What is done to the system's resolver. */
export type ResolverMode = "auto" | "none" | "required";

/** Every setting; no later code asks whether one is set. */
export interface Config {
  /**
   * Name of the Host Identity to use by default; empty for the one that `hip identity use` chose.
   * Default empty: the choice then lives beside the keys.
   */
  readonly identity: string;
  /**
   * Kind of the identity that the first start makes. Default `ecdsa-p256`: every RFC 7401 host
   * must verify it, it is fast natively everywhere (0.3 ms), its signature is 64 octets, and its
   * key fits in a DNS record. Ed25519 is only in RFC 9374, which older peers do not know.
   */
  readonly identityKind: IdentityKind;
  /**
   * Diffie-Hellman Group IDs (RFC 7401 §5.2.7), most preferred first. Default 7, 8, 9, 4, 11, 3:
   * the NIST curves P-256, P-384 and P-521 first, since they are cheap and strong; the MODP
   * groups of 3072, 2048 and 1536 bits for peers without curves.
   */
  readonly dhGroups: readonly number[];
  /** HIP Cipher IDs (§5.2.8), most preferred first. Default 2, 4: AES-128-CBC, AES-256-CBC. */
  readonly hipCiphers: readonly number[];
  /**
   * ESP suite IDs (RFC 7402 §5.1.2), most preferred first. Default 13, 9, 8, 12: AES-GCM is
   * fastest and has a full ICV; 9 and 8 are those that every host must have; 12 has a short ICV.
   * Suite 7 (no encryption) is never offered unless it stands here.
   */
  readonly espSuites: readonly number[];
  /**
   * Whether ICVs cover all 64 bits of the ESP sequence number, as RFC 7402 §3.3.6 wants: `on`;
   * `off` for peers that leave the high half out; `auto` does as each peer does. Default `auto`.
   */
  readonly esn: EsnMode;
  /** HIT Suite IDs (§5.2.10) accepted of peers. Default 1, 2, 5, 3: all; SHA-1 last. */
  readonly hitSuites: readonly number[];
  /** #K of the puzzles we pose, 0 to 20. Default 0, as RFC 7401 §7 wants without load. */
  readonly puzzleDifficulty: number;
  /** Whether our HOST_ID travels encrypted in I2. Default yes: it hides who we are on the path. */
  readonly encryptHostId: boolean;
  /**
   * Loopback address of the DNS proxy, port 53. Default 127.0.0.1; 127.0.0.139 takes its place
   * when another program holds port 53 there.
   */
  readonly listen: string;
  /**
   * Addresses of the DNS servers to ask. Default `auto` (an empty list): those that the system
   * used before.
   */
  readonly upstream: readonly string[];
  /**
   * `auto` points the system's resolver at the proxy and goes on with a warning where that is not
   * possible; `required` stops then; `none` touches nothing. Default `auto`.
   */
  readonly resolver: ResolverMode;
  /** Name of the TUN device, 1 to 15 characters. Default `hip0`. */
  readonly interfaceName: string;
  /**
   * MTU of the TUN device in octets, 1280 to 9000. Default 1400: on a path of 1,500 octets this
   * leaves room for the longest suite, UDP encapsulation included.
   */
  readonly mtu: number;
  /**
   * Whether ESP over IPv4 leaves with "don't fragment", so that routers report a smaller MTU.
   * Default yes; `no` for paths where such reports get lost: then routers cut packets up.
   */
  readonly pathMtuDiscovery: boolean;
  /** Seconds after which a path MTU that ICMP reported is forgotten, 60 to 86400. Default 600. */
  readonly pathMtuLifetimeSeconds: number;
  /**
   * Kinds of ICMP errors that are believed, since nobody vouches for them (RFC 4301 §6.1.1).
   * Default all: `too-big` is checked against what was sent, `unreachable` is a hint at most.
   */
  readonly acceptIcmp: readonly IcmpKind[];
  /** Seconds without traffic after which an association is closed, 60 to 604800. Default 900. */
  readonly idleTimeoutSeconds: number;
  /** What happens to ESP packets that is logged, at most some lines a second. Default `none`. */
  readonly audit: readonly AuditEvent[];
  /** Least important log lines that are written. Default `info`. */
  readonly logLevel: LogLevel;
  /**
   * Where ESP is computed. Default `auto`: the system's libcrypto when it is there, else the
   * runtime's own (`portable`). `libcrypto` stops when it is absent.
   */
  readonly crypto: "auto" | "portable" | "libcrypto";
}

/** What holds when nothing is said. */
export const DEFAULT_CONFIG: Config = {
  identity: "",
  identityKind: "ecdsa-p256",
  dhGroups: [7, 8, 9, 4, 11, 3],
  hipCiphers: [2, 4],
  espSuites: [13, 9, 8, 12],
  esn: DEFAULT_CONTROL_SETTINGS.esn,
  hitSuites: [1, 2, 5, 3],
  puzzleDifficulty: DEFAULT_CONTROL_SETTINGS.puzzleDifficultyK,
  encryptHostId: true,
  listen: "127.0.0.1",
  upstream: [],
  resolver: "auto",
  interfaceName: "hip0",
  mtu: 1400,
  pathMtuDiscovery: true,
  pathMtuLifetimeSeconds: DEFAULT_CONTROL_SETTINGS.pathMtuLifetime / 1000,
  acceptIcmp: DEFAULT_CONTROL_SETTINGS.acceptedIcmp,
  idleTimeoutSeconds: DEFAULT_CONTROL_SETTINGS.unusedAssociationLifetime / 1000,
  audit: DEFAULT_CONTROL_SETTINGS.audit,
  logLevel: "info",
  crypto: "auto",
};

/** The names that settings have in the file, and how their values are read. */
const SETTINGS: { readonly [key: string]: (text: string) => Partial<Config> } = {
  identity: (text) => ({ identity: identityName(text) }),
  identity_kind: (text) => ({ identityKind: oneOf(IDENTITY_KINDS, text) }),
  dh_groups: (text) => ({ dhGroups: numbers(text, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 32) }),
  hip_ciphers: (text) => ({ hipCiphers: numbers(text, [1, 2, 4], 6) }),
  esp_suites: (text) => ({ espSuites: numbers(text, [7, 8, 9, 12, 13], 6) }),
  esn: (text) => ({ esn: oneOf(["auto", "on", "off"] as const, text) }),
  hit_suites: (text) => ({ hitSuites: numbers(text, [1, 2, 3, 5], 16) }),
  puzzle_difficulty: (text) => ({ puzzleDifficulty: integer(text, 0, 20) }),
  encrypt_host_id: (text) => ({ encryptHostId: yesOrNo(text) }),
  listen: (text) => ({ listen: address(text) }),
  upstream: (text) => ({ upstream: text === "auto" ? [] : list(text).map(address) }),
  resolver: (text) => ({ resolver: oneOf(["auto", "none", "required"] as const, text) }),
  interface: (text) => ({ interfaceName: interfaceName(text) }),
  mtu: (text) => ({ mtu: integer(text, 1280, 9000) }),
  path_mtu_discovery: (text) => ({ pathMtuDiscovery: yesOrNo(text) }),
  path_mtu_lifetime: (text) => ({ pathMtuLifetimeSeconds: integer(text, 60, 86_400) }),
  accept_icmp: (text) => ({ acceptIcmp: words(ICMP_KINDS, text) }),
  idle_timeout: (text) => ({ idleTimeoutSeconds: integer(text, 60, 604_800) }),
  audit: (text) => ({ audit: words(AUDIT_EVENTS, text) }),
  log_level: (text) => ({
    logLevel: oneOf(["debug", "info", "warning", "error"] as const, text),
  }),
  crypto: (text) => ({ crypto: oneOf(["auto", "portable", "libcrypto"] as const, text) }),
};

/** The keys a configuration file may hold. */
export const CONFIG_KEYS: readonly string[] = Object.keys(SETTINGS);

/**
 * Reads a configuration file.
 *
 * @param text Contents of the file.
 * @param file Its path, for error messages.
 * @param overrides Further `KEY=VALUE` settings that win over the file, the last one first.
 * @throws {ConfigError} On an unknown or repeated key or an unusable value; names file and line.
 */
export function parseConfig(
  text: string,
  file: string,
  overrides: readonly string[] = [],
): Config {
  let config = DEFAULT_CONFIG;
  const seen = new Map<string, number>();
  for (const [index, line] of text.split("\n").entries()) {
    const statement = line.replace(/#.*$/, "").trim();
    if (statement === "") continue;
    const number = index + 1;
    const where = `${file}, line ${number}`;
    const { key, settings } = readStatement(statement, where);
    const earlier = seen.get(key);
    if (earlier !== undefined) {
      throw new ConfigError(
        `${where}: "${key}" was set in line ${earlier} already. Keep one of the two lines.`,
      );
    }
    seen.set(key, number);
    config = { ...config, ...settings };
  }
  for (const override of overrides) {
    config = { ...config, ...readStatement(override, `option "${override}"`).settings };
  }
  return config;
}

function readStatement(
  statement: string,
  where: string,
): { key: string; settings: Partial<Config> } {
  const equals = statement.indexOf("=");
  if (equals < 0) {
    throw new ConfigError(`${where}: "${statement}" is not of the form KEY = VALUE.`);
  }
  const key = statement.slice(0, equals).trim();
  const value = statement.slice(equals + 1).trim();
  const read = Object.hasOwn(SETTINGS, key) ? SETTINGS[key] : undefined;
  if (read === undefined) {
    const near = nearest(key);
    const hint = near === undefined ? `Known keys: ${CONFIG_KEYS.join(", ")}` : `Use "${near}"`;
    throw new ConfigError(`${where}: unknown key "${key}". ${hint}.`);
  }
  try {
    return { key, settings: read(value) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ConfigError(`${where}: ${key} cannot be "${value}". ${error.message}.`);
  }
}

/** The known key that is one or two edits away, for a slip of the finger. */
function nearest(key: string): string | undefined {
  return CONFIG_KEYS.find((known) => editDistance(known, key.toLowerCase()) <= 2);
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

function list(text: string): string[] {
  const items = text.split(/[\s,]+/).filter((item) => item !== "");
  if (items.length === 0) throw new SyntaxError("Give at least one value, separated by commas");
  return items;
}

function integer(text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) {
    throw new SyntaxError(`Use a whole number from ${least} to ${most}`);
  }
  return value;
}

function numbers(text: string, allowed: readonly number[], most: number): number[] {
  const values = list(text).map((item) => /^\d+$/.test(item) ? Number(item) : NaN);
  if (values.some((value) => !allowed.includes(value))) {
    throw new SyntaxError(`Use numbers out of ${allowed.join(", ")}`);
  }
  if (new Set(values).size !== values.length) throw new SyntaxError("Name each number once");
  if (values.length > most) throw new SyntaxError(`Name ${most} at most`);
  return values;
}

function oneOf<T extends string>(words: readonly T[], text: string): T {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new SyntaxError(`Use one of ${words.join(", ")}`);
  return word;
}

/** Several of `all`, "none" or "all". */
function words<T extends string>(all: readonly T[], text: string): readonly T[] {
  if (text === "none") return [];
  if (text === "all") return all;
  const chosen = list(text);
  if (chosen.some((word) => !all.some((known) => known === word))) {
    throw new SyntaxError(`Use none, all, or some of ${all.join(", ")}`);
  }
  return all.filter((known) => chosen.includes(known));
}

function yesOrNo(text: string): boolean {
  return oneOf(["yes", "no"] as const, text) === "yes";
}

function address(text: string): string {
  try {
    parseIpAddress(text);
  } catch {
    throw new SyntaxError("Use an IPv4 or IPv6 address");
  }
  return text;
}

function interfaceName(text: string): string {
  if (!/^[A-Za-z0-9._-]{1,15}$/.test(text) || text === "." || text === "..") {
    throw new SyntaxError("Use 1 to 15 letters, digits, dots, dashes or underscores");
  }
  return text;
}

/**
 * Checks the name of an identity, which is also the name of its file.
 *
 * @throws {SyntaxError} Unless it is 1 to 63 letters, digits, dots, dashes or underscores and does
 * not start with a dot or dash.
 */
export function identityName(text: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$/.test(text)) {
    throw new SyntaxError("Use 1 to 63 letters, digits, dots, dashes or underscores");
  }
  return text;
}
