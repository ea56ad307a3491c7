/**
 * Garbage before a data thread: datagrams that nobody vouches for, beside good packets of the same
 * size. The thread's lane runs here, octets in; batches of all kinds take turns.
 */

import { DropCounters, type DropReason } from "../base/drop_reason.ts";
import { UserError } from "../base/errors.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { randomBytes } from "../base/random.ts";
import { ringMemory, RingReader, RingWriter } from "../base/shared_ring.ts";
import { instant } from "../base/time.ts";
import { EspCipherPool } from "../crypto/esp_cipher_pool.ts";
import { encapsulate } from "../esp/encapsulate.ts";
import { InboundLane } from "../esp/inbound_lane.ts";
import { LaneLender } from "../esp/lane_lender.ts";
import { SLOT_SIZE } from "../esp/sa_slots.ts";
import { InboundSa, OutboundSa } from "../esp/security_association.ts";
import { SPI_FILTER_SIZE } from "../esp/spi_filter.ts";
import { makeSlabs } from "../runtime/slabs.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";
import { buildIpv6Packet, NEXT_HEADER } from "../wire/ipv6.ts";
import { type BenchProviders, timed } from "./bench_engine.ts";
import { RAW, type Samples } from "./bench_figures.ts";
import { HIP, type Measured } from "./bench_report.ts";

/** AES-GCM, which is what peers agree on if both may choose. */
const SUITE_ID = 13;
const SPI = 0x10000;
const OTHER_SPI = 0x20001;
const PAYLOAD = 1352;

/** Datagrams between two looks at the clock. */
const BATCH = 64;

/** Batches of each kind before those that count. */
const WARM_UP = 200;

/** A kind of garbage: what is made of a good packet, and the counter that must grow. */
interface Kind {
  readonly name: string;
  readonly reason: DropReason;
  spoil(buffer: PacketBuffer): void;
}

const KINDS: readonly Kind[] = [
  {
    name: "with an unknown SPI",
    reason: "esp-unknown-spi",
    spoil: ({ view, start }) => view.setUint32(start, OTHER_SPI),
  },
  { name: "seen before", reason: "esp-replayed", spoil: () => {} },
  {
    name: "forged",
    reason: "esp-icv-failed",
    spoil: ({ bytes, end }) => bytes[end - 1]! ^= 1,
  },
  {
    name: "with a reserved SPI",
    reason: "udp-reserved-spi",
    spoil: ({ view, start }) => view.setUint32(start, 255),
  },
  {
    name: "too short",
    reason: "udp-too-short",
    spoil: (buffer) => buffer.end = buffer.start + 3,
  },
];

/** @param rounds Batches of each kind, taking turns. */
export function measureGarbage(
  { esp }: BenchProviders,
  rounds: number,
  progress: (step: string) => void,
): Measured {
  const bed = new GarbageBed(esp);
  const good: number[] = [];
  const bad = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
  progress(`${rounds} batches of each kind`);
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const kind of KINDS) {
      const refused = bed.refuse(kind);
      if (round >= 0) bad.get(kind)!.push(refused);
    }
    const delivered = bed.deliver();
    if (round >= 0) good.push(delivered);
  }
  const perSecond = (times: readonly number[]) => times.map((ms) => 1000 * BATCH / ms);
  return {
    samples: KINDS.flatMap((kind): Samples[] => {
      const measure = `datagrams ${kind.name} refused`;
      return [
        { measure, subject: RAW, unit: "/s", values: perSecond(good) },
        { measure, subject: HIP, unit: "/s", values: perSecond(bad.get(kind)!) },
      ];
    }),
    method:
      `Garbage: on UDP, one data thread's work without its system calls, ${BATCH} at a time; ` +
      "raw is good packets of the same size that are opened.",
  };
}

/** A pair of SAs, the one that receives lent to a lane. */
class GarbageBed {
  readonly #outbound: OutboundSa;
  readonly #lane: InboundLane;
  readonly #drops = new DropCounters();
  readonly #inner: Uint8Array;
  readonly #slabs: readonly PacketBuffer[];

  constructor(provider: BenchProviders["esp"]) {
    const pool = new EspCipherPool(provider);
    const keys = {
      encryption: randomBytes(SYSTEM_RANDOM, 20),
      authentication: new Uint8Array(0),
    };
    const [ours, theirs] = [randomBytes(SYSTEM_RANDOM, 16), randomBytes(SYSTEM_RANDOM, 16)];
    this.#outbound = new OutboundSa({
      spi: SPI,
      suiteId: SUITE_ID,
      localHit: theirs,
      peerHit: ours,
      sealer: provider.sealer(SUITE_ID, keys, SYSTEM_RANDOM),
      localAddress: theirs,
      peerAddress: ours,
      peerPort: 10500,
      isActive: true,
    });
    const inbound = new InboundSa({
      spi: SPI,
      suiteId: SUITE_ID,
      localHit: ours,
      peerHit: theirs,
      opener: pool.opener(SUITE_ID, keys),
      isActive: true,
    });
    const memory = {
      saBlocks: new SharedArrayBuffer(SLOT_SIZE),
      commands: ringMemory(4096),
      reports: ringMemory(4096),
    };
    new LaneLender(memory).take(inbound);
    this.#lane = new InboundLane({
      saMemory: memory.saBlocks,
      commands: new RingReader(memory.commands),
      reports: new RingWriter(memory.reports),
      drops: this.#drops,
      espProvider: provider,
      knownSpis: new SharedArrayBuffer(SPI_FILTER_SIZE),
      isReplyAwaited: () => false,
    });
    this.#slabs = makeSlabs(BATCH);
    this.#lane.takeCommands(this.#slabs[0]!);
    this.#inner = buildIpv6Packet(theirs, ours, NEXT_HEADER.udp, new Uint8Array(PAYLOAD));
  }

  /** Milliseconds for a batch of good packets. @throws {UserError} When one was refused. */
  deliver(): number {
    this.#seal();
    return this.#handle((outcome) => outcome === "deliver");
  }

  /** Milliseconds for a batch of garbage. @throws {UserError} When one was not refused as it should. */
  refuse({ reason, spoil }: Kind): number {
    this.#seal();
    if (reason === "esp-replayed") {
      // Good ones first, in a copy: what is opened is not what came.
      const copies = this.#slabs.map((slab) => slab.contents().slice());
      this.#handle((outcome) => outcome === "deliver");
      this.#slabs.forEach((slab, i) => this.#load(slab, copies[i]!));
    }
    for (const slab of this.#slabs) spoil(slab);
    const before = this.#drops.get(reason);
    const time = this.#handle((outcome) => outcome === "consumed");
    // The very first with unknown SPIs are the engine's to judge.
    if (this.#drops.get(reason) === before && this.#drops.get("thread-busy") === 0) {
      throw new UserError(`garbage was not counted as ${reason}. Report this.`);
    }
    return time;
  }

  #seal(): void {
    for (const slab of this.#slabs) {
      this.#load(slab, this.#inner);
      encapsulate(this.#outbound, slab);
    }
  }

  #load(slab: PacketBuffer, octets: Uint8Array): void {
    slab.load(octets);
    slab.path.protocol = NEXT_HEADER.udp;
  }

  #handle(isRight: (outcome: string) => boolean): number {
    let wrong = 0;
    const now = instant(0);
    const time = timed(() => {
      for (let i = 0; i < BATCH; i++) {
        if (!isRight(this.#lane.handleDatagram(now, this.#slabs[i]!))) wrong++;
      }
    });
    if (wrong > 0) {
      throw new UserError(`${wrong} of ${BATCH} datagrams were misjudged. Report this.`);
    }
    return time;
  }
}
