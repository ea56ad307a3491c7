/**
 * A crowd of Initiators before one Responder. One exchange is real; the others repeat its packets
 * under other HITs and addresses, and the public-key work on their I2s is replaced by a copy of what
 * the real one gave. The Responder's engine cannot tell: every check but those of that job is real.
 */

import { UserError } from "../base/errors.ts";
import { instant } from "../base/time.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import type { OutgoingPacket } from "../engine/effects.ts";
import type { ControlSettings } from "../hip/constants.ts";
import type { AcceptI2Result, Job, JobResult } from "../hip/jobs.ts";
import { runJob } from "../hip/run_job.ts";
import { generateHostIdentity } from "../identity/host_identity.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";
import { PACKET, PARAMETER } from "../wire/hip/code_points.ts";
import { HIP_FIELD, type HipPacket, parseHipPacket, setChecksum } from "../wire/hip/packet.ts";
import {
  BenchEngine,
  type BenchEngineOptions,
  type BenchProviders,
  mappedAddress,
  RESPONDER_ADDRESS,
} from "./bench_engine.ts";

/** Where values stand behind the four octets of Type and Length. */
const COUNTER_GENERATION = 8;
const SOLUTION_OPAQUE = 6;
const SOLUTION_RANDOM_I = 8;

/** Longer than an R1 can be answered and an I2 repeated. */
const REST_SECONDS = 150;

/** One Initiator of the crowd; the numbers are the last octets of HIT and address. */
interface Guise {
  readonly hit: Uint8Array;
  readonly address: Uint8Array;
}

export class BenchCrowd {
  readonly responder: BenchEngine;
  readonly #publicKeys: PublicKeyProvider;
  readonly #i1: OutgoingPacket;
  readonly #i2: OutgoingPacket;
  #accepted: AcceptI2Result | undefined;
  /** Whether accept-i2 jobs are answered with a copy. */
  #isCopying = false;

  /** A crowd before a Responder with these settings. */
  static before(providers: BenchProviders, settings: Partial<ControlSettings>): BenchCrowd {
    const identity = () => generateHostIdentity("ecdsa-p256", SYSTEM_RANDOM);
    return new BenchCrowd(
      { identity: identity(), address: mappedAddress(192, 0, 2, 2), providers },
      { identity: identity(), address: RESPONDER_ADDRESS, providers, settings },
    );
  }

  /** Makes both ends and has the first real exchange between them. */
  private constructor(initiator: BenchEngineOptions, responder: BenchEngineOptions) {
    this.#publicKeys = responder.providers.publicKeys;
    this.responder = new BenchEngine({ ...responder, work: (job) => this.#work(job) });
    const real = new BenchEngine(initiator);
    const i1 = real.i1For(this.responder);
    const r1 = i1 && this.responder.answer(i1);
    const i2 = r1 && real.answer(r1);
    const r2 = i2 && this.responder.answer(i2);
    if (i1 === undefined || i2 === undefined || r2 === undefined) {
      throw new UserError("the base exchange to be measured did not come about.");
    }
    this.#i1 = i1;
    this.#i2 = i2;
    this.#isCopying = true;
  }

  /** The I1 of Initiator `number`. */
  i1(number: number): OutgoingPacket {
    return this.#disguised(this.#i1, guise(number), () => {});
  }

  /** The I2 of Initiator `number` in answer to `r1`; with #K = 0 any #J solves the puzzle. */
  i2(number: number, r1: OutgoingPacket): OutgoingPacket {
    const asked = parseHipPacket(r1.bytes);
    const counter = contents(asked, PARAMETER.R1_COUNTER).subarray(4);
    const puzzle = contents(asked, PARAMETER.PUZZLE);
    const like = parseHipPacket(this.#i2.bytes);
    const counterAt = like.raw(PARAMETER.R1_COUNTER)!.offset;
    const solutionAt = like.raw(PARAMETER.SOLUTION)!.offset;
    return this.#disguised(this.#i2, guise(number), (bytes) => {
      bytes.set(counter, counterAt + COUNTER_GENERATION);
      bytes.set(puzzle.subarray(2, 4), solutionAt + SOLUTION_OPAQUE);
      bytes.set(puzzle.subarray(4), solutionAt + SOLUTION_RANDOM_I);
    });
  }

  /** A whole exchange of Initiator `number`. @throws {UserError} When it fails. */
  associate(number: number): void {
    const r1 = this.responder.answer(this.i1(number));
    const r2 = r1 && this.responder.answer(this.i2(number, r1));
    if (r2 === undefined || (r2.bytes[HIP_FIELD.packetType]! & 0x7f) !== PACKET.R2) {
      throw new UserError(`exchange ${number} of the crowd failed.`);
    }
  }

  /** Exchanges of Initiators `from` to `to - 1`, one each millisecond, up to ESTABLISHED. */
  populate(from: number, to: number): void {
    const { responder } = this;
    for (let number = from; number < to; number++) {
      responder.advance(instant(responder.now + 1));
      this.associate(number);
    }
  }

  /** Lets so much time pass that nothing of the exchanges is waited for any more. */
  rest(): void {
    const { responder } = this;
    for (let i = 0; i < REST_SECONDS; i++) responder.advance(instant(responder.now + 1000));
    while (responder.sent() !== undefined);
  }

  #disguised(
    packet: OutgoingPacket,
    { hit, address }: Guise,
    change: (bytes: Uint8Array) => void,
  ): OutgoingPacket {
    const bytes = packet.bytes.slice();
    bytes.set(hit, HIP_FIELD.senderHit);
    change(bytes);
    setChecksum(bytes, address, packet.destination);
    return { ...packet, source: address, bytes };
  }

  /** A copy as a worker sends it. */
  #work(job: Job): JobResult {
    if (job.kind !== "accept-i2") return runJob(job, this.#publicKeys);
    if (this.#isCopying && this.#accepted !== undefined) return structuredClone(this.#accepted);
    const result = runJob(job, this.#publicKeys);
    if (result.kind === "accept-i2") this.#accepted = structuredClone(result);
    return result;
  }
}

function contents(packet: HipPacket, type: number): Uint8Array {
  const found = packet.raw(type);
  if (found === undefined) throw new UserError(`an R1 without parameter ${type}.`);
  return found.contents;
}

/** The HIT and the address of an Initiator: from 2001:22::/32 and 10.0.0.0/8. */
function guise(number: number): Guise {
  const hit = new Uint8Array(16);
  const view = new DataView(hit.buffer);
  view.setUint32(0, 0x20010022);
  // Spread as hashes are.
  view.setUint32(4, Math.imul(number, 0x9e3779b1));
  view.setUint32(8, Math.imul(number, 0x85ebca6b));
  view.setUint32(12, number);
  return { hit, address: mappedAddress(10, number >>> 16, number >>> 8, number) };
}
