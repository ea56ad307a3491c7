/**
 * Two engines on one imaginary wire, without a clock: packets pass in order and at once, jobs run
 * in place, time moves only when a test says so. For stories of a few packets; the simulator in
 * `tests/sim` is for everything that needs latency and loss.
 */

import { SILENT } from "../../lib/base/logger.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { after, type Duration, type Instant, instant } from "../../lib/base/time.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import type { EngineEvent, OutgoingPacket } from "../../lib/engine/effects.ts";
import { Engine, type EngineOptions } from "../../lib/engine/engine.ts";
import type { ExchangePolicy, Job, JobResult } from "../../lib/hip/jobs.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { outgoingPacket } from "../../lib/engine/effects.ts";
import { loadDatagram } from "./datagrams.ts";

export const POLICY: ExchangePolicy = {
  dhGroups: [7, 8],
  hipCiphers: [4, 2],
  espSuites: [13, 9, 8],
  hitSuites: [1, 2, 5],
};

/** One end: an engine, its address, and what has come out of it. */
export class End {
  readonly engine: Engine;
  readonly address: Uint8Array;
  readonly hit: Uint8Array;
  readonly sent: OutgoingPacket[] = [];
  readonly delivered: Uint8Array[] = [];
  readonly events: EngineEvent[] = [];
  readonly jobs: Job[] = [];

  constructor(
    identity: PrivateHostIdentity,
    address: string,
    seed: number,
    options: Partial<EngineOptions> = {},
  ) {
    this.address = parseIpAddress(address);
    this.hit = identity.hit;
    this.engine = new Engine({
      identities: [{ identity, name: "test", isAnonymous: false }],
      policy: POLICY,
      espProvider: PORTABLE_PROVIDER,
      random: new SeededRandom(new Uint8Array(32).fill(seed)),
      logger: SILENT,
      firstR1Generation: 1n,
      ...options,
      settings: { transport: "raw", ...options.settings },
    });
    this.engine.handleLocatorsChanged(instant(0), [{
      address: this.address,
      interfaceIndex: 2,
      prefixLength: 64,
      isDefault: true,
    }]);
  }
}

export class EnginePair {
  now: Instant = instant(1000);
  /** Every packet that was sent and not held back, in order. */
  readonly wire: OutgoingPacket[] = [];
  /** Says whether a packet gets through. */
  passes: (packet: OutgoingPacket, from: End) => boolean = () => true;
  /** Changes the result of a job, or loses it by returning undefined. */
  tamper: (job: Job, result: JobResult, at: End) => JobResult | undefined = (_, result) => result;
  readonly #buffer = new PacketBuffer(65_535);

  constructor(readonly a: End, readonly b: End) {
    a.engine.start();
    b.engine.start();
    this.settle();
  }

  /** Tells one end where the other is. */
  introduce(from: End, to: End): void {
    from.engine.learnPeer(this.now, {
      hit: to.hit,
      identity: undefined,
      locators: [to.address],
      rendezvous: [],
      name: "",
      source: "static",
      expires: undefined,
    });
  }

  /** An inner echo request from one end to the other. */
  ping(from: End, to: End, sequence = 1): void {
    const packet = buildIcmpv6Echo({
      kind: "request",
      source: from.hit,
      destination: to.hit,
      identifier: 7,
      sequence,
      data: new Uint8Array(56).fill(sequence),
    });
    this.sendInner(from, packet);
  }

  sendInner(from: End, packet: Uint8Array): void {
    const buffer = this.#buffer;
    buffer.load(packet);
    if (from.engine.handleTunPacket(this.now, buffer) === "transmit") {
      from.sent.push(outgoingPacket(buffer));
    }
    this.settle();
  }

  /** Puts a packet before an engine as if it had just arrived. */
  inject(to: End, packet: OutgoingPacket): void {
    const buffer = this.#buffer;
    loadDatagram(buffer, packet);
    if (to.engine.handleDatagram(this.now, buffer) === "deliver") {
      to.delivered.push(buffer.contents().slice());
    }
    this.#drain(to);
  }

  /** Runs jobs and passes packets until both ends are quiet. */
  settle(): void {
    for (let isBusy = true; isBusy;) {
      this.#drain(this.a);
      this.#drain(this.b);
      isBusy = this.#pass(this.a, this.b) || this.#pass(this.b, this.a);
    }
  }

  /** Lets time pass, timers included, and settles after each of them. */
  advance(span: Duration): void {
    const end = after(this.now, span);
    for (;;) {
      const next = Math.min(
        this.a.engine.nextTimeout() ?? Infinity,
        this.b.engine.nextTimeout() ?? Infinity,
      );
      if (next > end) break;
      this.now = instant(Math.max(next, this.now));
      this.a.engine.handleTimeout(this.now);
      this.b.engine.handleTimeout(this.now);
      this.settle();
    }
    this.now = end;
  }

  #drain(end: End): void {
    for (let request = end.engine.pollJob(); request; request = end.engine.pollJob()) {
      // A copy: the engine overwrites the secrets of a job that is done.
      end.jobs.push(structuredClone(request.job));
      const result = this.tamper(request.job, runJob(request.job), end);
      if (result !== undefined) end.engine.handleJobDone(this.now, request.id, result);
    }
    for (let sent = end.engine.pollTransmit(); sent; sent = end.engine.pollTransmit()) {
      end.sent.push(sent);
    }
    for (let inner = end.engine.pollDeliver(); inner; inner = end.engine.pollDeliver()) {
      end.delivered.push(inner);
    }
    for (let event = end.engine.pollEvent(); event; event = end.engine.pollEvent()) {
      end.events.push(event);
    }
  }

  #pass(from: End, to: End): boolean {
    const packets = from.sent.splice(0);
    for (const packet of packets) {
      if (!this.passes(packet, from)) continue;
      this.wire.push(packet);
      this.inject(to, packet);
    }
    return packets.length > 0;
  }
}
