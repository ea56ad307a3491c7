/**
 * Base exchanges per second that one core of a Responder bears. Its engine and its jobs run on this
 * thread, without a network; the Initiators are real and their time does not count. The baseline
 * are the public-key operations that an exchange cannot avoid, taking turns with it.
 */

import { UserError } from "../base/errors.ts";
import { randomBytes } from "../base/random.ts";
import { instant } from "../base/time.ts";
import type { OutgoingPacket } from "../engine/effects.ts";
import { generateHostIdentity, type IdentityKind } from "../identity/host_identity.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";
import {
  BENCH_GROUP,
  BenchEngine,
  type BenchProviders,
  mappedAddress,
  RESPONDER_ADDRESS,
  timed,
} from "./bench_engine.ts";
import { median } from "./bench_statistics.ts";

/** One row: exchanges per second, and what their public-key operations alone allow. Medians. */
export interface ResponderRow {
  readonly kind: IdentityKind;
  readonly dhGroup: number;
  readonly perSecond: number;
  readonly barePerSecond: number;
}

export interface ResponderReport {
  /** Exchanges behind each median. */
  readonly count: number;
  readonly rows: readonly ResponderRow[];
}

const KINDS = ["ecdsa-p256", "ed25519"] as const;

/** Exchanges before those that count. */
const WARM_UP = 30;

export function measureResponder(
  providers: BenchProviders,
  count: number,
  progress: (step: string) => void,
): ResponderReport {
  const rows = KINDS.map((kind) => {
    progress(`${kind}, group ${BENCH_GROUP}`);
    return responderRow(kind, providers, count);
  });
  return { count, rows };
}

function responderRow(
  kind: IdentityKind,
  providers: BenchProviders,
  count: number,
): ResponderRow {
  const engineOf = (address: Uint8Array) =>
    new BenchEngine({ identity: generateHostIdentity(kind, SYSTEM_RANDOM), address, providers });
  const responder = engineOf(RESPONDER_ADDRESS);
  const operations = bareOperations(kind, providers);
  const times: number[] = [];
  const bareTimes: number[] = [];
  for (let number = 0; number < WARM_UP + count; number++) {
    responder.advance(instant(responder.now + 10));
    times.push(exchangeTime(responder, engineOf(mappedAddress(10, 0, number >>> 8, number))));
    bareTimes.push(timed(operations));
  }
  return {
    kind,
    dhGroup: BENCH_GROUP,
    perSecond: 1000 / median(times.slice(WARM_UP)),
    barePerSecond: 1000 / median(bareTimes.slice(WARM_UP)),
  };
}

/** Milliseconds that the Responder is at work, from I1 to R2. */
function exchangeTime(responder: BenchEngine, initiator: BenchEngine): number {
  let time = 0;
  const answer = (packet: OutgoingPacket | undefined) => {
    let said: OutgoingPacket | undefined;
    if (packet !== undefined) time += timed(() => said = responder.answer(packet));
    return said;
  };
  const r1 = answer(initiator.i1For(responder));
  const r2 = answer(r1 && initiator.answer(r1));
  if (r2 === undefined) throw new UserError("the base exchange to be measured did not come about.");
  return time;
}

/** One key agreement, one check of a signature and one signature. */
function bareOperations(kind: IdentityKind, { publicKeys }: BenchProviders): () => void {
  const identity = generateHostIdentity(kind, SYSTEM_RANDOM);
  const ours = publicKeys.generateDhKeyPair(BENCH_GROUP, SYSTEM_RANDOM);
  const theirs = publicKeys.generateDhKeyPair(BENCH_GROUP, SYSTEM_RANDOM);
  const message = randomBytes(SYSTEM_RANDOM, 600);
  const signature = publicKeys.sign(identity, message, SYSTEM_RANDOM);
  return () => {
    publicKeys.agree(ours, theirs.publicValue);
    publicKeys.verify(identity, signature, message);
    publicKeys.sign(identity, message, SYSTEM_RANDOM);
  };
}
