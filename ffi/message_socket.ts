/** What sockets of packets have in common, whatever their messages carry. */

import type { PacketBuffer } from "../lib/base/packet_buffer.ts";
import {
  BATCH_SIZE,
  type IpFamily,
  type IpSocket,
  type LocalLocator,
  type OutgoingPacket,
  type SendResult,
} from "../lib/runtime/ports.ts";
import { closeOwned } from "./descriptor.ts";
import { MessageReceiver } from "./message_receiver.ts";
import type { PacketHeaders } from "./packet_headers.ts";
import type { OnFailure, PacketSender } from "./packet_sender.ts";
import type { SegmentSender } from "./segment_sender.ts";

export abstract class MessageSocket implements IpSocket {
  abstract readonly protocol: number;
  abstract readonly isCoalescing: boolean;
  readonly family: IpFamily;
  readonly isBatched: boolean;
  protected readonly headers: PacketHeaders;
  protected readonly receiver: MessageReceiver;
  readonly #sender: PacketSender | SegmentSender;
  readonly #isOwner: boolean;

  /** @param isOwner Whether `close` closes the descriptor. */
  constructor(
    readonly descriptor: number,
    headers: PacketHeaders,
    sender: PacketSender | SegmentSender,
    isOwner: boolean,
  ) {
    this.family = headers.family;
    this.headers = headers;
    this.receiver = new MessageReceiver(descriptor, headers.incoming(BATCH_SIZE));
    this.#sender = sender;
    this.#isOwner = isOwner;
    this.isBatched = sender.isBatched && this.receiver.isBatched;
  }

  get isSegmenting(): boolean {
    return this.#sender.isSegmenting;
  }

  abstract receive(slabs: readonly PacketBuffer[]): number;

  queue(buffer: PacketBuffer): void {
    this.#sender.queue(buffer);
  }

  flush(onFailure: OnFailure): void {
    this.#sender.flush(onFailure);
  }

  sendPacket(packet: OutgoingPacket): SendResult {
    return this.#sender.send(packet);
  }

  setLocators(locators: readonly LocalLocator[]): void {
    this.headers.setLocators(locators);
  }

  close(): void {
    closeOwned(this.descriptor, this.#isOwner);
  }
}
