/**
 * The elliptic curves that HIP uses: for ECDSA identities (RFC 7401 §5.2.9) and for Diffie-Hellman
 * (RFC 7401 §5.2.7, RFC 5903). All have cofactor 1, so a point on the curve that is not infinity
 * is in the right subgroup.
 */

import { createECDH } from "node:crypto";
import { type ECDSA, ecdsa, weierstrass } from "@noble/curves/abstract/weierstrass.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { concatBytes } from "../base/bytes.ts";

/** One curve with its sizes in octets. */
export interface EcCurve {
  readonly name: "P-256" | "P-384" | "P-521" | "SECP160R1";
  /** Octets of a coordinate. */
  readonly fieldLength: number;
  /** Octets of the group's order: one more than the field for SECP160R1 (161 bits). */
  readonly orderLength: number;
  /** Name for the runtime's own, faster implementation, where it has a right one. */
  readonly nodeName: "prime256v1" | "secp384r1" | undefined;
  /** Object identifier in PKCS#8, as DER contents. */
  readonly oid: Uint8Array;
  readonly arithmetic: ECDSA;
}

/** SEC 2 version 1, section 2.4.2; RFC 7401 appendix D names it for constrained hosts. */
const SECP160R1_POINT = weierstrass({
  p: 0xffffffffffffffffffffffffffffffff7fffffffn,
  a: 0xffffffffffffffffffffffffffffffff7ffffffcn,
  b: 0x1c97befc54bd7a8b65acf89f81d4d4adc565fa45n,
  Gx: 0x4a96b5688ef573284664698968c38bb913cbfc82n,
  Gy: 0x23a628553168947d59dcc912042351377ac5fb32n,
  n: 0x0100000000000000000001f4c8f927aed3ca752257n,
  h: 1n,
});

export const P256: EcCurve = {
  name: "P-256",
  fieldLength: 32,
  orderLength: 32,
  nodeName: "prime256v1",
  oid: Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
  arithmetic: p256,
};

export const P384: EcCurve = {
  name: "P-384",
  fieldLength: 48,
  orderLength: 48,
  nodeName: "secp384r1",
  oid: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x22),
  arithmetic: p384,
};

export const P521: EcCurve = {
  name: "P-521",
  fieldLength: 66,
  orderLength: 66,
  nodeName: undefined,
  oid: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x23),
  arithmetic: p521,
};

export const SECP160R1: EcCurve = {
  name: "SECP160R1",
  fieldLength: 20,
  orderLength: 21,
  nodeName: undefined,
  oid: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x08),
  arithmetic: ecdsa(SECP160R1_POINT, sha1),
};

export const EC_CURVES: readonly EcCurve[] = [P256, P384, P521, SECP160R1];

const UNCOMPRESSED = 0x04;

/**
 * The point `04` | X | Y that `octets` name, with or without the leading `04` (told apart by
 * length), or undefined when they name none: wrong length, coordinate out of range, not on the
 * curve. Infinity has no such form. What comes out is safe to hand to the runtime, which ends the
 * process on a wrong point.
 */
export function validPoint(curve: EcCurve, octets: Uint8Array): Uint8Array | undefined {
  const point = uncompressedPoint(curve, octets);
  if (point === undefined) return undefined;
  try {
    curve.arithmetic.Point.fromBytes(point).assertValidity();
    return point;
  } catch {
    return undefined;
  }
}

/** `04` | X | Y by form alone: whether the point is on the curve is still to be asked. */
export function uncompressedPoint(curve: EcCurve, octets: Uint8Array): Uint8Array | undefined {
  const point = octets.length === 2 * curve.fieldLength
    ? concatBytes(Uint8Array.of(UNCOMPRESSED), octets)
    : octets;
  const hasForm = point.length === 1 + 2 * curve.fieldLength && point[0] === UNCOMPRESSED;
  return hasForm ? point : undefined;
}

/** `04` | X | Y of the public key that belongs to a scalar of `orderLength` octets. */
export function publicPoint(curve: EcCurve, scalar: Uint8Array): Uint8Array {
  if (curve.nodeName === undefined) return curve.arithmetic.getPublicKey(scalar, false);
  const ecdh = createECDH(curve.nodeName);
  ecdh.setPrivateKey(scalar);
  return new Uint8Array(ecdh.getPublicKey());
}

/**
 * The x-coordinate of `scalar` times `point`, at the full width of the field.
 *
 * @param point A result of `validPoint`, never octets as received.
 */
export function sharedCoordinate(
  curve: EcCurve,
  scalar: Uint8Array,
  point: Uint8Array,
): Uint8Array {
  if (curve.nodeName === undefined) {
    return curve.arithmetic.getSharedSecret(scalar, point, false).slice(1, 1 + curve.fieldLength);
  }
  const ecdh = createECDH(curve.nodeName);
  ecdh.setPrivateKey(scalar);
  return new Uint8Array(ecdh.computeSecret(point));
}
