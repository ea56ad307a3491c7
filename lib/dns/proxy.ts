/**
 * The DNS proxy without its sockets: client queries and upstream replies go in, answers and
 * upstream queries come out.
 *
 * After any `handle...` or `resolve`, call `pollAnswer`, `pollRequest`, `pollFinished` and
 * `pollResolved` until each has nothing, then ask for `nextTimeout`. Calls of `handleTimeout` that
 * come early do nothing.
 *
 * AAAA questions are rewritten so that HITs come first (RFC 8005 §3, RFC 5338 §3.2); PTR questions
 * about HITs are answered here; every other question goes upstream and its answer comes back octet
 * for octet, under the client's identifier. Clients that validate (DO or CD set) get what upstream
 * says (RFC 6147 §5.5).
 */

import { toHex } from "../base/bytes.ts";
import { MalformedPacketError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import { after, earliest, type Instant, milliseconds } from "../base/time.ts";
import { formatHit } from "../identity/hit.ts";
import type { PeerMapping } from "../identity/peer_directory.ts";
import { CLASS_IN, FLAG, RCODE, TYPE } from "../wire/dns/code_points.ts";
import {
  HEADER_OCTETS,
  messageFlags,
  parseQuestion,
  truncateMessage,
  withId,
} from "../wire/dns/message.ts";
import { emitQuestion, MessageBuilder } from "../wire/dns/message_builder.ts";
import { formatHostName, formatName, nameKey, parseName, sameName } from "../wire/dns/name.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import type { PeerAnswer } from "./address_answer.ts";
import { AddressQuery, type AddressQueryContext, type AddressResult } from "./address_query.ts";
import { type ClientQuery, type DnsClient, localReply, readClientQuery } from "./client_query.ts";
import {
  HIP_HOLD,
  LOCAL_TTL_SECONDS,
  MAX_QUERIES,
  MAX_REMEMBERED,
  MAX_REVERSE_NAMES,
  MINIMUM_MAPPING_LIFE,
  SUITE_PREFERENCE,
  UNREACHABLE_MEMORY,
  WARNING_INTERVAL,
} from "./constants.ts";
import { DnsCounters } from "./counters.ts";
import { answerReverse, isHitReverseName, parseReverseName, ReverseNames } from "./reverse.ts";
import { answerSpecialName } from "./special_names.ts";
import { StaticNames } from "./static_names.ts";
import {
  type LookupOutcome,
  UpstreamLookups,
  type UpstreamRequest,
  type UpstreamServer,
} from "./upstream.ts";

export interface DnsProxyOptions {
  /**
   * Takes a mapping into the engine before it returns; the HIT is in an answer only afterwards.
   * Returning false, or throwing, keeps it out.
   */
  readonly learn: (now: Instant, mapping: PeerMapping) => void | boolean;
  /** Our own HITs with the names they have, for reverse lookups. */
  readonly ownHits: readonly { readonly hit: Uint8Array; readonly name: string }[];
  readonly random: Random;
  readonly logger: Logger;
  /** HIT suites from most to least liked; orders several HITs of one name. */
  readonly suitePreference?: readonly number[];
}

/** A reply to a client. */
export interface DnsAnswer {
  readonly client: DnsClient;
  readonly bytes: Uint8Array;
}

/** All that is known of a name, for `hip lookup` and for commands that take a name. */
export interface ResolvedName {
  readonly id: number;
  readonly name: string;
  readonly canonicalName: string;
  /** HITs with their keys and locators; `isReleased` says whether an application gets them. */
  readonly peers: readonly PeerAnswer[];
  /** Native addresses, AAAA before A, 16 octets each. */
  readonly addresses: readonly Uint8Array[];
  /** RCODE an application would see. */
  readonly rcode: number;
}

export class DnsProxy {
  readonly counters = new DnsCounters();
  readonly #learn: DnsProxyOptions["learn"];
  readonly #ownHits: readonly { hit: string; name: Uint8Array }[];
  readonly #logger: Logger;
  readonly #suitePreference: readonly number[];
  readonly #lookups: UpstreamLookups;
  readonly #reverse = new ReverseNames();
  readonly #queries = new Set<AddressQuery>();
  /** Short waits for names that are known here whatever upstream says. */
  readonly #holds = new Set<{ until: Instant; expire: () => void }>();
  readonly #unreachable = new Map<string, Instant>();
  readonly #warned = new Map<string, Instant>();
  readonly #answers: DnsAnswer[] = [];
  readonly #resolved: ResolvedName[] = [];
  #staticNames = StaticNames.NONE;
  #offersHits = true;
  #inProgress = 0;
  #lastResolveId = 0;

  constructor(options: DnsProxyOptions) {
    this.#learn = options.learn;
    this.#ownHits = options.ownHits.filter(({ name }) => name !== "")
      .map(({ hit, name }) => ({ hit: toHex(hit), name: parseName(name) }));
    this.#logger = options.logger;
    this.#suitePreference = options.suitePreference ?? SUITE_PREFERENCE;
    this.#lookups = new UpstreamLookups(options.random, this.counters);
  }

  /** Client queries without an answer yet. */
  get queriesInProgress(): number {
    return this.#inProgress;
  }

  get upstreams(): readonly UpstreamServer[] {
    return this.#lookups.servers;
  }

  /** Replaces the upstream servers. They must not lead back to the proxy itself. */
  setUpstreams(servers: readonly UpstreamServer[]): void {
    this.#lookups.setServers(servers);
  }

  /** Replaces the static names; the engine is told of them by whoever read the file. */
  setStaticNames(names: StaticNames): void {
    this.#staticNames = names;
  }

  /** Whether HITs are given out: no longer when the HIP interface is down. */
  setOffersHits(offersHits: boolean): void {
    this.#offersHits = offersHits;
  }

  /** The engine could not reach `hit`: answers leave it out for `UNREACHABLE_MEMORY`. */
  noteUnreachable(now: Instant, hit: Uint8Array): void {
    remember(this.#unreachable, toHex(hit), after(now, UNREACHABLE_MEMORY));
  }

  /** The engine reached `hit` after all. */
  noteReachable(hit: Uint8Array): void {
    this.#unreachable.delete(toHex(hit));
  }

  /** A message from a client, without the length prefix of TCP. */
  handleQuery(now: Instant, client: DnsClient, bytes: Uint8Array): void {
    const read = readClientQuery(client, bytes);
    if (read.kind !== "query") {
      this.counters.count("queries-malformed");
      if (read.kind === "reply") this.#answers.push({ client, bytes: read.bytes });
      return;
    }
    const { query } = read;
    this.#countType(query.question.type);
    if (this.#inProgress >= MAX_QUERIES) {
      this.counters.count("queries-overflow");
      this.#answers.push({ client, bytes: localReply(query, RCODE.SERVFAIL) });
      return;
    }
    const local = answerSpecialName(query) ?? this.#answerReverse(now, query);
    if (local !== undefined) {
      this.#answers.push({ client, bytes: local });
      return;
    }
    this.#inProgress++;
    const { type, class: qclass } = query.question;
    if (type === TYPE.AAAA && qclass === CLASS_IN && !query.isValidating) {
      this.#ask(now, query, (_at, result) => {
        this.#logAnswer(query, result);
        this.#answer(query, result.bytes);
      });
    } else this.#forward(now, query);
  }

  /** A message on the socket of an upstream request. */
  handleUpstream(now: Instant, requestId: number, bytes: Uint8Array): void {
    this.#lookups.handleReply(now, requestId, bytes);
  }

  /** The socket of an upstream request failed. */
  handleUpstreamFailure(now: Instant, requestId: number): void {
    this.#lookups.handleFailure(now, requestId);
  }

  /**
   * Finds out all about a name, as an AAAA query would, mapping handed over included. The result
   * comes out of `pollResolved`.
   *
   * @returns The identifier of the result.
   * @throws {SyntaxError} When it is not a domain name.
   */
  resolve(now: Instant, name: string): number {
    const question = emitQuestion(parseName(name), TYPE.AAAA, CLASS_IN);
    const bytes = new MessageBuilder({ id: 0, flags: FLAG.RD, question }).finish();
    const client: DnsClient = { id: undefined, transport: "tcp", isLoopback: true };
    const read = readClientQuery(client, bytes);
    if (read.kind !== "query") throw new Error("our own query is malformed");
    const id = ++this.#lastResolveId;
    this.#inProgress++;
    this.#ask(now, read.query, (_at, result) => {
      this.#inProgress--;
      this.#resolved.push({
        id,
        name,
        canonicalName: formatHostName(result.canonicalName),
        peers: result.peers,
        addresses: result.addresses,
        rcode: messageFlags(result.bytes) & FLAG.RCODE_MASK,
      });
    });
    return id;
  }

  handleTimeout(now: Instant): void {
    this.#lookups.handleTimeout(now);
    for (const query of [...this.#queries]) query.handleTimeout(now);
    for (const hold of [...this.#holds]) if (hold.until <= now) hold.expire();
  }

  nextTimeout(): Instant | undefined {
    let next = this.#lookups.nextTimeout();
    for (const query of this.#queries) next = earliest(next, query.nextTimeout());
    for (const hold of this.#holds) next = earliest(next, hold.until);
    return next;
  }

  /** The next reply for a client. */
  pollAnswer(): DnsAnswer | undefined {
    return this.#answers.shift();
  }

  /** The next query for an upstream server: open a socket of its own for it and send it. */
  pollRequest(): UpstreamRequest | undefined {
    return this.#lookups.pollRequest();
  }

  /** The next request whose socket can be closed. */
  pollFinished(): number | undefined {
    return this.#lookups.pollFinished();
  }

  /** The next result of `resolve`. */
  pollResolved(): ResolvedName | undefined {
    return this.#resolved.shift();
  }

  #ask(
    now: Instant,
    query: ClientQuery,
    done: (now: Instant, result: AddressResult) => void,
  ): void {
    const context: AddressQueryContext = {
      lookups: this.#lookups,
      staticNames: this.#staticNames,
      counters: this.counters,
      suitePreference: this.#suitePreference,
      offersHits: this.#offersHits,
      isUnreachable: (at, hit) => (this.#unreachable.get(toHex(hit)) ?? -Infinity) > at,
      push: (at, peer, name) => this.#push(at, peer, name, query.question.name),
      warnMismatch: (at, name, recordHit, hit) => this.#warnMismatch(at, name, recordHit, hit),
    };
    const task = new AddressQuery(now, context, query, (at, result) => {
      this.#queries.delete(task);
      done(at, result);
    });
    this.#queries.add(task);
    task.start(now);
    if (task.isFinished) this.#queries.delete(task);
  }

  /** Passes a query on and its answer back. */
  #forward(now: Instant, query: ClientQuery): void {
    const { name, type, class: qclass } = query.question;
    const isStatic = this.#staticNames.peersOf(name).length > 0;
    let isAnswered = false;
    const finish = (bytes: Uint8Array) => {
      if (isAnswered) return;
      isAnswered = true;
      if (hold !== undefined) this.#holds.delete(hold);
      this.#answer(query, bytes);
    };
    // A static name exists: an NXDOMAIN here would make some resolvers forget its HIT.
    const hold = isStatic
      ? {
        until: after(now, HIP_HOLD),
        expire: () => finish(localReply(query, RCODE.NOERROR)),
      }
      : undefined;
    if (hold !== undefined) this.#holds.add(hold);
    const question = {
      name,
      type,
      class: qclass,
      clientOctets: query.bytes,
      followsTruncation: query.client.transport === "tcp",
    };
    this.#lookups.start(now, question, (_at, outcome) => {
      finish(forwardedReply(query, outcome, isStatic));
    });
  }

  /** Releases an answer: the client's identifier and spelling, at most its size. */
  #answer(query: ClientQuery, bytes: Uint8Array): void {
    this.#inProgress--;
    let reply = withId(bytes, query.message.id);
    restoreSpelling(reply, query);
    if (reply.length > query.limit) {
      this.counters.count("answers-truncated");
      reply = cut(reply, query);
    } else if ((messageFlags(reply) & FLAG.TC) !== 0) this.counters.count("answers-truncated");
    this.#answers.push({ client: query.client, bytes: reply });
  }

  #answerReverse(now: Instant, query: ClientQuery): Uint8Array | undefined {
    const { name, type, class: qclass } = query.question;
    if (type !== TYPE.PTR || qclass !== CLASS_IN || !isHitReverseName(name)) return undefined;
    const hit = parseReverseName(name);
    if (hit === undefined) return answerReverse(query, []);
    const wanted = toHex(hit);
    const found = [
      ...this.#ownHits.filter((own) => own.hit === wanted).map((own) => own.name),
      ...this.#staticNames.namesOf(hit),
    ].map((known) => ({ name: known, ttlSeconds: LOCAL_TTL_SECONDS }));
    for (const learned of this.#reverse.lookup(now, hit)) {
      if (!found.some((known) => sameName(known.name, learned.name))) found.push(learned);
    }
    return answerReverse(query, found.slice(0, MAX_REVERSE_NAMES));
  }

  #push(now: Instant, peer: PeerAnswer, name: Uint8Array, queryName: Uint8Array): boolean {
    const life = milliseconds(Math.max(peer.ttlSeconds * 1000, MINIMUM_MAPPING_LIFE));
    const expires = peer.isFixed ? undefined : after(now, life);
    const mapping: PeerMapping = {
      hit: peer.hit,
      identity: peer.identity,
      locators: peer.locators,
      rendezvous: peer.rendezvous,
      name: formatHostName(peer.source === "static" ? queryName : name),
      source: peer.source,
      expires,
    };
    let isTaken = false;
    try {
      isTaken = this.#learn(now, mapping) !== false;
    } catch (error) {
      this.#logger.log("error", `The engine refused a mapping: ${(error as Error).message}.`);
    }
    this.counters.count(isTaken ? "mappings-pushed" : "mappings-refused");
    if (!isTaken) return false;
    this.counters.count("hits-added");
    if (peer.source === "dns") this.#reverse.learn(peer.hit, name, expires);
    return true;
  }

  #warnMismatch(now: Instant, name: Uint8Array, recordHit: Uint8Array, hit: Uint8Array): void {
    const key = nameKey(name);
    if ((this.#warned.get(key) ?? -Infinity) > now) return;
    remember(this.#warned, key, after(now, WARNING_INTERVAL));
    const found = recordHit.length === 16 ? formatIpAddress(recordHit) : toHex(recordHit);
    this.#logger.log(
      "warning",
      `A HIP record holds HIT ${found}, but its key has HIT ${formatHit(hit)}; the key counts.`,
    );
  }

  #logAnswer(query: ClientQuery, result: AddressResult): void {
    const released = result.peers.filter((peer) => peer.isReleased);
    if (released.length === 0) return;
    this.counters.count("answers-modified");
    const hits = released.map((peer) =>
      `${formatHit(peer.hit)} at [${peer.locators.map(formatIpAddress).join(", ")}]`
    );
    this.#logger.log(
      "debug",
      `${formatName(query.question.name)} has ${hits.join(", ")}; native addresses ` +
        `[${result.addresses.map(formatIpAddress).join(", ")}].`,
    );
  }

  #countType(type: number): void {
    if (type === TYPE.A) this.counters.count("queries-a");
    else if (type === TYPE.AAAA) this.counters.count("queries-aaaa");
    else if (type === TYPE.PTR) this.counters.count("queries-ptr");
    else this.counters.count("queries-other");
  }
}

/** Upstream's octets where there are any; for static names never "no such name". */
function forwardedReply(query: ClientQuery, outcome: LookupOutcome, isStatic: boolean): Uint8Array {
  const rcode = outcome.kind === "answer"
    ? messageFlags(outcome.bytes) & FLAG.RCODE_MASK
    : RCODE.SERVFAIL;
  if (isStatic && rcode !== RCODE.NOERROR) return localReply(query, RCODE.NOERROR);
  return outcome.kind === "answer" ? outcome.bytes : localReply(query, RCODE.SERVFAIL);
}

/** Gives the question back in the letter case in which the client sent it (0x20). */
function restoreSpelling(reply: Uint8Array, query: ClientQuery): void {
  const questionCount = (reply[4]! << 8) | reply[5]!;
  if (questionCount !== 1) return;
  if (sameName(parseQuestion(reply).name, query.question.name)) {
    const end = HEADER_OCTETS + query.questionOctets.length;
    if (parseQuestion(reply).end === end) reply.set(query.questionOctets, HEADER_OCTETS);
  }
}

function cut(reply: Uint8Array, query: ClientQuery): Uint8Array {
  try {
    return truncateMessage(reply, query.limit);
  } catch (error) {
    if (!(error instanceof MalformedPacketError)) throw error;
    return localReply(query, RCODE.SERVFAIL);
  }
}

/** Puts an entry into a bounded map; the oldest goes. */
function remember(map: Map<string, Instant>, key: string, until: Instant): void {
  map.delete(key);
  map.set(key, until);
  if (map.size <= MAX_REMEMBERED) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}
