/** Events on their way to whoever polls; bounded, the oldest go first. */

import type { Instant } from "../base/time.ts";
import type { AddressPair } from "../hip/association_context.ts";
import { packetTypeName } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { packetDetail, parameterNames } from "./describe.ts";
import type { EngineEvent } from "./effects.ts";

/** Events kept for a slow reader. */
const MAX_EVENTS = 4096;

export class EventLog {
  readonly #events: EngineEvent[] = [];

  add(event: EngineEvent): void {
    if (this.#events.length >= MAX_EVENTS) this.#events.shift();
    this.#events.push(event);
  }

  /** A HIP packet that came in with a right checksum, or goes out. */
  addPacket(
    at: Instant,
    direction: "in" | "out",
    packet: HipPacket,
    addresses: AddressPair,
  ): void {
    const isOut = direction === "out";
    this.add({
      kind: "packet",
      at,
      direction,
      packet: packetTypeName(packet.packetType),
      localHit: isOut ? packet.senderHit : packet.receiverHit,
      peerHit: isOut ? packet.receiverHit : packet.senderHit,
      source: isOut ? addresses.local : addresses.peer,
      destination: isOut ? addresses.peer : addresses.local,
      parameters: parameterNames(packet),
      lengthOctets: packet.bytes.length,
      detail: packetDetail(packet),
    });
  }

  /** The oldest event, which leaves the log. */
  take(): EngineEvent | undefined {
    return this.#events.shift();
  }
}
