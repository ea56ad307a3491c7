/**
 * The random life of a pair of hosts from a seed, on a link that loses, doubles and reorders: they
 * meet, talk, rekey, close, lose their memory, fall silent, often several of these at once. Then they
 * come to rest, and every one must be ESTABLISHED or say why not; the link gets well, and data must
 * pass both ways; they part, and nothing may be left.
 */

import { strict as assert } from "node:assert";
import { openLibcryptoPublicKeys } from "../../ffi/libcrypto_public_keys.ts";
import { type Duration, milliseconds, seconds } from "../../lib/base/time.ts";
import type { AssociationStatus, TableSizes } from "../../lib/engine/effects.ts";
import { TRANSPORTS } from "../../lib/hip/transport.ts";
import { MAX_STAGED_PER_ASSOCIATION } from "../../lib/hip/constants.ts";
import { Chance } from "../support/chance.ts";
import type { Host } from "./host.ts";
import { makePair, type Pair } from "./pair.ts";

/** UAL in these lives: above the time in which a pair comes to rest. */
const UNUSED_LIFETIME = seconds(200);

/** Longer than any exchange, rekey or retransmission goes on without new data. */
const REST = seconds(100);

/** UAL, then CLOSING, then CLOSED at the other end, each as long as it may be. */
const PARTING = seconds(200 + 320 + 440 + 60);

/** What the two hosts allow, so that there is something in common. */
const TRANSPORT_PAIRS = TRANSPORTS.flatMap((one) =>
  TRANSPORTS.map((other) => [one, other] as const)
)
  .filter(([one, other]) => one === other || one === "auto" || other === "auto");

/** A thousand lives are fifty thousand signatures. Their octets differ, their lengths do not. */
const PUBLIC_KEYS = openLibcryptoPublicKeys();

/** How a life went. */
export interface Life {
  readonly seed: number;
  /** "ESTABLISHED", or the reason why one end is not, when the pair has come to rest. */
  readonly end: string;
  /** Packets given to the link. */
  readonly packets: number;
  readonly virtualTime: Duration;
}

/** States in which a pair may be found at rest. */
const RESTING = ["UNASSOCIATED", "ESTABLISHED", "CLOSING", "CLOSED"];

/** An end whose peer never got through to it. */
const NEVER_MET = "never met";

const EMPTY: TableSizes = {
  associations: 0,
  timers: 0,
  inboundSas: 0,
  outboundSas: 0,
  reservedSpis: 0,
  awaitedSas: 0,
  stagedPackets: 0,
  jobs: 0,
  pendingI2: 0,
};

class PairLife {
  readonly #chance: Chance;
  readonly #pair: Pair;
  readonly #hosts: readonly [Host, Host];
  /** When each host last lost its memory, as a number of its state changes. */
  readonly #changesBefore = new Map<Host, number>();

  constructor(readonly seed: number) {
    const chance = this.#chance = new Chance(seed);
    const [transport, bobTransport] = chance.pick(TRANSPORT_PAIRS);
    this.#pair = makePair({
      seed,
      publicKeys: PUBLIC_KEYS,
      threads: { alice: seed % 2 === 0, bob: seed % 3 === 0 },
      family: chance.pick([4, 6]),
      bobSettings: { transport: bobTransport },
      settings: {
        transport,
        unusedAssociationLifetime: UNUSED_LIFETIME,
        puzzleDifficultyK: chance.pick([0, 0, 0, 6]),
        rekeyAge: seconds(chance.pick([45, 3600, 3600])),
        rekeyOctets: chance.pick([2000, 2 ** 36]),
        rekeyWithDh: chance.below(2) === 0,
      },
    });
    this.#hosts = [this.#pair.alice, this.#pair.bob];
    Object.assign(this.#pair.link.conditions, {
      latency: milliseconds(1 + chance.below(100)),
      jitter: milliseconds(chance.below(60)),
      loss: 0.2,
      duplication: 0.2,
      reordering: 0.2,
      reorderDelay: milliseconds(20 + chance.below(400)),
    });
  }

  play(): Life {
    this.#meet();
    const acts = 6 + this.#chance.below(8);
    for (let i = 0; i < acts; i++) {
      this.#act();
      this.#pair.world.advance(
        milliseconds(this.#chance.pick([0, 1, 5, 20, 100, 500, 2000, 6000])),
      );
      this.#assertSound();
    }
    const end = this.#rest();
    this.#recover();
    this.#part();
    const { world, link } = this.#pair;
    return { seed: this.seed, end, packets: link.total, virtualTime: milliseconds(world.now) };
  }

  // ---- what happens ----------------------------------------------------------------------------

  /** One end begins, or both do, at once or nearly so. */
  #meet(): void {
    const [first, second] = this.#inAnyOrder();
    first.application.ping(second);
    if (this.#chance.below(2) === 0) return;
    this.#pair.world.advance(milliseconds(this.#chance.below(300)));
    second.application.ping(first);
  }

  #act(): void {
    const { world, link } = this.#pair;
    const chance = this.#chance;
    const [one, other] = this.#inAnyOrder();
    const both = chance.below(3) === 0;
    const what = chance.below(100);
    if (what < 40) {
      const count = 1 + chance.below(4);
      for (let i = 0; i < count; i++) {
        one.application.ping(other);
        if (both) other.application.ping(one);
        world.advance(milliseconds(chance.below(50)));
      }
    } else if (what < 64) {
      const withDh = chance.below(2) === 0;
      one.rekey(other, withDh);
      if (both) other.rekey(one, chance.below(4) === 0 ? !withDh : withDh);
    } else if (what < 72) {
      one.close(other);
      if (both) other.close(one);
    } else if (what < 80) {
      this.#restart(one);
      if (both && chance.below(2) === 0) this.#restart(other);
    } else if (what < 88) {
      one.connect(other);
      if (both) other.connect(one);
    } else if (what < 95) {
      world.advance(seconds(chance.pick([10, 30, 130, 250])));
    } else {
      link.conditions.isUp = false;
      world.advance(seconds(chance.pick([1, 5, 30])));
      link.conditions.isUp = true;
    }
  }

  #inAnyOrder(): readonly [Host, Host] {
    const [alice, bob] = this.#hosts;
    return this.#chance.below(2) === 0 ? [alice, bob] : [bob, alice];
  }

  #restart(host: Host): void {
    host.restart();
    host.knows(this.#peerOf(host));
    this.#changesBefore.set(host, this.#changes(host).length);
  }

  // ---- what must be true -----------------------------------------------------------------------

  #assertSound(): void {
    for (const host of this.#hosts) {
      const { tables } = host.engine.status();
      const state = host.stateTowards(this.#peerOf(host));
      const what = `${host.name} in ${state} holds ${JSON.stringify(tables)}`;
      assert.ok(tables.associations <= 1 && tables.timers <= 1 && tables.pendingI2 <= 1, what);
      // The SA in force, that of a rekey under way, and those that wait for late packets.
      assert.ok(tables.inboundSas <= 10 && tables.outboundSas <= 1, what);
      assert.ok(tables.awaitedSas <= tables.inboundSas, what);
      assert.ok(tables.reservedSpis <= 4 && tables.jobs <= 16, what);
      assert.ok(tables.stagedPackets <= MAX_STAGED_PER_ASSOCIATION, what);
      const hasSas = ["I2-SENT", "R2-SENT", "ESTABLISHED"].includes(state);
      if (!hasSas) {
        assert.equal(tables.inboundSas + tables.outboundSas, 0, what);
        // A thread hears of it a moment later.
        if (host.threads?.sizes.some((size) => size > 0)) continue;
        assert.equal(host.keys.live("cipher"), 0, `${what}\nand ${host.keys.remaining()}`);
      }
    }
  }

  /** @returns How the pair is found: "ESTABLISHED" or why not. */
  #rest(): string {
    this.#pair.world.advance(REST);
    // SAs that have grown old may be under replacement at any time. When a host is told to close in
    // the middle of crossing exchanges, both may end as Responders of different ones: an UPDATE that
    // nobody answers finds that out, at the latest when UAL is over.
    this.#pair.world.runUntil(() => this.#isAtRest, seconds(300));
    this.#assertSound();
    const reasons = this.#hosts.flatMap((host) => {
      const state = host.stateTowards(this.#peerOf(host));
      assert.ok(RESTING.includes(state), `${host.name} rests in ${state}`);
      return state === "ESTABLISHED" ? [] : [this.#reason(host)];
    });
    if (reasons.length > 0) {
      const named = new Set(reasons.filter((reason) => reason !== NEVER_MET));
      assert.ok(named.size > 0, "both ends are without association and reason");
      return [...named].sort().join(" / ");
    }
    return "ESTABLISHED";
  }

  /** Why a host is not ESTABLISHED, in its own words. */
  #reason(host: Host): string {
    const since = this.#changes(host).slice(this.#changesBefore.get(host) ?? 0);
    // What ends the wait in E-FAILED is no reason; what has led there is.
    const telling = since.filter(({ why }) => why !== "wait over" && why !== "UAL + 2 MSL over");
    const last = telling.at(-1);
    if (last !== undefined) return last.why;
    return this.#changesBefore.has(host) ? "restarted" : NEVER_MET;
  }

  /** Nothing is under way at either end but CLOSEs that nobody answers. */
  get #isAtRest(): boolean {
    const [alice, bob] = this.#hosts;
    const [atAlice, atBob] = [alice.associationWith(bob), bob.associationWith(alice)];
    const isPair = atAlice?.state === "ESTABLISHED" && atBob?.state === "ESTABLISHED";
    if (isPair && !agree(atAlice, atBob)) return false;
    return this.#pair.link.inFlight === 0 && this.#hosts.every((host) => {
      const { jobs, reservedSpis, stagedPackets, pendingI2 } = host.engine.status().tables;
      return jobs + reservedSpis + stagedPackets + pendingI2 === 0 &&
        RESTING.includes(host.stateTowards(this.#peerOf(host)));
    });
  }

  #changes(host: Host) {
    return this.#pair.world.trace.events(host.name, "state");
  }

  #peerOf(host: Host): Host {
    const [alice, bob] = this.#hosts;
    return host === alice ? bob : alice;
  }

  /** Without loss data passes both ways, at once where there is an association, else soon. */
  #recover(): void {
    const { world, link } = this.#pair;
    link.conditions.loss = 0;
    const [alice, bob] = this.#hosts;
    const isMet = this.#hosts.every((host) =>
      host.stateTowards(this.#peerOf(host)) === "ESTABLISHED"
    );
    const had = this.#hosts.map(({ application }) => application.replies.length);
    const isAnswered = () =>
      this.#hosts.every(({ application }, index) => application.replies.length > had[index]!);
    for (let i = 0; i < (isMet ? 1 : 10) && !isAnswered(); i++) {
      alice.application.ping(bob);
      bob.application.ping(alice);
      world.advance(seconds(2));
    }
    assert.ok(isAnswered(), "data does not pass both ways though nothing is lost any more");
    this.#assertSound();
  }

  /** One closes, both do, or nobody says anything more. */
  #part(): void {
    const { world, link } = this.#pair;
    link.conditions.loss = this.#chance.pick([0, 0.2]);
    const [one, other] = this.#inAnyOrder();
    const who = this.#chance.below(3);
    if (who < 2) one.close(other);
    if (who < 1) other.close(one);
    world.advance(PARTING);
    world.expectQuiet(seconds(60));
    assert.equal(link.inFlight, 0);
    for (const host of this.#hosts) {
      assert.deepEqual(host.engine.status().tables, EMPTY, host.name);
      if (host.threads !== undefined) assert.deepEqual(host.threads.sizes, [0, 0, 0], host.name);
      assert.equal(`${host.keys.remaining()}`, "", `keys are left at ${host.name}`);
    }
  }

  get trace(): string {
    return this.#pair.world.trace.toString();
  }
}

/** Whether each sends on the SA on which the other receives. */
function agree(a: AssociationStatus, b: AssociationStatus): boolean {
  return a.outboundSpi === b.inboundSpi && a.inboundSpi === b.outboundSpi;
}

/**
 * Plays the life of one seed.
 *
 * @param seed 0 to 2^32 - 1.
 * @throws {Error} That names the seed and ends with the trace.
 */
export function playLife(seed: number): Life {
  const life = new PairLife(seed);
  try {
    return life.play();
  } catch (cause) {
    const why = cause instanceof Error ? cause.stack : String(cause);
    throw new Error(
      `Seed ${seed} fails. Once more: HIP_SEED=${seed} deno test -A tests/sim/lives_test.ts\n` +
        `${why}\n${life.trace}`,
      { cause },
    );
  }
}
