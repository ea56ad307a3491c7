/**
 * ICMP and ICMPv6 errors for packets whose sender has no association with us (RFC 7401 §4.3, §5.4;
 * RFC 7402 §5.4.1). Inside an association NOTIFY takes their place (`notify.ts`).
 *
 * Whoever forges a source address can have us send an error to somebody else. So all of them
 * together are few per second, they are no longer than what they answer by more than their headers,
 * and those that any datagram can cause are off unless the configuration wants them (§8).
 */

import type { DropReason } from "../base/drop_reason.ts";
import { MalformedPacketError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { type Instant, seconds } from "../base/time.ts";
import { PACKET, PARAMETER } from "../wire/hip/code_points.ts";
import { HIP_FIELD, HIP_PROTOCOL, parseHipPacket } from "../wire/hip/packet.ts";
import {
  buildIcmpParameterProblem,
  buildIcmpUnreachable,
  ICMP_UNREACHABLE,
  mayAnswerWithIcmpError,
} from "../wire/icmp.ts";
import {
  buildIcmpv6ParameterProblem,
  buildIcmpv6Unreachable,
  ICMPV6_UNREACHABLE,
  mayAnswerWithIcmpv6Error,
} from "../wire/icmpv6.ts";
import { isIpv4 } from "../wire/ip_address.ts";
import { buildIpv4Packet, IPV4_HEADER_LENGTH } from "../wire/ipv4.ts";
import { buildIpv6Packet, IPV6_HEADER_LENGTH, NEXT_HEADER } from "../wire/ipv6.ts";
import type { AddressPair } from "./association_context.ts";
import { RateLimit } from "./rate_limit.ts";

/** Errors per second to all addresses together. */
const ERRORS_PER_SECOND = 10;

/** The whole of the rate limit is one bucket. */
const EVERYBODY = new Uint8Array(0);

/** The pointer of an ICMP error for IPv4 has 8 bits (RFC 792). */
const IPV4_POINTER_MAXIMUM = 255;

/** TLV header, then #K, Reserved and Opaque: where #I begins in SOLUTION (RFC 7401 §5.2.5). */
const SOLUTION_RANDOM_I = 8;

/** An ICMP or ICMPv6 message with its way; the IP header is not in `bytes`. */
export interface IcmpAnswer {
  /** 1 or 58. */
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly bytes: Uint8Array;
  readonly trafficClass: number;
  readonly hopLimit: number;
}

/** What was received, without its IP header, and why it was dropped. */
export interface RefusedDatagram {
  /** 139 HIP or 50 ESP. */
  readonly protocol: number;
  /** Borrowed, as the octets are. */
  readonly addresses: AddressPair;
  readonly octets: Uint8Array;
  readonly reason: DropReason;
}

/** What is wrong: a field of the datagram, by its offset there, or our unwillingness. */
type Complaint = { readonly pointer: number } | "prohibited";

export class IcmpAnswers {
  readonly #limit: RateLimit;
  readonly #answersStrangers: boolean;

  /** @param answersStrangers Whether SPIs and HITs that fit no association are answered (§8). */
  constructor(random: Random, answersStrangers: boolean) {
    this.#limit = new RateLimit(random, ERRORS_PER_SECOND, seconds(1));
    this.#answersStrangers = answersStrangers;
  }

  /**
   * The error for a datagram that was dropped; undefined for most of them.
   *
   * @param isKnownSender Whether there is an association with this HIT under another local one.
   */
  answer(
    now: Instant,
    refused: RefusedDatagram,
    isKnownSender: (hit: Uint8Array) => boolean,
  ): IcmpAnswer | undefined {
    const find = this.#complaintAbout(refused, isKnownSender);
    // In a flood most are too many: what is wrong exactly is looked for behind the limit.
    if (find === undefined || !this.#limit.allow(now, EVERYBODY)) return undefined;
    const complaint = find();
    return complaint === undefined ? undefined : this.#build(refused, complaint);
  }

  /** Whether there is something to complain about, and how to find out what. */
  #complaintAbout(
    { protocol, reason, octets }: RefusedDatagram,
    isKnownSender: (hit: Uint8Array) => boolean,
  ): (() => Complaint | undefined) | undefined {
    if (protocol !== HIP_PROTOCOL) {
      const isStranger = reason === "esp-unknown-spi" && this.#answersStrangers;
      return isStranger ? () => ({ pointer: 0 }) : undefined;
    }
    const packetType = octets[HIP_FIELD.packetType]! & 0x7f;
    switch (reason) {
      case "hip-bad-version":
        return () => ({ pointer: HIP_FIELD.version });
      case "hip-puzzle-failed":
        return packetType === PACKET.I2 ? () => solutionJ(octets) : undefined;
      case "hip-busy":
      case "hip-refused":
        return packetType === PACKET.I1 ? () => "prohibited" : undefined;
      case "hip-no-association": {
        if (!this.#answersStrangers || !NEEDS_ASSOCIATION.has(packetType)) return undefined;
        const { senderHit, receiverHit } = HIP_FIELD;
        return () => {
          const isKnown = isKnownSender(octets.subarray(senderHit, senderHit + 16));
          return { pointer: isKnown ? receiverHit : senderHit };
        };
      }
      default:
        return undefined;
    }
  }

  #build(
    { protocol, addresses, octets }: RefusedDatagram,
    complaint: Complaint,
  ): IcmpAnswer | undefined {
    const { local, peer } = addresses;
    const header = isIpv4(peer) ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH;
    const pointer = complaint === "prohibited" ? 0 : header + complaint.pointer;
    let message: Uint8Array;
    if (isIpv4(peer)) {
      const quoted = buildIpv4Packet({
        source: peer,
        destination: local,
        protocol,
        payload: octets,
      });
      if (!mayAnswerWithIcmpError(quoted) || pointer > IPV4_POINTER_MAXIMUM) return undefined;
      message = complaint === "prohibited"
        ? buildIcmpUnreachable(quoted, local, ICMP_UNREACHABLE.administrativelyProhibited)
        : buildIcmpParameterProblem(quoted, local, pointer);
    } else {
      const quoted = buildIpv6Packet(peer, local, protocol, octets);
      if (!mayAnswerWithIcmpv6Error(quoted)) return undefined;
      message = complaint === "prohibited"
        ? buildIcmpv6Unreachable(quoted, local, ICMPV6_UNREACHABLE.administrativelyProhibited)
        : buildIcmpv6ParameterProblem(quoted, local, pointer);
    }
    return {
      protocol: isIpv4(peer) ? NEXT_HEADER.icmp : NEXT_HEADER.icmpv6,
      source: local.slice(),
      destination: peer.slice(),
      bytes: message.subarray(header),
      trafficClass: 0,
      hopLimit: 64,
    };
  }
}

/** Packets that make no sense without an association; never I1, R1, I2, R2, NOTIFY (§5.4.4). */
const NEEDS_ASSOCIATION: ReadonlySet<number> = new Set([
  PACKET.UPDATE,
  PACKET.CLOSE,
  PACKET.CLOSE_ACK,
]);

/** #J in the SOLUTION of an I2 (§5.4.3). */
function solutionJ(octets: Uint8Array): Complaint | undefined {
  try {
    const solution = parseHipPacket(octets).raw(PARAMETER.SOLUTION);
    if (solution === undefined) return undefined;
    const randomIOctets = (solution.contents.length - 4) / 2;
    return { pointer: solution.offset + SOLUTION_RANDOM_I + randomIOctets };
  } catch (error) {
    if (!(error instanceof MalformedPacketError)) throw error;
    return undefined;
  }
}
