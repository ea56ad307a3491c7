/**
 * HIP resource record, type 55 (RFC 8005 §5).
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |  HIT length   | PK algorithm  |          PK length            |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * ~                              HIT                              ~
 * ~                           Public Key                          ~
 * ~                       Rendezvous Servers                      ~
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * ```
 *
 * Only form is judged here. The HIT in the record is a hint: whoever uses the record computes the
 * HIT from the key (RFC 8005 §4.1).
 */

import type { Reader } from "../reader.ts";
import type { Writer } from "../writer.ts";
import { TYPE } from "./code_points.ts";
import { skipUncompressedName } from "./name.ts";
import type { RecordCodec } from "./record.ts";

/** Octets before the HIT. */
const FIXED_OCTETS = 4;

/** PK algorithms (IPSECKEY registry; RFC 8005 §9, RFC 9373 §2). Not the HI algorithm numbers. */
export const PK_ALGORITHM = { DSA: 1, RSA: 2, ECDSA: 3, EDDSA: 4 } as const;

export interface HipRecord {
  /** See `PK_ALGORITHM`; unknown values are kept. */
  readonly pkAlgorithm: number;
  /** As it stands in the record; 16 octets in every usable one. */
  readonly hit: Uint8Array;
  /** In the DNSKEY form of its algorithm (RFC 2536, 3110, 6605, 8080). */
  readonly publicKey: Uint8Array;
  /** Uncompressed names, the preferred one first (RFC 8005 §5.6). */
  readonly rendezvousNames: readonly Uint8Array[];
}

export const HIP: RecordCodec<HipRecord> = {
  type: TYPE.HIP,
  name: "HIP",
  length(value: HipRecord): number {
    const names = value.rendezvousNames.reduce((sum, name) => sum + name.length, 0);
    return FIXED_OCTETS + value.hit.length + value.publicKey.length + names;
  },
  parse(reader: Reader): HipRecord {
    const hitLength = reader.uint8();
    const pkAlgorithm = reader.uint8();
    const pkLength = reader.uint16();
    const hit = reader.bytes(hitLength).slice();
    const publicKey = reader.bytes(pkLength).slice();
    // "All the length information necessary ... is available": the names fill what RDLENGTH leaves.
    const rest = reader.rest().slice();
    const rendezvousNames: Uint8Array[] = [];
    for (let position = 0; position < rest.length;) {
      const end = skipUncompressedName(rest, position);
      rendezvousNames.push(rest.subarray(position, end));
      position = end;
    }
    return { pkAlgorithm, hit, publicKey, rendezvousNames };
  },
  emit(writer: Writer, value: HipRecord): void {
    writer.uint8(value.hit.length);
    writer.uint8(value.pkAlgorithm);
    writer.uint16(value.publicKey.length);
    writer.bytes(value.hit);
    writer.bytes(value.publicKey);
    for (const name of value.rendezvousNames) writer.bytes(name);
  },
};

/**
 * What is wrong with the size of a key for its algorithm, or undefined when nothing is
 * (RFC 2536 §2, RFC 3110 §2, RFC 6605 §4, RFC 8080 §3).
 */
export function publicKeyProblem(pkAlgorithm: number, key: Uint8Array): string | undefined {
  switch (pkAlgorithm) {
    case PK_ALGORITHM.DSA: {
      const t = key[0];
      if (t === undefined || t > 8) return `DSA parameter T is ${t ?? "missing"}, at most 8`;
      const wanted = 1 + 20 + 3 * (64 + 8 * t);
      return key.length === wanted
        ? undefined
        : `DSA key has ${key.length} octets, needs ${wanted}`;
    }
    case PK_ALGORITHM.RSA:
      return rsaProblem(key);
    case PK_ALGORITHM.ECDSA:
      if (key.length === 64 || key.length === 96) return undefined;
      return `ECDSA key has ${key.length} octets, needs 64 (P-256) or 96 (P-384)`;
    case PK_ALGORITHM.EDDSA:
      if (key.length === 32 || key.length === 57) return undefined;
      return `EdDSA key has ${key.length} octets, needs 32 (Ed25519) or 57 (Ed448)`;
    default:
      return `PK algorithm ${pkAlgorithm} is unknown`;
  }
}

function rsaProblem(key: Uint8Array): string | undefined {
  const isLong = key[0] === 0;
  const exponentLength = isLong ? ((key[1] ?? 0) << 8) | (key[2] ?? 0) : key[0] ?? 0;
  const modulus = key.subarray((isLong ? 3 : 1) + exponentLength);
  if (exponentLength === 0) return "RSA exponent is missing";
  const bits = modulus.length * 8 - (modulus.length > 0 ? Math.clz32(modulus[0]!) - 24 : 0);
  if (bits < 1024 || bits > 4096) return `RSA modulus has ${bits} bits, allowed are 1024 to 4096`;
  return undefined;
}
