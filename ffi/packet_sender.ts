/**
 * Sends packets through a socket in batches, one system call for up to `BATCH_SIZE` of them, where
 * the kernel has sendmmsg(2).
 */

import { type PacketBuffer, PacketPath } from "../lib/base/packet_buffer.ts";
import { BATCH_SIZE, type OutgoingPacket, type SendResult } from "../lib/runtime/ports.ts";
import { ERRNO, lastErrno } from "./errno.ts";
import * as c from "./layouts.ts";
import { libc } from "./libc.ts";
import { MessageBatch } from "./message_batch.ts";
import type { PacketHeaders } from "./packet_headers.ts";

/** Errors that are read away at once; more are met at the next call. */
const MOST_ERRORS = 1000;

/** Takes what nobody looks at: without room for anything. */
const discarded = new MessageBatch(1, 0, 0);

/** Called for each packet that was not sent. */
export type OnFailure = (buffer: PacketBuffer, result: SendResult) => void;

/** What a failed sendmsg means for the packet. */
export function sendFailure(errno: number): SendResult {
  switch (errno) {
    case ERRNO.EAGAIN:
    case ERRNO.ENOBUFS:
    case ERRNO.ENOMEM:
      return "busy";
    case ERRNO.EMSGSIZE:
      return "too-big";
    case ERRNO.ENETUNREACH:
    case ERRNO.EHOSTUNREACH:
    case ERRNO.ENETDOWN:
    case ERRNO.EADDRNOTAVAIL:
    // The kernel's word for a source address that is not on this host.
    case ERRNO.EINVAL:
      return "unreachable";
    default:
      return "refused";
  }
}

/**
 * Reads away errors of packets sent earlier, which ICMP reported: the kernel has drawn its
 * conclusions, ours come by the ICMP socket. As long as they wait, the socket counts as readable.
 *
 * @returns How many there were.
 */
export function forgetErrors(descriptor: number): number {
  const pointer = discarded.pointerAt(0);
  let count = 0;
  while (count < MOST_ERRORS && libc.recvmsg(descriptor, pointer, c.MSG_ERRQUEUE) >= 0) count++;
  return count;
}

/** The sending half of a socket; each packet is a message of its own. */
export class PacketSender {
  /** Whether one system call takes many messages. */
  readonly isBatched: boolean;
  readonly isSegmenting = false;
  readonly #descriptor: number;
  readonly #headers: PacketHeaders;
  readonly #outgoing: MessageBatch;
  /** For a packet by itself, which the control plane may send while others are queued. */
  readonly #single: MessageBatch;
  readonly #controlPath = new PacketPath();
  readonly #queue: PacketBuffer[] = [];

  constructor(descriptor: number, headers: PacketHeaders) {
    this.#descriptor = descriptor;
    this.#headers = headers;
    this.#outgoing = headers.outgoing(BATCH_SIZE);
    this.#single = headers.outgoing(1);
    // Nothing is sent: only whether the call exists (sandboxes may refuse it).
    this.isBatched = libc.sendmmsg(descriptor, this.#outgoing.pointerAt(0), 0, 0) === 0;
  }

  /** See `IpSocket.queue`. */
  queue(buffer: PacketBuffer): void {
    const i = this.#queue.length;
    if (i === BATCH_SIZE) throw new RangeError(`Cannot queue more than ${BATCH_SIZE} packets`);
    this.#headers.put(this.#outgoing, i, buffer.path);
    this.#outgoing.pointAt(i, buffer.bytes, buffer.start, buffer.length);
    this.#queue.push(buffer);
  }

  /** See `IpSocket.flush`. */
  flush(onFailure: OnFailure): void {
    const count = this.#queue.length;
    let at = 0;
    let retried = -1;
    while (at < count) {
      const sent = this.sendMessages(this.#outgoing, at, count);
      if (sent > 0) {
        at += sent;
        continue;
      }
      // The error is that of the first one; what comes behind it is tried by itself.
      const result = sendFailure(lastErrno());
      if (retried !== at && this.#isOfEarlierPacket(result)) {
        retried = at;
        continue;
      }
      onFailure(this.#queue[at]!, result);
      at++;
    }
    this.#queue.length = 0;
  }

  /** See `IpSocket.sendPacket`. */
  send(packet: OutgoingPacket): SendResult {
    const path = this.#controlPath;
    path.localAddress.set(packet.source);
    path.peerAddress.set(packet.destination);
    path.peerPort = packet.peerPort ?? 0;
    path.trafficClass = packet.trafficClass;
    path.hopLimit = packet.hopLimit;
    this.#headers.put(this.#single, 0, path);
    this.#single.pointAt(0, packet.bytes, 0, packet.bytes.length);
    const pointer = this.#single.pointerAt(0);
    if (libc.sendmsg(this.#descriptor, pointer, 0) >= 0) return "sent";
    const result = sendFailure(lastErrno());
    if (!this.#isOfEarlierPacket(result)) return result;
    if (libc.sendmsg(this.#descriptor, pointer, 0) >= 0) return "sent";
    return sendFailure(lastErrno());
  }

  /**
   * Sends messages `at` to `end - 1` of `batch`, in order.
   *
   * @returns How many the system took; 0 or less: none, for the reason in errno.
   */
  sendMessages(batch: MessageBatch, at: number, end: number): number {
    const pointer = batch.pointerAt(at);
    if (this.isBatched) return libc.sendmmsg(this.#descriptor, pointer, end - at, 0);
    return libc.sendmsg(this.#descriptor, pointer, 0) < 0 ? -1 : 1;
  }

  /** Whether a packet failed for what ICMP said of an earlier one: then it may be sent again. */
  #isOfEarlierPacket(result: SendResult): boolean {
    return result !== "busy" && forgetErrors(this.#descriptor) > 0;
  }
}
