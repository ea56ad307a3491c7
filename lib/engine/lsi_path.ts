/**
 * Programs that know only IPv4: their packets to LSIs become packets between HITs, and what answers
 * them comes back as IPv4 (RFC 7401 §4.5.1, RFC 7402 §6.2). No LSI leaves the host.
 *
 * A packet from a peer does not say which form its receiver wants. It is IPv4 when a packet of the
 * same flow went out as IPv4 before: ports and protocol, or the identifier of an echo. Flows are
 * remembered in order of their first packet, so many at most.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { Instant } from "../base/time.ts";
import { InnerFragments, isInnerFragment } from "../esp/inner_fragments.ts";
import { mayBeCutUp, narrow, readdress, widen } from "../esp/lsi_translation.ts";
import { LSI_PREFIX, type LsiEntry, type LsiTable } from "../identity/lsi.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, ipVersion, NEXT_HEADER } from "../wire/ipv6.ts";

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

  constructor(lsis: LsiTable) {
    this.#lsis = lsis;
  }

  /** Whether there is any LSI: without one no packet costs anything here. */
  get isUsed(): boolean {
    return this.#lsis.size > 0;
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
    this.#remember(buffer, local, peer);
    const refused = readdress(buffer, local.hit, peer.hit);
    if (refused !== undefined) return refused;
    return isCuttable || isFragment ? CUTTABLE : WHOLE;
  }

  /**
   * A packet between HITs becomes IPv4 when the program that it is for speaks that; else it stays.
   *
   * @returns Why it cannot be delivered.
   */
  toApplication(buffer: PacketBuffer): DropReason | undefined {
    const flow = this.#flowOf(buffer);
    if (flow === undefined) return undefined;
    return readdress(buffer, flow.peer.address, flow.local.address) ?? narrow(buffer);
  }

  #remember(buffer: PacketBuffer, local: LsiEntry, peer: LsiEntry): void {
    const { bytes, start, end } = buffer;
    const at = start + IPV6_HEADER_LENGTH;
    const key = keyOf(bytes, at, end, bytes[start + IPV6_FIELD.nextHeader]!, peer, "out");
    if (key === undefined || this.#flows.has(key)) return;
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
    return key === undefined ? undefined : this.#flows.get(key);
  }
}

function lsiAt({ view, start }: PacketBuffer, field: number): number {
  return view.getUint32(start + field + MAPPED);
}

/**
 * The peer's LSI within the prefix (17 bits), the protocol, our port and the peer's: below 2^53.
 *
 * @param at Where the upper-layer packet begins. @param way Whether we sent it.
 */
function keyOf(
  bytes: Uint8Array,
  at: number,
  end: number,
  nextHeader: number,
  { lsi }: LsiEntry,
  way: "in" | "out",
): number | undefined {
  if (at + 8 > end) return undefined;
  const index = lsi - LSI_PREFIX;
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
