/**
 * NOTIFY packets that tell a peer what was wrong with its packet (RFC 7401 §4.3, §5.2.19, §5.3.6,
 * §6.9.1; RFC 7402 §5.1.3).
 *
 * Only peers that have spent something are told: those with whom we have keys, those whose I2 has a
 * right solution, and the Responder of a signed R1. Each NOTIFY costs a signature, so they are few.
 * They carry no details (those are in the local log), and nothing waits for them.
 */

import type { DropReason } from "../base/drop_reason.ts";
import { type Random, randomBytes } from "../base/random.ts";
import { type Instant, seconds } from "../base/time.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import { NOTIFY, PACKET } from "../wire/hip/code_points.ts";
import { HIP_FIELD, HIP_HEADER_LENGTH, type HipPacket } from "../wire/hip/packet.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import { NOTIFICATION } from "../wire/hip/parameters/notification.ts";
import type { AddressPair } from "./association_context.ts";
import type { SignPacketJob } from "./jobs.ts";
import { hostIdTlv } from "./packet_builder.ts";
import { RateLimit } from "./rate_limit.ts";

/** NOTIFY packets per second to one HIT, and to all together. */
const PER_PEER = 1;
const PER_HOST = 10;

/** Received NOTIFY packets per second and HIT whose signature is looked at: they have no MAC. */
const LOOKED_AT = 2;

/** The bucket that all share. */
const EVERYBODY = new Uint8Array(0);

type Errors = Readonly<Partial<Record<DropReason, number>>>;

/**
 * Errors of UPDATE, CLOSE and CLOSE_ACK of an association that are seen before the MAC has been
 * found right. INVALID_SYNTAX is never among them (§5.2.19).
 */
export const CONTROL_ERRORS: Errors = {
  "hip-bad-checksum": NOTIFY.CHECKSUM_FAILED,
  "hip-unknown-critical-parameter": NOTIFY.UNSUPPORTED_CRITICAL_PARAMETER_TYPE,
  "hip-mac-failed": NOTIFY.HIP_MAC_FAILED,
};

/**
 * Errors of an I2 whose solution is right. One without its form has a MAC or signature that cannot
 * be checked, so that it counts as not authentic: INVALID_SYNTAX is for packets that are.
 */
export const I2_ERRORS: Errors = {
  "hip-wrong-group": NOTIFY.INVALID_DH_CHOSEN,
  "hip-bad-public-value": NOTIFY.INVALID_DH_CHOSEN,
  "hip-no-common-cipher": NOTIFY.INVALID_HIP_CIPHER_CHOSEN,
  "hip-no-common-esp-suite": NOTIFY.INVALID_ESP_TRANSFORM_CHOSEN,
  "hip-malformed": NOTIFY.AUTHENTICATION_FAILED,
  "hip-mac-failed": NOTIFY.HIP_MAC_FAILED,
  "hip-signature-failed": NOTIFY.AUTHENTICATION_FAILED,
  "hip-decryption-failed": NOTIFY.ENCRYPTION_FAILED,
  "hip-invalid-hit": NOTIFY.INVALID_HIT,
  "hip-unexpected-identity": NOTIFY.BLOCKED_BY_POLICY,
  "hip-refused": NOTIFY.BLOCKED_BY_POLICY,
  "hip-busy": NOTIFY.RESPONDER_BUSY_PLEASE_RETRY,
  "hip-job-failed": NOTIFY.RESPONDER_BUSY_PLEASE_RETRY,
};

/** Errors of an R1 whose signature is right. */
export const R1_ERRORS: Errors = {
  "hip-no-common-group": NOTIFY.NO_DH_PROPOSAL_CHOSEN,
  "hip-wrong-group": NOTIFY.INVALID_DH_CHOSEN,
  "hip-no-common-cipher": NOTIFY.NO_HIP_PROPOSAL_CHOSEN,
  "hip-no-common-esp-suite": NOTIFY.NO_ESP_PROPOSAL_CHOSEN,
  "hip-unsupported-suite": NOTIFY.UNSUPPORTED_HIT_SUITE,
};

/** Between whom a NOTIFY goes. */
export interface NotifyHits {
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
}

export interface NotifyContext {
  readonly random: Random;
  identityOf(localHit: Uint8Array): PrivateHostIdentity;
  /** Has the packet signed and sent. */
  submit(addresses: AddressPair, job: SignPacketJob): void;
}

export class Notifier {
  readonly #context: NotifyContext;
  readonly #perPeer: RateLimit;
  readonly #perHost: RateLimit;
  readonly #received: RateLimit;

  constructor(context: NotifyContext) {
    this.#context = context;
    this.#perPeer = new RateLimit(context.random, PER_PEER, seconds(1));
    this.#perHost = new RateLimit(context.random, PER_HOST, seconds(1));
    this.#received = new RateLimit(context.random, LOOKED_AT, seconds(1));
  }

  /**
   * Whether a received packet may cost the check of a signature: with forged NOTIFY packets, which
   * need no key to be made, one could otherwise keep us from hearing CLOSE and UPDATE.
   */
  admits(now: Instant, { packetType, senderHit }: HipPacket): boolean {
    return packetType !== PACKET.NOTIFY || this.#received.allow(now, senderHit);
  }

  /**
   * Sends an error, if the limits allow it.
   *
   * @param messageType See `NOTIFY`; undefined: nothing to say.
   * @param more `data` of NOTIFICATION; `withHostId` for a peer that does not know our key.
   */
  report(
    now: Instant,
    { localHit, peerHit }: NotifyHits,
    addresses: AddressPair,
    messageType: number | undefined,
    more: { readonly data?: Uint8Array; readonly withHostId?: boolean } = {},
  ): void {
    if (messageType === undefined) return;
    if (!this.#perPeer.allow(now, peerHit) || !this.#perHost.allow(now, EVERYBODY)) return;
    const { random } = this.#context;
    const identity = this.#context.identityOf(localHit);
    const data = more.data ?? new Uint8Array(0);
    const parameters = [encodeParameter(NOTIFICATION, { messageType, data })];
    if (more.withHostId === true) parameters.push(hostIdTlv(identity));
    this.#context.submit(addresses, {
      kind: "sign-packet",
      seed: randomBytes(random, 32),
      identity,
      packetType: PACKET.NOTIFY,
      senderHit: localHit,
      receiverHit: peerHit,
      parameters,
      mac: undefined,
    });
  }
}

/** The HITs of a packet that needs an association, where they stand in its header. */
export function controlHits(octets: Uint8Array): NotifyHits | undefined {
  if (octets.length < HIP_HEADER_LENGTH) return undefined;
  const packetType = octets[HIP_FIELD.packetType]! & 0x7f;
  const needsAssociation = packetType === PACKET.UPDATE || packetType === PACKET.CLOSE ||
    packetType === PACKET.CLOSE_ACK;
  if (!needsAssociation) return undefined;
  const { senderHit, receiverHit } = HIP_FIELD;
  return {
    localHit: octets.subarray(receiverHit, receiverHit + 16),
    peerHit: octets.subarray(senderHit, senderHit + 16),
  };
}
