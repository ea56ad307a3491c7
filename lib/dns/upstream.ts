/**
 * Questions to upstream servers: which server, over what, how often, until when. No socket: whoever
 * polls sends the octets and hands back what comes.
 *
 * A response counts only when it arrives on the socket of its request (the runtime gives each
 * request a fresh random port), with its random identifier and its question (RFC 5452 §9).
 */

import { MalformedPacketError } from "../base/errors.ts";
import { type Random, randomUint32 } from "../base/random.ts";
import { after, earliest, type Instant } from "../base/time.ts";
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
import {
  ATTEMPT_TIMEOUT,
  EDNS_UDP_SIZE,
  HIP_BLIND_AFTER,
  HIP_BLIND_MEMORY,
  LAME_MEMORY,
  LOOKUP_BUDGET,
  MAX_LOOKUPS,
  MAX_OPEN_REQUESTS,
  NO_EDNS_MEMORY,
} from "./constants.ts";
import type { DnsCounters } from "./counters.ts";

/** Where queries go. */
export interface UpstreamServer {
  /** Text form; link-local IPv6 with its zone ("fe80::1%eth0"). */
  readonly address: string;
  readonly port: number;
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
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  | { readonly kind: "failed"; readonly cause: "timeout" | "unreachable" | "no-server" };

/** What to ask. */
export interface Question {
  /** Uncompressed. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  /** A client's query to be passed on octet for octet; else we write one of our own. */
  readonly clientOctets?: Uint8Array;
  /** CD of the query this one is made for (RFC 4035 §3.2.2). */
  readonly isCheckingDisabled?: boolean;
  /** Whether a truncated answer is asked for again over TCP; if not, it is the answer. */
  readonly followsTruncation: boolean;
}

type Done = (now: Instant, outcome: LookupOutcome) => void;

interface ServerState {
  readonly server: UpstreamServer;
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
  readonly expires: Instant;
  /** Whether the lookup went on without waiting for this one any longer. */
  isOverdue: boolean;
  /** Whether a socket belongs to it. */
  isSent: boolean;
}

interface Lookup {
  readonly question: Question;
  readonly done: Done[];
  readonly shareKey: string | undefined;
  readonly expires: Instant;
  readonly attempts: Set<Attempt>;
  /** Servers in the order in which they are tried; the list is gone through again at its end. */
  readonly order: readonly ServerState[];
  tries: number;
  /** The last answer with an RCODE that made us go on. */
  badAnswer: Uint8Array | undefined;
}

/** All lookups in progress. After any call, poll until there is nothing more. */
export class UpstreamLookups {
  readonly #random: Random;
  readonly #counters: DnsCounters;
  #servers: ServerState[] = [];
  readonly #lookups = new Set<Lookup>();
  readonly #shared = new Map<string, Lookup>();
  readonly #attempts = new Map<number, Attempt>();
  readonly #unsent: Attempt[] = [];
  readonly #finished: number[] = [];
  #openRequests = 0;
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
    this.#servers = servers.map((server) => ({
      server,
      lameUntil: -Infinity,
      noEdnsUntil: -Infinity,
      hipBlindUntil: -Infinity,
      hipSilences: 0,
    }));
  }

  /** Begins a lookup; `done` is called exactly once, possibly before this returns. */
  start(now: Instant, question: Question, done: Done): void {
    const shareKey = question.clientOctets === undefined
      ? `${question.type} ${question.isCheckingDisabled ?? false} ${nameKey(question.name)}`
      : undefined;
    const shared = shareKey === undefined ? undefined : this.#shared.get(shareKey);
    if (shared !== undefined) {
      shared.done.push(done);
      return;
    }
    const order = this.#serverOrder(now, question.type);
    if (order.length === 0 || this.#lookups.size >= MAX_LOOKUPS) {
      done(now, { kind: "failed", cause: "no-server" });
      return;
    }
    const lookup: Lookup = {
      question,
      done: [done],
      shareKey,
      expires: after(now, LOOKUP_BUDGET),
      attempts: new Set(),
      order,
      tries: 0,
      badAnswer: undefined,
    };
    this.#lookups.add(lookup);
    if (shareKey !== undefined) this.#shared.set(shareKey, lookup);
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
      this.#finish(now, lookup, { kind: "answer", bytes });
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
    for (const lookup of [...this.#lookups]) {
      for (const attempt of [...lookup.attempts]) {
        if (attempt.isOverdue || attempt.expires > now) continue;
        // Its socket stays open: an answer that is merely late is still welcome.
        attempt.isOverdue = true;
        this.#counters.count("upstream-timeouts");
        this.#noteSilence(now, attempt);
        this.#tryNext(now, lookup);
        break;
      }
      if (lookup.expires <= now && this.#lookups.has(lookup)) this.#giveUp(now, lookup);
    }
  }

  nextTimeout(): Instant | undefined {
    let next: Instant | undefined;
    for (const lookup of this.#lookups) {
      next = earliest(next, lookup.expires);
      for (const attempt of lookup.attempts) {
        if (!attempt.isOverdue) next = earliest(next, attempt.expires);
      }
    }
    return next;
  }

  /** The next query to send, while fewer than `MAX_OPEN_REQUESTS` sockets are open. */
  pollRequest(): UpstreamRequest | undefined {
    while (this.#openRequests < MAX_OPEN_REQUESTS) {
      const attempt = this.#unsent.shift();
      if (attempt === undefined) return undefined;
      if (!this.#attempts.has(attempt.requestId)) continue;
      attempt.isSent = true;
      this.#openRequests++;
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

  #serverOrder(now: Instant, type: number): ServerState[] {
    const usable = type === TYPE.HIP
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
      expires: after(now, ATTEMPT_TIMEOUT),
      isOverdue: false,
      isSent: false,
    };
    lookup.attempts.add(attempt);
    this.#attempts.set(attempt.requestId, attempt);
    this.#unsent.push(attempt);
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
    lookup.badAnswer = bytes;
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
      this.#finish(now, lookup, { kind: "answer", bytes: lookup.badAnswer });
      return;
    }
    const cause = lookup.attempts.size > 0 ? "timeout" : "unreachable";
    this.#finish(now, lookup, { kind: "failed", cause });
  }

  #finish(now: Instant, lookup: Lookup, outcome: LookupOutcome): void {
    this.#lookups.delete(lookup);
    if (lookup.shareKey !== undefined) this.#shared.delete(lookup.shareKey);
    for (const attempt of [...lookup.attempts]) this.#end(attempt);
    for (const done of lookup.done) done(now, outcome);
  }

  #end(attempt: Attempt): void {
    attempt.lookup.attempts.delete(attempt);
    this.#attempts.delete(attempt.requestId);
    if (!attempt.isSent) return;
    this.#openRequests--;
    this.#finished.push(attempt.requestId);
  }
}

/** The octets of a query, ours or the client's under another identifier. */
function emitQuery(question: Question, id: number, hasEdns: boolean): Uint8Array {
  if (question.clientOctets !== undefined) return withId(question.clientOctets, id);
  const builder = new MessageBuilder({
    id,
    flags: FLAG.RD | (question.isCheckingDisabled === true ? FLAG.CD : 0),
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
