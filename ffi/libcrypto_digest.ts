/**
 * The hashes of HIT Suites over few octets, by the system's libcrypto (OpenSSL 3): a puzzle costs a
 * tenth of what it does by the runtime, whose own call outweighs the hash.
 */

import { briefOctets } from "../lib/base/brief_octets.ts";
import { bytesEqual, fromHex } from "../lib/base/bytes.ts";
import { type Digest, digest, type Rhash, rhashLength } from "../lib/crypto/rhash.ts";
import { cString, fixedBytes, openLibrary, pointerTo } from "./libcrypto_symbols.ts";
import { PointerCache } from "./pointer_cache.ts";

/** Longer inputs are left to `lib/crypto/rhash.ts`. */
const MAX_INPUT = 256;

const MAX_OUTPUT = 48;

const NAMES: Readonly<Record<Rhash, string>> = {
  sha1: "SHA1",
  sha256: "SHA256",
  sha384: "SHA384",
  // Without strings cSHAKE128 is SHAKE128 (NIST SP 800-185 §3.3).
  cshake128: "SHAKE128",
};

/** Lengths are passed as pointers, which have the width of `size_t`; see `PointerCache`. */
const SYMBOLS = {
  // EVP_MD *EVP_MD_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties)
  EVP_MD_fetch: { parameters: ["pointer", "buffer", "pointer"], result: "pointer" },
  // EVP_MD_CTX *EVP_MD_CTX_new(void)
  EVP_MD_CTX_new: { parameters: [], result: "pointer" },
  // int EVP_DigestInit_ex2(EVP_MD_CTX *ctx, const EVP_MD *type, const OSSL_PARAM params[])
  EVP_DigestInit_ex2: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  // int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *d, size_t cnt)
  EVP_DigestUpdate: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  // int EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *md, unsigned int *s)
  EVP_DigestFinal_ex: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  // int EVP_DigestFinalXOF(EVP_MD_CTX *ctx, unsigned char *md, size_t len)
  EVP_DigestFinalXOF: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** One hash function, with a context of its own. */
interface Prepared {
  readonly algorithm: Deno.PointerObject;
  readonly context: Deno.PointerObject;
}

const RHASHES = ["sha1", "sha256", "sha384", "cshake128"] as const;

/** "abc" under each (FIPS 180-4; SHAKE128 of FIPS 202 to 32 octets). */
const KNOWN: Readonly<Record<Rhash, string>> = {
  sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
  sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  sha384: `cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed
    8086072ba1e7cc2358baeca134c825a7`,
  cshake128: "5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8",
};

/**
 * The hashes; undefined where the system has no libcrypto that knows all of them. They stay within
 * their thread. What they give is not to be kept (`briefOctets`): they serve puzzles.
 *
 * @throws {Error} When the library gives a wrong answer to a known question.
 */
export function openLibcryptoDigest(): Digest | undefined {
  const lib = openLibrary((soname) => Deno.dlopen(soname, SYMBOLS).symbols);
  if (lib === undefined) return undefined;
  const prepared = new Map<Rhash, Prepared>();
  for (const rhash of RHASHES) {
    const algorithm = lib.EVP_MD_fetch(null, cString(NAMES[rhash]), null);
    const context = lib.EVP_MD_CTX_new();
    if (algorithm === null || context === null) return undefined;
    prepared.set(rhash, { algorithm, context });
  }
  const input = fixedBytes(MAX_INPUT);
  const output = fixedBytes(MAX_OUTPUT);
  const [inputAt, outputAt] = [pointerTo(input), pointerTo(output)];
  const pointers = new PointerCache();

  const compute: Digest = (rhash, ...parts) => {
    let length = 0;
    for (const part of parts) {
      if (length + part.length > MAX_INPUT) {
        input.fill(0, 0, length);
        return digest(rhash, ...parts);
      }
      // For so few octets quicker than `set`.
      for (let i = 0; i < part.length; i++) input[length++] = part[i]!;
    }
    const { algorithm, context } = prepared.get(rhash)!;
    const outputLength = rhashLength(rhash);
    const isDone = lib.EVP_DigestInit_ex2(context, algorithm, null) === 1 &&
      lib.EVP_DigestUpdate(context, inputAt, pointers.length(length)) === 1 &&
      (rhash === "cshake128"
          ? lib.EVP_DigestFinalXOF(context, outputAt, pointers.length(outputLength))
          : lib.EVP_DigestFinal_ex(context, outputAt, null)) === 1;
    if (!isDone) throw new Error(`libcrypto did not compute ${NAMES[rhash]}`);
    // It may begin with a secret.
    input.fill(0, 0, length);
    const result = briefOctets(outputLength);
    for (let i = 0; i < outputLength; i++) result[i] = output[i]!;
    return result;
  };
  checkDigest(compute);
  return compute;
}

/** Asks what "abc" gives. @throws {Error} On the first wrong answer. */
export function checkDigest(compute: Digest): void {
  for (const rhash of RHASHES) {
    const abc = new TextEncoder().encode("abc");
    if (bytesEqual(compute(rhash, abc), fromHex(KNOWN[rhash]))) continue;
    throw new Error(
      `Cannot use libcrypto: wrong answer to a known question about ${NAMES[rhash]}; ` +
        "repair or remove the library",
    );
  }
}
