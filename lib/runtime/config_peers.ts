/**
 * `peer = WHO [refuse] [esp_suites=8,9] [idle_timeout=2d]`: one rule of the access list. WHO is a
 * HIT, a prefix of HITs, `anonymous`, or `*` for everybody.
 */

import { toHex } from "../base/bytes.ts";
import type { AccessRule, AccessSubject } from "../hip/access_list.ts";
import { isHit } from "../identity/hit.ts";
import { parseIpAddress } from "../wire/ip_address.ts";
import { espSuites } from "./config_suites.ts";
import { oneOf, span } from "./config_values.ts";

/** Bits that all HITs have in common; the next four are the HIT suite. */
const HIT_PREFIX_BITS = 28;

const WHO = "Name a HIT, a prefix such as 2001:22::/32, anonymous, or * for everybody";

const ATTRIBUTES = ["esp_suites", "idle_timeout"] as const;

/** @throws {SyntaxError} */
export function peerRule(text: string): AccessRule {
  const [who = "", ...words] = text.split(/\s+/);
  const subject = subjectOf(who);
  const rule: { -readonly [K in keyof AccessRule]: AccessRule[K] } = { subject, isRefused: false };
  for (const word of words) {
    const [key, value] = word.split("=", 2);
    if (value === undefined) {
      if (key !== "refuse") {
        throw new SyntaxError("Behind the peer, use refuse, esp_suites=8,9 or idle_timeout=2d");
      }
      rule.isRefused = true;
      continue;
    }
    switch (oneOf(ATTRIBUTES, key!)) {
      case "esp_suites":
        if (subject.kind === "anonymous") {
          throw new SyntaxError(
            "A peer is known to be anonymous only after the suites were offered",
          );
        }
        rule.espSuites = espSuites(value);
        break;
      case "idle_timeout":
        rule.idleTimeout = span(value, "60s", "365d");
    }
  }
  if (rule.isRefused && words.length > 1) {
    throw new SyntaxError("A peer that is refused needs no more");
  }
  return rule;
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
