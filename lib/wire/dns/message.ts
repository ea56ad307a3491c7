/**
 * DNS messages (RFC 1035 §4.1) as the proxy needs them: walked, never rebuilt unless an answer has
 * to change. `parseMessage` notes where every record lies, so that what is not understood can be
 * handed on octet for octet (RFC 3597 §3).
 *
 * Invariant: every offset in a `DnsMessage` lies inside its octets.
 */

import { MalformedPacketError } from "../../base/errors.ts";
import { CLASS_IN, FLAG, TYPE } from "./code_points.ts";
import { readName } from "./name.ts";

/** Octets of the header. */
export const HEADER_OCTETS = 12;

export interface DnsQuestion {
  /** Uncompressed, in the letter case of the message. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  /** Offset behind the question. */
  readonly end: number;
}

export type DnsSection = "answer" | "authority" | "additional";

/** One resource record and where it lies in its message. */
export interface DnsRecord {
  readonly section: DnsSection;
  /** Owner, uncompressed. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  /** Seconds; a value with the top bit set reads as 0 (RFC 2181 §8). For OPT: flags. */
  readonly ttl: number;
  readonly start: number;
  readonly rdataStart: number;
  /** One past the last octet of the RDATA. */
  readonly end: number;
}

/** What an OPT record says (RFC 6891 §6.1.2). */
export interface Edns {
  /** Advertised UDP payload size in octets, as sent. */
  readonly udpSize: number;
  readonly version: number;
  readonly isDnssecOk: boolean;
}

export interface DnsMessage {
  /** Borrowed; not to be changed while the message is in use. */
  readonly bytes: Uint8Array;
  readonly id: number;
  /** Second header word; see `FLAG`. */
  readonly flags: number;
  readonly question: DnsQuestion | undefined;
  readonly questionCount: number;
  readonly records: readonly DnsRecord[];
  readonly edns: Edns | undefined;
  readonly optCount: number;
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Message identifier. The message has at least a header. */
export function messageId(bytes: Uint8Array): number {
  return uint16(bytes, 0);
}

/** Second header word. The message has at least a header. */
export function messageFlags(bytes: Uint8Array): number {
  return uint16(bytes, 2);
}

/** A copy under another identifier; not one other octet differs. */
export function withId(bytes: Uint8Array, id: number): Uint8Array {
  const copy = bytes.slice();
  copy[0] = id >> 8;
  copy[1] = id & 0xff;
  return copy;
}

/**
 * Reads the first question.
 *
 * @throws {MalformedPacketError} When the message ends inside it.
 */
export function parseQuestion(bytes: Uint8Array): DnsQuestion {
  const { name, next } = readName(bytes, HEADER_OCTETS);
  if (next + 4 > bytes.length) {
    throw new MalformedPacketError("DNS question", "message ends before type and class");
  }
  return { name, type: uint16(bytes, next), class: uint16(bytes, next + 2), end: next + 4 };
}

/**
 * Walks a whole message.
 *
 * @throws {MalformedPacketError} When a count, a name or a length does not fit the octets. Octets
 * behind the last record are tolerated.
 */
export function parseMessage(bytes: Uint8Array): DnsMessage {
  if (bytes.length < HEADER_OCTETS) {
    throw new MalformedPacketError("DNS header", `need 12 octets, have ${bytes.length}`);
  }
  const questionCount = uint16(bytes, 4);
  let question: DnsQuestion | undefined;
  let position = HEADER_OCTETS;
  for (let i = 0; i < questionCount; i++) {
    const { next } = readName(bytes, position);
    if (i === 0) question = parseQuestion(bytes);
    position = next + 4;
    if (position > bytes.length) {
      throw new MalformedPacketError("DNS question", "message ends before type and class");
    }
  }
  const records: DnsRecord[] = [];
  let edns: Edns | undefined;
  let optCount = 0;
  for (const [section, at] of [["answer", 6], ["authority", 8], ["additional", 10]] as const) {
    for (let count = uint16(bytes, at); count > 0; count--) {
      const record = parseRecord(bytes, position, section);
      records.push(record);
      position = record.end;
      if (record.type !== TYPE.OPT || section !== "additional") continue;
      optCount++;
      edns ??= {
        udpSize: record.class,
        version: bytes[record.rdataStart - 5]!,
        isDnssecOk: (bytes[record.rdataStart - 4]! & 0x80) !== 0,
      };
    }
  }
  return {
    bytes,
    id: messageId(bytes),
    flags: messageFlags(bytes),
    question,
    questionCount,
    records,
    edns,
    optCount,
  };
}

function parseRecord(bytes: Uint8Array, start: number, section: DnsSection): DnsRecord {
  const { name, next } = readName(bytes, start);
  const rdataStart = next + 10;
  if (rdataStart > bytes.length) {
    throw new MalformedPacketError("DNS record", "message ends before RDLENGTH");
  }
  const end = rdataStart + uint16(bytes, next + 8);
  if (end > bytes.length) {
    throw new MalformedPacketError(
      "DNS record",
      `RDLENGTH ${end - rdataStart} runs past the end of the message`,
    );
  }
  const ttl = uint16(bytes, next + 4) * 0x10000 + uint16(bytes, next + 6);
  return {
    section,
    name,
    type: uint16(bytes, next),
    class: uint16(bytes, next + 2),
    ttl: ttl >= 0x80000000 ? 0 : ttl,
    start,
    rdataStart,
    end,
  };
}

/** The RDATA of `record`, as a view. */
export function rdataOf(message: DnsMessage, record: DnsRecord): Uint8Array {
  return message.bytes.subarray(record.rdataStart, record.end);
}

/** Records of the answer section with this type and class IN, in the order they came. */
export function answersOfType(message: DnsMessage, type: number): DnsRecord[] {
  return message.records.filter((record) =>
    record.section === "answer" && record.type === type && record.class === CLASS_IN
  );
}

/**
 * A copy that fits `limit` octets: the additional section goes first, except OPT, and when that is
 * not enough the rest is cut at an RR boundary and TC is set (RFC 2181 §9). A message that fits is
 * returned as it is.
 *
 * @throws {MalformedPacketError} When it does not fit and cannot be walked.
 */
export function truncateMessage(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.length <= limit) return bytes;
  const message = parseMessage(bytes);
  const opt = message.records.find((r) => r.section === "additional" && r.type === TYPE.OPT);
  // A name behind the cut may point before it, never the other way round, so a prefix stays sound.
  const optOctets = opt === undefined
    ? new Uint8Array(0)
    : Uint8Array.of(0, ...bytes.subarray(opt.rdataStart - 10, opt.end));
  const body = message.records.filter((r) => r.section !== "additional");
  let end = message.question?.end ?? HEADER_OCTETS;
  const counts = { answer: 0, authority: 0 };
  let kept = 0;
  for (const record of body) {
    if (record.end + optOctets.length > limit) break;
    end = record.end;
    counts[record.section as "answer" | "authority"]++;
    kept++;
  }
  const cut = new Uint8Array(end + optOctets.length);
  cut.set(bytes.subarray(0, end));
  cut.set(optOctets, end);
  const view = new DataView(cut.buffer);
  view.setUint16(4, message.questionCount === 0 ? 0 : 1);
  view.setUint16(6, counts.answer);
  view.setUint16(8, counts.authority);
  view.setUint16(10, opt === undefined ? 0 : 1);
  if (kept < body.length) view.setUint16(2, view.getUint16(2) | FLAG.TC);
  return cut;
}
