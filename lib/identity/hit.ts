/**
 * Host Identity Tags: 28 bits of prefix, 4 bits of HIT Suite ID, 96 bits of hash (RFC 7401 §3.2,
 * §5.2.10; RFC 7343 §2; RFC 9374 §3.5.2.1 for suite 5), and the forms that keys have in DNS (RFC
 * 8005 §5.5, RFC 9373).
 *
 *   HIT = 2001:20::/28 | suite | middle 96 bits of RHASH(Context ID | Host Identity)
 */

import { concatBytes, fromHex } from "../base/bytes.ts";
import { validPoint } from "../crypto/ec_curve.ts";
import { DSA, ECDSA, EDDSA, hitSuiteForAlgorithm, RSA } from "../crypto/hit_suite.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { digest, isKnownHitSuite, rhashOfSuite } from "../crypto/rhash.ts";
import { ecdsaCurve, ecdsaHostIdentity, eddsaLabel, isEddsaKey } from "../crypto/signature.ts";
import { parseDsaPublicKey } from "../crypto/dsa.ts";
import { parseRsaPublicKey } from "../crypto/rsa.ts";
import { formatIpAddress } from "../wire/ip_address.ts";

/** Octets of a HIT. */
export const HIT_LENGTH = 16;

/** RFC 7401 §3.2. */
const CONTEXT_ID = fromHex("F0EFF02FBFF43D0FE7930C3C6E6174EA");

/** Octets of the hash that a HIT keeps. */
const HASH_PART = 12;

/** First four octets of 2001:20::/28, the suite in the low four bits. */
const PREFIX = 0x20010020;

/**
 * The HIT of a Host Identity.
 *
 * @throws {RangeError} When no HIT Suite has the identity's algorithm.
 */
export function hitOf(identity: PublicHostIdentity): Uint8Array {
  const suite = hitSuiteForAlgorithm(identity.algorithm);
  if (suite === undefined) {
    throw new RangeError(`Cannot make a HIT: no suite has HI algorithm ${identity.algorithm}`);
  }
  const rhash = rhashOfSuite(suite);
  const hash = digest(rhash, CONTEXT_ID, identity.hostIdentity);
  // cSHAKE128 gives as many bits as wanted, and a shorter output is the start of a longer one;
  // of fixed-length hashes the middle is taken.
  const start = rhash === "cshake128" ? 0 : (hash.length - HASH_PART) / 2;
  const hit = new Uint8Array(HIT_LENGTH);
  new DataView(hit.buffer).setUint32(0, PREFIX | suite);
  hit.set(hash.subarray(start, start + HASH_PART), 4);
  return hit;
}

/**
 * Whether 16 octets are a HIT of a suite we know. The prefix 2001:10::/28 of version 1 is none
 * (RFC 7343 §6), nor is suite 0.
 */
export function isHit(address: Uint8Array): boolean {
  return hasHitPrefix(address) && isKnownHitSuite(hitSuiteId(address));
}

/** Whether 16 octets lie in 2001:20::/28, whatever the suite. */
export function hasHitPrefix(address: Uint8Array): boolean {
  return address.length === HIT_LENGTH && address[0] === 0x20 && address[1] === 0x01 &&
    address[2] === 0 && (address[3]! & 0xf0) === 0x20;
}

/** The HIT Suite ID in a HIT, 0 to 15. */
export function hitSuiteId(hit: Uint8Array): number {
  return hit[3]! & 0x0f;
}

/** Text form, as of an IPv6 address (RFC 5952). */
export function formatHit(hit: Uint8Array): string {
  return formatIpAddress(hit);
}

/** First and last groups, "2001:22:8f31:...:9a04", for lists and log lines. */
export function shortHit(hit: Uint8Array): string {
  const group = (i: number) => (hit[2 * i]! * 256 + hit[2 * i + 1]!).toString(16);
  return `${group(0)}:${group(1)}:${group(2)}:...:${group(7)}`;
}

// PK algorithms of the HIP resource record: the registry of IPSECKEY (RFC 4025, RFC 9373).
const DNS_DSA = 1;
const DNS_RSA = 2;
const DNS_ECDSA = 3;
const DNS_EDDSA = 4;

/**
 * The Host Identity that a HIP resource record's key stands for, ready to be hashed.
 *
 * @param pkAlgorithm 1 DSA, 2 RSA, 3 ECDSA (X | Y), 4 EdDSA.
 * @returns Undefined when the algorithm is another or the key cannot be one: wrong size, number
 * out of range, point not on its curve.
 */
export function dnsKeyToHostIdentity(
  pkAlgorithm: number,
  key: Uint8Array,
): PublicHostIdentity | undefined {
  switch (pkAlgorithm) {
    case DNS_DSA:
      return parseDsaPublicKey(key) && { algorithm: DSA, hostIdentity: key.slice() };
    case DNS_RSA:
      return parseRsaPublicKey(key) && { algorithm: RSA, hostIdentity: key.slice() };
    case DNS_ECDSA: {
      const label = key.length === 64 ? 1 : key.length === 96 ? 2 : 0;
      const curve = ecdsaCurve(ECDSA, Uint8Array.of(0, label));
      const point = curve && validPoint(curve, key);
      return point && { algorithm: ECDSA, hostIdentity: ecdsaHostIdentity(label, point) };
    }
    case DNS_EDDSA: {
      const label = key.length === 32 ? 1 : 3;
      const hostIdentity = concatBytes(Uint8Array.of(0, label, 0, 0), key);
      return isEddsaKey(hostIdentity) ? { algorithm: EDDSA, hostIdentity } : undefined;
    }
    default:
      return undefined;
  }
}

/**
 * PK algorithm and key for a HIP resource record, or undefined when DNS has no form for the
 * identity: ECDSA_LOW, prehashed EdDSA, malformed.
 */
export function hostIdentityToDnsKey(
  identity: PublicHostIdentity,
): { pkAlgorithm: number; key: Uint8Array } | undefined {
  const { algorithm, hostIdentity } = identity;
  switch (algorithm) {
    case DSA:
      return { pkAlgorithm: DNS_DSA, key: hostIdentity.slice() };
    case RSA:
      return { pkAlgorithm: DNS_RSA, key: hostIdentity.slice() };
    case ECDSA: {
      const curve = ecdsaCurve(algorithm, hostIdentity);
      const point = curve && validPoint(curve, hostIdentity.subarray(2));
      return point && { pkAlgorithm: DNS_ECDSA, key: point.slice(1) };
    }
    case EDDSA: {
      const label = eddsaLabel(hostIdentity);
      if (label !== 1 && label !== 3) return undefined;
      return { pkAlgorithm: DNS_EDDSA, key: hostIdentity.slice(4) };
    }
    default:
      return undefined;
  }
}
