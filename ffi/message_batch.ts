/**
 * The arguments of sendmmsg(2) and recvmmsg(2): a fixed array of mmsghdr, each with its address, its
 * iovecs (one, if not told otherwise) and its control messages, all laid out once. A packet changes
 * only the values in them. Each entry begins with a msghdr, so that sendmsg(2) and recvmsg(2) take
 * it as well.
 */

import * as c from "./layouts.ts";
import { baseOf, Struct, writeAddress } from "./memory.ts";

export class MessageBatch {
  readonly size: number;
  /** Addresses; those of message i begin at `nameAt(i)`. */
  readonly names: Struct;
  /** Control messages; those of message i begin at `controlAt(i)`. */
  readonly controls: Struct;
  readonly #nameSize: number;
  readonly #nameStride: number;
  readonly #controlSize: number;
  readonly #headers: Struct;
  readonly #iovecs: Struct;
  readonly #pointers: readonly Deno.PointerObject[];

  /**
   * @param size Messages.
   * @param nameSize Octets of an address.
   * @param controlSize Octets of the control messages of one message, a multiple of 8.
   */
  constructor(size: number, nameSize: number, controlSize: number) {
    this.size = size;
    this.#nameSize = nameSize;
    this.#nameStride = (nameSize + 7) & ~7;
    this.#controlSize = controlSize;
    this.names = new Struct(size * this.#nameStride);
    this.controls = new Struct(Math.max(8, size * controlSize));
    this.#headers = new Struct(size * c.MMSGHDR.SIZE);
    this.#iovecs = new Struct(size * c.IOVEC.SIZE);
    const { view } = this.#headers;
    for (let i = 0; i < size; i++) {
      const header = i * c.MMSGHDR.SIZE;
      this.#headers.setPointer(header + c.MSGHDR.name, this.names, this.nameAt(i));
      this.#headers.setPointer(header + c.MSGHDR.iov, this.#iovecs, i * c.IOVEC.SIZE);
      view.setUint32(header + c.MSGHDR.iovLength, 1, c.LITTLE);
      if (controlSize > 0) {
        this.#headers.setPointer(header + c.MSGHDR.control, this.controls, this.controlAt(i));
      }
      this.rearm(i);
    }
    this.#pointers = Array.from(
      { length: size },
      (_, i) =>
        Deno.UnsafePointer.offset(this.#headers.pointer, i * c.MMSGHDR.SIZE) as Deno.PointerObject,
    );
  }

  /** The address of message `i`; those behind it follow. */
  pointerAt(i: number): Deno.PointerObject {
    return this.#pointers[i]!;
  }

  nameAt(i: number): number {
    return i * this.#nameStride;
  }

  controlAt(i: number): number {
    return i * this.#controlSize;
  }

  /** Where iovec `i`, if not told otherwise that of message `i`, has octets or room for them. */
  pointAt(i: number, bytes: Uint8Array, start: number, length: number): void {
    const { view } = this.#iovecs;
    writeAddress(view, i * c.IOVEC.SIZE + c.IOVEC.base, baseOf(bytes), start);
    view.setUint32(i * c.IOVEC.SIZE + c.IOVEC.length, length, c.LITTLE);
  }

  /** Makes the octets of iovecs `first` to `first + count - 1` those of message `i`, in one piece. */
  gather(i: number, first: number, count: number): void {
    const { view } = this.#headers;
    const header = i * c.MMSGHDR.SIZE;
    const base = baseOf(this.#iovecs.bytes);
    writeAddress(view, header + c.MSGHDR.iov, base, first * c.IOVEC.SIZE);
    view.setUint32(header + c.MSGHDR.iovLength, count, c.LITTLE);
  }

  /** Makes the first `length` octets of its control messages those that message `i` has. */
  setControlLength(i: number, length: number): void {
    const at = i * c.MMSGHDR.SIZE + c.MSGHDR.controlLength;
    this.#headers.view.setUint32(at, length, c.LITTLE);
  }

  /** Makes the whole address and control space of message `i` usable again before a receive. */
  rearm(i: number): void {
    const header = i * c.MMSGHDR.SIZE;
    const { view } = this.#headers;
    view.setUint32(header + c.MSGHDR.nameLength, this.#nameSize, c.LITTLE);
    view.setUint32(header + c.MSGHDR.controlLength, this.#controlSize, c.LITTLE);
  }

  /** Octets that recvmmsg put into message `i`. */
  lengthOf(i: number): number {
    return this.#headers.view.getUint32(i * c.MMSGHDR.SIZE + c.MMSGHDR.length, c.LITTLE);
  }

  /** Notes what recvmsg, which does not, put into message `i`. */
  setLength(i: number, length: number): void {
    this.#headers.view.setUint32(i * c.MMSGHDR.SIZE + c.MMSGHDR.length, length, c.LITTLE);
  }

  /** Octets of control messages that came with message `i`. */
  controlLengthOf(i: number): number {
    const at = i * c.MMSGHDR.SIZE + c.MSGHDR.controlLength;
    return this.#headers.view.getUint32(at, c.LITTLE);
  }

  /** Whether message `i` did not fit. */
  isCut(i: number): boolean {
    const flags = this.#headers.view.getUint32(i * c.MMSGHDR.SIZE + c.MSGHDR.flags, c.LITTLE);
    return (flags & c.MSG_TRUNC) !== 0;
  }

  /**
   * Lays out the head of a control message in every message, `offset` octets behind the first of
   * its control messages; returns where its data begins, counted alike.
   */
  layControl(offset: number, level: number, type: number, length: number): number {
    const { view } = this.controls;
    for (let i = 0; i < this.size; i++) {
      const at = this.controlAt(i) + offset;
      view.setUint32(at + c.CMSGHDR.length, c.CMSGHDR.data + length, c.LITTLE);
      view.setInt32(at + c.CMSGHDR.level, level, c.LITTLE);
      view.setInt32(at + c.CMSGHDR.type, type, c.LITTLE);
    }
    return offset + c.CMSGHDR.data;
  }
}
