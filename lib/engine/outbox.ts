/** What waits for whoever polls: packets for the wire, packets for applications, events. */

import type { DropCounters, DropReason } from "../base/drop_reason.ts";
import { Queue } from "../base/queue.ts";
import type { Instant } from "../base/time.ts";
import { type AddressPair, isInUdp } from "../hip/association_context.ts";
import { ZERO_MARKER_LENGTH } from "../wire/udp_encapsulation.ts";
import { finishedHipPacket, outgoingHipPacket, type OutgoingPacket } from "./effects.ts";
import { EventLog } from "./event_log.ts";

export class Outbox {
  readonly transmits = new Queue<OutgoingPacket>();
  /** Inner packets, for applications. */
  readonly deliveries = new Queue<Uint8Array>();
  readonly events = new EventLog();
  readonly #drops: DropCounters;

  constructor(drops: DropCounters) {
    this.#drops = drops;
  }

  /** A HIP packet for a pair of addresses, with a checksum or in UDP. */
  transmit(now: Instant, addresses: AddressPair, packet: Uint8Array): void {
    this.#send(now, addresses, outgoingHipPacket(addresses, packet));
  }

  /** The same for octets that are as they go out. */
  transmitFinished(now: Instant, addresses: AddressPair, packet: Uint8Array): void {
    this.#send(now, addresses, finishedHipPacket(addresses, packet));
  }

  #send(now: Instant, addresses: AddressPair, outgoing: OutgoingPacket): void {
    this.transmits.push(outgoing);
    const { bytes } = outgoing;
    const packet = isInUdp(addresses) ? bytes.subarray(ZERO_MARKER_LENGTH) : bytes;
    this.events.addPacket(now, "out", packet, addresses);
  }

  /** Counts a packet that is not used, and tells of it. */
  drop(at: Instant, reason: DropReason, detail: string): void {
    this.#drops.count(reason);
    this.events.add({ kind: "drop", at, reason, detail });
  }
}
