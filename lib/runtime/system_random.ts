/** The system's generator of random octets (getrandom(2)), as a `Random`. */

import type { Random } from "../base/random.ts";

/** Most octets that the Web Cryptography API gives in one call. */
const MOST_AT_ONCE = 65536;

export const SYSTEM_RANDOM: Random = {
  fill(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; offset += MOST_AT_ONCE) {
      crypto.getRandomValues(
        bytes.subarray(offset, offset + MOST_AT_ONCE) as Uint8Array<ArrayBuffer>,
      );
    }
  },
};
