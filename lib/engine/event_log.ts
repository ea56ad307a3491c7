/** Events on their way to whoever polls; bounded, the oldest go first. */

import { MalformedPacketError } from "../base/errors.ts";
import { Queue } from "../base/queue.ts";
import type { Instant } from "../base/time.ts";
import type { AddressPair } from "../hip/association_context.ts";
import { packetTypeName } from "../wire/hip/code_points.ts";
import { HIP_FIELD, type HipPacket, parseHipPacket } from "../wire/hip/packet.ts";
import { packetDetail, parameterNames } from "./describe.ts";
import type { EngineEvent } from "./effects.ts";

/** Events kept for a slow reader. */
export const MAX_EVENTS = 4096;

export class EventLog {
  readonly #events = new Queue<EngineEvent>();

  add(event: EngineEvent): void {
    if (this.#events.length >= MAX_EVENTS) this.#events.shift();
    this.#events.push(event);
  }

  /** A HIP packet, whose octets do not change any more, that came in or goes out. */
  addPacket(
    at: Instant,
    direction: "in" | "out",
    octets: Uint8Array,
    addresses: AddressPair,
  ): void {
    this.add(new PacketEvent(at, direction, octets, addresses));
  }

  /** The oldest event, which leaves the log. */
  take(): EngineEvent | undefined {
    return this.#events.shift();
  }
}

/** A packet in the trace. It is parsed when somebody reads of it: during a flood nobody may. */
class PacketEvent {
  readonly kind = "packet";
  readonly at: Instant;
  readonly direction: "in" | "out";
  readonly #octets: Uint8Array;
  readonly #addresses: AddressPair;
  #parsed: HipPacket | undefined;

  /** @param octets A whole packet whose parameters can be walked. */
  constructor(at: Instant, direction: "in" | "out", octets: Uint8Array, addresses: AddressPair) {
    this.at = at;
    this.direction = direction;
    this.#octets = octets;
    this.#addresses = addresses;
  }

  get packet(): string {
    return packetTypeName(this.#octets[HIP_FIELD.packetType]! & 0x7f);
  }

  get localHit(): Uint8Array {
    return this.#isOut ? this.#packet.senderHit : this.#packet.receiverHit;
  }

  get peerHit(): Uint8Array {
    return this.#isOut ? this.#packet.receiverHit : this.#packet.senderHit;
  }

  get source(): Uint8Array {
    return this.#isOut ? this.#addresses.local : this.#addresses.peer;
  }

  get destination(): Uint8Array {
    return this.#isOut ? this.#addresses.peer : this.#addresses.local;
  }

  get peerPort(): number {
    return this.#addresses.peerPort ?? 0;
  }

  get parameters(): readonly string[] {
    return parameterNames(this.#packet);
  }

  get lengthOctets(): number {
    return this.#octets.length;
  }

  get detail(): string {
    try {
      return packetDetail(this.#packet);
    } catch (error) {
      if (!(error instanceof MalformedPacketError)) throw error;
      return "malformed";
    }
  }

  get #isOut(): boolean {
    return this.direction === "out";
  }

  get #packet(): HipPacket {
    return this.#parsed ??= parseHipPacket(this.#octets);
  }
}
