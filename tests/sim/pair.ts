/** The usual cast: alice, who asks, and bob, who answers, with one link between them. */

import { milliseconds } from "../../lib/base/time.ts";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { testIdentity } from "../support/identities.ts";
import type { PublicKeyProvider } from "../../lib/crypto/public_key_provider.ts";
import type { ExchangePolicy } from "../../lib/hip/jobs.ts";
import { type Host, SIM_POLICY } from "./host.ts";
import type { Link, LinkConditions } from "./link.ts";
import { World } from "./world.ts";

export interface PairOptions {
  readonly seed?: number;
  readonly family?: 4 | 6;
  readonly link?: Partial<LinkConditions>;
  readonly settings?: Partial<ControlSettings>;
  /** Where Bob's differ from Alice's. */
  readonly bobSettings?: Partial<ControlSettings>;
  readonly alice?: PrivateHostIdentity;
  readonly bob?: PrivateHostIdentity;
  readonly publicKeys?: PublicKeyProvider | undefined;
  /** Whose packets data threads move: nobody's when absent. */
  readonly threads?: { readonly alice: boolean; readonly bob: boolean };
  /** What differs from `SIM_POLICY`. */
  readonly alicePolicy?: Partial<ExchangePolicy>;
  readonly bobPolicy?: Partial<ExchangePolicy>;
}

export interface Pair {
  readonly world: World;
  readonly alice: Host;
  readonly bob: Host;
  readonly link: Link;
}

/** Two hosts that know each other's addresses and have prepared their R1s. */
export function makePair(options: PairOptions = {}): Pair {
  const world = new World(options.seed ?? 1);
  const [a, b] = options.family === 4 ? ["192.0.2.1", "192.0.2.2"] : ["2001:db8::1", "2001:db8::2"];
  const settings = options.settings ?? {};
  const alice = world.addHost("alice", {
    identity: options.alice ?? testIdentity("ecdsa-p256", "alice"),
    addresses: [a!],
    policy: { ...SIM_POLICY, ...options.alicePolicy },
    settings,
    publicKeys: options.publicKeys,
    hasThreads: options.threads?.alice ?? false,
  });
  const bob = world.addHost("bob", {
    identity: options.bob ?? testIdentity("ecdsa-p256", "bob"),
    addresses: [b!],
    policy: { ...SIM_POLICY, ...options.bobPolicy },
    settings: { ...settings, ...options.bobSettings },
    publicKeys: options.publicKeys,
    hasThreads: options.threads?.bob ?? false,
  });
  const link = world.link(alice, bob, options.link);
  alice.knows(bob);
  bob.knows(alice);
  world.runUntil(() => alice.engine.isReady && bob.engine.isReady);
  return { world, alice, bob, link };
}

/** Alice pings bob until the reply is there; both ends are then ESTABLISHED. */
export function establish({ world, alice, bob }: Pair): void {
  const sequence = alice.application.ping(bob);
  world.runUntil(() => alice.application.hasReply(sequence));
  world.advance(milliseconds(50));
}
