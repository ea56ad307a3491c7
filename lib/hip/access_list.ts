/**
 * The access list: which peers this host serves as a Responder, with which ESP suites and for how
 * long without traffic (RFC 7401 §7; per-HIT lifetimes: RFC 7402 §3.3.7).
 *
 * The most specific rule decides: the peer's own HIT, then "anonymous" for a peer that says it is,
 * then the longest prefix. A suite list or a lifetime that a rule leaves out comes from the next
 * rule that has one. A look-up costs one hash table access, and one comparison per prefix rule.
 */

import { toHex } from "../base/bytes.ts";
import type { Duration } from "../base/time.ts";
import type { Transport } from "./transport.ts";
import { hasPrefix } from "../wire/ip_address.ts";

/** Whom a rule is about. */
export type AccessSubject =
  | { readonly kind: "hit"; readonly hit: Uint8Array }
  /** Length 0 to 127 bits; 0 is everybody. */
  | { readonly kind: "prefix"; readonly prefix: Uint8Array; readonly length: number }
  /** Peers whose R1 or I2 has the A bit (§5.1.2). */
  | { readonly kind: "anonymous" };

export interface AccessRule {
  readonly subject: AccessSubject;
  /** Whether exchanges that such a peer starts are refused. */
  readonly isRefused: boolean;
  /** ESP suite IDs for such a peer, most preferred first; undefined: the host's. */
  readonly espSuites?: readonly number[];
  /** Inactivity after which an association with such a peer ends; undefined: the host's. */
  readonly idleTimeout?: Duration;
  /** What HIP and ESP pass over; undefined: the host's. */
  readonly transport?: Transport;
  /** Whether we meet this peer, named by its HIT, under an anonymous identity made for it alone. */
  readonly isMetAnonymously?: boolean;
}

export class AccessList {
  readonly #byHit = new Map<string, AccessRule>();
  /** Longest first. */
  readonly #prefixes: { readonly prefix: Uint8Array; length: number; rule: AccessRule }[] = [];
  #anonymous: AccessRule | undefined;

  /** Serves everybody alike. */
  static readonly OPEN = new AccessList([]);

  /** @param rules In any order; of two about the same subject the last one counts. */
  constructor(rules: readonly AccessRule[]) {
    for (const rule of rules) {
      const { subject } = rule;
      switch (subject.kind) {
        case "hit":
          this.#byHit.set(toHex(subject.hit), rule);
          break;
        case "prefix":
          this.#prefixes.unshift({ prefix: subject.prefix, length: subject.length, rule });
          break;
        case "anonymous":
          this.#anonymous = rule;
      }
    }
    this.#prefixes.sort((a, b) => b.length - a.length);
  }

  /**
   * Whether an I1 is refused. It does not say whether its sender is anonymous: where anonymous
   * peers are served and others are not, that is left to the I2.
   */
  refusesI1(hit: Uint8Array): boolean {
    const named = this.#named(hit);
    if (named !== undefined) return named.isRefused;
    const isAnonymousServed = this.#anonymous?.isRefused === false;
    return !isAnonymousServed && this.#prefixOf(hit)?.isRefused === true;
  }

  /** Whether an exchange that the peer started is refused, once the A bit is known. */
  refuses(hit: Uint8Array, isAnonymous: boolean): boolean {
    return this.#rules(hit, isAnonymous)[0]?.isRefused ?? false;
  }

  /** Whether anonymous peers without a rule of their own are refused. */
  get refusesAnonymous(): boolean {
    return this.#anonymous?.isRefused ?? false;
  }

  /** ESP suites for a peer; undefined: the host's. The A bit has no say: R1 goes before it. */
  espSuitesFor(hit: Uint8Array): readonly number[] | undefined {
    return this.#rules(hit, false).find(({ espSuites }) => espSuites !== undefined)?.espSuites;
  }

  /** Inactivity after which an association ends; undefined: the host's. */
  idleTimeoutFor(hit: Uint8Array, isAnonymous: boolean): Duration | undefined {
    const rules = this.#rules(hit, isAnonymous);
    return rules.find(({ idleTimeout }) => idleTimeout !== undefined)?.idleTimeout;
  }

  /** What HIP and ESP pass over; undefined: the host's. The A bit has no say, as above. */
  transportFor(hit: Uint8Array): Transport | undefined {
    if (this.#byHit.size === 0 && this.#prefixes.length === 0) return undefined;
    return this.#rules(hit, false).find(({ transport }) => transport !== undefined)?.transport;
  }

  /** The peers that we meet under anonymous identities. */
  get metAnonymously(): Uint8Array[] {
    return [...this.#byHit.values()].flatMap(({ subject, isMetAnonymously }) =>
      isMetAnonymously === true && subject.kind === "hit" ? [subject.hit] : []
    );
  }

  /** Whether a peer is one of them. */
  isMetAnonymously(hit: Uint8Array): boolean {
    return this.#named(hit)?.isMetAnonymously === true;
  }

  /** Every list of ESP suites that some rule has, each once. */
  get espSuiteLists(): (readonly number[])[] {
    const rules = [...this.#byHit.values(), ...this.#prefixes.map(({ rule }) => rule)];
    const lists = new Map<string, readonly number[]>();
    for (const { espSuites } of rules) if (espSuites) lists.set(espSuites.join(), espSuites);
    return [...lists.values()];
  }

  #named(hit: Uint8Array): AccessRule | undefined {
    return this.#byHit.size === 0 ? undefined : this.#byHit.get(toHex(hit));
  }

  #prefixOf(hit: Uint8Array): AccessRule | undefined {
    return this.#prefixes.find(({ prefix, length }) => hasPrefix(hit, prefix, length))?.rule;
  }

  /** The rules for a peer, the most specific one first. */
  #rules(hit: Uint8Array, isAnonymous: boolean): AccessRule[] {
    const rules = this.#prefixes
      .filter(({ prefix, length }) => hasPrefix(hit, prefix, length))
      .map(({ rule }) => rule);
    if (isAnonymous && this.#anonymous !== undefined) rules.unshift(this.#anonymous);
    const named = this.#named(hit);
    if (named !== undefined) rules.unshift(named);
    return rules;
  }
}
