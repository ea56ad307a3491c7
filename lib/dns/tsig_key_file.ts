/**
 * Files with a TSIG key, in the forms that servers and their tools write: that of BIND
 * (`tsig-keygen`), that of Knot DNS (`keymgr -t`), and the one line of `nsupdate -y`. Pure.
 */

import { decodeBase64 } from "../wire/dns/hip_presentation.ts";
import { parseName } from "../wire/dns/name.ts";
import { TSIG_ALGORITHMS, type TsigKey } from "./tsig.ts";

/** What the one line has when it names no algorithm, as `nsupdate` of our day takes it. */
const DEFAULT_ALGORITHM = "hmac-sha256";

/**
 * Reads the first key.
 *
 * @throws {SyntaxError} Saying what is missing; no part of the secret is quoted.
 */
export function parseTsigKey(text: string): TsigKey {
  const plain = text.replace(/^\s*(#|\/\/).*$/gm, "");
  const { name, algorithm, secret } = fieldsOf(plain);
  if (name === undefined || secret === undefined) {
    throw new SyntaxError("it holds no TSIG key. Write one with: tsig-keygen NAME");
  }
  const known = (algorithm ?? DEFAULT_ALGORITHM).toLowerCase().replace(/\.$/, "");
  if (!TSIG_ALGORITHMS.includes(known)) {
    throw new SyntaxError(
      `its algorithm ${known.slice(0, 40)} cannot be used. Use one of ${
        TSIG_ALGORITHMS.join(", ")
      }`,
    );
  }
  let octets: Uint8Array;
  try {
    octets = decodeBase64(secret);
  } catch {
    throw new SyntaxError("its secret is not Base64. Write a key with: tsig-keygen NAME");
  }
  return { name: parseName(name), algorithm: known, secret: octets };
}

interface Fields {
  readonly name: string | undefined;
  readonly algorithm?: string | undefined;
  readonly secret: string | undefined;
}

function fieldsOf(text: string): Fields {
  const bind = /\bkey\s+"?([^\s"{]+)"?\s*\{([^}]*)\}/.exec(text);
  if (bind !== null) {
    const field = (name: string) => new RegExp(`\\b${name}\\s+"?([^\\s";]+)"?\\s*;`).exec(bind[2]!);
    return { name: bind[1], algorithm: field("algorithm")?.[1], secret: field("secret")?.[1] };
  }
  const knot = (name: string) => new RegExp(`\\b${name}:\\s*"?([^\\s"]+)"?`).exec(text)?.[1];
  if (/^\s*key:/m.test(text)) {
    return { name: knot("id"), algorithm: knot("algorithm"), secret: knot("secret") };
  }
  const line = /^\s*(?:(hmac-[\w-]+):)?([^\s:]+):([A-Za-z0-9+/=]+)\s*$/m.exec(text);
  return { name: line?.[2], algorithm: line?.[1], secret: line?.[3] };
}
