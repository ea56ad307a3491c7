/** HMAC (RFC 2104) over the hashes of the SHA families, for protocols other than HIP. */

import { createHmac } from "node:crypto";

export type HmacHash = "sha1" | "sha224" | "sha256" | "sha384" | "sha512";

/** The MAC over all parts after one another, at its natural length. */
export function hmacOf(hash: HmacHash, key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  const mac = createHmac(hash, key);
  for (const part of parts) mac.update(part);
  return Uint8Array.from(mac.digest());
}
