/**
 * A Host Identity as plain octets, so that it can travel to a worker thread (RFC 7401 §3.2,
 * §5.2.9).
 */

/** What a HOST_ID says of a key: enough to verify a signature and to compute a HIT. */
export interface PublicHostIdentity {
  /** HI algorithm: 3 DSA, 5 RSA, 7 ECDSA, 9 ECDSA_LOW, 13 EdDSA. */
  readonly algorithm: number;
  /** The Host Identity field exactly as received or as we send it; what the HIT hashes. */
  readonly hostIdentity: Uint8Array;
}

/** A key pair of our own. Never printed, never logged. */
export interface PrivateHostIdentity extends PublicHostIdentity {
  /** 16 octets. */
  readonly hit: Uint8Array;
  /** PKCS#8 DER. */
  readonly privateKey: Uint8Array;
}
