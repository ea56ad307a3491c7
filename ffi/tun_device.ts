/**
 * `TunDevice` on /dev/net/tun (linux/if_tun.h): one packet per system call, without the packet
 * information header. The device is not persistent, so that it vanishes with its descriptor even
 * when the process is killed.
 */

import { UserError } from "../lib/base/errors.ts";
import { HEADROOM, type PacketBuffer } from "../lib/base/packet_buffer.ts";
import type { TunDevice } from "../lib/runtime/ports.ts";
import { checked, ERRNO, errnoName, lastErrno, SyscallError } from "./errno.ts";
import {
  IFF_NO_PI,
  IFF_TUN,
  IFREQ,
  IOVEC,
  LITTLE,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUNSETIFF,
} from "./layouts.ts";
import { cString, libc } from "./libc.ts";
import { baseOf, Struct, writeAddress } from "./memory.ts";

const DEVICE_FILE = "/dev/net/tun";

/**
 * Makes the device `name`, 1 to 15 octets.
 *
 * @throws {UserError} For everything that the user can mend.
 * @throws {SyscallError}
 */
export function openTun(name: string): TunDevice {
  const octets = new TextEncoder().encode(name);
  if (octets.length === 0 || octets.length >= IFREQ.NAME_SIZE) {
    throw new UserError(`cannot name a network device "${name}". Use 1 to 15 letters and digits.`);
  }
  const descriptor = libc.open(cString(DEVICE_FILE), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) throw explain(name, new SyscallError(`open ${DEVICE_FILE}`, lastErrno()));
  const request = new Struct(IFREQ.SIZE);
  request.bytes.set(octets, IFREQ.name);
  request.view.setUint16(IFREQ.flags, IFF_TUN | IFF_NO_PI, LITTLE);
  if (libc.ioctl(descriptor, BigInt(TUNSETIFF), request.bytes) < 0) {
    const error = new SyscallError(`make the device ${name}`, lastErrno());
    libc.close(descriptor);
    throw explain(name, error);
  }
  return new LinuxTunDevice(descriptor, name);
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
  readonly #iovec = new Struct(IOVEC.SIZE);

  constructor(descriptor: number, name: string) {
    this.descriptor = descriptor;
    this.name = name;
    this.interfaceIndex = libc.if_nametoindex(cString(name));
  }

  readInto(buffer: PacketBuffer): boolean {
    buffer.reset();
    this.#pointAt(buffer.bytes, HEADROOM, buffer.capacity);
    const length = libc.readv(this.descriptor, this.#iovec.pointer, 1);
    if (length < 0) {
      const errno = lastErrno();
      if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return false;
      throw new SyscallError(`read from the network device ${this.name}`, errno);
    }
    buffer.end = HEADROOM + length;
    return true;
  }

  write(buffer: PacketBuffer): boolean {
    return this.#write(buffer.bytes, buffer.start, buffer.length);
  }

  writeBytes(packet: Uint8Array): boolean {
    return this.#write(packet, 0, packet.length);
  }

  close(): void {
    checked("close the network device", libc.close(this.descriptor));
  }

  #write(bytes: Uint8Array, start: number, length: number): boolean {
    if (length === 0) return false;
    this.#pointAt(bytes, start, length);
    return libc.writev(this.descriptor, this.#iovec.pointer, 1) === length;
  }

  #pointAt(bytes: Uint8Array, start: number, length: number): void {
    writeAddress(this.#iovec.view, IOVEC.base, baseOf(bytes), start);
    this.#iovec.view.setUint32(IOVEC.length, length, LITTLE);
  }
}
