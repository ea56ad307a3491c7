/**
 * Host Identity algorithms and the HIT Suite each belongs to (RFC 7401 §5.2.9, §5.2.10; RFC 9374
 * §3.4).
 */

import { HI_ALGORITHM, HIT_SUITE } from "../wire/hip/code_points.ts";
import { type Rhash, rhashOfSuite } from "./rhash.ts";

/** HI algorithm values of HOST_ID and of the signature parameters. */
export const { DSA, RSA, ECDSA, ECDSA_LOW, EDDSA } = HI_ALGORITHM;

const ALGORITHMS = new Map<number, { name: string; hitSuite: number }>([
  [DSA, { name: "DSA", hitSuite: HIT_SUITE.RSA_DSA_SHA256 }],
  [RSA, { name: "RSA", hitSuite: HIT_SUITE.RSA_DSA_SHA256 }],
  [ECDSA, { name: "ECDSA", hitSuite: HIT_SUITE.ECDSA_SHA384 }],
  [ECDSA_LOW, { name: "ECDSA_LOW", hitSuite: HIT_SUITE.ECDSA_LOW_SHA1 }],
  [EDDSA, { name: "EdDSA", hitSuite: HIT_SUITE.EDDSA_CSHAKE128 }],
]);

/** The HIT Suite of an HI algorithm, or undefined for an algorithm that we do not know. */
export function hitSuiteForAlgorithm(algorithm: number): number | undefined {
  return ALGORITHMS.get(algorithm)?.hitSuite;
}

/** The hash of an HI algorithm's suite, with which its owner signs; undefined when unknown. */
export function rhashForAlgorithm(algorithm: number): Rhash | undefined {
  const suite = hitSuiteForAlgorithm(algorithm);
  return suite === undefined ? undefined : rhashOfSuite(suite);
}

/** The RFC's name of an HI algorithm, or its number when it has none. */
export function algorithmName(algorithm: number): string {
  return ALGORITHMS.get(algorithm)?.name ?? `algorithm ${algorithm}`;
}
