/**
 * What the program asks of the operating system, as contracts. `ffi/` implements them on system
 * calls, `tests/support/` has fakes, and nothing else in `lib/` knows which of the two it has.
 *
 * Everything here is used from one thread. Every call returns at once, except `Readiness.wait`,
 * which is the one place where the program sleeps. A port that is closed is not used again.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { Instant } from "../base/time.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import type { Digest } from "../crypto/rhash.ts";
import type { JobRequest, OutgoingPacket } from "../engine/effects.ts";
import type { JobResult } from "../hip/jobs.ts";
import type { LocalLocator } from "../host/local_locators.ts";
import type { PacketRun } from "../wire/packet_run.ts";
import type { VirtioNetHeader } from "../wire/virtio_net_header.ts";

// Part of the contracts below; `ffi/` knows them from here.
export type { LocalLocator, OutgoingPacket };

/** Something that `Readiness` can wait for: it becomes readable. */
export interface Pollable {
  /** The system's number for it; fakes may use any number. */
  readonly descriptor: number;
}

/** What the kernel and we do for each other at the TUN device. */
export interface TunOffload {
  /** Whether packets carry a virtio_net_hdr; without it nothing else here is true. */
  readonly hasHeader: boolean;
  /** The kernel leaves checksums to us. */
  readonly checksums: boolean;
  /** The kernel hands over TCP super-segments, of both families, which we cut. */
  readonly segments: boolean;
  /** It hands over UDP super-segments, which we cut into datagrams, and takes them. */
  readonly datagrams: boolean;
}

/**
 * A layer 3 network device whose other end is this program: what applications send to HITs is read
 * here, what is written here they receive. It goes away with `close` or with the process.
 */
export interface TunDevice extends Pollable {
  /** The name the system gave it ("hip0"). */
  readonly name: string;
  readonly interfaceIndex: number;
  readonly offload: TunOffload;

  /**
   * Reads one IP packet into `buffer` at `HEADROOM`; `start` and `end` then surround it. A packet
   * longer than the buffer's capacity is cut: its IP length field shows that. `header` tells what
   * is left to do to the packet (`PacketCutter` does it): nothing, on a device without offload.
   *
   * @returns False when none is waiting.
   * @throws {Error} The device is gone; it never works again.
   */
  readInto(buffer: PacketBuffer, header: VirtioNetHeader): boolean;

  /**
   * Hands the packet `buffer.start` to `buffer.end` to the system.
   *
   * @returns False when it was not taken: device down or malformed packet. The caller counts it.
   */
  write(buffer: PacketBuffer): boolean;

  /**
   * Hands over a run of two packets or more as one super-segment; finishes it. Only on a device with
   * `offload.hasHeader`, and of UDP only with `offload.datagrams`. Otherwise as `write`: all of them are taken, or none.
   */
  writeRun(run: PacketRun): boolean;

  /** As `write`, for a packet that lies in an array of its own. */
  writeBytes(packet: Uint8Array): boolean;

  /** Removes the device and with it its addresses and routes. */
  close(): void;
}

export type IpFamily = 4 | 6;

/** Packets that one system call moves at most. */
export const BATCH_SIZE = 64;

/**
 * What became of a packet that was sent. `sent`: the system has it. `busy`: its queue is full,
 * later ones may pass. `too-big`: larger than the path allows and not to be fragmented.
 * `unreachable`: no route, or the source address is not ours. `refused`: anything else.
 */
export type SendResult = "sent" | "busy" | "too-big" | "unreachable" | "refused";

export interface IpSocketOptions {
  /**
   * Whether IPv4 packets that fit the path MTU known to the system leave with "don't fragment", so
   * that routers report a smaller one; longer packets are cut up. No when absent.
   */
  readonly discoversPathMtu?: boolean;
  /** On a socket for ICMP: our UDP port, errors about packets from which come in as well. */
  readonly udpPort?: number;
}

export interface UdpSocketOptions extends IpSocketOptions {
  /**
   * Whether other sockets of ours may have the port as well; the system then leads all datagrams
   * of one peer to one of them. No when absent.
   */
  readonly sharesPort?: boolean;
  /** Whether the system may be asked to cut and to join datagrams. Yes when absent. */
  readonly segments?: boolean;
  /**
   * Where datagrams come in before they are cut into the slabs of `receive`, nobody else's; each
   * takes the longest datagram. In one piece of memory with those slabs they save an object per
   * packet. Slabs of its own when absent.
   */
  readonly slabs?: readonly PacketBuffer[];
}

/**
 * A raw socket for one IP protocol and one family. It sees every packet of its protocol to any
 * address of the host, reassembled by the system (RFC 7401 §5.1.3), and the system fragments what
 * it sends. One for UDP (17) sees what comes to our port, and paths have the peer's port as well;
 * packets are then what datagrams carry.
 */
export interface IpSocket extends Pollable {
  /** 139 HIP, 50 ESP, 17 UDP; 1 ICMP or 58 ICMPv6, of which only errors about those come in. */
  readonly protocol: number;
  readonly family: IpFamily;

  /** Whether one system call moves many packets. */
  readonly isBatched: boolean;

  /** Whether the system cuts up for us what we send in one piece (UDP_SEGMENT), as of late. */
  readonly isSegmenting: boolean;

  /** Whether the system hands over in one piece what came in many (UDP_GRO). */
  readonly isCoalescing: boolean;

  /**
   * Reads packets that are waiting, each into one of `slabs`, at most `BATCH_SIZE`, and fills all of
   * their paths: both addresses (ours is the packet's destination), protocol, traffic class, hop
   * limit. `start` is the first octet behind the IP header. A packet whose header cannot be used,
   * or that did not fit, leaves its slab empty (`length` 0): the caller counts it as
   * "datagram-malformed". The same array each time saves work; what is in it must not change.
   *
   * @returns How many; fewer than there were slabs when no more are waiting.
   */
  receive(slabs: readonly PacketBuffer[]): number;

  /**
   * Queues `buffer.start` to `buffer.end` to be sent along `buffer.path`: from `localAddress` (all
   * zero: the system chooses) to `peerAddress`, with its traffic class and hop limit. Both addresses
   * are of this socket's family. The buffer stays as it is until `flush`, which must come before
   * more than `BATCH_SIZE` packets are queued. Does not allocate.
   */
  queue(buffer: PacketBuffer): void;

  /** Sends what is queued, in order; `onFailure` is called for each packet that was not sent. */
  flush(onFailure: (buffer: PacketBuffer, result: SendResult) => void): void;

  /** Sends a packet of the control plane, before what is queued. Does not throw. */
  sendPacket(packet: OutgoingPacket): SendResult;

  /**
   * Which of our addresses is on which interface: a packet to a link-local address leaves through
   * the interface that has its source address. Called at start and whenever addresses change.
   */
  setLocators(locators: readonly LocalLocator[]): void;

  close(): void;
}

/** Multicast groups of rtnetlink, by their numbers (linux/rtnetlink.h, RTNLGRP_*). */
export type NetlinkGroup = number;

/**
 * A route netlink socket. The system answers a request before `send` returns, so that the answer
 * to a request can be read at once; notifications of the groups joined come by themselves.
 */
export interface NetlinkSocket extends Pollable {
  /**
   * Sends one or more whole netlink messages.
   *
   * @throws {Error} The system did not take them.
   */
  send(messages: Uint8Array): void;

  /**
   * The next datagram: one or more whole netlink messages, in an array of its own.
   *
   * @returns Undefined when none is waiting; "overrun" when the system had to drop notifications:
   * what was learned from them must be listed anew.
   */
  receive(): Uint8Array | "overrun" | undefined;

  close(): void;
}

/** Wakes a thread that waits for it, from any thread. */
export interface Bell extends Pollable {
  ring(): void;
  /** Takes note of all rings so far: it is not readable until the next one. */
  silence(): void;
  close(): void;
}

/** The one place to sleep. Waits for any of the descriptors it was made for. */
export interface Readiness {
  /**
   * Resolves when a descriptor is readable, when `wake` was called since the last `wait`, or after
   * `timeoutMs` milliseconds (rounded up; undefined: no limit), and at once when that is so
   * already. It blocks no thread that runs JavaScript and costs nothing while it waits. One `wait`
   * at a time. It may resolve without cause: look at every source again afterwards.
   */
  wait(timeoutMs: number | undefined): Promise<void>;

  /** Whether `wait` waits for one of its sources from the next call on; for all at first. */
  setWatched(source: Pollable, isWatched: boolean): void;

  /** Ends the present `wait`, or the next one when none is under way. */
  wake(): void;

  /** Ends a `wait` under way and frees what it holds. The descriptors stay open. */
  close(): Promise<void>;
}

/** The monotonic clock. Its zero is arbitrary; it does not run while the host sleeps. */
export interface Clock {
  now(): Instant;
}

/** A finished job. */
export interface JobDone {
  readonly id: number;
  readonly result: JobResult;
}

/**
 * Computes jobs away from the packet path. Every job submitted ends in exactly one `JobDone`: a
 * failure with "hip-busy" when the queue is full, with "hip-job-failed" when its worker died.
 */
export interface JobRunner {
  /** Resolves when the workers have loaded and take jobs; rejects when they cannot be started. */
  readonly ready: Promise<void>;
  /** Jobs submitted and not yet polled. */
  readonly pending: number;
  /** Who does public-key work: "libcrypto", "portable"; known once `ready`. */
  readonly publicKeys: string;

  submit(request: JobRequest): void;

  /** The next finished job, in the order in which they finished. */
  poll(): JobDone | undefined;

  /** `listener` is called whenever `poll` has something new. There is one listener. */
  onDone(listener: () => void): void;

  /** Stops the workers; jobs under way are lost. */
  close(): void;
}

/**
 * The operating system as a whole, made by `main.ts` from `ffi/`. What fails for a reason that the
 * user can mend throws `UserError`.
 */
export interface Platform {
  /** Effective user id; 0 is root. */
  euid(): number;

  /**
   * Makes the TUN device `name`, without addresses and down.
   *
   * @param hasQueues Whether it may have several queues: the same call then opens one more, and the
   *   system leads each flow to the queue on which its other direction was written. No when absent.
   * @throws {UserError} No such facility, no right to it, or another program has the name.
   */
  openTun(name: string, hasQueues?: boolean): TunDevice;

  /** @throws {UserError} No right to raw sockets. */
  openIpSocket(protocol: number, family: IpFamily, options?: IpSocketOptions): IpSocket;

  /**
   * Makes a socket for UDP on `port` of all addresses of `family`.
   *
   * @throws {UserError} Another program has the port, or the system has no such family.
   */
  openUdpSocket(port: number, family: IpFamily, options?: UdpSocketOptions): IpSocket;

  /** @throws {Error} */
  openNetlink(groups: readonly NetlinkGroup[]): NetlinkSocket;

  makeReadiness(sources: readonly Pollable[]): Readiness;

  /** Ciphers of the system's libcrypto; undefined when it has none that can be used. */
  openEspProvider(): EspProvider | undefined;

  /**
   * Public-key work on the system's libcrypto, for this thread; undefined when it has none that
   * can be used.
   *
   * @throws {Error} When the library gives a wrong answer to a known question.
   */
  openPublicKeyProvider(): PublicKeyProvider | undefined;

  /**
   * Hashes on the system's libcrypto, for this thread; undefined when it has none that can be used.
   *
   * @throws {Error} When the library gives a wrong answer to a known question.
   */
  openDigest(): Digest | undefined;

  /** @throws {Error} No descriptor left. */
  makeBell(): Bell;

  /** The module of workers that do public-key work with libcrypto where it can be used. */
  readonly jobWorkerUrl: URL;

  /** The module of data threads. */
  readonly dataWorkerUrl: URL;
}

/** Where a data thread sleeps. */
export interface BlockingWait {
  /** Blocks the thread until one of the sources is readable; it may return without cause. */
  block(): void;
  /** Looks which are, without waiting. */
  look(): void;
  /** Whether a source was found readable by the last `block` or `look`. */
  isReady(source: Pollable): boolean;
}

/**
 * What a data thread asks of the operating system. What is attached belongs to another thread of
 * this program, which opened it; several threads may use one descriptor, each with state of its
 * own, but only one may read from it.
 */
export interface DataPlatform {
  attachTun(descriptor: number, name: string, offload: TunOffload): TunDevice;

  /** @param slabs As `UdpSocketOptions.slabs`, for a thread that receives. */
  attachSocket(
    descriptor: number,
    protocol: number,
    family: IpFamily,
    slabs: readonly PacketBuffer[],
  ): IpSocket;

  attachBell(descriptor: number): Bell;

  makeWait(sources: readonly Pollable[]): BlockingWait;

  /**
   * How urgent this thread's work is to the system: -20, the most, to 19, as of nice(1). Nothing
   * happens where the system does not allow it.
   */
  setPriority(nice: number): void;

  /** See `Platform.openEspProvider`. */
  openEspProvider(): EspProvider | undefined;
}
