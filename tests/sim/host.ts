/**
 * A host of the simulated world: an engine, addresses, an application. It does for the engine what
 * the runtime's loop does in the program: hands packets in, takes effects out, runs jobs, wakes it
 * when it asked to be woken.
 */

import { bytesEqual } from "../../lib/base/bytes.ts";
import { SILENT } from "../../lib/base/logger.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { randomBytes } from "../../lib/base/random.ts";
import { after, type Duration, type Instant, milliseconds } from "../../lib/base/time.ts";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import { EspCipherPool } from "../../lib/crypto/esp_cipher_pool.ts";
import type { PublicKeyProvider } from "../../lib/crypto/public_key_provider.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { AssociationStatus } from "../../lib/engine/effects.ts";
import { Engine } from "../../lib/engine/engine.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import type { ExchangePolicy, Job } from "../../lib/hip/jobs.ts";
import type { LaneListener } from "../../lib/esp/lane_lender.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { outgoingPacket } from "../../lib/engine/effects.ts";
import { NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { HIP_UDP_PORT } from "../../lib/wire/udp_encapsulation.ts";
import { type CarriedPacket, loadDatagram } from "../support/datagrams.ts";
import { KeyWitness } from "../support/key_witness.ts";
import { runTestJob } from "../support/prepared_r1s.ts";
import { Application } from "./application.ts";
import { SimThreads } from "./threads.ts";
import type { InnerHost, LinkEnd, Network } from "./roles.ts";

/** One group only, so that a host is ready after one job. */
export const SIM_POLICY: ExchangePolicy = {
  dhGroups: [7],
  hipCiphers: [2, 4],
  espSuites: [13, 8, 9],
  hitSuites: [1, 2, 3, 5],
};

export interface HostOptions {
  readonly identity: PrivateHostIdentity;
  /** Text form, first the preferred one. */
  readonly addresses: readonly string[];
  readonly policy?: ExchangePolicy;
  readonly settings?: Partial<ControlSettings>;
  /** Whether data threads move packets; no when absent. */
  readonly hasThreads?: boolean;
  /** Who computes signatures and key agreement; when absent, who gives the same octets every time. */
  readonly publicKeys?: PublicKeyProvider | undefined;
}

/** Virtual time of a job on the one worker of a host: near what a small machine needs. */
function costOf(job: Job): Duration {
  switch (job.kind) {
    case "solve-puzzle":
      return milliseconds(0.1 + Math.min(job.tries, 2 ** job.difficultyK) * 0.004);
    case "build-r1":
    case "accept-i2":
      return milliseconds(3);
    case "build-i2":
      return milliseconds(2);
    default:
      return milliseconds(1);
  }
}

export class Host implements InnerHost, LinkEnd {
  readonly world: Network;
  readonly name: string;
  readonly hit: Uint8Array;
  readonly application: Application;
  engine: Engine;
  /** Those of this life. */
  threads: SimThreads | undefined;
  /** What the engine of this life was given of keys. */
  keys = new KeyWitness();
  readonly #options: HostOptions;
  #settings: Partial<ControlSettings>;
  readonly #addresses: readonly Uint8Array[];
  readonly #buffer = new PacketBuffer(65_535);
  /** For the application, when everything else has come to rest. */
  readonly #inner: Uint8Array[] = [];
  /** Counts the engines this host has had: results for an earlier one are lost. */
  #life = 0;
  #workerFreeAt: Instant;
  /** The one wake-up that counts; earlier plans are passed over. */
  #wakeAt: Instant | undefined;

  constructor(world: Network, name: string, options: HostOptions) {
    this.world = world;
    this.name = name;
    this.#options = options;
    this.#settings = { transport: "raw", ...options.settings };
    this.hit = options.identity.hit;
    this.#addresses = options.addresses.map(parseIpAddress);
    this.#workerFreeAt = world.now;
    this.application = new Application(this);
    this.engine = this.#boot();
    world.trace.nameHit(this.hit, name);
  }

  /** The association with a peer as `hip status` would show it. */
  associationWith(peer: Host): AssociationStatus | undefined {
    return this.engine.association(peer.hit);
  }

  /** RFC name of the state towards a peer; UNASSOCIATED when there is none. */
  stateTowards(peer: Host): string {
    return this.associationWith(peer)?.state ?? "UNASSOCIATED";
  }

  owns(address: Uint8Array): boolean {
    return this.#addresses.some((own) => bytesEqual(own, address));
  }

  /** Learns where a peer is, as from a hosts file; by default all its addresses. */
  knows(peer: Host, addresses: readonly Uint8Array[] = peer.#addresses): void {
    this.engine.learnPeer(this.world.now, {
      hit: peer.hit,
      identity: undefined,
      locators: addresses,
      rendezvous: [],
      name: peer.name,
      source: "static",
      expires: undefined,
    });
    this.#settle();
  }

  /** Power off and on again: all state is gone, the identity stays. @param settings From now on. */
  restart(settings = this.#settings): void {
    this.world.trace.add(this.world.now, this.name, "restarts");
    this.#settings = settings;
    this.engine = this.#boot();
  }

  connect(peer: Host): void {
    this.engine.connect(this.world.now, peer.hit);
    this.#settle();
  }

  close(peer: Host): void {
    this.engine.close(this.world.now, peer.hit);
    this.#settle();
  }

  /** @returns Whether a rekey was begun. */
  rekey(peer: Host, withDh: boolean): boolean {
    const isBegun = this.engine.rekey(this.world.now, peer.hit, { withDh });
    this.#settle();
    return isBegun;
  }

  /** An inner packet from the application. */
  sendInner(packet: Uint8Array): void {
    const buffer = this.#buffer;
    buffer.load(packet);
    if (this.threads === undefined) this.#handleTunPacket(buffer);
    else this.threads.handleTunPacket(buffer);
    this.#settle();
  }

  #handleTunPacket(buffer: PacketBuffer): void {
    if (this.engine.handleTunPacket(this.world.now, buffer) === "consumed") return;
    this.world.route(this, outgoingPacket(buffer));
  }

  /** A packet from outside. */
  receive(packet: CarriedPacket): void {
    // Nobody else has a port here.
    if (packet.protocol === NEXT_HEADER.udp && packet.peerPort !== HIP_UDP_PORT) return;
    const buffer = this.#buffer;
    loadDatagram(buffer, packet);
    const isMovedByThreads = packet.protocol === NEXT_HEADER.esp ||
      packet.protocol === NEXT_HEADER.udp;
    if (this.threads !== undefined && isMovedByThreads) {
      this.threads.handleDatagram(this.world.now, buffer);
    } else this.#handleDatagram(buffer);
    this.#settle();
  }

  #handleDatagram(buffer: PacketBuffer): void {
    if (this.engine.handleDatagram(this.world.now, buffer) === "consumed") return;
    this.#inner.push(buffer.contents().slice());
  }

  #boot(): Engine {
    this.#life++;
    this.#wakeAt = undefined;
    this.#workerFreeAt = this.world.now;
    this.keys = new KeyWitness();
    const { identity, policy, addresses } = this.#options;
    this.engine = new Engine({
      identities: [{ identity, name: this.name, isAnonymous: false }],
      policy: policy ?? SIM_POLICY,
      // As in the program: keys in the pool, ciphers only while packets pass.
      espProvider: this.keys.provider(new EspCipherPool(PORTABLE_PROVIDER)),
      random: new SeededRandom(randomBytes(this.world.random, 32)),
      logger: SILENT,
      firstR1Generation: BigInt(this.#life) << 32n,
      settings: this.#settings,
    });
    const locators = addresses.map((text) => ({
      address: parseIpAddress(text),
      interfaceIndex: 2,
      prefixLength: text.includes(":") ? 64 : 96 + 24,
      isDefault: true,
    }));
    this.threads?.close();
    this.threads = this.#options.hasThreads ? this.#startThreads() : undefined;
    this.engine.handleLocatorsChanged(this.world.now, locators);
    this.engine.start();
    this.#settle();
    return this.engine;
  }

  #startThreads(): SimThreads {
    const threads = new SimThreads({
      espProvider: this.keys.provider(PORTABLE_PROVIDER),
      random: new SeededRandom(randomBytes(this.world.random, 32)),
      knownSpis: this.engine.forThreads.knownSpis,
      transmit: (buffer) => this.world.route(this, outgoingPacket(buffer)),
      deliver: (buffer) => this.#inner.push(buffer.contents().slice()),
    });
    this.engine.forThreads.setOffload(threads);
    return threads;
  }

  /** Both sides read what the other has written, one after the other and not at once. */
  #planThreads(threads: SimThreads): void {
    if (!threads.takeHasNews()) return;
    const life = this.#life;
    const later = (action: () => void) => {
      const [chance] = randomBytes(this.world.random, 1);
      this.world.schedule(after(this.world.now, milliseconds(chance! / 256)), () => {
        if (life !== this.#life) return;
        action();
        this.#settle();
      });
    };
    later(() => threads.obey(this.world.now));
    later(() =>
      threads.drain(
        this.#listen((b) => this.#handleTunPacket(b)),
        this.#listen((b) => this.#handleDatagram(b)),
      )
    );
  }

  #listen(packet: (buffer: PacketBuffer) => void): LaneListener {
    const { forThreads } = this.engine;
    return {
      packet,
      innerPacket: (buffer) => {
        if (forThreads.handleInnerPacket(this.world.now, buffer) === "consumed") return;
        this.#inner.push(buffer.contents().slice());
      },
      news: (sa, news) => forThreads.handleNews(this.world.now, sa, news),
      refused: (refusal) => forThreads.handleRefusal(this.world.now, refusal),
    };
  }

  /** The engine's contract: poll everything until there is nothing, then ask for the timeout. */
  #settle(): void {
    const { engine, world } = this;
    for (let event = engine.pollEvent(); event; event = engine.pollEvent()) {
      world.trace.addEvent(this.name, event);
    }
    for (let sent = engine.pollTransmit(); sent; sent = engine.pollTransmit()) {
      world.route(this, sent);
    }
    for (let request = engine.pollJob(); request; request = engine.pollJob()) {
      this.#run(request.id, request.job);
    }
    for (let packet = engine.pollDeliver(); packet; packet = engine.pollDeliver()) {
      this.#inner.push(packet);
    }
    this.#planWakeUp();
    if (this.threads !== undefined) this.#planThreads(this.threads);
    for (const packet of this.#inner.splice(0)) this.application.receive(packet);
  }

  /** Computes at once; the answer comes when the worker would have it. */
  #run(id: number, job: Job): void {
    const life = this.#life;
    // Jobs cross to another thread as copies.
    this.keys.job(job);
    const result = this.keys.result(runTestJob(structuredClone(job), this.#options.publicKeys));
    const start = this.#workerFreeAt > this.world.now ? this.#workerFreeAt : this.world.now;
    this.#workerFreeAt = after(start, costOf(job));
    this.world.schedule(this.#workerFreeAt, () => {
      if (life !== this.#life) return;
      this.engine.handleJobDone(this.world.now, id, result);
      this.#settle();
    });
  }

  #planWakeUp(): void {
    const next = this.engine.nextTimeout();
    if (next === undefined || next === this.#wakeAt) return;
    if (this.#wakeAt !== undefined && this.#wakeAt < next && this.#wakeAt > this.world.now) return;
    const at = next > this.world.now ? next : this.world.now;
    const life = this.#life;
    this.#wakeAt = next;
    this.world.schedule(at, () => {
      if (life !== this.#life || this.#wakeAt !== next) return;
      this.#wakeAt = undefined;
      this.engine.handleTimeout(this.world.now);
      this.#settle();
    });
  }
}
