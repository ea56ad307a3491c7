/**
 * Fixed identities for tests: two of each kind, made once and kept as PEM files in
 * `tests/vectors/identities/`, because making an RSA or DSA key takes longer than most tests.
 * They protect nothing.
 */

import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import {
  decodeIdentityPem,
  IDENTITY_KINDS,
  type IdentityKind,
} from "../../lib/identity/host_identity.ts";

export type TestOwner = "alice" | "bob";

const loaded = new Map<string, PrivateHostIdentity>();

/** One of the fixed identities; the same object every time. */
export function testIdentity(kind: IdentityKind, owner: TestOwner): PrivateHostIdentity {
  const name = `${kind}-${owner}`;
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const url = new URL(`../vectors/identities/${name}.pem`, import.meta.url);
  const identity = decodeIdentityPem(Deno.readTextFileSync(url));
  loaded.set(name, identity);
  return identity;
}

/** Every kind there is, cheap ones and costly ones. */
export const ALL_IDENTITY_KINDS: readonly IdentityKind[] = IDENTITY_KINDS;
