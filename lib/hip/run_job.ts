/**
 * One door for all long work. Synchronous: it runs on a worker in the program and in place in the
 * simulator. With the portable provider the same job gives the same result everywhere; libcrypto
 * puts numbers of its own into signatures.
 */

import { MalformedPacketError } from "../base/errors.ts";
import { wipe } from "../base/bytes.ts";
import { extractKeymat } from "../crypto/keymat.ts";
import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import { type Digest, digest } from "../crypto/rhash.ts";
import { SeededRandom } from "../crypto/seeded_random.ts";
import { generateHostIdentity } from "../identity/host_identity.ts";
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
 *
 * @param publicKeys Who computes signatures and Diffie-Hellman.
 * @param compute Who hashes for puzzles.
 */
export function runJob(
  job: Job,
  publicKeys: PublicKeyProvider = PORTABLE_PUBLIC_KEYS,
  compute: Digest = digest,
): JobResult {
  try {
    return dispatch(job, publicKeys, compute);
  } catch (error) {
    if (!(error instanceof MalformedPacketError)) throw error;
    const reason = error.what === PARAMETER_ORDER ? "hip-parameter-order" : "hip-malformed";
    return failed(reason, error.message);
  }
}

function dispatch(job: Job, publicKeys: PublicKeyProvider, compute: Digest): JobResult {
  switch (job.kind) {
    case "build-r1":
      return buildR1(job, publicKeys);
    case "verify-r1":
      return verifyR1(job, publicKeys);
    case "solve-puzzle":
      return solvePuzzle(job, compute);
    case "build-i2":
      return buildI2(job, publicKeys);
    case "accept-i2":
      return acceptI2(job, publicKeys);
    case "verify-r2":
      return verifyR2(job, publicKeys);
    case "sign-packet":
      return signPacket(job, publicKeys);
    case "verify-signature":
      return checkSignature(job, publicKeys);
    case "generate-dh":
      return generateDh(job, publicKeys);
    case "agree-dh":
      return agreeDh(job, publicKeys);
    case "generate-identity": {
      const identity = generateHostIdentity(job.identityKind, new SeededRandom(job.seed));
      return { kind: "generate-identity", identity };
    }
    case "forget-key":
      publicKeys.forget(job.identity);
      return { kind: "forget-key" };
  }
}

function signPacket(
  job: SignPacketJob,
  publicKeys: PublicKeyProvider,
): SignPacketResult | JobFailure {
  const { packetType, senderHit, receiverHit, mac, identity } = job;
  const plain = emitHipPacket({ packetType, senderHit, receiverHit }, [...job.parameters]);
  const macked = mac === undefined ? plain : withHipMac(plain, mac.rhash, mac.key);
  const packet = withSignature(macked, identity, new SeededRandom(job.seed), publicKeys);
  return packet.length > HIP_PACKET_MAXIMUM
    ? failed("hip-too-long", `${packet.length} octets`)
    : { kind: "sign-packet", packet };
}

function checkSignature(
  job: VerifySignatureJob,
  publicKeys: PublicKeyProvider,
): VerifySignatureResult | JobFailure {
  return verifyHipSignature(parseHipPacket(job.packet), job.peerIdentity, publicKeys)
    ? { kind: "verify-signature" }
    : failed("hip-signature-failed", "HIP_SIGNATURE");
}

function generateDh(job: GenerateDhJob, publicKeys: PublicKeyProvider): GenerateDhResult {
  const keyPair = publicKeys.generateDhKeyPair(job.dhGroup, new SeededRandom(job.seed));
  return { kind: "generate-dh", keyPair };
}

/** KEYMAT = HKDF(salt: #I | #J, secret: Kij, info: sort(HITs)), #I and #J as they were. */
function agreeDh(
  job: AgreeDhJob,
  publicKeys: PublicKeyProvider,
): AgreeDhResult | JobFailure {
  const { rhash, randomI, solutionJ, localHit, peerHit, keyPair } = job;
  const kij = publicKeys.agree(keyPair, job.peerPublicValue);
  if (kij === undefined) {
    return failed("hip-bad-public-value", `group ${keyPair.groupId} in UPDATE`);
  }
  const keymat = extractKeymat(rhash, kij, randomI, solutionJ, localHit, peerHit);
  wipe(kij);
  return { kind: "agree-dh", keymat };
}
