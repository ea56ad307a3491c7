/** The captured base exchanges of another implementation, as far as they can be opened. */

import { drawHipKeys, extractKeymat, type HipKeys, type Keymat } from "../../lib/crypto/keymat.ts";
import { type Rhash, rhashOfSuite } from "../../lib/crypto/rhash.ts";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { type HipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { type CAPTURES, readCapture } from "./captures.ts";

/** What both ends of a capture know, derived from the Kij that came with it. */
export interface CapturedExchange {
  readonly r1: HipPacket;
  readonly i2: HipPacket;
  readonly r2: HipPacket;
  readonly close: HipPacket;
  readonly closeAck: HipPacket;
  readonly rhash: Rhash;
  readonly hipCipher: number;
  readonly initiatorHit: Uint8Array;
  readonly responderHit: Uint8Array;
  readonly keymat: Keymat;
  /** As the Initiator sees them. */
  readonly keys: HipKeys;
  /** First octet of KEYMAT that `keys` did not take. */
  readonly nextIndex: number;
}

export function openCapture(name: (typeof CAPTURES)[number]): CapturedExchange {
  const { hip, kij } = readCapture(name);
  const packets = hip.map(({ bytes }) => parseHipPacket(bytes));
  const [, r1, i2, r2, close, closeAck] = packets as [
    HipPacket,
    HipPacket,
    HipPacket,
    HipPacket,
    HipPacket,
    HipPacket,
  ];
  const { senderHit: initiatorHit, receiverHit: responderHit } = i2;
  const rhash = rhashOfSuite(hitSuiteId(responderHit));
  const { randomI, solutionJ } = i2.require(SOLUTION);
  const hipCipher = i2.require(HIP_CIPHER).cipherIds[0]!;
  const keymat = extractKeymat(rhash, kij, randomI, solutionJ, initiatorHit, responderHit);
  const drawn = drawHipKeys(keymat, hipCipher, initiatorHit, responderHit);
  const exchange = { r1, i2, r2, close, closeAck, initiatorHit, responderHit };
  return { ...exchange, rhash, hipCipher, keymat, ...drawn };
}
