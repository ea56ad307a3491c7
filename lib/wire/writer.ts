/**
 * A cursor that fills octets the caller owns. Integers are unsigned and big-endian. Writing past
 * the end is a mistake of ours and throws `RangeError`; nothing outside the cursor's way is touched.
 */

/** Writes into `bytes` from `offset` on. */
export class Writer {
  readonly #bytes: Uint8Array;
  #offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  /** Where the next octet goes, counted from the start of the array. */
  get offset(): number {
    return this.#offset;
  }

  uint8(value: number): void {
    this.#check(value, 0xff);
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  uint16(value: number): void {
    this.#check(value, 0xffff);
    const at = this.#take(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  uint32(value: number): void {
    this.#check(value, 0xffff_ffff);
    const at = this.#take(4);
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
  }

  uint64(value: bigint): void {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) {
      throw new RangeError(`Cannot write ${value}: need 0 to 2^64 - 1`);
    }
    this.uint32(Number(value >> 32n));
    this.uint32(Number(value & 0xffff_ffffn));
  }

  bytes(octets: Uint8Array): void {
    const at = this.#take(octets.length);
    this.#bytes.set(octets, at);
  }

  /** Writes `count` zero octets. */
  zeros(count: number): void {
    const at = this.#take(count);
    this.#bytes.fill(0, at, at + count);
  }

  #check(value: number, maximum: number): void {
    if (!Number.isInteger(value) || value < 0 || value > maximum) {
      throw new RangeError(`Cannot write ${value}: need an integer from 0 to ${maximum}`);
    }
  }

  #take(length: number): number {
    const at = this.#offset;
    if (at + length > this.#bytes.length) {
      throw new RangeError(
        `Cannot write ${length} octets at ${at}: the array has ${this.#bytes.length}`,
      );
    }
    this.#offset = at + length;
    return at;
  }
}
