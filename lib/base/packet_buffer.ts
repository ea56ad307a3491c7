/**
 * One packet on its way through the program, in a fixed slab. Headers are taken off and put on by
 * moving `start`; the payload never moves. Nothing here allocates after construction.
 */

/** Octets kept free before a packet that was just read: room for an IPv6 header and ESP. */
export const HEADROOM = 128;

/** Octets kept free behind it: ESP padding, trailer and ICV. */
export const TAILROOM = 320;

/** Octets of a slab for packets of up to `capacity` octets. */
export function slabSize(capacity: number): number {
  return HEADROOM + capacity + TAILROOM;
}

/** Where a packet came from or goes to, outside. Addresses are 16 octets, IPv4 as mapped. */
export class PacketPath {
  /** Our address; all zero when the system is to choose. */
  readonly localAddress = new Uint8Array(16);
  readonly peerAddress = new Uint8Array(16);
  /** IP protocol: 50 ESP, 139 HIP, 17 UDP with either of them inside. */
  protocol = 0;
  /** The peer's port, where the protocol is UDP; else 0. */
  peerPort = 0;
  /** DSCP and ECN octet of the outer header (RFC 7402 appendix B). */
  trafficClass = 0;
  /** Hop limit or TTL of the outer header, 0 to 255. */
  hopLimit = 64;
  /** Whether it came as a piece of a packet, not put together by the system (RFC 4303 §3.4.1). */
  isFragment = false;
}

/** A slab, the part of it in use, and the path. Owned by whoever holds it; nobody keeps it. */
export class PacketBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly path = new PacketPath();
  /** The whole memory that the slab is a part of, and where in it the slab begins. */
  readonly #memory: Uint8Array;
  readonly #base: number;
  /** First octet in use. */
  start = HEADROOM;
  /** One past the last octet in use. */
  end = HEADROOM;

  /**
   * @param capacity Octets a packet may have, headroom and tailroom not counted.
   * @param memory Where the slab is to lie, with others beside it; without it alone.
   * @param base First octet of `memory` that is the slab's; it takes `slabSize(capacity)`.
   */
  constructor(capacity: number, memory = new Uint8Array(slabSize(capacity)), base = 0) {
    this.#memory = memory;
    this.#base = base;
    this.bytes = memory.subarray(base, base + slabSize(capacity));
    this.view = new DataView(memory.buffer, memory.byteOffset + base, slabSize(capacity));
  }

  get length(): number {
    return this.end - this.start;
  }

  /** Octets that may be read into the slab at `HEADROOM`. */
  get capacity(): number {
    return this.bytes.length - HEADROOM - TAILROOM;
  }

  /** Makes the slab empty, ready to be read into at `HEADROOM`. */
  reset(): void {
    this.start = HEADROOM;
    this.end = HEADROOM;
  }

  /** Copies `packet` in at `HEADROOM`; it must fit. */
  load(packet: Uint8Array): void {
    this.reset();
    this.bytes.set(packet, HEADROOM);
    this.end = HEADROOM + packet.length;
  }

  /**
   * Copies octets of another slab to `at`, whatever is in use there; they must fit. Makes no object
   * when both lie in the same memory.
   */
  copyFrom(source: PacketBuffer, from: number, to: number, at: number): void {
    if (source.#memory === this.#memory) {
      this.#memory.copyWithin(this.#base + at, source.#base + from, source.#base + to);
    } else {
      this.bytes.set(source.bytes.subarray(from, to), at);
    }
  }

  /** The octets in use, as a view. For tests and the control path: makes an object. */
  contents(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }
}
