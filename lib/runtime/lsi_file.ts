/**
 * Which LSI stood for which HIT, kept for the agent after this one, since programs keep addresses.
 *
 * ```
 * 198.18.7.9 2001:22:…peer 2026-11-30T20:00:00.000Z db1.example.org
 * ```
 *
 * The time is that of its last use; the name, "-" for none, leads to the peer again.
 */

import { formatHit, isHit } from "../identity/hit.ts";
import { lsiNumber, mappedAddress } from "../identity/lsi.ts";
import { formatIpAddress, isIpv4, parseIpAddress } from "../wire/ip_address.ts";

/** One line. */
export interface StoredLsi {
  /** 32 bits. */
  readonly lsi: number;
  readonly hit: Uint8Array;
  /** Milliseconds since 1970. */
  readonly lastUse: number;
  readonly name: string;
}

export function formatLsis(lsis: readonly StoredLsi[]): string {
  return lsis.map(({ lsi, hit, lastUse, name }) =>
    `${formatIpAddress(mappedAddress(lsi))} ${formatHit(hit)} ` +
    `${new Date(lastUse).toISOString()} ${name === "" ? "-" : name}\n`
  ).join("");
}

/** Lines that make no sense are passed over. */
export function parseLsis(text: string): StoredLsi[] {
  return text.split("\n").flatMap((line) => {
    const words = line.split(" ");
    if (words.length !== 4) return [];
    try {
      const [address, hit] = words.slice(0, 2).map(parseIpAddress);
      const lastUse = Date.parse(words[2]!);
      if (!isIpv4(address!) || !isHit(hit!) || Number.isNaN(lastUse)) return [];
      const name = words[3] === "-" ? "" : words[3]!;
      return [{ lsi: lsiNumber(address!), hit: hit!, lastUse, name }];
    } catch {
      return [];
    }
  });
}
