/**
 * Host Identities of our own: making them, keeping them as PEM text, naming them (RFC 7401 §3,
 * §5.2.9; RFC 9374 §3.4.1).
 *
 * A file holds one PKCS#8 key between "BEGIN PRIVATE KEY" lines, as other tools write it; the
 * algorithm, the Host Identity field and the HIT all follow from the key.
 */

import { Buffer } from "node:buffer";
import { ed25519 } from "@noble/curves/ed25519.js";
import { concatBytes } from "../base/bytes.ts";
import { UserError } from "../base/errors.ts";
import { type Random, randomBytes } from "../base/random.ts";
import { dsaPublicKey, emitDsaPublicKey } from "../crypto/dsa.ts";
import { type EcCurve, P256, P384, publicPoint, SECP160R1 } from "../crypto/ec_curve.ts";
import {
  algorithmName,
  DSA,
  ECDSA,
  ECDSA_LOW,
  EDDSA,
  hitSuiteForAlgorithm,
  RSA,
} from "../crypto/hit_suite.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../crypto/host_key.ts";
import { DSA_BITS, generateDsaKey, generateRsaKey } from "../crypto/key_generation.ts";
import { bitLength, integerToBytes, randomInteger } from "../crypto/integers.ts";
import { emitEcPrivateKey, emitEd25519PrivateKey, parsePrivateKey } from "../crypto/private_key.ts";
import { emitRsaPublicKey, MAX_RSA_BITS, MIN_RSA_BITS, parseRsaPublicKey } from "../crypto/rsa.ts";
import { ecdsaCurve, ecdsaHostIdentity, eddsaLabel } from "../crypto/signature.ts";
import { hitOf } from "./hit.ts";

/** Kinds of identity that can be made. DSA has 1024 bits, all that RFC 2536 can carry. */
export const IDENTITY_KINDS = [
  "rsa",
  "ecdsa-p256",
  "ecdsa-p384",
  "ed25519",
  "dsa",
  "ecdsa-low",
] as const;

export type IdentityKind = (typeof IDENTITY_KINDS)[number];

export interface GenerateIdentityOptions {
  /** Bits of an RSA modulus, 1024 to 4096. Default 2048, the 112-bit strength that RFC 7401 asks. */
  readonly rsaBits?: number;
}

const DEFAULT_RSA_BITS = 2048;

/** RSA keys below have less than 112 bits of strength (SP 800-131A). */
const STRONG_RSA_BITS = 2048;

/** The HIT Suite ID of an identity; throws a RangeError for an unknown algorithm. */
export function hitSuiteOf(identity: PublicHostIdentity): number {
  const suite = hitSuiteForAlgorithm(identity.algorithm);
  if (suite === undefined) {
    throw new RangeError(`Cannot name a HIT suite for HI algorithm ${identity.algorithm}`);
  }
  return suite;
}

/**
 * A fresh identity. RSA and DSA take some tenths of a second and draw on the system's generator,
 * which their key generation insists on; the others use `random` alone.
 */
export function generateHostIdentity(
  kind: IdentityKind,
  random: Random,
  options: GenerateIdentityOptions = {},
): PrivateHostIdentity {
  switch (kind) {
    case "rsa":
      return identityFromPrivateKey(generateRsaKey(options.rsaBits ?? DEFAULT_RSA_BITS));
    case "dsa":
      return identityFromPrivateKey(generateDsaKey());
    case "ecdsa-p256":
      return identityFromPrivateKey(generateEc(P256, random));
    case "ecdsa-p384":
      return identityFromPrivateKey(generateEc(P384, random));
    case "ecdsa-low":
      return identityFromPrivateKey(generateEc(SECP160R1, random));
    case "ed25519":
      return identityFromPrivateKey(emitEd25519PrivateKey(randomBytes(random, 32)));
  }
}

/**
 * The identity of a PKCS#8 key.
 *
 * @throws {SyntaxError | RangeError} When the key is malformed or HIP has no use for it.
 */
export function identityFromPrivateKey(privateKey: Uint8Array): PrivateHostIdentity {
  const publicIdentity = publicHalf(privateKey);
  return { ...publicIdentity, privateKey, hit: hitOf(publicIdentity) };
}

/** PEM text of the private key, 64 characters a line, with a final line feed. Secret. */
export function encodeIdentityPem(identity: PrivateHostIdentity): string {
  const base64 = Buffer.from(identity.privateKey).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}

/**
 * The identity in PEM text.
 *
 * @throws {UserError} When there is none; one sentence that repeats nothing of the text.
 */
export function decodeIdentityPem(text: string): PrivateHostIdentity {
  const match = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END PRIVATE KEY-----/.exec(
    text,
  );
  if (match === null) {
    throw new UserError(
      /BEGIN ENCRYPTED PRIVATE KEY/.test(text)
        ? "The identity file holds an encrypted key; decrypt it first, for example with " +
          "openssl pkcs8."
        : "The identity file holds no PKCS#8 private key in PEM form; make an identity with " +
          "hip identity new.",
    );
  }
  try {
    return identityFromPrivateKey(new Uint8Array(Buffer.from(match[1]!, "base64")));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    throw new UserError(
      "The identity file holds a private key that HIP cannot use, or a damaged one; it takes RSA " +
        `of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits, ECDSA on P-256 or P-384, Ed25519, and DSA ` +
        `of ${DSA_BITS} bits.`,
    );
  }
}

/** What a person calls the key: "RSA 2048", "ECDSA P-256", "EdDSA25519". */
export function describeAlgorithm(identity: PublicHostIdentity): string {
  const { algorithm, hostIdentity } = identity;
  const name = algorithmName(algorithm);
  switch (algorithm) {
    case RSA: {
      const key = parseRsaPublicKey(hostIdentity);
      return key === undefined ? name : `${name} ${bitLength(key.modulus)}`;
    }
    case DSA:
      return hostIdentity.length === 0 ? name : `${name} ${8 * (64 + 8 * hostIdentity[0]!)}`;
    case ECDSA:
    case ECDSA_LOW: {
      const curve = ecdsaCurve(algorithm, hostIdentity);
      return curve === undefined ? name : `${name} ${curve.name}`;
    }
    case EDDSA: {
      const label = eddsaLabel(hostIdentity);
      return ["EdDSA25519", "EdDSA25519ph", "EdDSA448", "EdDSA448ph"][(label ?? 0) - 1] ?? name;
    }
    default:
      return name;
  }
}

/**
 * Whether a key has less than the 112 bits of strength that RFC 7401 §5.2.9 wants (SP 800-131A: RSA
 * of 2048 bits, curves of 224). DSA is always weak, for RFC 2536 has no room for more than 1024.
 */
export function isWeakIdentity({ algorithm, hostIdentity }: PublicHostIdentity): boolean {
  if (algorithm === RSA) {
    const key = parseRsaPublicKey(hostIdentity);
    return key === undefined || bitLength(key.modulus) < STRONG_RSA_BITS;
  }
  return algorithm === DSA || algorithm === ECDSA_LOW;
}

function publicHalf(privateKey: Uint8Array): PublicHostIdentity {
  const key = parsePrivateKey(privateKey);
  switch (key.kind) {
    case "rsa": {
      const hostIdentity = emitRsaPublicKey({
        modulus: key.modulus,
        exponent: key.publicExponent,
      });
      if (parseRsaPublicKey(hostIdentity) === undefined) {
        throw new RangeError("Cannot use RSA key: size or exponent out of range");
      }
      return { algorithm: RSA, hostIdentity };
    }
    case "dsa":
      return { algorithm: DSA, hostIdentity: emitDsaPublicKey(dsaPublicKey(key)) };
    case "ec": {
      const point = publicPoint(key.curve, key.scalar);
      if (key.curve === P256) {
        return { algorithm: ECDSA, hostIdentity: ecdsaHostIdentity(1, point) };
      }
      if (key.curve === P384) {
        return { algorithm: ECDSA, hostIdentity: ecdsaHostIdentity(2, point) };
      }
      if (key.curve === SECP160R1) {
        return { algorithm: ECDSA_LOW, hostIdentity: ecdsaHostIdentity(1, point) };
      }
      throw new RangeError(`Cannot use a key on ${key.curve.name}: HIP has no label for it`);
    }
    case "ed25519": {
      // Curve label 1, then two zero octets (RFC 9374 §3.4.1.1).
      const head = Uint8Array.of(0, 1, 0, 0);
      return { algorithm: EDDSA, hostIdentity: concatBytes(head, ed25519.getPublicKey(key.seed)) };
    }
  }
}

function generateEc(curve: EcCurve, random: Random): Uint8Array {
  const order = curve.arithmetic.Point.CURVE().n;
  return emitEcPrivateKey(curve, integerToBytes(randomInteger(random, order), curve.orderLength));
}
