/**
 * The security associations in force: inbound found by the SPI alone (RFC 7402 §6.2), outbound by
 * the pair of HITs (§3.3.3).
 *
 * Looking up costs no allocation. The database owns what is installed: whoever leaves it has its
 * keys overwritten. Its size is bounded.
 */

import { bytesEqual } from "../base/bytes.ts";
import { type Random, randomUint32 } from "../base/random.ts";
import { HitPairTable } from "../identity/hit_pair_table.ts";
import { type InboundSa, type OutboundSa, SMALLEST_SPI } from "./security_association.ts";
import { SPI_FILTER_SIZE, SpiFilter } from "./spi_filter.ts";

/** Most SAs in each direction. */
export const DEFAULT_SA_LIMIT = 20_000;

/** Both directions between one local and one peer HIT. */
export interface SaPair {
  readonly inbound: InboundSa;
  readonly outbound: OutboundSa;
}

/** Finds SAs for packets. */
export class SaDatabase {
  /** Memory of a `SpiFilter` that knows every inbound SA. */
  readonly spiFilter = new SharedArrayBuffer(SPI_FILTER_SIZE);
  readonly #knownSpis = new SpiFilter(this.spiFilter);
  readonly #limit: number;
  readonly #inbound = new Map<number, InboundSa>();
  readonly #outbound = new HitPairTable<OutboundSa>();
  /** Outbound by SPI, which several peers may have chosen alike: one, or a set. */
  readonly #outboundBySpi = new Map<number, OutboundSa | Set<OutboundSa>>();
  /** SPIs given out and not yet installed. */
  readonly #reserved = new Set<number>();

  /** @param limit Most inbound SAs, and most outbound SAs. */
  constructor(limit: number = DEFAULT_SA_LIMIT) {
    this.#limit = limit;
  }

  get inboundCount(): number {
    return this.#inbound.size;
  }

  get outboundCount(): number {
    return this.#outbound.size;
  }

  /** SPIs given out for which no SA stands yet. */
  get reservedCount(): number {
    return this.#reserved.size;
  }

  /** Every inbound SA, for reports and timers. */
  inbound(): IterableIterator<InboundSa> {
    return this.#inbound.values();
  }

  /**
   * A random SPI that no inbound SA has and that was not given out before without being used or
   * released: 256 to 2^32 - 1 (RFC 7402 §3.2.1, §3.4). Undefined when too many are waiting.
   */
  allocateSpi(random: Random): number | undefined {
    if (this.#inbound.size + this.#reserved.size >= this.#limit) return undefined;
    for (;;) {
      const spi = randomUint32(random);
      if (spi < SMALLEST_SPI || this.#inbound.has(keyOf(spi)) || this.#reserved.has(keyOf(spi))) {
        continue;
      }
      this.#reserved.add(keyOf(spi));
      return spi;
    }
  }

  /** Gives back an SPI from `allocateSpi` for which no SA was installed. */
  releaseSpi(spi: number): void {
    this.#reserved.delete(keyOf(spi));
  }

  /** Installs both directions, or neither; see `installInbound` and `installOutbound`. */
  install(pair: SaPair): boolean {
    if (!this.installInbound(pair.inbound)) return false;
    if (this.installOutbound(pair.outbound)) return true;
    this.removeInbound(pair.inbound.spi);
    return false;
  }

  /**
   * Installs an inbound SA beside those there are: during a rekey old and new both receive.
   *
   * @returns False when its SPI is in use by another or the database is full.
   */
  installInbound(sa: InboundSa): boolean {
    const known = this.#inbound.get(keyOf(sa.spi));
    if (known !== undefined) return known === sa;
    if (this.#inbound.size >= this.#limit) return false;
    this.#reserved.delete(keyOf(sa.spi));
    this.#inbound.set(keyOf(sa.spi), sa);
    this.#knownSpis.add(sa.spi);
    return true;
  }

  /**
   * Installs an outbound SA in place of the one its pair of HITs had, which is wiped.
   *
   * @returns False when the database is full.
   */
  installOutbound(sa: OutboundSa): boolean {
    const known = this.#outbound.find(sa.localHit, sa.peerHit);
    if (known === sa) return true;
    if (known !== undefined) {
      sa.inheritPathMtu(known);
      this.#drop(known);
    } else if (this.#outbound.size >= this.#limit) {
      return false;
    }
    this.#fileBySpi(sa);
    return this.#outbound.add(sa);
  }

  /** The SA whose packets carry this SPI. */
  inboundBySpi(spi: number): InboundSa | undefined {
    return this.#inbound.get(keyOf(spi));
  }

  /**
   * The SA for packets between two HITs, read where they stand: for an inner IPv6 header at `start`
   * the offsets are `start + 8` and `start + 24` of the same octets.
   */
  outboundFor(
    localHit: Uint8Array,
    localOffset: number,
    peerHit: Uint8Array,
    peerOffset: number,
  ): OutboundSa | undefined {
    return this.#outbound.find(localHit, peerHit, localOffset, peerOffset);
  }

  /** The SA whose packets go to this address, 16 octets, with this SPI: for what ICMP quotes. */
  outboundBySpi(spi: number, peerAddress: Uint8Array): OutboundSa | undefined {
    const alike = this.#outboundBySpi.get(keyOf(spi));
    if (alike === undefined) return undefined;
    for (const sa of alike instanceof Set ? alike : [alike]) {
      if (bytesEqual(sa.peerAddress, peerAddress)) return sa;
    }
    return undefined;
  }

  /** Removes and wipes one inbound SA. */
  removeInbound(spi: number): boolean {
    const sa = this.#inbound.get(keyOf(spi));
    if (sa === undefined) return false;
    this.#inbound.delete(keyOf(spi));
    this.#knownSpis.remove(spi);
    sa.wipe();
    return true;
  }

  /** Removes and wipes the outbound SA of a pair of HITs, 16 octets each. */
  removeOutbound(localHit: Uint8Array, peerHit: Uint8Array): boolean {
    const sa = this.#outbound.find(localHit, peerHit);
    if (sa === undefined) return false;
    this.#drop(sa);
    return true;
  }

  #fileBySpi(sa: OutboundSa): void {
    const key = keyOf(sa.spi);
    const alike = this.#outboundBySpi.get(key);
    if (alike === undefined) this.#outboundBySpi.set(key, sa);
    else if (alike instanceof Set) alike.add(sa);
    else this.#outboundBySpi.set(key, new Set([alike, sa]));
  }

  #drop(sa: OutboundSa): void {
    this.#outbound.remove(sa);
    const key = keyOf(sa.spi);
    const alike = this.#outboundBySpi.get(key);
    if (alike instanceof Set) alike.delete(sa);
    if (alike === sa || alike instanceof Set && alike.size === 0) this.#outboundBySpi.delete(key);
    sa.wipe();
  }
}

/**
 * An SPI as a key: signed integers of 32 bits are values of their own, greater numbers are objects
 * that a `Map` has to look into.
 */
function keyOf(spi: number): number {
  return spi | 0;
}
