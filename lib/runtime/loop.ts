/**
 * The loop: wait once, drain everything that is readable with a budget, hand it to the engine,
 * carry out what the engine wants, sleep until the next thing happens.
 *
 * All of it runs on one thread and nothing in a turn is asynchronous, so other parts (name server,
 * control socket) may call the engine whenever they run; they call `flush` afterwards. Under load
 * the loop lets them run every few milliseconds. When nothing happens it does not wake up.
 */

import { DropCounters } from "../base/drop_reason.ts";
import type { Logger } from "../base/logger.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { type Duration, elapsed, type Instant, milliseconds } from "../base/time.ts";
import type { ThreadSide } from "../engine/data_path.ts";
import type { EngineEvent, JobRequest, OutgoingPacket } from "../engine/effects.ts";
import type { LaneListener } from "../esp/lane_lender.ts";
import type { JobResult } from "../hip/jobs.ts";
import type { LocalLocator } from "../host/local_locators.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";
import type { DataThreads } from "./data_threads.ts";
import type { LocatorMonitor } from "./locator_monitor.ts";
import {
  BATCH_SIZE,
  type Bell,
  type Clock,
  type IpSocket,
  type JobRunner,
  type Readiness,
  type SendResult,
  type TunDevice,
} from "./ports.ts";
import { makeSlabs } from "./slabs.ts";
import { SocketTable } from "./socket_table.ts";
import { TunReader } from "./tun_reader.ts";
import { TunWriter } from "./tun_writer.ts";

/** How long the loop may keep others of this thread waiting. */
const LONGEST_HOLD = milliseconds(4);

/** The shortest sleep, so that a timer that is due for ever cannot take the processor. */
const SHORTEST_WAIT_MS = 1;

/** What the loop drives: the part of `Engine` that packets, jobs and time go through. */
export interface LoopEngine {
  handleTunPacket(now: Instant, buffer: PacketBuffer): "transmit" | "consumed";
  handleDatagram(now: Instant, buffer: PacketBuffer): "deliver" | "consumed";
  handleJobDone(now: Instant, id: number, result: JobResult): void;
  handleLocatorsChanged(now: Instant, locators: readonly LocalLocator[]): void;
  readonly forThreads: ThreadSide;
  handleTimeout(now: Instant): void;
  pollTransmit(): OutgoingPacket | undefined;
  pollDeliver(): Uint8Array | undefined;
  pollJob(): JobRequest | undefined;
  pollEvent(): EngineEvent | undefined;
  nextTimeout(): Instant | undefined;
}

/** What the loop asks of data threads. */
export type LoopThreads = Pick<DataThreads, "drain" | "flush">;

export interface LoopOptions {
  readonly engine: LoopEngine;
  readonly tun: TunDevice;
  /** At most one for each protocol and family; they and the others are closed by their owner. */
  readonly sockets: readonly IpSocket[];
  readonly monitor: Pick<LocatorMonitor, "locators" | "drain">;
  /** Rung by data threads. */
  readonly bell?: Pick<Bell, "silence">;
  /** Made for the TUN device, all sockets, the monitor's source and the bell. */
  readonly readiness: Readiness;
  readonly jobs: JobRunner;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each event of the engine, in order. */
  readonly onEvent?: (event: EngineEvent) => void;
  /** Called once, when the first data packet has passed here: data threads may be wanted. */
  readonly onFirstData?: () => void;
  /** Called when the host has other addresses than before, and at the start. */
  readonly onLocators?: () => void;
}

export class Loop {
  /** Packets that the loop itself had to discard. */
  readonly drops: DropCounters = new DropCounters();
  /** How often the loop slept, for tests of idleness. */
  wakeUps = 0;
  /** Packets over which the engine threw: each is a defect. */
  faults = 0;

  readonly #options: LoopOptions;
  /** One batch: what is taken from one source before the next one has its turn. */
  readonly #slabs: readonly PacketBuffer[];
  readonly #reader: TunReader;
  readonly #writer: TunWriter;
  readonly #table: SocketTable;
  /** Those that the loop reads; data threads read the others. */
  #read: readonly IpSocket[];
  #threads: LoopThreads | undefined;
  readonly #fromOutbound: LaneListener;
  readonly #fromInbound: LaneListener;
  #hasSeenData = false;
  /** Of the turn under way. */
  #now: Instant;
  readonly #onSendFailure = (_buffer: PacketBuffer, _result: SendResult) =>
    this.drops.count("send-failed");
  #isStopped = false;
  #isInTurn = false;
  /** Asleep until then; undefined: not asleep. */
  #sleepsUntil: number | undefined;
  #lastRest: Instant;

  constructor(options: LoopOptions) {
    this.#options = options;
    const [source, ...slabs] = makeSlabs(1 + BATCH_SIZE);
    this.#slabs = slabs;
    this.#reader = new TunReader(options.tun, source!, this.drops);
    this.#writer = new TunWriter(options.tun, this.drops);
    this.#table = new SocketTable(options.sockets);
    this.#read = options.sockets;
    // There is one slab for what threads pass on: it is done with before the next packet.
    this.#fromOutbound = this.#makeListener((buffer) => {
      this.#handleTunPacket(this.#now, buffer);
      this.#flushSockets();
    });
    this.#fromInbound = this.#makeListener((buffer) => {
      this.#handleDatagram(this.#now, buffer);
      this.#writer.flush();
    });
    this.#now = options.clock.now();
    this.#lastRest = this.#now;
    options.jobs.onDone(() => this.flush());
  }

  /**
   * Runs until `stop`.
   *
   * @throws {Error} The TUN device or a socket is gone.
   */
  async run(): Promise<void> {
    this.#tellLocators(this.#options.clock.now());
    while (!this.#isStopped) {
      const hadWork = this.#turn();
      if (this.#isStopped) break;
      if (!hadWork) {
        await this.#sleep();
      } else if (elapsed(this.#lastRest, this.#options.clock.now()) >= LONGEST_HOLD) {
        await this.#rest(0);
      }
    }
  }

  /** Ends `run` after the turn under way. */
  stop(): void {
    this.#isStopped = true;
    this.#options.readiness.wake();
  }

  /**
   * From now on data threads move the packets of ESP and UDP, and read the TUN device; undefined:
   * the loop does so again.
   */
  handOver(threads: LoopThreads | undefined): void {
    const { readiness, sockets, tun } = this.#options;
    const isHere = threads === undefined;
    this.#threads = threads;
    this.#read = sockets.filter(({ protocol }) => isHere || !isMovedByThreads(protocol));
    readiness.setWatched(tun, isHere);
    for (const socket of sockets) {
      readiness.setWatched(socket, this.#read.includes(socket));
    }
    readiness.wake();
  }

  /**
   * Carries out what the engine wants. To be called after the engine was called from outside the
   * loop; during a turn it does nothing, since the turn does the same at its end.
   */
  flush(): void {
    if (this.#isInTurn) return;
    this.#isInTurn = true;
    try {
      this.#finishJobs(this.#options.clock.now());
      this.#carryOut();
    } finally {
      this.#isInTurn = false;
    }
    const next = this.#options.engine.nextTimeout();
    if (this.#sleepsUntil !== undefined && next !== undefined && next < this.#sleepsUntil) {
      this.#options.readiness.wake();
    }
  }

  /** One look at everything. Returns whether there was anything to do. */
  #turn(): boolean {
    const { engine, monitor, clock } = this.#options;
    this.#isInTurn = true;
    try {
      let hadWork = false;
      if (monitor.drain()) {
        hadWork = true;
        this.#tellLocators(clock.now());
      }
      for (const socket of this.#read) {
        if (this.#drainSocket(clock.now(), socket)) hadWork = true;
      }
      if (this.#drainThreads(clock.now())) hadWork = true;
      if (this.#drainTun(clock.now())) hadWork = true;
      const now = clock.now();
      if (this.#finishJobs(now)) hadWork = true;
      const due = engine.nextTimeout();
      if (due !== undefined && due <= now) engine.handleTimeout(now);
      this.#carryOut();
      return hadWork;
    } finally {
      this.#isInTurn = false;
    }
  }

  #drainSocket(now: Instant, socket: IpSocket): boolean {
    const count = socket.receive(this.#slabs);
    for (let i = 0; i < count; i++) {
      const buffer = this.#slabs[i]!;
      if (buffer.length === 0) {
        this.drops.count("datagram-malformed");
        continue;
      }
      this.#handleDatagram(now, buffer);
    }
    this.#writer.flush();
    // What was released now must leave before packets that are read later.
    if (count > 0) this.#carryOut();
    return count > 0;
  }

  #drainTun(now: Instant): boolean {
    const count = this.#reader.fill(this.#slabs);
    for (let i = 0; i < count; i++) this.#handleTunPacket(now, this.#slabs[i]!);
    this.#flushSockets();
    if (count > 0) this.#carryOut();
    return count > 0;
  }

  /** Hears what data threads have to say. */
  #drainThreads(now: Instant): boolean {
    if (this.#threads === undefined) return false;
    this.#now = now;
    this.#options.bell?.silence();
    const hadWork = this.#threads.drain(this.#slabs[0]!, this.#fromOutbound, this.#fromInbound);
    if (hadWork) this.#carryOut();
    return hadWork;
  }

  /** @param packet What becomes of a packet that a thread could not place. */
  #makeListener(packet: (buffer: PacketBuffer) => void): LaneListener {
    const { engine: { forThreads }, tun } = this.#options;
    return {
      packet,
      innerPacket: (buffer) => {
        if (forThreads.handleInnerPacket(this.#now, buffer) === "consumed") return;
        if (!tun.write(buffer)) this.drops.count("send-failed");
      },
      news: (sa, news) => forThreads.handleNews(this.#now, sa, news),
      refused: (refusal) => forThreads.handleRefusal(this.#now, refusal),
    };
  }

  #handleDatagram(now: Instant, buffer: PacketBuffer): void {
    try {
      if (this.#options.engine.handleDatagram(now, buffer) === "consumed") return;
      this.#noteData();
      this.#writer.add(buffer);
    } catch (error) {
      this.#reportFault(error);
    }
  }

  #handleTunPacket(now: Instant, buffer: PacketBuffer): void {
    try {
      if (this.#options.engine.handleTunPacket(now, buffer) === "consumed") return;
      this.#noteData();
      const socket = this.#table.find(buffer.path.protocol, buffer.path.peerAddress);
      if (socket === undefined) this.drops.count("send-failed");
      else socket.queue(buffer);
    } catch (error) {
      this.#reportFault(error);
    }
  }

  #noteData(): void {
    if (this.#hasSeenData) return;
    this.#hasSeenData = true;
    this.#options.onFirstData?.();
  }

  #flushSockets(): void {
    for (const socket of this.#options.sockets) socket.flush(this.#onSendFailure);
  }

  #finishJobs(now: Instant): boolean {
    const { engine, jobs } = this.#options;
    let hadWork = false;
    for (let done = jobs.poll(); done !== undefined; done = jobs.poll()) {
      hadWork = true;
      try {
        engine.handleJobDone(now, done.id, done.result);
      } catch (error) {
        this.#reportFault(error);
      }
    }
    return hadWork;
  }

  /** Polls the engine until it wants nothing more. */
  #carryOut(): void {
    const { engine, tun, jobs, onEvent } = this.#options;
    for (let packet = engine.pollTransmit(); packet; packet = engine.pollTransmit()) {
      this.#transmit(packet);
    }
    for (let packet = engine.pollDeliver(); packet; packet = engine.pollDeliver()) {
      if (!tun.writeBytes(packet)) this.drops.count("send-failed");
    }
    this.#threads?.flush();
    for (let job = engine.pollJob(); job; job = engine.pollJob()) jobs.submit(job);
    for (let event = engine.pollEvent(); event; event = engine.pollEvent()) onEvent?.(event);
  }

  #transmit(packet: OutgoingPacket): void {
    const result = this.#table.find(packet.protocol, packet.destination)?.sendPacket(packet);
    if (result === "sent") return;
    this.drops.count("send-failed");
    this.#options.logger.log(
      "debug",
      `Cannot send a packet of protocol ${packet.protocol}: ${result ?? "no socket for it"}`,
    );
  }

  /**
   * The engine does not throw for anything that is in a packet. If it does, the mistake is ours,
   * and one packet must not end the service for all others.
   */
  #reportFault(error: unknown): void {
    this.faults++;
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#options.logger.log("error", `A packet met a defect of the program: ${text}`);
  }

  #tellLocators(now: Instant): void {
    const { engine, sockets, monitor } = this.#options;
    for (const socket of sockets) socket.setLocators(monitor.locators);
    engine.handleLocatorsChanged(now, monitor.locators);
    this.#options.onLocators?.();
    this.#carryOut();
  }

  /** Waits for a source, a wake-up or the engine's next timeout. */
  async #sleep(): Promise<void> {
    const { engine, clock } = this.#options;
    const next = engine.nextTimeout();
    if (next === undefined) {
      this.#sleepsUntil = Infinity;
      await this.#rest(undefined);
    } else {
      const span: Duration = elapsed(clock.now(), next);
      this.#sleepsUntil = next;
      await this.#rest(Math.max(SHORTEST_WAIT_MS, span));
    }
    this.#sleepsUntil = undefined;
    this.wakeUps++;
  }

  async #rest(timeoutMs: number | undefined): Promise<void> {
    await this.#options.readiness.wait(timeoutMs);
    this.#lastRest = this.#options.clock.now();
  }
}

/** Packets of ESP, by itself or in UDP; what else is in UDP the threads pass on. */
export function isMovedByThreads(protocol: number): boolean {
  return protocol === NEXT_HEADER.esp || protocol === NEXT_HEADER.udp;
}
