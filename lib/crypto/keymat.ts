/**
 * KEYMAT: every symmetric key of an association (RFC 7401 §6.5, RFC 7402 §7).
 *
 *   KEYMAT = HKDF(hash: RHASH, salt: #I | #J, secret: Kij, info: smaller HIT | greater HIT)
 *
 * The key derivation function belongs to the Diffie-Hellman group and is HKDF (RFC 5869) for all
 * current groups. RFC 9374 adds suite 5 without a word on it; HKDF then runs over the MAC of that
 * suite, KMAC128 with 32 octets of output, in the place of HMAC.
 *
 * Invariant: keys are drawn in the order encryption gl, integrity gl, encryption lg, integrity lg,
 * where gl serves packets that the host with the greater HIT sends.
 */

import { compareBytes, concatBytes } from "../base/bytes.ts";
import { cipherKeyLength } from "./hip_cipher.ts";
import { HipMac, hipMac } from "./mac.ts";
import { type Rhash, rhashLength } from "./rhash.ts";

/** What is kept to draw further keys later; plain values that can cross to another thread. */
export interface Keymat {
  readonly rhash: Rhash;
  /** Pseudorandom key, the result of HKDF-Extract. */
  readonly prk: Uint8Array;
  /** Both HITs, the smaller first: 32 octets. */
  readonly info: Uint8Array;
}

/** Keys of HIP packets, by direction as seen from here. */
export interface HipKeys {
  encryptionOut: Uint8Array;
  integrityOut: Uint8Array;
  encryptionIn: Uint8Array;
  integrityIn: Uint8Array;
}

/** Keys of one ESP SA. */
export interface EspKeys {
  /** Cipher key, then the salt for suites that have one. */
  encryption: Uint8Array;
  authentication: Uint8Array;
}

/**
 * HKDF-Extract.
 *
 * @param kij Shared secret at the full width of its group.
 * @param randomI #I at the full width of RHASH, leading zeros included.
 * @param solutionJ #J at the full width of RHASH.
 * @param hitA One of the two HITs; the order does not matter.
 */
export function extractKeymat(
  rhash: Rhash,
  kij: Uint8Array,
  randomI: Uint8Array,
  solutionJ: Uint8Array,
  hitA: Uint8Array,
  hitB: Uint8Array,
): Keymat {
  const info = compareBytes(hitA, hitB) < 0 ? concatBytes(hitA, hitB) : concatBytes(hitB, hitA);
  return { rhash, prk: hipMac(rhash, concatBytes(randomI, solutionJ), kij), info };
}

/**
 * HKDF-Expand: `length` octets of KEYMAT from octet `index`.
 *
 * @throws {RangeError} Beyond 255 blocks of RHASH, where KEYMAT ends (RFC 5869 §2.3).
 */
export function drawKeymat(k: Keymat, index: number, length: number): Uint8Array {
  const blockLength = rhashLength(k.rhash);
  const end = index + length;
  if (index < 0 || length < 0 || end > 255 * blockLength) {
    throw new RangeError(
      `Cannot draw octets ${index} to ${end} of KEYMAT: it has ${255 * blockLength}`,
    );
  }
  const drawn = new Uint8Array(length);
  const mac = new HipMac(k.rhash, k.prk);
  let block: Uint8Array = new Uint8Array(0);
  for (let start = 0, counter = 1; start < end; start += blockLength, counter++) {
    block = mac.of(block, k.info, Uint8Array.of(counter));
    if (start + blockLength <= index) continue;
    const from = Math.max(index - start, 0);
    drawn.set(block.subarray(from, Math.min(blockLength, end - start)), start + from - index);
  }
  mac.wipe();
  return drawn;
}

/**
 * The four keys of HIP packets, the first that KEYMAT yields.
 *
 * @param cipherId The HIP Cipher ID that was chosen.
 * @returns The keys, and the index of the first octet not drawn.
 */
export function drawHipKeys(
  k: Keymat,
  cipherId: number,
  localHit: Uint8Array,
  peerHit: Uint8Array,
): { keys: HipKeys; nextIndex: number } {
  const { greater, lower, nextIndex } = drawPairs(
    k,
    0,
    cipherKeyLength(cipherId),
    rhashLength(k.rhash),
  );
  const [out, incoming] = compareBytes(localHit, peerHit) > 0 ? [greater, lower] : [lower, greater];
  return {
    keys: {
      encryptionOut: out.encryption,
      integrityOut: out.authentication,
      encryptionIn: incoming.encryption,
      integrityIn: incoming.authentication,
    },
    nextIndex,
  };
}

/**
 * The keys of a pair of ESP SAs (RFC 7402 §7).
 *
 * @param index KEYMAT index from which to draw.
 * @param sizes Octets of the cipher key, salt included, and of the authentication key.
 */
export function drawEspKeys(
  k: Keymat,
  index: number,
  sizes: { encryptionLength: number; authenticationLength: number },
  localHit: Uint8Array,
  peerHit: Uint8Array,
): { outbound: EspKeys; inbound: EspKeys; nextIndex: number } {
  const { greater, lower, nextIndex } = drawPairs(
    k,
    index,
    sizes.encryptionLength,
    sizes.authenticationLength,
  );
  return compareBytes(localHit, peerHit) > 0
    ? { outbound: greater, inbound: lower, nextIndex }
    : { outbound: lower, inbound: greater, nextIndex };
}

/** Two pairs of keys, that of the host with the greater HIT first. */
function drawPairs(
  k: Keymat,
  index: number,
  encryptionLength: number,
  authenticationLength: number,
): { greater: EspKeys; lower: EspKeys; nextIndex: number } {
  const pairLength = encryptionLength + authenticationLength;
  const octets = drawKeymat(k, index, 2 * pairLength);
  const pair = (start: number): EspKeys => ({
    encryption: octets.slice(start, start + encryptionLength),
    authentication: octets.slice(start + encryptionLength, start + pairLength),
  });
  const pairs = { greater: pair(0), lower: pair(pairLength), nextIndex: index + 2 * pairLength };
  octets.fill(0);
  return pairs;
}
