/**
 * What upstream said, kept as it came for as long as its TTLs allow (RFC 1035 §3.2.1, RFC 2308 §5).
 * Never a changed answer: HITs are put in anew each time, and the engine hears of them each time.
 *
 * An entry belongs to one query, octet for octet but for its identifier and letter case, so that DO,
 * CD and EDNS never mix. Bounded in entries and octets; what was not asked for longest goes first.
 */

import { MalformedPacketError } from "../base/errors.ts";
import { after, earliest, type Instant, milliseconds } from "../base/time.ts";
import { FLAG, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { type DnsMessage, messageFlags, parseMessage, rdataOf } from "../wire/dns/message.ts";
import {
  BARE_NEGATIVE_TTL_SECONDS,
  CACHE_OCTETS,
  FAILURE_TTL_SECONDS,
  MAX_CACHED_ANSWERS,
  MAX_NEGATIVE_TTL_SECONDS,
  MAX_TTL_SECONDS,
} from "./constants.ts";

/** Octets that an entry takes beside its message and its key. */
const OVERHEAD = 400;

export interface CachedAnswer {
  /** A copy of the message, its TTLs counted down. */
  readonly bytes: Uint8Array;
  readonly isTrusted: boolean;
  readonly expires: Instant;
}

interface Entry {
  readonly bytes: Uint8Array;
  readonly isTrusted: boolean;
  readonly storedAt: Instant;
  readonly expires: Instant;
  /** Where its TTLs stand. */
  readonly ttls: readonly number[];
  readonly cost: number;
}

export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  readonly #maxEntries: number;
  readonly #maxOctets: number;
  #octets = 0;

  constructor(maxEntries = MAX_CACHED_ANSWERS, maxOctets = CACHE_OCTETS) {
    this.#maxEntries = maxEntries;
    this.#maxOctets = maxOctets;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What the entries take, about. */
  get octets(): number {
    return this.#octets;
  }

  get(now: Instant, key: string): CachedAnswer | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.expires <= now) {
      this.#octets -= entry.cost;
      return undefined;
    }
    this.#entries.set(key, entry);
    return { bytes: aged(entry, now), isTrusted: entry.isTrusted, expires: entry.expires };
  }

  /**
   * Keeps an answer if it may be kept.
   *
   * @param until No longer than this.
   */
  put(now: Instant, key: string, bytes: Uint8Array, isTrusted: boolean, until?: Instant): void {
    let message: DnsMessage;
    try {
      message = parseMessage(bytes);
    } catch (error) {
      if (error instanceof MalformedPacketError) return;
      throw error;
    }
    const life = lifetimeOf(message);
    if (life <= 0) return;
    const ttls = message.records.filter(({ type }) => type !== TYPE.OPT)
      .map(({ rdataStart }) => rdataStart - 6);
    const cost = bytes.length + 2 * key.length + 8 * ttls.length + OVERHEAD;
    const old = this.#entries.get(key);
    if (old !== undefined) this.#octets -= old.cost;
    this.#entries.delete(key);
    this.#entries.set(key, {
      bytes,
      isTrusted,
      storedAt: now,
      expires: earliest(after(now, milliseconds(life * 1000)), until)!,
      ttls,
      cost,
    });
    this.#octets += cost;
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= this.#maxEntries && this.#octets <= this.#maxOctets) break;
      this.#entries.delete(oldest);
      this.#octets -= entry.cost;
    }
  }

  flush(): void {
    this.#entries.clear();
    this.#octets = 0;
  }
}

function aged({ bytes, storedAt, ttls }: Entry, now: Instant): Uint8Array {
  const copy = bytes.slice();
  const age = Math.floor((now - storedAt) / 1000);
  if (age <= 0) return copy;
  const view = new DataView(copy.buffer);
  for (const at of ttls) view.setUint32(at, Math.max(0, view.getUint32(at) - age));
  return copy;
}

/** Seconds for which an answer may be used; 0 for one that may not be kept. */
function lifetimeOf(message: DnsMessage): number {
  const flags = messageFlags(message.bytes);
  const rcode = flags & FLAG.RCODE_MASK;
  if ((flags & FLAG.TC) !== 0 || message.question === undefined) return 0;
  // RFC 2308 §7.1: failures only to spare a server that is down.
  if (rcode === RCODE.SERVFAIL) return FAILURE_TTL_SECONDS;
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return 0;
  const lives = message.records.filter(({ type }) => type !== TYPE.OPT).map(({ ttl }) => ttl);
  const wanted = message.question.type;
  const isPositive = rcode === RCODE.NOERROR &&
    message.records.some(({ section, type }) => section === "answer" && type === wanted);
  if (!isPositive) {
    const soa = message.records.find(({ section, type }) =>
      section === "authority" && type === TYPE.SOA
    );
    if (soa === undefined) lives.push(BARE_NEGATIVE_TTL_SECONDS);
    else {
      const rdata = rdataOf(message, soa);
      if (rdata.length < 22) return 0;
      const minimum = new DataView(rdata.buffer, rdata.byteOffset).getUint32(rdata.length - 4);
      lives.push(minimum, MAX_NEGATIVE_TTL_SECONDS);
    }
  }
  return Math.min(MAX_TTL_SECONDS, ...lives);
}
