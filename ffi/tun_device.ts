/**
 * `TunDevice` on /dev/net/tun (linux/if_tun.h): one packet per system call, without the packet
 * information header, and with a virtio_net_hdr where the kernel has it, so that a TCP or UDP
 * flow comes in super-segments of up to 64 KB. The device is not persistent, so that it vanishes with its
 * descriptor even when the process is killed.
 */

import { UserError } from "../lib/base/errors.ts";
import { HEADROOM, type PacketBuffer } from "../lib/base/packet_buffer.ts";
import { BATCH_SIZE, type TunDevice, type TunOffload } from "../lib/runtime/ports.ts";
import type { PacketRun } from "../lib/wire/packet_run.ts";
import { VIRTIO_NET_HEADER_LENGTH, VirtioNetHeader } from "../lib/wire/virtio_net_header.ts";
import { closeOwned } from "./descriptor.ts";
import { ERRNO, errnoName, lastErrno, SyscallError } from "./errno.ts";
import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TUN,
  IFF_VNET_HDR,
  IFREQ,
  IOVEC,
  LITTLE,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from "./layouts.ts";
import { cString, libc } from "./libc.ts";
import { baseOf, Struct, writeAddress } from "./memory.ts";

const DEVICE_FILE = "/dev/net/tun";

/** What we offer to do in the kernel's place, the most first; the kernel takes one or none. */
const OFFERS: readonly number[] = [
  TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6,
  TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
  TUN_F_CSUM,
];

/**
 * Makes the device `name`, 1 to 15 octets; or, with `hasQueues`, one more queue of it, when a device
 * of that name was made so by this program.
 *
 * @param offers TUN_F_* masks, the best first; none: without virtio_net_hdr.
 * @param hasQueues Whether the device may have several queues.
 * @throws {UserError} For everything that the user can mend.
 * @throws {SyscallError}
 */
export function openTun(
  name: string,
  offers: readonly number[] = OFFERS,
  hasQueues = false,
): TunDevice {
  const octets = new TextEncoder().encode(name);
  if (octets.length === 0 || octets.length >= IFREQ.NAME_SIZE) {
    throw new UserError(`cannot name a network device "${name}". Use 1 to 15 letters and digits.`);
  }
  const descriptor = libc.open(cString(DEVICE_FILE), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) throw explain(name, new SyscallError(`open ${DEVICE_FILE}`, lastErrno()));
  const queues = hasQueues ? IFF_MULTI_QUEUE : 0;
  const hasHeader = offers.length > 0 && attach(descriptor, octets, IFF_VNET_HDR | queues);
  if (!hasHeader && !attach(descriptor, octets, queues)) {
    const error = new SyscallError(`make the device ${name}`, lastErrno());
    libc.close(descriptor);
    throw explain(name, error);
  }
  const taken = hasHeader ? acceptedOffer(descriptor, offers) : 0;
  const offload = {
    hasHeader,
    checksums: (taken & TUN_F_CSUM) !== 0,
    segments: (taken & TUN_F_TSO6) !== 0,
    datagrams: (taken & TUN_F_USO6) !== 0,
  };
  return new LinuxTunDevice(descriptor, name, offload, true);
}

/**
 * The device behind a descriptor that `openTun` opened, here or on another thread, with state of its
 * own. `close` leaves the descriptor open.
 *
 * @param offload What `openTun` said.
 */
export function attachTun(descriptor: number, name: string, offload: TunOffload): TunDevice {
  return new LinuxTunDevice(descriptor, name, offload, false);
}

/** Makes the device with `flags` beside the usual ones; false when the kernel does not. */
function attach(descriptor: number, name: Uint8Array, flags: number): boolean {
  const request = new Struct(IFREQ.SIZE);
  request.bytes.set(name, IFREQ.name);
  request.view.setUint16(IFREQ.flags, IFF_TUN | IFF_NO_PI | flags, LITTLE);
  return libc.ioctl(descriptor, BigInt(TUNSETIFF), request.bytes) === 0;
}

/** The first of `offers` that the kernel takes; 0 when it takes none. */
function acceptedOffer(descriptor: number, offers: readonly number[]): number {
  const request = BigInt(TUNSETOFFLOAD);
  return offers.find((offer) => libc.ioctlNumber(descriptor, request, BigInt(offer)) === 0) ?? 0;
}

/** The error in words that say what to do, where we know. */
function explain(name: string, error: SyscallError): Error {
  switch (error.errno) {
    case ERRNO.EACCES:
    case ERRNO.EPERM:
      return new UserError(
        `cannot open ${DEVICE_FILE} (permission denied). ` +
          "Run it as root, or give it CAP_NET_ADMIN and CAP_NET_RAW.",
      );
    case ERRNO.ENOENT:
    case ERRNO.ENODEV:
    // Some other file stands in its place.
    case ERRNO.ENOTTY:
      return new UserError(
        `cannot open ${DEVICE_FILE} (${errnoName(error.errno)}). ` +
          `Load the module with "modprobe tun", or pass the device into the container.`,
      );
    case ERRNO.EBUSY:
      return new UserError(
        `cannot make the network device ${name}: another program has it. ` +
          `Is hip running already? "hip down" ends it.`,
      );
    case ERRNO.EINVAL:
      return new UserError(
        `cannot make the network device ${name}: a device of another kind, or an unusable name. ` +
          "Choose another name.",
      );
    default:
      return error;
  }
}

class LinuxTunDevice implements TunDevice {
  readonly descriptor: number;
  readonly name: string;
  readonly interfaceIndex: number;
  readonly offload: TunOffload;
  readonly #incoming: Vector;
  readonly #outgoing: Vector;
  readonly #runHeader = new VirtioNetHeader();
  readonly #isOwner: boolean;

  constructor(descriptor: number, name: string, offload: TunOffload, isOwner: boolean) {
    this.descriptor = descriptor;
    this.name = name;
    this.interfaceIndex = libc.if_nametoindex(cString(name));
    this.offload = offload;
    this.#isOwner = isOwner;
    this.#incoming = new Vector(offload.hasHeader, 1);
    this.#outgoing = new Vector(offload.hasHeader, BATCH_SIZE);
  }

  readInto(buffer: PacketBuffer, header: VirtioNetHeader): boolean {
    buffer.reset();
    const incoming = this.#incoming;
    incoming.pointAt(buffer.bytes, HEADROOM, buffer.capacity);
    const length = libc.readv(this.descriptor, incoming.pointer, incoming.parts);
    if (length < 0) {
      const errno = lastErrno();
      if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return false;
      throw new SyscallError(`read from the network device ${this.name}`, errno);
    }
    buffer.end = HEADROOM + Math.max(0, length - incoming.headerLength);
    if (incoming.headerLength === 0) header.clear();
    else header.read(incoming.header.view, 0);
    return true;
  }

  write(buffer: PacketBuffer): boolean {
    return this.#write(buffer.bytes, buffer.start, buffer.length);
  }

  writeRun(run: PacketRun): boolean {
    const outgoing = this.#outgoing;
    run.finish(this.#runHeader);
    this.#runHeader.write(outgoing.header.view, 0);
    let length = 0;
    for (let i = 0; i < run.count; i++) {
      const { bytes, start, end } = run.packet(i);
      const from = i === 0 ? start : start + run.headerLength;
      outgoing.pointAt(bytes, from, end - from, i);
      length += end - from;
    }
    const written = libc.writev(this.descriptor, outgoing.pointer, run.count + 1);
    outgoing.header.bytes.fill(0);
    return written === outgoing.headerLength + length;
  }

  writeBytes(packet: Uint8Array): boolean {
    return this.#write(packet, 0, packet.length);
  }

  close(): void {
    closeOwned(this.descriptor, this.#isOwner);
  }

  #write(bytes: Uint8Array, start: number, length: number): boolean {
    if (length === 0) return false;
    const outgoing = this.#outgoing;
    outgoing.pointAt(bytes, start, length);
    const written = libc.writev(this.descriptor, outgoing.pointer, outgoing.parts);
    return written === outgoing.headerLength + length;
  }
}

/** The iovecs of one read or write: the virtio_net_hdr where the device has it, then the octets. */
class Vector {
  readonly header = new Struct(VIRTIO_NET_HEADER_LENGTH);
  /** Octets of the header in each read and write: 0 without it. */
  readonly headerLength: number;
  /** Number of iovecs of a packet in one piece. */
  readonly parts: number;
  readonly #iovecs: Struct;
  /** Where the iovec of the first piece stands. */
  readonly #first: number;

  /** @param pieces Most pieces of a packet. */
  constructor(hasHeader: boolean, pieces: number) {
    this.headerLength = hasHeader ? VIRTIO_NET_HEADER_LENGTH : 0;
    this.parts = hasHeader ? 2 : 1;
    this.#iovecs = new Struct((1 + pieces) * IOVEC.SIZE);
    this.#first = hasHeader ? IOVEC.SIZE : 0;
    if (!hasHeader) return;
    this.#iovecs.setPointer(IOVEC.base, this.header);
    this.#iovecs.view.setUint32(IOVEC.length, this.headerLength, LITTLE);
  }

  get pointer(): Deno.PointerObject {
    return this.#iovecs.pointer;
  }

  /** Where piece `piece` of the packet lies. */
  pointAt(bytes: Uint8Array, start: number, length: number, piece = 0): void {
    const at = this.#first + piece * IOVEC.SIZE;
    writeAddress(this.#iovecs.view, at + IOVEC.base, baseOf(bytes), start);
    this.#iovecs.view.setUint32(at + IOVEC.length, length, LITTLE);
  }
}
