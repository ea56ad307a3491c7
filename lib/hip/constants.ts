/**
 * Numbers of the control plane: first what the specifications fix, then what we chose, each with
 * what it trades off.
 */

import type { EsnMode } from "../esp/security_association.ts";
import { type Duration, milliseconds, seconds } from "../base/time.ts";

// ---- fixed by specifications -------------------------------------------------------------------

/** MSL: the longest life of a HIP packet in the network (RFC 7401 §4.4.1). */
export const MAXIMUM_SEGMENT_LIFETIME: Duration = seconds(120);

/** Puzzle lifetime octet `v` stands for 2^(v - 32) seconds (RFC 7401 §5.2.4). */
export function puzzleLifetime(v: number): Duration {
  return seconds(2 ** (v - 32));
}

// ---- chosen here -------------------------------------------------------------------------------

/** Times and limits of the control plane; every field can be set by the configuration or a test. */
export interface ControlSettings {
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
  /** First wait for R1; doubles per try, at most `i1TimeoutMax` (RFC 7401 §6.6). */
  readonly i1Timeout: Duration;
  readonly i1TimeoutMax: Duration;
  /** I1_RETRIES_MAX: transmissions of I1 in all. */
  readonly i1RetriesMax: number;
  /** First wait for R2; doubles per try (RFC 7401 §6.8 step 18). */
  readonly i2Timeout: Duration;
  readonly i2TimeoutMax: Duration;
  /** I2_RETRIES_MAX: transmissions of I2 in all. */
  readonly i2RetriesMax: number;
  /** Exchange Complete: how long R2-SENT waits for a first packet (§4.4.1); below stagedLifetime. */
  readonly exchangeCompleteTimeout: Duration;
  /** UAL: an association without traffic is closed after this (RFC 7401 §4.4.1). */
  readonly unusedAssociationLifetime: Duration;
  /** First wait for CLOSE_ACK; doubles per try. */
  readonly closeTimeout: Duration;
  readonly closeTimeoutMax: Duration;
  /** How long E-FAILED refuses new attempts: short, so that a peer that comes up is soon met. */
  readonly failedWait: Duration;
  /** A packet that waited this long is answered with ICMPv6 unreachable; under 5 s. */
  readonly stagedLifetime: Duration;
  /** Whether our HOST_ID travels inside ENCRYPTED in I2: costs nothing, hides the key on the path. */
  readonly encryptHostId: boolean;
  /** Whether the ICV of ESP covers the high sequence word; `auto` does as the peer does. */
  readonly esn: EsnMode;
  /** Age at which prepared R1s are replaced (RFC 7401 §4.1.2: every few minutes). */
  readonly r1Lifetime: Duration;
  /** A used R1 is replaced no sooner: bounds signatures per second under many exchanges. */
  readonly r1MinimumUse: Duration;
  /**
   * Whether ICMP tells senders that their SPI or HIT fits no association: off, since forged packets
   * would have us send it to others (RFC 7401 §8).
   */
  readonly icmpToStrangers: boolean;
  /** Associations kept at most; each costs about 4 kB. */
  readonly maxAssociations: number;
  /** I2 packets in public-key work at most. */
  readonly maxPendingI2: number;
}

export const DEFAULT_CONTROL_SETTINGS: ControlSettings = {
  puzzleDifficultyK: 0,
  puzzleDifficultyKMax: 16,
  puzzleLifetimeExponent: 38,
  maxDifficultyK: 24,
  maxPuzzleTime: seconds(60),
  i1Timeout: milliseconds(500),
  i1TimeoutMax: seconds(1),
  i1RetriesMax: 5,
  i2Timeout: seconds(1),
  i2TimeoutMax: seconds(4),
  i2RetriesMax: 5,
  exchangeCompleteTimeout: seconds(4),
  unusedAssociationLifetime: seconds(15 * 60),
  closeTimeout: seconds(1),
  closeTimeoutMax: seconds(30),
  failedWait: seconds(5),
  stagedLifetime: milliseconds(4500),
  encryptHostId: true,
  esn: "auto",
  r1Lifetime: seconds(300),
  r1MinimumUse: seconds(1),
  icmpToStrangers: false,
  maxAssociations: 4096,
  maxPendingI2: 256,
};

/** Hashes tried in one solve-puzzle job: about 50 ms, so that a search can be given up. */
export const PUZZLE_SLICE_TRIES = 8192;

/** Puzzles up to this difficulty are solved at once: 16 hashes on average, 64 at most, 0.3 ms. */
export const EASY_PUZZLE_K = 4;
export const EASY_PUZZLE_TRIES = 64;

/** R1 packets that wait for their signature check while another one is being checked. */
export const MAX_R1_CANDIDATES = 4;

/** Packets staged for one association, and in all. */
export const MAX_STAGED_PER_ASSOCIATION = 32;
export const MAX_STAGED = 1024;
