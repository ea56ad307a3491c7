/**
 * Who chooses what from whose list (RFC 7401 §4.1.3, §4.1.6, §5.2.6 to §5.2.11, §6.8, §6.9;
 * RFC 7402 §5.1.2, §6.4, §6.5).
 *
 * Lists are in their sender's order of preference; unknown entries are passed over, repeated ones
 * mean nothing. Where an Initiator may choose freely it follows the Responder's order. Nothing
 * here costs public-key work.
 */

import { bytesEqual } from "../base/bytes.ts";
import { type Rhash, rhashLength, rhashOfSuite } from "../crypto/rhash.ts";
import { SMALLEST_SPI } from "../esp/security_association.ts";
import { hitSuiteId, isHit } from "../identity/hit.ts";
import { PARAMETER } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { DH_GROUP_LIST } from "../wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../wire/hip/parameters/diffie_hellman.ts";
import { ESP_INFO, type EspInfo } from "../wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../wire/hip/parameters/hip_cipher.ts";
import { HIP_SIGNATURE_2 } from "../wire/hip/parameters/hip_signature.ts";
import { HIT_SUITE_LIST } from "../wire/hip/parameters/hit_suite_list.ts";
import { HOST_ID } from "../wire/hip/parameters/host_id.ts";
import { PUZZLE, type Puzzle } from "../wire/hip/parameters/puzzle.ts";
import { R1_COUNTER } from "../wire/hip/parameters/r1_counter.ts";
import { SOLUTION, type Solution } from "../wire/hip/parameters/solution.ts";
import { TRANSPORT_FORMAT_LIST } from "../wire/hip/parameters/transport_format_list.ts";
import { failed } from "./job_failure.ts";
import type { ExchangePolicy, JobFailure } from "./jobs.ts";

/** Entries of a HIP_CIPHER that count; the rest is ignored (RFC 7401 §5.2.8). */
export const MAX_CIPHERS = 6;

/** Suite IDs that may be put into one ESP_TRANSFORM (RFC 7402 §5.1.2). */
export const MAX_ESP_SUITES = 6;

/** The TRANSPORT_FORMAT_LIST entry for ESP: the type of ESP_TRANSFORM (RFC 7402 §4.1.1). */
export const ESP_TRANSPORT_FORMAT = 4095;

/**
 * The group both ends must arrive at: the first of the Responder's list that the Initiator also
 * offered (RFC 7401 §5.2.6, §6.7 step 4; OPEN-01). The Responder selects with it, the Initiator
 * recomputes with it (§6.8 step 7).
 *
 * @returns Undefined when the lists have nothing in common.
 */
export function chooseDhGroup(
  responderGroups: readonly number[],
  initiatorGroups: readonly number[],
): number | undefined {
  return responderGroups.find((group) => initiatorGroups.includes(group));
}

/**
 * The Initiator's choice of HIP_CIPHER: the first that the Responder prefers among those we
 * accept, out of the first six offered (RFC 7401 §5.2.8, §6.8 step 14).
 */
export function chooseHipCipher(
  offered: readonly number[],
  accepted: readonly number[],
): number | undefined {
  return offered.slice(0, MAX_CIPHERS).find((cipher) => accepted.includes(cipher));
}

/**
 * The Initiator's choice of ESP suite: the first that the Responder prefers among those we accept.
 * An offer of more than six is read to its end (RFC 7402 §5.1.2).
 */
export function chooseEspSuite(
  offered: readonly number[],
  accepted: readonly number[],
): number | undefined {
  return offered.find((suite) => accepted.includes(suite));
}

/**
 * The one entry that a list in I2 may hold, if the R1 that it answers offered it (RFC 7401 §6.9
 * step 9, RFC 7402 §6.5).
 *
 * @returns Undefined when there is not exactly one, or it was not offered.
 */
export function theOneChosen(
  chosen: readonly number[],
  offered: readonly number[],
): number | undefined {
  const [only] = chosen;
  return chosen.length === 1 && only !== undefined && offered.includes(only) ? only : undefined;
}

/** What the Initiator takes from an R1. */
export interface R1Choice {
  readonly rhash: Rhash;
  readonly puzzle: Puzzle;
  readonly dhGroup: number;
  readonly peerPublicValue: Uint8Array;
  readonly hipCipher: number;
  readonly espSuite: number;
}

/**
 * Reads every parameter that an R1 must have (RFC 7401 §5.3.2), so that later steps meet none that
 * is missing or damaged.
 *
 * @throws {MalformedPacketError} At the first that is.
 */
export function requireR1Form(r1: HipPacket): void {
  r1.first(R1_COUNTER);
  r1.require(PUZZLE);
  r1.require(DH_GROUP_LIST);
  r1.require(DIFFIE_HELLMAN);
  r1.require(HIP_CIPHER);
  r1.require(HOST_ID);
  r1.require(HIT_SUITE_LIST);
  r1.require(TRANSPORT_FORMAT_LIST);
  r1.first(ESP_TRANSFORM);
  r1.require(HIP_SIGNATURE_2);
}

/**
 * What an R1 offers against what we do, in the order of RFC 7401 §6.8 steps 6 to 15.
 *
 * A refusal means nothing before the R1's signature was verified (§4.1.3).
 *
 * @param policy `dhGroups` is what the I1 offered.
 * @param ownSuite HIT suite of our own HIT.
 * @throws {MalformedPacketError} When a parameter is missing or does not have its form.
 */
export function chooseFromR1(
  r1: HipPacket,
  policy: ExchangePolicy,
  ownSuite: number,
): R1Choice | JobFailure {
  if (!isHit(r1.senderHit)) return failed("hip-invalid-hit", "sender of R1");
  const suite = hitSuiteId(r1.senderHit);
  if (!policy.hitSuites.includes(suite)) {
    return failed("hip-unsupported-suite", `the Responder has HIT suite ${suite}`);
  }
  const rhash = rhashOfSuite(suite);
  const puzzle = r1.require(PUZZLE);
  if (puzzle.randomI.length !== rhashLength(rhash)) {
    return failed("hip-malformed", `#I has ${puzzle.randomI.length} octets`);
  }
  // Step 6: the Responder must be able to verify our signature.
  const { suiteIds: hitSuites } = r1.require(HIT_SUITE_LIST);
  if (!hitSuites.includes(ownSuite)) {
    return failed("hip-unsupported-suite", `the Responder does not list HIT suite ${ownSuite}`);
  }
  // Step 7: the group is the one that both lists demand, or somebody changed a list on the way.
  const { groupIds } = r1.require(DH_GROUP_LIST);
  const { groupId, publicValue } = r1.require(DIFFIE_HELLMAN);
  const demanded = chooseDhGroup(groupIds, policy.dhGroups);
  if (demanded === undefined) {
    return failed("hip-no-common-group", `the Responder lists groups ${groupIds.join(" ")}`);
  }
  if (demanded !== groupId) {
    return failed("hip-wrong-group", `group ${groupId} where the lists demand ${demanded}`);
  }
  // Step 14.
  const { cipherIds } = r1.require(HIP_CIPHER);
  const hipCipher = chooseHipCipher(cipherIds, policy.hipCiphers);
  if (hipCipher === undefined) {
    return failed("hip-no-common-cipher", `the Responder offers ciphers ${cipherIds.join(" ")}`);
  }
  // Step 15: a listed format counts only when its parameter is there too (§5.2.11).
  const { formats } = r1.require(TRANSPORT_FORMAT_LIST);
  const transform = r1.first(ESP_TRANSFORM);
  if (!formats.includes(ESP_TRANSPORT_FORMAT) || transform === undefined) {
    return failed("hip-no-transport-format", `the Responder offers formats ${formats.join(" ")}`);
  }
  const espSuite = chooseEspSuite(transform.suiteIds, policy.espSuites);
  if (espSuite === undefined) {
    const offered = transform.suiteIds.join(" ");
    return failed("hip-no-common-esp-suite", `the Responder offers ESP suites ${offered}`);
  }
  return { rhash, puzzle, dhGroup: groupId, peerPublicValue: publicValue, hipCipher, espSuite };
}

/** What the Responder takes from an I2. */
export interface I2Choice {
  readonly rhash: Rhash;
  readonly solution: Solution;
  readonly dhGroup: number;
  readonly peerPublicValue: Uint8Array;
  readonly hipCipher: number;
  readonly espSuite: number;
  /** Not authenticated before HIP_MAC was verified. */
  readonly espInfo: EspInfo;
}

/**
 * What an I2 chose against what its R1 offered, in the order of RFC 7401 §6.9 steps 3, 7, 9, 10 and
 * 13, with the checks of RFC 7402 §6.5. Whether the puzzle is solved is not asked here.
 *
 * @param r1 The R1 that the I2 answers, or the template that it was made from.
 * @param hitSuites HIT suites whose signatures we can verify.
 * @throws {MalformedPacketError} When a parameter is missing or does not have its form.
 */
export function chooseFromI2(
  i2: HipPacket,
  r1: HipPacket,
  hitSuites: readonly number[],
): I2Choice | JobFailure {
  if (!isHit(i2.senderHit)) return failed("hip-invalid-hit", "sender of I2");
  // Step 3.
  const suite = hitSuiteId(i2.senderHit);
  if (!hitSuites.includes(suite)) {
    return failed("hip-unsupported-suite", `the Initiator has HIT suite ${suite}`);
  }
  // Step 7: the parameter comes back unmodified, Reserved field included (§5.2.3).
  const sent = r1.raw(PARAMETER.R1_COUNTER);
  const echoed = i2.raw(PARAMETER.R1_COUNTER);
  if (
    sent !== undefined && (echoed === undefined || !bytesEqual(sent.contents, echoed.contents))
  ) {
    return failed("hip-old-generation", "R1_COUNTER is not the one of the R1");
  }
  const rhash = rhashOfSuite(hitSuiteId(r1.senderHit));
  const solution = i2.require(SOLUTION);
  if (solution.randomI.length !== rhashLength(rhash)) {
    return failed("hip-malformed", `#I has ${solution.randomI.length} octets`);
  }
  // Step 9.
  const { cipherIds } = i2.require(HIP_CIPHER);
  const hipCipher = theOneChosen(cipherIds, r1.require(HIP_CIPHER).cipherIds);
  if (hipCipher === undefined) {
    return failed("hip-no-common-cipher", `the Initiator chose ciphers ${cipherIds.join(" ")}`);
  }
  // Step 10: the group is the one whose public value we sent.
  const { groupId, publicValue } = i2.require(DIFFIE_HELLMAN);
  if (groupId !== r1.require(DIFFIE_HELLMAN).groupId) {
    return failed("hip-wrong-group", `the Initiator used group ${groupId}`);
  }
  // Step 13.
  const { formats } = i2.require(TRANSPORT_FORMAT_LIST);
  if (theOneChosen(formats, r1.require(TRANSPORT_FORMAT_LIST).formats) !== ESP_TRANSPORT_FORMAT) {
    return failed("hip-no-transport-format", `the Initiator chose formats ${formats.join(" ")}`);
  }
  const { suiteIds } = i2.require(ESP_TRANSFORM);
  const espSuite = theOneChosen(suiteIds, r1.require(ESP_TRANSFORM).suiteIds);
  if (espSuite === undefined) {
    return failed(
      "hip-no-common-esp-suite",
      `the Initiator chose ESP suites ${suiteIds.join(" ")}`,
    );
  }
  const espInfo = i2.require(ESP_INFO);
  const refusal = checkEspInfo(espInfo);
  if (refusal !== undefined) return refusal;
  return {
    rhash,
    solution,
    dhGroup: groupId,
    peerPublicValue: publicValue,
    hipCipher,
    espSuite,
    espInfo,
  };
}

/**
 * ESP_INFO of a base exchange: no old SPI, a new one outside the reserved range, and, when it is
 * known, the KEYMAT index at which we begin ourselves (RFC 7402 §6.5).
 */
export function checkEspInfo(
  { keymatIndex, oldSpi, newSpi }: EspInfo,
  expectedIndex?: number,
): JobFailure | undefined {
  if (oldSpi !== 0 || newSpi < SMALLEST_SPI) {
    return failed("hip-spi-invalid", `old SPI ${oldSpi}, new SPI ${newSpi}`);
  }
  if (expectedIndex !== undefined && keymatIndex !== expectedIndex) {
    return failed("hip-keymat-index", `${keymatIndex} where ours is ${expectedIndex}`);
  }
  return undefined;
}
