/**
 * Public-key work on the system's libcrypto (OpenSSL 3), many times faster than the portable way
 * and in constant time. What it is not asked (DSA, SECP160R1, the rarer EdDSA curves) the portable
 * provider does.
 *
 * The library is optional; one that gives a wrong answer is a fatal error, not a reason to fall
 * back.
 */

import { PORTABLE_PUBLIC_KEYS } from "../lib/crypto/portable_public_keys.ts";
import type { PublicKeyProvider } from "../lib/crypto/public_key_provider.ts";
import { LibcryptoAgreement } from "./libcrypto_agreement.ts";
import { loadKeySymbols } from "./libcrypto_key_symbols.ts";
import { checkPublicKeys } from "./libcrypto_key_self_test.ts";
import { LibcryptoSignatures } from "./libcrypto_signatures.ts";

/**
 * The provider on libcrypto; undefined where the system has none. It stays within its thread.
 *
 * @throws {Error} When the library gives a wrong answer to a known question.
 */
export function openLibcryptoPublicKeys(): PublicKeyProvider | undefined {
  const lib = loadKeySymbols();
  if (lib === undefined) return undefined;
  const agreement = new LibcryptoAgreement(lib);
  const signatures = new LibcryptoSignatures(lib);
  const other = PORTABLE_PUBLIC_KEYS;
  const provider: PublicKeyProvider = {
    name: "libcrypto",
    sign: (identity, message, random) =>
      signatures.sign(identity, message) ?? other.sign(identity, message, random),
    forget: (identity) => {
      signatures.forget(identity);
      other.forget(identity);
    },
    verify: (signer, signature, message) =>
      signatures.verify(signer, signature, message) ?? other.verify(signer, signature, message),
    generateDhKeyPair: (groupId, random) =>
      (agreement.supports(groupId) ? agreement : other).generateDhKeyPair(groupId, random),
    agree: (pair, peerPublicValue) =>
      (agreement.supports(pair.groupId) ? agreement : other).agree(pair, peerPublicValue),
  };
  checkPublicKeys(provider);
  return provider;
}
