/** Waits between retransmissions. */

import { type Duration, milliseconds } from "../base/time.ts";

/** The wait after transmission number `attempt`, 1 the first: doubles, up to `limit`. */
export function backOff(first: Duration, limit: Duration, attempt: number): Duration {
  return milliseconds(Math.min(first * 2 ** (attempt - 1), limit));
}

/** All the waits of so many transmissions: from the first to when the last is given up. */
export function backOffTotal(first: Duration, limit: Duration, attempts: number): Duration {
  let total = 0;
  for (let attempt = 1; attempt <= attempts; attempt++) total += backOff(first, limit, attempt);
  return milliseconds(total);
}
