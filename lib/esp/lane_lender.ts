/**
 * The engine's side of a data thread: which SAs are lent to it, and the records that go to and fro.
 * Pure, as the other side is (see `lane.ts`): tests run both on one thread.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import { RingReader, RingWriter } from "../base/shared_ring.ts";
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
} from "./lane_records.ts";
import type { SaNews } from "./sa_offload.ts";
import { FreeSlots, slotWords } from "./sa_slots.ts";
import { InboundSa, LONGEST_BLOCK, type OutboundSa } from "./security_association.ts";

/** Records that are looked at in one call of `drain`. */
const MOST_RECORDS = 256;

/** Memory that both sides share; rings are those of `ringMemory`. */
export interface LaneMemory {
  /** `SLOT_SIZE` octets for each SA that may be lent. */
  readonly saBlocks: SharedArrayBuffer;
  readonly commands: SharedArrayBuffer;
  readonly reports: SharedArrayBuffer;
}

/** Who hears what a thread says. Buffers are borrowed. */
export interface LaneListener {
  /** A packet that the thread could not place, as it read it. */
  packet(buffer: PacketBuffer): void;
  /** An inner packet, to be delivered when the engine and the agent have seen it. */
  innerPacket(buffer: PacketBuffer): void;
  news(sa: InboundSa | OutboundSa, news: SaNews): void;
  refused(refusal: Refusal): void;
}

export class LaneLender<T extends OutboundSa | InboundSa> {
  readonly #blocks: SharedArrayBuffer;
  readonly #commands: RingWriter;
  readonly #reports: RingReader;
  readonly #slots: FreeSlots;
  /** By slot; those that were wiped and not forgotten yet are there without an SA. */
  readonly #lent = new Map<number, T | undefined>();
  /** Slots that the thread has to forget and could not be told. */
  readonly #untold: number[] = [];
  #hasWritten = false;

  constructor({ saBlocks, commands, reports }: LaneMemory) {
    this.#blocks = saBlocks;
    this.#slots = new FreeSlots(saBlocks);
    this.#commands = new RingWriter(commands);
    this.#reports = new RingReader(reports);
  }

  /** Slots in use. */
  get lentCount(): number {
    return this.#lent.size;
  }

  /** Lends an SA. @returns False when there is no room, or its keys are not at hand. */
  take(sa: T): boolean {
    const keys = (sa instanceof InboundSa ? sa.opener : sa.sealer).storedKeys?.();
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

  /** Hands a packet over. @returns False when there is no room. */
  pass(buffer: PacketBuffer): boolean {
    if (!writePacket(this.#commands, RECORD.packet, buffer)) return false;
    this.#hasWritten = true;
    return true;
  }

  /**
   * Hears what the thread has to say, a bounded part of it.
   *
   * @param buffer For packets.
   * @returns Whether there was anything.
   */
  drain(buffer: PacketBuffer, listener: LaneListener): boolean {
    let count = 0;
    for (; count < MOST_RECORDS && this.#reports.next(); count++) this.#hear(buffer, listener);
    return count > 0;
  }

  #hear(buffer: PacketBuffer, listener: LaneListener): void {
    const reports = this.#reports;
    const { kind } = reports;
    if (kind === RECORD.packet || kind === RECORD.inner) {
      readPacket(reports, buffer);
      reports.release();
      if (kind === RECORD.inner) listener.innerPacket(buffer);
      else listener.packet(buffer);
      return;
    }
    if (kind === RECORD.news) {
      const { slot, news } = readNews(reports);
      const sa = this.#lent.get(slot);
      if (sa !== undefined) listener.news(sa, news);
    } else if (kind === RECORD.refused) {
      listener.refused(readRefusal(reports));
    } else if (kind === RECORD.forgotten) {
      const slot = readSlot(reports);
      this.#lent.delete(slot);
      this.#slots.give(slot);
    }
    reports.release();
  }

  /** Whether something was written for the thread since this was asked last. */
  takeHasWritten(): boolean {
    while (this.#untold.length > 0 && this.#forget(this.#untold[0]!)) this.#untold.shift();
    const hasWritten = this.#hasWritten;
    this.#hasWritten = false;
    return hasWritten;
  }

  /**
   * Takes everything back from a thread that works no more.
   *
   * @param hasEnded Whether that is certain. Two threads must never seal on one SA: else what was
   *   lent is wiped.
   */
  reclaim(hasEnded: boolean): void {
    for (const sa of this.#lent.values()) {
      if (hasEnded) sa?.moveTo(new Uint32Array(sa.words.length));
      else sa?.wipe();
    }
    this.#lent.clear();
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
