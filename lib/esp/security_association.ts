/**
 * Security associations: everything that a packet touches, in one flat block, and the sealer or
 * opener beside it (RFC 4301 §4.4.2, RFC 7402 §3.3, appendix B.1.1).
 *
 * A block may move into shared memory, so that a data thread can work on the same SA: see
 * `sa_offload.ts`. One thread writes each field: the data path the counters and the window, the
 * control path the addresses, the limits and the active flag, which whoever finds the SA spent may
 * take down. 64-bit counters are pairs of words, exact at any rate.
 *
 * An SA is one direction. It stores one pair of inner addresses, the HITs, and, for output, the
 * outer pair (BEET).
 */

import type { Instant } from "../base/time.ts";
import { WordArena } from "../base/word_arena.ts";
import type { EspOpener, EspSealer, EspSuiteParameters } from "../crypto/esp_suite.ts";
import { espSuite } from "../crypto/esp_suite.ts";
import { DEFAULT_REPLAY_WINDOW, ReplayWindow, replayWindowWords } from "./replay_window.ts";

/** Lowest SPI that may be allocated; 0 to 255 are reserved (RFC 4303 §2.1). */
export const SMALLEST_SPI = 256;

/** Counts from which on a rekey is due. Plain numbers: a comparison per packet costs nothing. */
export interface RekeyLimits {
  /** Of `octets`. */
  readonly octets: number;
  /** Of the 64-bit sequence number; exact to 2^11 near its end. */
  readonly sequence: number;
}

/**
 * 2^40 numbers are then left, an hour at any packet rate we know of, which is many times what a
 * rekey with all its retransmissions takes.
 */
export const REKEY_AT_SEQUENCE = 2 ** 64 - 2 ** 40;

/** What an SA starts with: only its numbers bind it. */
export const DEFAULT_REKEY_LIMITS: RekeyLimits = { octets: Infinity, sequence: REKEY_AT_SEQUENCE };

/** For an SA that has been told to be due, or that is going. */
export const NO_REKEY_LIMITS: RekeyLimits = { octets: Infinity, sequence: Infinity };

/** The same where numbers have 32 bits: 2^28 of them are left, minutes at any rate we know of. */
const REKEY_AT_LOW = 0xf0000000;

// Layout of a block. Words first:
const SPI = 0;
const ACTIVE = 1;
const SEQUENCE_HIGH = 2;
const SEQUENCE_LOW = 3;
// Pairs of words, the high one first:
const PACKETS = 4;
const OCTETS = 6;
/** 0: copy the inner DSCP; else 0x100 + DSCP. */
const DSCP_POLICY = 8;
/** Octets of the largest inner packet that the path carries, as far as is known. */
const INNER_LIMIT = 9;
// Then addresses, 16 octets each, at these word offsets:
const LOCAL_HIT = 10;
const PEER_HIT = 14;
const OUTER_LOCAL = 18;
const OUTER_PEER = 22;
/** The peer's UDP port; 0: ESP goes without UDP. */
const OUTER_PORT = 26;
/** Whether somebody looks after answers. */
const WATCHED = 27;
/** Whether ICVs leave out the high sequence word. */
const OMITS_HIGH = 28;
// Counts, as pairs of words; all ones: none.
const REKEY_OCTETS = 29;
const REKEY_SEQUENCE = 31;
const HARD_OCTETS = 33;
/** Whether packets may be for programs that know only IPv4. */
const FOR_IPV4 = 35;
/** Whether somebody waits for the first packet. */
const AWAITED = 36;
const BLOCK_WORDS = 37;

/** Values of the active flag; an SA that is spent stays so. */
const INACTIVE = 0;
const IN_USE = 1;
const SPENT = 2;

const ALL_ONES = 0xffffffff;

/** No path MTU is known: the device's own bounds inner packets. */
const NO_LIMIT = 0xffffffff;

/** What both kinds of SA need. */
export interface SaOptions {
  /** 256 to 2^32 - 1. */
  readonly spi: number;
  /** Suite ID of ESP_TRANSFORM. */
  readonly suiteId: number;
  /** 16 octets; copied. */
  readonly localHit: Uint8Array;
  /** 16 octets; copied. */
  readonly peerHit: Uint8Array;
  /** Whether data may pass from the start; false when absent. */
  readonly isActive?: boolean;
  /** Octets given to the cipher after which nothing passes (RFC 4301 §4.4.2.1); none when absent. */
  readonly hardOctets?: number;
}

/** The block of an SA that stands already, for another thread. */
export interface SaBlock {
  /** Of `suiteId`'s SA; its window is of the default size. */
  readonly words: Uint32Array;
  readonly suiteId: number;
}

/** Words in the block of an inbound SA with the usual window: the longest. */
export const LONGEST_BLOCK = BLOCK_WORDS + replayWindowWords(DEFAULT_REPLAY_WINDOW);

export interface OutboundSaOptions extends SaOptions {
  readonly sealer: EspSealer;
  /** 16 octets, all zero when the system is to choose; copied. */
  readonly localAddress: Uint8Array;
  /** 16 octets; copied. */
  readonly peerAddress: Uint8Array;
  /** The peer's UDP port, where ESP goes in UDP (RFC 9028 §5.11); absent or 0: it does not. */
  readonly peerPort?: number;
  /** 0 to 63: outer DSCP of every packet. The inner one is copied when absent. */
  readonly dscp?: number;
}

/**
 * Whether the ICV covers the high sequence word: `on` as RFC 7402 §3.3.6 wants it; `off` for peers
 * that leave it out; `auto` finds out from the first packet that verifies.
 */
export type EsnMode = "auto" | "on" | "off";

export interface InboundSaOptions extends SaOptions {
  readonly opener: EspOpener;
  /** On when absent. */
  readonly esn?: EsnMode;
  /** Packets; a multiple of 32. */
  readonly replayWindow?: number;
}

/** Where blocks lie that are not shared with other threads. */
const arena = new WordArena();

/** The common part: identity, counters, the active flag. */
abstract class SecurityAssociation {
  /** Sizes of the suite; fixed for the life of the SA (RFC 4303 §2). */
  readonly suite: EspSuiteParameters;
  #localHit: Uint8Array | undefined;
  #peerHit: Uint8Array | undefined;
  #words: Uint32Array;
  #isWiped = false;
  /** What is to be done with the block when the SA goes; see `moveTo`. */
  #onWiped: (() => void) | undefined;

  constructor(options: SaOptions | SaBlock, extraWords: number) {
    this.suite = espSuite(options.suiteId);
    if ("words" in options) {
      this.#words = options.words;
      return;
    }
    const { spi } = options;
    if (!Number.isInteger(spi) || spi < SMALLEST_SPI || spi > 0xffffffff) {
      throw new RangeError(`Cannot make an SA with SPI ${spi}: need 256 to 4294967295`);
    }
    this.#words = arena.take(BLOCK_WORDS + extraWords);
    setAddress(this.words, LOCAL_HIT, options.localHit);
    setAddress(this.words, PEER_HIT, options.peerHit);
    this.words[SPI] = spi;
    this.rekeyLimits = DEFAULT_REKEY_LIMITS;
    writeCount(this.words, HARD_OCTETS, options.hardOctets ?? Infinity);
    this.isActive = options.isActive ?? false;
  }

  /** The block. Whoever keeps it must ask again when the SA has moved. */
  get words(): Uint32Array {
    return this.#words;
  }

  /**
   * Puts the block somewhere else, where other threads find it as well, or back.
   *
   * @param words As long as the block.
   * @param onWiped Called when the SA is wiped.
   */
  moveTo(words: Uint32Array, onWiped?: () => void): void {
    words.set(this.#words);
    this.#words = words;
    this.#onWiped = onWiped;
    this.dropViews();
  }

  /** Whether the block has been moved to where another thread works on it. */
  get isOffloaded(): boolean {
    return this.#onWiped !== undefined;
  }

  /** What `isRekeyDue` compares with. Reading makes an object. */
  get rekeyLimits(): RekeyLimits {
    return {
      octets: readCount(this.words, REKEY_OCTETS),
      sequence: readCount(this.words, REKEY_SEQUENCE),
    };
  }

  set rekeyLimits({ octets, sequence }: RekeyLimits) {
    writeCount(this.words, REKEY_OCTETS, octets);
    writeCount(this.words, REKEY_SEQUENCE, sequence);
  }

  /** Whether ICVs leave out the high sequence word. */
  get omitsHigh(): boolean {
    return this.words[OMITS_HIGH] !== 0;
  }

  set omitsHigh(omitsHigh: boolean) {
    this.words[OMITS_HIGH] = omitsHigh ? 1 : 0;
  }

  /** Our inner address, 16 octets inside the block. Do not write. */
  get localHit(): Uint8Array {
    return this.#localHit ??= addressAt(this.words, LOCAL_HIT);
  }

  /** The peer's inner address, likewise. */
  get peerHit(): Uint8Array {
    return this.#peerHit ??= addressAt(this.words, PEER_HIT);
  }

  /** Gives up the views of addresses until they are asked for again: they are larger than the rest. */
  dropViews(): void {
    this.#localHit = undefined;
    this.#peerHit = undefined;
  }

  /** The SPI in the packets of this SA, 256 to 2^32 - 1. */
  get spi(): number {
    return this.words[SPI]!;
  }

  /** Whether user data may pass. An SA may be installed before that (RFC 7402 §6.4). */
  get isActive(): boolean {
    return this.words[ACTIVE] === IN_USE;
  }

  set isActive(isActive: boolean) {
    if (this.isSpent) return;
    this.words[ACTIVE] = isActive && !this.#isWiped ? IN_USE : INACTIVE;
  }

  /** Whether the SA has come to its hard limit: it never carries a packet again. */
  get isSpent(): boolean {
    return this.words[ACTIVE] === SPENT;
  }

  /** Packets that passed, ever. For reports: makes a bigint. */
  get packets(): bigint {
    return bigintAt(this.words, PACKETS);
  }

  /** Octets given to the cipher, padding and trailer included (RFC 4301 §4.4.2.1). */
  get octets(): bigint {
    return bigintAt(this.words, OCTETS);
  }

  /** Counts one packet whose ciphertext has `octets` octets. */
  countPacket(octets: number): void {
    addToCounter(this.words, PACKETS, 1);
    addToCounter(this.words, OCTETS, octets);
    if (isCountAtLeast(this.words, OCTETS, HARD_OCTETS)) this.words[ACTIVE] = SPENT;
  }

  /** Whether a limit is reached by the sequence number `high`, `low` or by what was carried. */
  protected isBeyondLimits(high: number, low: number, has32Bits: boolean | undefined): boolean {
    const { words } = this;
    const limit = words[REKEY_SEQUENCE]!;
    const isLimited = limit !== ALL_ONES || words[REKEY_SEQUENCE + 1] !== ALL_ONES;
    if (isLimited) {
      if (has32Bits && low >= REKEY_AT_LOW) return true;
      if (high > limit || (high === limit && low >= words[REKEY_SEQUENCE + 1]!)) return true;
    }
    return isCountAtLeast(words, OCTETS, REKEY_OCTETS);
  }

  /** Whether the keys are gone. */
  get isWiped(): boolean {
    return this.#isWiped;
  }

  /** Overwrites the keys; no packet passes afterwards. Harmless when repeated. */
  wipe(): void {
    if (this.#isWiped) return;
    this.isActive = false;
    this.#isWiped = true;
    this.wipeKeys();
    this.#onWiped?.();
  }

  /** Called once. */
  protected abstract wipeKeys(): void;
}

/** Protects what we send to one peer HIT from one local HIT. */
export class OutboundSa extends SecurityAssociation {
  readonly sealer: EspSealer;
  #localAddress: Uint8Array | undefined;
  #peerAddress: Uint8Array | undefined;
  /** What ICMP has reported of the path and until when it holds; `path_mtu.ts` sets it. */
  pathMtu: { readonly octets: number; readonly until: Instant } | undefined;

  /** @throws {RangeError} On an SPI below 256, an unknown suite, or a DSCP above 63. */
  constructor(options: OutboundSaOptions | (SaBlock & { readonly sealer: EspSealer })) {
    super(options, 0);
    this.sealer = options.sealer;
    if ("words" in options) return;
    this.words[INNER_LIMIT] = NO_LIMIT;
    setAddress(this.words, OUTER_LOCAL, options.localAddress);
    setAddress(this.words, OUTER_PEER, options.peerAddress);
    this.words[OUTER_PORT] = options.peerPort ?? 0;
    if (options.dscp !== undefined) {
      if (!Number.isInteger(options.dscp) || options.dscp < 0 || options.dscp > 63) {
        throw new RangeError(`Cannot pin DSCP ${options.dscp}: need 0 to 63`);
      }
      this.words[DSCP_POLICY] = 0x100 + options.dscp;
    }
  }

  /** Whether somebody looks after answers to what is sent. */
  get isWatched(): boolean {
    return this.words[WATCHED] !== 0;
  }

  set isWatched(isWatched: boolean) {
    this.words[WATCHED] = isWatched ? 1 : 0;
  }

  /** Our outer address, 16 octets inside the block; `setAddresses` changes it. */
  get localAddress(): Uint8Array {
    return this.#localAddress ??= addressAt(this.words, OUTER_LOCAL);
  }

  override dropViews(): void {
    super.dropViews();
    this.#localAddress = undefined;
    this.#peerAddress = undefined;
  }

  /** The peer's outer address, likewise. */
  get peerAddress(): Uint8Array {
    return this.#peerAddress ??= addressAt(this.words, OUTER_PEER);
  }

  /** The peer's UDP port; 0: ESP goes by itself. */
  get peerPort(): number {
    return this.words[OUTER_PORT]!;
  }

  /**
   * Readdresses the SA; keys, SPI and counters stay, the path MTU is that of another path (RFC 4301
   * §8.2.2). Addresses have 16 octets and are copied.
   */
  setAddresses(localAddress: Uint8Array, peerAddress: Uint8Array, peerPort = 0): void {
    setAddress(this.words, OUTER_LOCAL, localAddress);
    setAddress(this.words, OUTER_PEER, peerAddress);
    this.words[OUTER_PORT] = peerPort;
    this.forgetPathMtu();
  }

  /** Octets of the largest inner packet, header included, that the path carries. */
  get innerLimit(): number {
    return this.words[INNER_LIMIT]!;
  }

  set innerLimit(octets: number) {
    this.words[INNER_LIMIT] = octets;
  }

  /** Back to what the first hop carries, which the device's MTU allows for. */
  forgetPathMtu(): void {
    this.pathMtu = undefined;
    this.innerLimit = NO_LIMIT;
  }

  /** Takes over what is known of the path from an SA that had the same one. */
  inheritPathMtu(former: OutboundSa): void {
    if (!isSame16(former.peerAddress, this.peerAddress)) return;
    if (!isSame16(former.localAddress, this.localAddress)) return;
    if (former.peerPort !== this.peerPort) return;
    this.pathMtu = former.pathMtu;
    this.innerLimit = former.innerLimit;
  }

  /** High word of the last number given out. */
  get sequenceHigh(): number {
    return this.words[SEQUENCE_HIGH]!;
  }

  /** Low word of the last number given out. */
  get sequenceLow(): number {
    return this.words[SEQUENCE_LOW]!;
  }

  /**
   * Takes the next sequence number; it is never given out again, whatever becomes of the packet
   * (RFC 4106 §3.1).
   *
   * @returns False when all 2^64, or 2^32 where the high word is left out, are used up: nothing may be sent (RFC 4303 §3.3.3).
   */
  advanceSequence(): boolean {
    const low = (this.words[SEQUENCE_LOW]! + 1) >>> 0;
    if (low === 0) {
      if (this.words[SEQUENCE_HIGH] === 0xffffffff || this.omitsHigh) return false;
      this.words[SEQUENCE_HIGH]! += 1;
    }
    this.words[SEQUENCE_LOW] = low;
    return true;
  }

  /** Whether a rekey must start, so that the number space cannot run out during it. */
  get isRekeyDue(): boolean {
    return this.isBeyondLimits(this.sequenceHigh, this.sequenceLow, this.omitsHigh);
  }

  /** The outer traffic class for an inner one: ECN always copied, DSCP copied unless pinned. */
  outerTrafficClass(inner: number): number {
    const policy = this.words[DSCP_POLICY]!;
    return policy === 0 ? inner : ((policy & 0x3f) << 2) | (inner & 3);
  }

  protected override wipeKeys(): void {
    this.sealer.wipe();
  }
}

/** Verifies what one peer HIT sends to one local HIT. */
export class InboundSa extends SecurityAssociation {
  readonly opener: EspOpener;
  #window: ReplayWindow;
  /** Packets in a row whose ICV was wrong; `resynchronisation.ts` reads it. */
  failuresInRow = 0;
  /** What is sent to the same peer has its ICV in the same form. */
  #partner: OutboundSa | undefined;
  #isFormKnown: boolean;

  /** @throws {RangeError} On an SPI below 256, an unknown suite, or an impossible window. */
  constructor(options: InboundSaOptions | (SaBlock & { readonly opener: EspOpener })) {
    const isNew = !("words" in options);
    const size = isNew ? options.replayWindow ?? DEFAULT_REPLAY_WINDOW : DEFAULT_REPLAY_WINDOW;
    super(options, replayWindowWords(size));
    this.opener = options.opener;
    // Another thread gets none whose form is not known.
    const esn = isNew ? options.esn ?? "on" : "on";
    this.#isFormKnown = esn !== "auto";
    if (esn === "off") this.omitsHigh = true;
    this.#window = new ReplayWindow(this.words, BLOCK_WORDS, size);
  }

  /** Which numbers have come. */
  get window(): ReplayWindow {
    return this.#window;
  }

  override moveTo(words: Uint32Array, onWiped?: () => void): void {
    super.moveTo(words, onWiped);
    this.#window = new ReplayWindow(words, BLOCK_WORDS, this.#window.size);
  }

  /** Whether somebody waits for the first packet that is right. */
  get isAwaited(): boolean {
    return this.words[AWAITED] !== 0;
  }

  set isAwaited(isAwaited: boolean) {
    this.words[AWAITED] = isAwaited ? 1 : 0;
  }

  /** Whether packets may be for programs that know only IPv4: the engine then looks at each. */
  get mayBeForIpv4(): boolean {
    return this.words[FOR_IPV4] !== 0;
  }

  set mayBeForIpv4(mayBeForIpv4: boolean) {
    this.words[FOR_IPV4] = mayBeForIpv4 ? 1 : 0;
  }

  /** Whether it is known, by a packet or by configuration, in which form the ICV is. */
  get isFormKnown(): boolean {
    return this.#isFormKnown;
  }

  /** From now on `outbound` takes the form that is found here. */
  pairWith(outbound: OutboundSa): void {
    this.#partner = outbound;
    outbound.omitsHigh = this.omitsHigh;
  }

  /**
   * Verifies and decrypts in place, see `EspOpener.open`. Until the first packet verifies both
   * forms of the ICV are tried, which costs a copy.
   */
  open(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    if (!this.#isFormKnown) return this.#openInEitherForm(bytes, start, end, sequenceHigh);
    const { omitsHigh } = this;
    // Without the high word in the ICV a packet of an earlier round would pass for a new one.
    if (omitsHigh && sequenceHigh !== 0) return false;
    this.opener.omitsHigh = omitsHigh;
    return this.opener.open(bytes, start, end, sequenceHigh);
  }

  #openInEitherForm(bytes: Uint8Array, start: number, end: number, sequenceHigh: number): boolean {
    const copy = bytes.slice(start, end);
    const { opener } = this;
    opener.omitsHigh = false;
    if (!opener.open(bytes, start, end, sequenceHigh)) {
      if (sequenceHigh !== 0) return false;
      opener.omitsHigh = true;
      if (!opener.open(copy, 0, copy.length, sequenceHigh)) {
        return false;
      }
      bytes.set(copy, start);
      this.omitsHigh = true;
    }
    this.#isFormKnown = true;
    if (this.#partner !== undefined) this.#partner.omitsHigh = this.omitsHigh;
    return true;
  }

  /** Whether we must start a rekey because the peer's numbers run out (RFC 7402 §6.8). */
  get isRekeyDue(): boolean {
    const { highestHigh, highestLow } = this.window;
    return this.isBeyondLimits(highestHigh, highestLow, this.omitsHigh);
  }

  protected override wipeKeys(): void {
    this.opener.wipe();
  }
}

/** One address of a block. An SA that rests does without these views, which are larger than it. */
function addressAt(words: Uint32Array, wordOffset: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + wordOffset * 4, 16);
}

function setAddress(words: Uint32Array, wordOffset: number, octets: Uint8Array): void {
  if (octets.length !== 16) {
    throw new RangeError(`Cannot use an address of ${octets.length} octets: need 16`);
  }
  addressAt(words, wordOffset).set(octets);
}

function isSame16(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 16; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

/** Adds to the counter whose high word is at `high` and whose low word follows it. */
function addToCounter(words: Uint32Array, high: number, amount: number): void {
  const low = words[high + 1]! + amount;
  words[high + 1] = low;
  if (low > 0xffffffff) words[high]! += 1;
}

/** Read by a thread that does not write it: the high word is asked again until it stands still. */
function bigintAt(words: Uint32Array, at: number): bigint {
  for (;;) {
    const high = words[at]!;
    const low = words[at + 1]!;
    if (words[at] === high) return (BigInt(high) << 32n) | BigInt(low);
  }
}

/** A count or, for Infinity, none. */
function writeCount(words: Uint32Array, at: number, count: number): void {
  const isNone = count >= 2 ** 64;
  words[at] = isNone ? ALL_ONES : Math.floor(count / 2 ** 32);
  words[at + 1] = isNone ? ALL_ONES : count % 2 ** 32;
}

function readCount(words: Uint32Array, at: number): number {
  const high = words[at]!;
  const low = words[at + 1]!;
  return high === ALL_ONES && low === ALL_ONES ? Infinity : high * 2 ** 32 + low;
}

/** Whether one pair of words has reached another that is a limit. */
function isCountAtLeast(words: Uint32Array, at: number, limit: number): boolean {
  const high = words[at]!;
  const most = words[limit]!;
  return high > most || (high === most && words[at + 1]! >= words[limit + 1]!);
}
