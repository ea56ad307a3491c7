/**
 * The answer with HITs, or LSIs, in it: the chain of CNAMEs, then what stands for HITs, then the
 * native addresses in upstream's order, all of one TTL because they are one RRset (RFC 2181 §5.2).
 * Signatures over that RRset are gone with it, those of the chain stay (RFC 6147 §5.5).
 */

import { bytesEqual } from "../base/bytes.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { CLASS_IN, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { type DnsMessage, type DnsRecord, rdataOf } from "../wire/dns/message.ts";
import { readName } from "../wire/dns/name.ts";
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
  readonly source: "static" | "dns" | "dns-secure";
  /** The smallest TTL of the records it rests on, at most `MAX_TTL_SECONDS`. */
  readonly ttlSeconds: number;
  /** Whether the engine failed to reach it lately. */
  readonly isUnreachable: boolean;
  /** What stands for it in an answer for A, 4 octets. */
  readonly lsi: Uint8Array | undefined;
  /** Whether its locators come from the hosts file and do not expire. */
  readonly isFixed: boolean;
  /** Whether it is in the answer. */
  readonly isReleased: boolean;
}

/** An address that stands for a HIT: the HIT itself, or the LSI, in the octets of its record. */
export interface StandIn {
  readonly address: Uint8Array;
  readonly ttlSeconds: number;
}

/** What the answer is made of. */
export interface AnswerParts {
  readonly standIns: readonly StandIn[];
  /** Owner of the HITs: the canonical name. */
  readonly owner: Uint8Array;
  /** CNAME and DNAME records of `chainMessage`. */
  readonly chain: readonly DnsRecord[];
  readonly chainMessage: DnsMessage | undefined;
  /** Address records of `nativeMessage`. */
  readonly natives: readonly DnsRecord[];
  readonly nativeMessage: DnsMessage | undefined;
  /** HITs known for this name: an AAAA record that holds another HIT is not believed. */
  readonly knownHits: readonly Uint8Array[];
  /** Whether the native addresses are left out. */
  readonly withholdsNatives: boolean;
}

/** The answer, or undefined when upstream's own answer needs no change. */
export function buildAddressAnswer(query: ClientQuery, parts: AnswerParts): Uint8Array | undefined {
  const { standIns, nativeMessage, chainMessage } = parts;
  const natives = nativeMessage === undefined
    ? []
    : parts.natives.map((record) => ({ record, rdata: rdataOf(nativeMessage, record) }));
  const kept = parts.withholdsNatives
    ? []
    : natives.filter(({ rdata }) =>
      !standIns.some(({ address }) => bytesEqual(address, rdata)) &&
      (rdata.length !== 16 || !isIdentifier(rdata) ||
        parts.knownHits.some((hit) => bytesEqual(hit, rdata)))
    );
  if (standIns.length === 0 && kept.length === natives.length) return undefined;
  const ttlSeconds = Math.min(
    MAX_TTL_SECONDS,
    ...standIns.map((standIn) => standIn.ttlSeconds),
    ...kept.map(({ record }) => record.ttl),
  );
  const { type } = query.question;
  return localReply(query, RCODE.NOERROR, (builder) => {
    for (const link of parts.chain) {
      const ttl = Math.min(link.ttl, MAX_TTL_SECONDS);
      const target = readName(chainMessage!.bytes, link.rdataStart).name;
      const record = { name: link.name, type: link.type, class: CLASS_IN, ttlSeconds: ttl };
      builder.add("answer", record, target);
    }
    if (query.isDnssecOk && parts.chain.length > 0) {
      for (const { name, ttl, rdata } of chainSignatures(chainMessage!)) {
        const ttlSeconds = Math.min(ttl, MAX_TTL_SECONDS);
        builder.add("answer", { name, type: TYPE.RRSIG, class: CLASS_IN, ttlSeconds }, rdata);
      }
    }
    for (const { address } of standIns) {
      builder.add("answer", { name: parts.owner, type, class: CLASS_IN, ttlSeconds }, address);
    }
    for (const { record, rdata } of kept) {
      const { name } = record;
      builder.add("answer", { name, type, class: CLASS_IN, ttlSeconds }, rdata);
    }
  });
}

/** Signatures over the links of the chain, which are as upstream sent them (RFC 4034 §3.1). */
function chainSignatures(message: DnsMessage) {
  return message.records
    .filter(({ section, type }) => section === "answer" && type === TYPE.RRSIG)
    .map((record) => ({ name: record.name, ttl: record.ttl, rdata: rdataOf(message, record) }))
    .filter(({ rdata }) => {
      const covered = rdata.length < 2 ? 0 : (rdata[0]! << 8) | rdata[1]!;
      return covered === TYPE.CNAME || covered === TYPE.DNAME;
    });
}
