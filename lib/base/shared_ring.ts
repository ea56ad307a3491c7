/**
 * Records from one thread to one other, in order, through shared memory and without a lock. One
 * thread writes, one reads; neither waits for the other. A record lies in one piece, so that both
 * work in place, and nothing here allocates.
 *
 * The positions only grow (modulo 2^32). The writer's is stored after the octets are there, the
 * reader's after they are done with: `Atomics` orders the rest of the memory around them, so that
 * what was written before a record is seen by whoever has read it.
 */

/** Words of control: where the writer and the reader stand, each in a line of the cache of its own. */
const WRITTEN = 0;
const READ = 16;
const CONTROL_OCTETS = 128;

/** Before each record: its length, and its kind. */
const HEAD = 8;
/** Records begin at multiples of this. */
const ALIGNMENT = 8;
/** The rest of the ring is empty; the next record is at its beginning. */
const SKIP = 0xffff_ffff;

/** Memory for a ring. @param capacity Octets of records, a power of two of at least 64. */
export function ringMemory(capacity: number): SharedArrayBuffer {
  if (capacity < 64 || (capacity & (capacity - 1)) !== 0) {
    throw new RangeError(`Cannot make a ring of ${capacity} octets: need a power of two from 64`);
  }
  return new SharedArrayBuffer(CONTROL_OCTETS + capacity);
}

/** What both ends have in common. */
class RingEnd {
  /** Where records lie; offsets of both ends are in here. */
  readonly bytes: Uint8Array;
  protected readonly view: DataView;
  protected readonly control: Int32Array;
  protected readonly mask: number;

  /** @param memory From `ringMemory`. */
  constructor(memory: SharedArrayBuffer) {
    this.bytes = new Uint8Array(memory, CONTROL_OCTETS);
    this.view = new DataView(memory, CONTROL_OCTETS);
    this.control = new Int32Array(memory, 0, CONTROL_OCTETS / 4);
    this.mask = this.bytes.length - 1;
  }
}

/** The end that writes. */
export class RingWriter extends RingEnd {
  #position = Atomics.load(this.control, WRITTEN);
  #reserved = 0;

  /**
   * Makes room for a record, which the reader sees after `publish`. One at a time.
   *
   * @param kind What it is, to be agreed upon; 0 to 2^32 - 1.
   * @returns Where in `bytes` its octets go; -1 when the ring is full.
   */
  reserve(kind: number, length: number): number {
    const size = recordSize(length);
    const capacity = this.mask + 1;
    let at = this.#position & this.mask;
    const behind = capacity - at;
    const skipped = size > behind ? behind : 0;
    const used = (this.#position - Atomics.load(this.control, READ)) >>> 0;
    if (used + skipped + size > capacity) return -1;
    if (skipped > 0) {
      this.view.setUint32(at, SKIP);
      at = 0;
    }
    this.view.setUint32(at, length);
    this.view.setUint32(at + 4, kind);
    this.#reserved = skipped + size;
    return at + HEAD;
  }

  /** Writes a word into the record reserved last. */
  setWord(at: number, word: number): void {
    this.view.setUint32(at, word);
  }

  /** Hands over the record reserved last. */
  publish(): void {
    this.#position = (this.#position + this.#reserved) | 0;
    this.#reserved = 0;
    Atomics.store(this.control, WRITTEN, this.#position);
  }
}

/** The end that reads. */
export class RingReader extends RingEnd {
  /** Of the record that `next` has found. */
  kind = 0;
  /** First octet of it in `bytes`. */
  start = 0;
  length = 0;
  #position = Atomics.load(this.control, READ);
  #size = 0;

  /** Finds the oldest record; it stays where it is until `release`. @returns Whether there is one. */
  next(): boolean {
    if (Atomics.load(this.control, WRITTEN) === this.#position) return false;
    let at = this.#position & this.mask;
    let skipped = 0;
    if (this.view.getUint32(at) === SKIP) {
      skipped = this.mask + 1 - at;
      at = 0;
    }
    this.length = this.view.getUint32(at);
    this.kind = this.view.getUint32(at + 4);
    this.start = at + HEAD;
    this.#size = skipped + recordSize(this.length);
    return true;
  }

  /** A word of the record. */
  word(at: number): number {
    return this.view.getUint32(at);
  }

  /** Gives the room of the record back. */
  release(): void {
    this.#position = (this.#position + this.#size) | 0;
    this.#size = 0;
    Atomics.store(this.control, READ, this.#position);
  }
}

function recordSize(length: number): number {
  return (HEAD + length + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}
