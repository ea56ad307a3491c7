/**
 * The text form of a HIP record, as it stands in a zone file (RFC 8005 §6), and the generic form
 * of unknown records (RFC 3597 §5).
 */

import { fromHex, toHex } from "../../base/bytes.ts";
import { Reader } from "../reader.ts";
import { HIP, type HipRecord, publicKeyProblem } from "./hip.ts";
import { formatName, parseName, ROOT } from "./name.ts";
import { encodeRdata } from "./record.ts";

/** `( 2 2001... AwEA... rvs.example. )`, on one line. */
export function formatHipRdata(record: HipRecord): string {
  const words = [
    String(record.pkAlgorithm),
    toHex(record.hit).toUpperCase(),
    encodeBase64(record.publicKey),
    ...record.rendezvousNames.map(formatName),
  ];
  return `( ${words.join(" ")} )`;
}

/** A whole zone line: `www.example.com. IN HIP ( ... )`. */
export function formatHipRecord(owner: Uint8Array, record: HipRecord): string {
  return `${formatName(owner)} IN HIP ${formatHipRdata(record)}`;
}

/** A whole zone line in the generic form: `www.example.com. IN TYPE55 \# 108 0010...`. */
export function formatGenericHipRecord(owner: Uint8Array, record: HipRecord): string {
  return `${formatName(owner)} IN TYPE55 ${formatGenericHipRdata(record)}`;
}

/** The generic form: `\# 24 0010...`, to stand behind `TYPE55`. */
export function formatGenericHipRdata(record: HipRecord): string {
  const bytes = encodeRdata(HIP, record);
  return `\\# ${bytes.length} ${toHex(bytes).toUpperCase()}`;
}

/**
 * Reads either form of the RDATA. Parentheses, line ends and comments count as white space.
 *
 * @param origin What names without a last dot are relative to.
 * @throws {SyntaxError} Saying which field is wrong. A key split by white space is refused
 * (RFC 8005 §6), since its pieces could pass for names of rendezvous servers.
 */
export function parseHipRdata(text: string, origin: Uint8Array = ROOT): HipRecord {
  const words = text.replace(/;[^\n]*/g, " ").replace(/[()]/g, " ").split(/\s+/)
    .filter((word) => word !== "");
  if (words[0] === "\\#") return parseGeneric(words);
  const [algorithm, hit, key, ...names] = words;
  if (algorithm === undefined || hit === undefined || key === undefined) {
    throw new SyntaxError("Cannot read HIP record: need PK algorithm, HIT and public key");
  }
  if (!/^[0-9]+$/.test(algorithm) || Number(algorithm) > 255) {
    throw new SyntaxError(`Cannot read HIP record: PK algorithm "${algorithm}" is not 0 to 255`);
  }
  if (!/^([0-9a-fA-F]{2})+$/.test(hit) || hit.length > 510) {
    throw new SyntaxError(`Cannot read HIP record: HIT "${hit.slice(0, 40)}" is not Base16`);
  }
  const pkAlgorithm = Number(algorithm);
  const publicKey = decodeBase64(key);
  if (pkAlgorithm >= 1 && pkAlgorithm <= 4) {
    const problem = publicKeyProblem(pkAlgorithm, publicKey);
    if (problem !== undefined) {
      throw new SyntaxError(`Cannot read HIP record: ${problem} (is it split by white space?)`);
    }
  }
  const rendezvousNames = names.map((name) => {
    if (/[+/=]/.test(name)) {
      throw new SyntaxError(
        `Cannot read HIP record: "${name.slice(0, 40)}" is no name of a rendezvous server ` +
          "(is the public key split by white space?)",
      );
    }
    return parseName(name, origin);
  });
  return { pkAlgorithm, hit: fromHex(hit), publicKey, rendezvousNames };
}

function parseGeneric(words: readonly string[]): HipRecord {
  const bytes = fromHex(words.slice(2).join(""));
  if (String(bytes.length) !== words[1]) {
    throw new SyntaxError(
      `Cannot read HIP record: \\# announces ${words[1] ?? "no"} octets, have ${bytes.length}`,
    );
  }
  return HIP.parse(new Reader(bytes, "HIP record"));
}

/** Standard alphabet with padding (RFC 4648 §4). */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return btoa(text);
}

/**
 * The inverse of `encodeBase64`.
 *
 * @throws {SyntaxError} On anything else than whole groups of the standard alphabet.
 */
export function decodeBase64(text: string): Uint8Array {
  if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text) || text === "") {
    throw new SyntaxError(`Cannot read "${text.slice(0, 24)}..." as Base64 with padding`);
  }
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
