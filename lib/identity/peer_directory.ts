/**
 * What is known of peers before they are met: which HIT has which key and which addresses, and
 * who said so. DNS answers and the hosts file fill it; the engine asks it when a packet for a HIT
 * has nowhere to go (RFC 8005 §4, RFC 7401 §6.1).
 *
 * Static entries rank above DNS that was validated, and that above other DNS; a lower rank never
 * changes what a higher one says. Of one rank several names may lead to a HIT, each for as long as
 * its records live. Where a peer was when it was met last counts only while nobody else knows: a
 * connection may outlive its association and the answer that led to it. The tables are bounded: what
 * was not asked for longest makes room, unless there is an association with it.
 */

import { toHex } from "../base/bytes.ts";
import { after, type Instant, seconds } from "../base/time.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { addressKey } from "../wire/ip_address.ts";

/** Most HITs kept that somebody named. */
export const MAX_MAPPINGS = 10_000;

/** Most addresses kept for one HIT, and most names. */
export const MAX_LOCATORS = 16;
const MAX_NAMES = 8;

/** HITs in use that are passed over at a time to make room. */
const MAX_PASSED_OVER = 64;

/** How long a name that is looked up anew is waited for, and how often it is at most. */
const RENEWAL_WAIT = seconds(4);
const RENEWAL_INTERVAL = seconds(5);

/** `met`: an exchange with the peer was completed there. */
export type MappingSource = "static" | "dns-secure" | "dns" | "met";

/** The lower, the more it counts. */
const RANKS: Record<MappingSource, number> = { static: 0, "dns-secure": 1, dns: 2, met: 3 };

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
  /**
   * Looks a name up again whose mapping has expired; what comes of it is learned. Returns whether
   * anything may come of it.
   */
  renew: (name: string) => boolean = () => false;
  /** Whether there is an association with a HIT: its mappings do not make room for others. */
  isInUse: (hit: Uint8Array) => boolean = () => false;
  /** What others say; expired ones are kept for their names. Least recently used first. */
  readonly #byHit = new Map<string, readonly PeerMapping[]>();
  /** HITs that DNS has given to a name. */
  readonly #byName = new Map<string, Set<string>>();
  /** Oldest first. */
  readonly #met = new Map<string, PeerMapping>();
  /** When a name was looked up again last, oldest first. */
  readonly #renewals = new Map<string, Instant>();

  get size(): number {
    return this.#byHit.size;
  }

  /** Takes in what a source says. */
  learn(now: Instant, mapping: PeerMapping): void {
    const key = toHex(mapping.hit);
    if (mapping.source === "met") {
      this.#learnMet(key, mapping);
      return;
    }
    const isStatic = mapping.source === "static";
    const others = (this.#byHit.get(key) ?? []).filter((known) =>
      (known.source === "static") !== isStatic || nameKey(known.name) !== nameKey(mapping.name)
    );
    this.#renewals.delete(key);
    if (!this.#byHit.has(key) && this.#byHit.size >= MAX_MAPPINGS) this.#makeRoom();
    const live = others.filter((known) => isLive(now, known));
    this.#put(key, [mapping, ...live].slice(0, MAX_NAMES));
    for (const gone of others) if (!live.includes(gone)) this.#unname(gone, key);
    if (!isStatic) this.#nameOf(mapping.name).add(key);
  }

  /** What counts of a HIT now, all names of the highest rank together; or undefined. */
  lookup(now: Instant, hit: Uint8Array): PeerMapping | undefined {
    const key = toHex(hit);
    return this.#current(now, key) ?? this.#currentMet(now, key);
  }

  /**
   * The same for an exchange: a name that led to the HIT, and whose records have expired, is looked
   * up anew (RFC 8005 §4.2).
   */
  require(now: Instant, hit: Uint8Array): PeerMapping | undefined {
    const key = toHex(hit);
    const current = this.#current(now, key);
    if (current !== undefined) return current;
    const name = this.#byHit.get(key)?.find(({ source }) => source !== "static")?.name;
    if (name !== undefined && this.#mayRenew(now, key)) {
      this.#renewals.set(key, now);
      if (!this.renew(name)) this.#renewals.delete(key);
    }
    // A renewal may be done by now.
    return this.lookup(now, hit);
  }

  /** Whether a name is being looked up that may tell where a HIT is. */
  isAwaited(now: Instant, hit: Uint8Array): boolean {
    const asked = this.#renewals.get(toHex(hit));
    return asked !== undefined && now < after(asked, RENEWAL_WAIT);
  }

  /** The name a HIT was learned under, even when the mapping has expired; "" when there is none. */
  nameOf(hit: Uint8Array): string {
    const key = toHex(hit);
    return this.#byHit.get(key)?.[0]?.name ?? this.#met.get(key)?.name ?? "";
  }

  /** A name without more, from an earlier run: it may lead to the HIT again. */
  remember(hit: Uint8Array, name: string): void {
    const key = toHex(hit);
    if (name === "" || this.#byHit.has(key) || this.#byHit.size >= MAX_MAPPINGS) return;
    const expires = -Infinity as Instant;
    const none = { identity: undefined, locators: [], rendezvous: [] };
    this.#put(key, [{ ...none, hit: hit.slice(), name, source: "dns", expires }]);
    this.#nameOf(name).add(key);
  }

  /** DNS, asked anew, gives a name these HITs: mappings of it to others do not hold any more. */
  confirm(name: string, hits: readonly Uint8Array[]): void {
    const kept = new Set(hits.map(toHex));
    for (const key of [...this.#byName.get(nameKey(name)) ?? []]) {
      if (kept.has(key)) continue;
      this.#remove(
        key,
        (known) => known.source !== "static" && nameKey(known.name) === nameKey(name),
      );
      this.#renewals.delete(key);
    }
  }

  /** Withdraws every mapping of `source`, for a hosts file that is read anew. */
  forgetSource(source: MappingSource): void {
    for (const key of [...this.#byHit.keys()]) {
      this.#remove(key, (known) => known.source === source);
    }
  }

  #current(now: Instant, key: string): PeerMapping | undefined {
    const mappings = this.#byHit.get(key);
    if (mappings === undefined) return undefined;
    this.#byHit.delete(key);
    this.#byHit.set(key, mappings);
    let best: PeerMapping | undefined;
    for (const mapping of mappings) {
      if (!isLive(now, mapping)) continue;
      const rank = RANKS[mapping.source];
      if (best === undefined || rank < RANKS[best.source]) best = mapping;
      else if (rank === RANKS[best.source]) best = joined(best, mapping);
    }
    return best;
  }

  #put(key: string, mappings: readonly PeerMapping[]): void {
    this.#byHit.delete(key);
    this.#byHit.set(key, mappings);
  }

  #remove(key: string, isGone: (known: PeerMapping) => boolean): void {
    const mappings = this.#byHit.get(key);
    if (mappings === undefined) return;
    const left = mappings.filter((known) => !isGone(known));
    for (const known of mappings) if (!left.includes(known)) this.#unname(known, key);
    if (left.length === 0) this.#byHit.delete(key);
    else if (left.length < mappings.length) this.#byHit.set(key, left);
  }

  #nameOf(name: string): Set<string> {
    const key = nameKey(name);
    const hits = this.#byName.get(key) ?? new Set();
    this.#byName.set(key, hits);
    return hits;
  }

  #unname({ name, source }: PeerMapping, key: string): void {
    if (source === "static") return;
    const hits = this.#byName.get(nameKey(name));
    hits?.delete(key);
    if (hits?.size === 0) this.#byName.delete(nameKey(name));
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
    return mapping !== undefined && isLive(now, mapping) ? mapping : undefined;
  }

  /** Whether the name of a HIT was not looked up again a short time ago. */
  #mayRenew(now: Instant, key: string): boolean {
    const asked = this.#renewals.get(key);
    if (asked !== undefined && now < after(asked, RENEWAL_INTERVAL)) return false;
    this.#renewals.delete(key);
    for (const [oldest, at] of this.#renewals) {
      if (now < after(at, RENEWAL_INTERVAL)) break;
      this.#renewals.delete(oldest);
    }
    return true;
  }

  #makeRoom(): void {
    let passedOver = 0;
    for (const [key, mappings] of this.#byHit) {
      const isNeeded = mappings.some(({ source }) => source === "static") ||
        this.isInUse(mappings[0]!.hit);
      if (isNeeded && ++passedOver <= MAX_PASSED_OVER) {
        this.#put(key, mappings);
        continue;
      }
      this.#remove(key, () => true);
      return;
    }
  }
}

function isLive(now: Instant, { expires }: PeerMapping): boolean {
  return expires === undefined || expires > now;
}

/** Names are compared without regard to case. */
function nameKey(name: string): string {
  return name.toLowerCase();
}

/** What two names say of one HIT; the first one's order first. */
function joined(first: PeerMapping, second: PeerMapping): PeerMapping {
  return {
    ...first,
    identity: first.identity ?? second.identity,
    locators: union(first.locators, second.locators),
    rendezvous: union(first.rendezvous, second.rendezvous),
  };
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
