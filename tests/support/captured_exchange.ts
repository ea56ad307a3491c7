/** The captured base exchanges of another implementation, as far as they can be opened. */

import { fromHex } from "../../lib/base/bytes.ts";
import { drawHipKeys, extractKeymat, type HipKeys } from "../../lib/crypto/keymat.ts";
import { type Rhash, rhashOfSuite } from "../../lib/crypto/rhash.ts";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { type HipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { capturedHipPackets, type CAPTURES } from "./captures.ts";

/** What both ends of a capture know, derived from the Kij that came with it. */
export interface CapturedExchange {
  readonly r1: HipPacket;
  readonly i2: HipPacket;
  readonly r2: HipPacket;
  readonly close: HipPacket;
  readonly closeAck: HipPacket;
  readonly rhash: Rhash;
  readonly hipCipher: number;
  /** As the Initiator sees them. */
  readonly keys: HipKeys;
}

export function openCapture(name: (typeof CAPTURES)[number]): CapturedExchange {
  const [, r1, i2, r2, close, closeAck] = capturedHipPackets(name)
    .map(({ bytes }) => parseHipPacket(bytes)) as HipPacket[];
  const secret = new URL(`../vectors/${name}.dh-secret.txt`, import.meta.url);
  const kij = fromHex(Deno.readTextFileSync(secret));
  const rhash = rhashOfSuite(hitSuiteId(r1!.senderHit));
  const { randomI, solutionJ } = i2!.require(SOLUTION);
  const hipCipher = i2!.require(HIP_CIPHER).cipherIds[0]!;
  const [hitI, hitR] = [i2!.senderHit, i2!.receiverHit];
  const keymat = extractKeymat(rhash, kij, randomI, solutionJ, hitI, hitR);
  const { keys } = drawHipKeys(keymat, hipCipher, hitI, hitR);
  return { r1: r1!, i2: i2!, r2: r2!, close: close!, closeAck: closeAck!, rhash, hipCipher, keys };
}
