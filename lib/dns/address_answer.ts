/**
 * The answer with HITs in it: the chain of CNAMEs, then the HITs, then the native addresses in
 * upstream's order, all of one TTL because they are one RRset (RFC 2181 §5.2).
 */

import { bytesEqual } from "../base/bytes.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { AAAA } from "../wire/dns/aaaa.ts";
import { CLASS_IN, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { type DnsMessage, type DnsRecord, rdataOf } from "../wire/dns/message.ts";
import { readName } from "../wire/dns/name.ts";
import { encodeRdata } from "../wire/dns/record.ts";
import { type ClientQuery, localReply } from "./client_query.ts";
import { MAX_TTL_SECONDS } from "./constants.ts";
import { isIdentifier } from "./locator_rules.ts";

/** One HIT of a name with all that was found out about it. */
export interface PeerAnswer {
  readonly hit: Uint8Array;
  readonly identity: PublicHostIdentity | undefined;
  /** HIT as it stood in the HIP record; undefined for static names. */
  readonly recordHit: Uint8Array | undefined;
  /** Addresses of the host itself, most preferred first. */
  readonly locators: readonly Uint8Array[];
  /** Addresses of its rendezvous servers, for I1 only (RFC 8005 §3.2). */
  readonly rendezvous: readonly Uint8Array[];
  readonly rendezvousNames: readonly Uint8Array[];
  readonly source: "static" | "dns";
  /** The smallest TTL of the records it rests on, at most `MAX_TTL_SECONDS`. */
  readonly ttlSeconds: number;
  /** Whether the engine failed to reach it lately. */
  readonly isUnreachable: boolean;
  /** Whether its locators come from the hosts file and do not expire. */
  readonly isFixed: boolean;
  /** Whether it is in the answer. */
  readonly isReleased: boolean;
}

/** What the answer is made of. */
export interface AnswerParts {
  readonly peers: readonly PeerAnswer[];
  /** Owner of the HITs: the canonical name. */
  readonly owner: Uint8Array;
  /** CNAME and DNAME records of `chainMessage`. */
  readonly chain: readonly DnsRecord[];
  readonly chainMessage: DnsMessage | undefined;
  /** AAAA records of `nativeMessage`. */
  readonly natives: readonly DnsRecord[];
  readonly nativeMessage: DnsMessage | undefined;
  /** HITs known for this name: an AAAA record that holds another HIT is not believed. */
  readonly knownHits: readonly Uint8Array[];
}

/** The answer, or undefined when upstream's own answer needs no change. */
export function buildAddressAnswer(query: ClientQuery, parts: AnswerParts): Uint8Array | undefined {
  const { peers, nativeMessage } = parts;
  const natives = nativeMessage === undefined
    ? []
    : parts.natives.map((record) => ({ record, rdata: rdataOf(nativeMessage, record) }));
  const kept = natives.filter(({ rdata }) =>
    !peers.some((peer) => bytesEqual(peer.hit, rdata)) &&
    (!isIdentifier(rdata) || parts.knownHits.some((hit) => bytesEqual(hit, rdata)))
  );
  if (peers.length === 0 && kept.length === natives.length) return undefined;
  const ttlSeconds = Math.min(
    MAX_TTL_SECONDS,
    ...peers.map((peer) => peer.ttlSeconds),
    ...kept.map(({ record }) => record.ttl),
  );
  return localReply(query, RCODE.NOERROR, (builder) => {
    for (const link of parts.chain) {
      const ttl = Math.min(link.ttl, MAX_TTL_SECONDS);
      const target = readName(parts.chainMessage!.bytes, link.rdataStart).name;
      const { name, type } = link;
      builder.add("answer", { name, type, class: CLASS_IN, ttlSeconds: ttl }, target);
    }
    for (const { hit } of peers) {
      const record = { name: parts.owner, type: TYPE.AAAA, class: CLASS_IN, ttlSeconds };
      builder.add("answer", record, encodeRdata(AAAA, { address: hit }));
    }
    for (const { record, rdata } of kept) {
      const { name, type } = record;
      builder.add("answer", { name, type, class: CLASS_IN, ttlSeconds }, rdata);
    }
  });
}
