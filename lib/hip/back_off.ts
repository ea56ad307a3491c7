/** Waits between retransmissions. */

import { type Duration, milliseconds } from "../base/time.ts";

/** The wait after transmission number `attempt`, 1 the first: doubles, up to `limit`. */
export function backOff(first: Duration, limit: Duration, attempt: number): Duration {
  return milliseconds(Math.min(first * 2 ** (attempt - 1), limit));
}
