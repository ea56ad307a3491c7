/**
 * Netlink messages (RFC 3549 §2, linux/netlink.h): a 16-octet header, then a family header, then
 * attributes, each aligned to 4 octets. All numbers are in the host's byte order, which is little
 * endian on every system the program is built for.
 *
 * ```
 *  0                   1                   2                   3
 * |                          Length                             |
 * |            Type              |           Flags              |
 * |                      Sequence Number                        |
 * |                      Process ID (PID)                       |
 * ```
 */

import { MalformedPacketError } from "../../base/errors.ts";

export const HEADER_LENGTH = 16;

/** Flags of a message (linux/netlink.h). */
export const FLAG = {
  REQUEST: 0x0001,
  MULTI: 0x0002,
  ACK: 0x0004,
  DUMP_INTERRUPTED: 0x0010,
  REPLACE: 0x0100,
  EXCLUSIVE: 0x0200,
  CREATE: 0x0400,
  /** Root and match: all objects. */
  DUMP: 0x0300,
} as const;

/** Message types (linux/netlink.h, linux/rtnetlink.h). */
export const MESSAGE = {
  ERROR: 2,
  DONE: 3,
  NEW_LINK: 16,
  DELETE_LINK: 17,
  GET_LINK: 18,
  SET_LINK: 19,
  NEW_ADDRESS: 20,
  DELETE_ADDRESS: 21,
  GET_ADDRESS: 22,
  NEW_ROUTE: 24,
  DELETE_ROUTE: 25,
  GET_ROUTE: 26,
  NEW_RULE: 32,
  DELETE_RULE: 33,
  GET_RULE: 34,
  NEW_ADDRESS_LABEL: 72,
  DELETE_ADDRESS_LABEL: 73,
  GET_ADDRESS_LABEL: 74,
} as const;

/** Multicast groups (linux/rtnetlink.h, RTNLGRP_*). */
export const GROUP = {
  LINK: 1,
  IPV4_ADDRESS: 5,
  IPV4_ROUTE: 7,
  IPV6_ADDRESS: 9,
  IPV6_ROUTE: 11,
} as const;

/** Address families (bits/socket.h). */
export const FAMILY = { UNSPECIFIED: 0, IPV4: 2, IPV6: 10 } as const;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  /** Family header and attributes. */
  readonly payload: Uint8Array;
}

/** `length` rounded up to the alignment of netlink. */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** A view on all of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The message, padded. */
export function emitMessage(message: NetlinkMessage): Uint8Array {
  const length = HEADER_LENGTH + message.payload.length;
  const bytes = new Uint8Array(aligned(length));
  const view = viewOf(bytes);
  view.setUint32(0, length, true);
  view.setUint16(4, message.type, true);
  view.setUint16(6, message.flags, true);
  view.setUint32(8, message.sequence, true);
  view.setUint32(12, message.portId, true);
  bytes.set(message.payload, HEADER_LENGTH);
  return bytes;
}

/**
 * The messages of one datagram.
 *
 * @throws {MalformedPacketError}
 */
export function parseMessages(bytes: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const view = viewOf(bytes);
  let offset = 0;
  while (offset < bytes.length) {
    const remaining = bytes.length - offset;
    if (remaining < HEADER_LENGTH) {
      throw new MalformedPacketError("netlink message", `need 16 octets, have ${remaining}`);
    }
    const length = view.getUint32(offset, true);
    if (length < HEADER_LENGTH || length > remaining) {
      throw new MalformedPacketError(
        "netlink message",
        `length ${length} in a datagram with ${remaining} octets left`,
      );
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      portId: view.getUint32(offset + 12, true),
      payload: bytes.subarray(offset + HEADER_LENGTH, offset + length),
    });
    offset += aligned(length);
  }
  return messages;
}

/**
 * The errno that an error or done message carries, positive; 0 is success (an acknowledgement).
 *
 * @throws {MalformedPacketError}
 */
export function parseErrno(payload: Uint8Array): number {
  if (payload.length < 4) {
    throw new MalformedPacketError("netlink error", `need 4 octets, have ${payload.length}`);
  }
  return Math.abs(viewOf(payload).getInt32(0, true));
}

/**
 * Cuts off a family header.
 *
 * @throws {MalformedPacketError} It is not all there.
 */
export function familyHeader(payload: Uint8Array, length: number, what: string): DataView {
  if (payload.length < length) {
    throw new MalformedPacketError(what, `need ${length} octets, have ${payload.length}`);
  }
  return viewOf(payload.subarray(0, length));
}
