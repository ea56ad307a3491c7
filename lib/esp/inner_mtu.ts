/** How large an inner packet may be so that its ESP packet fits the path (RFC 4301 §8.2.1). */

import { ESP_HEADER_LENGTH, type EspSuiteParameters } from "../crypto/esp_suite.ts";
import { INNER_HEADER_LENGTH } from "./beet.ts";

/** Pad Length and Next Header. */
const TRAILER_LENGTH = 2;

/** Smallest MTU that IPv6 allows on a link (RFC 8200 §5). */
export const SMALLEST_IPV6_MTU = 1280;

/** The outer header: its family, and whether ESP travels in UDP (RFC 5770 §5.1). */
export interface OuterForm {
  readonly family: 4 | 6;
  readonly isUdp?: boolean;
}

/**
 * The largest inner IPv6 packet, header included, whose ESP packet is not longer than `pathMtu`.
 * The result may be below 1280, which must not be offered to IPv6: see `offeredMtu`.
 *
 * @param pathMtu Octets, outer IP header included.
 */
export function innerMtu(suite: EspSuiteParameters, pathMtu: number, outer: OuterForm): number {
  const overhead = (outer.family === 4 ? 20 : 40) + (outer.isUdp ? 8 : 0) + ESP_HEADER_LENGTH +
    suite.ivLength + suite.icvLength;
  const ciphertext = Math.floor((pathMtu - overhead) / suite.padModulus) * suite.padModulus;
  return INNER_HEADER_LENGTH + ciphertext - TRAILER_LENGTH;
}

/** The inner MTU as IPv6 may be told it: never below 1280; the outer packet is cut up instead. */
export function offeredMtu(suite: EspSuiteParameters, pathMtu: number, outer: OuterForm): number {
  return Math.max(SMALLEST_IPV6_MTU, innerMtu(suite, pathMtu, outer));
}
