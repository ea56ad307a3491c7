/**
 * Addresses of octets inside buffers, made once each. Making a pointer object costs about as much
 * as sealing a small packet, and packets stand at few different offsets in few slabs.
 *
 * A pointer is good as long as its buffer lives and is not detached; the cache does not keep
 * buffers alive, except the one asked for last.
 */

/** Offsets remembered for one buffer; then it starts afresh. */
const MAX_OFFSETS = 4096;

/** Lengths remembered; covers every IP packet. */
const MAX_LENGTH = 0x20000;

/** Remembers pointers by buffer and offset. */
export class PointerCache {
  readonly #buffers = new WeakMap<ArrayBufferLike, Map<number, Deno.PointerObject>>();
  #lastBuffer: ArrayBufferLike | undefined;
  #last = new Map<number, Deno.PointerObject>();
  readonly #lengths: Deno.PointerValue[] = [];

  /** The address of `bytes[offset]`, which must exist. */
  at(bytes: Uint8Array, offset: number): Deno.PointerObject {
    const { buffer } = bytes;
    if (buffer !== this.#lastBuffer) {
      let known = this.#buffers.get(buffer);
      if (known === undefined) {
        known = new Map();
        this.#buffers.set(buffer, known);
      }
      this.#last = known;
      this.#lastBuffer = buffer;
    }
    const absolute = bytes.byteOffset + offset;
    return this.#last.get(absolute) ?? this.#make(buffer, absolute);
  }

  /**
   * A `size_t` as a pointer object: exact by every calling convention, and the quick way through
   * the FFI, unlike `usize`.
   */
  length(length: number): Deno.PointerValue {
    const known = this.#lengths[length];
    if (known !== undefined) return known;
    const made = Deno.UnsafePointer.create(BigInt(length));
    if (length < MAX_LENGTH) this.#lengths[length] = made;
    return made;
  }

  #make(buffer: ArrayBufferLike, offset: number): Deno.PointerObject {
    const base = Deno.UnsafePointer.of(new Uint8Array(buffer as ArrayBuffer));
    if (base === null) throw new RangeError("Cannot take the address of an empty buffer");
    const pointer = offset === 0 ? base : Deno.UnsafePointer.offset(base, offset);
    if (this.#last.size >= MAX_OFFSETS) this.#last.clear();
    this.#last.set(offset, pointer as Deno.PointerObject);
    return pointer as Deno.PointerObject;
  }
}
