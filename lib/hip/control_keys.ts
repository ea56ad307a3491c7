/** What a completed exchange leaves at either end. */

import { wipe } from "../base/bytes.ts";
import { PackedOctets } from "../base/packed_octets.ts";
import type { DhKeyPair } from "../crypto/dh_group.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import type { HipKeys, Keymat } from "../crypto/keymat.ts";
import type { Rhash } from "../crypto/rhash.ts";
import type { InboundSa, OutboundSa } from "../esp/security_association.ts";
import type { AddressPair } from "./association_context.ts";
import type { ExchangeSecrets } from "./jobs.ts";

/**
 * What protects control packets once keys are agreed. HIP keys keep their values for the life of
 * the association; a rekey replaces ESP keys alone (RFC 7402 §7).
 */
export interface ControlKeys extends ExchangeSecrets {
  readonly peerIdentity: PublicHostIdentity;
}

/** Which octets `StoredKeys` holds, by their place. */
const PRK = 0;
const INFO = 1;
const ENCRYPTION_OUT = 2;
const INTEGRITY_OUT = 3;
const ENCRYPTION_IN = 4;
const INTEGRITY_IN = 5;
const PRIVATE_KEY = 6;
const PUBLIC_VALUE = 7;
const PEER_PUBLIC_VALUE = 8;
const RANDOM_I = 9;
const SOLUTION_J = 10;
const HOST_IDENTITY = 11;
const PEER_HIT = 12;

/**
 * Control keys in one piece, for as long as an association lives. Secrets come out as views, so that
 * who overwrites them overwrites them here; all else comes out as copies. A secret that goes to
 * another thread must be copied first, or all of them go with it.
 */
export class StoredKeys implements ControlKeys {
  readonly keymatIndex: number;
  readonly rhash: Rhash;
  readonly hipCipher: number;
  readonly espSuite: number;
  readonly dhGroup: number;
  readonly peerAlgorithm: number;
  readonly #octets: PackedOctets;

  /**
   * @param keys Their secrets are overwritten, now that they are stored.
   * @param peerHit Stored with them.
   */
  constructor(keys: ControlKeys, peerHit: Uint8Array) {
    this.keymatIndex = keys.keymatIndex;
    this.rhash = keys.rhash;
    this.hipCipher = keys.hipCipher;
    this.espSuite = keys.espSuite;
    this.dhGroup = keys.dhGroup;
    this.peerAlgorithm = keys.peerIdentity.algorithm;
    const { keymat, hipKeys, dhKeyPair } = keys;
    this.#octets = new PackedOctets([
      keymat.prk,
      keymat.info,
      hipKeys.encryptionOut,
      hipKeys.integrityOut,
      hipKeys.encryptionIn,
      hipKeys.integrityIn,
      dhKeyPair.privateKey,
      dhKeyPair.publicValue,
      keys.peerPublicValue,
      keys.randomI,
      keys.solutionJ,
      keys.peerIdentity.hostIdentity,
      peerHit,
    ]);
    wipeSecrets(keys);
  }

  get keymat(): Keymat {
    return { rhash: this.rhash, prk: this.#octets.view(PRK), info: this.#octets.copy(INFO) };
  }

  get hipKeys(): HipKeys {
    return {
      encryptionOut: this.#octets.view(ENCRYPTION_OUT),
      integrityOut: this.#octets.view(INTEGRITY_OUT),
      encryptionIn: this.#octets.view(ENCRYPTION_IN),
      integrityIn: this.#octets.view(INTEGRITY_IN),
    };
  }

  get dhKeyPair(): DhKeyPair {
    return {
      groupId: this.dhGroup,
      privateKey: this.#octets.view(PRIVATE_KEY),
      publicValue: this.#octets.copy(PUBLIC_VALUE),
    };
  }

  get peerPublicValue(): Uint8Array {
    return this.#octets.copy(PEER_PUBLIC_VALUE);
  }

  get randomI(): Uint8Array {
    return this.#octets.copy(RANDOM_I);
  }

  get solutionJ(): Uint8Array {
    return this.#octets.copy(SOLUTION_J);
  }

  /** A view that takes the place of an array of its own. */
  get peerHit(): Uint8Array {
    return this.#octets.view(PEER_HIT);
  }

  get peerIdentity(): PublicHostIdentity {
    return { algorithm: this.peerAlgorithm, hostIdentity: this.#octets.copy(HOST_IDENTITY) };
  }
}

/** Keys, and an SA in each direction. */
export interface Security {
  readonly keys: ControlKeys;
  readonly inbound: InboundSa;
  readonly outbound: OutboundSa;
}

/** The addresses in use, as copies. */
export function pathOf({ outbound }: Security): AddressPair {
  const { localAddress, peerAddress, peerPort } = outbound;
  return { local: localAddress.slice(), peer: peerAddress.slice(), peerPort };
}

/** Overwrites what an exchange has agreed on (RFC 7401 §6.16). */
export function wipeSecrets({ keymat, hipKeys, dhKeyPair }: ExchangeSecrets): void {
  const { encryptionIn, encryptionOut, integrityIn, integrityOut } = hipKeys;
  wipe(keymat.prk, encryptionIn, encryptionOut, integrityIn, integrityOut, dhKeyPair.privateKey);
}
