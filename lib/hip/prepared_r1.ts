/**
 * A prepared R1 made ready to be given out quickly: what every copy needs to know of the template is
 * found once, and the checksum is made from the sum of what does not change (RFC 7401 §5.1.1,
 * §6.7.1; RFC 1071 §2). Octet for octet what `fillR1` and `setChecksum` make.
 *
 * Work per I1: one copy of the R1, and a sum over 100 octets or so.
 */

import { briefOctets } from "../base/brief_octets.ts";
import { finishSum, pseudoHeaderSum, sumBytes } from "../wire/checksum.ts";
import { PARAMETER } from "../wire/hip/code_points.ts";
import { HIP_FIELD, HIP_PROTOCOL, parseHipPacket } from "../wire/hip/packet.ts";
import { PUZZLE_OPAQUE, PUZZLE_RANDOM_I } from "../wire/hip/parameters/puzzle.ts";
import { ZERO_MARKER_LENGTH } from "../wire/udp_encapsulation.ts";
import { type AddressPair, isInUdp } from "./association_context.ts";

export class PreparedR1 {
  readonly #template: Uint8Array;
  readonly #opaqueAt: number;
  readonly #randomIAt: number;
  readonly #randomILength: number;
  /** Running sum of all that is the same in every copy. */
  readonly #fixedSum: number;

  /** @param template From `buildR1`; borrowed. @throws {RangeError} When it has no PUZZLE. */
  constructor(template: Uint8Array) {
    const puzzle = parseHipPacket(template).raw(PARAMETER.PUZZLE);
    if (puzzle === undefined) throw new RangeError("Cannot fill in an R1 template without PUZZLE");
    this.#template = template;
    this.#opaqueAt = puzzle.offset + PUZZLE_OPAQUE;
    this.#randomIAt = puzzle.offset + PUZZLE_RANDOM_I;
    this.#randomILength = puzzle.offset + 4 + puzzle.contents.length - this.#randomIAt;
    const blank = template.slice();
    blank.fill(0, HIP_FIELD.checksum, HIP_FIELD.checksum + 2);
    blank.fill(0, HIP_FIELD.receiverHit, HIP_FIELD.receiverHit + 16);
    blank.fill(0, this.#opaqueAt, this.#randomIAt + this.#randomILength);
    this.#fixedSum = sumBytes(blank, 0, blank.length);
  }

  /**
   * A copy for one Initiator as it goes out, with its checksum or behind the marker of UDP; to be
   * sent, not kept (`briefOctets`).
   *
   * @param opaque 0 to 65535.
   * @param randomI As wide as RHASH.
   */
  fill(
    addresses: AddressPair,
    receiverHit: Uint8Array,
    opaque: number,
    randomI: Uint8Array,
  ): Uint8Array {
    if (randomI.length !== this.#randomILength) {
      throw new RangeError(
        `Cannot use #I of ${randomI.length} octets: need ${this.#randomILength}`,
      );
    }
    const marker = isInUdp(addresses) ? ZERO_MARKER_LENGTH : 0;
    const payload = briefOctets(marker + this.#template.length);
    payload.fill(0, 0, marker);
    const r1 = marker === 0 ? payload : payload.subarray(marker);
    r1.set(this.#template);
    r1.set(receiverHit, HIP_FIELD.receiverHit);
    r1[this.#opaqueAt] = opaque >>> 8;
    r1[this.#opaqueAt + 1] = opaque;
    r1.set(randomI, this.#randomIAt);
    if (marker > 0) return payload;
    // Every part begins at an even offset.
    let sum = pseudoHeaderSum(addresses.local, addresses.peer, HIP_PROTOCOL, r1.length);
    sum += this.#fixedSum + opaque;
    sum = sumBytes(randomI, 0, randomI.length, sumBytes(receiverHit, 0, 16, sum));
    const checksum = finishSum(sum);
    r1[HIP_FIELD.checksum] = checksum >>> 8;
    r1[HIP_FIELD.checksum + 1] = checksum;
    return r1;
  }
}
