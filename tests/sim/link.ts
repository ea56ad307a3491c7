/**
 * A link between two ends: latency, jitter, loss, duplication, reordering, MTU, and a rate with a
 * bounded queue in front of it, so that latency grows under load until packets are dropped.
 */

import { randomUint32 } from "../../lib/base/random.ts";
import { after, type Duration, type Instant, instant, milliseconds } from "../../lib/base/time.ts";
import { type CarriedPacket, hipOctets } from "../support/datagrams.ts";
import { packetTypeName } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD } from "../../lib/wire/hip/packet.ts";
import { NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { UDP_HEADER_LENGTH } from "../../lib/wire/udp.ts";
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
  /** Octets of IP packets per second in each direction; a new rate counts for packets sent from then on. */
  rate: number;
  /** Octets that may wait in each direction; a packet that does not fit is dropped. */
  queueOctets: number;
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
  rate: Infinity,
  queueOctets: 65_536,
  isUp: true,
};

/** Packets remembered, the newest; all are counted. */
const MAX_SENT = 16_384;

/** Why a link loses a packet. */
export const LOSSES = [
  "above the MTU",
  "link down",
  "on purpose",
  "by chance",
  "queue full",
] as const;

export type Loss = typeof LOSSES[number];

/** A packet that an end gave to the link, whatever became of it. */
export interface SentPacket {
  readonly from: LinkEnd;
  /** RFC name, or "ESP". */
  readonly name: string;
  readonly packet: CarriedPacket;
}

export class Link {
  readonly conditions: LinkConditions;
  /** The last packets given to the link, in order. */
  readonly sent: SentPacket[] = [];
  /** Loses a packet on purpose when it returns true; asked before chance is. */
  loses: (sent: SentPacket) => boolean = () => false;
  /** Packets on their way, those in a queue included. */
  inFlight = 0;
  /** Packets given to the link. */
  total = 0;
  readonly #world: Surroundings;
  readonly #ends: readonly [LinkEnd, LinkEnd];
  readonly #counts = new Map<LinkEnd, Map<string, number>>();
  readonly #losses = new Map<Loss, number>();
  /** By the end that sends: when the last packet of its queue will be on the line. */
  readonly #freeAt = new Map<LinkEnd, Instant>();

  constructor(world: Surroundings, a: LinkEnd, b: LinkEnd, conditions: Partial<LinkConditions>) {
    this.#world = world;
    this.#ends = [a, b];
    this.conditions = { ...PERFECT_LINK, ...conditions };
  }

  /** The end at the other side, when `address` is one that it answers to. */
  farEnd(from: LinkEnd, address: Uint8Array): LinkEnd | undefined {
    const [a, b] = this.#ends;
    const far = from === a ? b : from === b ? a : undefined;
    return far?.owns(address) ? far : undefined;
  }

  /** How many packets of this name were given to the link, by one end or by both. */
  count(name: string, from?: LinkEnd): number {
    const of = (end: LinkEnd) => this.#counts.get(end)?.get(name) ?? 0;
    const [a, b] = this.#ends;
    return from === undefined ? of(a) + of(b) : of(from);
  }

  /** How many packets were lost for this reason. */
  lost(why: Loss): number {
    return this.#losses.get(why) ?? 0;
  }

  /** The packets of this name, in order. */
  named(name: string): CarriedPacket[] {
    return this.sent.filter((sent) => sent.name === name).map(({ packet }) => packet);
  }

  send(from: LinkEnd, to: LinkEnd, packet: CarriedPacket): void {
    const sent = { from, name: packetName(packet), packet };
    this.#note(sent);
    const { loss, duplication, mtu, isUp } = this.conditions;
    const udp = packet.protocol === NEXT_HEADER.udp ? UDP_HEADER_LENGTH : 0;
    const size = packet.bytes.length + udp + (isIpv4(packet.destination) ? 20 : 40);
    // Chance is drawn for every packet alike, so that one forced loss does not shift all others.
    const isLost = this.#chance(loss);
    const copies = this.#chance(duplication) ? 2 : 1;
    if (size > mtu) this.#lose(sent, "above the MTU");
    else if (!isUp) this.#lose(sent, "link down");
    else if (this.loses(sent)) this.#lose(sent, "on purpose");
    else if (isLost) this.#lose(sent, "by chance");
    else for (let copy = 0; copy < copies; copy++) this.#queue(to, sent, size);
  }

  #note(sent: SentPacket): void {
    this.total++;
    this.sent.push(sent);
    if (this.sent.length > MAX_SENT) this.sent.splice(0, MAX_SENT / 2);
    const counts = this.#counts.get(sent.from) ?? new Map<string, number>();
    this.#counts.set(sent.from, counts.set(sent.name, (counts.get(sent.name) ?? 0) + 1));
    this.#world.capture?.add(this.#world.now, sent.packet);
  }

  /** Behind what waits already, if there is room. */
  #queue(to: LinkEnd, sent: SentPacket, size: number): void {
    const { rate, queueOctets } = this.conditions;
    if (rate === Infinity) {
      this.#carry(to, sent, this.#world.now);
      return;
    }
    const { now } = this.#world;
    const freeAt = instant(Math.max(now, this.#freeAt.get(sent.from) ?? now));
    const waiting = (freeAt - now) * rate / 1000;
    if (waiting + size > queueOctets) {
      this.#lose(sent, "queue full");
      return;
    }
    const leavesAt = after(freeAt, milliseconds(size / rate * 1000));
    this.#freeAt.set(sent.from, leavesAt);
    this.#carry(to, sent, leavesAt);
  }

  #carry(to: LinkEnd, { packet }: SentPacket, leavesAt: Instant): void {
    const { latency, jitter, reordering, reorderDelay } = this.conditions;
    const extra = this.#chance(reordering) ? reorderDelay : 0;
    const delay = milliseconds(latency + jitter * this.#fraction() + extra);
    this.inFlight++;
    this.#world.schedule(after(leavesAt, delay), () => {
      this.inFlight--;
      to.receive(packet);
    });
  }

  #lose({ from, name }: SentPacket, why: Loss): void {
    this.#losses.set(why, this.lost(why) + 1);
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

/** RFC name of a HIP packet, in UDP or not; "ESP" for the rest. */
export function packetName(packet: CarriedPacket): string {
  const octets = hipOctets(packet);
  return octets === undefined ? "ESP" : packetTypeName(octets[HIP_FIELD.packetType]! & 0x7f);
}
