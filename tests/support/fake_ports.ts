/** Every port of the runtime in memory: what goes in is a list, what comes out is a list. */

import type { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { type Instant, instant } from "../../lib/base/time.ts";
import type { ThreadSide } from "../../lib/engine/data_path.ts";
import type { JobRequest, OutgoingPacket } from "../../lib/engine/effects.ts";
import type { Job, JobResult } from "../../lib/hip/jobs.ts";
import type { LocalLocator } from "../../lib/host/local_locators.ts";
import {
  BATCH_SIZE,
  type Clock,
  type IpFamily,
  type IpSocket,
  type JobDone,
  type JobRunner,
  type Pollable,
  type Readiness,
  type SendResult,
  type TunDevice,
  type TunOffload,
} from "../../lib/runtime/ports.ts";
import type { PacketRun } from "../../lib/wire/packet_run.ts";
import { GSO, VirtioNetHeader } from "../../lib/wire/virtio_net_header.ts";
import { slowSegments } from "./slow_segments.ts";
import { runOctets } from "./tcp_packets.ts";
import { slowDatagrams } from "./udp_packets.ts";

let lastDescriptor = 1000;

/** A clock that goes when told. */
export class FakeClock implements Clock {
  #now = 0;

  now(): Instant {
    return instant(this.#now);
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}

/** Applications put packets into `fromApplications` and find those for them in `written`. */
export class FakeTunDevice implements TunDevice {
  readonly descriptor = ++lastDescriptor;
  readonly interfaceIndex: number;
  readonly fromApplications: Uint8Array[] = [];
  /** What comes with packets of `fromApplications` that need work. */
  readonly headers = new Map<Uint8Array, VirtioNetHeader>();
  readonly written: Uint8Array[] = [];
  /** What `write` answers. */
  takesPackets = true;
  isClosed = false;
  offload: TunOffload = { hasHeader: true, checksums: true, segments: true, datagrams: true };

  constructor(readonly name: string = "hip0", interfaceIndex: number = 7) {
    this.interfaceIndex = interfaceIndex;
  }

  readInto(buffer: PacketBuffer, header: VirtioNetHeader): boolean {
    if (this.isClosed) throw new Error(`${this.name} is gone`);
    const packet = this.fromApplications.shift();
    if (packet === undefined) return false;
    buffer.load(packet.subarray(0, buffer.capacity));
    header.clear();
    Object.assign(header, this.headers.get(packet));
    return true;
  }

  write(buffer: PacketBuffer): boolean {
    return this.writeBytes(buffer.contents());
  }

  /** Segments that were handed over together. */
  readonly runs: number[] = [];

  /** Cuts the run up as the kernel does, so that `written` has packets alone. */
  writeRun(run: PacketRun): boolean {
    const header = new VirtioNetHeader();
    run.finish(header);
    const whole = runOctets(run);
    if (this.takesPackets) {
      this.runs.push(run.count);
      const cut = header.gsoType === GSO.udp ? slowDatagrams : slowSegments;
      this.written.push(...cut(whole, header.gsoSize));
    }
    return this.takesPackets;
  }

  writeBytes(packet: Uint8Array): boolean {
    if (this.takesPackets) this.written.push(packet.slice());
    return this.takesPackets;
  }

  close(): void {
    this.isClosed = true;
  }
}

/** A packet as it is on the wire, its IP header aside. */
export type WirePacket = Omit<OutgoingPacket, "protocol">;

/** Peers put packets into `fromPeers`; what was sent is in `sent`. */
export class FakeIpSocket implements IpSocket {
  readonly descriptor = ++lastDescriptor;
  /** `source` is the peer, `destination` is us. */
  readonly fromPeers: WirePacket[] = [];
  readonly sent: OutgoingPacket[] = [];
  locators: readonly LocalLocator[] = [];
  /** What the next sends answer. */
  result: SendResult = "sent";
  isClosed = false;
  isBatched = true;
  isSegmenting = false;
  isCoalescing = false;
  readonly #queue: PacketBuffer[] = [];

  constructor(readonly protocol: number, readonly family: IpFamily) {}

  receive(slabs: readonly PacketBuffer[]): number {
    const packets = this.fromPeers.splice(0, Math.min(slabs.length, BATCH_SIZE));
    packets.forEach((packet, i) => {
      const { path } = slabs[i]!;
      slabs[i]!.load(packet.bytes);
      path.protocol = this.protocol;
      path.peerPort = packet.peerPort ?? 0;
      path.isFragment = false;
      path.localAddress.set(packet.destination);
      path.peerAddress.set(packet.source);
      path.trafficClass = packet.trafficClass;
      path.hopLimit = packet.hopLimit;
    });
    return packets.length;
  }

  queue(buffer: PacketBuffer): void {
    if (this.#queue.length === BATCH_SIZE) throw new RangeError("too many packets");
    this.#queue.push(buffer);
  }

  flush(onFailure: (buffer: PacketBuffer, result: SendResult) => void): void {
    // Read only now: a packet that was touched meanwhile arrives spoilt.
    for (const buffer of this.#queue.splice(0)) {
      const result = this.sendPacket({
        protocol: this.protocol,
        peerPort: buffer.path.peerPort,
        source: buffer.path.localAddress,
        destination: buffer.path.peerAddress,
        bytes: buffer.contents(),
        trafficClass: buffer.path.trafficClass,
        hopLimit: buffer.path.hopLimit,
      });
      if (result !== "sent") onFailure(buffer, result);
    }
  }

  sendPacket(packet: OutgoingPacket): SendResult {
    if (this.result === "sent") {
      this.sent.push({
        ...packet,
        source: packet.source.slice(),
        destination: packet.destination.slice(),
        bytes: packet.bytes.slice(),
      });
    }
    return this.result;
  }

  setLocators(locators: readonly LocalLocator[]): void {
    this.locators = locators;
  }

  close(): void {
    this.isClosed = true;
  }
}

/** Sleeps until `wake`; `waits` has the timeout of each `wait`. */
export class FakeReadiness implements Readiness {
  readonly waits: (number | undefined)[] = [];
  /** Called when somebody goes to sleep, with the timeout; it may wake. */
  onWait: (timeoutMs: number | undefined) => void = () => {};
  #isWoken = false;
  #resolve: (() => void) | undefined;

  get isAsleep(): boolean {
    return this.#resolve !== undefined;
  }

  async wait(timeoutMs: number | undefined): Promise<void> {
    this.waits.push(timeoutMs);
    this.onWait(timeoutMs);
    // Zero is a rest: everybody else's turn, then on.
    if (!this.#isWoken && timeoutMs !== 0) {
      await new Promise<void>((resolve) => this.#resolve = resolve);
    }
    this.#isWoken = false;
    this.#resolve = undefined;
    await Promise.resolve();
  }

  /** Sources that nobody waits for. */
  readonly unwatched = new Set<Pollable>();

  setWatched(source: Pollable, isWatched: boolean): void {
    if (isWatched) this.unwatched.delete(source);
    else this.unwatched.add(source);
  }

  wake(): void {
    this.#isWoken = true;
    this.#resolve?.();
  }

  close(): Promise<void> {
    this.wake();
    return Promise.resolve();
  }
}

/** Computes jobs in place, when `finishAll` is called. */
export class FakeJobRunner implements JobRunner {
  readonly publicKeys = "portable";
  readonly ready: Promise<void> = Promise.resolve();
  readonly submitted: JobRequest[] = [];
  readonly #done: JobDone[] = [];
  #listener: () => void = () => {};

  /** @param run Gives the result of a job. */
  constructor(readonly run: (job: Job) => JobResult) {}

  get pending(): number {
    return this.submitted.length + this.#done.length;
  }

  submit(request: JobRequest): void {
    this.submitted.push(request);
  }

  /** Finishes everything submitted and tells the listener. */
  finishAll(): void {
    for (const { id, job } of this.submitted.splice(0)) {
      this.#done.push({ id, result: this.run(job) });
    }
    this.#listener();
  }

  poll(): JobDone | undefined {
    return this.#done.shift();
  }

  onDone(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.submitted.length = 0;
  }
}

/** Nobody has data threads. */
export const NO_THREADS: ThreadSide = {
  knownSpis: new SharedArrayBuffer(0),
  setOffload() {},
  handleInnerPacket: () => "deliver",
  handleNews() {},
  handleRefusal() {},
};
