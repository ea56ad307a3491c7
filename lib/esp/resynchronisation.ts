/**
 * The way back when so many packets were lost that the high sequence word is no longer inferred
 * right (RFC 4303 appendix A3). After many failures in a row one packet is tried with later high
 * words; whatever verifies clears the run.
 *
 * Forged packets cause such runs too: so it is one packet of many, and few words. That packet is
 * copied, since a failed attempt may spoil it; no other packet costs more than a comparison.
 */

import type { InboundSa } from "./security_association.ts";

/** Packets in a row that fail before one is tried again: a flood costs 3 % more. */
const FAILURES = 256;

/** High words tried beside the inferred one: 2^35 packets lost, a day at any rate we know of. */
const MOST_TRIES = 8;

/** Whether the next packet is to be opened with `openLost`. */
export function isResynchronisationDue({ failuresInRow }: InboundSa): boolean {
  return failuresInRow > 0 && failuresInRow % FAILURES === 0;
}

/**
 * Opens a packet in place with the inferred high word or a later one.
 *
 * @returns The high word that was right; undefined when none was.
 */
export function openLost(
  sa: InboundSa,
  bytes: Uint8Array,
  start: number,
  end: number,
  inferredHigh: number,
): number | undefined {
  const packet = bytes.slice(start, end);
  const last = sa.omitsHigh ? inferredHigh : Math.min(inferredHigh + MOST_TRIES, 0xffffffff);
  for (let high = inferredHigh; high <= last; high++) {
    if (sa.open(bytes, start, end, high)) return high;
    bytes.set(packet, start);
  }
  return undefined;
}
