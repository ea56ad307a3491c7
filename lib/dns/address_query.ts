/**
 * One question for the addresses of a name, AAAA or A: HIP, AAAA and A are asked for at the same
 * time, then the addresses of rendezvous servers, and the answer puts HITs, or the LSIs that stand
 * for them, before native addresses (RFC 8005 §3, RFC 5338 §3.2).
 *
 * Invariant: every HIT in an answer was taken by the engine, with its locators, before the answer
 * was made. A name without HIP gets the octets that came from upstream.
 */

import { MalformedPacketError } from "../base/errors.ts";
import { after, type Duration, earliest, type Instant } from "../base/time.ts";
import { CLASS_IN, FLAG, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { answersOfType, type DnsMessage, messageFlags, parseMessage } from "../wire/dns/message.ts";
import { nameKey } from "../wire/dns/name.ts";
import { buildAddressAnswer, type PeerAnswer, type StandIn } from "./address_answer.ts";
import { addressesOf } from "./addresses.ts";
import { type Chain, followChain, recordsOf } from "./chain.ts";
import { type ClientQuery, localReply } from "./client_query.ts";
import {
  ACKNOWLEDGEMENT_WAIT,
  HIP_HOLD,
  LOCAL_TTL_SECONDS,
  MAX_LOCATORS_PER_HIT,
  MAX_TTL_SECONDS,
  QUERY_BUDGET,
  TWIN_QUERY_SPAN,
} from "./constants.ts";
import type { DnsCounters } from "./counters.ts";
import { type KnownKeys, type NamedPeer, peersOfAnswer } from "./hip_records.ts";
import { isIdentifier } from "./locator_rules.ts";
import type { NameMode } from "./name_modes.ts";
import { type StaticNames, withoutRepetition } from "./static_names.ts";
import { type LookupOutcome, releasedOctets, type UpstreamLookups } from "./upstream.ts";

/** What the query needs of the proxy around it. */
export interface AddressQueryContext {
  readonly lookups: UpstreamLookups;
  readonly staticNames: StaticNames;
  readonly counters: DnsCounters;
  readonly suitePreference: readonly number[];
  readonly keys: KnownKeys;
  /** Whether HITs may be given out at all: the HIP interface is up, the name has them. */
  readonly offersHits: boolean;
  readonly mode: NameMode;
  /** Whether HIP records count only when they were validated. */
  readonly requiresDnssec: boolean;
  /** Whether A answers hold LSIs: never, always, or for programs that ask for nothing else. */
  readonly lsi: "off" | "on" | "v4only";
  isUnreachable(now: Instant, hit: Uint8Array): boolean;
  /** Whether the address may stand for the host. */
  isUsableLocator(address: Uint8Array): boolean;
  /** Hands the mapping to the engine; `done` tells, at once or later, whether it was taken. */
  push(
    now: Instant,
    peer: PeerAnswer,
    canonicalName: Uint8Array,
    done: (now: Instant, isTaken: boolean) => void,
  ): void;
  /** The name has these HITs, fresh from upstream, and no others. */
  confirm(now: Instant, canonicalName: Uint8Array, hits: readonly Uint8Array[]): void;
  /** The LSI of a HIT that the engine has taken, 4 octets; undefined when there are too many. */
  lsiOf(now: Instant, hit: Uint8Array): Uint8Array | undefined;
  /** Whether the client has asked for the other kind of address just before, or just after. */
  hasTwin(query: ClientQuery): boolean;
  warnMismatch(now: Instant, name: Uint8Array, recordHit: Uint8Array, hit: Uint8Array): void;
  /** Have `handleTimeout` called that much later. */
  wake(now: Instant, span: Duration): void;
}

/** What came of it. */
export interface AddressResult {
  /** The reply: upstream's octets, its identifier still to be replaced, or octets made here. */
  readonly bytes: Uint8Array;
  readonly isModified: boolean;
  /** Until when the same question has the same answer and no consequence; undefined: not at all. */
  readonly repeatableUntil: Instant | undefined;
  readonly canonicalName: Uint8Array;
  /** Every HIT of the name, released or not. */
  readonly peers: readonly PeerAnswer[];
  /** Native addresses, AAAA before A, 16 octets each. */
  readonly addresses: readonly Uint8Array[];
}

interface Rendezvous {
  readonly addresses: Uint8Array[];
  ttlSeconds: number;
}

/** The addresses of one kind that upstream gives. */
interface Natives {
  readonly message: DnsMessage | undefined;
  readonly chain: Chain | undefined;
  readonly canonicalName: Uint8Array;
  readonly records: ReturnType<typeof addressesOf>["records"];
  readonly addresses: readonly Uint8Array[];
  readonly ttlSeconds: number;
  readonly isLoop: boolean;
}

/** What is to be answered, but for what the engine says to it. */
interface Draft {
  readonly own: Natives;
  readonly canonicalName: Uint8Array;
  readonly chain: Chain | undefined;
  readonly chainMessage: DnsMessage | undefined;
  readonly owner: Uint8Array;
  readonly addresses: readonly Uint8Array[];
  readonly ownAddresses: readonly Uint8Array[];
  readonly peers: PeerAnswer[];
  /** Answers of the engine that are still to come. */
  pending: number;
}

export class AddressQuery {
  readonly #context: AddressQueryContext;
  readonly #query: ClientQuery;
  readonly #done: (now: Instant, result: AddressResult) => void;
  readonly #startedAt: Instant;
  readonly #deadline: Instant;
  readonly #staticPeers: readonly NamedPeer[];
  readonly #rendezvous = new Map<string, Rendezvous>();
  #holdUntil: Instant | undefined;
  /** Lookups without an outcome; rendezvous lookups counted apart. */
  #pending = { hip: false, own: false, other: false, rendezvous: 0 };
  #hip: DnsMessage | undefined;
  #isHipSecure = false;
  /** When the cache forgets that the name has no HIP record. */
  #noHipUntil: Instant | undefined;
  #hasHipFailed = false;
  #own: DnsMessage | undefined;
  #ownOutcome: LookupOutcome | undefined;
  #other: DnsMessage | undefined;
  #dnsPeers: readonly NamedPeer[] = [];
  #hipChain: Chain | undefined;
  #draft: Draft | undefined;
  /** When the engine's silence about the draft is taken for a no. */
  #ackUntil: Instant | undefined;
  #isFinished = false;

  /** @param done Called exactly once, possibly inside `start`. */
  constructor(
    now: Instant,
    context: AddressQueryContext,
    query: ClientQuery,
    done: (now: Instant, result: AddressResult) => void,
  ) {
    this.#context = context;
    this.#query = query;
    this.#done = done;
    this.#startedAt = now;
    this.#deadline = after(now, QUERY_BUDGET);
    this.#staticPeers = context.staticNames.peersOf(query.question.name).map((peer) => ({
      hit: peer.hit,
      identity: peer.identity,
      recordHit: undefined,
      rendezvousNames: peer.rendezvousNames,
      staticLocators: peer.locators,
      source: "static",
    }));
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Asks upstream. */
  start(now: Instant): void {
    const { lookups } = this.#context;
    const { type } = this.#query.question;
    const wantsHits = this.#context.offersHits;
    this.#pending = { hip: wantsHits && !this.#isStatic, own: true, other: false, rendezvous: 0 };
    // A static name does not wait long for a DNS that may not know it, or not be there at all.
    if (this.#isStatic) this.#hold(now);
    if (this.#pending.hip) {
      lookups.start(now, this.#question(TYPE.HIP), (at, outcome) => this.#handleHip(at, outcome));
    } else if (wantsHits) this.#lookUpRendezvous(now, this.#staticPeers);
    // Where the cache knows that there is no HIP, the other addresses would serve nobody.
    if (wantsHits && (this.#isStatic || this.#pending.hip || this.#dnsPeers.length > 0)) {
      this.#pending.other = true;
      const other = type === TYPE.A ? TYPE.AAAA : TYPE.A;
      lookups.start(now, this.#question(other), (at, outcome) => {
        this.#pending.other = false;
        this.#other = readAnswer(outcome);
        this.#advance(at);
      });
    }
    const clientOctets = this.#query.bytes;
    const own = { ...this.#question(type), clientOctets, isCacheable: this.#query.isPlain };
    lookups.start(now, own, (at, outcome) => {
      this.#pending.own = false;
      this.#ownOutcome = outcome;
      this.#own = readAnswer(outcome);
      this.#advance(at);
      if (!this.#isFinished) this.#hold(at);
    });
    if (this.#isFinished) return;
    this.#context.wake(now, QUERY_BUDGET);
    if (this.#isForLsis) this.#context.wake(now, TWIN_QUERY_SPAN);
  }

  handleTimeout(now: Instant): void {
    this.#advance(now);
  }

  #question(type: number, name = this.#query.question.name) {
    return {
      name,
      type,
      class: CLASS_IN,
      followsTruncation: true,
      isCheckingDisabled: this.#query.isCheckingDisabled,
      client: this.#query.client.source,
    };
  }

  #hold(now: Instant): void {
    if (this.#holdUntil !== undefined) return;
    this.#holdUntil = after(now, HIP_HOLD);
    this.#context.wake(now, HIP_HOLD);
  }

  #handleHip(now: Instant, outcome: LookupOutcome): void {
    this.#pending.hip = false;
    const { counters } = this.#context;
    const answer = readAnswer(outcome);
    if (outcome.kind === "failed") counters.count("hip-lookup-timeouts");
    else if (answer === undefined) counters.count("hip-lookup-errors");
    if (this.#isFinished || this.#draft !== undefined) return;
    this.#hip = answer;
    this.#hasHipFailed = this.#hip === undefined;
    if (outcome.kind === "answer" && this.#hip !== undefined) {
      // RFC 4035 §3.2.3: AD speaks for the whole answer section, the chain included.
      this.#isHipSecure = outcome.isTrusted && (messageFlags(outcome.bytes) & FLAG.AD) !== 0;
      this.#hipChain = tryFollowChain(this.#hip, this.#query.question.name);
      const isUnusable = this.#context.requiresDnssec && !this.#isHipSecure &&
        answersOfType(this.#hip, TYPE.HIP).length > 0;
      if (isUnusable) {
        counters.count("hip-answers-insecure");
        this.#hasHipFailed = true;
      } else if (this.#hipChain !== undefined) {
        const { canonicalName } = this.#hipChain;
        this.#dnsPeers = peersOfAnswer(
          this.#hip,
          canonicalName,
          this.#context.suitePreference,
          this.#context.keys,
          counters,
          (recordHit, hit) => this.#context.warnMismatch(now, canonicalName, recordHit, hit),
        );
        if (outcome.expires === undefined) {
          this.#context.confirm(now, canonicalName, this.#dnsPeers.map(({ hit }) => hit));
        }
        if (this.#dnsPeers.length === 0) this.#noHipUntil = outcome.expires;
        this.#lookUpRendezvous(now, this.#dnsPeers);
      }
    }
    this.#advance(now);
  }

  /** RFC 8005 §3.2: addresses of rendezvous servers, one level deep. */
  #lookUpRendezvous(now: Instant, peers: readonly NamedPeer[]): void {
    for (const name of peers.flatMap((peer) => peer.rendezvousNames)) {
      const key = nameKey(name);
      if (this.#rendezvous.has(key)) continue;
      const rendezvous: Rendezvous = { addresses: [], ttlSeconds: MAX_TTL_SECONDS };
      this.#rendezvous.set(key, rendezvous);
      this.#pending.rendezvous += 2;
      for (const type of [TYPE.AAAA, TYPE.A]) {
        this.#context.lookups.start(now, this.#question(type, name), (at, outcome) => {
          this.#pending.rendezvous--;
          const message = readAnswer(outcome);
          const chain = message === undefined ? undefined : tryFollowChain(message, name);
          if (message !== undefined && chain !== undefined) {
            const found = addressesOf(message, type, chain.canonicalName);
            rendezvous.addresses.push(
              ...found.addresses.filter((address) => this.#context.isUsableLocator(address)),
            );
            rendezvous.ttlSeconds = Math.min(rendezvous.ttlSeconds, found.ttlSeconds);
          }
          this.#advance(at);
        });
      }
    }
  }

  #advance(now: Instant): void {
    if (this.#isFinished || !this.#isReady(now)) return;
    if (this.#draft === undefined) {
      this.#draft = this.#makeDraft(now);
      if (!this.#handOver(now, this.#draft)) return;
    } else if (this.#draft.pending > 0 && now < this.#ackUntil!) return;
    this.#isFinished = true;
    this.#done(now, this.#conclude(now, this.#draft));
  }

  #isReady(now: Instant): boolean {
    if (this.#draft !== undefined) return true;
    const { hip, own, other, rendezvous } = this.#pending;
    if (now >= this.#deadline) return true;
    const hasPeers = this.#isStatic || this.#dnsPeers.length > 0;
    if (this.#isForLsis) {
      const hasTwin = this.#hasTwin;
      // HITs come with the answer for AAAA: this one stays as it is.
      if (hasTwin && !own && !this.#isStrict) return true;
      if (!hasTwin && !hip && hasPeers && !this.#isTwinTimeOver(now)) return false;
    }
    if (!hip && !own && !other && rendezvous === 0) return true;
    if (this.#holdUntil !== undefined && now >= this.#holdUntil && (!own || this.#isStatic)) {
      return true;
    }
    // No HIP: nothing to wait for but the native answer.
    return !hip && !own && !hasPeers;
  }

  get #isStatic(): boolean {
    return this.#staticPeers.length > 0;
  }

  /** Whether LSIs depend on what else the client asks. */
  get #isForLsis(): boolean {
    return this.#query.question.type === TYPE.A && this.#context.lsi === "v4only" &&
      this.#context.offersHits;
  }

  get #hasTwin(): boolean {
    return this.#context.hasTwin(this.#query);
  }

  #isTwinTimeOver(now: Instant): boolean {
    return now >= after(this.#startedAt, TWIN_QUERY_SPAN);
  }

  #natives(message: DnsMessage | undefined, type: number): Natives {
    const asked = this.#query.question.name;
    const chain = message === undefined ? undefined : tryFollowChain(message, asked);
    const isLoop = message !== undefined && chain === undefined;
    const canonicalName = chain?.canonicalName ?? asked;
    const found = message === undefined || isLoop
      ? { records: [], addresses: [], ttlSeconds: MAX_TTL_SECONDS }
      : addressesOf(message, type, canonicalName);
    return { message, chain, canonicalName, isLoop, ...found };
  }

  #makeDraft(now: Instant): Draft {
    const { type, name: asked } = this.#query.question;
    const own = this.#natives(this.#own, type);
    const other = this.#natives(this.#other, type === TYPE.A ? TYPE.AAAA : TYPE.A);
    // HIP records speak for the owner they stand at; addresses of another owner are not its.
    const hasOwn = own.addresses.length > 0;
    const hasOther = other.addresses.length > 0;
    const nativeName = hasOwn ? own.canonicalName : hasOther ? other.canonicalName : undefined;
    const hipName = this.#hipChain?.canonicalName ?? asked;
    let dnsPeers = own.isLoop ? [] : this.#dnsPeers;
    if (
      dnsPeers.length > 0 && nativeName !== undefined && nameKey(nativeName) !== nameKey(hipName)
    ) {
      this.#context.counters.count("hip-chain-mismatches");
      dnsPeers = [];
    }
    const canonicalName = this.#isStatic || dnsPeers.length === 0 ? own.canonicalName : hipName;
    const named = this.#context.offersHits ? [...this.#staticPeers, ...dnsPeers] : [];
    const [ipv6, ipv4] = type === TYPE.A ? [other, own] : [own, other];
    const ownAddresses = withoutRepetition([...ipv6.addresses, ...ipv4.addresses])
      .filter((address) => this.#context.isUsableLocator(address));
    const hipTtl = this.#hipTtl(hipName);
    const addressTtl = Math.min(
      hasOwn ? own.ttlSeconds : MAX_TTL_SECONDS,
      hasOther ? other.ttlSeconds : MAX_TTL_SECONDS,
    );
    const peers = named.map((peer) => this.#describe(now, peer, ownAddresses, hipTtl, addressTtl));
    const isOwnAnswer = this.#isStatic && !hasOwn;
    return {
      own,
      canonicalName,
      owner: isOwnAnswer ? asked : canonicalName,
      chain: isOwnAnswer ? undefined : hasOwn ? own.chain : this.#hipChain,
      chainMessage: hasOwn ? own.message : this.#hip,
      addresses: [...ipv6.addresses, ...ipv4.addresses].filter((a) => !isIdentifier(a)),
      ownAddresses,
      peers,
      pending: 0,
    };
  }

  /**
   * Decides which HITs may be answered, and hands their mappings over first.
   *
   * @returns Whether all is said about them.
   */
  #handOver(now: Instant, draft: Draft): boolean {
    const { counters } = this.#context;
    const candidates = draft.peers.map((_, place) => place).filter((place) => {
      const { locators, rendezvous, isUnreachable } = draft.peers[place]!;
      if (locators.length + rendezvous.length === 0) {
        counters.count("hits-withheld-no-locator");
        return false;
      }
      // Without any other address a HIT that failed lately is still better than nothing.
      const hasOthers = draft.ownAddresses.length > 0 && !this.#isStrict;
      if (isUnreachable && hasOthers) counters.count("hits-withheld-unreachable");
      return !isUnreachable || !hasOthers;
    });
    draft.pending = candidates.length;
    this.#ackUntil = after(now, ACKNOWLEDGEMENT_WAIT);
    let isInside = true;
    for (const place of candidates) {
      this.#context.push(now, draft.peers[place]!, draft.canonicalName, (at, isTaken) => {
        if (this.#isFinished) return;
        draft.pending--;
        draft.peers[place] = { ...draft.peers[place]!, isReleased: isTaken };
        if (!isInside) this.#advance(at);
      });
    }
    isInside = false;
    if (draft.pending > 0) this.#context.wake(now, ACKNOWLEDGEMENT_WAIT);
    return draft.pending === 0;
  }

  /** Whether native addresses are kept back where there are HITs. */
  get #isStrict(): boolean {
    return this.#context.mode === "hit-only" || this.#context.mode === "require";
  }

  #conclude(now: Instant, draft: Draft): AddressResult {
    const { canonicalName, addresses, peers, own } = draft;
    const released = peers.filter((peer) => peer.isReleased)
      .map((peer) => ({ ...peer, lsi: this.#lsiOf(now, peer) }));
    const standIns = this.#standIns(released);
    const bytes = this.#query.isValidating ? undefined : this.#policyAnswer(draft, released) ??
      buildAddressAnswer(this.#query, {
        standIns,
        owner: draft.owner,
        chain: draft.chain?.links ?? [],
        chainMessage: draft.chainMessage,
        natives: own.records,
        nativeMessage: own.message,
        knownHits: peers.map((peer) => peer.hit),
        withholdsNatives: this.#isStrict && released.length > 0,
      });
    if (bytes !== undefined && standIns.length > 0) this.#countModified(standIns.length);
    return {
      bytes: bytes ?? this.#unmodified(own.isLoop),
      isModified: bytes !== undefined,
      repeatableUntil: bytes === undefined ? this.#repeatableUntil : undefined,
      canonicalName,
      peers: peers.map((peer) => released.find(({ hit }) => hit === peer.hit) ?? peer),
      addresses,
    };
  }

  get #repeatableUntil(): Instant | undefined {
    const own = this.#ownOutcome?.kind === "answer" ? this.#ownOutcome.expires : undefined;
    if (own === undefined || this.#noHipUntil === undefined || this.#isStatic) return undefined;
    return earliest(own, this.#noHipUntil);
  }

  #countModified(standIns: number): void {
    const { counters } = this.#context;
    counters.count("answers-modified");
    counters.count(this.#query.question.type === TYPE.A ? "lsis-added" : "hits-added", standIns);
  }

  /** What stands for the HITs in an answer of this type. */
  #standIns(released: readonly PeerAnswer[]): StandIn[] {
    const isForIpv6 = this.#query.question.type === TYPE.AAAA;
    return released.flatMap(({ hit, lsi, ttlSeconds }) => {
      const address = isForIpv6 ? hit : lsi;
      return address === undefined ? [] : [{ address, ttlSeconds }];
    });
  }

  /** The LSI of a HIT, where this answer is to have one. */
  #lsiOf(now: Instant, { hit }: PeerAnswer): Uint8Array | undefined {
    const { lsi, counters } = this.#context;
    if (this.#query.question.type !== TYPE.A || lsi === "off") return undefined;
    if (lsi === "v4only" && this.#hasTwin) return undefined;
    const address = this.#context.lsiOf(now, hit);
    if (address === undefined) counters.count("lsis-exhausted");
    return address;
  }

  /** Where the mode of the name allows no native address, whatever there is. */
  #policyAnswer(draft: Draft, released: readonly PeerAnswer[]): Uint8Array | undefined {
    if (this.#context.mode !== "require" || released.length > 0) return undefined;
    // What was not heard of, or not taken, is no proof that there is no HIP.
    const isUncertain = !this.#isStatic && (this.#pending.hip || this.#hasHipFailed);
    const isRefused = draft.peers.length > 0;
    return localReply(
      this.#query,
      isUncertain || isRefused || !this.#context.offersHits ? RCODE.SERVFAIL : RCODE.NOERROR,
    );
  }

  #hipTtl(owner: Uint8Array): number {
    if (this.#isStatic) return LOCAL_TTL_SECONDS;
    if (this.#hip === undefined) return MAX_TTL_SECONDS;
    return Math.min(
      MAX_TTL_SECONDS,
      ...recordsOf(this.#hip, TYPE.HIP, owner).map((record) => record.ttl),
    );
  }

  #describe(
    now: Instant,
    peer: NamedPeer,
    ownAddresses: readonly Uint8Array[],
    hipTtl: number,
    addressTtl: number,
  ): PeerAnswer {
    const locators = this.#firstLocators([...peer.staticLocators, ...ownAddresses]);
    const rendezvousOf = peer.rendezvousNames.map((name) => this.#rendezvous.get(nameKey(name)))
      .filter((found) => found !== undefined);
    const rendezvous = this.#firstLocators(rendezvousOf.flatMap((found) => found.addresses));
    const ttlSeconds = Math.min(
      hipTtl,
      addressTtl,
      ...rendezvousOf.filter((found) => found.addresses.length > 0).map((f) => f.ttlSeconds),
    );
    // What the operator wrote down does not expire; what DNS added to it does.
    const isFixed = peer.source === "static" && peer.staticLocators.length > 0;
    return {
      hit: peer.hit,
      identity: peer.identity,
      recordHit: peer.recordHit,
      locators,
      rendezvous,
      rendezvousNames: peer.rendezvousNames,
      source: peer.source === "dns" && this.#isHipSecure ? "dns-secure" : peer.source,
      ttlSeconds,
      isUnreachable: this.#context.isUnreachable(now, peer.hit),
      isFixed,
      lsi: undefined,
      isReleased: false,
    };
  }

  #firstLocators(addresses: readonly Uint8Array[]): Uint8Array[] {
    const all = withoutRepetition(addresses);
    const surplus = all.length - MAX_LOCATORS_PER_HIT;
    if (surplus > 0) this.#context.counters.count("locators-surplus", surplus);
    return all.slice(0, MAX_LOCATORS_PER_HIT);
  }

  #unmodified(isLoop: boolean): Uint8Array {
    const outcome = this.#ownOutcome;
    const isUsable = outcome?.kind === "answer" && !isLoop;
    if (this.#isStatic) {
      // The name exists, whatever DNS says of it.
      const isAnswer = isUsable && (messageFlags(outcome.bytes) & FLAG.RCODE_MASK) === 0;
      return isAnswer ? releasedOctets(outcome) : localReply(this.#query, RCODE.NOERROR);
    }
    return isUsable ? releasedOctets(outcome) : localReply(this.#query, RCODE.SERVFAIL);
  }
}

/** The message of a lookup that says something about the name; else undefined. */
function readAnswer(outcome: LookupOutcome): DnsMessage | undefined {
  if (outcome.kind === "failed") return undefined;
  const rcode = messageFlags(outcome.bytes) & FLAG.RCODE_MASK;
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return undefined;
  try {
    return parseMessage(outcome.bytes);
  } catch (error) {
    if (error instanceof MalformedPacketError) return undefined;
    throw error;
  }
}

function tryFollowChain(message: DnsMessage, start: Uint8Array): Chain | undefined {
  try {
    return followChain(message, start);
  } catch (error) {
    if (error instanceof MalformedPacketError) return undefined;
    throw error;
  }
}
