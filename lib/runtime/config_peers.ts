/**
 * `peer = WHO [refuse] [anonymously] [esp_suites=8,9] [idle_timeout=2d] [transport=raw]`: one rule of
 * the access list. WHO is a HIT, a prefix of HITs, `anonymous`, or `*` for everybody.
 */

import { toHex } from "../base/bytes.ts";
import type { AccessRule, AccessSubject } from "../hip/access_list.ts";
import { TRANSPORTS } from "../hip/transport.ts";
import { isHit } from "../identity/hit.ts";
import { parseIpAddress } from "../wire/ip_address.ts";
import { espSuites } from "./config_suites.ts";
import { oneOf, span } from "./config_values.ts";

/** Bits that all HITs have in common; the next four are the HIT suite. */
const HIT_PREFIX_BITS = 28;

const WHO = "Name a HIT, a prefix such as 2001:22::/32, anonymous, or * for everybody";

/** What may stand behind the peer. */
const BEHIND = "Behind the peer, use refuse, anonymously, esp_suites=8,9, idle_timeout=2d or " +
  "transport=auto, udp or raw";

/** A rule that is being read. */
type Draft = { -readonly [K in keyof AccessRule]: AccessRule[K] };

/** @throws {SyntaxError} */
export function peerRule(text: string): AccessRule {
  const [who = "", ...words] = text.split(/\s+/);
  const subject = subjectOf(who);
  const rule: Draft = { subject, isRefused: false };
  for (const word of words) {
    const [key, value] = word.split("=", 2);
    if (value === undefined) readWord(rule, key!);
    else readAttribute(rule, key!, value);
  }
  return rule;
}

function readWord(rule: Draft, word: string): void {
  switch (word) {
    case "refuse":
      rule.isRefused = true;
      return;
    case "anonymously":
      if (rule.subject.kind !== "hit") {
        throw new SyntaxError("An anonymous identity is made for one peer, named by its HIT");
      }
      rule.isMetAnonymously = true;
      return;
    default:
      throw new SyntaxError(BEHIND);
  }
}

function readAttribute(rule: Draft, key: string, value: string): void {
  switch (key) {
    case "esp_suites":
      if (rule.subject.kind === "anonymous") {
        throw new SyntaxError("That a peer is anonymous is known only after suites were offered");
      }
      rule.espSuites = espSuites(value);
      return;
    case "idle_timeout":
      rule.idleTimeout = span(value, "60s", "365d");
      return;
    case "transport":
      if (rule.subject.kind === "anonymous") {
        throw new SyntaxError("That a peer is anonymous is known only after its transport is");
      }
      rule.transport = oneOf(TRANSPORTS, value);
      return;
    default:
      throw new SyntaxError(BEHIND);
  }
}

/** The same text for the same subject. */
export function subjectKey(subject: AccessSubject): string {
  switch (subject.kind) {
    case "hit":
      return toHex(subject.hit);
    case "prefix":
      return `${toHex(subject.prefix)}/${subject.length}`;
    case "anonymous":
      return "anonymous";
  }
}

function subjectOf(who: string): AccessSubject {
  if (who === "anonymous") return { kind: "anonymous" };
  if (who === "*") return { kind: "prefix", prefix: new Uint8Array(16), length: 0 };
  const [address, length] = who.split("/", 2);
  const octets = hitOctets(address!);
  if (length === undefined) return { kind: "hit", hit: octets };
  const bits = /^\d+$/.test(length) ? Number(length) : NaN;
  if (!(bits >= HIT_PREFIX_BITS && bits < 128)) {
    throw new SyntaxError(`A prefix of HITs has ${HIT_PREFIX_BITS} to 127 bits`);
  }
  return { kind: "prefix", prefix: octets, length: bits };
}

function hitOctets(text: string): Uint8Array {
  let octets: Uint8Array;
  try {
    octets = parseIpAddress(text);
  } catch {
    throw new SyntaxError(WHO);
  }
  if (!isHit(octets)) throw new SyntaxError(`${text} is an address and no HIT. ${WHO}`);
  return octets;
}
