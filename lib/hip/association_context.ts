/**
 * What an association may ask of the engine around it, and tell it. Nothing here waits: every call
 * returns at once, and effects are queued in order.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { Random } from "../base/random.ts";
import type { Duration, Instant } from "../base/time.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../crypto/host_key.ts";
import type { SaDatabase } from "../esp/sa_database.ts";
import type { InboundSa, OutboundSa } from "../esp/security_association.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import type { AccessList } from "./access_list.ts";
import type { ControlSettings } from "./constants.ts";
import type { ExchangePolicy, Job, JobResult } from "./jobs.ts";

/** Between which addresses packets pass, 16 octets each, and over what. */
export interface AddressPair {
  readonly local: Uint8Array;
  readonly peer: Uint8Array;
  /** The peer's UDP port; absent or 0 without UDP. */
  readonly peerPort?: number;
}

/** Whether packets pass in UDP. */
export function isInUdp({ peerPort = 0 }: AddressPair): boolean {
  return peerPort !== 0;
}

/** Ours and the peer's. */
export interface HitPair {
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
}

/** The states of RFC 7401 §4.4, by the RFC's words. */
export type StateName =
  | "UNASSOCIATED"
  | "I1-SENT"
  | "I2-SENT"
  | "R2-SENT"
  | "ESTABLISHED"
  | "CLOSING"
  | "CLOSED"
  | "E-FAILED";

/** What the engine sees of an association that asks it for something. */
export interface AssociationHandle {
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
  readonly security: { readonly outbound: OutboundSa } | undefined;
  nextTimeout(): Instant | undefined;
  handleTimeout(now: Instant): void;
  handleData(now: Instant, spi: number): void;
  handleJobDone(now: Instant, id: number, job: Job, result: JobResult): void;
}

export interface AssociationContext {
  readonly settings: ControlSettings;
  readonly access: AccessList;
  readonly random: Random;
  readonly espProvider: EspProvider;
  readonly saDatabase: SaDatabase;

  /** What we offer a peer and accept of it. */
  policyFor(peerHit: Uint8Array): ExchangePolicy;
  /** The key pair of one of our HITs. */
  identityOf(localHit: Uint8Array): PrivateHostIdentity;
  /** A HIT of ours, none of an anonymous identity, of the first of these suites that has one. */
  localHitOf(suites: readonly number[]): Uint8Array | undefined;
  /** Whether that identity is anonymous (RFC 7401 §5.1.2). */
  isAnonymous(localHit: Uint8Array): boolean;
  /** The key that DNS or configuration names for a peer, if any. */
  expectedIdentity(now: Instant, peerHit: Uint8Array): PublicHostIdentity | undefined;
  /** Pairs of addresses over which the peer may be reached, most preferred first. */
  pathsOf(now: Instant, peerHit: Uint8Array): AddressPair[];
  /** Whether a name is being looked up that may tell more of them. */
  awaitsPaths(now: Instant, peerHit: Uint8Array): boolean;
  /** The same for addresses that are given. */
  pathsTo(addresses: readonly Uint8Array[]): AddressPair[];
  /** Ports of an address to which I1 goes; see `portsToTry`. */
  portsOf(hits: HitPair, address: Uint8Array): number[];

  /** Queues long work; its result comes back through `handleJobDone` under this number. */
  submit(owner: AssociationHandle, job: Job): number;
  /** Sends a HIP packet, with a checksum or in UDP. */
  transmit(now: Instant, addresses: AddressPair, packet: Uint8Array): void;
  /** Counts a packet that is not used. */
  drop(now: Instant, reason: DropReason, detail: string): void;
  /** Tells the peer what was wrong with its packet; undefined: nothing (RFC 7401 §5.2.19). */
  report(
    now: Instant,
    association: AssociationHandle,
    addresses: AddressPair,
    messageType: number | undefined,
    more?: { readonly withHostId?: boolean },
  ): void;
  /** Asks for `handleTimeout` at the association's `nextTimeout`. */
  reschedule(association: AssociationHandle): void;

  /** The state has changed. */
  changed(
    now: Instant,
    association: AssociationHandle,
    from: StateName,
    to: StateName,
    why: string,
  ): void;
  puzzleSolved(
    now: Instant,
    association: AssociationHandle,
    difficultyK: number,
    tries: number,
  ): void;
  /** What was staged goes out. */
  dataMayPass(association: AssociationHandle): void;
  /** The exchange is complete: data may pass. */
  established(now: Instant, association: AssociationHandle): void;
  /** No data will pass: what was staged is answered with ICMPv6 unreachable. */
  unreachable(now: Instant, hits: HitPair, why: string): void;
  /** An exchange has failed. @returns How long no other is to be tried. */
  failedWait(now: Instant, hits: HitPair): Duration;
  /** A NOTIFY with a right signature; information only. */
  notified(now: Instant, association: AssociationHandle, packet: HipPacket): void;
  /** Another HIT has taken the place of an old one. @returns Whether no association has the pair. */
  moved(association: AssociationHandle, old: HitPair): boolean;
  /** Takes SAs out of the data path and wipes their keys. */
  removeSas(inbound: InboundSa, outbound: OutboundSa | undefined): void;
  /** Calls `handleData` once, when the first right packet has come in on an SA. */
  awaitData(inbound: InboundSa, association: AssociationHandle): void;
  /** The number of the last R1 that was sent to anybody. */
  lastR1(): number;
  /** A fresh inbound SPI; undefined when too many are in use. */
  allocateSpi(): number | undefined;
  /** Gives back an SPI for which no SA was installed. */
  releaseSpi(spi: number): void;
  /** New SAs are in force. */
  rekeyed(now: Instant, association: AssociationHandle, isNewKeymat: boolean): void;
}
