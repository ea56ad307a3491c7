/**
 * HIP signatures: what stands in HIP_SIGNATURE and HIP_SIGNATURE_2 after the SIG alg field (RFC
 * 7401 §5.2.9, §5.2.14; RFC 9374 §3.4).
 *
 * The message is hashed with the hash of the signer's HIT Suite, whatever the key's size. RSA signs
 * with PSS; ECDSA gives r | s at fixed width; DSA T | R | S; EdDSA its own form over the message
 * itself.
 *
 * A Host Identity that comes in here may be hostile: every number is checked before the runtime's
 * own cryptography sees it.
 */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { Buffer } from "node:buffer";
import { ed25519, ed25519ph } from "@noble/curves/ed25519.js";
import { ed448, ed448ph } from "@noble/curves/ed448.js";
import { concatBytes } from "../base/bytes.ts";
import { type Random, randomBytes } from "../base/random.ts";
import { parseDsaPublicKey, signDsa, verifyDsa } from "./dsa.ts";
import { ecdsaFromDer, ecdsaToDer } from "./ecdsa_form.ts";
import { isUsableEd25519Key } from "./ed25519_key.ts";
import { type EcCurve, P256, P384, SECP160R1, validPoint } from "./ec_curve.ts";
import { DSA, ECDSA, ECDSA_LOW, EDDSA, rhashForAlgorithm, RSA } from "./hit_suite.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "./host_key.ts";
import {
  type EcPrivateKey,
  type Ed25519PrivateKey,
  emitEcPrivateKey,
  emitEd25519PrivateKey,
  parsePrivateKey,
  type PrivateKey,
} from "./private_key.ts";
import { PrivateKeyCache } from "./private_key_cache.ts";
import { digest, type Rhash } from "./rhash.ts";
import { parseRsaPublicKey, signRsaPss, verifyRsaPss } from "./rsa.ts";

const EDDSA_CURVES = new Map([
  [1, { curve: ed25519, keyLength: 32 }],
  [2, { curve: ed25519ph, keyLength: 32 }],
  [3, { curve: ed448, keyLength: 57 }],
  [4, { curve: ed448ph, keyLength: 57 }],
]);

/**
 * The curve that an ECDSA or ECDSA_LOW Host Identity names by its label, or undefined.
 *
 * @param hostIdentity Curve label (2 octets) and public key.
 */
export function ecdsaCurve(algorithm: number, hostIdentity: Uint8Array): EcCurve | undefined {
  if (hostIdentity.length < 2 || hostIdentity[0] !== 0) return undefined;
  const label = hostIdentity[1];
  if (algorithm === ECDSA) return label === 1 ? P256 : label === 2 ? P384 : undefined;
  return algorithm === ECDSA_LOW && label === 1 ? SECP160R1 : undefined;
}

/** Label of the curve, 1 to 4, of an EdDSA Host Identity; undefined when it is malformed. */
export function eddsaLabel(hostIdentity: Uint8Array): number | undefined {
  if (hostIdentity.length < 4) return undefined;
  const label = hostIdentity[0]! * 256 + hostIdentity[1]!;
  const known = EDDSA_CURVES.get(label);
  return known !== undefined && hostIdentity.length === 4 + known.keyLength ? label : undefined;
}

/** Whether an EdDSA Host Identity is well formed and its key a point of its curve. */
export function isEddsaKey(hostIdentity: Uint8Array): boolean {
  const known = EDDSA_CURVES.get(eddsaLabel(hostIdentity) ?? 0);
  return known !== undefined && known.curve.utils.isValidPublicKey(hostIdentity.slice(4), false);
}

/** A private key, and its form for the runtime's own cryptography where that knows the kind. */
interface SigningKey {
  readonly key: PrivateKey;
  readonly runtimeKey: KeyObject | undefined;
}

const privateKeys = new PrivateKeyCache<SigningKey>(({ privateKey }) => {
  const key = parsePrivateKey(privateKey);
  const isKnown = key.kind === "ed25519" || (key.kind === "ec" && key.curve.nodeName !== undefined);
  return { key, runtimeKey: isKnown ? runtimeKeyOf(key) : undefined };
});

function runtimeKeyOf(key: EcPrivateKey | Ed25519PrivateKey): KeyObject {
  const pkcs8 = key.kind === "ec"
    ? emitEcPrivateKey(key.curve, key.scalar)
    : emitEd25519PrivateKey(key.seed);
  return createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
}

/** Keeps nothing of a key of our own any more. */
export function forgetSigningKey(identity: PrivateHostIdentity): void {
  privateKeys.forget(identity);
}

/**
 * Signs with a key of our own.
 *
 * @param random Salt, blinding and one-time numbers come from here, where they are not derived from
 *   key and message.
 * @returns The signature field, without SIG alg.
 * @throws {Error} When the identity's algorithm cannot sign.
 */
export function signMessage(
  identity: PrivateHostIdentity,
  message: Uint8Array,
  random: Random,
): Uint8Array {
  const rhash = rhashForAlgorithm(identity.algorithm);
  if (rhash === undefined) throw new RangeError(`Cannot sign with algorithm ${identity.algorithm}`);
  const { key, runtimeKey } = privateKeys.get(identity);
  switch (key.kind) {
    case "rsa":
      return signRsaPss(key, rhash, message, random);
    case "dsa":
      return signDsa(key, rhash, message, random);
    case "ec":
      return signEcdsa(key, runtimeKey, rhash, message, random);
    case "ed25519":
      return signEd25519(runtimeKey!, message);
  }
}

/** Whether `signature` is right for the message; false too for a key that cannot be one. */
export function verifySignature(
  hostIdentity: PublicHostIdentity,
  signature: Uint8Array,
  message: Uint8Array,
): boolean {
  const { algorithm, hostIdentity: octets } = hostIdentity;
  const rhash = rhashForAlgorithm(algorithm);
  if (rhash === undefined) return false;
  switch (algorithm) {
    case RSA: {
      const key = parseRsaPublicKey(octets);
      return key !== undefined && verifyRsaPss(key, rhash, message, signature);
    }
    case DSA: {
      const key = parseDsaPublicKey(octets);
      return key !== undefined && verifyDsa(key, rhash, message, signature);
    }
    case ECDSA:
    case ECDSA_LOW: {
      const curve = ecdsaCurve(algorithm, octets);
      return curve !== undefined &&
        verifyEcdsa(curve, octets.subarray(2), rhash, signature, message);
    }
    case EDDSA:
      return verifyEddsa(octets, signature, message);
    default:
      return false;
  }
}

function signEcdsa(
  key: EcPrivateKey,
  runtimeKey: KeyObject | undefined,
  rhash: Rhash,
  message: Uint8Array,
  random: Random,
): Uint8Array {
  if (runtimeKey !== undefined && rhash !== "cshake128") {
    // The runtime's one-time numbers follow from key and message as in RFC 6979 §3.2 (with the
    // curve's own hash inside): they need no generator, and its arithmetic takes constant time.
    const der = new Uint8Array(sign(rhash, message, runtimeKey));
    return ecdsaFromDer(der, key.curve.orderLength);
  }
  // RFC 6979 §3.6: fresh octets beside the deterministic ones, against faults and side channels.
  return key.curve.arithmetic.sign(digest(rhash, message), key.scalar, {
    prehash: false,
    lowS: false,
    format: "compact",
    extraEntropy: randomBytes(random, 32),
  });
}

/** The signature is a function of key and message, so it does not matter who computes it. */
function signEd25519(key: KeyObject, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, key));
}

/** ECDSA with any hash. @param publicKey As `validPoint` takes it. @param signature r | s. */
export function verifyEcdsa(
  curve: EcCurve,
  publicKey: Uint8Array,
  rhash: Rhash,
  signature: Uint8Array,
  message: Uint8Array,
): boolean {
  const point = validPoint(curve, publicKey);
  if (point === undefined || signature.length !== 2 * curve.orderLength) return false;
  const { nodeName, fieldLength, arithmetic } = curve;
  if (nodeName === undefined || rhash === "cshake128") {
    return arithmetic.verify(signature, digest(rhash, message), point, {
      prehash: false,
      lowS: false,
      format: "compact",
    });
  }
  // The runtime takes DER whatever `dsaEncoding` says.
  const coordinate = (start: number) =>
    Buffer.from(point.subarray(start, start + fieldLength)).toString("base64url");
  const key = createPublicKey({
    format: "jwk",
    key: { kty: "EC", crv: curve.name, x: coordinate(1), y: coordinate(1 + fieldLength) },
  });
  return verify(rhash, message, key, ecdsaToDer(signature));
}

function verifyEddsa(
  hostIdentity: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): boolean {
  const known = EDDSA_CURVES.get(eddsaLabel(hostIdentity) ?? 0);
  if (known === undefined || signature.length !== 2 * known.keyLength) return false;
  try {
    if (known.curve === ed25519) return verifyEd25519(hostIdentity.slice(4), signature, message);
    // zip215 false: the strict rules of RFC 8032 and FIPS 186-5.
    return known.curve.verify(signature, message, hostIdentity.slice(4), { zip215: false });
  } catch {
    return false;
  }
}

/** The runtime checks the equation, many times faster than we could. */
function verifyEd25519(key: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
  if (!isUsableEd25519Key(key)) return false;
  const x = Buffer.from(key).toString("base64url");
  const publicKey = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } });
  return verify(null, message, publicKey, signature);
}

/** Host Identity field of a public point: label, then `04` | X | Y (RFC 7401 §5.2.9, OPEN-10). */
export function ecdsaHostIdentity(label: number, point: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(0, label), point);
}
