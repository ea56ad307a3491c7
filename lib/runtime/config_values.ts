/**
 * How values of settings are read. Each reader throws a `SyntaxError` whose message is what the
 * user should write instead, without the final full stop.
 */

import { type Duration, milliseconds } from "../base/time.ts";
import { isLoopback, parseIpAddress } from "../wire/ip_address.ts";

export function list(text: string): string[] {
  const items = text.split(/[\s,]+/).filter((item) => item !== "");
  if (items.length === 0) throw new SyntaxError("Give at least one value, separated by commas");
  return items;
}

export function integer(text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) {
    throw new SyntaxError(`Use a whole number from ${least} to ${most}`);
  }
  return value;
}

/** Pairs of data threads: `auto`, `no` for none, or 1 to 8. */
export function dataThreads(text: string): number | "auto" {
  if (text === "auto") return text;
  return text === "no" ? 0 : integer(text, 1, 8);
}

/**
 * Numbers out of a registry, each once.
 *
 * @param allowed Those that can be used.
 * @param why What is wrong with others, as a sentence without its full stop.
 * @param most So many at most.
 */
export function codePoints(
  text: string,
  allowed: readonly number[],
  why: Readonly<Record<number, string>>,
  most: number,
): number[] {
  const values = list(text).map((item) => /^\d+$/.test(item) ? Number(item) : NaN);
  const wrong = values.find((value) => !allowed.includes(value));
  if (wrong !== undefined) {
    const use = `Use numbers out of ${allowed.join(", ")}`;
    throw new SyntaxError(why[wrong] === undefined ? use : `${why[wrong]}. ${use}`);
  }
  if (new Set(values).size !== values.length) throw new SyntaxError("Name each number once");
  if (values.length > most) throw new SyntaxError(`Name ${most} at most`);
  return values;
}

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A span such as "500ms", "15m", "2d"; seconds when there is no unit. Bounds in the same form. */
export function span(text: string, least: string, most: string): Duration {
  const value = milliseconds(spanMs(text));
  if (!(value >= spanMs(least) && value <= spanMs(most))) {
    throw new SyntaxError(`Use a span from ${least} to ${most}, such as 500ms, 30s, 15m, 1h or 2d`);
  }
  return value;
}

function spanMs(text: string): number {
  const match = /^(\d+)\s*(ms|s|m|h|d)?$/.exec(text);
  return match === null ? NaN : Number(match[1]) * UNITS[(match[2] ?? "s") as keyof typeof UNITS];
}

/** An amount of octets such as "64G": K, M, G and T are powers of 1024. */
export function octets(text: string, least: number, most: number): number {
  const match = /^(\d+)\s*([KMGT])?$/.exec(text);
  const power = match?.[2] === undefined ? 0 : 1 + "KMGT".indexOf(match[2]);
  const value = match === null ? NaN : Number(match[1]) * 1024 ** power;
  if (!(value >= least && value <= most)) {
    throw new SyntaxError(
      `Use octets from ${formatOctetLimit(least)} to ${
        formatOctetLimit(most)
      }, such as 500M or 64G`,
    );
  }
  return value;
}

/** "64G" for 2^36: the largest unit of which it is a multiple. */
function formatOctetLimit(value: number): string {
  let power = 0;
  while (power < 4 && value % 1024 ** (power + 1) === 0) power++;
  return `${value / 1024 ** power}${["", "K", "M", "G", "T"][power]}`;
}

export function oneOf<T extends string>(words: readonly T[], text: string): T {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new SyntaxError(`Use one of ${words.join(", ")}`);
  return word;
}

/** Several of `all`, "none" or "all". */
export function words<T extends string>(all: readonly T[], text: string): readonly T[] {
  if (text === "none") return [];
  if (text === "all") return all;
  const chosen = list(text);
  if (chosen.some((word) => !all.some((known) => known === word))) {
    throw new SyntaxError(`Use none, all, or some of ${all.join(", ")}`);
  }
  return all.filter((known) => chosen.includes(known));
}

export function yesOrNo(text: string): boolean {
  return oneOf(["yes", "no"] as const, text) === "yes";
}

export function address(text: string): string {
  try {
    parseIpAddress(text);
  } catch {
    throw new SyntaxError("Use an IPv4 or IPv6 address");
  }
  return text;
}

/** Where the DNS proxy may listen: no other host is to reach it. */
export function loopbackAddress(text: string): string {
  if (isLoopback(parseIpAddress(address(text)))) return text;
  throw new SyntaxError("Use a loopback address, such as 127.0.0.1 or ::1");
}

export function interfaceName(text: string): string {
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
