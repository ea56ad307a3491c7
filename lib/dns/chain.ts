/** Chains of CNAME records in one answer (RFC 1035 §3.6.2). */

import { TYPE } from "../wire/dns/code_points.ts";
import { answersOfType, type DnsMessage, type DnsRecord } from "../wire/dns/message.ts";
import { nameKey, readName, sameName } from "../wire/dns/name.ts";
import { MAX_CHAIN } from "./constants.ts";

/** Where an answer leads from the name that was asked for. */
export interface Chain {
  /** The name behind the last CNAME, or the name asked for when there is none. */
  readonly canonicalName: Uint8Array;
  /** CNAME and DNAME records of the answer, in the order they came. */
  readonly links: readonly DnsRecord[];
}

/**
 * Follows the CNAMEs of an answer.
 *
 * @returns undefined when they form a loop or are more than `MAX_CHAIN`.
 * @throws {MalformedPacketError} When a CNAME's RDATA is no name.
 */
export function followChain(message: DnsMessage, start: Uint8Array): Chain | undefined {
  const targets = new Map<string, Uint8Array>();
  for (const record of answersOfType(message, TYPE.CNAME)) {
    const key = nameKey(record.name);
    if (!targets.has(key)) targets.set(key, readName(message.bytes, record.rdataStart).name);
  }
  let canonicalName = start;
  let steps = 0;
  for (;;) {
    const target = targets.get(nameKey(canonicalName));
    if (target === undefined) break;
    if (++steps > MAX_CHAIN) return undefined;
    canonicalName = target;
  }
  const links = message.records.filter((record) =>
    record.section === "answer" && (record.type === TYPE.CNAME || record.type === TYPE.DNAME)
  );
  return { canonicalName, links };
}

/** The records of `type` whose owner is `owner`. */
export function recordsOf(message: DnsMessage, type: number, owner: Uint8Array): DnsRecord[] {
  return answersOfType(message, type).filter((record) => sameName(record.name, owner));
}
