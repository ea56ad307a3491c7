/**
 * What a client asks, and the replies that need nothing but the question: form errors, failures,
 * empty answers (RFC 1035 §4.1.1, RFC 6891 §6.1).
 */

import { MalformedPacketError } from "../base/errors.ts";
import { FLAG, RCODE } from "../wire/dns/code_points.ts";
import {
  type DnsMessage,
  type DnsQuestion,
  HEADER_OCTETS,
  messageFlags,
  messageId,
  parseMessage,
} from "../wire/dns/message.ts";
import { MessageBuilder, OPT_OCTETS } from "../wire/dns/message_builder.ts";
import { EDNS_UDP_SIZE, MAX_UDP_SIZE, PLAIN_UDP_SIZE } from "./constants.ts";

/** Who asked, so that the answer finds its way back. */
export interface DnsClient {
  /** Meaningful to whoever handed in the query; handed back with the answer. */
  readonly id: unknown;
  readonly transport: "udp" | "tcp";
  /** Address and port: whose fair share its queries use up. */
  readonly source: string;
  /** Whether the path to the client is loopback, where big datagrams do no harm. */
  readonly isLoopback: boolean;
}

/** A well-formed query. */
export interface ClientQuery {
  readonly client: DnsClient;
  readonly bytes: Uint8Array;
  readonly message: DnsMessage;
  readonly question: DnsQuestion;
  /** The question section, octet for octet. */
  readonly questionOctets: Uint8Array;
  /** Most octets of the reply. */
  readonly limit: number;
  /** DO and CD set: the client validates, so its answers are not touched (RFC 6147 §5.5). */
  readonly isValidating: boolean;
  readonly isDnssecOk: boolean;
  readonly isCheckingDisabled: boolean;
  /** Whether it asks nothing but the question: no EDNS options, no signature. */
  readonly isPlain: boolean;
}

export type ClientQueryResult =
  | { readonly kind: "query"; readonly query: ClientQuery }
  | { readonly kind: "reply"; readonly bytes: Uint8Array }
  | { readonly kind: "drop" };

/** Judges the form of what a client sent. Never throws. */
export function readClientQuery(client: DnsClient, bytes: Uint8Array): ClientQueryResult {
  if (bytes.length < HEADER_OCTETS) return { kind: "drop" };
  const flags = messageFlags(bytes);
  if ((flags & (FLAG.QR | FLAG.TC)) !== 0) return { kind: "drop" };
  if ((flags & FLAG.OPCODE_MASK) !== 0) return headerReply(bytes, RCODE.NOTIMP);
  let message: DnsMessage;
  try {
    message = parseMessage(bytes);
  } catch (error) {
    if (!(error instanceof MalformedPacketError)) throw error;
    return headerReply(bytes, RCODE.FORMERR);
  }
  const { question, edns } = message;
  if (message.questionCount !== 1 || question === undefined || message.optCount > 1) {
    return headerReply(bytes, RCODE.FORMERR);
  }
  let limit = 65535;
  if (client.transport === "udp") {
    const largest = client.isLoopback ? MAX_UDP_SIZE : EDNS_UDP_SIZE;
    limit = edns === undefined
      ? PLAIN_UDP_SIZE
      : Math.min(Math.max(edns.udpSize, PLAIN_UDP_SIZE), largest);
  }
  const isDnssecOk = edns?.isDnssecOk ?? false;
  const isCheckingDisabled = (flags & FLAG.CD) !== 0;
  const query: ClientQuery = {
    client,
    bytes,
    message,
    question,
    questionOctets: bytes.subarray(HEADER_OCTETS, question.end),
    limit,
    isValidating: isDnssecOk && isCheckingDisabled,
    isDnssecOk,
    isCheckingDisabled,
    isPlain: message.records.length === message.optCount &&
      message.records.every((record) => record.end === record.rdataStart),
  };
  if (edns !== undefined && edns.version > 0) {
    // RFC 6891 §6.1.3: BADVERS is 16, of which OPT carries the upper eight bits.
    const builder = new MessageBuilder(replyHead(query, RCODE.NOERROR));
    builder.addOpt(EDNS_UDP_SIZE, edns.isDnssecOk, RCODE.BADVERS >> 4);
    return { kind: "reply", bytes: builder.finish() };
  }
  return { kind: "query", query };
}

function headerReply(bytes: Uint8Array, rcode: number): ClientQueryResult {
  const flags = FLAG.QR | (messageFlags(bytes) & (FLAG.OPCODE_MASK | FLAG.RD | FLAG.CD)) |
    FLAG.RA | rcode;
  const head = { id: messageId(bytes), flags, question: new Uint8Array(0) };
  return { kind: "reply", bytes: new MessageBuilder(head).finish() };
}

/** Header and question of a reply made here: AD is never set in one (RFC 4035 §3.2.3). */
export function replyHead(query: ClientQuery, rcode: number) {
  const flags = FLAG.QR | (query.message.flags & (FLAG.OPCODE_MASK | FLAG.RD | FLAG.CD)) |
    FLAG.RA | rcode;
  return { id: query.message.id, flags, question: query.questionOctets };
}

/**
 * A reply made here.
 *
 * @param fill Adds the records; those that do not fit are left out and TC is set.
 */
export function localReply(
  query: ClientQuery,
  rcode: number,
  fill: (builder: MessageBuilder) => void = () => {},
): Uint8Array {
  const { edns } = query.message;
  const room = query.limit - (edns === undefined ? 0 : OPT_OCTETS);
  const builder = new MessageBuilder(replyHead(query, rcode), room);
  fill(builder);
  if (edns !== undefined) builder.addOpt(EDNS_UDP_SIZE, edns.isDnssecOk);
  return builder.finish();
}
