/**
 * A network of engines without a clock: the world holds the virtual time, what is to happen when,
 * the seed and the trace. Nothing in it is asynchronous, and all chance comes from the seed, so a
 * run can be repeated exactly.
 */

import { strict as assert } from "node:assert";
import { after, type Duration, type Instant, instant, seconds } from "../../lib/base/time.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { CarriedPacket } from "../support/datagrams.ts";
import { EventQueue } from "./event_queue.ts";
import { Host, type HostOptions } from "./host.ts";
import { Link, type LinkConditions, packetName } from "./link.ts";
import { NatBox, type NatOptions } from "./nat_box.ts";
import type { PcapWriter } from "./pcap_writer.ts";
import type { LinkEnd, Network } from "./roles.ts";
import { Trace } from "./trace.ts";

/** More steps than any scenario needs: a run that does not end is a defect. */
const MAX_STEPS = 1_000_000;

export class World implements Network {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly trace = new Trace();
  /** Takes every packet that is given to a link, when set. */
  capture: PcapWriter | undefined;
  now: Instant = instant(0);
  readonly #queue = new EventQueue();
  readonly #links: Link[] = [];
  #steps = 0;

  constructor(seed: number) {
    this.seed = seed;
    const octets = new Uint8Array(32);
    new DataView(octets.buffer).setUint32(28, seed);
    this.random = new SeededRandom(octets);
  }

  addHost(name: string, options: HostOptions): Host {
    return new Host(this, name, options);
  }

  addNat(name: string, options: NatOptions): NatBox {
    return new NatBox(this, name, options);
  }

  /** Joins two ends. Where several links lead to an address, the first that was made is used. */
  link(a: LinkEnd, b: LinkEnd, conditions: Partial<LinkConditions> = {}): Link {
    const link = new Link(this, a, b, conditions);
    this.#links.push(link);
    return link;
  }

  schedule(at: Instant, action: () => void): void {
    this.#queue.add(at, action);
  }

  route(from: LinkEnd, packet: CarriedPacket): void {
    for (const link of this.#links) {
      const to = link.farEnd(from, packet.destination);
      if (to !== undefined) {
        link.send(from, to, packet);
        return;
      }
    }
    this.trace.add(this.now, from.name, `no link for ${packetName(packet)}`);
  }

  /** Lets a span pass. */
  advance(span: Duration): void {
    const end = after(this.now, span);
    while (this.#step(end));
    this.now = end;
  }

  /** Goes on until `condition` holds; fails with the trace when it does not within `limit`. */
  runUntil(condition: () => boolean, limit: Duration = seconds(60)): void {
    const end = after(this.now, limit);
    while (!condition()) {
      if (!this.#step(end)) {
        assert.fail(`seed ${this.seed}: not within ${limit} ms\n${this.trace}`);
      }
    }
  }

  /** Fails when anybody sends a packet within `span`. */
  expectQuiet(span: Duration): void {
    const sent = () => this.#links.reduce((sum, link) => sum + link.total, 0);
    const before = sent();
    this.advance(span);
    assert.equal(sent() - before, 0, `seed ${this.seed}: packets were sent\n${this.trace}`);
  }

  /** Does the next thing that is due by `end`. @returns Whether there was one. */
  #step(end: Instant): boolean {
    const at = this.#queue.nextAt();
    if (at === undefined || at > end) return false;
    assert.ok(++this.#steps < MAX_STEPS, `seed ${this.seed}: the run does not end`);
    if (at > this.now) this.now = at;
    this.#queue.take()!();
    return true;
  }
}
