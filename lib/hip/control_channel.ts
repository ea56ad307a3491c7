/**
 * Signed packets of an association that has keys: UPDATE, NOTIFY, CLOSE and CLOSE_ACK are checked
 * and made here, MAC before signature, public-key work as jobs (RFC 7401 §4.1.4, §6.4).
 *
 * What was checked under one set of keys counts for these keys alone: the association may have got
 * new ones while the job ran.
 */

import { bytesEqual } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import { randomBytes } from "../base/random.ts";
import type { Instant } from "../base/time.ts";
import type { MalformedPacketError } from "../base/errors.ts";
import { NOTIFY, PACKET } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import type { AddressPair, AssociationContext, AssociationHandle } from "./association_context.ts";
import type { ControlKeys } from "./control_keys.ts";
import type { Job, JobResult } from "./jobs.ts";
import { verifyHipMac } from "./packet_verifier.ts";

/** Packets in signature verification at one time; each has passed its MAC or is a NOTIFY. */
const MAX_VERIFYING = 4;

/** A received packet whose MAC and signature are right under `keys`. */
export interface VerifiedPacket {
  readonly kind: "verified";
  readonly packet: HipPacket;
  readonly addresses: AddressPair;
  readonly keys: ControlKeys;
}

/** A packet of ours, ready to be sent. */
export interface SignedPacket {
  readonly kind: "signed";
  readonly packetType: number;
  readonly packet: Uint8Array;
  readonly addresses: AddressPair;
  readonly keys: ControlKeys;
}

/** A packet that could not be signed, or whose signature is wrong. */
export interface RefusedPacket {
  readonly kind: "refused";
  /** The one that was to be verified, if it was that. */
  readonly received: VerifiedPacket | undefined;
  /** The type of the one that was to be signed, if it was that. */
  readonly packetType: number | undefined;
}

export class ControlChannel {
  readonly #context: AssociationContext;
  readonly #association: AssociationHandle;
  /** Made when there is something to check, and to sign: mostly there is not. */
  #verifying: Map<number, VerifiedPacket> | undefined;
  #signing: Map<number, Omit<SignedPacket, "packet">> | undefined;

  constructor(context: AssociationContext, association: AssociationHandle) {
    this.#context = context;
    this.#association = association;
  }

  /** Starts the check of a packet. NOTIFY has no MAC (§5.3.6). */
  verify(packet: HipPacket, addresses: AddressPair, keys: ControlKeys): DropReason | undefined {
    const hasMac = packet.packetType !== PACKET.NOTIFY;
    if (hasMac && !verifyHipMac(packet, keys.rhash, keys.hipKeys.integrityIn)) {
      return "hip-mac-failed";
    }
    const verifying = this.#verifying ??= new Map();
    for (const { packet: other } of verifying.values()) {
      if (bytesEqual(other.bytes, packet.bytes)) return "hip-replayed";
    }
    if (verifying.size >= MAX_VERIFYING) return "hip-busy";
    const { peerIdentity } = keys;
    const job = { kind: "verify-signature", packet: packet.bytes, peerIdentity } as const;
    const id = this.#context.submit(this.#association, job);
    verifying.set(id, { kind: "verified", packet, addresses, keys });
    return undefined;
  }

  /**
   * Starts making a packet for the peer. NOTIFY has no MAC (§5.3.6).
   *
   * @param parameters Whole TLVs.
   * @returns The number of its job.
   */
  sign(
    packetType: number,
    parameters: readonly Uint8Array[],
    addresses: AddressPair,
    keys: ControlKeys,
  ): number {
    const { localHit, peerHit } = this.#association;
    const id = this.#context.submit(this.#association, {
      kind: "sign-packet",
      seed: randomBytes(this.#context.random, 32),
      identity: this.#context.identityOf(localHit),
      packetType,
      senderHit: localHit,
      receiverHit: peerHit,
      parameters,
      mac: packetType === PACKET.NOTIFY
        ? undefined
        : { rhash: keys.rhash, key: keys.hipKeys.integrityOut.slice() },
    });
    this.#signing ??= new Map();
    this.#signing.set(id, { kind: "signed", packetType, addresses, keys });
    return id;
  }

  /** What a job's result means; undefined when it was not ours. */
  finish(
    id: number,
    job: Job,
    result: JobResult,
  ): VerifiedPacket | SignedPacket | RefusedPacket | undefined {
    const verified = this.#verifying?.get(id);
    const signed = this.#signing?.get(id);
    this.#verifying?.delete(id);
    this.#signing?.delete(id);
    if (this.#verifying?.size === 0) this.#verifying = undefined;
    if (this.#signing?.size === 0) this.#signing = undefined;
    if (verified === undefined && signed === undefined) return undefined;
    if (result.kind === job.kind) {
      if (verified !== undefined) return verified;
      if (signed !== undefined && result.kind === "sign-packet") {
        return { ...signed, packet: result.packet };
      }
    }
    return { kind: "refused", received: verified, packetType: signed?.packetType };
  }

  /** Counts a packet that was refused; the peer may know that its signature is wrong (§5.2.19). */
  noteRefused(now: Instant, { received }: RefusedPacket, result: JobResult): void {
    if (result.kind !== "failed") return;
    this.#context.drop(now, result.reason, result.detail);
    if (received === undefined || result.reason !== "hip-signature-failed") return;
    this.#report(now, received, NOTIFY.AUTHENTICATION_FAILED);
  }

  /** What is malformed and yet authentic is a mistake of the peer's, which it may know. */
  noteMalformed(now: Instant, verified: VerifiedPacket, error: MalformedPacketError): void {
    this.#context.drop(now, "hip-malformed", error.message);
    this.#report(now, verified, NOTIFY.INVALID_SYNTAX);
  }

  #report(now: Instant, { packet, addresses }: VerifiedPacket, messageType: number): void {
    if (packet.packetType === PACKET.NOTIFY) return;
    this.#context.report(now, this.#association, addresses, messageType);
  }
}
