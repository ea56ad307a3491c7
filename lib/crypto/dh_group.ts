/**
 * The Diffie-Hellman groups of HIPv2 (RFC 7401 §5.2.7; RFC 3526, RFC 5903).
 *
 * Public values and Kij have the full width of the group, leading zeros included. The order in
 * which groups are offered is policy; group 3 is here because it is mandatory and should be listed
 * last (below 112 bits of strength).
 *
 * The runtime's own MODP arithmetic is not used: its named groups hold wrong primes and its
 * public values lose leading zeros. `bigint` arithmetic is not constant time, which an ephemeral
 * exponent bears: it serves for one R1 or one I2.
 */

import type { Random } from "../base/random.ts";
import { fromHex, isAllZero } from "../base/bytes.ts";
import {
  type EcCurve,
  P256,
  P384,
  P521,
  publicPoint,
  SECP160R1,
  sharedCoordinate,
  validPoint,
} from "./ec_curve.ts";
import { integerFromBytes, integerToBytes, powerModulo, randomInteger } from "./integers.ts";

/** One ephemeral key pair. */
export interface DhKeyPair {
  readonly groupId: number;
  /** Exponent or scalar, big-endian. Secret. */
  readonly privateKey: Uint8Array;
  /** As DIFFIE_HELLMAN carries it: the integer, or X | Y. */
  readonly publicValue: Uint8Array;
}

export interface ModpGroup {
  readonly kind: "modp";
  readonly prime: bigint;
  /** Octets of the prime. */
  readonly width: number;
  /** Bits of a private exponent: at least twice the group's strength (RFC 3526 §8). */
  readonly exponentBits: number;
}

export interface EcGroup {
  readonly kind: "ec";
  readonly curve: EcCurve;
}

export type DhGroup = ModpGroup | EcGroup;

// RFC 3526: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + c). Generator 2, safe primes.
const MODP_1536 = `
  ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a0879
  8e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b
  0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da4836
  1c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804
  f1746c08ca237327ffffffffffffffff
`;
const MODP_2048 = `
  ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a0879
  8e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b
  0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da4836
  1c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804
  f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6
  955817183995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff
`;
const MODP_3072 = `
  ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a0879
  8e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b
  0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da4836
  1c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804
  f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6
  955817183995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33a85521abdf1cba64
  ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e04a25619dcee3d226
  1ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e2
  08e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff
`;

const GENERATOR = 2n;

const GROUPS = new Map<number, DhGroup>([
  [3, modp(MODP_1536, 256)],
  [4, modp(MODP_3072, 320)],
  [7, { kind: "ec", curve: P256 }],
  [8, { kind: "ec", curve: P384 }],
  [9, { kind: "ec", curve: P521 }],
  [10, { kind: "ec", curve: SECP160R1 }],
  [11, modp(MODP_2048, 288)],
]);

/** The Group IDs that are implemented, in numeric order. */
export const DH_GROUPS: readonly number[] = [...GROUPS.keys()];

/** Octets of a public value in the group as we send it; throws a RangeError when unknown. */
export function publicValueLength(groupId: number): number {
  const group = dhGroup(groupId);
  return group.kind === "modp" ? group.width : 2 * group.curve.fieldLength;
}

/**
 * A fresh key pair; all its randomness comes from `random`.
 *
 * @throws {RangeError} For a group that is not in `DH_GROUPS`.
 */
export function generateDhKeyPair(groupId: number, random: Random): DhKeyPair {
  const privateKey = drawDhPrivateKey(groupId, random);
  const group = dhGroup(groupId);
  if (group.kind === "ec") {
    return { groupId, privateKey, publicValue: publicPoint(group.curve, privateKey).slice(1) };
  }
  const power = powerModulo(GENERATOR, integerFromBytes(privateKey), group.prime);
  return { groupId, privateKey, publicValue: integerToBytes(power, group.width) };
}

/**
 * A private key: an exponent of `exponentBits`, or a scalar from 1 to the order - 1.
 *
 * @throws {RangeError} For a group that is not in `DH_GROUPS`.
 */
export function drawDhPrivateKey(groupId: number, random: Random): Uint8Array {
  const group = dhGroup(groupId);
  if (group.kind === "modp") {
    const exponent = randomInteger(random, 1n << BigInt(group.exponentBits));
    return integerToBytes(exponent, group.exponentBits / 8);
  }
  const order = group.curve.arithmetic.Point.CURVE().n;
  return integerToBytes(randomInteger(random, order), group.curve.orderLength);
}

/**
 * Kij at the full width of the group, or undefined when the peer's value is not valid: then no
 * key may be derived and the exchange ends without a reply (RFC 7401 §5.3.2). Throws a RangeError
 * when the private key is all zeros.
 *
 * A MODP value must lie in 2 to p - 2. The primes are safe, so the only small subgroup is
 * {1, p - 1}, which that range leaves out: the subgroup check of RFC 2785 §3.1 asks no more. A
 * shorter value is read as an integer. A point must be on the curve; a leading `04` is accepted.
 */
export function agree(pair: DhKeyPair, peerPublicValue: Uint8Array): Uint8Array | undefined {
  const group = dhGroup(pair.groupId);
  requireDhPrivateKey(pair);
  if (group.kind === "ec") {
    const point = validPoint(group.curve, peerPublicValue);
    return point && sharedCoordinate(group.curve, pair.privateKey, point);
  }
  const y = modpPublicValue(group, peerPublicValue);
  if (y === undefined) return undefined;
  const secret = powerModulo(y, integerFromBytes(pair.privateKey), group.prime);
  return integerToBytes(secret, group.width);
}

/** A MODP public value that may be used (see `agree`), or undefined. */
export function modpPublicValue(group: ModpGroup, octets: Uint8Array): bigint | undefined {
  if (octets.length > group.width) return undefined;
  const y = integerFromBytes(octets);
  return y > 1n && y < group.prime - 1n ? y : undefined;
}

/**
 * Native code does not survive a private key of zeros.
 *
 * @throws {RangeError} When the private key was wiped.
 */
export function requireDhPrivateKey({ privateKey }: DhKeyPair): void {
  if (isAllZero(privateKey)) throw new RangeError("Cannot agree: the private key was wiped");
}

function modp(prime: string, exponentBits: number): ModpGroup {
  const octets = fromHex(prime);
  return { kind: "modp", prime: integerFromBytes(octets), width: octets.length, exponentBits };
}

/** @throws {RangeError} For a group that is not in `DH_GROUPS`. */
export function dhGroup(groupId: number): DhGroup {
  const group = GROUPS.get(groupId);
  if (group === undefined) throw new RangeError(`Cannot use DH group ${groupId}: unknown`);
  return group;
}
