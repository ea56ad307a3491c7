/**
 * An engine among random events, with eyes on it: what it holds of keys and SAs, and what must be
 * true of it after every step.
 */

import type { Transport } from "../../lib/hip/transport.ts";
import assert from "node:assert/strict";
import { bytesEqual } from "../../lib/base/bytes.ts";
import { SILENT } from "../../lib/base/logger.ts";
import { type Instant, seconds } from "../../lib/base/time.ts";
import { EspCipherPool } from "../../lib/crypto/esp_cipher_pool.ts";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { JobRequest, OutgoingPacket } from "../../lib/engine/effects.ts";
import { Engine } from "../../lib/engine/engine.ts";
import { MAX_STAGED } from "../../lib/hip/constants.ts";
import type { ExchangePolicy, JobResult } from "../../lib/hip/jobs.ts";
import { isHit } from "../../lib/identity/hit.ts";
import { type KeyKind, KeyWitness } from "./key_witness.ts";
import { runTestJob } from "./prepared_r1s.ts";

export const FUZZ_POLICY: ExchangePolicy = {
  dhGroups: [7],
  hipCiphers: [2],
  espSuites: [8],
  hitSuites: [1, 2, 5],
};

export const MAX_ASSOCIATIONS = 3;

/** What may be under way at one time: a bound on memory, whatever comes in. */
const MAX_JOBS = 64;

/** States in which an association has SAs, and those in which it has keys. */
const WITH_SAS = ["I2-SENT", "R2-SENT", "ESTABLISHED"];
const WITH_KEYS = [...WITH_SAS, "CLOSING", "CLOSED"];
const WITH_DATA = ["R2-SENT", "ESTABLISHED"];

/** Of each kind an association may hold this many while one replaces the other. */
const GENERATIONS = 2;

/** Jobs cross to another thread as copies. */
function run({ job }: JobRequest): JobResult {
  return runTestJob(structuredClone(job));
}

export class FuzzHost {
  readonly engine: Engine;
  readonly sent: OutgoingPacket[] = [];
  readonly jobs: JobRequest[] = [];
  /** What the engine was given of keys. */
  readonly keys = new KeyWitness();
  #drops: Readonly<Record<string, number | undefined>> = {};

  constructor(
    readonly name: string,
    readonly identity: PrivateHostIdentity,
    seed: number,
    transport: Transport,
  ) {
    this.engine = new Engine({
      identities: [{ identity, name, isAnonymous: false }],
      policy: FUZZ_POLICY,
      espProvider: this.keys.provider(new EspCipherPool(PORTABLE_PROVIDER)),
      random: new SeededRandom(new Uint8Array(32).fill(seed)),
      logger: SILENT,
      firstR1Generation: 1n,
      settings: {
        transport,
        maxAssociations: MAX_ASSOCIATIONS,
        // Both ways to treat strangers and sequence numbers meet.
        icmpToStrangers: seed % 2 === 0,
        esn: seed % 2 === 0 ? "auto" : "off",
        maxPendingI2: 4,
        unusedAssociationLifetime: seconds(60),
      },
    });
    this.engine.start();
    this.poll();
    for (const job of this.jobs.splice(0)) this.finish(0 as Instant, job);
  }

  get hit(): Uint8Array {
    return this.identity.hit;
  }

  /** Hands a result to the engine and remembers the secrets in it. */
  finish(now: Instant, request: JobRequest, result = run(request)): void {
    this.engine.handleJobDone(now, request.id, this.keys.result(result));
    this.poll();
  }

  /** Takes all that the engine offers. */
  poll(): void {
    const { engine } = this;
    for (let job = engine.pollJob(); job; job = engine.pollJob()) {
      this.keys.job(job.job);
      this.jobs.push(job);
    }
    for (let sent = engine.pollTransmit(); sent; sent = engine.pollTransmit()) this.sent.push(sent);
    while (engine.pollDeliver() !== undefined);
    while (engine.pollEvent() !== undefined);
  }

  /** The state of the association between two HITs. */
  stateWith(localHit: Uint8Array, peerHit: Uint8Array): string | undefined {
    return this.engine.status().associations.find((association) =>
      bytesEqual(association.localHit, localHit) && bytesEqual(association.peerHit, peerHit)
    )?.state;
  }

  /** An inner packet that the engine delivers or seals belongs to an association that carries data. */
  assertCarriesData(localHit: Uint8Array, peerHit: Uint8Array): void {
    const state = this.stateWith(localHit, peerHit);
    assert.ok(
      state !== undefined && WITH_DATA.includes(state),
      `${this.name} passed data in ${state ?? "no association"}`,
    );
  }

  /** What is true after every step. */
  assertSound(): void {
    const { associations, drops, tables } = this.engine.status();
    assert.ok(associations.length <= MAX_ASSOCIATIONS, `${associations.length} associations`);
    assert.ok(tables.timers <= associations.length, `${tables.timers} timers`);
    assert.ok(tables.stagedPackets <= MAX_STAGED, `${tables.stagedPackets} staged packets`);
    assert.ok(tables.reservedSpis <= this.jobs.length + associations.length, "forgotten SPIs");
    assert.ok(tables.jobs <= this.jobs.length, `${tables.jobs} jobs, of which some are lost`);
    assert.ok(this.jobs.length <= MAX_JOBS, `${this.jobs.length} jobs under way`);
    for (const [reason, count] of Object.entries(this.#drops)) {
      const now = drops[reason as keyof typeof drops] ?? 0;
      assert.ok(now >= count!, `the drop counter ${reason} fell from ${count} to ${now}`);
    }
    this.#drops = drops;
    for (const { source, destination } of this.sent) {
      assert.ok(!isHit(source) && !isHit(destination), "a HIT as outer address");
    }
    const count = (states: readonly string[]) =>
      associations.filter(({ state }) => states.includes(state)).length;
    const states = associations.map(({ state }) => state).join(" ") || "no association";
    const assertFew = (kind: KeyKind, limit: number) => {
      const live = this.keys.live(kind);
      assert.ok(live <= limit, `${this.name} holds ${live} sets of ${kind} keys, with ${states}`);
    };
    assertFew("cipher", 2 * GENERATIONS * count(WITH_SAS));
    assertFew("exchange", GENERATIONS * count(WITH_KEYS));
    // A key pair and a KEYMAT of the last rekey, and of the one under way.
    assertFew("rekey", 2 * GENERATIONS * count(WITH_SAS));
    assertFew("job", this.jobs.length);
  }
}
