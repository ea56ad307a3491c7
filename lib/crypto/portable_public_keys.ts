/** Public-key work on the runtime's own cryptography and `bigint`: works everywhere. */

import { agree, generateDhKeyPair } from "./dh_group.ts";
import type { PublicKeyProvider } from "./public_key_provider.ts";
import { forgetSigningKey, signMessage, verifySignature } from "./signature.ts";

/** With the same generator it gives the same octets, so the simulator uses it. */
export const PORTABLE_PUBLIC_KEYS: PublicKeyProvider = {
  name: "portable",
  sign: signMessage,
  forget: forgetSigningKey,
  verify: verifySignature,
  generateDhKeyPair,
  agree,
};
