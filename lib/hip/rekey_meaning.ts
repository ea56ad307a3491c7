/** Which old and new SPI of an ESP_INFO in UPDATE mean what (RFC 8046 §5.3, RFC 7402 §6.8, §6.9). */

import { SMALLEST_SPI } from "../esp/security_association.ts";
import type { EspInfo } from "../wire/hip/parameters/esp_info.ts";

/** What is known of the peer's SPIs, one SA in each direction. */
export interface PeerSpis {
  /** The one we send to. */
  readonly current: number;
  /** The one we sent to before the last rekey. */
  readonly former: number | undefined;
  /** What it has asked for in the rekey under way, if it has. */
  readonly asked: EspInfo | undefined;
}

/**
 * - "rekey": a new SPI in place of the one in use;
 * - "again": the same as it asked for before, in another UPDATE;
 * - "instead": another new SPI than it asked for before, its rekey restarted;
 * - "too early": the next rekey, while the ACK that ends this one for us is still on its way;
 * - "nothing": information, or a late copy of what is done; acknowledged, not used;
 * - "error": none of these.
 */
export type RekeyMeaning = "rekey" | "again" | "instead" | "too early" | "nothing" | "error";

export function rekeyMeaning(
  { oldSpi, newSpi }: EspInfo,
  { current, former, asked }: PeerSpis,
): RekeyMeaning {
  if (asked !== undefined && asked.newSpi === newSpi && asked.oldSpi === oldSpi) return "again";
  // Only who is done with this rekey names its new SPI as the old one.
  if (asked !== undefined && oldSpi === asked.newSpi && newSpi !== oldSpi) return "too early";
  const isKnown = oldSpi === current || (oldSpi !== 0 && oldSpi === former);
  if (isKnown && (newSpi === current || newSpi === oldSpi)) return "nothing";
  // An SA that goes without successor, or an additional one.
  if ((oldSpi === current && newSpi === 0) || (oldSpi === 0 && newSpi >= SMALLEST_SPI)) {
    return "nothing";
  }
  if (oldSpi !== current || newSpi < SMALLEST_SPI) return "error";
  return asked === undefined ? "rekey" : "instead";
}
