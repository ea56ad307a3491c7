/** Which addresses may stand for a host on the network, and which never do. */

import {
  hasPrefix,
  isIpv4,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseIpAddress,
} from "../wire/ip_address.ts";

/** HITs (RFC 7343 §6). */
const HIT_PREFIX = parseIpAddress("2001:20::");
/** First-generation ORCHIDs (RFC 4843), withdrawn in 2014. */
const OLD_ORCHID_PREFIX = parseIpAddress("2001:10::");
/** Hierarchical HITs (RFC 9374 §3.1). */
const HIERARCHICAL_PREFIX = parseIpAddress("2001:30::");
const PREFIX_BITS = 28;

/** Whether it lies in the prefix of flat HITs. */
export function isInHitPrefix(address: Uint8Array): boolean {
  return hasPrefix(address, HIT_PREFIX, PREFIX_BITS);
}

/** Whether it lies in the prefix of hierarchical HITs, which do not follow from the key alone. */
export function isInHierarchicalPrefix(address: Uint8Array): boolean {
  return hasPrefix(address, HIERARCHICAL_PREFIX, PREFIX_BITS);
}

/** Whether it names a key rather than a place; such an address is never a locator. */
export function isIdentifier(address: Uint8Array): boolean {
  return isInHitPrefix(address) || isInHierarchicalPrefix(address) ||
    hasPrefix(address, OLD_ORCHID_PREFIX, PREFIX_BITS);
}

/** Whether packets may be sent there on the strength of a DNS record. */
export function isUsableLocator(address: Uint8Array): boolean {
  if (isUnspecified(address) || isLoopback(address) || isMulticast(address)) return false;
  if (isIdentifier(address)) return false;
  if (isIpv4(address)) {
    // 0.0.0.0/8 and 255.255.255.255 (RFC 1122 §3.2.1.3).
    if (address[12] === 0) return false;
    if (address.subarray(12).every((octet) => octet === 0xff)) return false;
  }
  return true;
}
