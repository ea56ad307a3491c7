/**
 * Reading the configuration: `KEY = VALUE` lines and `#` comments. An unknown key, a repeated key
 * or a value that cannot be used is an error that names file and line, so that a slip never passes
 * for a setting. Command-line options are lines of the same form that win over the file. `peer`
 * may stand in many lines, once for each peer, and so may `name_mode`, once for each suffix.
 */

import { ConfigError } from "../base/errors.ts";
import { type Config, CONFIG_KEYS, DEFAULT_CONFIG, SETTINGS } from "./config.ts";
import { subjectKey } from "./config_peers.ts";
import { nameKey } from "../wire/dns/name.ts";

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
    for (const what of subjectsOf(settings).map((subject) => `${key} ${subject}`)) {
      const earlier = seen.get(what);
      if (earlier !== undefined) {
        throw new ConfigError(
          `${where}: "${key}" was set in line ${earlier} already. Keep one of the two lines.`,
        );
      }
      seen.set(what, number);
    }
    config = merged(config, settings);
  }
  for (const override of overrides) {
    config = merged(config, readStatement(override, `option "${override}"`).settings);
  }
  return config;
}

/** What the lines of a key differ in, where there may be several. */
function subjectsOf({ peers, nameModes }: Partial<Config>): string[] {
  if (peers !== undefined) return [peers.map(({ subject }) => subjectKey(subject)).join(" ")];
  return nameModes?.map(({ suffix }) => nameKey(suffix)) ?? [""];
}

/** `peer` and `name_mode` lines add up; every other setting replaces what there was. */
function merged(config: Config, settings: Partial<Config>): Config {
  const peers = [...config.peers, ...settings.peers ?? []];
  const nameModes = [...settings.nameModes ?? [], ...config.nameModes];
  return { ...config, ...settings, peers, nameModes };
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
    throw new ConfigError(`${where}: unknown key "${key}". ${keyHint(key)}`);
  }
  try {
    return { key, settings: read(value) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ConfigError(`${where}: ${key} cannot be "${value}". ${error.message}.`);
  }
}

/** Keys to name at most. */
const HINTS = 4;

/** What to write instead: the key a slip of the finger away, else those that share a word. */
function keyHint(key: string): string {
  const wanted = key.toLowerCase();
  const distances = CONFIG_KEYS.map((known) => editDistance(known, wanted));
  const least = Math.min(...distances);
  if (least <= Math.min(2, wanted.length - 2)) {
    return `Use "${CONFIG_KEYS[distances.indexOf(least)]}".`;
  }
  const words = wanted.split(/[^a-z0-9]+/).filter((word) => word.length > 2);
  const shared = (known: string) => words.filter((word) => known.includes(word)).length;
  const related = CONFIG_KEYS.filter((known) => shared(known) > 0)
    .toSorted((a, b) => shared(b) - shared(a)).slice(0, HINTS);
  const hint = related.length === 0 ? "" : `Similar ones: ${related.join(", ")}. `;
  return `${hint}All keys: hip up --help.`;
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
