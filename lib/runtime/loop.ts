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
import type { EngineEvent, JobRequest, OutgoingPacket } from "../engine/effects.ts";
import type { JobResult } from "../hip/jobs.ts";
import type { LocalLocator } from "../host/local_locators.ts";
import { isIpv4 } from "../wire/ip_address.ts";
import type { LocatorMonitor } from "./locator_monitor.ts";
import {
  BATCH_SIZE,
  type Clock,
  type IpSocket,
  type JobRunner,
  type Readiness,
  type SendResult,
  type TunDevice,
} from "./ports.ts";
import { makeSlabs } from "./slabs.ts";
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
  handleTimeout(now: Instant): void;
  pollTransmit(): OutgoingPacket | undefined;
  pollDeliver(): Uint8Array | undefined;
  pollJob(): JobRequest | undefined;
  pollEvent(): EngineEvent | undefined;
  nextTimeout(): Instant | undefined;
}

export interface LoopOptions {
  readonly engine: LoopEngine;
  readonly tun: TunDevice;
  /** At most one for each protocol and family; they and the others are closed by their owner. */
  readonly sockets: readonly IpSocket[];
  readonly monitor: Pick<LocatorMonitor, "locators" | "drain">;
  /** Made for the TUN device, all sockets and the monitor's source. */
  readonly readiness: Readiness;
  readonly jobs: JobRunner;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each event of the engine, in order. */
  readonly onEvent?: (event: EngineEvent) => void;
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
    this.#lastRest = options.clock.now();
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
    const { engine, sockets, monitor, clock } = this.#options;
    this.#isInTurn = true;
    try {
      let hadWork = false;
      if (monitor.drain()) {
        hadWork = true;
        this.#tellLocators(clock.now());
      }
      for (const socket of sockets) {
        if (this.#drainSocket(clock.now(), socket)) hadWork = true;
      }
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
    const { engine } = this.#options;
    const count = socket.receive(this.#slabs);
    for (let i = 0; i < count; i++) {
      const buffer = this.#slabs[i]!;
      if (buffer.length === 0) {
        this.drops.count("datagram-malformed");
        continue;
      }
      try {
        if (engine.handleDatagram(now, buffer) === "deliver") this.#writer.add(buffer);
      } catch (error) {
        this.#reportFault(error);
      }
    }
    this.#writer.flush();
    // What was released now must leave before packets that are read later.
    if (count > 0) this.#carryOut();
    return count > 0;
  }

  #drainTun(now: Instant): boolean {
    const { engine } = this.#options;
    const count = this.#reader.fill(this.#slabs);
    for (let i = 0; i < count; i++) {
      const buffer = this.#slabs[i]!;
      try {
        if (engine.handleTunPacket(now, buffer) === "transmit") {
          const { protocol, peerAddress } = buffer.path;
          const socket = this.#socketFor(protocol, peerAddress);
          if (socket === undefined) this.drops.count("send-failed");
          else socket.queue(buffer);
        }
      } catch (error) {
        this.#reportFault(error);
      }
    }
    for (const socket of this.#options.sockets) socket.flush(this.#onSendFailure);
    if (count > 0) this.#carryOut();
    return count > 0;
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
    for (let job = engine.pollJob(); job; job = engine.pollJob()) jobs.submit(job);
    for (let event = engine.pollEvent(); event; event = engine.pollEvent()) onEvent?.(event);
  }

  #transmit(packet: OutgoingPacket): void {
    const result = this.#socketFor(packet.protocol, packet.destination)?.sendPacket(packet);
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

  #socketFor(protocol: number, destination: Uint8Array): IpSocket | undefined {
    const family = isIpv4(destination) ? 4 : 6;
    for (const socket of this.#options.sockets) {
      if (socket.protocol === protocol && socket.family === family) return socket;
    }
    return undefined;
  }

  #tellLocators(now: Instant): void {
    const { engine, sockets, monitor } = this.#options;
    for (const socket of sockets) socket.setLocators(monitor.locators);
    engine.handleLocatorsChanged(now, monitor.locators);
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
