/**
 * `IpSocket` on UDP (udp(7)): ESP and HIP in datagrams (RFC 9028 §5), to and from one port of ours on
 * all addresses. The kernel cuts up what we send in one piece and hands over in one piece what came
 * in many (UDP_SEGMENT, UDP_GRO), where it can; on the wire each datagram is one by itself.
 *
 * UDP checksums are real ones in both families, of HIP as of ESP: a socket cannot choose between them
 * by packet, and what the kernel is to cut up must have them.
 */

import { UserError } from "../lib/base/errors.ts";
import { HEADROOM, PacketBuffer, PacketPath, slabSize } from "../lib/base/packet_buffer.ts";
import {
  BATCH_SIZE,
  type IpFamily,
  type IpSocket,
  type UdpSocketOptions,
} from "../lib/runtime/ports.ts";
import { NEXT_HEADER } from "../lib/wire/ipv6.ts";
import { orClose } from "./descriptor.ts";
import { ERRNO, lastErrno, SyscallError } from "./errno.ts";
import * as c from "./layouts.ts";
import { libc } from "./libc.ts";
import { Struct } from "./memory.ts";
import { MessageSocket } from "./message_socket.ts";
import { NO_DESTINATION } from "./packet_headers.ts";
import { PacketSender } from "./packet_sender.ts";
import { SegmentSender } from "./segment_sender.ts";
import { setSocketOption, trySocketOption } from "./socket_option.ts";
import { domainOf, headersOf, setUpPackets } from "./socket_setup.ts";

/** Octets that one message may bring. */
const LONGEST_MESSAGE = 65_535;

/**
 * Makes a socket on `port` of all addresses of `family`.
 *
 * @throws {UserError} Another program has the port, or the system has no such family.
 * @throws {SyscallError}
 */
export function openUdpSocket(
  port: number,
  family: IpFamily,
  options: UdpSocketOptions = {},
): IpSocket {
  const kind = c.SOCK_DGRAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
  const descriptor = libc.socket(domainOf(family), kind, 0);
  if (descriptor < 0) throw explain(port, family, "make a UDP socket", lastErrno());
  return orClose(descriptor, () => {
    setUpPackets(descriptor, family, options);
    if (family === 4) {
      setSocketOption(descriptor, c.SOL_IP, c.IP_PKTINFO, 1);
      setSocketOption(descriptor, c.SOL_IP, c.IP_RECVTOS, 1);
      setSocketOption(descriptor, c.SOL_IP, c.IP_RECVTTL, 1);
    } else {
      setSocketOption(descriptor, c.SOL_IPV6, c.IPV6_V6ONLY, 1);
    }
    if (options.sharesPort) setSocketOption(descriptor, c.SOL_SOCKET, c.SO_REUSEPORT, 1);
    trySocketOption(descriptor, c.SOL_UDP, c.UDP_GRO, options.segments === false ? 0 : 1);
    bind(descriptor, port, family);
    return new UdpSocket(descriptor, family, options, true);
  });
}

/**
 * The socket behind a descriptor that `openUdpSocket` opened, here or on another thread, with state
 * of its own: only one of them may receive. `close` leaves the descriptor open.
 *
 * @param options As it was opened with, but for `slabs`.
 */
export function attachUdpSocket(
  descriptor: number,
  family: IpFamily,
  options: UdpSocketOptions = {},
): IpSocket {
  return new UdpSocket(descriptor, family, options, false);
}

function bind(descriptor: number, port: number, family: IpFamily): void {
  const name = new Struct(family === 4 ? c.SOCKADDR_IN.SIZE : c.SOCKADDR_IN6.SIZE);
  name.view.setUint16(c.SOCKADDR_IN.family, domainOf(family), c.LITTLE);
  name.view.setUint16(c.SOCKADDR_IN.port, port);
  if (libc.bind(descriptor, name.bytes, name.bytes.length) !== 0) {
    throw explain(port, family, `use UDP port ${port}`, lastErrno());
  }
}

function explain(port: number, family: IpFamily, call: string, errno: number): Error {
  switch (errno) {
    case ERRNO.EADDRINUSE:
      return new UserError(
        `cannot use UDP port ${port} (IPv${family}): another program has it. ` +
          `"ss -ulnp" shows which one; end it, or set another udp_port.`,
      );
    case ERRNO.EACCES:
      return new UserError(
        `cannot use UDP port ${port} (permission denied). Run hip as root, or use a port above 1023.`,
      );
    case ERRNO.EAFNOSUPPORT:
      return new UserError(`cannot make a UDP socket: this system has no IPv${family}.`);
    default:
      return new SyscallError(call, errno);
  }
}

class UdpSocket extends MessageSocket {
  readonly protocol = NEXT_HEADER.udp;
  readonly isCoalescing: boolean;
  /** Where message i comes in. */
  readonly #sources: readonly PacketBuffer[];
  /** Messages of the last call, the one being cut up, and how many datagrams they were so far. */
  #received = 0;
  #message = 0;
  #datagrams = 0;
  /** Path of that message; its datagrams have `#segmentSize` octets; `#at` to `#end` is left. */
  readonly #path = new PacketPath();
  #segmentSize = 0;
  #at = 0;
  #end = 0;

  constructor(
    descriptor: number,
    family: IpFamily,
    options: UdpSocketOptions,
    isOwner: boolean,
  ) {
    const headers = headersOf(family);
    const mayUse = options.segments !== false;
    // Zero asks for nothing: only whether the kernel knows the option.
    const isSegmenting = mayUse && trySocketOption(descriptor, c.SOL_UDP, c.UDP_SEGMENT, 0);
    const Sender = isSegmenting ? SegmentSender : PacketSender;
    super(descriptor, headers, new Sender(descriptor, headers), isOwner);
    this.isCoalescing = mayUse && trySocketOption(descriptor, c.SOL_UDP, c.UDP_GRO, 1);
    this.#sources = (options.slabs ?? makeSources()).slice(0, BATCH_SIZE);
    this.#sources.forEach(({ bytes, capacity }, i) =>
      this.receiver.batch.pointAt(i, bytes, HEADROOM, capacity)
    );
  }

  receive(slabs: readonly PacketBuffer[]): number {
    const most = Math.min(BATCH_SIZE, slabs.length);
    let hasMore = true;
    let count = 0;
    while (count < most) {
      if (this.#message < this.#received) {
        this.#takeDatagram(slabs[count++]!);
      } else {
        if (!hasMore) break;
        hasMore = this.#receiveMessages();
      }
    }
    return count;
  }

  /**
   * Receives about as many messages as fill a batch of slabs, judged by the last ones.
   *
   * @returns Whether more may be waiting.
   */
  #receiveMessages(): boolean {
    const expected = this.#datagrams === 0 ? 1 : this.#received / this.#datagrams;
    const wanted = Math.ceil(expected * this.#sources.length);
    this.#received = this.receiver.receive(wanted);
    this.#message = 0;
    this.#datagrams = 0;
    if (this.#received > 0) this.#beginMessage();
    return this.#received === wanted;
  }

  #beginMessage(): void {
    const { batch } = this.receiver;
    const i = this.#message;
    const length = batch.lengthOf(i);
    const segmentSize = this.headers.take(batch, i, this.#path);
    const isUsable = segmentSize !== NO_DESTINATION && !batch.isCut(i);
    this.#at = HEADROOM;
    this.#end = HEADROOM + (isUsable ? length : 0);
    this.#segmentSize = segmentSize > 0 ? segmentSize : length;
  }

  /** Writes the next datagram and its path into `slab`; nothing when it cannot be used. */
  #takeDatagram(slab: PacketBuffer): void {
    const length = Math.min(this.#segmentSize, this.#end - this.#at);
    slab.reset();
    copyPath(this.#path, slab.path);
    if (length <= slab.capacity) {
      slab.copyFrom(this.#sources[this.#message]!, this.#at, this.#at + length, HEADROOM);
      slab.end = HEADROOM + length;
    }
    this.#datagrams++;
    this.#at += length;
    if (this.#at < this.#end) return;
    this.#message++;
    if (this.#message < this.#received) this.#beginMessage();
  }
}

/** Slabs for a batch of messages, of which the system gives us only what is written. */
function makeSources(): PacketBuffer[] {
  const size = slabSize(LONGEST_MESSAGE);
  const memory = new Uint8Array(BATCH_SIZE * size);
  return Array.from(
    { length: BATCH_SIZE },
    (_, i) => new PacketBuffer(LONGEST_MESSAGE, memory, i * size),
  );
}

function copyPath(from: PacketPath, to: PacketPath): void {
  for (let i = 0; i < 16; i++) {
    to.localAddress[i] = from.localAddress[i]!;
    to.peerAddress[i] = from.peerAddress[i]!;
  }
  to.protocol = NEXT_HEADER.udp;
  to.peerPort = from.peerPort;
  to.trafficClass = from.trafficClass;
  to.hopLimit = from.hopLimit;
  to.isFragment = false;
}
