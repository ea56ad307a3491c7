/**
 * Local Scope Identifiers: addresses of IPv4's form that stand for HITs in programs that know only
 * IPv4 (RFC 7401 §4.5.1, RFC 5338 §3.2). They mean something on this host alone.
 *
 * A HIT keeps its LSI, since programs keep addresses: no LSI stands for another HIT before it has
 * been out of use for a day. The table is bounded: when it is full, further HITs get none.
 */

import { elapsed, type Instant, instant, seconds } from "../base/time.ts";
import { digest } from "../crypto/rhash.ts";

/** Where LSIs are taken from. */
export interface LsiPool {
  /** The first address, 32 bits. */
  readonly first: number;
  /** 8 to 24 bits. */
  readonly prefixLength: number;
}

/** 198.18.0.0/15 (RFC 2544): never routed on the Internet, as 1.0.0.0/8 of old is today. */
export const DEFAULT_LSI_POOL: LsiPool = { first: 0xc6120000, prefixLength: 15 };

/** LSIs at most. */
const MAX_LSIS = 65_536;

/** An LSI out of use for so long may be given to another HIT (RFC 5338 §3.2). */
export const LSI_QUARANTINE = seconds(24 * 3600);

/** 1.0.0.0/24 and 1.1.1.0/24, should their block be the pool: well-known servers live there. */
const RESERVED_NETWORKS = [0x010000, 0x010101];

/** One HIT and what stands for it. */
export interface LsiEntry {
  /** 32 bits. */
  readonly lsi: number;
  /** IPv4-mapped, 16 octets. */
  readonly address: Uint8Array;
  readonly hit: Uint8Array;
  /** Below 65,536; of no other entry at the same time. */
  readonly index: number;
  /** Whether the HIT is ours: such an LSI stays. */
  readonly isOwn: boolean;
  /** When it was answered or written to last. */
  lastUse: Instant;
}

/** Hears of what is assigned, before anybody else does. */
export interface LsiWatcher {
  /** @returns Whether packets to it can reach us; when not, it is not assigned. */
  assigned(entry: LsiEntry): boolean;
  released(entry: LsiEntry): void;
}

export class LsiTable {
  /** Hears of every change. */
  watcher: LsiWatcher | undefined;
  /** Whether an address, 32 bits, is somebody else's. */
  isForbidden: (lsi: number) => boolean = () => false;
  /**
   * Whether only programs of IPv4 wait for packets to a port of ours: asked for the first packet of
   * a flow of TCP (6) or UDP (17).
   */
  hasIpv4Server: (protocol: number, port: number) => boolean = () => false;
  #pool = DEFAULT_LSI_POOL;
  readonly #byLsi = new Map<number, LsiEntry>();
  /** By the last six octets of the HIT, which differ; HITs that are alike there stand together. */
  readonly #byHit = new Map<number, LsiEntry[]>();
  readonly #limit: number;
  #freeIndexes: number[] = [];
  #nextIndex = 0;
  /** Nothing is out of quarantine before. */
  #nothingFreeUntil: Instant = instant(-Infinity);

  /** @param limit LSIs at most. */
  constructor(limit: number = MAX_LSIS) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byLsi.size;
  }

  get pool(): LsiPool {
    return this.#pool;
  }

  /** Names the pool; before anything is assigned. */
  setPool(pool: LsiPool): void {
    if (this.size > 0) throw new Error("LSIs of another pool are in use");
    this.#pool = pool;
  }

  /** Whether an address, 32 bits, lies in the pool. */
  isInPool(lsi: number): boolean {
    return lsi >= this.#pool.first && lsi < this.#pool.first + this.#span;
  }

  /** Every entry, as it was assigned. */
  entries(): Iterable<LsiEntry> {
    return this.#byLsi.values();
  }

  /** The LSI of a HIT, 16 octets, now if not before; undefined when the table is full. */
  assign(hit: Uint8Array, now: Instant = instant(0), isOwn = false): LsiEntry | undefined {
    const known = this.ofHit(hit);
    if (known !== undefined) {
      known.lastUse = now;
      return known;
    }
    if (this.#byLsi.size >= this.#limit && !this.#makeRoom(now)) return undefined;
    const low24 = digest("sha256", hit).subarray(-3);
    let offset = (low24[0]! * 65536 + low24[1]! * 256 + low24[2]!) % this.#span;
    for (let tries = 0; tries < this.#span; tries++, offset = (offset + 1) % this.#span) {
      const lsi = this.#pool.first + offset;
      if (this.#byLsi.has(lsi) || !this.isUsable(lsi)) continue;
      return this.#add(lsi, hit, now, isOwn);
    }
    return undefined;
  }

  /**
   * Gives a HIT a certain LSI: the one that it had in an earlier run, or that the operator wants.
   *
   * @returns Undefined when the LSI cannot be used or is another HIT's.
   */
  fix(lsi: number, hit: Uint8Array, now: Instant, isOwn = false): LsiEntry | undefined {
    const known = this.ofHit(hit);
    if (known?.lsi === lsi) return known;
    if (!this.isInPool(lsi) || !this.isUsable(lsi) || this.#byLsi.has(lsi)) return undefined;
    if (known?.isOwn) return undefined;
    if (known !== undefined) this.#release(known);
    if (this.#byLsi.size >= this.#limit && !this.#makeRoom(now)) return undefined;
    return this.#add(lsi, hit, now, isOwn);
  }

  /** Whether an address of the pool may stand for a HIT: nobody else's, no network's, no broadcast. */
  isUsable(lsi: number): boolean {
    const last = lsi & 0xff;
    return last !== 0 && last !== 0xff && !RESERVED_NETWORKS.includes(lsi >>> 8) &&
      !this.isForbidden(lsi);
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

  get #span(): number {
    return 2 ** (32 - this.#pool.prefixLength);
  }

  #add(lsi: number, hit: Uint8Array, now: Instant, isOwn: boolean): LsiEntry | undefined {
    const index = this.#freeIndexes.pop() ?? this.#nextIndex++;
    const address = mappedAddress(lsi);
    const entry: LsiEntry = { lsi, address, hit: hit.slice(), index, isOwn, lastUse: now };
    if (this.watcher?.assigned(entry) === false) {
      this.#freeIndexes.push(index);
      return undefined;
    }
    this.#byLsi.set(lsi, entry);
    const alike = this.#byHit.get(tailOf(hit, 0));
    if (alike === undefined) this.#byHit.set(tailOf(hit, 0), [entry]);
    else alike.push(entry);
    return entry;
  }

  /** Releases what is out of quarantine for longest. @returns Whether there was anything. */
  #makeRoom(now: Instant): boolean {
    if (now < this.#nothingFreeUntil) return false;
    let oldest: LsiEntry | undefined;
    for (const entry of this.#byLsi.values()) {
      if (!entry.isOwn && (oldest === undefined || entry.lastUse < oldest.lastUse)) oldest = entry;
    }
    if (oldest === undefined) return false;
    if (elapsed(oldest.lastUse, now) < LSI_QUARANTINE) {
      this.#nothingFreeUntil = instant(oldest.lastUse + LSI_QUARANTINE);
      return false;
    }
    this.#release(oldest);
    return true;
  }

  #release(entry: LsiEntry): void {
    this.#byLsi.delete(entry.lsi);
    const tail = tailOf(entry.hit, 0);
    const alike = this.#byHit.get(tail)!.filter((other) => other !== entry);
    if (alike.length > 0) this.#byHit.set(tail, alike);
    else this.#byHit.delete(tail);
    this.#freeIndexes.push(entry.index);
    this.watcher?.released(entry);
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

/** An LSI, 32 bits, as 16 octets. */
export function mappedAddress(lsi: number): Uint8Array {
  const address = new Uint8Array(16);
  address.fill(0xff, 10, 12);
  new DataView(address.buffer).setUint32(12, lsi);
  return address;
}

/** The last 32 bits of an address: the LSI of an IPv4-mapped one. */
export function lsiNumber(address: Uint8Array): number {
  return new DataView(address.buffer, address.byteOffset).getUint32(address.length - 4);
}
