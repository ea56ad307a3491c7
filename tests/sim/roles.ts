/**
 * What the parts of the simulated world need of each other, so that none of them has to know the
 * others whole.
 */

import type { Random } from "../../lib/base/random.ts";
import type { Instant } from "../../lib/base/time.ts";
import type { CarriedPacket } from "../support/datagrams.ts";
import type { PcapWriter } from "./pcap_writer.ts";
import type { Trace } from "./trace.ts";

/** Time and chance, and the record of what happens. */
export interface Surroundings {
  readonly now: Instant;
  readonly random: Random;
  readonly trace: Trace;
  /** Takes every packet that is given to a link, when set. */
  readonly capture: PcapWriter | undefined;
  /** Does something later. */
  schedule(at: Instant, action: () => void): void;
}

/** Surroundings that carry packets. */
export interface Network extends Surroundings {
  /** Puts a packet on the link that leads to its destination. */
  route(from: LinkEnd, packet: CarriedPacket): void;
}

/** Who sends to a link and hears from it. */
export interface LinkEnd {
  readonly name: string;
  owns(address: Uint8Array): boolean;
  /** A packet from outside. */
  receive(packet: CarriedPacket): void;
}

/** The host below an application. */
export interface InnerHost {
  readonly world: Surroundings;
  readonly name: string;
  readonly hit: Uint8Array;
  /** Takes an inner packet. */
  sendInner(packet: Uint8Array): void;
}
