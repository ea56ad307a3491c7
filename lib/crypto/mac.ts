/**
 * The MAC of a HIT Suite: HMAC at its natural length for suites 1, 2 and 3 (RFC 7401 §5.2.12,
 * §6.4.1), KMAC128 for suite 5 (RFC 9374 §3.4.2, NIST SP 800-185).
 */

import { createHmac } from "node:crypto";
import { kmac128 } from "@noble/hashes/sha3-addons.js";
import { concatBytes } from "../base/bytes.ts";
import { type Rhash, rhashLength } from "./rhash.ts";

/**
 * The MAC over all parts after one another.
 *
 * @param key Any length; HIP's own keys have `rhashLength(rhash)` octets.
 * @returns `rhashLength(rhash)` octets, never truncated.
 */
export function hipMac(rhash: Rhash, key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  if (rhash === "cshake128") {
    return kmac128(key, concatBytes(...parts), { dkLen: rhashLength(rhash) });
  }
  const hmac = createHmac(rhash, key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest());
}
