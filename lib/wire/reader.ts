/**
 * A cursor over octets that somebody else chose. It fails on the first octet past its end, so that
 * no parser can read beyond the parameter or record it was given. Integers are unsigned and
 * big-endian.
 */

import { MalformedPacketError } from "../base/errors.ts";

/** Reads `bytes` from front to back. The octets are borrowed; slices it hands out are views. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /**
   * @param bytes All that may be read.
   * @param what RFC name of the thing being parsed, for error messages.
   */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Octets read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Octets left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  uint8(): number {
    const at = this.#take(1);
    return this.#bytes[at]!;
  }

  uint16(): number {
    const at = this.#take(2);
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  uint32(): number {
    const at = this.#take(4);
    const bytes = this.#bytes;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) |
      bytes[at + 3]!) >>> 0;
  }

  uint64(): bigint {
    this.#require(8);
    const high = this.uint32();
    return (BigInt(high) << 32n) | BigInt(this.uint32());
  }

  /** The next `length` octets, as a view. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** All octets left, as a view; possibly none. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** A reader over the next `length` octets, which this reader passes over. */
  sub(length: number, what: string): Reader {
    return new Reader(this.bytes(length), what);
  }

  /** @throws {MalformedPacketError} When octets are left. */
  expectEnd(): void {
    if (this.remaining !== 0) this.fail(`${this.remaining} octets too many`);
  }

  /** @throws {MalformedPacketError} Always, naming what this reader reads. */
  fail(problem: string): never {
    throw new MalformedPacketError(this.#what, problem);
  }

  #require(length: number): void {
    if (length > this.remaining) {
      this.fail(`need ${length} octets at offset ${this.#offset}, have ${this.remaining}`);
    }
  }

  #take(length: number): number {
    this.#require(length);
    const at = this.#offset;
    this.#offset += length;
    return at;
  }
}
