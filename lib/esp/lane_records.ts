/**
 * What the engine's thread and a data thread write to each other, as records of a `SharedRing`: one
 * layout, one file. Both are the same program on the same machine; words are as `DataView` has them.
 */

import { type DropReason, dropReasonAt, dropReasonIndex } from "../base/drop_reason.ts";
import type { PacketBuffer, PacketPath } from "../base/packet_buffer.ts";
import type { RingReader, RingWriter } from "../base/shared_ring.ts";
import type { EspKeys } from "../crypto/esp_suite.ts";
import type { SaNews } from "./sa_offload.ts";

/** Kinds of record. */
export const RECORD = {
  /** Either way: a packet for the other thread. */
  packet: 1,
  /** To a data thread: an SA that it works on from now on. */
  take: 2,
  /** To a data thread: an SA that it has to forget. The answer is `forgotten`. */
  forget: 3,
  /** From a data thread: it holds nothing of the slot any more. */
  forgotten: 4,
  /** From a data thread: something has happened to an SA. */
  news: 5,
  /** From a data thread: a packet was refused, for the audit log. */
  refused: 6,
  /** From a data thread: an inner packet that the engine has to see before applications do. */
  inner: 7,
} as const;

// ---- packets -----------------------------------------------------------------------------------

//   0               1               2               3
//  +---------------+---------------+---------------+---------------+
//  |   protocol    | traffic class |   hop limit   |  is fragment  |
//  +---------------+---------------+---------------+---------------+
//  |           peer port           |            reserved           |
//  +---------------+---------------+---------------+---------------+
//  |                 our address, peer's address                   |
const PATH = 8;
const PATH_LENGTH = PATH + 32;

/** Hands over a packet with its path. @returns False when there is no room. */
export function writePacket(ring: RingWriter, kind: number, buffer: PacketBuffer): boolean {
  const { path, start, end } = buffer;
  const at = ring.reserve(kind, PATH_LENGTH + end - start);
  if (at < 0) return false;
  const { bytes } = ring;
  bytes[at] = path.protocol;
  bytes[at + 1] = path.trafficClass;
  bytes[at + 2] = path.hopLimit;
  bytes[at + 3] = path.isFragment ? 1 : 0;
  bytes[at + 4] = path.peerPort >>> 8;
  bytes[at + 5] = path.peerPort & 0xff;
  bytes.set(path.localAddress, at + PATH);
  bytes.set(path.peerAddress, at + PATH + 16);
  bytes.set(buffer.bytes.subarray(start, end), at + PATH_LENGTH);
  ring.publish();
  return true;
}

/** Takes the packet of the record that `ring` stands at, with its path. */
export function readPacket({ bytes, start, length }: RingReader, buffer: PacketBuffer): void {
  const { path } = buffer;
  path.protocol = bytes[start]!;
  path.trafficClass = bytes[start + 1]!;
  path.hopLimit = bytes[start + 2]!;
  path.isFragment = bytes[start + 3] === 1;
  path.peerPort = (bytes[start + 4]! << 8) | bytes[start + 5]!;
  path.localAddress.set(bytes.subarray(start + PATH, start + PATH + 16));
  path.peerAddress.set(bytes.subarray(start + PATH + 16, start + PATH_LENGTH));
  buffer.load(bytes.subarray(start + PATH_LENGTH, start + length));
}

// ---- SAs ---------------------------------------------------------------------------------------

/** An SA for a data thread; its block stands in its slot already. */
export interface TakenSa {
  readonly slot: number;
  readonly suiteId: number;
  /** Words of its block. */
  readonly blockLength: number;
  /** Borrowed: overwritten by `eraseKeys`. */
  readonly keys: EspKeys;
}

/** Slot, suite, length of the block, lengths of both keys. */
const TAKE_HEAD = 20;

export function writeTake(ring: RingWriter, sa: TakenSa): boolean {
  const { encryption, authentication } = sa.keys;
  const length = TAKE_HEAD + encryption.length + authentication.length;
  const at = ring.reserve(RECORD.take, length);
  if (at < 0) return false;
  const words = [sa.slot, sa.suiteId, sa.blockLength, encryption.length, authentication.length];
  words.forEach((word, i) => ring.setWord(at + 4 * i, word));
  ring.bytes.set(encryption, at + TAKE_HEAD);
  ring.bytes.set(authentication, at + TAKE_HEAD + encryption.length);
  ring.publish();
  return true;
}

/** What the record says; its keys are in the ring until `eraseKeys`. */
export function readTake(ring: RingReader): TakenSa {
  const { bytes, start } = ring;
  const [slot, suiteId, blockLength, encryption, authentication] = [0, 4, 8, 12, 16]
    .map((offset) => ring.word(start + offset)) as [number, number, number, number, number];
  const from = start + TAKE_HEAD;
  return {
    slot,
    suiteId,
    blockLength,
    keys: {
      encryption: bytes.subarray(from, from + encryption),
      authentication: bytes.subarray(from + encryption, from + encryption + authentication),
    },
  };
}

/** Overwrites the keys in a record before it is released. */
export function eraseKeys({ bytes, start, length }: RingReader): void {
  bytes.fill(0, start + TAKE_HEAD, start + length);
}

/** A record that names a slot and nothing else. */
export function writeSlot(ring: RingWriter, kind: number, slot: number): boolean {
  const at = ring.reserve(kind, 4);
  if (at < 0) return false;
  ring.setWord(at, slot);
  ring.publish();
  return true;
}

export function readSlot(ring: RingReader): number {
  return ring.word(ring.start);
}

const NEWS: readonly SaNews[] = ["unwatched", "rekey-due", "spent", "arrived"];

export function writeNews(ring: RingWriter, slot: number, news: SaNews): boolean {
  const at = ring.reserve(RECORD.news, 8);
  if (at < 0) return false;
  ring.setWord(at, slot);
  ring.setWord(at + 4, NEWS.indexOf(news));
  ring.publish();
  return true;
}

export function readNews(ring: RingReader): { slot: number; news: SaNews } {
  return { slot: ring.word(ring.start), news: NEWS[ring.word(ring.start + 4)]! };
}

// ---- refused packets ---------------------------------------------------------------------------

/** A packet for the audit log. */
export interface Refusal {
  readonly reason: DropReason;
  readonly spi: number;
  readonly sequence: number;
  /** 16 octets each. */
  readonly localAddress: Uint8Array;
  readonly peerAddress: Uint8Array;
}

export function writeRefusal(
  ring: RingWriter,
  reason: DropReason,
  spi: number,
  sequence: number,
  path: Pick<PacketPath, "localAddress" | "peerAddress">,
): boolean {
  const at = ring.reserve(RECORD.refused, 12 + 32);
  if (at < 0) return false;
  ring.setWord(at, dropReasonIndex(reason));
  ring.setWord(at + 4, spi);
  ring.setWord(at + 8, sequence);
  ring.bytes.set(path.localAddress, at + 12);
  ring.bytes.set(path.peerAddress, at + 28);
  ring.publish();
  return true;
}

export function readRefusal(ring: RingReader): Refusal {
  const { bytes, start } = ring;
  return {
    reason: dropReasonAt(ring.word(start)),
    spi: ring.word(start + 4),
    sequence: ring.word(start + 8),
    localAddress: bytes.slice(start + 12, start + 28),
    peerAddress: bytes.slice(start + 28, start + 44),
  };
}
