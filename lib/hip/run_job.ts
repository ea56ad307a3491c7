/**
 * One door for all long work. Pure and synchronous: it runs on a worker in the program and in
 * place in the simulator, with the same result.
 */

import { MalformedPacketError } from "../base/errors.ts";
import { wipe } from "../base/bytes.ts";
import { agree, generateDhKeyPair } from "../crypto/dh_group.ts";
import { extractKeymat } from "../crypto/keymat.ts";
import { SeededRandom } from "../crypto/seeded_random.ts";
import { emitHipPacket, HIP_PACKET_MAXIMUM, parseHipPacket } from "../wire/hip/packet.ts";
import { PARAMETER_ORDER } from "../wire/hip/parameter.ts";
import { buildI2, verifyR1, verifyR2 } from "./initiator.ts";
import { failed } from "./job_failure.ts";
import type {
  AgreeDhJob,
  AgreeDhResult,
  GenerateDhJob,
  GenerateDhResult,
  Job,
  JobFailure,
  JobResult,
  SignPacketJob,
  SignPacketResult,
  VerifySignatureJob,
  VerifySignatureResult,
} from "./jobs.ts";
import { withHipMac, withSignature } from "./packet_builder.ts";
import { verifyHipSignature } from "./packet_verifier.ts";
import { solvePuzzle } from "./puzzle.ts";
import { acceptI2, buildR1 } from "./responder.ts";

/**
 * Does what the job asks. A packet that is not what it must be gives a failure with its reason;
 * whatever else is thrown is a mistake of ours.
 */
export function runJob(job: Job): JobResult {
  try {
    return dispatch(job);
  } catch (error) {
    if (!(error instanceof MalformedPacketError)) throw error;
    const reason = error.what === PARAMETER_ORDER ? "hip-parameter-order" : "hip-malformed";
    return failed(reason, error.message);
  }
}

function dispatch(job: Job): JobResult {
  switch (job.kind) {
    case "build-r1":
      return buildR1(job);
    case "verify-r1":
      return verifyR1(job);
    case "solve-puzzle":
      return solvePuzzle(job);
    case "build-i2":
      return buildI2(job);
    case "accept-i2":
      return acceptI2(job);
    case "verify-r2":
      return verifyR2(job);
    case "sign-packet":
      return signPacket(job);
    case "verify-signature":
      return checkSignature(job);
    case "generate-dh":
      return generateDh(job);
    case "agree-dh":
      return agreeDh(job);
  }
}

function signPacket(job: SignPacketJob): SignPacketResult | JobFailure {
  const { packetType, senderHit, receiverHit, mac, identity } = job;
  const plain = emitHipPacket({ packetType, senderHit, receiverHit }, [...job.parameters]);
  const macked = mac === undefined ? plain : withHipMac(plain, mac.rhash, mac.key);
  const packet = withSignature(macked, identity, new SeededRandom(job.seed));
  return packet.length > HIP_PACKET_MAXIMUM
    ? failed("hip-too-long", `${packet.length} octets`)
    : { kind: "sign-packet", packet };
}

function checkSignature(job: VerifySignatureJob): VerifySignatureResult | JobFailure {
  return verifyHipSignature(parseHipPacket(job.packet), job.peerIdentity)
    ? { kind: "verify-signature" }
    : failed("hip-signature-failed", "HIP_SIGNATURE");
}

function generateDh(job: GenerateDhJob): GenerateDhResult {
  const keyPair = generateDhKeyPair(job.dhGroup, new SeededRandom(job.seed));
  return { kind: "generate-dh", keyPair };
}

/** KEYMAT = HKDF(salt: #I | #J, secret: Kij, info: sort(HITs)), #I and #J as they were. */
function agreeDh(job: AgreeDhJob): AgreeDhResult | JobFailure {
  const { rhash, randomI, solutionJ, localHit, peerHit, keyPair } = job;
  const kij = agree(keyPair, job.peerPublicValue);
  if (kij === undefined) {
    return failed("hip-bad-public-value", `group ${keyPair.groupId} in UPDATE`);
  }
  const keymat = extractKeymat(rhash, kij, randomI, solutionJ, localHit, peerHit);
  wipe(kij);
  return { kind: "agree-dh", keymat };
}
