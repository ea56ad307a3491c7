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

/** What one pair of threads works on: a queue of the TUN device, and sockets of its own. */
export interface PairSources {
  readonly tun: Pick<TunDevice, "descriptor" | "name" | "offload">;
  /** For ESP and UDP; nobody else reads them. */
  readonly receiving: readonly ThreadSocket[];
  /** At most one for each protocol and family. */
  readonly sending: readonly ThreadSocket[];
}

/** A socket, as another thread gets it. */
export type ThreadSocket = Pick<IpSocket, "descriptor" | "protocol" | "family">;

export interface DataThreadsOptions {
  readonly platform: Pick<Platform, "makeBell" | "dataWorkerUrl">;
  /** At least one. */
  readonly pairs: readonly PairSources[];
  /** Wakes the engine's thread. */
  readonly engineBell: Pick<Bell, "descriptor">;
  readonly usesLibcrypto: boolean;
  readonly knownSpis: SharedArrayBuffer;
  /** Called when a thread dies: they are of no use any more, and are to be stopped. */
  readonly onFailure: (why: string) => void;
}

/** A thread that sends and one that receives. */
interface Pair {
  readonly outbound: DataThread<OutboundSa>;
  readonly inbound: DataThread<InboundSa>;
}

export class DataThreads implements SaOffload {
  /** What found no room on its way to a thread. */
  readonly #drops = new DropCounters();
  readonly #switches = makeSwitches();
  readonly #pairs: readonly Pair[];
  /** Where an SA was lent to. */
  readonly #pairOf = new WeakMap<OutboundSa | InboundSa, Pair>();
  /**
   * The pair that is listened to. The system leads all packets of one peer to one pair: by the
   * peer's address those from outside, and by the queue on which these were delivered those of
   * applications. So an SA is lent to the pair that its packet came from, and a packet that comes
   * by another pair goes there as well, only not so fast.
   */
  #current: Pair;

  private constructor(options: DataThreadsOptions) {
    this.#pairs = options.pairs.map((sources) => ({
      outbound: new DataThread("outbound", options, sources, this.#switches),
      inbound: new DataThread("inbound", options, sources, this.#switches),
    }));
    this.#current = this.#pairs[0]!;
  }

  /** @throws {Error} When a thread does not come up; then none runs. */
  static async start(options: DataThreadsOptions): Promise<DataThreads> {
    const threads = new DataThreads(options);
    try {
      await Promise.all(threads.#all.map(({ ready }) => ready));
      // One may have died while another was still loading.
      if (threads.#all.some(({ hasEnded }) => hasEnded)) throw new Error("A data thread has died");
    } catch (error) {
      await threads.stop();
      throw error;
    }
    return threads;
  }

  /** Threads there are. */
  get count(): number {
    return 2 * this.#pairs.length;
  }

  get #all(): (DataThread<OutboundSa> | DataThread<InboundSa>)[] {
    return this.#pairs.flatMap(({ outbound, inbound }) => [outbound, inbound]);
  }

  takeOutbound(sa: OutboundSa, beside?: InboundSa): boolean {
    // Where a link-local address is, only the engine's sockets know.
    if (isLinkLocal(sa.peerAddress)) return false;
    const pair = this.#pairFor(beside);
    if (!pair.outbound.lender.take(sa)) return false;
    this.#pairOf.set(sa, pair);
    return true;
  }

  takeInbound(sa: InboundSa, beside?: OutboundSa): boolean {
    const pair = this.#pairFor(beside);
    if (!pair.inbound.lender.take(sa)) return false;
    this.#pairOf.set(sa, pair);
    return true;
  }

  #pairFor(beside: OutboundSa | InboundSa | undefined): Pair {
    return (beside && this.#pairOf.get(beside)) ?? this.#current;
  }

  /** The packet is on its way when `flush` was called. */
  passOutbound(sa: OutboundSa, buffer: PacketBuffer): void {
    const { outbound } = this.#pairOf.get(sa) ?? this.#current;
    if (!outbound.lender.pass(buffer)) this.#drops.count("thread-busy");
  }

  passInbound(sa: InboundSa, buffer: PacketBuffer): void {
    const { inbound } = this.#pairOf.get(sa) ?? this.#current;
    if (!inbound.lender.pass(buffer)) this.#drops.count("thread-busy");
  }

  /** Whether the agent waits for an echo reply: then these come by `innerPacket`. */
  setReplyAwaited(isAwaited: boolean): void {
    Atomics.store(this.#switches, SWITCH.replyAwaited, isAwaited ? 1 : 0);
  }

  /** Hears what the threads have to say, a bounded part of it. @returns Whether there was anything. */
  drain(buffer: PacketBuffer, outbound: LaneListener, inbound: LaneListener): boolean {
    let hasHeard = false;
    for (const pair of this.#pairs) {
      this.#current = pair;
      if (pair.outbound.lender.drain(buffer, outbound)) hasHeard = true;
      if (pair.inbound.lender.drain(buffer, inbound)) hasHeard = true;
    }
    this.#current = this.#pairs[0]!;
    return hasHeard;
  }

  /** Wakes threads for which something was written. */
  flush(): void {
    for (const { lender, bell } of this.#all) {
      if (lender.takeHasWritten()) bell.ring();
    }
  }

  /** What was dropped by threads and on the way to them. */
  get drops(): readonly Partial<Record<DropReason, number>>[] {
    return [this.#drops, ...this.#all.map(({ drops }) => drops)].map((drops) => drops.toJSON());
  }

  /** Ends the threads; every SA is this thread's again when it resolves, or is wiped. */
  async stop(): Promise<void> {
    Atomics.store(this.#switches, SWITCH.stop, 1);
    await Promise.all(this.#all.map((thread) => thread.end()));
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
    { tun, receiving, sending }: PairSources,
    switches: Int32Array<SharedArrayBuffer>,
  ) {
    const { platform, engineBell, usesLibcrypto, knownSpis, onFailure } = options;
    const memory = makeThreadMemory();
    this.lender = new LaneLender(memory);
    this.drops = new DropCounters(memory.drops);
    this.bell = platform.makeBell();
    const setup: DataThreadSetup = {
      direction,
      tun: { descriptor: tun.descriptor, name: tun.name, offload: tun.offload },
      sockets: (direction === "outbound" ? sending : receiving).map((
        { descriptor, protocol, family },
      ) => ({
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

  get hasEnded(): boolean {
    return this.#hasEnded;
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
