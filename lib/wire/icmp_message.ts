/** The form that ICMP and ICMPv6 messages share (RFC 792, RFC 4443 §2.1). */

import { finishSum, sumBytes } from "./checksum.ts";

/** Octets of type, code, checksum and the four that follow. */
const ICMP_MESSAGE_HEADER_LENGTH = 8;

/** What stands in a message beside its checksum. */
export interface IcmpMessage {
  readonly type: number;
  readonly code: number;
  /** The four octets behind the checksum. */
  readonly word: number;
  readonly body: Uint8Array;
}

/**
 * A whole message with its checksum, in a new array.
 *
 * @param pseudoSum Running sum of the pseudo-header, which ICMPv6 has and ICMP has not.
 */
export function emitIcmpMessage(
  { type, code, word, body }: IcmpMessage,
  pseudoSum = 0,
): Uint8Array {
  const message = new Uint8Array(ICMP_MESSAGE_HEADER_LENGTH + body.length);
  message[0] = type;
  message[1] = code;
  new DataView(message.buffer).setUint32(4, word);
  message.set(body, ICMP_MESSAGE_HEADER_LENGTH);
  const checksum = finishSum(sumBytes(message, 0, message.length, pseudoSum));
  message[2] = checksum >>> 8;
  message[3] = checksum;
  return message;
}
