/** How settings about names are read; see `config_values.ts`. */

import { NAME_MODES, type NameModeRule } from "../dns/name_modes.ts";
import { lsiNumber, type LsiPool } from "../identity/lsi.ts";
import { parseName } from "../wire/dns/name.ts";
import { isIpv4, parseIpAddress } from "../wire/ip_address.ts";
import { list, oneOf } from "./config_values.ts";

/** `require example.org example.net`: one mode for some suffixes; "." is every name. */
export function nameModes(text: string): NameModeRule[] {
  const [word, ...suffixes] = list(text);
  const mode = oneOf(NAME_MODES, word!);
  if (suffixes.length === 0) {
    throw new SyntaxError(`Say for which names, such as "${mode} example.org", or "." for all`);
  }
  return domainNames(suffixes.join(" ")).map((suffix) => ({ suffix, mode }));
}

/** Names, each with all below it; "." is every name. */
export function domainNames(text: string): Uint8Array[] {
  return list(text).map((name) => {
    try {
      return parseName(name);
    } catch {
      throw new SyntaxError(`"${name}" is no domain name`);
    }
  });
}

/** An IPv4 prefix of 8 to 24 bits. */
export function lsiPool(text: string): LsiPool {
  const match = /^([0-9.]+)\/([0-9]{1,2})$/.exec(text);
  const prefixLength = Number(match?.[2] ?? NaN);
  try {
    const address = parseIpAddress(match?.[1] ?? "");
    const first = lsiNumber(address);
    const isWhole = first % 2 ** (32 - prefixLength) === 0;
    if (isIpv4(address) && prefixLength >= 8 && prefixLength <= 24 && isWhole) {
      return { first, prefixLength };
    }
  } catch {
    // Said below.
  }
  throw new SyntaxError("Use an IPv4 prefix of 8 to 24 bits, such as 198.18.0.0/15");
}
