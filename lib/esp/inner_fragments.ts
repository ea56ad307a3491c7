/**
 * Puts together what the local stack has cut up: ESP is for whole datagrams, and whatever has to be
 * cut up is so after ESP (RFC 4303 §3.3.4, RFC 8200 §4.5, RFC 5722).
 *
 * The fragments come from programs of this host, all of them at once or never. So few datagrams
 * wait, in order of arrival, and the oldest goes when there are more.
 */

import { bytesEqual } from "../base/bytes.ts";
import { after, type Instant, seconds } from "../base/time.ts";
import {
  IPV6_FIELD,
  IPV6_HEADER_LENGTH,
  ipv6NextHeader,
  ipv6PayloadLength,
  NEXT_HEADER,
} from "../wire/ipv6.ts";

/** Datagrams that wait for further pieces; each may have 64 KiB. */
const MAX_DATAGRAMS = 32;

/** Pieces of one datagram: 65535 octets in pieces for the smallest MTU are 54. */
const MAX_PIECES = 64;

/** The stack writes all pieces at once; a second later the rest was lost. */
const LIFETIME = seconds(1);

const FRAGMENT_HEADER_LENGTH = 8;
const IDENTIFICATION = 4;
/** Source, destination. */
const ADDRESSES = 32;

interface Piece {
  /** Octets from the start of the fragmentable part. */
  readonly offset: number;
  readonly octets: Uint8Array;
}

interface Datagram {
  /** Source, destination, identification (RFC 8200 §4.5). */
  readonly key: Uint8Array;
  readonly until: Instant;
  readonly pieces: Piece[];
  /** The IPv6 header of the first piece, and the next header of the whole. */
  head: { readonly header: Uint8Array; readonly nextHeader: number } | undefined;
  /** Octets of the fragmentable part, once the last piece has come. */
  length: number | undefined;
  received: number;
}

/** Whether the IPv6 packet at `start` is a piece of one. */
export function isInnerFragment(bytes: Uint8Array, start: number): boolean {
  return ipv6NextHeader(bytes, start) === NEXT_HEADER.fragment;
}

export class InnerFragments {
  readonly #waiting: Datagram[] = [];

  /** Datagrams that wait for further pieces. */
  get size(): number {
    return this.#waiting.length;
  }

  /**
   * Takes a fragment, which is copied.
   *
   * @returns The whole packet when this was its last piece; how many datagrams were given up when
   *   not: too old, too many, or this one, since its pieces do not fit together.
   */
  take(now: Instant, packet: Uint8Array): Uint8Array | number {
    let lost = this.#forgetOld(now);
    const payloadLength = ipv6PayloadLength(packet);
    const at = IPV6_HEADER_LENGTH;
    if (
      packet.length !== at + payloadLength || payloadLength <= FRAGMENT_HEADER_LENGTH
    ) return lost + 1;
    const key = keyOf(packet);
    let datagram = this.#waiting.find((other) => bytesEqual(other.key, key));
    if (datagram === undefined) {
      if (this.#waiting.length >= MAX_DATAGRAMS) {
        this.#waiting.shift();
        lost++;
      }
      const until = after(now, LIFETIME);
      datagram = { key, until, pieces: [], head: undefined, length: undefined, received: 0 };
      this.#waiting.push(datagram);
    }
    if (!add(datagram, packet)) {
      this.#forget(datagram);
      return lost + 1;
    }
    if (datagram.received !== datagram.length || datagram.head === undefined) return lost;
    this.#forget(datagram);
    return assemble(datagram.head, datagram.pieces, datagram.length);
  }

  #forget(datagram: Datagram): void {
    this.#waiting.splice(this.#waiting.indexOf(datagram), 1);
  }

  #forgetOld(now: Instant): number {
    const fresh = this.#waiting.findIndex(({ until }) => until > now);
    return this.#waiting.splice(0, fresh < 0 ? this.#waiting.length : fresh).length;
  }
}

function keyOf(packet: Uint8Array): Uint8Array {
  const key = new Uint8Array(ADDRESSES + 4);
  key.set(packet.subarray(IPV6_FIELD.source, IPV6_FIELD.source + ADDRESSES));
  const at = IPV6_HEADER_LENGTH + IDENTIFICATION;
  key.set(packet.subarray(at, at + 4), ADDRESSES);
  return key;
}

/** @returns False when the piece overlaps another or contradicts what is known (RFC 5722 §4). */
function add(datagram: Datagram, packet: Uint8Array): boolean {
  const at = IPV6_HEADER_LENGTH;
  const field = (packet[at + 2]! << 8) | packet[at + 3]!;
  const offset = field & 0xfff8;
  const isLast = (field & 1) === 0;
  const octets = packet.slice(at + FRAGMENT_HEADER_LENGTH);
  const end = offset + octets.length;
  if (!isLast && octets.length % 8 !== 0) return false;
  if (end > 0xffff || datagram.pieces.length >= MAX_PIECES) return false;
  if (isLast) {
    if (datagram.length !== undefined) return false;
    datagram.length = end;
  }
  const overlaps = (piece: Piece) =>
    piece.offset < end && offset < piece.offset + piece.octets.length;
  if (datagram.pieces.some(overlaps)) return false;
  datagram.pieces.push({ offset, octets });
  datagram.received += octets.length;
  if (datagram.length !== undefined && datagram.received > datagram.length) return false;
  if (offset === 0) datagram.head = { header: packet.slice(0, at), nextHeader: packet[at]! };
  return true;
}

function assemble(
  { header, nextHeader }: NonNullable<Datagram["head"]>,
  pieces: readonly Piece[],
  length: number,
): Uint8Array {
  const packet = new Uint8Array(IPV6_HEADER_LENGTH + length);
  packet.set(header);
  packet[IPV6_FIELD.payloadLength] = length >>> 8;
  packet[IPV6_FIELD.payloadLength + 1] = length;
  packet[IPV6_FIELD.nextHeader] = nextHeader;
  for (const { offset, octets } of pieces) packet.set(octets, IPV6_HEADER_LENGTH + offset);
  return packet;
}
