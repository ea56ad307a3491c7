/**
 * The Responder's half of the base exchange: R1 made in advance and filled in per Initiator, and
 * the public-key work on I2 (RFC 7401 §5.2.15, §6.7.1, §6.9; RFC 7402 §6.5).
 *
 * `buildR1` and `acceptI2` are for a worker. `checkI2Form` is cheap and runs where packets arrive;
 * there `PreparedR1` does quickly what `fillR1` says plainly.
 */

import { wipe } from "../base/bytes.ts";
import { decryptParameterContents } from "../crypto/hip_cipher.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { drawHipKeys, extractKeymat, type HipKeys, type Keymat } from "../crypto/keymat.ts";
import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import { rhashLength, rhashOfSuite } from "../crypto/rhash.ts";
import { SeededRandom } from "../crypto/seeded_random.ts";
import { hitSuiteId } from "../identity/hit.ts";
import { PACKET, PARAMETER } from "../wire/hip/code_points.ts";
import {
  CONTROL_ANONYMOUS,
  emitHipPacket,
  HIP_FIELD,
  type HipPacket,
  parseHipPacket,
} from "../wire/hip/packet.ts";
import { decodeParameter, encodeParameter, parseParameters } from "../wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../wire/hip/parameters/diffie_hellman.ts";
import { ECHO_REQUEST_UNSIGNED } from "../wire/hip/parameters/echo.ts";
import { ENCRYPTED } from "../wire/hip/parameters/encrypted.ts";
import { ESP_INFO } from "../wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../wire/hip/parameters/hip_cipher.ts";
import { HIP_MAC } from "../wire/hip/parameters/hip_mac.ts";
import { HIP_SIGNATURE } from "../wire/hip/parameters/hip_signature.ts";
import { HIT_SUITE_LIST } from "../wire/hip/parameters/hit_suite_list.ts";
import { HOST_ID } from "../wire/hip/parameters/host_id.ts";
import { PUZZLE, PUZZLE_OPAQUE, PUZZLE_RANDOM_I } from "../wire/hip/parameters/puzzle.ts";
import { R1_COUNTER } from "../wire/hip/parameters/r1_counter.ts";
import { TRANSPORT_FORMAT_LIST } from "../wire/hip/parameters/transport_format_list.ts";
import { checkIdentity } from "./initiator.ts";
import { failed, isFailure } from "./job_failure.ts";
import type {
  AcceptI2Job,
  AcceptI2Result,
  BuildR1Job,
  BuildR1Result,
  ExchangePolicy,
  JobFailure,
} from "./jobs.ts";
import {
  checkEspInfo,
  chooseFromI2,
  ESP_TRANSPORT_FORMAT,
  type I2Choice,
  MAX_CIPHERS,
  MAX_ESP_SUITES,
} from "./negotiation.ts";
import {
  hostIdTlv,
  withHipMac2,
  withParameters,
  withSignature,
  withSignature2,
} from "./packet_builder.ts";
import { verifyHipMac, verifyHipSignature } from "./packet_verifier.ts";

/** An R1 with a fresh Diffie-Hellman key, signed for any Initiator (RFC 7401 §6.7.1). */
export function buildR1(
  job: BuildR1Job,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): BuildR1Result {
  const { identity, policy, dhGroup } = job;
  const random = new SeededRandom(job.seed);
  const keyPair = publicKeys.generateDhKeyPair(dhGroup, random);
  const randomI = new Uint8Array(rhashLength(rhashOfSuite(hitSuiteId(identity.hit))));
  const plain = emitHipPacket({
    packetType: PACKET.R1,
    controls: job.isAnonymous ? CONTROL_ANONYMOUS : 0,
    senderHit: identity.hit,
    receiverHit: new Uint8Array(16),
  }, [
    encodeParameter(R1_COUNTER, { reserved: 0, generation: job.r1Generation }),
    encodeParameter(PUZZLE, {
      difficultyK: job.difficultyK,
      lifetime: job.puzzleLifetime,
      opaque: new Uint8Array(2),
      randomI,
    }),
    encodeParameter(DH_GROUP_LIST, { groupIds: [...policy.dhGroups] }),
    encodeParameter(DIFFIE_HELLMAN, { groupId: dhGroup, publicValue: keyPair.publicValue }),
    encodeParameter(HIP_CIPHER, { cipherIds: policy.hipCiphers.slice(0, MAX_CIPHERS) }),
    hostIdTlv(identity),
    encodeParameter(HIT_SUITE_LIST, { suiteIds: [...policy.hitSuites] }),
    encodeParameter(TRANSPORT_FORMAT_LIST, { formats: [ESP_TRANSPORT_FORMAT] }),
    encodeParameter(ESP_TRANSFORM, { suiteIds: policy.espSuites.slice(0, MAX_ESP_SUITES) }),
  ]);
  return {
    kind: "build-r1",
    template: withSignature2(plain, identity, random, publicKeys),
    dhPrivateKey: keyPair.privateKey,
    dhPublicValue: keyPair.publicValue,
  };
}

/**
 * A copy of a prepared R1 for one Initiator. Only what the signature leaves out changes: receiver
 * HIT, Opaque and #I of PUZZLE, and what stands behind the signature (RFC 7401 §5.2.15). The
 * checksum is zero.
 *
 * @param opaque 2 octets.
 * @param randomI As wide as RHASH.
 * @param unsignedEchoRequests Opaque data of ECHO_REQUEST_UNSIGNED parameters (§5.2.21).
 */
export function fillR1(
  template: Uint8Array,
  receiverHit: Uint8Array,
  opaque: Uint8Array,
  randomI: Uint8Array,
  unsignedEchoRequests: readonly Uint8Array[] = [],
): Uint8Array {
  const puzzle = parseHipPacket(template).raw(PARAMETER.PUZZLE);
  if (puzzle === undefined) throw new RangeError("Cannot fill in an R1 template without PUZZLE");
  const requests = unsignedEchoRequests
    .map((opaque) => encodeParameter(ECHO_REQUEST_UNSIGNED, { opaque }));
  const r1 = withParameters(template, ...requests);
  r1.set(receiverHit, HIP_FIELD.receiverHit);
  r1.set(opaque, puzzle.offset + PUZZLE_OPAQUE);
  r1.set(randomI, puzzle.offset + PUZZLE_RANDOM_I);
  return r1;
}

/**
 * Everything about an I2 that costs no cryptography: required parameters (RFC 7401 §5.3.3) and
 * choices against the R1 that it answers. `acceptI2` does the same again.
 *
 * @throws {MalformedPacketError} When a parameter is missing or does not have its form.
 */
export function checkI2Form(
  i2: HipPacket,
  r1Template: Uint8Array,
  policy: ExchangePolicy,
): JobFailure | undefined {
  const choice = readI2(i2, parseHipPacket(r1Template), policy);
  return isFailure(choice) ? choice : undefined;
}

function readI2(i2: HipPacket, r1: HipPacket, policy: ExchangePolicy): I2Choice | JobFailure {
  if (i2.packetType !== PACKET.I2) return failed("hip-malformed", "not an I2");
  if (!i2.has(PARAMETER.HOST_ID) || i2.has(PARAMETER.ENCRYPTED)) i2.require(ENCRYPTED);
  i2.require(HIP_MAC);
  i2.require(HIP_SIGNATURE);
  return chooseFromI2(i2, r1, policy.hitSuites);
}

/**
 * The public-key work on an I2, cheapest step first, and the R2 (RFC 7401 §6.9 steps 9 to 19;
 * HIP_MAC before decryption: OPEN-18).
 *
 * @throws {MalformedPacketError} When the I2 does not have its form.
 */
export function acceptI2(
  job: AcceptI2Job,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
): AcceptI2Result | JobFailure {
  const i2 = parseHipPacket(job.i2);
  const r1 = parseHipPacket(job.r1Template);
  const localHit = job.identity.hit;
  const peerHit = i2.senderHit.slice();
  const choice = readI2(i2, r1, job.policy);
  if (isFailure(choice)) return choice;
  const { rhash, solution, hipCipher } = choice;

  // Step 10. A public value out of range or off its curve gives no key (§5.3.2).
  const keyPair = { ...r1.require(DIFFIE_HELLMAN), privateKey: job.dhPrivateKey };
  const kij = publicKeys.agree(keyPair, choice.peerPublicValue);
  if (kij === undefined) return failed("hip-bad-public-value", `group ${choice.dhGroup} in I2`);
  // KEYMAT = HKDF(salt: #I | #J, secret: Kij, info: sort(HIT-I | HIT-R))
  const keymat = extractKeymat(rhash, kij, solution.randomI, solution.solutionJ, localHit, peerHit);
  wipe(kij);
  const { keys: hipKeys, nextIndex } = drawHipKeys(keymat, hipCipher, localHit, peerHit);

  const peerIdentity = authenticateI2(job, i2, choice, hipKeys, nextIndex, publicKeys);
  if (isFailure(peerIdentity)) {
    wipe(keymat.prk, ...Object.values(hipKeys));
    return peerIdentity;
  }
  return {
    kind: "accept-i2",
    r2: buildR2(job, peerHit, keymat, hipKeys, nextIndex, publicKeys),
    outboundSpi: choice.espInfo.newSpi,
    peerIdentity,
    keymat,
    hipKeys,
    keymatIndex: nextIndex,
    rhash,
    hipCipher,
    espSuite: choice.espSuite,
    dhGroup: choice.dhGroup,
    // The pool wipes its own copy when it retires the R1.
    dhKeyPair: {
      groupId: keyPair.groupId,
      privateKey: keyPair.privateKey.slice(),
      publicValue: keyPair.publicValue.slice(),
    },
    peerPublicValue: choice.peerPublicValue.slice(),
    randomI: solution.randomI.slice(),
    solutionJ: solution.solutionJ.slice(),
  };
}

/** Steps 11 to 15, the MAC first. */
function authenticateI2(
  { expectedIdentity }: AcceptI2Job,
  i2: HipPacket,
  { rhash, hipCipher, espInfo }: I2Choice,
  hipKeys: HipKeys,
  keymatIndex: number,
  publicKeys: PublicKeyProvider,
): PublicHostIdentity | JobFailure {
  if (!verifyHipMac(i2, rhash, hipKeys.integrityIn)) {
    return failed("hip-mac-failed", "HIP_MAC of I2");
  }
  const identity = hostIdentityOf(i2, hipCipher, hipKeys.encryptionIn);
  if (isFailure(identity)) return identity;
  const refusal = checkIdentity(identity, i2.senderHit, expectedIdentity);
  if (refusal !== undefined) return refusal;
  if (!verifyHipSignature(i2, identity, publicKeys)) {
    return failed("hip-signature-failed", "HIP_SIGNATURE of I2");
  }
  return checkEspInfo(espInfo, keymatIndex) ?? identity;
}

/**
 * The Initiator's key from HOST_ID or, when there is none, from ENCRYPTED (step 11). Octets behind
 * the HOST_ID inside ENCRYPTED are a peer's filler and pass (OPEN-15).
 */
function hostIdentityOf(
  i2: HipPacket,
  hipCipher: number,
  key: Uint8Array,
): PublicHostIdentity | JobFailure {
  const plain = i2.first(HOST_ID);
  if (plain !== undefined) return publicPart(plain);
  const { data } = i2.require(ENCRYPTED);
  const tlvs = decryptParameterContents(hipCipher, key, data);
  if (tlvs === undefined) {
    return failed("hip-decryption-failed", `ENCRYPTED of ${data.length} octets`);
  }
  const [hostId] = parseParameters(tlvs, 0, tlvs.length, { allowFiller: true });
  if (hostId?.type !== PARAMETER.HOST_ID) {
    return failed("hip-decryption-failed", "ENCRYPTED does not begin with a HOST_ID");
  }
  return publicPart(decodeParameter(HOST_ID, hostId.contents));
}

/** An own copy, since what was parsed are views on the packet. */
function publicPart({ algorithm, hostIdentity }: PublicHostIdentity): PublicHostIdentity {
  return { algorithm, hostIdentity: hostIdentity.slice() };
}

/** R2 (§5.3.4): ESP_INFO, HIP_MAC_2 with our HOST_ID exactly as in R1, HIP_SIGNATURE. */
function buildR2(
  { identity, seed, r1Template, inboundSpi }: AcceptI2Job,
  peerHit: Uint8Array,
  { rhash }: Keymat,
  { integrityOut }: HipKeys,
  keymatIndex: number,
  publicKeys: PublicKeyProvider,
): Uint8Array {
  const plain = emitHipPacket(
    { packetType: PACKET.R2, senderHit: identity.hit, receiverHit: peerHit },
    [encodeParameter(ESP_INFO, { keymatIndex, oldSpi: 0, newSpi: inboundSpi })],
  );
  const hostId = parseHipPacket(r1Template).raw(PARAMETER.HOST_ID);
  if (hostId === undefined) throw new RangeError("Cannot answer with a template without HOST_ID");
  const { offset, size } = hostId;
  const sent = r1Template.subarray(offset, offset + size);
  return withSignature(
    withHipMac2(plain, rhash, integrityOut, sent),
    identity,
    new SeededRandom(seed),
    publicKeys,
  );
}
