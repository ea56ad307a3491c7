/**
 * Addresses of our own memory, for structures that hold pointers. The octets of an `ArrayBuffer`
 * never move, so an address is good for as long as somebody holds the buffer.
 */

import { LITTLE } from "./layouts.ts";

/** A structure of the system: its octets, a view on them, and its address. */
export class Struct {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly pointer: Deno.PointerObject;
  readonly address: bigint;

  /** @param size Octets, all zero at first. */
  constructor(size: number) {
    const memory = new ArrayBuffer(size);
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.pointer = Deno.UnsafePointer.of(this.bytes)!;
    this.address = Deno.UnsafePointer.value(this.pointer);
  }

  /** Writes the address of octet `at` of `target`, which the caller keeps alive, at `offset`. */
  setPointer(offset: number, target: Struct, at = 0): void {
    this.view.setBigUint64(offset, target.address + BigInt(at), LITTLE);
  }
}

const TWO_32 = 2 ** 32;

/** Where an array begins, in two halves, for arithmetic without `bigint`. */
export interface Base {
  readonly low: number;
  readonly high: number;
}

const bases = new WeakMap<Uint8Array, Base>();

/** The address of `bytes[0]`; asked the system once per array. */
export function baseOf(bytes: Uint8Array): Base {
  let base = bases.get(bytes);
  if (base === undefined) {
    // A short array may lie on the collected heap, which moves; its ArrayBuffer does not.
    void bytes.buffer;
    const address = Deno.UnsafePointer.value(
      Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>),
    );
    base = { low: Number(address & 0xffff_ffffn), high: Number(address >> 32n) };
    bases.set(bytes, base);
  }
  return base;
}

/** Writes `base` + `offset` as a pointer at `position` of `view`. */
export function writeAddress(view: DataView, position: number, base: Base, offset: number): void {
  const low = base.low + offset;
  view.setUint32(position, low, LITTLE);
  view.setUint32(position + 4, low < TWO_32 ? base.high : base.high + 1, LITTLE);
}
