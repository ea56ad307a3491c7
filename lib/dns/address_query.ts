/**
 * One question for the IPv6 addresses of a name: HIP, AAAA and A are asked for at the same time,
 * then the addresses of rendezvous servers, and the answer puts HITs before native addresses
 * (RFC 8005 §3, RFC 5338 §3.2).
 *
 * Invariant: every HIT in an answer was taken by the engine, with its locators, before the answer
 * was made. A name without HIP gets the octets that came from upstream.
 */

import { MalformedPacketError } from "../base/errors.ts";
import { after, earliest, type Instant } from "../base/time.ts";
import { CLASS_IN, FLAG, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { type DnsMessage, messageFlags, parseMessage } from "../wire/dns/message.ts";
import { nameKey } from "../wire/dns/name.ts";
import { buildAddressAnswer, type PeerAnswer } from "./address_answer.ts";
import { type Chain, followChain, recordsOf } from "./chain.ts";
import type { ClientQuery } from "./client_query.ts";
import { localReply } from "./client_query.ts";
import {
  HIP_HOLD,
  LOCAL_TTL_SECONDS,
  MAX_LOCATORS_PER_HIT,
  MAX_TTL_SECONDS,
  QUERY_BUDGET,
} from "./constants.ts";
import type { DnsCounters } from "./counters.ts";
import { addressesOf } from "./addresses.ts";
import { type NamedPeer, peersOfAnswer } from "./hip_records.ts";
import { isIdentifier, isUsableLocator } from "./locator_rules.ts";
import { isMulticastDnsName } from "./special_names.ts";
import { type StaticNames, withoutRepetition } from "./static_names.ts";
import type { LookupOutcome, UpstreamLookups } from "./upstream.ts";

/** What the query needs of the proxy around it. */
export interface AddressQueryContext {
  readonly lookups: UpstreamLookups;
  readonly staticNames: StaticNames;
  readonly counters: DnsCounters;
  readonly suitePreference: readonly number[];
  /** Whether HITs may be given out at all: the HIP interface is up. */
  readonly offersHits: boolean;
  isUnreachable(now: Instant, hit: Uint8Array): boolean;
  /** Hands the mapping to the engine; false when it was not taken. */
  push(now: Instant, peer: PeerAnswer, canonicalName: Uint8Array): boolean;
  warnMismatch(now: Instant, name: Uint8Array, recordHit: Uint8Array, hit: Uint8Array): void;
}

/** What came of it. */
export interface AddressResult {
  /** The reply: upstream's octets, its identifier still to be replaced, or octets made here. */
  readonly bytes: Uint8Array;
  readonly isModified: boolean;
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

export class AddressQuery {
  readonly #context: AddressQueryContext;
  readonly #query: ClientQuery;
  readonly #done: (now: Instant, result: AddressResult) => void;
  readonly #deadline: Instant;
  readonly #staticPeers: readonly NamedPeer[];
  readonly #rendezvous = new Map<string, Rendezvous>();
  #holdUntil: Instant | undefined;
  /** Lookups without an outcome, by type; rendezvous lookups counted apart. */
  #pending = { hip: false, aaaa: false, a: false, rendezvous: 0 };
  #hip: DnsMessage | undefined;
  #aaaa: DnsMessage | undefined;
  #aaaaOutcome: LookupOutcome | undefined;
  #a: DnsMessage | undefined;
  #dnsPeers: readonly NamedPeer[] = [];
  #hipChain: Chain | undefined;
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
    const { name } = this.#query.question;
    const isStatic = this.#staticPeers.length > 0;
    const wantsHits = this.#context.offersHits && !isMulticastDnsName(name);
    this.#pending = { hip: wantsHits && !isStatic, aaaa: true, a: wantsHits, rendezvous: 0 };
    // A static name does not wait long for a DNS that may not know it, or not be there at all.
    if (isStatic) this.#holdUntil = after(now, HIP_HOLD);
    if (wantsHits && isStatic) this.#lookUpRendezvous(now, this.#staticPeers);
    const isAsked = { ...this.#pending };
    const { lookups } = this.#context;
    const question = { name, class: CLASS_IN, followsTruncation: true };
    if (isAsked.hip) {
      lookups.start(now, { ...question, type: TYPE.HIP }, (at, outcome) => {
        this.#handleHip(at, outcome);
      });
    }
    lookups.start(
      now,
      { ...question, type: TYPE.AAAA, clientOctets: this.#query.bytes },
      (at, outcome) => {
        this.#pending.aaaa = false;
        this.#aaaaOutcome = outcome;
        this.#aaaa = readAnswer(outcome);
        this.#holdUntil ??= after(at, HIP_HOLD);
        this.#advance(at);
      },
    );
    if (isAsked.a) {
      lookups.start(now, { ...question, type: TYPE.A }, (at, outcome) => {
        this.#pending.a = false;
        this.#a = readAnswer(outcome);
        this.#advance(at);
      });
    }
  }

  handleTimeout(now: Instant): void {
    this.#advance(now);
  }

  nextTimeout(): Instant | undefined {
    return earliest(this.#deadline, this.#holdUntil);
  }

  #handleHip(now: Instant, outcome: LookupOutcome): void {
    this.#pending.hip = false;
    const { counters } = this.#context;
    if (outcome.kind === "failed") counters.count("hip-lookup-timeouts");
    this.#hip = readAnswer(outcome);
    if (outcome.kind === "answer" && this.#hip === undefined) counters.count("hip-lookup-errors");
    if (this.#hip !== undefined && !this.#isFinished) {
      this.#hipChain = tryFollowChain(this.#hip, this.#query.question.name);
      if (this.#hipChain !== undefined) {
        const { canonicalName } = this.#hipChain;
        this.#dnsPeers = peersOfAnswer(
          this.#hip,
          canonicalName,
          this.#context.suitePreference,
          counters,
          (recordHit, hit) => this.#context.warnMismatch(now, canonicalName, recordHit, hit),
        );
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
        const question = { name, type, class: CLASS_IN, followsTruncation: true };
        this.#context.lookups.start(now, question, (at, outcome) => {
          this.#pending.rendezvous--;
          const message = readAnswer(outcome);
          const chain = message === undefined ? undefined : tryFollowChain(message, name);
          if (message !== undefined && chain !== undefined) {
            const found = addressesOf(message, type, chain.canonicalName);
            rendezvous.addresses.push(...found.addresses.filter(isUsableLocator));
            rendezvous.ttlSeconds = Math.min(rendezvous.ttlSeconds, found.ttlSeconds);
          }
          this.#advance(at);
        });
      }
    }
  }

  #advance(now: Instant): void {
    if (this.#isFinished || !this.#isReady(now)) return;
    this.#isFinished = true;
    this.#done(now, this.#conclude(now));
  }

  #isReady(now: Instant): boolean {
    const { hip, aaaa, a, rendezvous } = this.#pending;
    if (!hip && !aaaa && !a && rendezvous === 0) return true;
    if (now >= this.#deadline) return true;
    if (this.#holdUntil !== undefined && now >= this.#holdUntil && (!aaaa || this.#isStatic)) {
      return true;
    }
    // No HIP: nothing to wait for but the native answer.
    return !hip && !aaaa && this.#dnsPeers.length === 0 && !this.#isStatic;
  }

  get #isStatic(): boolean {
    return this.#staticPeers.length > 0;
  }

  #conclude(now: Instant): AddressResult {
    const asked = this.#query.question.name;
    const aaaaChain = this.#aaaa === undefined ? undefined : tryFollowChain(this.#aaaa, asked);
    const isLoop = this.#aaaa !== undefined && aaaaChain === undefined;
    const aaaaName = aaaaChain?.canonicalName ?? asked;
    const natives = this.#aaaa === undefined || isLoop
      ? { records: [], addresses: [], ttlSeconds: MAX_TTL_SECONDS }
      : addressesOf(this.#aaaa, TYPE.AAAA, aaaaName);
    const aChain = this.#a === undefined ? undefined : tryFollowChain(this.#a, asked);
    const aName = aChain?.canonicalName ?? asked;
    const ipv4 = this.#a === undefined || aChain === undefined
      ? { addresses: [], ttlSeconds: MAX_TTL_SECONDS }
      : addressesOf(this.#a, TYPE.A, aName);

    // HIP records speak for the owner they stand at; addresses of another owner are not its.
    const hasNative = natives.addresses.length > 0;
    const nativeName = hasNative ? aaaaName : ipv4.addresses.length > 0 ? aName : undefined;
    const hipName = this.#hipChain?.canonicalName ?? asked;
    let dnsPeers = isLoop ? [] : this.#dnsPeers;
    if (
      dnsPeers.length > 0 && nativeName !== undefined && nameKey(nativeName) !== nameKey(hipName)
    ) {
      this.#context.counters.count("hip-chain-mismatches");
      dnsPeers = [];
    }
    const canonicalName = this.#isStatic || dnsPeers.length === 0 ? aaaaName : hipName;
    const named = this.#context.offersHits ? [...this.#staticPeers, ...dnsPeers] : [];
    const ownAddresses = withoutRepetition([...natives.addresses, ...ipv4.addresses])
      .filter(isUsableLocator);
    const hipTtl = this.#hipTtl(hipName);
    const addressTtl = Math.min(
      hasNative ? natives.ttlSeconds : MAX_TTL_SECONDS,
      ipv4.addresses.length > 0 ? ipv4.ttlSeconds : MAX_TTL_SECONDS,
    );
    const candidates = named.map((peer) =>
      this.#describe(now, peer, ownAddresses, hipTtl, addressTtl)
    );
    const peers = candidates.map((peer) => this.#release(now, peer, ownAddresses, canonicalName));

    const released = peers.filter((peer) => peer.isReleased);
    const known = named.map((peer) => peer.hit);
    const chain = hasNative ? aaaaChain?.links ?? [] : this.#hipChain?.links ?? [];
    const answer = buildAddressAnswer(this.#query, {
      peers: released,
      owner: this.#isStatic && !hasNative ? asked : canonicalName,
      chain: this.#isStatic && !hasNative ? [] : chain,
      chainMessage: hasNative ? this.#aaaa : this.#hip,
      natives: natives.records,
      nativeMessage: this.#aaaa,
      knownHits: known,
    });
    const addresses = [...natives.addresses, ...ipv4.addresses].filter((a) => !isIdentifier(a));
    const bytes = answer ?? this.#unmodified(isLoop);
    return { bytes, isModified: answer !== undefined, canonicalName, peers, addresses };
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
    const locators = withoutRepetition([...peer.staticLocators, ...ownAddresses])
      .slice(0, MAX_LOCATORS_PER_HIT);
    const rendezvousOf = peer.rendezvousNames.map((name) => this.#rendezvous.get(nameKey(name)))
      .filter((found) => found !== undefined);
    const rendezvous = withoutRepetition(rendezvousOf.flatMap((found) => found.addresses))
      .slice(0, MAX_LOCATORS_PER_HIT);
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
      source: peer.source,
      ttlSeconds,
      isUnreachable: this.#context.isUnreachable(now, peer.hit),
      isFixed,
      isReleased: false,
    };
  }

  /** Decides whether the HIT goes into the answer, and if so hands the mapping over first. */
  #release(
    now: Instant,
    peer: PeerAnswer,
    ownAddresses: readonly Uint8Array[],
    canonicalName: Uint8Array,
  ): PeerAnswer {
    const { counters } = this.#context;
    if (peer.locators.length + peer.rendezvous.length === 0) {
      counters.count("hits-withheld-no-locator");
      return peer;
    }
    // Without any other address a HIT that failed lately is still better than nothing.
    if (peer.isUnreachable && ownAddresses.length > 0) {
      counters.count("hits-withheld-unreachable");
      return peer;
    }
    return { ...peer, isReleased: this.#context.push(now, peer, canonicalName) };
  }

  #unmodified(isLoop: boolean): Uint8Array {
    const outcome = this.#aaaaOutcome;
    const isUsable = outcome?.kind === "answer" && !isLoop;
    if (this.#isStatic) {
      // The name exists, whatever DNS says of it.
      const isAnswer = isUsable && (messageFlags(outcome.bytes) & FLAG.RCODE_MASK) === 0;
      return isAnswer ? outcome.bytes : localReply(this.#query, RCODE.NOERROR);
    }
    return isUsable ? outcome.bytes : localReply(this.#query, RCODE.SERVFAIL);
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
