/**
 * The DNS proxy without its sockets: client queries and upstream replies go in, answers and
 * upstream queries come out.
 *
 * After any `handle...` or `resolve`, call `pollAnswer`, `pollRequest`, `pollFinished` and
 * `pollResolved` until each has nothing, then ask for `nextTimeout`. Calls of `handleTimeout` that
 * come early do nothing.
 *
 * AAAA questions are rewritten so that HITs come first (RFC 8005 §3, RFC 5338 §3.2), A questions of
 * programs that know only IPv4 so that LSIs do; PTR questions about either are answered here; every
 * other question goes upstream and its answer comes back octet for octet, under the client's
 * identifier. Clients that validate (DO and CD set) get what upstream says (RFC 6147 §5.5).
 */

import { latin1, toHex } from "../base/bytes.ts";
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
import {
  formatHostName,
  formatName,
  isUnder,
  nameKey,
  parseName,
  sameName,
} from "../wire/dns/name.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import type { PeerAnswer } from "./address_answer.ts";
import { AnswerCache } from "./answer_cache.ts";
import { KnownKeys } from "./hip_records.ts";
import { AddressQuery, type AddressQueryContext, type AddressResult } from "./address_query.ts";
import { type ClientQuery, type DnsClient, localReply, readClientQuery } from "./client_query.ts";
import {
  HIP_HOLD,
  MAX_QUERIES,
  MAX_QUERIES_PER_CLIENT,
  MAX_READY_REPLIES,
  MAX_REMEMBERED,
  MAX_REPEATED_OCTETS,
  MINIMUM_MAPPING_LIFE,
  READY_OCTETS,
  SUITE_PREFERENCE,
  UNREACHABLE_MEMORY,
  WARNING_INTERVAL,
} from "./constants.ts";
import { DnsCounters } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import { isUsableLocator } from "./locator_rules.ts";
import { type NameMode, NameModes } from "./name_modes.ts";
import { ReverseAnswers } from "./reverse.ts";
import { mayHoldHints, removeHints } from "./service_hints.ts";
import { answerSpecialName, isMulticastDnsName } from "./special_names.ts";
import { StaticNames } from "./static_names.ts";
import { twinKey, TwinQueries } from "./twin_queries.ts";
import {
  type LookupOutcome,
  releasedOctets,
  UpstreamLookups,
  type UpstreamRequest,
  type UpstreamServer,
} from "./upstream.ts";

export interface DnsProxyOptions {
  /**
   * Takes a mapping into the engine and calls `done` once, inside or later; the HIT is in an answer
   * only afterwards. Saying false, throwing, or keeping silent for long keeps it out.
   */
  readonly learn: (
    now: Instant,
    mapping: PeerMapping,
    done: (now: Instant, isTaken: boolean) => void,
  ) => void;
  /** What DNS says of a name, fresh: mappings of it to other HITs do not hold any more. */
  readonly confirm?: (name: string, hits: readonly Uint8Array[]) => void;
  /** LSIs for programs that know only IPv4; without it A answers stay as they are. */
  readonly lsis?: DnsLsis;
  /** How names are answered. */
  readonly modes?: NameModes;
  /** Names, with all below them, whose HIP records count only when they were validated. */
  readonly requireDnssec?: readonly Uint8Array[];
  /** Whether hints in HTTPS and SVCB answers give way to HITs in mode `hit-first` too. */
  readonly removesHints?: boolean;
  /** Our own HITs with the names they have, for reverse lookups. */
  readonly ownHits: readonly { readonly hit: Uint8Array; readonly name: string }[];
  readonly random: Random;
  readonly logger: Logger;
  /** HIT suites from most to least liked; orders several HITs of one name. */
  readonly suitePreference?: readonly number[];
}

/** What the proxy needs of the LSIs. Addresses are 4 octets. */
export interface DnsLsis {
  /** Whether A answers hold LSIs: always, or for programs that do not ask for AAAA. */
  readonly mode: "on" | "v4only";
  /** The LSI of a HIT, routed when it is returned; undefined when none is free. */
  ofHit(now: Instant, hit: Uint8Array): Uint8Array | undefined;
  /** The HIT, 16 octets, of an LSI that is assigned. */
  hitOf(lsi: Uint8Array): Uint8Array | undefined;
  /** Whether an address, 16 octets, lies where LSIs are taken from. */
  isInPool(address: Uint8Array): boolean;
}

/** A reply to a client. */
export interface DnsAnswer {
  readonly client: DnsClient;
  /** Undefined: its connection is to be closed, it asks for too much. */
  readonly bytes: Uint8Array | undefined;
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
  readonly #logger: Logger;
  readonly #suitePreference: readonly number[];
  readonly #options: DnsProxyOptions;
  readonly #modes: NameModes;
  readonly #lookups: UpstreamLookups;
  readonly #keys = new KnownKeys();
  /** Replies that can be given again as they are, by the octets of their query. */
  readonly #ready = new AnswerCache(MAX_READY_REPLIES, READY_OCTETS);
  readonly #reverse: ReverseAnswers;
  readonly #queries = new Deadlines<AddressQuery>((query) => !query.isFinished);
  readonly #twins = new TwinQueries();
  /** A questions that wait for their twin, by what twins have in common. */
  readonly #lonely = new Map<string, AddressQuery>();
  /** Short waits for names that are known here whatever upstream says. */
  readonly #holds = new Deadlines<Hold>((hold) => !hold.isOver);
  readonly #unreachable = new Map<string, Instant>();
  readonly #warned = new Map<string, Instant>();
  readonly #answers: DnsAnswer[] = [];
  readonly #resolved: ResolvedName[] = [];
  #staticNames = StaticNames.NONE;
  #offersHits = true;
  #inProgress = 0;
  readonly #inProgressOf = new Map<string, number>();
  #lastResolveId = 0;

  constructor(options: DnsProxyOptions) {
    this.#learn = options.learn;
    this.#options = options;
    this.#modes = options.modes ?? new NameModes();
    this.#reverse = new ReverseAnswers(options.ownHits, (lsi) => options.lsis?.hitOf(lsi));
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
    this.#ready.flush();
  }

  /** Forgets what upstream said: the network is another one, or the user says so. */
  flushCache(): void {
    this.#lookups.flush();
    this.#ready.flush();
  }

  /** Replaces the static names; the engine is told of them by whoever read the file. */
  setStaticNames(names: StaticNames): void {
    this.#staticNames = names;
    this.#ready.flush();
  }

  /** Whether HITs are given out: no longer when the HIP interface is down. */
  setOffersHits(offersHits: boolean): void {
    this.#offersHits = offersHits;
    this.#ready.flush();
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
    if (this.#repeat(now, client, bytes)) return;
    const read = readClientQuery(client, bytes);
    if (read.kind !== "query") {
      this.counters.count("queries-malformed");
      if (read.kind === "reply") this.#answers.push({ client, bytes: read.bytes });
      return;
    }
    const { query } = read;
    this.#countType(query.question.type);
    const local = answerSpecialName(query) ?? this.#reverse.answer(now, query, this.#staticNames);
    if (local !== undefined) {
      this.#answers.push({ client, bytes: local });
      return;
    }
    const ofClient = this.#inProgressOf.get(client.source) ?? 0;
    if (this.#inProgress >= MAX_QUERIES || ofClient >= MAX_QUERIES_PER_CLIENT) {
      this.counters.count("queries-overflow");
      const bytes = client.transport === "tcp" ? undefined : localReply(query, RCODE.SERVFAIL);
      this.#answers.push({ client, bytes });
      return;
    }
    this.#inProgress++;
    this.#inProgressOf.set(client.source, ofClient + 1);
    const mode = this.#modeOf(query);
    if (mode === undefined) return this.#forward(now, query);
    this.#ask(now, query, mode, (_at, result) => {
      this.#logAnswer(query, result);
      this.#answer(query, result.bytes);
      this.#keepReady(now, query, result.bytes, result.repeatableUntil);
    });
    if (query.question.type !== TYPE.AAAA || this.#options.lsis === undefined) return;
    this.#twins.note(now, query);
    this.#lonely.get(twinKey(query))?.handleTimeout(now);
  }

  /** Gives the reply again that was given to the same octets. @returns Whether there is one. */
  #repeat(now: Instant, client: DnsClient, bytes: Uint8Array): boolean {
    if (bytes.length < HEADER_OCTETS || bytes.length > MAX_REPEATED_OCTETS) return false;
    const found = this.#ready.get(now, readyKey(client, bytes));
    if (found === undefined) return false;
    const reply = found.bytes;
    reply[0] = bytes[0]!;
    reply[1] = bytes[1]!;
    this.counters.count("cache-hits");
    this.#countType(parseQuestion(bytes).type);
    this.#answers.push({ client, bytes: reply });
    return true;
  }

  #keepReady(
    now: Instant,
    query: ClientQuery,
    bytes: Uint8Array,
    until: Instant | undefined,
  ): void {
    if (until === undefined || !query.isPlain || bytes.length > query.limit) return;
    const reply = bytes.slice();
    restoreSpelling(reply, query);
    this.#ready.put(now, readyKey(query.client, query.bytes), reply, true, until);
  }

  /** How a question for addresses is answered; undefined for one that is only passed on. */
  #modeOf({ question }: ClientQuery): NameMode | undefined {
    const { name, type, class: qclass } = question;
    if (qclass !== CLASS_IN || (type !== TYPE.AAAA && type !== TYPE.A)) return undefined;
    const mode = this.#modes.of(name);
    if (mode === "off" || isMulticastDnsName(name)) return undefined;
    const isRewritten = type === TYPE.AAAA || mode !== "hit-first" ||
      (this.#options.lsis !== undefined && this.#offersHits);
    return isRewritten ? mode : undefined;
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
    const client: DnsClient = {
      id: undefined,
      transport: "tcp",
      source: "",
      isLoopback: true,
    };
    const read = readClientQuery(client, bytes);
    if (read.kind !== "query") throw new Error("our own query is malformed");
    const id = ++this.#lastResolveId;
    const mode = this.#modeOf(read.query) ?? "off";
    this.#ask(now, read.query, mode, (_at, result) => {
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
    for (let due = this.#queries.popDue(now); due; due = this.#queries.popDue(now)) {
      due.handleTimeout(now);
    }
    for (let due = this.#holds.popDue(now); due; due = this.#holds.popDue(now)) due.expire();
  }

  nextTimeout(): Instant | undefined {
    const waits = earliest(this.#queries.next(), this.#holds.next());
    return earliest(this.#lookups.nextTimeout(), waits);
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
    mode: NameMode,
    done: (now: Instant, result: AddressResult) => void,
  ): void {
    const { lsis } = this.#options;
    const context: AddressQueryContext = {
      lookups: this.#lookups,
      staticNames: this.#staticNames,
      counters: this.counters,
      suitePreference: this.#suitePreference,
      keys: this.#keys,
      offersHits: this.#offersHits && mode !== "off",
      mode,
      requiresDnssec:
        this.#options.requireDnssec?.some((suffix) => isUnder(query.question.name, suffix)) ??
          false,
      lsi: lsis?.mode ?? "off",
      isUnreachable: (at, hit) => (this.#unreachable.get(toHex(hit)) ?? -Infinity) > at,
      isUsableLocator: (address) => isUsableLocator(address) && lsis?.isInPool(address) !== true,
      push: (at, peer, name, taken) => this.#push(at, peer, name, query.question.name, taken),
      confirm: (_at, name, hits) => this.#options.confirm?.(formatHostName(name), hits),
      lsiOf: (at, hit) => lsis?.ofHit(at, hit),
      hasTwin: (asked) => this.#twins.has(asked, now),
      warnMismatch: (at, name, recordHit, hit) => this.#warnMismatch(at, name, recordHit, hit),
      wake: (at, span) => this.#queries.set(at, span, task),
    };
    const isForLsis = query.question.type === TYPE.A && lsis?.mode === "v4only";
    const task: AddressQuery = new AddressQuery(now, context, query, (at, result) => {
      if (isForLsis && this.#lonely.get(twinKey(query)) === task) {
        this.#lonely.delete(twinKey(query));
      }
      done(at, result);
    });
    task.start(now);
    if (isForLsis && !task.isFinished) this.#lonely.set(twinKey(query), task);
  }

  /** Passes a query on and its answer back. */
  #forward(now: Instant, query: ClientQuery): void {
    const { name, type, class: qclass } = query.question;
    const isStatic = this.#staticNames.peersOf(name).length > 0;
    const finish = (bytes: Uint8Array) => {
      if (hold.isOver) return;
      hold.isOver = true;
      this.#answer(query, bytes);
    };
    const hold: Hold = {
      isOver: false,
      expire: () => finish(localReply(query, RCODE.NOERROR)),
    };
    // A static name exists: an NXDOMAIN here would make some resolvers forget its HIT.
    if (isStatic) this.#holds.set(now, HIP_HOLD, hold);
    const question = {
      name,
      type,
      class: qclass,
      clientOctets: query.bytes,
      isCacheable: query.isPlain,
      client: query.client.source,
      followsTruncation: query.client.transport === "tcp",
    };
    this.#lookups.start(now, question, (at, outcome) => {
      const reply = forwardedReply(query, outcome, isStatic);
      if (outcome.kind === "answer" && !isStatic && !mayHoldHints(type)) {
        this.#keepReady(at, query, reply, outcome.expires);
      }
      const mayChange = mayHoldHints(type) && qclass === CLASS_IN && !query.isValidating;
      if (!mayChange || !this.#offersHits || outcome.kind === "failed") return finish(reply);
      // Names whose HIP records do not come leave as they are, as addresses do.
      hold.expire = () => finish(reply);
      this.#holds.set(at, HIP_HOLD, hold);
      const context = {
        lookups: this.#lookups,
        keys: this.#keys,
        counters: this.counters,
        removesFor: (mode: NameMode) =>
          mode === "hit-first" ? this.#options.removesHints ?? true : mode !== "off",
        modeOf: (target: Uint8Array) => this.#modes.of(target),
      };
      removeHints(at, context, query, outcome.bytes, (_later, changed) => finish(changed ?? reply));
    });
  }

  /** Releases an answer: the client's identifier and spelling, at most its size. */
  #answer(query: ClientQuery, bytes: Uint8Array): void {
    this.#inProgress--;
    const { source } = query.client;
    const ofClient = this.#inProgressOf.get(source)! - 1;
    if (ofClient === 0) this.#inProgressOf.delete(source);
    else this.#inProgressOf.set(source, ofClient);
    let reply = withId(bytes, query.message.id);
    restoreSpelling(reply, query);
    if (reply.length > query.limit) {
      this.counters.count("answers-truncated");
      reply = cut(reply, query);
    } else if ((messageFlags(reply) & FLAG.TC) !== 0) this.counters.count("answers-truncated");
    this.#answers.push({ client: query.client, bytes: reply });
  }

  #push(
    now: Instant,
    peer: PeerAnswer,
    name: Uint8Array,
    queryName: Uint8Array,
    done: (now: Instant, isTaken: boolean) => void,
  ): void {
    const life = milliseconds(Math.max(peer.ttlSeconds * 1000, MINIMUM_MAPPING_LIFE));
    const expires = peer.isFixed ? undefined : after(now, life);
    const mapping: PeerMapping = {
      hit: peer.hit,
      identity: peer.identity,
      locators: peer.locators,
      rendezvous: peer.rendezvous,
      name: formatHostName(peer.source === "static" ? queryName : name),
      queryName: formatHostName(queryName),
      source: peer.source,
      expires,
    };
    const finish = (at: Instant, isTaken: boolean) => {
      this.counters.count(isTaken ? "mappings-pushed" : "mappings-refused");
      if (isTaken && peer.source !== "static") this.#reverse.learn(peer.hit, name, expires);
      done(at, isTaken);
    };
    try {
      this.#learn(now, mapping, finish);
    } catch (error) {
      this.#logger.log("error", `The engine refused a mapping: ${(error as Error).message}.`);
      finish(now, false);
    }
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
    if (released.length === 0 || !result.isModified) return;
    const hits = released.map((peer) =>
      `${formatHit(peer.hit)}${peer.lsi === undefined ? "" : ` (${peer.lsi.join(".")})`} at ` +
      `[${peer.locators.map(formatIpAddress).join(", ")}]`
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

/** What two queries have in common that get the same reply. */
function readyKey({ transport, isLoopback }: DnsClient, query: Uint8Array): string {
  return `${transport} ${isLoopback} ${latin1(query.subarray(2))}`;
}

/** A wait that ends with an answer, unless another one comes first. */
interface Hold {
  isOver: boolean;
  expire: () => void;
}

/** Upstream's octets where there are any; for static names never "no such name". */
function forwardedReply(query: ClientQuery, outcome: LookupOutcome, isStatic: boolean): Uint8Array {
  const rcode = outcome.kind === "answer"
    ? messageFlags(outcome.bytes) & FLAG.RCODE_MASK
    : RCODE.SERVFAIL;
  if (isStatic && rcode !== RCODE.NOERROR) return localReply(query, RCODE.NOERROR);
  return outcome.kind === "answer" ? releasedOctets(outcome) : localReply(query, RCODE.SERVFAIL);
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
