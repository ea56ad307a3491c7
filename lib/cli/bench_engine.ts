/**
 * An engine by itself on one thread, for measurements without a network: packets go in by hand, jobs
 * run in place, time is what the measurement says.
 */

import { SILENT } from "../base/logger.ts";
import { PacketBuffer } from "../base/packet_buffer.ts";
import { type Instant, instant } from "../base/time.ts";
import { EspCipherPool } from "../crypto/esp_cipher_pool.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import { PORTABLE_PROVIDER } from "../crypto/portable_suites.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import { type Digest, digest } from "../crypto/rhash.ts";
import type { OutgoingPacket } from "../engine/effects.ts";
import { Engine } from "../engine/engine.ts";
import type { ControlSettings } from "../hip/constants.ts";
import type { Job, JobResult } from "../hip/jobs.ts";
import { runJob } from "../hip/run_job.ts";
import type { Platform } from "../runtime/ports.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";

/** P-256, the group that most exchanges use. */
export const BENCH_GROUP = 7;

/** Where the Responder is, as 16 octets. */
export const RESPONDER_ADDRESS: Uint8Array = mappedAddress(192, 0, 2, 1);

/** Who computes. */
export interface BenchProviders {
  readonly esp: EspProvider;
  readonly publicKeys: PublicKeyProvider;
  readonly digest: Digest;
}

/** The best that the machine has, as an agent without configuration takes it. */
export function benchProviders(platform: Platform): BenchProviders {
  return {
    esp: platform.openEspProvider() ?? PORTABLE_PROVIDER,
    publicKeys: platform.openPublicKeyProvider() ?? PORTABLE_PUBLIC_KEYS,
    digest: platform.openDigest() ?? digest,
  };
}

export interface BenchEngineOptions {
  readonly identity: PrivateHostIdentity;
  /** 16 octets. */
  readonly address: Uint8Array;
  readonly providers: BenchProviders;
  readonly settings?: Partial<ControlSettings>;
  /** Does the jobs; the real work when absent. */
  readonly work?: (job: Job) => JobResult;
}

export class BenchEngine {
  readonly engine: Engine;
  readonly hit: Uint8Array;
  readonly address: Uint8Array;
  now: Instant = instant(0);
  readonly #work: (job: Job) => JobResult;
  readonly #buffer = new PacketBuffer(2048);

  /** Its R1s are ready when this returns. */
  constructor(options: BenchEngineOptions) {
    const { identity, address, providers, settings } = options;
    this.hit = identity.hit;
    this.address = address;
    this.#work = options.work ?? ((job) => runJob(job, providers.publicKeys));
    this.engine = new Engine({
      identities: [{ identity, name: "bench", isAnonymous: false }],
      policy: {
        dhGroups: [BENCH_GROUP],
        hipCiphers: [2],
        espSuites: [13],
        hitSuites: [1, 2, 5],
      },
      espProvider: new EspCipherPool(providers.esp),
      digest: providers.digest,
      random: SYSTEM_RANDOM,
      logger: SILENT,
      firstR1Generation: 1n,
      settings: { transport: "raw", ...settings },
    });
    this.engine.handleLocatorsChanged(this.now, [
      { address, interfaceIndex: 1, prefixLength: 64, isDefault: true },
    ]);
    this.engine.start();
    this.runJobs();
  }

  /** Its I1 for another engine, whose address it learns. */
  i1For({ hit, address }: BenchEngine): OutgoingPacket | undefined {
    this.engine.learnPeer(this.now, {
      hit,
      identity: undefined,
      locators: [address],
      rendezvous: [],
      name: "",
      source: "static",
      expires: undefined,
    });
    this.engine.connect(this.now, hit);
    return this.sent();
  }

  /** What it says to a packet, all jobs done. */
  answer(packet: OutgoingPacket): OutgoingPacket | undefined {
    this.receive(packet);
    while (this.runJobs() > 0);
    return this.sent();
  }

  /** Lets a packet arrive, as if from its source. */
  receive({ protocol, source, destination, bytes }: OutgoingPacket): void {
    const buffer = this.#buffer;
    buffer.load(bytes);
    buffer.path.protocol = protocol;
    buffer.path.peerAddress.set(source);
    buffer.path.localAddress.set(destination);
    this.engine.handleDatagram(this.now, buffer);
  }

  /** Does all jobs there are. @returns How many. */
  runJobs(): number {
    let count = 0;
    for (let request = this.engine.pollJob(); request; request = this.engine.pollJob()) {
      count++;
      this.engine.handleJobDone(this.now, request.id, this.#work(request.job));
    }
    return count;
  }

  /** What it sends next. Events are thrown away, as where nobody watches. */
  sent(): OutgoingPacket | undefined {
    while (this.engine.pollEvent() !== undefined);
    return this.engine.pollTransmit();
  }

  /** Lets time pass to `now` and does what is due by then. */
  advance(now: Instant): void {
    this.now = now;
    const due = this.engine.nextTimeout();
    if (due !== undefined && due <= now) this.engine.handleTimeout(now);
    this.runJobs();
  }
}

/** An IPv4 address in its form of 16 octets; of each number the low eight bits count. */
export function mappedAddress(...last: readonly number[]): Uint8Array {
  return Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...last);
}

/** Milliseconds that something takes. */
export function timed(run: () => void): number {
  const startedAt = performance.now();
  run();
  return performance.now() - startedAt;
}

/** Memory after garbage was collected, in octets. */
export interface MemoryInUse {
  /** The heap's objects, and the buffers that they hold outside it. */
  readonly held: number;
  /** All that the process has, what is free for the next objects included. */
  readonly resident: number;
}

/**
 * Looks when garbage has been collected. The runtime does that when buffers are asked for, but not
 * wholly: some is counted too, unless it was started with DENO_V8_FLAGS=--expose-gc.
 */
export function memoryInUse(): MemoryInUse {
  const { gc } = globalThis as { readonly gc?: () => void };
  for (let i = 0; i < 4; i++) gc?.();
  let held = Infinity;
  let resident = Infinity;
  for (let i = 0; i < 600; i++) {
    new ArrayBuffer(1 << 20);
    const { heapUsed, external, rss } = Deno.memoryUsage();
    held = Math.min(held, heapUsed + external);
    resident = Math.min(resident, rss);
  }
  return { held, resident };
}
