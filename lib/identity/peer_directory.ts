/**
 * What is known of peers before they are met: which HIT has which key and which addresses, and
 * who said so. DNS answers and the hosts file fill it; the engine asks it when a packet for a HIT
 * has nowhere to go (RFC 8005 §4, RFC 7401 §6.1).
 *
 * Static entries rank above DNS, and a lower rank never changes a higher one. Where a peer was when
 * it was met last counts only while nobody else knows: a connection may outlive its association and
 * the answer that led to it. The tables are bounded: the mapping that expires first makes room.
 */

import { toHex } from "../base/bytes.ts";
import type { Instant } from "../base/time.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { addressKey } from "../wire/ip_address.ts";

/** Most mappings kept. */
export const MAX_MAPPINGS = 10_000;

/** Most addresses kept for one HIT. */
export const MAX_LOCATORS = 16;

/** `met`: an exchange with the peer was completed there. */
export type MappingSource = "static" | "dns-secure" | "dns" | "met";

/** One peer as one source describes it. */
export interface PeerMapping {
  /** 16 octets, a HIT. */
  readonly hit: Uint8Array;
  /** The full key, where the source has it; the peer must then prove exactly this one. */
  readonly identity: PublicHostIdentity | undefined;
  /** Addresses of the peer, 16 octets each, most preferred first. */
  readonly locators: readonly Uint8Array[];
  /** Addresses of its rendezvous servers: for I1 only (RFC 8005 §3.2). */
  readonly rendezvous: readonly Uint8Array[];
  /** The name under which it was learned; "" when there is none. */
  readonly name: string;
  /** The name that was asked for, where an alias led to `name`. */
  readonly queryName?: string;
  readonly source: MappingSource;
  /** Not used for new exchanges from then on; undefined for ever. */
  readonly expires: Instant | undefined;
}

/** Finds peers by HIT. */
export class PeerDirectory {
  readonly #byHit = new Map<string, PeerMapping>();
  /** Oldest first. */
  readonly #met = new Map<string, PeerMapping>();

  get size(): number {
    return this.#byHit.size;
  }

  /** Takes in what a source says. A static mapping is not touched by DNS. */
  learn(now: Instant, mapping: PeerMapping): void {
    const key = toHex(mapping.hit);
    if (mapping.source === "met") {
      this.#learnMet(key, mapping);
      return;
    }
    const known = this.#current(now, key);
    if (known?.source === "static" && mapping.source === "dns") return;
    const locators = known?.source === mapping.source && known.name !== mapping.name
      ? union(mapping.locators, known.locators)
      : mapping.locators.slice(0, MAX_LOCATORS);
    if (!this.#byHit.has(key) && this.#byHit.size >= MAX_MAPPINGS) this.#makeRoom();
    this.#byHit.set(key, { ...mapping, locators });
  }

  /** The mapping in force, or undefined. */
  lookup(now: Instant, hit: Uint8Array): PeerMapping | undefined {
    const key = toHex(hit);
    return this.#current(now, key) ?? this.#currentMet(now, key);
  }

  /** The name a HIT was learned under, even when the mapping has expired; "" when there is none. */
  nameOf(hit: Uint8Array): string {
    const key = toHex(hit);
    return this.#byHit.get(key)?.name ?? this.#met.get(key)?.name ?? "";
  }

  /** Withdraws every mapping of `source`, for a hosts file that is read anew. */
  forgetSource(source: MappingSource): void {
    for (const [key, mapping] of this.#byHit) {
      if (mapping.source === source) this.#byHit.delete(key);
    }
  }

  /** The mapping under which `name` is known, names compared without regard to case. */
  lookupName(now: Instant, name: string): PeerMapping | undefined {
    const wanted = name.toLowerCase().replace(/\.$/, "");
    for (const [key, mapping] of this.#byHit) {
      if (mapping.name.toLowerCase() === wanted) return this.#current(now, key);
    }
    return undefined;
  }

  #current(now: Instant, key: string): PeerMapping | undefined {
    const mapping = this.#byHit.get(key);
    if (mapping === undefined) return undefined;
    if (mapping.expires !== undefined && mapping.expires <= now) {
      this.#byHit.delete(key);
      return undefined;
    }
    return mapping;
  }

  #learnMet(key: string, mapping: PeerMapping): void {
    const name = mapping.name || this.nameOf(mapping.hit);
    this.#met.delete(key);
    this.#met.set(key, { ...mapping, name });
    if (this.#met.size <= MAX_MAPPINGS) return;
    for (const oldest of this.#met.keys()) {
      this.#met.delete(oldest);
      break;
    }
  }

  #currentMet(now: Instant, key: string): PeerMapping | undefined {
    const mapping = this.#met.get(key);
    return mapping?.expires !== undefined && mapping.expires <= now ? undefined : mapping;
  }

  #makeRoom(): void {
    let victim: string | undefined;
    let soonest = Infinity;
    for (const [key, mapping] of this.#byHit) {
      const expires = mapping.expires ?? Infinity;
      if (victim === undefined || expires < soonest) {
        victim = key;
        soonest = expires;
      }
    }
    if (victim !== undefined) this.#byHit.delete(victim);
  }
}

/** Both lists without repetitions, the first one's order first. */
function union(first: readonly Uint8Array[], second: readonly Uint8Array[]): Uint8Array[] {
  const seen = new Set<string>();
  const all: Uint8Array[] = [];
  for (const address of [...first, ...second]) {
    const key = addressKey(address);
    if (seen.has(key) || all.length >= MAX_LOCATORS) continue;
    seen.add(key);
    all.push(address);
  }
  return all;
}
