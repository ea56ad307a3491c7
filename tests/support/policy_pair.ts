/** Two engines of which each has its own options: for what one host allows the other. */

import type { EngineOptions } from "../../lib/engine/engine.ts";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import { AccessList, type AccessRule, type AccessSubject } from "../../lib/hip/access_list.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { End, EnginePair } from "./engine_pair.ts";
import { testIdentity } from "./identities.ts";

export const ALICE = testIdentity("ecdsa-p256", "alice");
export const BOB = testIdentity("ecdsa-p256", "bob");

/** Alice, who asks, and Bob, who answers; Alice knows where Bob is. */
export function unlikePair(
  ofA: Partial<EngineOptions>,
  ofB: Partial<EngineOptions>,
  addresses: readonly [string, string] = ["192.0.2.1", "192.0.2.2"],
): EnginePair {
  const a = new End(ofA.identities?.[0]?.identity ?? ALICE, addresses[0], 1, ofA);
  const b = new End(ofB.identities?.[0]?.identity ?? BOB, addresses[1], 2, ofB);
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  return pair;
}

/** Identities as an engine takes them. */
export function hosted(
  identities: readonly PrivateHostIdentity[],
  isAnonymous = false,
): EngineOptions["identities"] {
  return identities.map((identity, i) => ({ identity, name: `identity ${i}`, isAnonymous }));
}

/** "anonymous", "*", a prefix such as "2001:22::/32", or the octets of a HIT. */
export function about(subject: string | Uint8Array): AccessSubject {
  if (subject instanceof Uint8Array) return { kind: "hit", hit: subject };
  if (subject === "anonymous") return { kind: "anonymous" };
  if (subject === "*") return { kind: "prefix", prefix: new Uint8Array(16), length: 0 };
  const [prefix, length] = subject.split("/");
  return { kind: "prefix", prefix: parseIpAddress(prefix!), length: Number(length) };
}

/** A rule that serves, unless `more` says otherwise. */
export function rule(
  subject: string | Uint8Array,
  more: Partial<Omit<AccessRule, "subject">> = {},
): AccessRule {
  return { subject: about(subject), isRefused: false, ...more };
}

export const REFUSED = { isRefused: true } as const;

export function accessOf(...rules: AccessRule[]): { readonly access: AccessList } {
  return { access: new AccessList(rules) };
}
