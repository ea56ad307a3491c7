/**
 * The data threads, as the engine's thread has them: two workers that move packets while the engine
 * does everything else. Here SAs are lent to them and taken back, and here comes what they cannot
 * place; `lib/esp/sa_offload.ts` tells the principle.
 */

import type { DropReason } from "../base/drop_reason.ts";
import { DropCounters } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { RingReader, RingWriter } from "../base/shared_ring.ts";
import type { EspOpener, EspSealer } from "../crypto/esp_suite.ts";
import {
  readNews,
  readPacket,
  readRefusal,
  readSlot,
  RECORD,
  type Refusal,
  writePacket,
  writeSlot,
  writeTake,
} from "../esp/lane_records.ts";
import type { SaNews, SaOffload } from "../esp/sa_offload.ts";
import { FreeSlots, slotWords } from "../esp/sa_slots.ts";
import { type InboundSa, LONGEST_BLOCK, type OutboundSa } from "../esp/security_association.ts";
import { isLinkLocal } from "../wire/ip_address.ts";
import {
  type DataThreadMessage,
  type DataThreadSetup,
  type Direction,
  makeLaneMemory,
  makeSwitches,
  SWITCH,
} from "./data_protocol.ts";
import type { Bell, IpSocket, Platform, TunDevice } from "./ports.ts";

/** How long a thread may take to end, in milliseconds. */
const END_PATIENCE_MS = 2000;

/** Records of one thread that are looked at in one turn of the loop. */
const MOST_RECORDS = 256;

export interface DataThreadsOptions {
  readonly platform: Pick<Platform, "makeBell" | "dataWorkerUrl">;
  readonly tun: TunDevice;
  /** Those for ESP and UDP. */
  readonly sockets: readonly IpSocket[];
  /** Wakes the engine's thread. */
  readonly engineBell: Bell;
  readonly usesLibcrypto: boolean;
  readonly knownSpis: SharedArrayBuffer;
  /** Called once when a thread dies: they are of no use any more. */
  readonly onFailure: (why: string) => void;
}

/** Who hears what the threads say. */
export interface DataThreadsListener {
  /** A packet from an application that the thread could not place; borrowed. */
  outboundPacket(buffer: PacketBuffer): void;
  /** A packet from outside, likewise. */
  inboundPacket(buffer: PacketBuffer): void;
  /** An inner packet, to be delivered when the engine and the agent have seen it. */
  innerPacket(buffer: PacketBuffer): void;
  news(sa: InboundSa | OutboundSa, news: SaNews): void;
  refused(refusal: Refusal): void;
}

export class DataThreads implements SaOffload {
  /** What was counted on this side: for a thread that has too much to do. */
  readonly #drops = new DropCounters();
  readonly #switches: Int32Array<SharedArrayBuffer>;
  readonly #outbound: LaneClient<OutboundSa>;
  readonly #inbound: LaneClient<InboundSa>;

  private constructor(
    switches: Int32Array<SharedArrayBuffer>,
    outbound: LaneClient<OutboundSa>,
    inbound: LaneClient<InboundSa>,
  ) {
    this.#switches = switches;
    this.#outbound = outbound;
    this.#inbound = inbound;
  }

  /** @throws {Error} When a thread does not come up; then none runs. */
  static async start(options: DataThreadsOptions): Promise<DataThreads> {
    const switches = makeSwitches();
    const outbound = new LaneClient<OutboundSa>("outbound", options, switches, (sa) => sa.sealer);
    const inbound = new LaneClient<InboundSa>("inbound", options, switches, (sa) => sa.opener);
    const threads = new DataThreads(switches, outbound, inbound);
    try {
      await Promise.all([outbound.ready, inbound.ready]);
    } catch (error) {
      await threads.stop();
      throw error;
    }
    return threads;
  }

  /** SAs that are lent. */
  get lentCount(): number {
    return this.#outbound.lentCount + this.#inbound.lentCount;
  }

  takeOutbound(sa: OutboundSa): boolean {
    // Where a link-local address is, only this thread's sockets know.
    return !isLinkLocal(sa.peerAddress) && this.#outbound.take(sa);
  }

  takeInbound(sa: InboundSa): boolean {
    return this.#inbound.take(sa);
  }

  /** An inner packet for the thread that sends; it is on its way when `flush` was called. */
  passOutbound(buffer: PacketBuffer): void {
    if (!this.#outbound.pass(buffer)) this.#drops.count("thread-busy");
  }

  /** The same with an ESP packet for the thread that receives. */
  passInbound(buffer: PacketBuffer): void {
    if (!this.#inbound.pass(buffer)) this.#drops.count("thread-busy");
  }

  /** Whether the agent waits for an echo reply, which then comes by `innerPacket`. */
  setReplyAwaited(isAwaited: boolean): void {
    Atomics.store(this.#switches, SWITCH.replyAwaited, isAwaited ? 1 : 0);
  }

  /** Hears what the threads have to say, a bounded part of it. @returns Whether there was anything. */
  drain(buffer: PacketBuffer, listener: DataThreadsListener): boolean {
    const fromOutbound = this.#outbound.drain(buffer, listener, listener.outboundPacket);
    const fromInbound = this.#inbound.drain(buffer, listener, listener.inboundPacket);
    return fromOutbound || fromInbound;
  }

  /** Wakes threads for which something was written. */
  flush(): void {
    this.#outbound.flush();
    this.#inbound.flush();
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

/** One thread from outside. */
class LaneClient<T extends OutboundSa | InboundSa> {
  readonly ready: Promise<void>;
  readonly drops: DropCounters;
  readonly #cipherOf: (sa: T) => EspSealer | EspOpener;
  readonly #blocks: SharedArrayBuffer;
  readonly #commands: RingWriter;
  readonly #reports: RingReader;
  readonly #slots = new FreeSlots();
  /** By slot; those that were wiped and not forgotten yet are there without an SA. */
  readonly #lent = new Map<number, T | undefined>();
  /** Slots that the thread has to forget and could not be told. */
  readonly #untold: number[] = [];
  readonly #bell: Bell;
  readonly #worker: Worker;
  readonly #ended = Promise.withResolvers<void>();
  #hasEnded = false;
  #hasWritten = false;

  constructor(
    direction: Direction,
    options: DataThreadsOptions,
    switches: Int32Array<SharedArrayBuffer>,
    cipherOf: (sa: T) => EspSealer | EspOpener,
  ) {
    const { platform, tun, sockets, engineBell, usesLibcrypto, knownSpis } = options;
    const memory = makeLaneMemory();
    this.#cipherOf = cipherOf;
    this.#blocks = memory.saBlocks;
    this.#commands = new RingWriter(memory.commands);
    this.#reports = new RingReader(memory.reports);
    this.drops = new DropCounters(memory.drops);
    this.#bell = platform.makeBell();
    const setup: DataThreadSetup = {
      direction,
      tun: { descriptor: tun.descriptor, name: tun.name, offload: tun.offload },
      sockets: sockets.map(({ descriptor, protocol, family }) => ({
        descriptor,
        protocol,
        family,
      })),
      usesLibcrypto,
      bell: this.#bell.descriptor,
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
      options.onFailure(`the ${direction} data thread died: ${event.message}`);
    };
    this.#worker.postMessage(setup);
  }

  get lentCount(): number {
    return this.#lent.size;
  }

  /** Lends an SA, unless there is no room or its keys are not at hand. */
  take(sa: T): boolean {
    const keys = this.#cipherOf(sa).storedKeys?.();
    const blockLength = sa.words.length;
    if (keys === undefined || blockLength > LONGEST_BLOCK) return false;
    const slot = this.#slots.take();
    if (slot === undefined) return false;
    sa.moveTo(slotWords(this.#blocks, slot, blockLength), () => this.#handleWiped(slot));
    if (writeTake(this.#commands, { slot, suiteId: sa.suite.id, blockLength, keys })) {
      this.#lent.set(slot, sa);
      this.#hasWritten = true;
      return true;
    }
    sa.moveTo(new Uint32Array(blockLength));
    this.#slots.give(slot);
    return false;
  }

  /** @returns False when there is no room. */
  pass(buffer: PacketBuffer): boolean {
    if (!writePacket(this.#commands, RECORD.packet, buffer)) return false;
    this.#hasWritten = true;
    return true;
  }

  drain(
    buffer: PacketBuffer,
    listener: DataThreadsListener,
    handlePacket: (buffer: PacketBuffer) => void,
  ): boolean {
    const reports = this.#reports;
    let count = 0;
    for (; count < MOST_RECORDS && reports.next(); count++) {
      switch (reports.kind) {
        case RECORD.packet:
        case RECORD.inner: {
          const isInner = reports.kind === RECORD.inner;
          readPacket(reports, buffer);
          reports.release();
          if (isInner) listener.innerPacket(buffer);
          else handlePacket.call(listener, buffer);
          continue;
        }
        case RECORD.news: {
          const { slot, news } = readNews(reports);
          const sa = this.#lent.get(slot);
          if (sa !== undefined) listener.news(sa, news);
          break;
        }
        case RECORD.refused:
          listener.refused(readRefusal(reports));
          break;
        case RECORD.forgotten: {
          const slot = readSlot(reports);
          this.#lent.delete(slot);
          this.#slots.give(slot);
          break;
        }
      }
      reports.release();
    }
    return count > 0;
  }

  flush(): void {
    while (this.#untold.length > 0 && this.#forget(this.#untold[0]!)) this.#untold.shift();
    if (!this.#hasWritten) return;
    this.#hasWritten = false;
    this.#bell.ring();
  }

  /** Waits for the end of the thread, which was told to; then all SAs are here again. */
  async end(): Promise<void> {
    this.#bell.ring();
    let timer: number | undefined;
    const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, END_PATIENCE_MS));
    await Promise.race([this.#ended.promise, patience]);
    clearTimeout(timer);
    this.#worker.terminate();
    for (const sa of this.#lent.values()) {
      // Two threads must never seal on one SA: one that does not end keeps what it has.
      if (this.#hasEnded) sa?.moveTo(new Uint32Array(sa.words.length));
      else sa?.wipe();
    }
    this.#lent.clear();
    this.#bell.close();
  }

  #noteEnd(): void {
    this.#hasEnded = true;
    this.#ended.resolve();
  }

  #handleWiped(slot: number): void {
    if (!this.#lent.has(slot)) return;
    this.#lent.set(slot, undefined);
    if (!this.#forget(slot)) this.#untold.push(slot);
  }

  #forget(slot: number): boolean {
    if (!writeSlot(this.#commands, RECORD.forget, slot)) return false;
    this.#hasWritten = true;
    return true;
  }
}
