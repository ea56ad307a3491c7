/**
 * A random story of two engines from a seed: packets lost, late, twice, altered, at the wrong door;
 * jobs late, out of order, failed; time, addresses and users that do as they like. After every
 * step what must be true is asked; at the end everybody goes home, and nothing may be left.
 */

import assert from "node:assert/strict";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { type Instant, instant } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import {
  HIP_FIELD,
  HIP_HEADER_LENGTH,
  HIP_PROTOCOL,
  setChecksum,
} from "../../lib/wire/hip/packet.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { TRANSPORTS } from "../../lib/hip/transport.ts";
import { Chance } from "./chance.ts";
import { outgoingPacket } from "../../lib/engine/effects.ts";
import { type CarriedPacket, loadDatagram } from "./datagrams.ts";
import { FuzzHost } from "./fuzz_host.ts";
import { noRoute, tooBig, unreachable } from "./icmp_errors.ts";
import { testIdentity } from "./identities.ts";

/** Each host has the first of its addresses at the start. */
const ADDRESSES = [["192.0.2.1", "198.51.100.1", "2001:db8::1"], ["192.0.2.2", "2001:db8::2"]];

/** Steps of a story, so that a seed means the same story everywhere. */
export const SEQUENCE_STEPS = 80;

/** Packets remembered for replays. */
const MAX_HISTORY = 64;

/** Longer than every timer of an association that is unused, then closing, then closed. */
const LONG = 900_000;

class Story {
  readonly #chance: Chance;
  readonly #hosts: readonly FuzzHost[];
  readonly #addresses: Uint8Array[];
  readonly #buffer = new PacketBuffer(2048);
  readonly #wire: OutgoingPacket[] = [];
  readonly #history: OutgoingPacket[] = [];
  #now: Instant = instant(1000);
  /** Every step in words, for who reads a failure. */
  readonly log: string[] = [];

  constructor(seed: number) {
    this.#chance = new Chance(seed);
    this.#hosts = [
      new FuzzHost("A", testIdentity("ecdsa-p256", "alice"), 1, this.#chance.pick(TRANSPORTS)),
      new FuzzHost("B", testIdentity("ecdsa-p256", "bob"), 2, this.#chance.pick(TRANSPORTS)),
    ];
    this.#addresses = ADDRESSES.map(([first]) => parseIpAddress(first!));
    for (const index of [0, 1]) this.#move(index, this.#addresses[index]!);
    for (const from of [0, 1]) this.#introduce(from);
  }

  /** One random event, and what must be true after it. */
  step(): void {
    const chance = this.#chance;
    const index = chance.below(2);
    const host = this.#hosts[index]!;
    const what = chance.below(100);
    if (what < 34) this.#deliverNext();
    else if (what < 56) this.#runJob(host);
    else if (what < 64) this.#ping(host, this.#hosts[1 - index]!);
    else if (what < 66) this.#rekey(host, this.#hosts[1 - index]!);
    else if (what < 76) this.#passTime();
    else if (what < 80) this.#wire.splice(chance.below(this.#wire.length + 1), 1);
    else if (what < 84) this.#again((packet) => packet);
    else if (what < 88) this.#again((packet) => this.#altered(packet));
    else if (what < 90) this.#again((packet) => this.#misdirected(packet));
    else if (what < 92) this.#again((packet) => this.#complaintAbout(packet));
    else if (what < 93) this.#failJob(host);
    else if (what < 94) this.#garbage(host);
    else if (what < 96) host.engine.connect(this.#now, this.#hosts[1 - index]!.hit);
    else if (what < 97) this.#connectOpportunistic(host, 1 - index);
    else if (what < 98) host.engine.close(this.#now, this.#hosts[1 - index]!.hit);
    else if (what < 99) this.#strangerFrom(host);
    else this.#relocate(index);
    this.log.push(`${this.#now} ${host.name} ${what}`);
    this.#settle();
  }

  /** Everybody closes, nothing more is lost: what is left afterwards was forgotten. */
  end(): void {
    for (const host of this.#hosts) host.engine.closeAll(this.#now);
    this.#settle();
    const until = this.#now + LONG;
    for (let turns = 0; this.#now < until; turns++) {
      assert.ok(turns < 20_000, "the hosts do not come to rest");
      for (const host of this.#hosts) {
        for (const job of host.jobs.splice(0)) host.finish(this.#now, job);
      }
      this.#settle();
      if (this.#wire.length > 0) this.#deliver(this.#wire.shift()!);
      else if (this.#hosts.every(({ jobs }) => jobs.length === 0)) this.#advanceToNext(until);
      this.#settle();
    }
    for (const host of this.#hosts) {
      assert.deepEqual(host.engine.status().associations.map(({ state }) => state), []);
      assert.equal(host.engine.openAssociations, 0);
      // R1s may be renewed at any time.
      const tables = { ...host.engine.status().tables, jobs: 0 };
      assert.ok(
        Object.values(tables).every((size) => size === 0),
        `${host.name} is left with ${JSON.stringify(tables)}`,
      );
      assert.equal(`${host.keys.remaining()}`, "", `keys are left at ${host.name}`);
    }
  }

  #settle(): void {
    for (const host of this.#hosts) {
      host.poll();
      host.assertSound();
      for (const packet of host.sent.splice(0)) {
        this.#wire.push(packet);
        this.#history.push(packet);
      }
    }
    if (this.#history.length > MAX_HISTORY) this.#history.splice(0, MAX_HISTORY / 2);
    // The network holds so much and no more.
    if (this.#wire.length > MAX_HISTORY) this.#wire.splice(0, MAX_HISTORY / 2);
  }

  // ---- packets ---------------------------------------------------------------------------------

  #ping(from: FuzzHost, to: FuzzHost): void {
    const size = this.#chance.below(200);
    this.#fromApplication(
      from,
      buildIcmpv6Echo({
        kind: "request",
        source: from.hit,
        destination: to.hit,
        identifier: 1,
        sequence: 1,
        data: new Uint8Array(size),
      }),
    );
  }

  /** To a HIT that nobody has: fills tables. */
  #strangerFrom(host: FuzzHost): void {
    const packet = new Uint8Array(48);
    packet[0] = 0x60;
    packet[5] = 8;
    packet.set(host.hit, 8);
    packet.set(host.hit, 24);
    packet.set(this.#chance.bytes(8), 32);
    this.#fromApplication(host, packet);
  }

  #fromApplication(from: FuzzHost, packet: Uint8Array): void {
    const [localHit, peerHit] = [packet.slice(8, 24), packet.slice(24, 40)];
    this.#buffer.load(packet);
    if (from.engine.handleTunPacket(this.#now, this.#buffer) !== "transmit") return;
    from.assertCarriesData(localHit, peerHit);
    from.sent.push(outgoingPacket(this.#buffer));
  }

  #deliverNext(): void {
    if (this.#wire.length === 0) return;
    // Mostly in order.
    const at = this.#chance.below(4) === 0 ? this.#chance.below(this.#wire.length) : 0;
    this.#deliver(this.#wire.splice(at, 1)[0]!);
  }

  /** To whoever has the address now. */
  #deliver(packet: CarriedPacket): void {
    const to = this.#addresses.findIndex((address) =>
      formatIpAddress(address) === formatIpAddress(packet.destination)
    );
    if (to >= 0) this.#receive(this.#hosts[to]!, packet);
  }

  #receive(host: FuzzHost, packet: CarriedPacket): void {
    loadDatagram(this.#buffer, packet);
    if (host.engine.handleDatagram(this.#now, this.#buffer) !== "deliver") return;
    const inner = this.#buffer.contents();
    host.assertCarriesData(inner.slice(24, 40), inner.slice(8, 24));
  }

  /** An old packet once more, changed or not. */
  #again(change: (packet: OutgoingPacket) => CarriedPacket): void {
    if (this.#history.length === 0) return;
    this.#deliver(change(this.#chance.pick(this.#history)));
  }

  /** Some octets differ; half of the time the checksum knows nothing of it. */
  #altered(packet: OutgoingPacket): OutgoingPacket {
    let bytes = packet.bytes.slice();
    const changes = 1 + this.#chance.below(3);
    for (let i = 0; i < changes; i++) {
      bytes[this.#chance.below(bytes.length)] = this.#chance.below(256);
    }
    if (this.#chance.below(8) === 0) bytes = bytes.slice(0, this.#chance.below(bytes.length));
    const length = ((bytes[HIP_FIELD.headerLength] ?? 0) + 1) * 8;
    const isWhole = bytes.length >= HIP_HEADER_LENGTH && bytes.length >= length &&
      length >= HIP_HEADER_LENGTH;
    if (packet.protocol === HIP_PROTOCOL && isWhole && this.#chance.below(2) === 0) {
      const exact = bytes.slice(0, length);
      setChecksum(exact, packet.source, packet.destination);
      bytes = exact;
    }
    return { ...packet, bytes };
  }

  /** What a router may say of a packet, forged or not, to whoever has the address of its sender. */
  #complaintAbout(packet: OutgoingPacket): OutgoingPacket {
    switch (this.#chance.below(3)) {
      case 0:
        return tooBig(packet, this.#chance.pick([0, 68, 296, 576, 1280, 1400, 9000]));
      case 1:
        return unreachable(packet);
      default:
        return noRoute(packet);
    }
  }

  /** Back to its sender, from elsewhere or another port as behind a NAT, or as another protocol. */
  #misdirected(packet: OutgoingPacket): CarriedPacket {
    const { source, destination } = packet;
    switch (this.#chance.below(4)) {
      case 3:
        return { ...packet, sourcePort: this.#chance.below(65_536) };
      case 0:
        return { ...packet, source: destination, destination: source };
      case 1: {
        const elsewhere = parseIpAddress("203.0.113.9");
        const bytes = packet.bytes.slice();
        if (packet.protocol === HIP_PROTOCOL) setChecksum(bytes, elsewhere, destination);
        return { ...packet, source: elsewhere, sourcePort: this.#chance.below(65_536), bytes };
      }
      default:
        return { ...packet, protocol: this.#chance.pick([50, HIP_PROTOCOL, 17]) };
    }
  }

  #garbage(host: FuzzHost): void {
    const bytes = this.#chance.bytes(this.#chance.below(120));
    // What passes for HIP in UDP.
    if (this.#chance.below(4) === 0) bytes.fill(0, 0, 4);
    const [source, destination] = [parseIpAddress("203.0.113.9"), parseIpAddress("192.0.2.1")];
    const protocol = this.#chance.pick([50, HIP_PROTOCOL, 17]);
    const path = { protocol, source, destination, trafficClass: 0, hopLimit: 1 };
    this.#receive(host, { ...path, bytes });
    this.#buffer.load(bytes);
    host.engine.handleTunPacket(this.#now, this.#buffer);
  }

  // ---- jobs, time, users -----------------------------------------------------------------------

  #runJob(host: FuzzHost): void {
    const at = this.#chance.below(4) === 0 ? this.#chance.below(host.jobs.length) : 0;
    const [job] = host.jobs.splice(at, 1);
    if (job !== undefined) host.finish(this.#now, job);
  }

  #failJob(host: FuzzHost): void {
    const [job] = host.jobs.splice(this.#chance.below(host.jobs.length + 1), 1);
    if (job === undefined) return;
    host.finish(this.#now, job, { kind: "failed", reason: "hip-job-failed", detail: "" });
    // A result that nobody waits for any more.
    host.finish(this.#now, job, { kind: "failed", reason: "hip-job-failed", detail: "" });
  }

  #passTime(): void {
    const spans = [1, 20, 120, 600, 2000, 6000, 100_000];
    const until = this.#now + this.#chance.pick(spans);
    if (this.#chance.below(3) === 0) this.#advanceToNext(until);
    else this.#advanceTo(until);
  }

  #advanceToNext(until: number): void {
    const due = this.#hosts.map(({ engine }) => engine.nextTimeout() ?? Infinity);
    this.#advanceTo(Math.min(until, Math.max(this.#now, Math.min(...due))));
  }

  #advanceTo(time: number): void {
    this.#now = instant(time);
    for (const { engine, name } of this.#hosts) {
      engine.handleTimeout(this.#now);
      const next = engine.nextTimeout();
      assert.ok(
        next === undefined || next > this.#now,
        `${name} wants a timeout at ${next}, and it is ${this.#now}`,
      );
    }
  }

  #connectOpportunistic(host: FuzzHost, peer: number): void {
    host.engine.connectOpportunistic(this.#now, this.#addresses[peer]!);
  }

  #rekey(host: FuzzHost, peer: FuzzHost): void {
    host.engine.rekey(this.#now, peer.hit, { withDh: this.#chance.below(2) === 0 });
  }

  #relocate(index: number): void {
    const address = parseIpAddress(this.#chance.pick(ADDRESSES[index]!));
    this.#move(index, address);
    this.#introduce(1 - index);
    if (this.#chance.below(6) === 0) {
      this.#hosts[index]!.engine.handleLocatorsChanged(this.#now, []);
    }
  }

  #move(index: number, address: Uint8Array): void {
    this.#addresses[index] = address;
    this.#hosts[index]!.engine.handleLocatorsChanged(this.#now, [
      { address, interfaceIndex: 2, prefixLength: 24, isDefault: true },
    ]);
  }

  /** One host learns where the other is. */
  #introduce(from: number): void {
    this.#hosts[from]!.engine.learnPeer(this.#now, {
      hit: this.#hosts[1 - from]!.hit,
      identity: undefined,
      locators: [this.#addresses[1 - from]!],
      rendezvous: [],
      name: "",
      source: "static",
      expires: undefined,
    });
  }
}

/**
 * Plays one story.
 *
 * @param seed 0 to 2^32 - 1.
 * @throws {Error} That names the seed and the last steps, with what was not true as its cause.
 */
export function playSequence(seed: number, steps = SEQUENCE_STEPS): void {
  const story = new Story(seed);
  try {
    for (let i = 0; i < steps; i++) story.step();
    story.end();
  } catch (cause) {
    const last = story.log.slice(-5).join("; ");
    const why = cause instanceof Error ? cause.stack : String(cause);
    throw new Error(
      `Seed ${seed} fails after ${story.log.length} steps (${last}). ` +
        `Once more: HIP_SEED=${seed} deno test -A tests/fuzz\n${why}`,
      { cause },
    );
  }
}
