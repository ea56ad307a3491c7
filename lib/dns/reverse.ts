/**
 * Reverse lookups of HITs (RFC 3596 §2.5, RFC 5338 §5): names under `2.0.0.1.0.0.2.ip6.arpa` are
 * HITs, and who is behind one is nobody's business upstream, so they are answered here.
 */

import { toHex } from "../base/bytes.ts";
import type { Instant } from "../base/time.ts";
import { CLASS_IN, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { isUnder, nameKey, nameLabels, parseName, sameName } from "../wire/dns/name.ts";
import { type ClientQuery, localReply } from "./client_query.ts";
import type { StaticNames } from "./static_names.ts";
import { LOCAL_TTL_SECONDS, MAX_REVERSE_HITS, MAX_REVERSE_NAMES } from "./constants.ts";

const HIT_ZONE = parseName("2.0.0.1.0.0.2.ip6.arpa.");

/** SOA for names that do not exist: nobody's zone, minimum 60 s (RFC 2308 §3). */
const SOA_RDATA = Uint8Array.from([
  ...parseName("localhost."),
  ...parseName("nobody.invalid."),
  ...[1, 3600, 600, 86400, LOCAL_TTL_SECONDS].flatMap((n) => [n >> 24, n >> 16, n >> 8, n]),
]);

/** Whether the name stands for a HIT or for several. */
function isHitReverseName(name: Uint8Array): boolean {
  return isUnder(name, HIT_ZONE);
}

/** The address that a complete `ip6.arpa` name stands for; undefined for any other name. */
function parseReverseName(name: Uint8Array): Uint8Array | undefined {
  const labels = nameLabels(name);
  if (labels.length !== 34) return undefined;
  const nibbles: number[] = [];
  for (const label of labels.slice(0, 32)) {
    const digit = label.length === 1 ? parseInt(String.fromCharCode(label[0]!), 16) : NaN;
    if (Number.isNaN(digit)) return undefined;
    nibbles.unshift(digit);
  }
  return Uint8Array.from({ length: 16 }, (_, i) => (nibbles[2 * i]! << 4) | nibbles[2 * i + 1]!);
}

const IPV4_ZONE = parseName("in-addr.arpa.");

/** The IPv4 address, 4 octets, that a complete `in-addr.arpa` name stands for (RFC 1035 §3.5). */
function parseIpv4ReverseName(name: Uint8Array): Uint8Array | undefined {
  if (!isUnder(name, IPV4_ZONE)) return undefined;
  const labels = nameLabels(name).slice(0, -2).map((label) => String.fromCharCode(...label));
  if (labels.length !== 4 || !labels.every((label) => /^(0|[1-9][0-9]{0,2})$/.test(label))) {
    return undefined;
  }
  const octets = labels.map(Number).reverse();
  return octets.every((octet) => octet < 256) ? Uint8Array.from(octets) : undefined;
}

interface ReverseName {
  readonly name: Uint8Array;
  readonly expires: Instant | undefined;
}

/** The names under which HITs were learned; bounded, the HIT not named for longest goes first. */
class ReverseNames {
  readonly #byHit = new Map<string, ReverseName[]>();

  /** Notes that `hit` was learned under `name`, valid until `expires` (for ever if undefined). */
  learn(hit: Uint8Array, name: Uint8Array, expires: Instant | undefined): void {
    const key = toHex(hit);
    const wanted = nameKey(name);
    const others = (this.#byHit.get(key) ?? []).filter((known) => nameKey(known.name) !== wanted);
    this.#byHit.delete(key);
    this.#byHit.set(key, [{ name, expires }, ...others].slice(0, MAX_REVERSE_NAMES));
    if (this.#byHit.size <= MAX_REVERSE_HITS) return;
    for (const oldest of this.#byHit.keys()) {
      this.#byHit.delete(oldest);
      break;
    }
  }

  /** The names in force, most recent first, with the seconds each may still be used. */
  lookup(now: Instant, hit: Uint8Array): { name: Uint8Array; ttlSeconds: number }[] {
    const known = this.#byHit.get(toHex(hit)) ?? [];
    return known
      .filter(({ expires }) => expires === undefined || expires > now)
      .map(({ name, expires }) => ({
        name,
        ttlSeconds: expires === undefined
          ? LOCAL_TTL_SECONDS
          : Math.min(LOCAL_TTL_SECONDS, Math.floor((expires - now) / 1000)),
      }));
  }
}

/** The reverse answers that are given here: our own names, static ones, and those learned. */
export class ReverseAnswers {
  readonly #ownHits: readonly { hit: string; name: Uint8Array }[];
  readonly #hitOfLsi: (lsi: Uint8Array) => Uint8Array | undefined;
  readonly #learned = new ReverseNames();

  /** @param hitOfLsi The HIT, 16 octets, for which an IPv4 address, 4 octets, stands. */
  constructor(
    ownHits: readonly { readonly hit: Uint8Array; readonly name: string }[],
    hitOfLsi: (lsi: Uint8Array) => Uint8Array | undefined,
  ) {
    this.#ownHits = ownHits.filter(({ name }) => name !== "")
      .map(({ hit, name }) => ({ hit: toHex(hit), name: parseName(name) }));
    this.#hitOfLsi = hitOfLsi;
  }

  /** See `ReverseNames`. */
  learn(hit: Uint8Array, name: Uint8Array, expires: Instant | undefined): void {
    this.#learned.learn(hit, name, expires);
  }

  /** The answer, or undefined for a query that is not about a HIT or an LSI. */
  answer(now: Instant, query: ClientQuery, staticNames: StaticNames): Uint8Array | undefined {
    const { name, type, class: qclass } = query.question;
    if (type !== TYPE.PTR || qclass !== CLASS_IN) return undefined;
    const lsi = parseIpv4ReverseName(name);
    const ofLsi = lsi === undefined ? undefined : this.#hitOfLsi(lsi);
    if (ofLsi === undefined && !isHitReverseName(name)) return undefined;
    const hit = ofLsi ?? parseReverseName(name);
    if (hit === undefined) return answerReverse(query, []);
    const wanted = toHex(hit);
    const found = [
      ...this.#ownHits.filter((own) => own.hit === wanted).map((own) => own.name),
      ...staticNames.namesOf(hit),
    ].map((known) => ({ name: known, ttlSeconds: LOCAL_TTL_SECONDS }));
    for (const learned of this.#learned.lookup(now, hit)) {
      if (!found.some((known) => sameName(known.name, learned.name))) found.push(learned);
    }
    return answerReverse(query, found.slice(0, MAX_REVERSE_NAMES));
  }
}

/** The answer to a PTR query under the HIT zone; NXDOMAIN when nobody is known by that HIT. */
function answerReverse(
  query: ClientQuery,
  names: readonly { name: Uint8Array; ttlSeconds: number }[],
): Uint8Array {
  if (names.length === 0) {
    return localReply(query, RCODE.NXDOMAIN, (builder) => {
      const record = {
        name: HIT_ZONE,
        type: TYPE.SOA,
        class: CLASS_IN,
        ttlSeconds: LOCAL_TTL_SECONDS,
      };
      builder.add("authority", record, SOA_RDATA);
    });
  }
  // One RRset has one TTL (RFC 2181 §5.2).
  const ttlSeconds = Math.min(...names.map((entry) => entry.ttlSeconds));
  return localReply(query, RCODE.NOERROR, (builder) => {
    for (const { name } of names) {
      const record = { name: query.question.name, type: TYPE.PTR, class: CLASS_IN, ttlSeconds };
      builder.add("answer", record, name);
    }
  });
}
