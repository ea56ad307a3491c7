/**
 * Address hints in HTTPS and SVCB records (RFC 9460 §7.3) lead a browser past the HITs of their
 * target. Where the target has a usable HIP record they are taken out.
 */

import { MalformedPacketError } from "../base/errors.ts";
import type { Instant } from "../base/time.ts";
import { CLASS_IN, FLAG, RCODE, TYPE } from "../wire/dns/code_points.ts";
import {
  answersOfType,
  type DnsMessage,
  type DnsRecord,
  messageFlags,
  parseMessage,
  rdataOf,
} from "../wire/dns/message.ts";
import { nameKey, readName, ROOT, sameName } from "../wire/dns/name.ts";
import { followChain } from "./chain.ts";
import { type ClientQuery, localReply } from "./client_query.ts";
import { MAX_HINT_TARGETS, SUITE_PREFERENCE } from "./constants.ts";
import type { DnsCounters } from "./counters.ts";
import { type KnownKeys, peersOfAnswer } from "./hip_records.ts";
import type { NameMode } from "./name_modes.ts";
import type { LookupOutcome, UpstreamLookups } from "./upstream.ts";

/** SvcParamKeys (RFC 9460 §14.3.2). */
const IPV4_HINT = 4;
const IPV6_HINT = 6;

export interface HintContext {
  readonly lookups: UpstreamLookups;
  readonly keys: KnownKeys;
  readonly counters: DnsCounters;
  /** Whether hints of a target in this mode are to go, where it has HITs. */
  removesFor(mode: NameMode): boolean;
  modeOf(name: Uint8Array): NameMode;
}

/** Whether records of this type may hold hints. */
export function mayHoldHints(type: number): boolean {
  return type === TYPE.HTTPS || type === TYPE.SVCB;
}

/**
 * Looks at an answer to a question for HTTPS or SVCB.
 *
 * @param done Called once, perhaps at once: with the answer without hints, or undefined when it is
 *   to stay as it is.
 */
export function removeHints(
  now: Instant,
  context: HintContext,
  query: ClientQuery,
  bytes: Uint8Array,
  done: (now: Instant, changed: Uint8Array | undefined) => void,
): void {
  const message = tryParse(bytes);
  const targets = message === undefined ? [] : hintedTargets(message, query.question.type)
    .filter((target) => context.removesFor(context.modeOf(target)))
    .slice(0, MAX_HINT_TARGETS);
  if (message === undefined || targets.length === 0) return done(now, undefined);
  const stripped = new Set<string>();
  let pending = targets.length;
  for (const target of targets) {
    const question = {
      name: target,
      type: TYPE.HIP,
      class: CLASS_IN,
      followsTruncation: true,
      isCheckingDisabled: query.isCheckingDisabled,
      client: query.client.source,
    };
    context.lookups.start(now, question, (at, outcome) => {
      if (hasHits(outcome, target, context)) stripped.add(nameKey(target));
      pending--;
      if (pending > 0) return;
      done(at, stripped.size === 0 ? undefined : withoutHints(query, message, stripped, context));
    });
  }
}

/** Nothing known counts as a HIT where nothing but HIP may be used. */
function hasHits(outcome: LookupOutcome, target: Uint8Array, context: HintContext): boolean {
  const message = outcome.kind === "answer" ? tryParse(outcome.bytes) : undefined;
  const rcode = message === undefined ? RCODE.SERVFAIL : message.flags & FLAG.RCODE_MASK;
  if (message === undefined || (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN)) {
    return context.modeOf(target) === "require";
  }
  const owner = followChain(message, target)?.canonicalName ?? target;
  return peersOfAnswer(
    message,
    owner,
    SUITE_PREFERENCE,
    context.keys,
    context.counters,
    () => {},
  ).length > 0;
}

function hintedTargets(message: DnsMessage, type: number): Uint8Array[] {
  const targets = answersOfType(message, type)
    .filter((record) => paramsOf(message, record).some(({ key }) => isHint(key)))
    .map((record) => targetOf(message, record));
  return targets.filter((target, place) =>
    targets.findIndex((other) => sameName(other, target)) === place
  );
}

/** RFC 9460 §2.5.2: the root stands for the owner. */
function targetOf(message: DnsMessage, record: DnsRecord): Uint8Array {
  const { name } = readName(message.bytes, record.rdataStart + 2);
  return sameName(name, ROOT) ? record.name : name;
}

/** The parameters of a record with where they lie in the message (RFC 9460 §2.2). */
function paramsOf(
  { bytes }: DnsMessage,
  { rdataStart, end }: DnsRecord,
): { key: number; start: number; end: number }[] {
  const params: { key: number; start: number; end: number }[] = [];
  let at = readName(bytes, rdataStart + 2).next;
  while (at + 4 <= end) {
    const next = at + 4 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
    if (next > end) throw new MalformedPacketError("SVCB record", "parameter runs past its end");
    params.push({ key: (bytes[at]! << 8) | bytes[at + 1]!, start: at, end: next });
    at = next;
  }
  return params;
}

function isHint(key: number): boolean {
  return key === IPV4_HINT || key === IPV6_HINT;
}

/** The answer section without the hints of those targets; what comes after it would lead there too. */
function withoutHints(
  query: ClientQuery,
  message: DnsMessage,
  targets: ReadonlySet<string>,
  { counters }: HintContext,
): Uint8Array {
  const { type } = query.question;
  const rcode = messageFlags(message.bytes) & FLAG.RCODE_MASK;
  return localReply(query, rcode, (builder) => {
    for (const record of message.records) {
      if (record.section !== "answer") continue;
      const isLink = record.type === TYPE.CNAME || record.type === TYPE.DNAME;
      if (record.type !== type && !isLink) continue;
      let rdata = rdataOf(message, record);
      if (isLink) rdata = readName(message.bytes, record.rdataStart).name;
      else if (targets.has(nameKey(targetOf(message, record)))) {
        const params = paramsOf(message, record);
        const kept = params.filter(({ key }) => !isHint(key));
        counters.count("hints-removed", params.length - kept.length);
        const head = params[0]?.start ?? record.end;
        rdata = Uint8Array.of(
          ...message.bytes.subarray(record.rdataStart, head),
          ...kept.flatMap(({ start, end }) => [...message.bytes.subarray(start, end)]),
        );
      }
      const { name, class: rclass, ttl: ttlSeconds } = record;
      builder.add("answer", { name, type: record.type, class: rclass, ttlSeconds }, rdata);
    }
  });
}

function tryParse(bytes: Uint8Array): DnsMessage | undefined {
  try {
    const message = parseMessage(bytes);
    // Whoever reads it later does not look for errors.
    for (const type of [TYPE.HTTPS, TYPE.SVCB]) {
      for (const record of answersOfType(message, type)) paramsOf(message, record);
    }
    for (const type of [TYPE.CNAME, TYPE.DNAME]) {
      for (const record of answersOfType(message, type)) readName(bytes, record.rdataStart);
    }
    return message;
  } catch (error) {
    if (error instanceof MalformedPacketError) return undefined;
    throw error;
  }
}
