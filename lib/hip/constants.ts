/**
 * Numbers of the control plane: first what the specifications fix, then what we chose, each with
 * what it trades off.
 */

import type { AuditEvent } from "../esp/audit_event.ts";
import { type EsnMode, REKEY_AT_SEQUENCE } from "../esp/security_association.ts";
import type { Transport } from "./transport.ts";
import { type Duration, milliseconds, seconds } from "../base/time.ts";

// ---- fixed by specifications -------------------------------------------------------------------

/** MSL: the longest life of a HIP packet in the network (RFC 7401 §4.4.1). */
export const MAXIMUM_SEGMENT_LIFETIME: Duration = seconds(120);

/** Puzzle lifetime octet `v` stands for 2^(v - 32) seconds (RFC 7401 §5.2.4). */
export function puzzleLifetime(v: number): Duration {
  return seconds(2 ** (v - 32));
}

// ---- chosen here -------------------------------------------------------------------------------

/** Kinds of ICMP errors from which something follows: a smaller path MTU, a hint (§6.6.2). */
export const ICMP_KINDS = ["too-big", "unreachable"] as const;

export type IcmpKind = typeof ICMP_KINDS[number];

/** Times and limits of the control plane; every field can be set by the configuration or a test. */
export interface ControlSettings {
  /** What HIP and ESP pass over where no rule for the peer says it. */
  readonly transport: Transport;
  /** #K of the puzzles we pose, 0 to 20 (RFC 7401 §7 wants 0 without load). */
  readonly puzzleDifficultyK: number;
  /** #K under load, 0 to 24; 16 costs an Initiator a third of a second (RFC 7401 §4.1.1). */
  readonly puzzleDifficultyKMax: number;
  /** Lifetime octet of the puzzles we pose; 38 is 64 s: far above any round trip. */
  readonly puzzleLifetimeExponent: number;
  /** The hardest puzzle we solve; 2^24 hashes are minutes of one core. */
  readonly maxDifficultyK: number;
  /** Longest search for one solution, whatever lifetime the puzzle claims. */
  readonly maxPuzzleTime: Duration;
  /** How long an I1 waits for R1 before it goes over the other transport too; above most round trips. */
  readonly otherTransportWait: Duration;
  /** First wait for R1; doubles per try, at most `i1TimeoutMax` (RFC 7401 §6.6). */
  readonly i1Timeout: Duration;
  readonly i1TimeoutMax: Duration;
  /** I1_RETRIES_MAX: transmissions of I1 in all. */
  readonly i1RetriesMax: number;
  /** How long further R1s are awaited when several may come: 2 round trips (RFC 7401 §4.1.4). */
  readonly r1CollectionTime: Duration;
  /** First wait for R2; doubles per try (RFC 7401 §6.8 step 18). */
  readonly i2Timeout: Duration;
  readonly i2TimeoutMax: Duration;
  /** I2_RETRIES_MAX: transmissions of I2 in all. */
  readonly i2RetriesMax: number;
  /** First wait before another I1 to a Responder that was busy; doubles per answer like that. */
  readonly busyRetryWait: Duration;
  readonly busyRetryWaitMax: Duration;
  /** Answers of that kind that are heeded in one exchange: they may be replayed. */
  readonly busyRetriesMax: number;
  /**
   * How long our data waits in R2-SENT for a sign that the Initiator has R2: above its first wait
   * for R2 and a round trip, since I2 comes again when R2 was lost; below stagedLifetime.
   */
  readonly responderDataWait: Duration;
  /** UAL: an association without traffic is closed after this (RFC 7401 §4.4.1). */
  readonly unusedAssociationLifetime: Duration;
  /**
   * Who sends and hears nothing for this long asks the peer for a sign of life by UPDATE; the wait
   * doubles, up to `peerSilenceMax`, while acknowledgements are all that comes.
   */
  readonly peerSilence: Duration;
  readonly peerSilenceMax: Duration;
  /** A peer that then stays silent is taken to have lost its state: short beside TCP's patience. */
  readonly peerPatience: Duration;
  /** How often something is sent over UDP, so that NATs keep their mappings: 15 s (RFC 9028 §4.10). */
  readonly keepaliveInterval: Duration;
  /** First wait for CLOSE_ACK; doubles per try. */
  readonly closeTimeout: Duration;
  readonly closeTimeoutMax: Duration;
  /** First wait for an ACK while no round trip was measured; later twice the round trip. */
  readonly updateTimeout: Duration;
  /** Bounds of that wait: the peer checks and makes a signature first; outages are short. */
  readonly updateTimeoutMin: Duration;
  readonly updateTimeoutMax: Duration;
  /** UPDATE_RETRY_MAX: retransmissions of one UPDATE; 20 % loss defeats one rekey in 3000. */
  readonly updateRetriesMax: number;
  /**
   * Age at which SAs are replaced, less up to a tenth by chance, so that two ends seldom start
   * together; a key that leaks then opens an hour of traffic. Infinity for never.
   */
  readonly rekeyAge: Duration;
  /** Octets in one direction after which SAs are replaced: 2^32 blocks of 16 octets. */
  readonly rekeyOctets: number;
  /** Sequence number from which on SAs are replaced. */
  readonly rekeySequence: number;
  /**
   * Octets in one direction after which an SA carries nothing more (RFC 4301 §4.4.2.1): four times
   * `rekeyOctets`, so that a rekey has hours at gigabits; 2^34 blocks of 16 octets.
   */
  readonly hardOctets: number;
  /** Whether rekeys that nobody asked for make a new KEYMAT: some ms, and old traffic is safe. */
  readonly rekeyWithDh: boolean;
  /** A rekey that takes longer is given up; above the time of all retransmissions of an UPDATE. */
  readonly rekeyTimeout: Duration;
  /** Wait before a rekey that failed is tried again. */
  readonly rekeyRetryWait: Duration;
  /** How long an old inbound SA stays while the new one is silent: MSL (RFC 7402 §3.3.2). */
  readonly oldSaLifetime: Duration;
  /** The same once the new one has carried data: only late packets still need it. */
  readonly latePacketTime: Duration;
  /**
   * How long E-FAILED refuses new attempts: short at first, so that a peer that comes up is soon
   * met; doubles with each failure in a row, up to the maximum.
   */
  readonly failedWait: Duration;
  readonly failedWaitMax: Duration;
  /** A packet that waited this long is answered with ICMPv6 unreachable; under 5 s. */
  readonly stagedLifetime: Duration;
  /** Whether our HOST_ID travels inside ENCRYPTED in I2: costs nothing, hides the key on the path. */
  readonly encryptHostId: boolean;
  /** Whether the ICV of ESP covers the high sequence word; `auto` does as the peer does. */
  readonly esn: EsnMode;
  /** Whether an I1 for the all-zero HIT is answered: whoever knows our address may meet us. */
  readonly answersOpportunistic: boolean;
  /** Age at which prepared R1s are replaced (RFC 7401 §4.1.2: every few minutes). */
  readonly r1Lifetime: Duration;
  /** A used R1 is replaced no sooner: bounds signatures per second under many exchanges. */
  readonly r1MinimumUse: Duration;
  /**
   * Whether ICMP tells senders that their SPI or HIT fits no association: off, since forged packets
   * would have us send it to others (RFC 7401 §8).
   */
  readonly icmpToStrangers: boolean;
  /** Kinds of ICMP errors that are believed, once they quote a packet of ours (RFC 4301 §6.1.1). */
  readonly acceptedIcmp: readonly IcmpKind[];
  /** Age at which a path MTU learned from ICMP is forgotten: ten minutes (RFC 8201 §4). */
  readonly pathMtuLifetime: Duration;
  /** What happens to ESP packets that goes to the log (RFC 4303 §4). */
  readonly audit: readonly AuditEvent[];
  /** Associations kept at most; each costs about 4 kB. */
  readonly maxAssociations: number;
  /** I2 packets in public-key work at most. */
  readonly maxPendingI2: number;
}

export const DEFAULT_CONTROL_SETTINGS: ControlSettings = {
  transport: "auto",
  puzzleDifficultyK: 0,
  puzzleDifficultyKMax: 16,
  puzzleLifetimeExponent: 38,
  maxDifficultyK: 24,
  maxPuzzleTime: seconds(60),
  otherTransportWait: milliseconds(100),
  i1Timeout: milliseconds(500),
  i1TimeoutMax: seconds(1),
  i1RetriesMax: 5,
  r1CollectionTime: milliseconds(200),
  i2Timeout: seconds(1),
  i2TimeoutMax: seconds(4),
  i2RetriesMax: 5,
  busyRetryWait: seconds(1),
  busyRetryWaitMax: seconds(8),
  busyRetriesMax: 4,
  responderDataWait: milliseconds(1500),
  unusedAssociationLifetime: seconds(15 * 60),
  peerSilence: seconds(5),
  peerSilenceMax: seconds(80),
  peerPatience: seconds(5),
  keepaliveInterval: seconds(15),
  closeTimeout: seconds(1),
  closeTimeoutMax: seconds(30),
  updateTimeout: seconds(1),
  updateTimeoutMin: milliseconds(250),
  updateTimeoutMax: seconds(8),
  updateRetriesMax: 7,
  rekeyAge: seconds(3600),
  rekeyOctets: 2 ** 36,
  rekeySequence: REKEY_AT_SEQUENCE,
  hardOctets: 2 ** 38,
  rekeyWithDh: true,
  rekeyTimeout: seconds(90),
  rekeyRetryWait: seconds(60),
  oldSaLifetime: MAXIMUM_SEGMENT_LIFETIME,
  latePacketTime: seconds(5),
  failedWait: seconds(5),
  failedWaitMax: seconds(60),
  stagedLifetime: milliseconds(4500),
  encryptHostId: true,
  esn: "auto",
  answersOpportunistic: true,
  r1Lifetime: seconds(300),
  r1MinimumUse: seconds(1),
  icmpToStrangers: false,
  acceptedIcmp: ICMP_KINDS,
  pathMtuLifetime: seconds(600),
  audit: [],
  maxAssociations: 4096,
  maxPendingI2: 256,
};

/** Update IDs that a peer may be ahead of the last one received (RFC 7401 §6.12). */
export const UPDATE_WINDOW = 32;

/** Old inbound SAs of one association that wait for late packets: a peer may rekey as it likes. */
export const MAX_RETIRING_SAS = 8;

/** Answers to UPDATEs kept to be repeated; a peer that only rekeys needs one (RFC 7402 §6.8). */
export const MAX_KEPT_ANSWERS = 8;

/** An answer to an UPDATE is repeated no sooner: below any sensible retransmission timer. */
export const UPDATE_REPEAT_INTERVAL: Duration = milliseconds(100);

/** Hashes tried in one solve-puzzle job: about 50 ms, so that a search can be given up. */
export const PUZZLE_SLICE_TRIES = 8192;

/** Puzzles up to this difficulty are solved at once: 16 hashes on average, 64 at most, 0.3 ms. */
export const EASY_PUZZLE_K = 4;
export const EASY_PUZZLE_TRIES = 64;

/** Peers of whose failed exchanges the number is remembered. */
export const MAX_FAILING_PEERS = 1024;

/** R1 packets that wait for their signature check while another one is being checked. */
export const MAX_R1_CANDIDATES = 4;

/** Transmissions of I1 in all when ICMP says that nobody is there: R1 still has 2.5 s (§6.6.2). */
export const I1_TRIES_WHEN_UNREACHABLE = 3;

/** Packets staged for one association, and in all. */
export const MAX_STAGED_PER_ASSOCIATION = 32;
export const MAX_STAGED = 1024;
