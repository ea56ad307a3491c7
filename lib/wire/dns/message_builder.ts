/**
 * Builds a DNS message record by record (RFC 1035 §4.1). Owner names are compressed against names
 * that already stand in the message; nothing inside RDATA ever is, nor does any name point into
 * RDATA (RFC 3597 §4, RFC 8005 §5.6).
 */

import { FLAG, TYPE } from "./code_points.ts";
import { HEADER_OCTETS } from "./message.ts";

/** What the header and question of a message are to be. */
export interface MessageHead {
  readonly id: number;
  /** Second header word; see `FLAG`. */
  readonly flags: number;
  /** Name, type and class, octet for octet; empty for a message without question. */
  readonly question: Uint8Array;
}

/** The question section for one uncompressed name. */
export function emitQuestion(name: Uint8Array, type: number, qclass: number): Uint8Array {
  return Uint8Array.of(...name, type >> 8, type & 0xff, qclass >> 8, qclass & 0xff);
}

/** Octets of an OPT record without options (RFC 6891 §6.1.2). */
export const OPT_OCTETS = 11;

/** Collects records, then gives the octets. Records must come section by section. */
export class MessageBuilder {
  readonly #octets: number[] = [];
  readonly #limit: number;
  readonly #names = new Map<string, number>();
  readonly #counts = { answer: 0, authority: 0, additional: 0 };
  #isTruncated = false;
  #flags: number;

  /** @param limit Most octets the message may have; room for OPT is the caller's business. */
  constructor(head: MessageHead, limit = 65535) {
    this.#limit = limit;
    this.#flags = head.flags;
    this.#push16(head.id);
    this.#push16(head.flags);
    this.#push16(head.question.length === 0 ? 0 : 1);
    for (let i = 0; i < 3; i++) this.#push16(0);
    if (head.question.length > 0) {
      this.#remember(head.question.subarray(0, -4), HEADER_OCTETS);
      for (const octet of head.question) this.#octets.push(octet);
    }
  }

  /**
   * Adds one record, or, when it does not fit, sets TC and adds nothing from then on.
   *
   * @param name Owner, uncompressed.
   * @param ttlSeconds 0 to 2^31 - 1.
   * @returns Whether it fitted.
   */
  add(
    section: "answer" | "authority" | "additional",
    record: { name: Uint8Array; type: number; class: number; ttlSeconds: number },
    rdata: Uint8Array,
  ): boolean {
    if (this.#isTruncated) return false;
    const start = this.#octets.length;
    this.#pushName(record.name);
    this.#push16(record.type);
    this.#push16(record.class);
    this.#push16(Math.floor(record.ttlSeconds / 0x10000));
    this.#push16(record.ttlSeconds & 0xffff);
    this.#push16(rdata.length);
    for (const octet of rdata) this.#octets.push(octet);
    if (this.#octets.length > this.#limit) {
      this.#octets.length = start;
      this.#isTruncated = true;
      this.#flags |= FLAG.TC;
      return false;
    }
    this.#counts[section]++;
    return true;
  }

  /** Adds an OPT record of version 0 without options; always, whatever the limit. */
  addOpt(udpSize: number, isDnssecOk: boolean, extendedRcode = 0): void {
    this.#octets.push(0);
    this.#push16(TYPE.OPT);
    this.#push16(udpSize);
    this.#octets.push(extendedRcode, 0);
    this.#push16(isDnssecOk ? 0x8000 : 0);
    this.#push16(0);
    this.#counts.additional++;
  }

  /** The message, in a new array. */
  finish(): Uint8Array {
    const bytes = Uint8Array.from(this.#octets);
    const view = new DataView(bytes.buffer);
    view.setUint16(2, this.#flags);
    view.setUint16(6, this.#counts.answer);
    view.setUint16(8, this.#counts.authority);
    view.setUint16(10, this.#counts.additional);
    return bytes;
  }

  #push16(value: number): void {
    this.#octets.push((value >> 8) & 0xff, value & 0xff);
  }

  /** Notes where `name` and its suffixes that begin before `end` stand, for later pointers. */
  #remember(name: Uint8Array, offset: number, end = name.length): void {
    for (let i = 0; i < end && name[i] !== 0; i += 1 + name[i]!) {
      const key = exactKey(name.subarray(i));
      if (offset + i < 0x4000 && !this.#names.has(key)) this.#names.set(key, offset + i);
    }
  }

  #pushName(name: Uint8Array): void {
    const start = this.#octets.length;
    for (let i = 0; i < name.length; i += 1 + name[i]!) {
      const known = this.#names.get(exactKey(name.subarray(i)));
      if (known !== undefined) {
        this.#push16(0xc000 | known);
        this.#remember(name, start, i);
        return;
      }
      for (const octet of name.subarray(i, i + 1 + name[i]!)) this.#octets.push(octet);
    }
    this.#remember(name, start);
  }
}

/** Letter case kept: a pointer must not change the spelling of an owner name. */
function exactKey(name: Uint8Array): string {
  return String.fromCharCode(...name);
}
