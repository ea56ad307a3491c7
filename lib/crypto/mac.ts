/**
 * The MAC of a HIT Suite: HMAC at its natural length for suites 1, 2 and 3 (RFC 7401 §5.2.12,
 * §6.4.1), KMAC128 for suite 5 (RFC 9374 §3.4.2, NIST SP 800-185).
 */

import { kmac128 } from "@noble/hashes/sha3-addons.js";
import { wipe } from "../base/bytes.ts";
import { digest, type Rhash, rhashLength } from "./rhash.ts";

/** Octets that the hashes take in at a time, B of RFC 2104 §2. */
const BLOCK_LENGTHS = { sha1: 64, sha256: 64, sha384: 128 } as const;

/**
 * The MAC over all parts after one another.
 *
 * @param key Any length; HIP's own keys have `rhashLength(rhash)` octets.
 * @returns `rhashLength(rhash)` octets, never truncated.
 */
export function hipMac(rhash: Rhash, key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  const mac = new HipMac(rhash, key);
  const result = mac.of(...parts);
  mac.wipe();
  return result;
}

/**
 * `hipMac` under one key, for several messages: KMAC128 takes in its name and the key, two thirds of
 * the work on a short message, only once.
 */
export class HipMac {
  readonly #rhash: Rhash;
  readonly #key: Uint8Array;
  readonly #keyed: ReturnType<typeof kmac128.create> | undefined;

  /** @param key Borrowed. */
  constructor(rhash: Rhash, key: Uint8Array) {
    this.#rhash = rhash;
    this.#key = key;
    if (rhash === "cshake128") this.#keyed = kmac128.create(key, { dkLen: rhashLength(rhash) });
  }

  of(...parts: Uint8Array[]): Uint8Array {
    const rhash = this.#rhash;
    if (rhash !== "cshake128") return hmac(rhash, this.#key, parts);
    const message = this.#keyed!.clone();
    for (const part of parts) message.update(part);
    return message.digest();
  }

  /** Overwrites what was made of the key; the key is the caller's. */
  wipe(): void {
    this.#keyed?.destroy();
  }
}

function hmac(
  rhash: keyof typeof BLOCK_LENGTHS,
  key: Uint8Array,
  parts: readonly Uint8Array[],
): Uint8Array {
  // RFC 2104 §2 by hand: two hashes cost a fraction of what the runtime's HMAC object does.
  const blockLength = BLOCK_LENGTHS[rhash];
  const short = key.length > blockLength ? digest(rhash, key) : key;
  const inner = new Uint8Array(blockLength).fill(0x36);
  const outer = new Uint8Array(blockLength).fill(0x5c);
  for (let i = 0; i < short.length; i++) {
    inner[i]! ^= short[i]!;
    outer[i]! ^= short[i]!;
  }
  const mac = digest(rhash, outer, digest(rhash, inner, ...parts));
  wipe(inner, outer);
  return mac;
}
