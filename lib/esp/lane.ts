/**
 * What both data threads have in common: the SAs lent to them, and the way to the engine. Pure, so
 * that tests run it on one thread.
 */

import type { DropCounters, DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { RingReader, RingWriter } from "../base/shared_ring.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import {
  eraseKeys,
  readPacket,
  readSlot,
  readTake,
  RECORD,
  type TakenSa,
  writeNews,
  writePacket,
  writeSlot,
} from "./lane_records.ts";
import type { SaNews } from "./sa_offload.ts";
import { slotWords } from "./sa_slots.ts";
import type { InboundSa, OutboundSa } from "./security_association.ts";

export interface LaneParts {
  /** Blocks of this thread's SAs. */
  readonly saMemory: SharedArrayBuffer;
  /** From the engine's thread. */
  readonly commands: RingReader;
  /** To the engine's thread. */
  readonly reports: RingWriter;
  readonly drops: DropCounters;
  readonly espProvider: EspProvider;
}

/** An SA and the slot that names it. */
export interface LentSa<T> {
  readonly sa: T;
  readonly slot: number;
}

export abstract class Lane<T extends OutboundSa | InboundSa> {
  protected readonly drops: DropCounters;
  protected readonly espProvider: EspProvider;
  protected readonly reports: RingWriter;
  readonly #saMemory: SharedArrayBuffer;
  readonly #commands: RingReader;
  /** By slot. */
  readonly #lent: (LentSa<T> | undefined)[] = [];
  /** Slots whose `forgotten` found no room yet. */
  readonly #owed: number[] = [];
  #hasReported = false;

  constructor(parts: LaneParts) {
    this.#saMemory = parts.saMemory;
    this.#commands = parts.commands;
    this.reports = parts.reports;
    this.drops = parts.drops;
    this.espProvider = parts.espProvider;
  }

  /** Makes the SA over its block. */
  protected abstract make(words: Uint32Array, taken: TakenSa): T;
  /** Lets packets find it. */
  protected abstract file(lent: LentSa<T>): void;
  protected abstract remove(lent: LentSa<T>): void;

  /**
   * Does what the engine's thread wants, up to the first packet that it hands over.
   *
   * @returns Whether there is one, in `buffer` then; if not, nothing is left to do.
   */
  takeCommands(buffer: PacketBuffer): boolean {
    const commands = this.#commands;
    this.#payDebts();
    while (commands.next()) {
      const isPacket = commands.kind === RECORD.packet;
      if (isPacket) readPacket(commands, buffer);
      else if (commands.kind === RECORD.take) this.#take(readTake(commands));
      else if (commands.kind === RECORD.forget) this.#forget(readSlot(commands));
      commands.release();
      if (isPacket) return true;
    }
    return false;
  }

  /** Whether something was written for the engine's thread since this was asked last. */
  takeHasReported(): boolean {
    const hasReported = this.#hasReported;
    this.#hasReported = false;
    return hasReported;
  }

  /** Overwrites all keys that this thread has; the SAs themselves stay as they are. */
  close(): void {
    for (const lent of this.#lent) if (lent !== undefined) this.wipeCipher(lent.sa);
    this.#lent.length = 0;
  }

  #take(taken: TakenSa): void {
    const words = slotWords(this.#saMemory, taken.slot, taken.blockLength);
    const lent = { sa: this.make(words, taken), slot: taken.slot };
    eraseKeys(this.#commands);
    this.#lent[taken.slot] = lent;
    this.file(lent);
  }

  #forget(slot: number): void {
    const lent = this.#lent[slot];
    this.#lent[slot] = undefined;
    if (lent !== undefined) {
      this.remove(lent);
      this.wipeCipher(lent.sa);
    }
    this.#owed.push(slot);
    this.#payDebts();
  }

  #payDebts(): void {
    while (this.#owed.length > 0) {
      if (!writeSlot(this.reports, RECORD.forgotten, this.#owed[0]!)) return;
      this.#owed.shift();
      this.#hasReported = true;
    }
  }

  /** Overwrites the keys that this thread has. */
  protected abstract wipeCipher(sa: T): void;

  /** A packet that the engine has to look at. */
  protected passOn(buffer: PacketBuffer): "consumed" {
    this.report(writePacket(this.reports, RECORD.packet, buffer));
    return "consumed";
  }

  /** @returns False when there was no room: then it has to be said again. */
  protected tell({ slot }: LentSa<T>, news: SaNews): boolean {
    const isWritten = writeNews(this.reports, slot, news);
    if (isWritten) this.#hasReported = true;
    return isWritten;
  }

  /** Counts what found no room. */
  protected report(isWritten: boolean): void {
    if (isWritten) this.#hasReported = true;
    else this.drops.count("thread-busy");
  }

  protected drop(reason: DropReason): "consumed" {
    this.drops.count(reason);
    return "consumed";
  }
}
