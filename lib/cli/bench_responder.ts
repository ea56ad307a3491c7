/**
 * Base exchanges per second that one core of a Responder bears. Its engine and its jobs run on this
 * thread, without a network; the Initiators are real and their time does not count. The baseline
 * are the public-key operations that an exchange cannot avoid, taking turns with it.
 */

import { UserError } from "../base/errors.ts";
import { randomBytes } from "../base/random.ts";
import { instant } from "../base/time.ts";
import { dhGroupName } from "../engine/describe.ts";
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
import { RAW, type Samples } from "./bench_figures.ts";
import { HIP, KIND_NAMES, type Measured } from "./bench_report.ts";

const KINDS = ["ecdsa-p256", "ed25519"] as const;

/** Exchanges before those that count. */
const WARM_UP = 30;

export function measureResponder(
  providers: BenchProviders,
  count: number,
  progress: (step: string) => void,
): Measured {
  const samples = KINDS.flatMap((kind) => {
    progress(`${kind}, group ${BENCH_GROUP}`);
    return responderSamples(kind, providers, count);
  });
  return {
    samples,
    method: "Responder: exchanges on one core, engine and jobs on one thread, median of " +
      `${count}; raw is their public-key work alone.`,
  };
}

/** Exchanges per second, and what their public-key operations alone allow. */
function responderSamples(
  kind: IdentityKind,
  providers: BenchProviders,
  count: number,
): Samples[] {
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
  const measure = `Responder, ${KIND_NAMES[kind]}, DH ${BENCH_GROUP} ${dhGroupName(BENCH_GROUP)}`;
  const perSecond = (all: readonly number[]) => all.slice(WARM_UP).map((ms) => 1000 / ms);
  return [
    { measure, subject: RAW, unit: "/s", values: perSecond(bareTimes) },
    { measure, subject: HIP, unit: "/s", values: perSecond(times) },
  ];
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
