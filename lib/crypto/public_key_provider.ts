/**
 * Who computes signatures and Diffie-Hellman: one contract for `portable_public_keys.ts` and the
 * system's libcrypto (`ffi/libcrypto_public_keys.ts`). Both know every Host Identity algorithm and
 * every group, refuse the same keys, points and signatures, and pass the same tests.
 *
 * Everything is synchronous. What comes from a peer may be hostile: it is checked before use, and a
 * wrong value is an answer, never an exception.
 */

import type { Random } from "../base/random.ts";
import type { DhKeyPair } from "./dh_group.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "./host_key.ts";

export interface PublicKeyProvider {
  /** "portable" or "libcrypto". */
  readonly name: string;

  /**
   * The signature field without SIG alg, as `signature.ts` describes it.
   *
   * @param random Salt, blinding and one-time numbers come from here, unless they are derived from
   *   key and message or the library insists on its own.
   * @throws {Error} When the identity cannot sign.
   */
  sign(identity: PrivateHostIdentity, message: Uint8Array, random: Random): Uint8Array;

  /** Drops what was kept of a private key for its next signature, and wipes it where it can. */
  forget(identity: PrivateHostIdentity): void;

  /** Whether the signature is right for the message; false too for a key that cannot be one. */
  verify(signer: PublicHostIdentity, signature: Uint8Array, message: Uint8Array): boolean;

  /**
   * A fresh key pair; the private key comes from `random` alone, so that the same generator gives
   * the same pair with every provider.
   *
   * @throws {RangeError} For a group that is not in `DH_GROUPS`.
   */
  generateDhKeyPair(groupId: number, random: Random): DhKeyPair;

  /**
   * Kij at the full width of the group; undefined when the peer's value is not valid.
   *
   * @throws {RangeError} When the private key was wiped.
   */
  agree(pair: DhKeyPair, peerPublicValue: Uint8Array): Uint8Array | undefined;
}
