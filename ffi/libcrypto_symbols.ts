/**
 * The functions of OpenSSL's libcrypto 3 that are used, each parameter with its C declaration.
 *
 * `size_t` is declared as a pointer: see `PointerCache.length`.
 */

/** Sonames by order of preference; the loader searches the system's own folders. */
const SONAMES = ["libcrypto.so.3"];

const SYMBOLS = {
  // EVP_CIPHER *EVP_CIPHER_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties)
  EVP_CIPHER_fetch: { parameters: ["pointer", "buffer", "pointer"], result: "pointer" },
  // EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void)
  EVP_CIPHER_CTX_new: { parameters: [], result: "pointer" },
  // void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *ctx)
  EVP_CIPHER_CTX_free: { parameters: ["pointer"], result: "void" },
  // int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX *ctx, int padding)
  EVP_CIPHER_CTX_set_padding: { parameters: ["pointer", "i32"], result: "i32" },
  // int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int cmd, int p1, void *p2)
  EVP_CIPHER_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "pointer"], result: "i32" },
  // int EVP_CIPHER_CTX_get_params(EVP_CIPHER_CTX *ctx, OSSL_PARAM params[])
  EVP_CIPHER_CTX_get_params: { parameters: ["pointer", "pointer"], result: "i32" },
  // int EVP_CipherInit_ex2(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher,
  //     const unsigned char *key, const unsigned char *iv, int enc, const OSSL_PARAM params[])
  EVP_CipherInit_ex2: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "i32", "pointer"],
    result: "i32",
  },
  // int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl,
  //     const unsigned char *in, int inl)
  EVP_CipherUpdate: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "i32"],
    result: "i32",
  },
  // int EVP_CipherFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *outm, int *outl)
  EVP_CipherFinal_ex: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  // EVP_MAC *EVP_MAC_fetch(OSSL_LIB_CTX *libctx, const char *algorithm, const char *properties)
  EVP_MAC_fetch: { parameters: ["pointer", "buffer", "pointer"], result: "pointer" },
  // EVP_MAC_CTX *EVP_MAC_CTX_new(EVP_MAC *mac)
  EVP_MAC_CTX_new: { parameters: ["pointer"], result: "pointer" },
  // void EVP_MAC_CTX_free(EVP_MAC_CTX *ctx)
  EVP_MAC_CTX_free: { parameters: ["pointer"], result: "void" },
  // int EVP_MAC_init(EVP_MAC_CTX *ctx, const unsigned char *key, size_t keylen,
  //     const OSSL_PARAM params[])
  EVP_MAC_init: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "i32" },
  // int EVP_MAC_update(EVP_MAC_CTX *ctx, const unsigned char *data, size_t datalen)
  EVP_MAC_update: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  // int EVP_MAC_final(EVP_MAC_CTX *ctx, unsigned char *out, size_t *outl, size_t outsize)
  EVP_MAC_final: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

export type LibcryptoSymbols = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

/** The library's functions; undefined when the system has no usable library. Never closed. */
export function loadLibcrypto(): LibcryptoSymbols | undefined {
  return openLibrary((soname) => Deno.dlopen(soname, SYMBOLS).symbols);
}

/** What `open` makes of the first name that it can open. */
export function openLibrary<T>(open: (soname: string) => T): T | undefined {
  for (const soname of SONAMES) {
    try {
      return open(soname);
    } catch {
      // Not installed, another architecture, or too old to have a symbol: all the same to us.
    }
  }
  return undefined;
}

/** `OSSL_PARAM_UNSIGNED_INTEGER`, `_UTF8_STRING` and `_OCTET_STRING` of openssl/core.h. */
const UNSIGNED_INTEGER = 2;
const UTF8_STRING = 4;
const OCTET_STRING = 5;

/**
 * `OSSL_PARAM` of openssl/core.h on 64-bit systems: key, data_type, data, data_size, return_size;
 * the array ends with one that is all zero.
 */
const PARAM_SIZE = 40;

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** A parameter array of one entry. Whoever uses it must keep it alive. */
export interface ParameterArray {
  readonly pointer: Deno.PointerObject;
  /** What the memory in use hangs on. */
  readonly owned: readonly Uint8Array[];
}

/** An array that names one UTF-8 string, such as `digest`. */
export function stringParameter(key: string, value: string): ParameterArray {
  const data = cString(value);
  return parameterArray(key, UTF8_STRING, data, value.length);
}

/** An array that names octets which are read or written by the library at the time of the call. */
export function octetParameter(key: string, data: Uint8Array, length: number): ParameterArray {
  return parameterArray(key, OCTET_STRING, data, length);
}

function parameterArray(
  key: string,
  type: number,
  data: Uint8Array,
  length: number,
): ParameterArray {
  return entries([{ key, type, data, length }]);
}

/**
 * An array of parts of a key: text, or an integer that is not negative, big-endian. What it points
 * to is a copy, so secrets do not belong here.
 */
export function parameters(
  parts: readonly (readonly [string, string | Uint8Array])[],
): ParameterArray {
  return entries(parts.map(([key, value]) => {
    if (typeof value === "string") {
      return { key, type: UTF8_STRING, data: cString(value), length: value.length };
    }
    const data = fixedBytes(value.length);
    data.set(value);
    if (IS_LITTLE_ENDIAN) data.reverse();
    return { key, type: UNSIGNED_INTEGER, data, length: data.length };
  }));
}

function entries(
  list: readonly {
    readonly key: string;
    readonly type: number;
    readonly data: Uint8Array;
    readonly length: number;
  }[],
): ParameterArray {
  const octets = fixedBytes((list.length + 1) * PARAM_SIZE);
  const view = new DataView(octets.buffer);
  const owned: Uint8Array[] = [octets];
  list.forEach(({ key, type, data, length }, i) => {
    const name = cString(key);
    const start = i * PARAM_SIZE;
    view.setBigUint64(start, Deno.UnsafePointer.value(pointerTo(name)), IS_LITTLE_ENDIAN);
    view.setUint32(start + 8, type, IS_LITTLE_ENDIAN);
    view.setBigUint64(start + 16, Deno.UnsafePointer.value(pointerTo(data)), IS_LITTLE_ENDIAN);
    view.setBigUint64(start + 24, BigInt(length), IS_LITTLE_ENDIAN);
    owned.push(name, data);
  });
  return { pointer: pointerTo(octets), owned };
}

/** Octets whose address never changes: the buffer is asked for, so that it lies off the heap. */
export function fixedBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** The address of the first octet. */
export function pointerTo(bytes: Uint8Array): Deno.PointerObject {
  const pointer = Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>);
  if (pointer === null) throw new RangeError("Cannot take the address of no octets");
  return pointer;
}

/** ASCII text with its final zero. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  const bytes = fixedBytes(text.length + 1);
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}
