/**
 * Private keys in the form in which the runtime's own cryptography takes them. Making one costs as
 * much as a signature, so the last few are kept; they stay within the thread that signs.
 */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { Buffer } from "node:buffer";
import { toHex } from "../base/bytes.ts";
import {
  type EcPrivateKey,
  type Ed25519PrivateKey,
  emitEcPrivateKey,
  emitEd25519PrivateKey,
} from "./private_key.ts";
import { digest } from "./rhash.ts";

/** Keys that are kept: more than a host has identities, as a rule. */
const MAX_KEYS = 16;

/** Under a hash of curve and number: the key itself is not to be a string. Oldest first. */
const keys = new Map<string, KeyObject>();

/** @param key One whose curve the runtime has. */
export function runtimeKey(key: EcPrivateKey | Ed25519PrivateKey): KeyObject {
  const [curve, secret] = key.kind === "ec"
    ? [key.curve.name, key.scalar] as const
    : ["Ed25519", key.seed] as const;
  const name = `${curve} ${toHex(digest("sha256", secret))}`;
  const known = keys.get(name);
  if (known !== undefined) return known;
  const pkcs8 = key.kind === "ec"
    ? emitEcPrivateKey(key.curve, key.scalar)
    : emitEd25519PrivateKey(key.seed);
  const made = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value!);
  keys.set(name, made);
  return made;
}
