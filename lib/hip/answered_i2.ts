/**
 * The I2 that was accepted and the R2 that answered it, for retransmissions (RFC 7401 §6.9 step 4):
 * of the I2 only so much as is needed to know it again.
 */

import { bytesEqual } from "../base/bytes.ts";
import { PackedOctets } from "../base/packed_octets.ts";
import { after, type Instant } from "../base/time.ts";
import { digest } from "../crypto/rhash.ts";
import { HIP_FIELD } from "../wire/hip/packet.ts";
import { MAXIMUM_SEGMENT_LIFETIME } from "./constants.ts";

const DIGEST = 0;
const R2 = 1;

export class AnsweredI2 {
  /** No copy of the I2 comes later. */
  readonly until: Instant;
  readonly #length: number;
  readonly #checksum: number;
  readonly #octets: PackedOctets;

  constructor(now: Instant, i2: Uint8Array, r2: Uint8Array) {
    this.until = after(now, MAXIMUM_SEGMENT_LIFETIME);
    this.#length = i2.length;
    this.#checksum = checksumOf(i2);
    this.#octets = new PackedOctets([digest("sha256", i2), r2]);
  }

  /** The R2, as a copy. */
  get r2(): Uint8Array {
    return this.#octets.copy(R2);
  }

  /** Whether these are its octets. Costs a hash only when length and checksum are the same. */
  isBy(i2: Uint8Array): boolean {
    return i2.length === this.#length && checksumOf(i2) === this.#checksum &&
      bytesEqual(digest("sha256", i2), this.#octets.view(DIGEST));
  }
}

function checksumOf(packet: Uint8Array): number {
  return (packet[HIP_FIELD.checksum]! << 8) | packet[HIP_FIELD.checksum + 1]!;
}
