/**
 * Sends UDP datagrams so that one passage through the kernel serves many: consecutive ones along one
 * path and of one size, of which the last may be shorter, leave as one message that the kernel, or
 * the network device, cuts up again (UDP_SEGMENT, udp(7)). They are gathered where they lie.
 *
 * The kernel refuses such a message when its datagrams do not fit the path MTU, and older ones where
 * the device computes no checksums. Then each datagram goes as a message of its own, and so do the
 * next ones of that size on that path for a while. It computes checksums for all of them, which is
 * why the checksum of ESP in UDP is a real one (RFC 3948 §2.1 would have zero over IPv4).
 */

import { type PacketBuffer, PacketPath } from "../lib/base/packet_buffer.ts";
import { BATCH_SIZE, type OutgoingPacket, type SendResult } from "../lib/runtime/ports.ts";
import { ERRNO, lastErrno } from "./errno.ts";
import type { MessageBatch } from "./message_batch.ts";
import { isSame16, type PacketHeaders } from "./packet_headers.ts";
import { type OnFailure, PacketSender, sendFailure } from "./packet_sender.ts";

/** Octets of a message: what fits into one UDP datagram over IPv4. */
const LONGEST_MESSAGE = 65_507;

/** Messages that are begun after a refusal until what was refused is tried again. */
const PAUSE = 1024;

/** What the kernel says when it cannot cut a message up, whatever else is right with it. */
const REFUSALS: ReadonlySet<number> = new Set([ERRNO.EMSGSIZE, ERRNO.EINVAL, ERRNO.EIO]);

export class SegmentSender {
  readonly isBatched: boolean;
  /** Whether the kernel cut up the message of several datagrams that came last. */
  isSegmenting = true;
  readonly #headers: PacketHeaders;
  /** Sends one by one. */
  readonly #sender: PacketSender;
  readonly #outgoing: MessageBatch;
  readonly #queue: PacketBuffer[] = [];
  /** Message `m` has packets `#firsts[m]` to `#firsts[m + 1] - 1`. */
  readonly #firsts = new Int32Array(BATCH_SIZE + 1);
  #messages = 0;
  /** Whether another packet may join the last message, the size of its packets, and its own. */
  #isOpen = false;
  #segmentSize = 0;
  #octets = 0;
  /** What was refused last, and for how many messages that is remembered. */
  readonly #refusedPath = new PacketPath();
  #refusedSize = 0;
  #pause = 0;

  constructor(descriptor: number, headers: PacketHeaders) {
    this.#headers = headers;
    this.#sender = new PacketSender(descriptor, headers);
    this.isBatched = this.#sender.isBatched;
    this.#outgoing = headers.outgoing(BATCH_SIZE);
  }

  /** See `IpSocket.queue`. */
  queue(buffer: PacketBuffer): void {
    const i = this.#queue.length;
    if (i === BATCH_SIZE) throw new RangeError(`Cannot queue more than ${BATCH_SIZE} packets`);
    const { length } = buffer;
    if (!this.#isOpen || !this.#joins(buffer)) this.#beginMessage(buffer, i);
    this.#outgoing.pointAt(i, buffer.bytes, buffer.start, length);
    this.#queue.push(buffer);
    this.#octets += length;
    if (length !== this.#segmentSize) this.#isOpen = false;
  }

  /** See `IpSocket.flush`. */
  flush(onFailure: OnFailure): void {
    const count = this.#messages;
    if (count === 0) return;
    const firsts = this.#firsts;
    firsts[count] = this.#queue.length;
    for (let m = 0; m < count; m++) {
      const packets = firsts[m + 1]! - firsts[m]!;
      this.#outgoing.gather(m, firsts[m]!, packets);
      const segmentSize = packets === 1 ? 0 : this.#queue[firsts[m]!]!.length;
      this.#headers.putSegmentSize(this.#outgoing, m, segmentSize);
    }
    for (let at = 0; at < count;) {
      const sent = this.#sender.sendMessages(this.#outgoing, at, count);
      if (sent <= 0) this.#handleFailure(at++, lastErrno(), onFailure);
      for (let m = 0; m < sent; m++, at++) {
        if (firsts[at + 1]! - firsts[at]! > 1) this.isSegmenting = true;
      }
    }
    this.#queue.length = 0;
    this.#messages = 0;
    this.#isOpen = false;
  }

  /** See `IpSocket.sendPacket`. */
  send(packet: OutgoingPacket): SendResult {
    return this.#sender.send(packet);
  }

  /** Whether `buffer` goes on where the last message ends. */
  #joins({ length, path }: PacketBuffer): boolean {
    return length > 0 && length <= this.#segmentSize &&
      this.#octets + length <= LONGEST_MESSAGE &&
      isSamePath(path, this.#queue[this.#firsts[this.#messages - 1]!]!.path);
  }

  /** Begins a message with packet `i`. */
  #beginMessage({ length, path }: PacketBuffer, i: number): void {
    const m = this.#messages++;
    this.#firsts[m] = i;
    this.#headers.put(this.#outgoing, m, path);
    this.#segmentSize = length;
    this.#octets = 0;
    this.#isOpen = this.#pause === 0 || !this.#isRefused(length, path);
  }

  #isRefused(length: number, path: PacketPath): boolean {
    this.#pause--;
    return length >= this.#refusedSize && hasSameAddresses(path, this.#refusedPath);
  }

  /** Message `m`, the first of those still to be sent, was not. */
  #handleFailure(m: number, errno: number, onFailure: OnFailure): void {
    const first = this.#firsts[m]!;
    const end = this.#firsts[m + 1]!;
    if (end - first === 1 || !REFUSALS.has(errno)) {
      const result = sendFailure(errno);
      for (let i = first; i < end; i++) onFailure(this.#queue[i]!, result);
      return;
    }
    const { length, path } = this.#queue[first]!;
    this.isSegmenting = false;
    this.#refusedSize = length;
    this.#refusedPath.localAddress.set(path.localAddress);
    this.#refusedPath.peerAddress.set(path.peerAddress);
    this.#pause = PAUSE;
    for (let i = first; i < end; i++) this.#sender.queue(this.#queue[i]!);
    this.#sender.flush(onFailure);
  }
}

function isSamePath(a: PacketPath, b: PacketPath): boolean {
  return a.peerPort === b.peerPort && a.trafficClass === b.trafficClass &&
    a.hopLimit === b.hopLimit && hasSameAddresses(a, b);
}

function hasSameAddresses(a: PacketPath, b: PacketPath): boolean {
  return isSame16(a.peerAddress, b.peerAddress) && isSame16(a.localAddress, b.localAddress);
}
