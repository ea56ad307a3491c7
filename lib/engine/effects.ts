/**
 * What goes into the engine beside packets, and what comes out of it. The engine performs none of
 * its effects: it offers them to whoever polls (see `engine.ts`).
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { Duration, Instant } from "../base/time.ts";
import { type AddressPair, isInUdp } from "../hip/association_context.ts";
import type { Job } from "../hip/jobs.ts";
import type { LocalLocator } from "../host/local_locators.ts";
import { HIP_PROTOCOL, setChecksum } from "../wire/hip/packet.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";
import { udpPayload } from "../wire/udp_encapsulation.ts";

/** A packet for the outside, without its IP header. */
export interface OutgoingPacket {
  /** 139 HIP, 50 ESP, 17 UDP, 1 ICMP or 58 ICMPv6. */
  readonly protocol: number;
  /** The peer's port, where the protocol is UDP: `bytes` is then what the datagram carries. */
  readonly peerPort?: number;
  /** 16 octets. The HIP checksum was computed for exactly this pair. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly bytes: Uint8Array;
  readonly trafficClass: number;
  readonly hopLimit: number;
}

/** What lies in a buffer that became an ESP packet, as a copy. */
export function outgoingPacket(buffer: PacketBuffer): OutgoingPacket {
  const { path } = buffer;
  return {
    protocol: path.protocol,
    peerPort: path.peerPort,
    source: path.localAddress.slice(),
    destination: path.peerAddress.slice(),
    bytes: buffer.contents().slice(),
    trafficClass: path.trafficClass,
    hopLimit: path.hopLimit,
  };
}

/**
 * A HIP packet for a pair of addresses: with its checksum, or behind the marker that it has in UDP.
 * `packet` itself is not changed.
 */
export function outgoingHipPacket(addresses: AddressPair, packet: Uint8Array): OutgoingPacket {
  if (isInUdp(addresses)) return finishedHipPacket(addresses, udpPayload(packet));
  const bytes = packet.slice();
  setChecksum(bytes, addresses.local, addresses.peer);
  return finishedHipPacket(addresses, bytes);
}

/** The same for octets that are as they go out; borrowed, and left as they are. */
export function finishedHipPacket(addresses: AddressPair, bytes: Uint8Array): OutgoingPacket {
  const { local: source, peer: destination, peerPort = 0 } = addresses;
  const protocol = peerPort === 0 ? HIP_PROTOCOL : NEXT_HEADER.udp;
  return { protocol, peerPort, source, destination, bytes, trafficClass: 0, hopLimit: 64 };
}

/** A job to run; the answer comes back through `handleJobDone` under the same number. */
export interface JobRequest {
  readonly id: number;
  readonly job: Job;
}

/** Steps of an exchange and changes of state, for `hip trace`, `hip demo`, logs and tests. */
export type EngineEvent =
  | {
    readonly kind: "packet";
    readonly at: Instant;
    readonly direction: "in" | "out";
    /** RFC name: "I1". */
    readonly packet: string;
    readonly localHit: Uint8Array;
    readonly peerHit: Uint8Array;
    readonly source: Uint8Array;
    readonly destination: Uint8Array;
    /** The peer's UDP port; 0 without UDP. */
    readonly peerPort: number;
    /** Parameter names in wire order. */
    readonly parameters: readonly string[];
    readonly lengthOctets: number;
    /** What a reader wants to know beside the names: "puzzle 2^10, group 7". */
    readonly detail: string;
  }
  | {
    readonly kind: "state";
    readonly at: Instant;
    readonly localHit: Uint8Array;
    readonly peerHit: Uint8Array;
    readonly from: string;
    readonly to: string;
    readonly why: string;
  }
  | {
    readonly kind: "puzzle-solved";
    readonly at: Instant;
    readonly localHit: Uint8Array;
    readonly peerHit: Uint8Array;
    readonly difficultyK: number;
    readonly tries: number;
  }
  | {
    readonly kind: "staged";
    readonly at: Instant;
    readonly localHit: Uint8Array;
    readonly peerHit: Uint8Array;
    readonly packets: number;
  }
  | {
    /** An anonymous identity of ours was made, or is gone; ask `status` and `routes` anew. */
    readonly kind: "identity";
    readonly at: Instant;
    readonly localHit: Uint8Array;
    readonly isGone: boolean;
  }
  | {
    /** DNS named a peer; the mapping stands before the answer leaves. */
    readonly kind: "learned";
    readonly at: Instant;
    readonly name: string;
    readonly peerHit: Uint8Array;
    readonly locators: readonly Uint8Array[];
  }
  | {
    readonly kind: "drop";
    readonly at: Instant;
    readonly reason: DropReason;
    readonly detail: string;
  };

/** One association as `hip status` shows it. */
export interface AssociationStatus {
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
  /** The name it was learned under, or "". */
  readonly name: string;
  /** Whether the peer said that its identity is anonymous (RFC 7401 §5.1.2). */
  readonly isPeerAnonymous: boolean;
  /** RFC 7401 §4.4: "ESTABLISHED". */
  readonly state: string;
  readonly role: "initiator" | "responder";
  /** The address that alone vouched for the peer in opportunistic mode (RFC 7401 §4.1.8). */
  readonly opportunisticAddress: Uint8Array | undefined;
  readonly localAddress: Uint8Array | undefined;
  readonly peerAddress: Uint8Array | undefined;
  /** The peer's UDP port; 0 without UDP. */
  readonly peerPort: number | undefined;
  readonly inboundSpi: number | undefined;
  readonly outboundSpi: number | undefined;
  readonly espSuite: string | undefined;
  /** Whether the peer's ICVs cover all of the sequence number; undefined until one is known. */
  readonly sequenceNumbers: "64-bit" | "32-bit in ICV" | undefined;
  readonly dhGroup: number | undefined;
  readonly hipCipher: number | undefined;
  readonly peerAlgorithm: number | undefined;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly octetsIn: number;
  readonly octetsOut: number;
  /** First I1 sent (or I2 received) to ESTABLISHED. */
  readonly baseExchangeTime: Duration | undefined;
  readonly puzzleTime: Duration | undefined;
  readonly establishedAt: Instant | undefined;
  /** Why it failed last, in words; undefined when it did not. */
  readonly failure: string | undefined;
}

/** How much the engine's tables hold; every one has a bound. */
export interface TableSizes {
  readonly associations: number;
  /** Associations that have a timer. */
  readonly timers: number;
  readonly inboundSas: number;
  readonly outboundSas: number;
  /** SPIs promised to exchanges and rekeys under way. */
  readonly reservedSpis: number;
  /** Inbound SAs whose first packet is awaited. */
  readonly awaitedSas: number;
  /** Inner packets that wait for their association. */
  readonly stagedPackets: number;
  /** Jobs whose result is awaited. */
  readonly jobs: number;
  /** I2 packets in public-key work; each is one of the jobs. */
  readonly pendingI2: number;
}

export interface EngineStatus {
  readonly identities: readonly {
    readonly hit: Uint8Array;
    readonly name: string;
    readonly algorithm: number;
    /** "ECDSA P-256". */
    readonly kind: string;
    readonly isAnonymous: boolean;
    readonly isDefault: boolean;
  }[];
  readonly locators: readonly LocalLocator[];
  readonly associations: readonly AssociationStatus[];
  readonly drops: Readonly<Partial<Record<DropReason, number>>>;
  readonly knownPeers: number;
  readonly tables: TableSizes;
}
