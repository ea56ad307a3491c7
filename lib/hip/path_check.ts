/**
 * Whether a peer is where its last UPDATE came from. A NAT gives it another port, or another address,
 * without asking; what is authentic may still have been sent on from elsewhere. So the path that data
 * takes changes only when the peer has returned what was sent to the new one (RFC 8046 §5.4). Only in
 * UDP: NATs that know nothing of HIP change nothing else that passes.
 */

import { bytesEqual } from "../base/bytes.ts";
import { type Random, randomBytes } from "../base/random.ts";
import { after, type Instant, seconds } from "../base/time.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { ECHO_REQUEST_SIGNED, ECHO_RESPONSE_SIGNED } from "../wire/hip/parameters/echo.ts";
import { type AddressPair, isInUdp } from "./association_context.ts";

/** How long an answer is awaited: some retransmissions of an UPDATE. */
const PATIENCE = seconds(5);

export class PathCheck {
  /** Where UPDATEs go while it lasts. */
  readonly addresses: AddressPair;
  readonly until: Instant;
  /** The UPDATE that asks. */
  updateId = -1;
  readonly #nonce: Uint8Array;

  constructor(now: Instant, addresses: AddressPair, random: Random) {
    this.addresses = addresses;
    this.until = after(now, PATIENCE);
    this.#nonce = randomBytes(random, 16);
  }

  /** What the UPDATE says that asks. */
  get question(): Uint8Array {
    return encodeParameter(ECHO_REQUEST_SIGNED, { opaque: this.#nonce });
  }

  /** Whether an authentic UPDATE that acknowledges the question answers it, from where it went. */
  isPassedBy(packet: HipPacket, addresses: AddressPair): boolean {
    const answer = packet.first(ECHO_RESPONSE_SIGNED);
    return answer !== undefined && bytesEqual(answer.opaque, this.#nonce) &&
      isSamePath(addresses, this.addresses);
  }
}

/** Whether an UPDATE from `addresses` makes a check of them due. */
export function isElsewhere(addresses: AddressPair, path: AddressPair): boolean {
  return isInUdp(addresses) && isInUdp(path) && !isSamePath(addresses, path);
}

function isSamePath(a: AddressPair, b: AddressPair): boolean {
  return a.peerPort === b.peerPort && bytesEqual(a.peer, b.peer) && bytesEqual(a.local, b.local);
}
