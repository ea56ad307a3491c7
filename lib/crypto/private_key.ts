/**
 * Private keys between PKCS#8 (RFC 5958) and the numbers inside: RSA (RFC 8017 A.1.2), DSA (RFC
 * 3279), elliptic curves (RFC 5915) and Ed25519 (RFC 8410).
 */

import { bytesEqual } from "../base/bytes.ts";
import {
  DER_BIT_STRING,
  DER_CONTEXT_1,
  DER_OCTET_STRING,
  DER_OID,
  DER_SEQUENCE,
  derElement,
  derInteger,
  DerReader,
} from "./der.ts";
import { EC_CURVES, type EcCurve, publicPoint } from "./ec_curve.ts";
import { integerFromBytes } from "./integers.ts";

/** RSA with the numbers of the Chinese remainder form. */
export interface RsaPrivateKey {
  readonly kind: "rsa";
  readonly modulus: bigint;
  readonly publicExponent: bigint;
  readonly prime1: bigint;
  readonly prime2: bigint;
  /** Private exponent modulo `prime1` - 1. */
  readonly exponent1: bigint;
  readonly exponent2: bigint;
  /** Inverse of `prime2` modulo `prime1`. */
  readonly coefficient: bigint;
}

export interface DsaPrivateKey {
  readonly kind: "dsa";
  readonly p: bigint;
  readonly q: bigint;
  readonly g: bigint;
  readonly x: bigint;
}

export interface EcPrivateKey {
  readonly kind: "ec";
  readonly curve: EcCurve;
  /** `curve.orderLength` octets. */
  readonly scalar: Uint8Array;
}

export interface Ed25519PrivateKey {
  readonly kind: "ed25519";
  /** 32 octets. */
  readonly seed: Uint8Array;
}

export type PrivateKey = RsaPrivateKey | DsaPrivateKey | EcPrivateKey | Ed25519PrivateKey;

const OID_RSA = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01);
const OID_DSA = Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01);
const OID_EC = Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01);
const OID_ED25519 = Uint8Array.of(0x2b, 0x65, 0x70);

/** Version fields: PrivateKeyInfo 0, ECPrivateKey 1. */
const VERSION_0 = derInteger(Uint8Array.of(0));
const VERSION_1 = derInteger(Uint8Array.of(1));

/**
 * The key in a PKCS#8 structure.
 *
 * @throws {SyntaxError} When it is malformed or holds a key of another kind. The message never
 * contains any of it.
 */
export function parsePrivateKey(pkcs8: Uint8Array): PrivateKey {
  const info = new DerReader(pkcs8).sequence();
  info.integer();
  const algorithm = info.sequence();
  const oid = algorithm.element(DER_OID);
  const key = new DerReader(info.element(DER_OCTET_STRING));
  if (bytesEqual(oid, OID_RSA)) return parseRsa(key.sequence());
  if (bytesEqual(oid, OID_DSA)) return parseDsa(algorithm.sequence(), key.integer());
  if (bytesEqual(oid, OID_EC)) return parseEc(algorithm.element(DER_OID), key.sequence());
  if (bytesEqual(oid, OID_ED25519)) {
    const seed = key.element(DER_OCTET_STRING);
    if (seed.length !== 32) {
      throw new SyntaxError("Cannot read private key: Ed25519 needs 32 octets");
    }
    return { kind: "ed25519", seed };
  }
  throw new SyntaxError("Cannot read private key: not RSA, DSA, ECDSA or Ed25519");
}

/** PKCS#8 of a key on an elliptic curve, public key included. */
export function emitEcPrivateKey(curve: EcCurve, scalar: Uint8Array): Uint8Array {
  const publicKey = derElement(DER_BIT_STRING, Uint8Array.of(0), publicPoint(curve, scalar));
  const key = derElement(
    DER_SEQUENCE,
    VERSION_1,
    derElement(DER_OCTET_STRING, scalar),
    derElement(DER_CONTEXT_1, publicKey),
  );
  return emitPkcs8([derElement(DER_OID, OID_EC), derElement(DER_OID, curve.oid)], key);
}

/** PKCS#8 of an Ed25519 seed. */
export function emitEd25519PrivateKey(seed: Uint8Array): Uint8Array {
  return emitPkcs8([derElement(DER_OID, OID_ED25519)], derElement(DER_OCTET_STRING, seed));
}

function emitPkcs8(algorithm: Uint8Array[], key: Uint8Array): Uint8Array {
  return derElement(
    DER_SEQUENCE,
    VERSION_0,
    derElement(DER_SEQUENCE, ...algorithm),
    derElement(DER_OCTET_STRING, key),
  );
}

function parseRsa(key: DerReader): RsaPrivateKey {
  if (key.integer() !== 0n) throw new SyntaxError("Cannot read private key: RSA with many primes");
  const modulus = key.integer();
  const publicExponent = key.integer();
  key.integer(); // privateExponent: the remainder form replaces it
  const [prime1, prime2] = [key.integer(), key.integer()];
  const [exponent1, exponent2] = [key.integer(), key.integer()];
  const coefficient = key.integer();
  if (prime1 * prime2 !== modulus) {
    throw new SyntaxError("Cannot read private key: RSA primes do not give the modulus");
  }
  return {
    kind: "rsa",
    modulus,
    publicExponent,
    prime1,
    prime2,
    exponent1,
    exponent2,
    coefficient,
  };
}

function parseDsa(parameters: DerReader, x: bigint): DsaPrivateKey {
  const [p, q, g] = [parameters.integer(), parameters.integer(), parameters.integer()];
  if (x < 1n || x >= q || q >= p || g <= 1n || g >= p) {
    throw new SyntaxError("Cannot read private key: DSA numbers out of range");
  }
  return { kind: "dsa", p, q, g, x };
}

function parseEc(curveOid: Uint8Array, key: DerReader): EcPrivateKey {
  const curve = EC_CURVES.find((candidate) => bytesEqual(candidate.oid, curveOid));
  if (curve === undefined) throw new SyntaxError("Cannot read private key: unknown curve");
  key.integer();
  const octets = key.element(DER_OCTET_STRING);
  const value = integerFromBytes(octets);
  if (octets.length > curve.orderLength || value === 0n || value >= orderOf(curve)) {
    throw new SyntaxError("Cannot read private key: scalar out of range");
  }
  const scalar = new Uint8Array(curve.orderLength);
  scalar.set(octets, scalar.length - octets.length);
  return { kind: "ec", curve, scalar };
}

function orderOf(curve: EcCurve): bigint {
  return curve.arithmetic.Point.CURVE().n;
}
