/**
 * Domain names (RFC 1035 §3.1, §4.1.4). Inside the program a name is its uncompressed wire form:
 * labels, each behind its length octet, and the root's zero octet. Labels are opaque octets; only
 * ASCII letters compare without regard to case (RFC 4343).
 */

import { latin1 } from "../../base/bytes.ts";
import { MalformedPacketError } from "../../base/errors.ts";

/** Most octets of a name, length octets and root included (RFC 1035 §3.1). */
export const MAX_NAME_OCTETS = 255;

/** Most compression pointers followed for one name. */
const MAX_POINTERS = 127;

/** Where a name is put together. */
const scratch = new Uint8Array(MAX_NAME_OCTETS);

/** The root, ".". */
export const ROOT: Uint8Array = Uint8Array.of(0);

function fail(problem: string): never {
  throw new MalformedPacketError("domain name", problem);
}

/**
 * Reads a possibly compressed name of a message. Every pointer must lead to an earlier place than
 * the piece it stands in, so reading always ends.
 *
 * @returns The name without compression and the offset behind its first piece.
 * @throws {MalformedPacketError} On anything RFC 1035 does not allow.
 */
export function readName(message: Uint8Array, offset: number): { name: Uint8Array; next: number } {
  const name = scratch;
  let length = 0;
  let pointers = 0;
  let position = offset;
  let pieceStart = offset;
  let next = -1;
  for (;;) {
    const head = message[position];
    if (head === undefined) fail("runs past the end of the message");
    if (head >= 0xc0) {
      const low = message[position + 1];
      if (low === undefined) fail("compression pointer runs past the end of the message");
      const target = ((head & 0x3f) << 8) | low;
      if (next < 0) next = position + 2;
      if (target >= pieceStart) fail(`compression pointer to ${target} does not lead back`);
      if (++pointers > MAX_POINTERS) fail(`more than ${MAX_POINTERS} compression pointers`);
      position = target;
      pieceStart = target;
      continue;
    }
    if (head > 63) fail(`label type ${head >> 6} unknown`);
    if (length + 1 + head > MAX_NAME_OCTETS) fail(`longer than ${MAX_NAME_OCTETS} octets`);
    if (position + 1 + head > message.length) fail("label runs past the end of the message");
    for (let i = 0; i <= head; i++) name[length++] = message[position++]!;
    if (head === 0) break;
  }
  return { name: name.slice(0, length), next: next < 0 ? position : next };
}

/**
 * Reads a name that must not be compressed, as in HIP RDATA (RFC 8005 §5.6).
 *
 * @returns The offset behind it.
 */
export function skipUncompressedName(bytes: Uint8Array, offset: number): number {
  let position = offset;
  for (;;) {
    const head = bytes[position];
    if (head === undefined) fail("no root label before the end");
    if (head >= 0xc0) fail("compression pointer where none is allowed");
    if (head > 63) fail(`label type ${head >> 6} unknown`);
    position += 1 + head;
    if (position > bytes.length) fail("label runs past the end");
    if (position - offset > MAX_NAME_OCTETS) fail(`longer than ${MAX_NAME_OCTETS} octets`);
    if (head === 0) return position;
  }
}

/** A key for maps and comparison: equal for names that differ in letter case only. */
export function nameKey(name: Uint8Array): string {
  for (let i = 0; i < name.length; i++) {
    if (lower(name[i]!) !== name[i]) return latin1(name.map(lower));
  }
  return latin1(name);
}

/** ASCII letters in one case, other octets as they are. */
function lower(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
}

/** Whether both are the same name. */
export function sameName(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] && lower(a[i]!) !== lower(b[i]!)) return false;
  }
  return true;
}

/** The labels of a name, the leftmost first, without the root. */
export function nameLabels(name: Uint8Array): Uint8Array[] {
  const labels: Uint8Array[] = [];
  for (let i = 0; name[i] !== 0 && i < name.length; i += 1 + name[i]!) {
    labels.push(name.subarray(i + 1, i + 1 + name[i]!));
  }
  return labels;
}

/** Whether `name` is `suffix` or lies below it. */
export function isUnder(name: Uint8Array, suffix: Uint8Array): boolean {
  for (let i = 0; i < name.length; i += 1 + name[i]!) {
    if (name.length - i === suffix.length) return sameName(name.subarray(i), suffix);
    if (name.length - i < suffix.length) return false;
  }
  return false;
}

/**
 * A name from its text form, escapes `\.` and `\DDD` included; a missing last dot is supplied
 * unless `origin` says what a relative name belongs to.
 *
 * @throws {SyntaxError} When it is not a domain name.
 */
export function parseName(text: string, origin: Uint8Array = ROOT): Uint8Array {
  if (text === ".") return ROOT;
  const quoted = `Cannot read "${text.slice(0, 80)}" as a domain name`;
  const octets: number[] = [];
  let label: number[] = [];
  let isAbsolute = false;
  const endLabel = () => {
    if (label.length === 0) throw new SyntaxError(`${quoted}: it has an empty label`);
    if (label.length > 63) throw new SyntaxError(`${quoted}: a label is longer than 63 octets`);
    octets.push(label.length, ...label);
    label = [];
  };
  const source = new TextEncoder().encode(text);
  for (let i = 0; i < source.length; i++) {
    const octet = source[i]!;
    isAbsolute = false;
    if (octet === 0x2e) {
      endLabel();
      isAbsolute = true;
    } else if (octet === 0x5c) {
      const digits = text.length === source.length ? text.slice(i + 1, i + 4) : "";
      if (/^[0-9]{3}$/.test(digits)) {
        if (Number(digits) > 255) throw new SyntaxError(`${quoted}: \\${digits} is no octet`);
        label.push(Number(digits));
        i += 3;
      } else {
        const escaped = source[++i];
        if (escaped === undefined) throw new SyntaxError(`${quoted}: it ends in a backslash`);
        label.push(escaped);
      }
    } else if (octet <= 0x20) {
      throw new SyntaxError(`${quoted}: it holds white space or a control character`);
    } else {
      label.push(octet);
    }
  }
  if (!isAbsolute) endLabel();
  octets.push(...(isAbsolute ? ROOT : origin));
  if (octets.length > MAX_NAME_OCTETS) {
    throw new SyntaxError(`${quoted}: it is longer than ${MAX_NAME_OCTETS} octets`);
  }
  return Uint8Array.from(octets);
}

/** The text form, absolute, with escapes where RFC 1035 §5.1 wants them. */
export function formatName(name: Uint8Array): string {
  let text = "";
  for (const label of nameLabels(name)) {
    for (const octet of label) {
      if (octet <= 0x20 || octet >= 0x7f) text += `\\${octet.toString().padStart(3, "0")}`;
      else if ('."\\();@$'.includes(String.fromCharCode(octet))) {
        text += `\\${String.fromCharCode(octet)}`;
      } else text += String.fromCharCode(octet);
    }
    text += ".";
  }
  return text === "" ? "." : text;
}

/** The text form without the last dot, as people write host names. */
export function formatHostName(name: Uint8Array): string {
  const text = formatName(name);
  return text === "." ? text : text.slice(0, -1);
}
