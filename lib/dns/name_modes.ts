/**
 * How names are answered, by suffix (RFC 5338 §3.2). Programs that try addresses beside each other
 * may be done with a native one before HIP is: only `hit-only` and `require` keep them to HIP.
 */

import { isUnder, ROOT } from "../wire/dns/name.ts";

/**
 * - `hit-first`: HITs before native addresses.
 * - `hit-only`: HITs alone, where there are any.
 * - `require`: HITs or nothing.
 * - `off`: as if there were no HIP.
 */
export const NAME_MODES = ["hit-first", "hit-only", "require", "off"] as const;
export type NameMode = typeof NAME_MODES[number];

export interface NameModeRule {
  /** A name: it and all below it. */
  readonly suffix: Uint8Array;
  readonly mode: NameMode;
}

export class NameModes {
  /** The longest suffix first. */
  readonly #rules: readonly NameModeRule[];

  constructor(rules: readonly NameModeRule[] = []) {
    this.#rules = [...rules, { suffix: ROOT, mode: "hit-first" as const }]
      .toSorted((a, b) => b.suffix.length - a.suffix.length);
  }

  /** The mode of the longest suffix that fits. */
  of(name: Uint8Array): NameMode {
    return this.#rules.find(({ suffix }) => isUnder(name, suffix))!.mode;
  }
}
