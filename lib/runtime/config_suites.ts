/**
 * The lists of groups, ciphers and suites in the configuration. What the registry calls reserved,
 * deprecated or unassigned is refused with the reason; what is weak can be had, and is never in a
 * default (RFC 7401 §5.2.7, §5.2.8, §5.2.10; RFC 7402 §5.1.2).
 */

import { DH_GROUPS } from "../crypto/dh_group.ts";
import { HIP_CIPHERS } from "../crypto/hip_cipher.ts";
import { ESP_SUITES } from "../crypto/esp_suite.ts";
import { MAX_CIPHERS, MAX_ESP_SUITES } from "../hip/negotiation.ts";
import { codePoints } from "./config_values.ts";

const HIT_SUITES: readonly number[] = [1, 2, 3, 5];

function deprecated(what: string, rfc: string): string {
  return `${what} is deprecated since ${rfc}, and nobody may offer it`;
}

const NOT_A_GROUP: Readonly<Record<number, string>> = {
  0: "Group 0 is reserved",
  1: deprecated("Group 1 (384 bits)", "RFC 7401"),
  2: deprecated("Group 2 (Oakley 1)", "RFC 7401"),
  5: deprecated("Group 5 (MODP 6144)", "RFC 7401"),
  6: deprecated("Group 6 (MODP 8192)", "RFC 7401"),
};

const NOT_A_CIPHER: Readonly<Record<number, string>> = {
  0: "Cipher 0 is reserved",
  3: "Cipher 3 is reserved",
};

const NOT_A_HIT_SUITE: Readonly<Record<number, string>> = {
  0: "HIT suite 0 is reserved",
  4: "HIT suite 4 is not assigned",
};

const NOT_AN_ESP_SUITE: Readonly<Record<number, string>> = {
  0: "ESP suite 0 is reserved",
  ...Object.fromEntries(
    [2, 3, 4, 5, 6].map((id) => [id, deprecated(`ESP suite ${id}`, "RFC 7402")]),
  ),
};

/** Diffie-Hellman Group IDs. */
export function dhGroups(text: string): number[] {
  return codePoints(text, DH_GROUPS, NOT_A_GROUP, DH_GROUPS.length);
}

export function hipCiphers(text: string): number[] {
  return codePoints(text, HIP_CIPHERS, NOT_A_CIPHER, MAX_CIPHERS);
}

export function espSuites(text: string): number[] {
  return codePoints(text, [...ESP_SUITES.keys()], NOT_AN_ESP_SUITE, MAX_ESP_SUITES);
}

export function hitSuites(text: string): number[] {
  return codePoints(text, HIT_SUITES, NOT_A_HIT_SUITE, HIT_SUITES.length);
}
