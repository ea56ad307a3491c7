/**
 * The Initiator's half of the base exchange: what it makes of R1, the I2, and what it makes of R2
 * (RFC 7401 §6.8, §6.10; RFC 7402 §6.4, §6.6).
 *
 * These are pure computations for a worker. When to send, resend or give up is decided in
 * `association.ts`.
 */

import { bytesEqual, wipe } from "../base/bytes.ts";
import { type Random, randomBytes } from "../base/random.ts";
import { cipherIvLength, encryptParameterContents } from "../crypto/hip_cipher.ts";
import { hitSuiteForAlgorithm } from "../crypto/hit_suite.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { drawHipKeys, extractKeymat } from "../crypto/keymat.ts";
import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import type { Rhash } from "../crypto/rhash.ts";
import { SeededRandom } from "../crypto/seeded_random.ts";
import { hitOf, hitSuiteId, isHit } from "../identity/hit.ts";
import { PACKET, PARAMETER } from "../wire/hip/code_points.ts";
import {
  CONTROL_ANONYMOUS,
  emitHipPacket,
  HIP_HEADER_LENGTH,
  HIP_PACKET_MAXIMUM,
  type HipPacket,
  parseHipPacket,
} from "../wire/hip/packet.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import { DIFFIE_HELLMAN } from "../wire/hip/parameters/diffie_hellman.ts";
import {
  ECHO_REQUEST_SIGNED,
  ECHO_REQUEST_UNSIGNED,
  ECHO_RESPONSE_SIGNED,
  ECHO_RESPONSE_UNSIGNED,
} from "../wire/hip/parameters/echo.ts";
import { ENCRYPTED } from "../wire/hip/parameters/encrypted.ts";
import { ESP_INFO } from "../wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../wire/hip/parameters/hip_cipher.ts";
import { HOST_ID } from "../wire/hip/parameters/host_id.ts";
import { SOLUTION } from "../wire/hip/parameters/solution.ts";
import { TRANSPORT_FORMAT_LIST } from "../wire/hip/parameters/transport_format_list.ts";
import { failed, isFailure } from "./job_failure.ts";
import type {
  BuildI2Job,
  BuildI2Result,
  JobFailure,
  VerifyR1Job,
  VerifyR1Result,
  VerifyR2Job,
  VerifyR2Result,
} from "./jobs.ts";
import { checkEspInfo, chooseFromR1, ESP_TRANSPORT_FORMAT, requireR1Form } from "./negotiation.ts";
import { hostIdTlv, withHipMac, withParameters, withSignature } from "./packet_builder.ts";
import { verifyHipMac2, verifyHipSignature, verifyHipSignature2 } from "./packet_verifier.ts";

/**
 * Binds an R1 to its key: HIT (RFC 7401 §6.8 step 10), the expected Host Identity (§5.3.2), then
 * the signature (step 4). The hash goes first because it is cheap; all are always done (OPEN-27).
 *
 * @throws {MalformedPacketError} When the packet does not have the form of an R1, so that no later
 *   step meets a missing parameter.
 */
export function verifyR1(
  { r1, expectedIdentity }: VerifyR1Job,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): VerifyR1Result | JobFailure {
  const packet = parseHipPacket(r1);
  if (packet.packetType !== PACKET.R1) return failed("hip-malformed", "not an R1");
  requireR1Form(packet);
  const identity = packet.require(HOST_ID);
  const refusal = checkIdentity(identity, packet.senderHit, expectedIdentity);
  if (refusal !== undefined) return refusal;
  return verifyHipSignature2(packet, identity, publicKeys)
    ? { kind: "verify-r1" }
    : failed("hip-signature-failed", "HIP_SIGNATURE_2 of R1");
}

/**
 * Whether a Host Identity gives the HIT that it came with, and is the one that was expected
 * (RFC 7401 §6.8 step 10, §6.9 step 12). Both ends use it.
 */
export function checkIdentity(
  identity: PublicHostIdentity,
  hit: Uint8Array,
  expected: PublicHostIdentity | undefined,
): JobFailure | undefined {
  // Of several algorithms in one suite the HIT does not say which; the hash does.
  const isOfSuite = isHit(hit) && hitSuiteForAlgorithm(identity.algorithm) === hitSuiteId(hit);
  if (!isOfSuite || !bytesEqual(hitOf(identity), hit)) {
    return failed("hip-invalid-hit", "the Host Identity does not give the sender HIT");
  }
  const isExpected = expected === undefined ||
    (identity.algorithm === expected.algorithm &&
      bytesEqual(identity.hostIdentity, expected.hostIdentity));
  return isExpected
    ? undefined
    : failed("hip-unexpected-identity", "another Host Identity was expected for this HIT");
}

/**
 * Key agreement, KEYMAT and the whole I2 (RFC 7401 §6.8 steps 6 to 17).
 *
 * @throws {MalformedPacketError} When the R1 does not have its form.
 */
export function buildI2(
  job: BuildI2Job,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): BuildI2Result | JobFailure {
  const { identity, policy, solutionJ, inboundSpi } = job;
  const random = new SeededRandom(job.seed);
  const r1 = parseHipPacket(job.r1);
  const localHit = identity.hit;
  const peerHit = r1.senderHit.slice();
  const choice = chooseFromR1(r1, policy, hitSuiteId(localHit));
  if (isFailure(choice)) return choice;
  const { rhash, puzzle, dhGroup, hipCipher, espSuite } = choice;

  // KEYMAT = HKDF(salt: #I | #J, secret: Kij, info: sort(HIT-I | HIT-R))
  const keyPair = publicKeys.generateDhKeyPair(dhGroup, random);
  const kij = publicKeys.agree(keyPair, choice.peerPublicValue);
  if (kij === undefined) {
    wipe(keyPair.privateKey);
    return failed("hip-bad-public-value", `group ${dhGroup} in R1`);
  }
  const keymat = extractKeymat(rhash, kij, puzzle.randomI, solutionJ, localHit, peerHit);
  wipe(kij);
  const { keys: hipKeys, nextIndex } = drawHipKeys(keymat, hipCipher, localHit, peerHit);

  const hostId = hostIdTlv(identity);
  const parameters = [
    encodeParameter(ESP_INFO, { keymatIndex: nextIndex, oldSpi: 0, newSpi: inboundSpi }),
    ...copyOf(r1, PARAMETER.R1_COUNTER),
    encodeParameter(SOLUTION, {
      difficultyK: puzzle.difficultyK,
      reserved: 0,
      opaque: puzzle.opaque,
      randomI: puzzle.randomI,
      solutionJ,
    }),
    encodeParameter(DIFFIE_HELLMAN, { groupId: dhGroup, publicValue: keyPair.publicValue }),
    encodeParameter(HIP_CIPHER, { cipherIds: [hipCipher] }),
    job.encryptHostId ? encrypted(hostId, hipCipher, hipKeys.encryptionOut, random) : hostId,
    ...signedEcho(r1),
    encodeParameter(TRANSPORT_FORMAT_LIST, { formats: [ESP_TRANSPORT_FORMAT] }),
    encodeParameter(ESP_TRANSFORM, { suiteIds: [espSuite] }),
  ];
  const i2 = protectI2(
    job,
    r1,
    parameters,
    { rhash, key: hipKeys.integrityOut },
    random,
    publicKeys,
  );
  if (i2 === undefined) {
    wipe(keyPair.privateKey, keymat.prk, ...Object.values(hipKeys));
    return failed("hip-too-long", "what R1 asks to be echoed does not fit into I2");
  }
  const { algorithm, hostIdentity } = r1.require(HOST_ID);
  return {
    kind: "build-i2",
    i2,
    peerIdentity: { algorithm, hostIdentity: hostIdentity.slice() },
    keymat,
    hipKeys,
    keymatIndex: nextIndex,
    rhash,
    hipCipher,
    espSuite,
    dhGroup,
    dhKeyPair: keyPair,
    peerPublicValue: choice.peerPublicValue.slice(),
    randomI: puzzle.randomI.slice(),
    solutionJ,
  };
}

/** MAC, signature and unsigned echoes; undefined when that exceeds the longest packet (§5.1). */
function protectI2(
  { identity, isAnonymous }: BuildI2Job,
  r1: HipPacket,
  parameters: Uint8Array[],
  mac: { readonly rhash: Rhash; readonly key: Uint8Array },
  random: Random,
  publicKeys: PublicKeyProvider,
): Uint8Array | undefined {
  const length = parameters.reduce((sum, tlv) => sum + tlv.length, HIP_HEADER_LENGTH);
  if (length > HIP_PACKET_MAXIMUM) return undefined;
  const plain = emitHipPacket({
    packetType: PACKET.I2,
    controls: isAnonymous ? CONTROL_ANONYMOUS : 0,
    senderHit: identity.hit,
    receiverHit: r1.senderHit,
  }, parameters);
  const macked = withHipMac(plain, mac.rhash, mac.key);
  const signed = withSignature(macked, identity, random, publicKeys);
  // Every unsigned request gets its answer, in the order of the requests (§5.2.21).
  const answers = r1.all(ECHO_REQUEST_UNSIGNED)
    .map((echo) => encodeParameter(ECHO_RESPONSE_UNSIGNED, echo));
  const i2 = withParameters(signed, ...answers);
  return i2.length > HIP_PACKET_MAXIMUM ? undefined : i2;
}

/** ENCRYPTED around whole TLVs, under a fresh IV (§5.2.18). */
function encrypted(
  tlvs: Uint8Array,
  hipCipher: number,
  key: Uint8Array,
  random: Random,
): Uint8Array {
  const iv = randomBytes(random, cipherIvLength(hipCipher));
  const data = encryptParameterContents(hipCipher, key, iv, tlvs);
  return encodeParameter(ENCRYPTED, { data });
}

/** The answer to ECHO_REQUEST_SIGNED, of which a packet has one at most (§5.2.20). */
function signedEcho(r1: HipPacket): Uint8Array[] {
  const request = r1.first(ECHO_REQUEST_SIGNED);
  return request === undefined ? [] : [encodeParameter(ECHO_RESPONSE_SIGNED, request)];
}

/** The first TLV of a type exactly as received, Reserved fields included; empty when absent. */
function copyOf(packet: HipPacket, type: number): Uint8Array[] {
  const raw = packet.raw(type);
  return raw === undefined ? [] : [packet.bytes.slice(raw.offset, raw.offset + raw.size)];
}

/**
 * HIP_MAC_2 and signature of R2, then what it says of ESP (RFC 7401 §6.10 steps 2 to 4, RFC 7402
 * §6.6).
 *
 * @throws {MalformedPacketError} When a packet does not have its form.
 */
export function verifyR2(
  job: VerifyR2Job,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): VerifyR2Result | JobFailure {
  const r1 = parseHipPacket(job.r1);
  const r2 = parseHipPacket(job.r2);
  if (r2.packetType !== PACKET.R2) return failed("hip-malformed", "not an R2");
  const isSamePair = bytesEqual(r2.senderHit, r1.senderHit) &&
    bytesEqual(r2.receiverHit, r1.receiverHit);
  if (!isSamePair) return failed("hip-no-association", "R2 is for another pair of HITs than R1");
  const [hostId] = copyOf(r1, PARAMETER.HOST_ID);
  if (hostId === undefined || !verifyHipMac2(r2, job.rhash, job.integrityKey, hostId)) {
    return failed("hip-mac-failed", "HIP_MAC_2 of R2");
  }
  if (!verifyHipSignature(r2, r1.require(HOST_ID), publicKeys)) {
    return failed("hip-signature-failed", "HIP_SIGNATURE of R2");
  }
  const espInfo = r2.require(ESP_INFO);
  const refusal = checkEspInfo(espInfo, job.keymatIndex);
  return refusal ?? { kind: "verify-r2", outboundSpi: espInfo.newSpi };
}
