/**
 * Local Scope Identifiers: addresses of IPv4's form that stand for HITs in programs that know only
 * IPv4 (RFC 7401 §4.5.1, RFC 5338 §3.2). They mean something on this host alone.
 *
 * A HIT keeps its LSI for the life of the table, since programs keep addresses. The table is
 * bounded: when it is full, further HITs get none.
 */

/** 198.18.0.0/15 (RFC 2544): never routed on the Internet. As a number, and its length. */
export const LSI_PREFIX = 0xc6120000;
const PREFIX_BITS = 15;
const SPAN = 2 ** (32 - PREFIX_BITS);

/** LSIs at most. */
const MAX_LSIS = 65_536;

/** One HIT and what stands for it. */
export interface LsiEntry {
  /** 32 bits. */
  readonly lsi: number;
  /** IPv4-mapped, 16 octets. */
  readonly address: Uint8Array;
  readonly hit: Uint8Array;
}

export class LsiTable {
  readonly #byLsi = new Map<number, LsiEntry>();
  /** By the last six octets of the HIT, which differ; HITs that are alike there stand together. */
  readonly #byHit = new Map<number, LsiEntry[]>();
  readonly #limit: number;

  /** @param limit LSIs at most. */
  constructor(limit: number = MAX_LSIS) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byLsi.size;
  }

  /** The LSI of a HIT, 16 octets, now if not before; undefined when the table is full. */
  assign(hit: Uint8Array): LsiEntry | undefined {
    const known = this.ofHit(hit);
    if (known !== undefined) return known;
    if (this.#byLsi.size >= this.#limit) return undefined;
    // A HIT is a hash: its last bits spread LSIs as well as any.
    let offset = tailOf(hit, 0) % SPAN;
    while (isSpecial(offset) || this.#byLsi.has(LSI_PREFIX + offset)) offset = (offset + 1) % SPAN;
    const lsi = LSI_PREFIX + offset;
    const entry: LsiEntry = { lsi, address: mappedAddress(lsi), hit: hit.slice() };
    this.#byLsi.set(lsi, entry);
    const alike = this.#byHit.get(tailOf(hit, 0));
    if (alike === undefined) this.#byHit.set(tailOf(hit, 0), [entry]);
    else alike.push(entry);
    return entry;
  }

  /** What an LSI, 32 bits, stands for. */
  ofLsi(lsi: number): LsiEntry | undefined {
    return this.#byLsi.get(lsi);
  }

  /** What stands for the HIT at `offset`. Makes nothing. */
  ofHit(bytes: Uint8Array, offset = 0): LsiEntry | undefined {
    const alike = this.#byHit.get(tailOf(bytes, offset));
    if (alike === undefined) return undefined;
    for (let i = 0; i < alike.length; i++) {
      if (isHitAt(alike[i]!.hit, bytes, offset)) return alike[i];
    }
    return undefined;
  }
}

function isHitAt(hit: Uint8Array, bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 16; i++) {
    if (hit[i] !== bytes[offset + i]) return false;
  }
  return true;
}

/** 48 bits, exact as a number. */
function tailOf(bytes: Uint8Array, offset: number): number {
  let tail = 0;
  for (let i = 10; i < 16; i++) tail = tail * 256 + bytes[offset + i]!;
  return tail;
}

/** Whether it would look like the address of a network or a broadcast. */
function isSpecial(offset: number): boolean {
  const last = offset & 0xff;
  return last === 0 || last === 0xff;
}

function mappedAddress(lsi: number): Uint8Array {
  const address = new Uint8Array(16);
  address.fill(0xff, 10, 12);
  new DataView(address.buffer).setUint32(12, lsi);
  return address;
}
