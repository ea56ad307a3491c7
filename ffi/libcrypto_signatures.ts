/**
 * Signatures on libcrypto: ECDSA on P-256 and P-384, Ed25519 and RSASSA-PSS, in HIP's forms (RFC
 * 7401 §5.2.9, §5.2.14; RFC 9374 §3.4). The hash is computed by `lib/crypto`, so that EVP has to
 * fetch nothing.
 *
 * One-time numbers, salt and blinding are libcrypto's own: it mixes key, message and the system's
 * generator.
 */

import { wipe } from "../lib/base/bytes.ts";
import { ecdsaFromDer, ecdsaToDer } from "../lib/crypto/ecdsa_form.ts";
import { type EcCurve, uncompressedPoint } from "../lib/crypto/ec_curve.ts";
import { isUsableEd25519Key } from "../lib/crypto/ed25519_key.ts";
import { ECDSA, EDDSA, rhashForAlgorithm, RSA } from "../lib/crypto/hit_suite.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../lib/crypto/host_key.ts";
import { bitLength, integerToBytes } from "../lib/crypto/integers.ts";
import {
  emitEcPrivateKey,
  emitEd25519PrivateKey,
  parsePrivateKey,
} from "../lib/crypto/private_key.ts";
import { PrivateKeyCache } from "../lib/crypto/private_key_cache.ts";
import { digest, type Rhash } from "../lib/crypto/rhash.ts";
import { parseRsaPublicKey, type RsaPublicKey } from "../lib/crypto/rsa.ts";
import { ecdsaCurve, eddsaLabel } from "../lib/crypto/signature.ts";
import { asBuffer, type KeySymbols } from "./libcrypto_key_symbols.ts";
import { cString, fixedBytes, parameters, pointerTo } from "./libcrypto_symbols.ts";

/** EVP_PKEY_KEY_PARAMETERS and EVP_PKEY_PUBLIC_KEY of openssl/evp.h. */
const KEY_PARAMETERS = 0x84;
const PUBLIC_KEY = 0x86;

/** RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST and RSA_PSS_SALTLEN_AUTO of openssl/rsa.h. */
const PSS_PADDING = 6;
const SALT_AS_DIGEST = -1;
const SALT_AS_FOUND = -2;

/** The label of plain Ed25519 (RFC 9374 §3.4.1). */
const ED25519_LABEL = 1;

const ED25519_SIGNATURE_LENGTH = 64;

/** No signature is longer: RSA of 4096 bits. */
const MAX_SIGNATURE_LENGTH = 512;

const GROUP_NAMES = new Map<EcCurve["name"], string>([["P-256", "P-256"], ["P-384", "P-384"]]);

const DIGEST_NAMES = new Map<Rhash, string>([
  ["sha1", "SHA1"],
  ["sha256", "SHA256"],
  ["sha384", "SHA384"],
]);

/** A private key of ours within libcrypto. */
interface SigningKey {
  readonly kind: "rsa" | "ec" | "ed25519";
  readonly key: Deno.PointerObject;
  /** An EVP_PKEY_CTX ready to sign, where the kind signs a hash. */
  readonly context: Deno.PointerValue;
  /** Octets of one number of an ECDSA signature. */
  readonly width: number;
}

/** Gives undefined for what libcrypto is not asked: then the portable provider serves. */
export class LibcryptoSignatures {
  readonly #lib: KeySymbols;
  readonly #digests = new Map<Rhash, Deno.PointerObject>();
  /** An EVP_PKEY per curve that holds its parameters and the public key verified last. */
  readonly #curveKeys = new Map<EcCurve["name"], Deno.PointerObject>();
  readonly #privateKeys: PrivateKeyCache<SigningKey | undefined>;
  readonly #output = fixedBytes(MAX_SIGNATURE_LENGTH);
  readonly #outputLength = new BigUint64Array(1);
  readonly #madeKey = new BigUint64Array(1);

  constructor(lib: KeySymbols) {
    this.#lib = lib;
    this.#privateKeys = new PrivateKeyCache(
      (identity) => this.#prepare(identity),
      (key) => key && this.#release(key),
    );
  }

  /** Frees what was prepared for the signatures of an identity. */
  forget(identity: PrivateHostIdentity): void {
    this.#privateKeys.forget(identity);
  }

  /** The signature field, or undefined. @throws {Error} When libcrypto cannot sign with the key. */
  sign(identity: PrivateHostIdentity, message: Uint8Array): Uint8Array | undefined {
    const rhash = rhashForAlgorithm(identity.algorithm);
    const signingKey = rhash && this.#privateKeys.get(identity);
    if (signingKey === undefined) return undefined;
    if (signingKey.kind === "ed25519") return this.#signEd25519(signingKey.key, message);
    const hash = digest(rhash!, message);
    const length = this.#outputLength;
    length[0] = BigInt(MAX_SIGNATURE_LENGTH);
    check(
      this.#lib.EVP_PKEY_sign(
        signingKey.context,
        this.#output,
        octetsOf(length),
        asBuffer(hash),
        BigInt(hash.length),
      ),
    );
    const made = this.#output.slice(0, Number(length[0]));
    return signingKey.kind === "rsa" ? made : ecdsaFromDer(made, signingKey.width);
  }

  /** Whether the signature is right, or undefined. */
  verify(
    { algorithm, hostIdentity }: PublicHostIdentity,
    signature: Uint8Array,
    message: Uint8Array,
  ): boolean | undefined {
    switch (algorithm) {
      case ECDSA: {
        const curve = ecdsaCurve(algorithm, hostIdentity);
        const rhash = rhashForAlgorithm(algorithm)!;
        return curve !== undefined &&
          this.verifyEcdsa(curve, hostIdentity.subarray(2), rhash, signature, message);
      }
      case RSA: {
        const key = parseRsaPublicKey(hostIdentity);
        if (key === undefined) return false;
        const isOfLength = signature.length === Math.ceil(bitLength(key.modulus) / 8);
        return isOfLength && this.#verifyRsa(key, signature, message);
      }
      case EDDSA:
        if (eddsaLabel(hostIdentity) !== ED25519_LABEL) return undefined;
        return signature.length === ED25519_SIGNATURE_LENGTH &&
          this.#verifyEd25519(hostIdentity.slice(4), signature, message);
      default:
        return undefined;
    }
  }

  #signEd25519(key: Deno.PointerObject, message: Uint8Array): Uint8Array {
    const lib = this.#lib;
    const context = present(lib.EVP_MD_CTX_new());
    try {
      const length = this.#outputLength;
      length[0] = BigInt(ED25519_SIGNATURE_LENGTH);
      check(lib.EVP_DigestSignInit(context, null, null, null, key));
      check(
        lib.EVP_DigestSign(
          context,
          this.#output,
          octetsOf(length),
          asBuffer(message),
          BigInt(message.length),
        ),
      );
      return this.#output.slice(0, ED25519_SIGNATURE_LENGTH);
    } finally {
      lib.EVP_MD_CTX_free(context);
    }
  }

  #verifyEd25519(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
    if (!isUsableEd25519Key(publicKey)) return false;
    const lib = this.#lib;
    const key = lib.EVP_PKEY_new_raw_public_key_ex(
      null,
      ED25519_NAME,
      null,
      asBuffer(publicKey),
      BigInt(publicKey.length),
    );
    if (key === null) return this.#refused();
    const context = present(lib.EVP_MD_CTX_new());
    try {
      check(lib.EVP_DigestVerifyInit(context, null, null, null, key));
      const isRight = lib.EVP_DigestVerify(
        context,
        asBuffer(signature),
        BigInt(signature.length),
        asBuffer(message),
        BigInt(message.length),
      );
      return isRight === 1 || this.#refused();
    } finally {
      lib.EVP_MD_CTX_free(context);
      lib.EVP_PKEY_free(key);
    }
  }

  /** As the function of that name in `lib/crypto/signature.ts`, for P-256 and P-384. */
  verifyEcdsa(
    curve: EcCurve,
    publicKey: Uint8Array,
    rhash: Rhash,
    signature: Uint8Array,
    message: Uint8Array,
  ): boolean {
    const point = uncompressedPoint(curve, publicKey);
    if (point === undefined || signature.length !== 2 * curve.orderLength) return false;
    const lib = this.#lib;
    const key = this.#curveKey(curve);
    // It is here that a point off the curve is refused.
    const isKey = lib.EVP_PKEY_set1_encoded_public_key(key, asBuffer(point), BigInt(point.length));
    if (isKey !== 1) return this.#refused();
    return this.#verifyHash(
      key,
      () => true,
      ecdsaToDer(signature),
      digest(rhash, message),
    );
  }

  #verifyRsa(publicKey: RsaPublicKey, signature: Uint8Array, message: Uint8Array): boolean {
    const rhash = rhashForAlgorithm(RSA)!;
    const key = this.#makeKey("RSA", PUBLIC_KEY, [
      ["n", integerToBytes(publicKey.modulus, signature.length)],
      ["e", integerToBytes(publicKey.exponent, Math.ceil(bitLength(publicKey.exponent) / 8))],
    ]);
    if (key === null) return this.#refused();
    try {
      const configure = (context: Deno.PointerObject) =>
        this.#usePss(context, rhash, SALT_AS_FOUND);
      return this.#verifyHash(key, configure, signature, digest(rhash, message));
    } finally {
      this.#lib.EVP_PKEY_free(key);
    }
  }

  #verifyHash(
    key: Deno.PointerObject,
    configure: (context: Deno.PointerObject) => boolean,
    signature: Uint8Array,
    hash: Uint8Array,
  ): boolean {
    const lib = this.#lib;
    const context = present(lib.EVP_PKEY_CTX_new_from_pkey(null, key, null));
    try {
      const isRight = lib.EVP_PKEY_verify_init(context) === 1 && configure(context) &&
        lib.EVP_PKEY_verify(
            context,
            asBuffer(signature),
            BigInt(signature.length),
            asBuffer(hash),
            BigInt(hash.length),
          ) === 1;
      return isRight || this.#refused();
    } finally {
      lib.EVP_PKEY_CTX_free(context);
    }
  }

  #usePss(context: Deno.PointerObject, rhash: Rhash, salt: number): boolean {
    const lib = this.#lib;
    return lib.EVP_PKEY_CTX_set_rsa_padding(context, PSS_PADDING) === 1 &&
      lib.EVP_PKEY_CTX_set_signature_md(context, this.#digest(rhash)) === 1 &&
      lib.EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt) === 1;
  }

  /** Undefined for kinds that libcrypto is not asked; throws as `parsePrivateKey` does. */
  #prepare({ algorithm, privateKey }: PrivateHostIdentity): SigningKey | undefined {
    const rhash = rhashForAlgorithm(algorithm)!;
    const parsed = parsePrivateKey(privateKey);
    switch (parsed.kind) {
      case "rsa": {
        if (!DIGEST_NAMES.has(rhash)) return undefined;
        const key = this.#importKey(privateKey);
        const configure = (context: Deno.PointerObject) =>
          this.#usePss(context, rhash, SALT_AS_DIGEST);
        return { kind: "rsa", key, context: this.#signingContext(key, configure), width: 0 };
      }
      case "ec": {
        if (!GROUP_NAMES.has(parsed.curve.name) || !DIGEST_NAMES.has(rhash)) return undefined;
        const pkcs8 = emitEcPrivateKey(parsed.curve, parsed.scalar);
        const key = this.#importKey(pkcs8);
        wipe(pkcs8);
        const context = this.#signingContext(key, () => true);
        return { kind: "ec", key, context, width: parsed.curve.orderLength };
      }
      case "ed25519": {
        const pkcs8 = emitEd25519PrivateKey(parsed.seed);
        const key = this.#importKey(pkcs8);
        wipe(pkcs8);
        return { kind: "ed25519", key, context: null, width: 0 };
      }
      case "dsa":
        return undefined;
    }
  }

  /** libcrypto overwrites the key. */
  #release({ key, context }: SigningKey): void {
    if (context !== null) this.#lib.EVP_PKEY_CTX_free(context);
    this.#lib.EVP_PKEY_free(key);
  }

  #importKey(pkcs8: Uint8Array): Deno.PointerObject {
    const copy = fixedBytes(pkcs8.length);
    copy.set(pkcs8);
    const place = BigUint64Array.of(Deno.UnsafePointer.value(pointerTo(copy)));
    const key = this.#lib.d2i_AutoPrivateKey(null, octetsOf(place), BigInt(copy.length));
    wipe(copy);
    return present(key);
  }

  #signingContext(
    key: Deno.PointerObject,
    configure: (context: Deno.PointerObject) => boolean,
  ): Deno.PointerObject {
    const lib = this.#lib;
    const context = present(lib.EVP_PKEY_CTX_new_from_pkey(null, key, null));
    check(lib.EVP_PKEY_sign_init(context) === 1 && configure(context) ? 1 : 0);
    return context;
  }

  #curveKey(curve: EcCurve): Deno.PointerObject {
    const known = this.#curveKeys.get(curve.name);
    if (known !== undefined) return known;
    const made = present(
      this.#makeKey("EC", KEY_PARAMETERS, [["group", GROUP_NAMES.get(curve.name)!]]),
    );
    this.#curveKeys.set(curve.name, made);
    return made;
  }

  /** An EVP_PKEY of named parts, or null when libcrypto does not take them. */
  #makeKey(
    algorithm: string,
    selection: number,
    parts: readonly (readonly [string, string | Uint8Array])[],
  ): Deno.PointerValue {
    const lib = this.#lib;
    const list = parameters(parts);
    const context = present(lib.EVP_PKEY_CTX_new_from_name(null, cString(algorithm), null));
    try {
      const result = this.#madeKey;
      result[0] = 0n;
      check(lib.EVP_PKEY_fromdata_init(context));
      const isMade = lib.EVP_PKEY_fromdata(context, octetsOf(result), selection, list.pointer);
      return isMade === 1 ? Deno.UnsafePointer.create(result[0]) : null;
    } finally {
      lib.EVP_PKEY_CTX_free(context);
    }
  }

  #digest(rhash: Rhash): Deno.PointerObject {
    const known = this.#digests.get(rhash);
    if (known !== undefined) return known;
    const fetched = present(this.#lib.EVP_MD_fetch(null, cString(DIGEST_NAMES.get(rhash)!), null));
    this.#digests.set(rhash, fetched);
    return fetched;
  }

  /** A refusal leaves its reason in a queue, which nobody reads. */
  #refused(): false {
    this.#lib.ERR_clear_error();
    return false;
  }
}

const ED25519_NAME = cString("ED25519");

function octetsOf(words: BigUint64Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(words.buffer);
}

function check(result: number): void {
  if (result !== 1) throw new Error("Cannot sign or verify: libcrypto refused");
}

function present(pointer: Deno.PointerValue): Deno.PointerObject {
  if (pointer === null) throw new Error("Cannot sign or verify: libcrypto refused the key");
  return pointer;
}
