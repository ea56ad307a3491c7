/**
 * Questions to upstream servers: which server, over what, how often, until when; and the cache in
 * front of them. No socket: whoever polls sends the octets and hands back what comes. Equal
 * questions share one query, and clients take turns where sockets are scarce.
 *
 * A response counts only when it arrives on the socket of its request (the runtime gives each
 * request a fresh random port), with its random identifier and its question (RFC 5452 §9).
 */

import { latin1 } from "../base/bytes.ts";
import { MalformedPacketError } from "../base/errors.ts";
import { type Random, randomUint32 } from "../base/random.ts";
import { after, earliest, type Instant } from "../base/time.ts";
import { isLoopback, parseIpAddress } from "../wire/ip_address.ts";
import { FLAG, RCODE, TYPE } from "../wire/dns/code_points.ts";
import {
  HEADER_OCTETS,
  messageFlags,
  messageId,
  parseQuestion,
  withId,
} from "../wire/dns/message.ts";
import { emitQuestion, MessageBuilder } from "../wire/dns/message_builder.ts";
import { nameKey, sameName } from "../wire/dns/name.ts";
import { AnswerCache } from "./answer_cache.ts";
import {
  ATTEMPT_TIMEOUT,
  EDNS_UDP_SIZE,
  HIP_BLIND_AFTER,
  HIP_BLIND_MEMORY,
  LAME_MEMORY,
  LOOKUP_BUDGET,
  MAX_LOOKUPS,
  MAX_OPEN_REQUESTS,
  MAX_OPEN_REQUESTS_PER_CLIENT,
  NO_EDNS_MEMORY,
} from "./constants.ts";
import type { DnsCounters } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import { FairQueue } from "./fair_queue.ts";

/** Where queries go. */
export interface UpstreamServer {
  /** Text form; link-local IPv6 with its zone ("fe80::1%eth0"). */
  readonly address: string;
  readonly port: number;
  /** Whether the way to it is safe from others, as it is to an address of loopback in any case. */
  readonly isTrusted?: boolean;
}

/** A query to send. Its socket stays open until `pollFinished` names it. */
export interface UpstreamRequest {
  readonly requestId: number;
  readonly transport: "udp" | "tcp";
  readonly server: UpstreamServer;
  /** Without the length prefix of TCP. */
  readonly bytes: Uint8Array;
}

/** How a lookup ended. An answer may carry any RCODE. */
export type LookupOutcome =
  | {
    readonly kind: "answer";
    readonly bytes: Uint8Array;
    /** Whether nobody can have changed it on its way: its AD says something (RFC 6840 §5.8). */
    readonly isTrusted: boolean;
    /** Of an answer from the cache: when it goes from there. */
    readonly expires: Instant | undefined;
  }
  | { readonly kind: "failed"; readonly cause: "timeout" | "unreachable" | "no-server" };

/** What to ask. */
export interface Question {
  /** Uncompressed. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  /** A client's query to be passed on octet for octet; else we write one of our own. */
  readonly clientOctets?: Uint8Array;
  /** Of a client's query: whether another client's answer serves, and this one's others. */
  readonly isCacheable?: boolean;
  /** Whose turn is used up by it. */
  readonly client: string;
  /** CD of the query this one is made for (RFC 4035 §3.2.2). */
  readonly isCheckingDisabled?: boolean;
  /** Whether a truncated answer is asked for again over TCP; if not, it is the answer. */
  readonly followsTruncation: boolean;
}

type Done = (now: Instant, outcome: LookupOutcome) => void;

interface ServerState {
  readonly server: UpstreamServer;
  /** Whether the way to it leads over no network. */
  readonly isTrusted: boolean;
  lameUntil: number;
  noEdnsUntil: number;
  hipBlindUntil: number;
  /** HIP queries in a row that got no answer. */
  hipSilences: number;
}

interface Attempt {
  readonly requestId: number;
  readonly lookup: Lookup;
  readonly server: ServerState;
  readonly transport: "udp" | "tcp";
  readonly id: number;
  readonly hasEdns: boolean;
  readonly bytes: Uint8Array;
  /** Whether the lookup went on without waiting for this one any longer. */
  isOverdue: boolean;
  /** Whether a socket belongs to it. */
  isSent: boolean;
  isEnded: boolean;
}

interface Lookup {
  readonly question: Question;
  readonly done: Done[];
  readonly shareKey: string | undefined;
  /** Of the set of servers that it asks. */
  readonly generation: number;
  readonly attempts: Set<Attempt>;
  /** Servers in the order in which they are tried; the list is gone through again at its end. */
  readonly order: readonly ServerState[];
  tries: number;
  /** The last answer with an RCODE that made us go on. */
  badAnswer: LookupOutcome | undefined;
  isFinished: boolean;
}

/** All lookups in progress. After any call, poll until there is nothing more. */
export class UpstreamLookups {
  readonly #random: Random;
  readonly #counters: DnsCounters;
  #servers: ServerState[] = [];
  readonly #cache = new AnswerCache();
  #lookups = 0;
  #generation = 0;
  readonly #shared = new Map<string, Lookup>();
  readonly #attempts = new Map<number, Attempt>();
  readonly #patience = new Deadlines<Attempt>((attempt) => !attempt.isEnded && !attempt.isOverdue);
  readonly #budgets = new Deadlines<Lookup>((lookup) => !lookup.isFinished);
  readonly #unsent = new FairQueue<Attempt>();
  readonly #finished: number[] = [];
  #openRequests = 0;
  readonly #openByClient = new Map<string, number>();
  #lastRequestId = 0;

  constructor(random: Random, counters: DnsCounters) {
    this.#random = random;
    this.#counters = counters;
  }

  get servers(): readonly UpstreamServer[] {
    return this.#servers.map(({ server }) => server);
  }

  /** Replaces the servers; lookups in progress go on with those they began with. */
  setServers(servers: readonly UpstreamServer[]): void {
    this.flush();
    this.#servers = servers.map((server) => ({
      server,
      isTrusted: server.isTrusted === true ||
        isLoopback(parseIpAddress(server.address.replace(/%.*/, ""))),
      lameUntil: -Infinity,
      noEdnsUntil: -Infinity,
      hipBlindUntil: -Infinity,
      hipSilences: 0,
    }));
  }

  /** Forgets every answer, those to questions that are under way included (DNS-135). */
  flush(): void {
    this.#cache.flush();
    this.#shared.clear();
    this.#generation++;
  }

  /** Begins a lookup; `done` is called exactly once, possibly before this returns. */
  start(now: Instant, question: Question, done: Done): void {
    const shareKey = shareKeyOf(question);
    if (shareKey !== undefined) {
      const known = this.#cache.get(now, shareKey);
      if (known !== undefined) {
        this.#counters.count("cache-hits");
        done(now, { kind: "answer", ...known });
        return;
      }
      const shared = this.#shared.get(shareKey);
      if (shared !== undefined) {
        shared.done.push(done);
        return;
      }
    }
    const order = this.#serverOrder(now, question);
    if (order.length === 0 || this.#lookups >= MAX_LOOKUPS) {
      done(now, { kind: "failed", cause: "no-server" });
      return;
    }
    const lookup: Lookup = {
      question,
      done: [done],
      shareKey,
      generation: this.#generation,
      attempts: new Set(),
      order,
      tries: 0,
      badAnswer: undefined,
      isFinished: false,
    };
    this.#lookups++;
    if (shareKey !== undefined) this.#shared.set(shareKey, lookup);
    this.#budgets.set(now, LOOKUP_BUDGET, lookup);
    this.#tryNext(now, lookup);
  }

  /** A message arrived on the socket of `requestId`. Strangers are counted and passed over. */
  handleReply(now: Instant, requestId: number, bytes: Uint8Array): void {
    const attempt = this.#attempts.get(requestId);
    if (attempt === undefined) return;
    if (!answersQuestion(bytes, attempt)) {
      this.#counters.count("upstream-mismatches");
      return;
    }
    const { lookup, server } = attempt;
    const flags = messageFlags(bytes);
    const rcode = flags & FLAG.RCODE_MASK;
    if (
      lookup.question.type === TYPE.HIP && rcode !== RCODE.NOTIMP && rcode !== RCODE.FORMERR
    ) {
      server.hipSilences = 0;
    }
    if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) {
      this.#handleError(now, attempt, rcode, bytes);
    } else if (
      (flags & FLAG.TC) !== 0 && attempt.transport === "udp" && lookup.question.followsTruncation
    ) {
      this.#end(attempt);
      this.#attempt(now, lookup, server, "tcp", attempt.hasEdns);
    } else {
      this.#finish(now, lookup, answerOf(server, bytes));
    }
  }

  /** The socket of `requestId` failed: no route, connection refused, closed early. */
  handleFailure(now: Instant, requestId: number): void {
    const attempt = this.#attempts.get(requestId);
    if (attempt === undefined) return;
    this.#end(attempt);
    if (!attempt.isOverdue) this.#tryNext(now, attempt.lookup);
  }

  handleTimeout(now: Instant): void {
    for (let late = this.#patience.popDue(now); late; late = this.#patience.popDue(now)) {
      // Its socket stays open: an answer that is merely late is still welcome.
      late.isOverdue = true;
      this.#counters.count("upstream-timeouts");
      if (late.isSent) this.#noteSilence(now, late);
      this.#tryNext(now, late.lookup);
    }
    for (let over = this.#budgets.popDue(now); over; over = this.#budgets.popDue(now)) {
      this.#giveUp(now, over);
    }
  }

  nextTimeout(): Instant | undefined {
    return earliest(this.#patience.next(), this.#budgets.next());
  }

  /** The next query to send, while few enough sockets are open. */
  pollRequest(): UpstreamRequest | undefined {
    while (this.#openRequests < MAX_OPEN_REQUESTS) {
      const next = this.#unsent.take((client) =>
        (this.#openByClient.get(client) ?? 0) < MAX_OPEN_REQUESTS_PER_CLIENT
      );
      if (next === undefined) return undefined;
      const attempt = next.item;
      if (attempt.isEnded) continue;
      attempt.isSent = true;
      this.#openRequests++;
      this.#openByClient.set(next.client, (this.#openByClient.get(next.client) ?? 0) + 1);
      this.#counters.count("upstream-queries");
      const { requestId, transport, bytes } = attempt;
      return { requestId, transport, server: attempt.server.server, bytes };
    }
    return undefined;
  }

  /** A request whose socket can be closed. */
  pollFinished(): number | undefined {
    return this.#finished.shift();
  }

  /** Questions of our own for HIP records are kept from servers that do not answer such. */
  #serverOrder(now: Instant, { type, clientOctets }: Question): ServerState[] {
    const usable = type === TYPE.HIP && clientOctets === undefined
      ? this.#servers.filter((server) => server.hipBlindUntil <= now)
      : this.#servers;
    const good = usable.filter((server) => server.lameUntil <= now);
    return [...good, ...usable.filter((server) => server.lameUntil > now)];
  }

  #tryNext(now: Instant, lookup: Lookup): void {
    // At least two attempts; with more servers, one at each of the first four.
    const most = Math.min(Math.max(2, lookup.order.length), 4);
    if (lookup.tries >= most) {
      if ([...lookup.attempts].every((attempt) => attempt.isOverdue)) this.#giveUp(now, lookup);
      return;
    }
    const server = lookup.order[lookup.tries % lookup.order.length]!;
    // The second round goes without OPT: some old servers do not answer otherwise.
    const hasEdns = lookup.tries < lookup.order.length && server.noEdnsUntil <= now;
    lookup.tries++;
    this.#attempt(now, lookup, server, "udp", hasEdns);
  }

  #attempt(
    now: Instant,
    lookup: Lookup,
    server: ServerState,
    transport: "udp" | "tcp",
    hasEdns: boolean,
  ): void {
    const id = randomUint32(this.#random) >>> 16;
    const attempt: Attempt = {
      requestId: ++this.#lastRequestId,
      lookup,
      server,
      transport,
      id,
      hasEdns,
      bytes: emitQuery(lookup.question, id, hasEdns),
      isOverdue: false,
      isSent: false,
      isEnded: false,
    };
    lookup.attempts.add(attempt);
    this.#attempts.set(attempt.requestId, attempt);
    this.#patience.set(now, ATTEMPT_TIMEOUT, attempt);
    this.#unsent.push(lookup.question.client, attempt);
  }

  #handleError(now: Instant, attempt: Attempt, rcode: number, bytes: Uint8Array): void {
    const { lookup, server } = attempt;
    const isRefusingForm = rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP;
    if (isRefusingForm && attempt.hasEdns && lookup.question.clientOctets === undefined) {
      server.noEdnsUntil = after(now, NO_EDNS_MEMORY);
      this.#end(attempt);
      this.#attempt(now, lookup, server, attempt.transport, false);
      return;
    }
    if (isRefusingForm && lookup.question.type === TYPE.HIP) {
      server.hipBlindUntil = after(now, HIP_BLIND_MEMORY);
    }
    if (rcode === RCODE.REFUSED) server.lameUntil = after(now, LAME_MEMORY);
    this.#end(attempt);
    lookup.badAnswer = answerOf(server, bytes);
    const hasUntried = lookup.tries < Math.min(lookup.order.length, 4);
    const isWaiting = [...lookup.attempts].some((other) => !other.isOverdue);
    if (hasUntried) this.#tryNext(now, lookup);
    else if (!isWaiting) this.#giveUp(now, lookup);
  }

  /** A server that drops HIP queries again and again is spared them for a while. */
  #noteSilence(now: Instant, attempt: Attempt): void {
    if (attempt.lookup.question.type !== TYPE.HIP) return;
    if (++attempt.server.hipSilences < HIP_BLIND_AFTER) return;
    attempt.server.hipSilences = 0;
    attempt.server.hipBlindUntil = after(now, HIP_BLIND_MEMORY);
  }

  #giveUp(now: Instant, lookup: Lookup): void {
    if (lookup.badAnswer !== undefined) {
      this.#finish(now, lookup, lookup.badAnswer);
      return;
    }
    const cause = lookup.attempts.size > 0 ? "timeout" : "unreachable";
    this.#finish(now, lookup, { kind: "failed", cause });
  }

  #finish(now: Instant, lookup: Lookup, outcome: LookupOutcome): void {
    this.#lookups--;
    lookup.isFinished = true;
    const { shareKey } = lookup;
    if (shareKey !== undefined && lookup.generation === this.#generation) {
      this.#shared.delete(shareKey);
      if (outcome.kind === "answer") {
        this.#cache.put(now, shareKey, outcome.bytes, outcome.isTrusted);
      }
    }
    for (const attempt of [...lookup.attempts]) this.#end(attempt);
    for (const done of lookup.done) done(now, outcome);
  }

  #end(attempt: Attempt): void {
    attempt.isEnded = true;
    attempt.lookup.attempts.delete(attempt);
    this.#attempts.delete(attempt.requestId);
    if (!attempt.isSent) return;
    this.#openRequests--;
    const { client } = attempt.lookup.question;
    const open = this.#openByClient.get(client)! - 1;
    if (open === 0) this.#openByClient.delete(client);
    else this.#openByClient.set(client, open);
    this.#finished.push(attempt.requestId);
  }
}

/**
 * An answer as clients may have it: AD says nothing where anybody on the way can have set it
 * (RFC 6840 §5.8), and whoever asks here is served recursively.
 */
export function releasedOctets(
  { bytes, isTrusted }: { readonly bytes: Uint8Array; readonly isTrusted: boolean },
): Uint8Array {
  const flags = messageFlags(bytes);
  if ((isTrusted || (flags & FLAG.AD) === 0) && (flags & FLAG.RA) !== 0) return bytes;
  const copy = bytes.slice();
  copy[3]! |= FLAG.RA;
  if (!isTrusted) copy[3]! &= ~FLAG.AD;
  return copy;
}

function answerOf({ isTrusted }: ServerState, bytes: Uint8Array): LookupOutcome {
  return { kind: "answer", bytes, isTrusted, expires: undefined };
}

/** Questions of one key have one answer; undefined for one that is like no other. */
function shareKeyOf(question: Question): string | undefined {
  const { clientOctets, name, type } = question;
  if (clientOctets === undefined) {
    return `own ${type} ${question.isCheckingDisabled ?? false} ${nameKey(name)}`;
  }
  if (question.isCacheable !== true) return undefined;
  const start = HEADER_OCTETS + name.length;
  return `${question.followsTruncation} ${latin1(clientOctets.subarray(2, HEADER_OCTETS))}` +
    nameKey(name) + latin1(clientOctets.subarray(start));
}

/** The octets of a query, ours or the client's under another identifier. */
function emitQuery(question: Question, id: number, hasEdns: boolean): Uint8Array {
  if (question.clientOctets !== undefined) return withId(question.clientOctets, id);
  const builder = new MessageBuilder({
    id,
    // AD asks whether the answer was validated (RFC 6840 §5.7).
    flags: FLAG.RD | FLAG.AD | (question.isCheckingDisabled === true ? FLAG.CD : 0),
    question: emitQuestion(question.name, question.type, question.class),
  });
  if (hasEdns) builder.addOpt(EDNS_UDP_SIZE, false);
  return builder.finish();
}

function answersQuestion(bytes: Uint8Array, attempt: Attempt): boolean {
  if (bytes.length < HEADER_OCTETS || messageId(bytes) !== attempt.id) return false;
  const flags = messageFlags(bytes);
  if ((flags & FLAG.QR) === 0 || (flags & FLAG.OPCODE_MASK) !== 0) return false;
  const questionCount = (bytes[4]! << 8) | bytes[5]!;
  // Servers that could not read the question may leave it out.
  if (questionCount === 0) return (flags & FLAG.RCODE_MASK) === RCODE.FORMERR;
  if (questionCount !== 1) return false;
  const asked = attempt.lookup.question;
  try {
    const question = parseQuestion(bytes);
    return question.type === asked.type && question.class === asked.class &&
      sameName(question.name, asked.name);
  } catch (error) {
    if (error instanceof MalformedPacketError) return false;
    throw error;
  }
}
