/**
 * Long work: what the engine asks to have computed outside the packet path, as plain values that
 * can cross to another thread (RFC 7401 §6.3, §6.5, §6.7 to §6.10).
 *
 * A job holds everything it needs and keeps nothing. Its randomness comes from its own seed, but
 * for what libcrypto adds to signatures. A lost job loses only itself: the exchange goes on by
 * retransmission.
 */

import { wipe } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import type { DhKeyPair } from "../crypto/dh_group.ts";
import type { HipKeys, Keymat } from "../crypto/keymat.ts";
import type { Rhash } from "../crypto/rhash.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../crypto/host_key.ts";
import type { IdentityKind } from "../identity/host_identity.ts";

/** What we offer and accept, each list most preferred first. */
export interface ExchangePolicy {
  /** Diffie-Hellman Group IDs (RFC 7401 §5.2.7). */
  readonly dhGroups: readonly number[];
  /** HIP Cipher IDs (§5.2.8), six at most. */
  readonly hipCiphers: readonly number[];
  /** ESP suite IDs (RFC 7402 §5.1.2), six at most. */
  readonly espSuites: readonly number[];
  /** HIT Suite IDs (§5.2.10) whose signatures we can verify. */
  readonly hitSuites: readonly number[];
}

/** Responder: makes and signs an R1 that serves many Initiators (§6.7.1, appendix A). */
export interface BuildR1Job {
  readonly kind: "build-r1";
  /** 32 octets. */
  readonly seed: Uint8Array;
  readonly identity: PrivateHostIdentity;
  readonly dhGroup: number;
  readonly policy: ExchangePolicy;
  readonly difficultyK: number;
  /** The Lifetime octet of PUZZLE: 2^(value - 32) seconds. */
  readonly puzzleLifetime: number;
  readonly r1Generation: bigint;
  /** Sets the A control bit (§5.1.2). */
  readonly isAnonymous: boolean;
}

export interface BuildR1Result {
  readonly kind: "build-r1";
  /** Whole packet; receiver HIT, PUZZLE Opaque and #I, and checksum are zero, to be filled in. */
  readonly template: Uint8Array;
  readonly dhPrivateKey: Uint8Array;
  readonly dhPublicValue: Uint8Array;
}

/** Initiator: binds R1 to its signature and its key to its HIT (§6.8 steps 4 and 10). */
export interface VerifyR1Job {
  readonly kind: "verify-r1";
  readonly r1: Uint8Array;
  /** The key that DNS named, when it did; the HIT alone decides otherwise. */
  readonly expectedIdentity: PublicHostIdentity | undefined;
}

export interface VerifyR1Result {
  readonly kind: "verify-r1";
}

/** Initiator: tries `tries` values of #J from `firstJ` upwards (§6.3). */
export interface SolvePuzzleJob {
  readonly kind: "solve-puzzle";
  readonly rhash: Rhash;
  readonly randomI: Uint8Array;
  readonly initiatorHit: Uint8Array;
  readonly responderHit: Uint8Array;
  readonly difficultyK: number;
  /** #J to start from, as wide as RHASH. */
  readonly firstJ: Uint8Array;
  readonly tries: number;
}

export interface SolvePuzzleResult {
  readonly kind: "solve-puzzle";
  /** Absent when none of the values tried solves it: go on from `nextJ`. */
  readonly solutionJ: Uint8Array | undefined;
  readonly nextJ: Uint8Array;
  readonly tries: number;
}

/** Initiator: key agreement, KEYMAT, and the whole I2 (§6.8 steps 12 to 17). */
export interface BuildI2Job {
  readonly kind: "build-i2";
  readonly seed: Uint8Array;
  readonly identity: PrivateHostIdentity;
  /** A verified R1, as received. */
  readonly r1: Uint8Array;
  readonly solutionJ: Uint8Array;
  readonly policy: ExchangePolicy;
  /** The SPI we chose for packets to us, 256 to 2^32 - 1. */
  readonly inboundSpi: number;
  /** Whether our HOST_ID travels inside ENCRYPTED. */
  readonly encryptHostId: boolean;
  readonly isAnonymous: boolean;
}

/** What both ends hold after I2. */
export interface ExchangeSecrets {
  readonly keymat: Keymat;
  readonly hipKeys: HipKeys;
  /** First octet of KEYMAT not drawn for HIP keys: where ESP keys begin (RFC 7402 §7). */
  readonly keymatIndex: number;
  readonly rhash: Rhash;
  readonly hipCipher: number;
  readonly espSuite: number;
  readonly dhGroup: number;
  /** Ours; a rekey in which only the peer sends a new key uses it again (RFC 7402 §6.10). */
  readonly dhKeyPair: DhKeyPair;
  readonly peerPublicValue: Uint8Array;
  /** #I and #J: the salt of every later KEYMAT (RFC 7401 §6.5). */
  readonly randomI: Uint8Array;
  readonly solutionJ: Uint8Array;
}

export interface BuildI2Result extends ExchangeSecrets {
  readonly kind: "build-i2";
  /** Checksum zero. */
  readonly i2: Uint8Array;
  readonly peerIdentity: PublicHostIdentity;
}

/** Responder: everything in an I2 that costs public-key work, and the R2 (§6.9 steps 10 to 19). */
export interface AcceptI2Job {
  readonly kind: "accept-i2";
  readonly seed: Uint8Array;
  readonly identity: PrivateHostIdentity;
  /** An I2 whose puzzle, lists and counter were found right. */
  readonly i2: Uint8Array;
  /** The R1 template that it answers, and its private key. */
  readonly r1Template: Uint8Array;
  readonly dhPrivateKey: Uint8Array;
  readonly policy: ExchangePolicy;
  readonly inboundSpi: number;
  /** The key that DNS or configuration named for this HIT, if any. */
  readonly expectedIdentity: PublicHostIdentity | undefined;
}

export interface AcceptI2Result extends ExchangeSecrets {
  readonly kind: "accept-i2";
  /** Checksum zero. */
  readonly r2: Uint8Array;
  /** The SPI that the peer chose for packets to it. */
  readonly outboundSpi: number;
  readonly peerIdentity: PublicHostIdentity;
}

/** Initiator: HIP_MAC_2 and signature of R2 (§6.10). */
export interface VerifyR2Job {
  readonly kind: "verify-r2";
  readonly r2: Uint8Array;
  /** The R1 that was answered, for its HOST_ID as received (§6.4.1). */
  readonly r1: Uint8Array;
  readonly rhash: Rhash;
  readonly integrityKey: Uint8Array;
  /** What our KEYMAT index is; the peer's must be the same (RFC 7402 §6.5). */
  readonly keymatIndex: number;
}

/** The check of an R2 under what I2 has agreed. */
export function verifyR2Job(r2: Uint8Array, r1: Uint8Array, secrets: ExchangeSecrets): VerifyR2Job {
  const { rhash, hipKeys, keymatIndex } = secrets;
  const integrityKey = hipKeys.integrityIn.slice();
  return { kind: "verify-r2", r2, r1, rhash, integrityKey, keymatIndex };
}

export interface VerifyR2Result {
  readonly kind: "verify-r2";
  readonly outboundSpi: number;
}

/** UPDATE, NOTIFY, CLOSE, CLOSE_ACK: parameters in order, then HIP_MAC, then HIP_SIGNATURE. */
export interface SignPacketJob {
  readonly kind: "sign-packet";
  readonly seed: Uint8Array;
  readonly identity: PrivateHostIdentity;
  readonly packetType: number;
  readonly senderHit: Uint8Array;
  readonly receiverHit: Uint8Array;
  /** Whole TLVs, padding included. */
  readonly parameters: readonly Uint8Array[];
  /** Absent for NOTIFY, which has no MAC. */
  readonly mac: { readonly rhash: Rhash; readonly key: Uint8Array } | undefined;
}

export interface SignPacketResult {
  readonly kind: "sign-packet";
  /** Checksum zero. */
  readonly packet: Uint8Array;
}

/** HIP_SIGNATURE of UPDATE, NOTIFY, CLOSE, CLOSE_ACK; the MAC was checked before. */
export interface VerifySignatureJob {
  readonly kind: "verify-signature";
  readonly packet: Uint8Array;
  readonly peerIdentity: PublicHostIdentity;
}

export interface VerifySignatureResult {
  readonly kind: "verify-signature";
}

/** Rekey: a fresh Diffie-Hellman key (RFC 7402 §6.8 step 1). */
export interface GenerateDhJob {
  readonly kind: "generate-dh";
  readonly seed: Uint8Array;
  readonly dhGroup: number;
}

export interface GenerateDhResult {
  readonly kind: "generate-dh";
  readonly keyPair: DhKeyPair;
}

/** Rekey: a new KEYMAT from new Diffie-Hellman keys and the old #I and #J (RFC 7402 §6.10). */
export interface AgreeDhJob {
  readonly kind: "agree-dh";
  readonly rhash: Rhash;
  readonly keyPair: DhKeyPair;
  readonly peerPublicValue: Uint8Array;
  readonly randomI: Uint8Array;
  readonly solutionJ: Uint8Array;
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
}

export interface AgreeDhResult {
  readonly kind: "agree-dh";
  readonly keymat: Keymat;
}

/** A fresh Host Identity for anonymous use (§5.1.2). */
export interface GenerateIdentityJob {
  readonly kind: "generate-identity";
  readonly seed: Uint8Array;
  readonly identityKind: IdentityKind;
}

export interface GenerateIdentityResult {
  readonly kind: "generate-identity";
  readonly identity: PrivateHostIdentity;
}

/** The key will not sign again: whatever was kept of it where jobs are done is dropped. */
export interface ForgetKeyJob {
  readonly kind: "forget-key";
  readonly identity: PrivateHostIdentity;
}

export interface ForgetKeyResult {
  readonly kind: "forget-key";
}

/**
 * Overwrites the secrets in a job that is done: copies of keys, and the seed, from which private keys
 * could be drawn again.
 */
export function wipeJob(job: Job): void {
  if ("seed" in job) wipe(job.seed);
  if (job.kind === "accept-i2") wipe(job.dhPrivateKey);
  if (job.kind === "agree-dh") wipe(job.keyPair.privateKey);
  if (job.kind === "verify-r2") wipe(job.integrityKey);
  if (job.kind === "sign-packet") wipe(job.mac?.key);
}

export type Job =
  | BuildR1Job
  | VerifyR1Job
  | SolvePuzzleJob
  | BuildI2Job
  | AcceptI2Job
  | VerifyR2Job
  | SignPacketJob
  | VerifySignatureJob
  | GenerateDhJob
  | AgreeDhJob
  | GenerateIdentityJob
  | ForgetKeyJob;

/** The packet or the wish failed for this reason; nothing else was revealed or changed. */
export interface JobFailure {
  readonly kind: "failed";
  readonly reason: DropReason;
  /** For the local log only. */
  readonly detail: string;
}

export type JobResult =
  | BuildR1Result
  | VerifyR1Result
  | SolvePuzzleResult
  | BuildI2Result
  | AcceptI2Result
  | VerifyR2Result
  | SignPacketResult
  | VerifySignatureResult
  | GenerateDhResult
  | AgreeDhResult
  | GenerateIdentityResult
  | ForgetKeyResult
  | JobFailure;
