/**
 * The data threads, as the engine's thread has them: two workers that move packets while the engine
 * does everything else. Here SAs are lent to them and taken back, and here comes what they cannot
 * place; `lib/esp/sa_offload.ts` tells the principle.
 */

import { DropCounters, type DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { LaneLender, type LaneListener } from "../esp/lane_lender.ts";
import type { SaOffload } from "../esp/sa_offload.ts";
import type { InboundSa, OutboundSa } from "../esp/security_association.ts";
import { isLinkLocal } from "../wire/ip_address.ts";
import {
  type DataThreadMessage,
  type DataThreadSetup,
  type Direction,
  makeSwitches,
  makeThreadMemory,
  SWITCH,
} from "./data_protocol.ts";
import type { Bell, IpSocket, Platform, TunDevice } from "./ports.ts";

/** How long a thread may take to end, in milliseconds. */
const END_PATIENCE_MS = 2000;

export interface DataThreadsOptions {
  readonly platform: Pick<Platform, "makeBell" | "dataWorkerUrl">;
  readonly tun: Pick<TunDevice, "descriptor" | "name" | "offload">;
  /** Those for ESP and UDP. */
  readonly sockets: readonly Pick<IpSocket, "descriptor" | "protocol" | "family">[];
  /** Wakes the engine's thread. */
  readonly engineBell: Pick<Bell, "descriptor">;
  readonly usesLibcrypto: boolean;
  readonly knownSpis: SharedArrayBuffer;
  /** Called when a thread dies: they are of no use any more, and are to be stopped. */
  readonly onFailure: (why: string) => void;
}

export class DataThreads implements SaOffload {
  /** What found no room on its way to a thread. */
  readonly #drops = new DropCounters();
  readonly #switches: Int32Array<SharedArrayBuffer>;
  readonly #outbound: DataThread<OutboundSa>;
  readonly #inbound: DataThread<InboundSa>;

  private constructor(options: DataThreadsOptions) {
    this.#switches = makeSwitches();
    this.#outbound = new DataThread("outbound", options, this.#switches);
    this.#inbound = new DataThread("inbound", options, this.#switches);
  }

  /** @throws {Error} When a thread does not come up; then none runs. */
  static async start(options: DataThreadsOptions): Promise<DataThreads> {
    const threads = new DataThreads(options);
    try {
      await Promise.all([threads.#outbound.ready, threads.#inbound.ready]);
    } catch (error) {
      await threads.stop();
      throw error;
    }
    return threads;
  }

  takeOutbound(sa: OutboundSa): boolean {
    // Where a link-local address is, only the engine's sockets know.
    return !isLinkLocal(sa.peerAddress) && this.#outbound.lender.take(sa);
  }

  takeInbound(sa: InboundSa): boolean {
    return this.#inbound.lender.take(sa);
  }

  /** An inner packet for the thread that sends; it is on its way when `flush` was called. */
  passOutbound(buffer: PacketBuffer): void {
    if (!this.#outbound.lender.pass(buffer)) this.#drops.count("thread-busy");
  }

  /** The same with an ESP packet for the thread that receives. */
  passInbound(buffer: PacketBuffer): void {
    if (!this.#inbound.lender.pass(buffer)) this.#drops.count("thread-busy");
  }

  /** Whether the agent waits for an echo reply: then these come by `innerPacket`. */
  setReplyAwaited(isAwaited: boolean): void {
    Atomics.store(this.#switches, SWITCH.replyAwaited, isAwaited ? 1 : 0);
  }

  /** Hears what the threads have to say, a bounded part of it. @returns Whether there was anything. */
  drain(buffer: PacketBuffer, outbound: LaneListener, inbound: LaneListener): boolean {
    const fromOutbound = this.#outbound.lender.drain(buffer, outbound);
    return this.#inbound.lender.drain(buffer, inbound) || fromOutbound;
  }

  /** Wakes threads for which something was written. */
  flush(): void {
    for (const { lender, bell } of [this.#outbound, this.#inbound]) {
      if (lender.takeHasWritten()) bell.ring();
    }
  }

  /** What was dropped by threads and on the way to them. */
  get drops(): readonly Partial<Record<DropReason, number>>[] {
    return [this.#drops, this.#outbound.drops, this.#inbound.drops].map((drops) => drops.toJSON());
  }

  /** Ends the threads; every SA is this thread's again when it resolves, or is wiped. */
  async stop(): Promise<void> {
    Atomics.store(this.#switches, SWITCH.stop, 1);
    await Promise.all([this.#outbound.end(), this.#inbound.end()]);
  }
}

/** One worker. */
class DataThread<T extends OutboundSa | InboundSa> {
  readonly ready: Promise<void>;
  readonly drops: DropCounters;
  readonly lender: LaneLender<T>;
  readonly bell: Bell;
  readonly #worker: Worker;
  readonly #ended = Promise.withResolvers<void>();
  #hasEnded = false;

  constructor(
    direction: Direction,
    options: DataThreadsOptions,
    switches: Int32Array<SharedArrayBuffer>,
  ) {
    const { platform, tun, sockets, engineBell, usesLibcrypto, knownSpis, onFailure } = options;
    const memory = makeThreadMemory();
    this.lender = new LaneLender(memory);
    this.drops = new DropCounters(memory.drops);
    this.bell = platform.makeBell();
    const setup: DataThreadSetup = {
      direction,
      tun: { descriptor: tun.descriptor, name: tun.name, offload: tun.offload },
      sockets: sockets.map(({ descriptor, protocol, family }) => ({
        descriptor,
        protocol,
        family,
      })),
      usesLibcrypto,
      bell: this.bell.descriptor,
      engineBell: engineBell.descriptor,
      memory,
      switches,
      knownSpis,
    };
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#worker = new Worker(platform.dataWorkerUrl, { type: "module", name: direction });
    this.#worker.onmessage = ({ data }: MessageEvent<DataThreadMessage>) => {
      if (data === "ready") ready.resolve();
      else this.#noteEnd();
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#noteEnd();
      ready.reject(new Error(`Cannot start the ${direction} data thread: ${event.message}`));
      onFailure(`The ${direction} data thread died (${event.message})`);
    };
    this.#worker.postMessage(setup);
  }

  /** Waits for the end of the thread, which was told to. */
  async end(): Promise<void> {
    this.bell.ring();
    let timer: number | undefined;
    const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, END_PATIENCE_MS));
    await Promise.race([this.#ended.promise, patience]);
    clearTimeout(timer);
    this.#worker.terminate();
    this.lender.reclaim(this.#hasEnded);
    this.bell.close();
  }

  #noteEnd(): void {
    this.#hasEnded = true;
    this.#ended.resolve();
  }
}
