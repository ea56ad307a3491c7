/** A link between two hosts: latency, jitter, loss, duplication, reordering, MTU. */

import { randomUint32 } from "../../lib/base/random.ts";
import { after, type Duration, milliseconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { packetTypeName } from "../../lib/wire/hip/code_points.ts";
import { isIpv4 } from "../../lib/wire/ip_address.ts";
import type { LinkEnd, Surroundings } from "./roles.ts";

/** All may change during a run. Probabilities are 0 to 1. */
export interface LinkConditions {
  /** One way. */
  latency: Duration;
  /** Added to the latency, uniform from 0 to this. */
  jitter: Duration;
  loss: number;
  duplication: number;
  /** Probability that a packet is held back by `reorderDelay`. */
  reordering: number;
  reorderDelay: Duration;
  /** Largest IP packet, header included; larger ones vanish. */
  mtu: number;
  isUp: boolean;
}

export const PERFECT_LINK: LinkConditions = {
  latency: milliseconds(5),
  jitter: milliseconds(0),
  loss: 0,
  duplication: 0,
  reordering: 0,
  reorderDelay: milliseconds(20),
  mtu: 1500,
  isUp: true,
};

/** A packet that a host gave to the link, whatever became of it. */
export interface SentPacket {
  readonly from: LinkEnd;
  /** RFC name, or "ESP". */
  readonly name: string;
  readonly packet: OutgoingPacket;
}

export class Link {
  readonly conditions: LinkConditions;
  /** Every packet given to the link, in order. */
  readonly sent: SentPacket[] = [];
  /** Loses a packet on purpose when it returns true; asked before chance is. */
  loses: (sent: SentPacket) => boolean = () => false;
  /** Packets on their way. */
  inFlight = 0;
  readonly #world: Surroundings;
  readonly #ends: readonly [LinkEnd, LinkEnd];

  constructor(world: Surroundings, a: LinkEnd, b: LinkEnd, conditions: Partial<LinkConditions>) {
    this.#world = world;
    this.#ends = [a, b];
    this.conditions = { ...PERFECT_LINK, ...conditions };
  }

  /** The host at the other end, when `address` is one of its own. */
  farEnd(from: LinkEnd, address: Uint8Array): LinkEnd | undefined {
    const [a, b] = this.#ends;
    const far = from === a ? b : from === b ? a : undefined;
    return far?.owns(address) ? far : undefined;
  }

  /** How many packets of this name were given to the link. */
  count(name: string, from?: LinkEnd): number {
    return this.sent.filter((sent) =>
      sent.name === name && (from === undefined || sent.from === from)
    ).length;
  }

  /** The packets of this name, in order. */
  named(name: string): OutgoingPacket[] {
    return this.sent.filter((sent) => sent.name === name).map(({ packet }) => packet);
  }

  send(from: LinkEnd, to: LinkEnd, packet: OutgoingPacket): void {
    const sent = { from, name: packetName(packet), packet };
    this.sent.push(sent);
    this.#world.capture?.add(this.#world.now, packet);
    const { loss, duplication, mtu, isUp } = this.conditions;
    const size = packet.bytes.length + (isIpv4(packet.destination) ? 20 : 40);
    // Chance is drawn for every packet alike, so that one forced loss does not shift all others.
    const isLost = this.#chance(loss);
    const copies = this.#chance(duplication) ? 2 : 1;
    if (size > mtu) this.#lose(sent, `${size} octets exceed the MTU`);
    else if (!isUp) this.#lose(sent, "link down");
    else if (this.loses(sent)) this.#lose(sent, "on purpose");
    else if (isLost) this.#lose(sent, "by chance");
    else for (let copy = 0; copy < copies; copy++) this.#carry(to, sent);
  }

  #carry(to: LinkEnd, { packet }: SentPacket): void {
    const { latency, jitter, reordering, reorderDelay } = this.conditions;
    const extra = this.#chance(reordering) ? reorderDelay : 0;
    const delay = milliseconds(latency + jitter * this.#fraction() + extra);
    this.inFlight++;
    this.#world.schedule(after(this.#world.now, delay), () => {
      this.inFlight--;
      to.receive(packet);
    });
  }

  #lose({ from, name }: SentPacket, why: string): void {
    this.#world.trace.add(this.#world.now, "link", `loses ${name} of ${from.name}: ${why}`);
  }

  #chance(probability: number): boolean {
    return this.#fraction() < probability;
  }

  /** Uniform, 0 to just below 1. */
  #fraction(): number {
    return randomUint32(this.#world.random) / 2 ** 32;
  }
}

/** RFC name of a HIP packet, "ESP" for the rest. */
export function packetName({ protocol, bytes }: OutgoingPacket): string {
  return protocol === 139 ? packetTypeName(bytes[2]! & 0x7f) : "ESP";
}
