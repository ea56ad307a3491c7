/**
 * As much of ASN.1 DER (X.690) as private keys and signatures need: definite lengths, one-octet
 * tags, no streaming.
 */

import { concatBytes } from "../base/bytes.ts";
import { integerFromBytes } from "./integers.ts";

export const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_OCTET_STRING = 0x04;
export const DER_OID = 0x06;
export const DER_SEQUENCE = 0x30;
/** Context tag 1, constructed: the public key in an ECPrivateKey (RFC 5915). */
export const DER_CONTEXT_1 = 0xa1;

/** Walks over the elements of one level. Throws a SyntaxError on anything malformed. */
export class DerReader {
  #offset = 0;

  constructor(readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.#offset === this.bytes.length;
  }

  /** The contents of the next element, which must have this tag. */
  element(tag: number): Uint8Array {
    if (this.#octet() !== tag) throw new SyntaxError("Cannot read DER: another tag was expected");
    let length = this.#octet();
    if (length >= 0x80) {
      const count = length - 0x80;
      if (count < 1 || count > 3) throw new SyntaxError("Cannot read DER: length too large");
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + this.#octet();
    }
    const end = this.#offset + length;
    if (end > this.bytes.length) throw new SyntaxError("Cannot read DER: element is cut short");
    const contents = this.bytes.subarray(this.#offset, end);
    this.#offset = end;
    return contents;
  }

  sequence(): DerReader {
    return new DerReader(this.element(DER_SEQUENCE));
  }

  /** An INTEGER that is not negative. */
  integer(): bigint {
    const contents = this.element(DER_INTEGER);
    if (contents.length === 0 || contents[0]! >= 0x80) {
      throw new SyntaxError("Cannot read DER: integer is empty or negative");
    }
    return integerFromBytes(contents);
  }

  #octet(): number {
    const octet = this.bytes[this.#offset];
    if (octet === undefined) throw new SyntaxError("Cannot read DER: element is cut short");
    this.#offset++;
    return octet;
  }
}

/** One element with its contents. */
export function derElement(tag: number, ...contents: Uint8Array[]): Uint8Array {
  const body = concatBytes(...contents);
  const length = body.length;
  const head = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  if (length > 0xffff) throw new RangeError(`Cannot write DER: ${length} octets are too many`);
  return concatBytes(Uint8Array.from(head), body);
}

/** INTEGER from unsigned big-endian octets; superfluous leading zeros are left out. */
export function derInteger(octets: Uint8Array): Uint8Array {
  let start = 0;
  while (start < octets.length - 1 && octets[start] === 0) start++;
  const digits = octets.subarray(start);
  const sign = digits.length === 0 || digits[0]! >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0);
  return derElement(DER_INTEGER, sign, digits);
}
