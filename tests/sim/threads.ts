/**
 * Data threads in virtual time: the lanes of the program, each fed by its ring, but on this thread.
 * What one side writes the other reads after a while that chance decides, so that both act on what
 * was true a moment ago, as threads do.
 */

import type { DropCounters } from "../../lib/base/drop_reason.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import type { Random } from "../../lib/base/random.ts";
import type { Instant } from "../../lib/base/time.ts";
import type { EspProvider } from "../../lib/crypto/esp_suite.ts";
import { InboundLane } from "../../lib/esp/inbound_lane.ts";
import { LaneLender, type LaneListener } from "../../lib/esp/lane_lender.ts";
import { OutboundLane } from "../../lib/esp/outbound_lane.ts";
import type { SaOffload } from "../../lib/esp/sa_offload.ts";
import type { InboundSa, OutboundSa } from "../../lib/esp/security_association.ts";
import { makeLaneSide } from "../support/lane_side.ts";

/** Few, so that some SAs stay with the engine. */
const SLOTS = 3;
const RING_SIZE = 1 << 16;

export interface SimThreadsOptions {
  readonly espProvider: EspProvider;
  readonly random: Random;
  readonly knownSpis: SharedArrayBuffer;
  /** An ESP packet is ready. */
  readonly transmit: (buffer: PacketBuffer) => void;
  /** An inner packet is ready. */
  readonly deliver: (buffer: PacketBuffer) => void;
}

export class SimThreads implements SaOffload {
  readonly outbound: OutboundLane;
  readonly inbound: InboundLane;
  readonly #outboundLender: LaneLender<OutboundSa>;
  readonly #inboundLender: LaneLender<InboundSa>;
  readonly #options: SimThreadsOptions;
  readonly #drops: readonly DropCounters[];
  readonly #buffer = new PacketBuffer(65_535);

  constructor(options: SimThreadsOptions) {
    this.#options = options;
    const { espProvider, random, knownSpis } = options;
    const side = () => makeLaneSide(espProvider, SLOTS, RING_SIZE);
    const [out, into] = [side(), side()];
    this.#outboundLender = new LaneLender(out.memory);
    this.#inboundLender = new LaneLender(into.memory);
    this.outbound = new OutboundLane({ ...out.lane, random });
    this.inbound = new InboundLane({ ...into.lane, knownSpis, isReplyAwaited: () => false });
    this.#drops = [out.drops, into.drops];
  }

  takeOutbound(sa: OutboundSa): boolean {
    return this.#outboundLender.take(sa);
  }

  takeInbound(sa: InboundSa): boolean {
    return this.#inboundLender.take(sa);
  }

  passOutbound(_sa: OutboundSa, buffer: PacketBuffer): void {
    this.#outboundLender.pass(buffer);
  }

  passInbound(_sa: InboundSa, buffer: PacketBuffer): void {
    this.#inboundLender.pass(buffer);
  }

  /** SAs that the lanes work on, and slots that are not free. */
  get sizes(): readonly number[] {
    const { outbound, inbound } = this;
    const lent = this.#outboundLender.lentCount + this.#inboundLender.lentCount;
    return [outbound.size, inbound.size, lent];
  }

  get drops(): readonly DropCounters[] {
    return this.#drops;
  }

  /** A packet that the thread that sends has read; borrowed. */
  handleTunPacket(buffer: PacketBuffer): void {
    if (this.outbound.handleTunPacket(buffer, false) === "transmit") this.#options.transmit(buffer);
  }

  /** A packet that the thread that receives has read; borrowed. */
  handleDatagram(now: Instant, buffer: PacketBuffer): void {
    if (this.inbound.handleDatagram(now, buffer) === "deliver") this.#options.deliver(buffer);
  }

  /** The threads do what they were told. */
  obey(now: Instant): void {
    const buffer = this.#buffer;
    while (this.outbound.takeCommands(buffer)) {
      if (this.outbound.handleTunPacket(buffer, true) === "transmit") {
        this.#options.transmit(buffer);
      }
    }
    while (this.inbound.takeCommands(buffer)) this.handleDatagram(now, buffer);
  }

  /** The engine's side hears what they have to say. @returns Whether there was anything. */
  drain(outbound: LaneListener, inbound: LaneListener): boolean {
    const fromOutbound = this.#outboundLender.drain(this.#buffer, outbound);
    return this.#inboundLender.drain(this.#buffer, inbound) || fromOutbound;
  }

  /** Whether anything waits for the threads or for the engine's side. */
  takeHasNews(): boolean {
    const forThreads = this.#outboundLender.takeHasWritten();
    const alsoForThreads = this.#inboundLender.takeHasWritten();
    const forEngine = this.outbound.takeHasReported();
    return this.inbound.takeHasReported() || forEngine || forThreads || alsoForThreads;
  }

  /** Power off. */
  close(): void {
    this.outbound.close();
    this.inbound.close();
  }
}
