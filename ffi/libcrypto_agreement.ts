/**
 * Diffie-Hellman on libcrypto: MODP by constant-time exponentiation, curves by constant-time
 * multiplication of points (RFC 7401 §5.2.7).
 *
 * The multiplication is that of EVP's own ECDH. It is called directly, since making an EVP_PKEY of
 * either key costs more than P-256 itself.
 */

import {
  type DhGroup,
  dhGroup,
  type DhKeyPair,
  drawDhPrivateKey,
  type ModpGroup,
  modpPublicValue,
  requireDhPrivateKey,
} from "../lib/crypto/dh_group.ts";
import { type EcCurve, uncompressedPoint } from "../lib/crypto/ec_curve.ts";
import { integerToBytes } from "../lib/crypto/integers.ts";
import type { Random } from "../lib/base/random.ts";
import { wipe } from "../lib/base/bytes.ts";
import { asBuffer, type KeySymbols } from "./libcrypto_key_symbols.ts";

/** NID_X9_62_prime256v1, NID_secp384r1 and NID_secp521r1 of openssl/obj_mac.h. */
export const CURVE_NUMBERS = new Map<EcCurve["name"], number>([
  ["P-256", 415],
  ["P-384", 715],
  ["P-521", 716],
]);

/** POINT_CONVERSION_UNCOMPRESSED of openssl/ec.h. */
const UNCOMPRESSED = 4;

/** BN_FLG_CONSTTIME of openssl/bn.h. */
const CONSTANT_TIME = 0x04;

const GENERATOR = Uint8Array.of(2);

/** A MODP prime as libcrypto wants it; kept for the life of the program. */
interface Modulus {
  readonly prime: Deno.PointerObject;
  readonly montgomery: Deno.PointerObject;
}

/** The groups that libcrypto computes; `supports` tells which. */
export class LibcryptoAgreement {
  readonly #lib: KeySymbols;
  readonly #moduli = new Map<number, Modulus>();
  readonly #curves = new Map<EcCurve["name"], Deno.PointerObject>();

  constructor(lib: KeySymbols) {
    this.#lib = lib;
  }

  supports(groupId: number): boolean {
    const group = dhGroup(groupId);
    return group.kind === "modp" || CURVE_NUMBERS.has(group.curve.name);
  }

  /** As `PublicKeyProvider`, for a group that `supports` has. */
  generateDhKeyPair(groupId: number, random: Random): DhKeyPair {
    const privateKey = drawDhPrivateKey(groupId, random);
    const group = dhGroup(groupId);
    const publicValue = group.kind === "modp"
      ? this.#power(groupId, group, GENERATOR, privateKey)
      : this.#multiply(group.curve, privateKey, undefined)!.slice(1);
    return { groupId, privateKey, publicValue };
  }

  /** As `PublicKeyProvider`, for a group that `supports` has. */
  agree(pair: DhKeyPair, peerPublicValue: Uint8Array): Uint8Array | undefined {
    const group: DhGroup = dhGroup(pair.groupId);
    requireDhPrivateKey(pair);
    if (group.kind === "modp") {
      const y = modpPublicValue(group, peerPublicValue);
      if (y === undefined) return undefined;
      return this.#power(pair.groupId, group, integerToBytes(y, group.width), pair.privateKey);
    }
    const point = uncompressedPoint(group.curve, peerPublicValue);
    const shared = point && this.#multiply(group.curve, pair.privateKey, point);
    if (shared === undefined) return undefined;
    const coordinate = shared.slice(1, 1 + group.curve.fieldLength);
    wipe(shared);
    return coordinate;
  }

  #power(groupId: number, group: ModpGroup, base: Uint8Array, exponent: Uint8Array): Uint8Array {
    const lib = this.#lib;
    const { prime, montgomery } = this.#modulus(groupId, group);
    const scratch = new Numbers(lib);
    try {
      const x = scratch.secret(exponent);
      const result = scratch.number();
      const y = scratch.secret(base);
      check(
        lib.BN_mod_exp_mont_consttime(result, y, x, prime, scratch.context, montgomery) === 1,
      );
      const octets = new Uint8Array(group.width);
      check(lib.BN_bn2binpad(result, octets, octets.length) === octets.length);
      return octets;
    } finally {
      scratch.free();
    }
  }

  /**
   * `scalar` times the point, or times the generator, as `04` | X | Y; undefined for a point that
   * is not on the curve.
   */
  #multiply(
    curve: EcCurve,
    scalar: Uint8Array,
    point: Uint8Array | undefined,
  ): Uint8Array | undefined {
    const lib = this.#lib;
    const group = this.#curve(curve);
    const scratch = new Numbers(lib);
    const result = present(lib.EC_POINT_new(group));
    const factor = point === undefined ? null : present(lib.EC_POINT_new(group));
    try {
      const { context } = scratch;
      if (point !== undefined) {
        // It is here that a point off the curve is refused; cofactors are 1.
        const isRead = lib.EC_POINT_oct2point(
          group,
          factor,
          asBuffer(point),
          BigInt(point.length),
          context,
        );
        if (isRead !== 1) {
          lib.ERR_clear_error();
          return undefined;
        }
      }
      const n = scratch.secret(scalar);
      check(
        point === undefined
          ? lib.EC_POINT_mul(group, result, n, null, null, context) === 1
          : lib.EC_POINT_mul(group, result, null, factor, n, context) === 1,
      );
      const octets = new Uint8Array(1 + 2 * curve.fieldLength);
      const length = BigInt(octets.length);
      check(
        lib.EC_POINT_point2oct(group, result, UNCOMPRESSED, octets, length, context) === length,
      );
      return octets;
    } finally {
      lib.EC_POINT_clear_free(result);
      if (factor !== null) lib.EC_POINT_clear_free(factor);
      scratch.free();
    }
  }

  #curve(curve: EcCurve): Deno.PointerObject {
    const known = this.#curves.get(curve.name);
    if (known !== undefined) return known;
    const made = present(this.#lib.EC_GROUP_new_by_curve_name(CURVE_NUMBERS.get(curve.name)!));
    this.#curves.set(curve.name, made);
    return made;
  }

  #modulus(groupId: number, group: ModpGroup): Modulus {
    const known = this.#moduli.get(groupId);
    if (known !== undefined) return known;
    const lib = this.#lib;
    const octets = integerToBytes(group.prime, group.width);
    const prime = present(lib.BN_bin2bn(asBuffer(octets), octets.length, null));
    const montgomery = present(lib.BN_MONT_CTX_new());
    const scratch = new Numbers(lib);
    check(lib.BN_MONT_CTX_set(montgomery, prime, scratch.context) === 1);
    scratch.free();
    const made = { prime, montgomery };
    this.#moduli.set(groupId, made);
    return made;
  }
}

/** Numbers of one computation; all of them are cleansed together. */
class Numbers {
  readonly context: Deno.PointerObject;
  readonly #lib: KeySymbols;
  readonly #numbers: Deno.PointerObject[] = [];

  constructor(lib: KeySymbols) {
    this.#lib = lib;
    this.context = present(lib.BN_CTX_new());
  }

  number(): Deno.PointerObject {
    const made = present(this.#lib.BN_new());
    this.#numbers.push(made);
    return made;
  }

  /** A number that takes the constant-time ways. */
  secret(octets: Uint8Array): Deno.PointerObject {
    const made = this.number();
    this.#lib.BN_set_flags(made, CONSTANT_TIME);
    present(this.#lib.BN_bin2bn(asBuffer(octets), octets.length, made));
    return made;
  }

  free(): void {
    for (const number of this.#numbers) this.#lib.BN_clear_free(number);
    this.#lib.BN_CTX_free(this.context);
  }
}

function check(isDone: boolean): void {
  if (!isDone) throw new Error("Cannot agree: libcrypto refused");
}

function present(pointer: Deno.PointerValue): Deno.PointerObject {
  if (pointer === null) throw new Error("Cannot agree: libcrypto refused or is out of memory");
  return pointer;
}
