/**
 * The functions of OpenSSL's libcrypto 3 for signatures and Diffie-Hellman, each parameter with its
 * C declaration. `buffer` takes our octets as they lie: libcrypto keeps none of these pointers.
 */

import { openLibrary } from "./libcrypto_symbols.ts";

const SYMBOLS = {
  // void ERR_clear_error(void)
  ERR_clear_error: { parameters: [], result: "void" },

  // EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **a, const unsigned char **pp, long length)
  d2i_AutoPrivateKey: { parameters: ["pointer", "buffer", "i64"], result: "pointer" },
  // EVP_PKEY *EVP_PKEY_new_raw_public_key_ex(OSSL_LIB_CTX *libctx, const char *keytype,
  //     const char *propq, const unsigned char *key, size_t keylen)
  EVP_PKEY_new_raw_public_key_ex: {
    parameters: ["pointer", "buffer", "pointer", "buffer", "usize"],
    result: "pointer",
  },
  // int EVP_PKEY_set1_encoded_public_key(EVP_PKEY *pkey, const unsigned char *pub, size_t publen)
  EVP_PKEY_set1_encoded_public_key: { parameters: ["pointer", "buffer", "usize"], result: "i32" },
  // void EVP_PKEY_free(EVP_PKEY *key)
  EVP_PKEY_free: { parameters: ["pointer"], result: "void" },

  // EVP_PKEY_CTX *EVP_PKEY_CTX_new_from_name(OSSL_LIB_CTX *libctx, const char *name,
  //     const char *propquery)
  EVP_PKEY_CTX_new_from_name: { parameters: ["pointer", "buffer", "pointer"], result: "pointer" },
  // EVP_PKEY_CTX *EVP_PKEY_CTX_new_from_pkey(OSSL_LIB_CTX *libctx, EVP_PKEY *pkey,
  //     const char *propquery)
  EVP_PKEY_CTX_new_from_pkey: { parameters: ["pointer", "pointer", "pointer"], result: "pointer" },
  // void EVP_PKEY_CTX_free(EVP_PKEY_CTX *ctx)
  EVP_PKEY_CTX_free: { parameters: ["pointer"], result: "void" },
  // int EVP_PKEY_fromdata_init(EVP_PKEY_CTX *ctx)
  EVP_PKEY_fromdata_init: { parameters: ["pointer"], result: "i32" },
  // int EVP_PKEY_fromdata(EVP_PKEY_CTX *ctx, EVP_PKEY **ppkey, int selection, OSSL_PARAM params[])
  EVP_PKEY_fromdata: { parameters: ["pointer", "buffer", "i32", "pointer"], result: "i32" },

  // int EVP_PKEY_sign_init(EVP_PKEY_CTX *ctx)
  EVP_PKEY_sign_init: { parameters: ["pointer"], result: "i32" },
  // int EVP_PKEY_sign(EVP_PKEY_CTX *ctx, unsigned char *sig, size_t *siglen,
  //     const unsigned char *tbs, size_t tbslen)
  EVP_PKEY_sign: {
    parameters: ["pointer", "buffer", "buffer", "buffer", "usize"],
    result: "i32",
  },
  // int EVP_PKEY_verify_init(EVP_PKEY_CTX *ctx)
  EVP_PKEY_verify_init: { parameters: ["pointer"], result: "i32" },
  // int EVP_PKEY_verify(EVP_PKEY_CTX *ctx, const unsigned char *sig, size_t siglen,
  //     const unsigned char *tbs, size_t tbslen)
  EVP_PKEY_verify: {
    parameters: ["pointer", "buffer", "usize", "buffer", "usize"],
    result: "i32",
  },
  // int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX *ctx, int pad)
  EVP_PKEY_CTX_set_rsa_padding: { parameters: ["pointer", "i32"], result: "i32" },
  // int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX *ctx, int len)
  EVP_PKEY_CTX_set_rsa_pss_saltlen: { parameters: ["pointer", "i32"], result: "i32" },
  // int EVP_PKEY_CTX_set_signature_md(EVP_PKEY_CTX *ctx, const EVP_MD *md)
  EVP_PKEY_CTX_set_signature_md: { parameters: ["pointer", "pointer"], result: "i32" },

  // EVP_MD *EVP_MD_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties)
  EVP_MD_fetch: { parameters: ["pointer", "buffer", "pointer"], result: "pointer" },
  // EVP_MD_CTX *EVP_MD_CTX_new(void)
  EVP_MD_CTX_new: { parameters: [], result: "pointer" },
  // void EVP_MD_CTX_free(EVP_MD_CTX *ctx)
  EVP_MD_CTX_free: { parameters: ["pointer"], result: "void" },
  // int EVP_DigestSignInit(EVP_MD_CTX *ctx, EVP_PKEY_CTX **pctx, const EVP_MD *type, ENGINE *e,
  //     EVP_PKEY *pkey)
  EVP_DigestSignInit: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "pointer"],
    result: "i32",
  },
  // int EVP_DigestSign(EVP_MD_CTX *ctx, unsigned char *sig, size_t *siglen,
  //     const unsigned char *tbs, size_t tbslen)
  EVP_DigestSign: {
    parameters: ["pointer", "buffer", "buffer", "buffer", "usize"],
    result: "i32",
  },
  // int EVP_DigestVerifyInit(EVP_MD_CTX *ctx, EVP_PKEY_CTX **pctx, const EVP_MD *type, ENGINE *e,
  //     EVP_PKEY *pkey)
  EVP_DigestVerifyInit: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "pointer"],
    result: "i32",
  },
  // int EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t siglen,
  //     const unsigned char *tbs, size_t tbslen)
  EVP_DigestVerify: {
    parameters: ["pointer", "buffer", "usize", "buffer", "usize"],
    result: "i32",
  },

  // BN_CTX *BN_CTX_new(void)
  BN_CTX_new: { parameters: [], result: "pointer" },
  // void BN_CTX_free(BN_CTX *c)
  BN_CTX_free: { parameters: ["pointer"], result: "void" },
  // BIGNUM *BN_new(void)
  BN_new: { parameters: [], result: "pointer" },
  // void BN_clear_free(BIGNUM *a)
  BN_clear_free: { parameters: ["pointer"], result: "void" },
  // void BN_set_flags(BIGNUM *b, int n)
  BN_set_flags: { parameters: ["pointer", "i32"], result: "void" },
  // BIGNUM *BN_bin2bn(const unsigned char *s, int len, BIGNUM *ret)
  BN_bin2bn: { parameters: ["buffer", "i32", "pointer"], result: "pointer" },
  // int BN_bn2binpad(const BIGNUM *a, unsigned char *to, int tolen)
  BN_bn2binpad: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  // BN_MONT_CTX *BN_MONT_CTX_new(void)
  BN_MONT_CTX_new: { parameters: [], result: "pointer" },
  // int BN_MONT_CTX_set(BN_MONT_CTX *mont, const BIGNUM *mod, BN_CTX *ctx)
  BN_MONT_CTX_set: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  // int BN_mod_exp_mont_consttime(BIGNUM *rr, const BIGNUM *a, const BIGNUM *p, const BIGNUM *m,
  //     BN_CTX *ctx, BN_MONT_CTX *in_mont)
  BN_mod_exp_mont_consttime: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "pointer", "pointer"],
    result: "i32",
  },

  // EC_GROUP *EC_GROUP_new_by_curve_name(int nid)
  EC_GROUP_new_by_curve_name: { parameters: ["i32"], result: "pointer" },
  // EC_POINT *EC_POINT_new(const EC_GROUP *group)
  EC_POINT_new: { parameters: ["pointer"], result: "pointer" },
  // void EC_POINT_clear_free(EC_POINT *point)
  EC_POINT_clear_free: { parameters: ["pointer"], result: "void" },
  // int EC_POINT_oct2point(const EC_GROUP *group, EC_POINT *p, const unsigned char *buf, size_t len,
  //     BN_CTX *ctx)
  EC_POINT_oct2point: {
    parameters: ["pointer", "pointer", "buffer", "usize", "pointer"],
    result: "i32",
  },
  // size_t EC_POINT_point2oct(const EC_GROUP *group, const EC_POINT *p,
  //     point_conversion_form_t form, unsigned char *buf, size_t len, BN_CTX *ctx)
  EC_POINT_point2oct: {
    parameters: ["pointer", "pointer", "i32", "buffer", "usize", "pointer"],
    result: "usize",
  },
  // int EC_POINT_mul(const EC_GROUP *group, EC_POINT *r, const BIGNUM *n, const EC_POINT *q,
  //     const BIGNUM *m, BN_CTX *ctx)
  EC_POINT_mul: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "pointer", "pointer"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

export type KeySymbols = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

/** The functions; undefined when the system has no usable library. Never closed. */
export function loadKeySymbols(): KeySymbols | undefined {
  return openLibrary((soname) => Deno.dlopen(soname, SYMBOLS).symbols);
}

/** Octets for a `buffer` parameter. */
export function asBuffer(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  return octets as Uint8Array<ArrayBuffer>;
}
