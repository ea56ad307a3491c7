/**
 * Programs that know only IPv4: their packets to LSIs become packets between HITs, and what answers
 * them comes back as IPv4 (RFC 7401 §4.5.1, RFC 7402 §6.2). No LSI leaves the host.
 *
 * A packet from a peer does not say which form its receiver wants. It is IPv4 when a packet of the
 * same flow went out as IPv4 before: ports and protocol, or the identifier of an echo; and when it
 * is the first of its flow and only programs of IPv4 wait at its port. Flows are remembered in order
 * of their first packet, so many at most.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { Instant } from "../base/time.ts";
import { InnerFragments, isInnerFragment } from "../esp/inner_fragments.ts";
import { mayBeCutUp, narrow, readdress, widen } from "../esp/lsi_translation.ts";
import type { LsiEntry, LsiTable } from "../identity/lsi.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, ipVersion, NEXT_HEADER } from "../wire/ipv6.ts";
import { TCP_FIELD, TCP_FLAG, TCP_HEADER_LENGTH } from "../wire/tcp.ts";

/** Flows at most: what a host of one user has open, many times over. */
const MAX_FLOWS = 8192;

/** Where an LSI stands in an IPv4-mapped address. */
const MAPPED = 12;

/** Type, code, checksum and a word come before the packet that an error quotes. */
const QUOTED = 8;

/** What became of a packet of a program. */
export type LsiOutcome =
  | DropReason
  /** Between HITs now; `mayBeCutUp` tells whether the sender wants to know of smaller paths. */
  | { readonly mayBeCutUp: boolean }
  /** A fragment whose other pieces are still to come. */
  | "waiting";

const WHOLE = { mayBeCutUp: false };
const CUTTABLE = { mayBeCutUp: true };

interface Flow {
  readonly local: LsiEntry;
  readonly peer: LsiEntry;
}

export class LsiPath {
  readonly #lsis: LsiTable;
  readonly #fragments = new InnerFragments();
  readonly #flows = new Map<number, Flow>();
  /** Peers that have had one. */
  readonly #served = new WeakSet<LsiEntry>();
  readonly #onFirstFlow: (peerHit: Uint8Array) => void;

  /** @param onFirstFlow Called before the first flow of a peer begins. */
  constructor(lsis: LsiTable, onFirstFlow: (peerHit: Uint8Array) => void) {
    this.#lsis = lsis;
    this.#onFirstFlow = onFirstFlow;
  }

  /** Whether there is any LSI: without one no packet costs anything here. */
  get isUsed(): boolean {
    return this.#lsis.size > 0;
  }

  /** Whether packets of a peer may be for programs of IPv4. */
  serves(peerHit: Uint8Array): boolean {
    const peer = this.#lsis.ofHit(peerHit);
    return peer !== undefined && this.#served.has(peer);
  }

  /** An IPv4 packet of a program becomes one between HITs. */
  fromApplication(now: Instant, buffer: PacketBuffer): LsiOutcome {
    const isCuttable = mayBeCutUp(buffer.bytes, buffer.start);
    const malformed = widen(buffer);
    if (malformed !== undefined) return malformed;
    const local = this.#lsis.ofLsi(lsiAt(buffer, IPV6_FIELD.source));
    const peer = this.#lsis.ofLsi(lsiAt(buffer, IPV6_FIELD.destination));
    if (local === undefined || peer === undefined) return "tun-not-an-lsi";
    const isFragment = isInnerFragment(buffer.bytes, buffer.start);
    if (isFragment) {
      const whole = this.#fragments.take(now, buffer.contents());
      if (typeof whole === "number") return whole > 0 ? "tun-fragment" : "waiting";
      buffer.load(whole);
    }
    peer.lastUse = now;
    this.#remember(buffer, local, peer, "out");
    const refused = readdress(buffer, local.hit, peer.hit);
    if (refused !== undefined) return refused;
    return isCuttable || isFragment ? CUTTABLE : WHOLE;
  }

  /**
   * A packet of a peer becomes IPv4 when the program that it is for speaks that; else it stays.
   *
   * @returns Why it cannot be delivered.
   */
  toApplication(now: Instant, buffer: PacketBuffer): DropReason | undefined {
    if (this.#flowOf(buffer) === undefined) this.#beginFlow(now, buffer);
    return this.answer(buffer);
  }

  /** The same for a packet that was made here, about one of a program. */
  answer(buffer: PacketBuffer): DropReason | undefined {
    const flow = this.#flowOf(buffer);
    if (flow === undefined) return undefined;
    return readdress(buffer, flow.peer.address, flow.local.address) ?? narrow(buffer);
  }

  /**
   * The system says that nobody has the port of a datagram that passed this by: it was opened by a
   * data thread. Where IPv4 alone waits there, the next one comes to it.
   *
   * @param buffer What `isUdpPortUnreachable` is true of.
   * @returns Whether that is so, and the peer is not to hear of it.
   */
  redirect(now: Instant, { bytes, start }: PacketBuffer): boolean {
    const quoted = start + IPV6_HEADER_LENGTH + QUOTED;
    const at = quoted + IPV6_HEADER_LENGTH;
    const port = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (!this.#lsis.hasIpv4Server(NEXT_HEADER.udp, port)) return false;
    const local = this.#lsis.ofHit(bytes, quoted + IPV6_FIELD.destination);
    const source = quoted + IPV6_FIELD.source;
    const peer = local?.isOwn === true
      ? this.#lsis.ofHit(bytes, source) ?? this.#lsis.assign(bytes.slice(source, source + 16), now)
      : undefined;
    if (peer === undefined) return false;
    this.#serve(peer);
    return true;
  }

  #serve(peer: LsiEntry): void {
    if (this.#served.has(peer)) return;
    this.#served.add(peer);
    this.#onFirstFlow(peer.hit);
  }

  /** A flow that a peer begins is IPv4 where nobody would take it as IPv6. */
  #beginFlow(now: Instant, buffer: PacketBuffer): void {
    const { bytes, start, end } = buffer;
    const at = start + IPV6_HEADER_LENGTH;
    const nextHeader = bytes[start + IPV6_FIELD.nextHeader]!;
    if (at + 8 > end || !mayBegin(bytes, at, end, nextHeader)) return;
    const port = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (!this.#lsis.hasIpv4Server(nextHeader, port)) return;
    const local = this.#lsis.ofHit(bytes, start + IPV6_FIELD.destination);
    if (local === undefined || !local.isOwn) return;
    const source = start + IPV6_FIELD.source;
    const peer = this.#lsis.ofHit(bytes, source) ??
      this.#lsis.assign(bytes.slice(source, source + 16), now);
    if (peer !== undefined) this.#remember(buffer, local, peer, "in");
  }

  #remember(buffer: PacketBuffer, local: LsiEntry, peer: LsiEntry, way: "in" | "out"): void {
    const { bytes, start, end } = buffer;
    const at = start + IPV6_HEADER_LENGTH;
    const key = keyOf(bytes, at, end, bytes[start + IPV6_FIELD.nextHeader]!, peer, way);
    if (key === undefined || this.#flows.get(key)?.peer === peer) return;
    this.#serve(peer);
    if (this.#flows.size >= MAX_FLOWS) {
      for (const oldest of this.#flows.keys()) {
        this.#flows.delete(oldest);
        break;
      }
    }
    this.#flows.set(key, { local, peer });
  }

  #flowOf({ bytes, start, end }: PacketBuffer): Flow | undefined {
    const peer = this.#lsis.ofHit(bytes, start + IPV6_FIELD.source);
    if (peer === undefined) return undefined;
    const nextHeader = bytes[start + IPV6_FIELD.nextHeader]!;
    let at = start + IPV6_HEADER_LENGTH;
    let key: number | undefined;
    if (nextHeader === NEXT_HEADER.icmpv6 && at < end && bytes[at]! < 128) {
      // An error: the packet that it quotes, which went out, says what flow it is about.
      at += QUOTED;
      if (at + IPV6_HEADER_LENGTH > end) return undefined;
      const quotedNext = bytes[at + IPV6_FIELD.nextHeader]!;
      key = keyOf(bytes, at + IPV6_HEADER_LENGTH, end, quotedNext, peer, "out");
    } else {
      key = keyOf(bytes, at, end, nextHeader, peer, "in");
    }
    const flow = key === undefined ? undefined : this.#flows.get(key);
    // An entry of the same number may have been another peer's.
    return flow?.peer === peer ? flow : undefined;
  }
}

/** Whether a packet can be the first of a flow: of TCP only a SYN is. */
function mayBegin(bytes: Uint8Array, at: number, end: number, nextHeader: number): boolean {
  if (nextHeader === NEXT_HEADER.udp) return true;
  if (nextHeader !== NEXT_HEADER.tcp || at + TCP_HEADER_LENGTH > end) return false;
  return (bytes[at + TCP_FIELD.flags]! & (TCP_FLAG.syn | TCP_FLAG.ack)) === TCP_FLAG.syn;
}

function lsiAt({ view, start }: PacketBuffer, field: number): number {
  return view.getUint32(start + field + MAPPED);
}

/**
 * The number of the peer's LSI (16 bits), the protocol, our port and the peer's: below 2^53.
 *
 * @param at Where the upper-layer packet begins. @param way Whether we sent it.
 */
function keyOf(
  bytes: Uint8Array,
  at: number,
  end: number,
  nextHeader: number,
  { index }: LsiEntry,
  way: "in" | "out",
): number | undefined {
  if (at + 8 > end) return undefined;
  if (nextHeader === NEXT_HEADER.icmp || nextHeader === NEXT_HEADER.icmpv6) {
    return index * 2 ** 34 + ((bytes[at + 4]! << 8) | bytes[at + 5]!) * 2 ** 16;
  }
  const protocol = nextHeader === NEXT_HEADER.tcp ? 1 : nextHeader === NEXT_HEADER.udp ? 2 : 0;
  if (protocol === 0) return undefined;
  const source = (bytes[at]! << 8) | bytes[at + 1]!;
  const destination = (bytes[at + 2]! << 8) | bytes[at + 3]!;
  const flow = (index * 4 + protocol) * 2 ** 32;
  return way === "out"
    ? flow + source * 2 ** 16 + destination
    : flow + destination * 2 ** 16 + source;
}

/** Whether the packet is IPv4, of which only LSIs can be served. */
export function isIpv4Packet({ bytes, start }: PacketBuffer): boolean {
  return ipVersion(bytes, start) === 4;
}
