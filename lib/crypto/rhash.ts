/**
 * RHASH: the hash function of a HIT Suite (RFC 7401 §2.3, §5.2.10; RFC 9374 §3.4.2).
 *
 * The suite of the Responder decides the hash of the puzzle, of KEYMAT and of the MACs; the suite
 * of the signer decides the hash of a signature.
 */

import { createHash, hash } from "node:crypto";
import { concatBytes, wipe } from "../base/bytes.ts";
import { HIT_SUITE } from "../wire/hip/code_points.ts";

/** Hash functions of the HIT Suites 1, 2, 3 and 5. */
export type Rhash = "sha256" | "sha384" | "sha1" | "cshake128";

const LENGTHS: Record<Rhash, number> = {
  sha256: 32,
  sha384: 48,
  sha1: 20,
  // RFC 9374 lets the output vary and fixes it for tags only. 256 bits are the shortest output
  // with the full 128-bit strength of cSHAKE128, so puzzles, MACs and KEYMAT use these.
  cshake128: 32,
};

const BY_SUITE = new Map<number, Rhash>([
  [HIT_SUITE.RSA_DSA_SHA256, "sha256"],
  [HIT_SUITE.ECDSA_SHA384, "sha384"],
  [HIT_SUITE.ECDSA_LOW_SHA1, "sha1"],
  [HIT_SUITE.EDDSA_CSHAKE128, "cshake128"],
]);

/**
 * The hash of a HIT Suite ID.
 *
 * @throws {RangeError} When the suite is reserved, unassigned or unknown.
 */
export function rhashOfSuite(hitSuite: number): Rhash {
  const rhash = BY_SUITE.get(hitSuite);
  if (rhash === undefined) throw new RangeError(`Cannot use HIT suite ${hitSuite}: unknown`);
  return rhash;
}

/** Whether `hitSuite` names a suite that we know. */
export function isKnownHitSuite(hitSuite: number): boolean {
  return BY_SUITE.has(hitSuite);
}

/** Output length n of the hash, in octets. */
export function rhashLength(rhash: Rhash): number {
  return LENGTHS[rhash];
}

/**
 * How `digest` is called, for whoever computes it: `ffi/libcrypto_digest.ts` does it quicker for few
 * octets, and passes the same tests.
 */
export type Digest = (rhash: Rhash, ...parts: Uint8Array[]) => Uint8Array;

/** The hash over all parts after one another, `rhashLength(rhash)` octets. */
export function digest(rhash: Rhash, ...parts: Uint8Array[]): Uint8Array {
  if (rhash === "cshake128") {
    // Function name and customization string are empty (RFC 9374 §3.5.2.1, literal formula), which
    // makes cSHAKE128 the same as SHAKE128 (NIST SP 800-185 §3.3).
    const shake = createHash("shake128", { outputLength: LENGTHS.cshake128 });
    for (const part of parts) shake.update(part);
    return new Uint8Array(shake.digest());
  }
  // One call for everything, answered in hexadecimal: the runtime has no quicker way.
  return Uint8Array.fromHex(hexDigest(rhash, parts));
}

/** Where short inputs are put together; holds nothing between two calls. */
const scratch = new Uint8Array(256);

/** The hash in hexadecimal over all parts after one another. */
function hexDigest(rhash: string, parts: readonly Uint8Array[]): string {
  if (parts.length === 1) return hash(rhash, parts[0]!, "hex");
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > scratch.length) {
    const all = concatBytes(...parts);
    const text = hash(rhash, all, "hex");
    wipe(all); // it may begin with a key
    return text;
  }
  let offset = 0;
  for (const part of parts) {
    // For so few octets quicker than `set`.
    for (let i = 0; i < part.length; i++) scratch[offset++] = part[i]!;
  }
  const text = hash(rhash, scratch.subarray(0, length), "hex");
  scratch.fill(0, 0, length);
  return text;
}
