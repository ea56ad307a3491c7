/**
 * The thread that sends: inner packets become ESP packets (see `Lane`). Whatever is not a plain
 * IPv6 packet on an SA of this thread that fits its path, or is the first of a connection, is the
 * engine's to judge. Nothing here
 * allocates or throws for a packet that has its SA.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { Random } from "../base/random.ts";
import { isUdpPortUnreachable } from "../wire/icmpv6.ts";
import { isTcpSyn } from "../wire/tcp_mss.ts";
import { HitPairTable } from "../identity/hit_pair_table.ts";
import { encapsulate } from "./encapsulate.ts";
import { isInnerFragment } from "./inner_fragments.ts";
import { Lane, type LaneParts, type LentSa } from "./lane.ts";
import type { TakenSa } from "./lane_records.ts";
import { NO_REKEY_LIMITS, OutboundSa } from "./security_association.ts";

const IPV6_HEADER = 40;
const INNER_SOURCE = 8;
const INNER_DESTINATION = 24;

class LentOutbound implements LentSa<OutboundSa> {
  constructor(readonly sa: OutboundSa, readonly slot: number) {}

  get localHit(): Uint8Array {
    return this.sa.localHit;
  }

  get peerHit(): Uint8Array {
    return this.sa.peerHit;
  }
}

export class OutboundLane extends Lane<OutboundSa> {
  readonly #byHits = new HitPairTable<LentOutbound>();
  readonly #random: Random;

  constructor(parts: LaneParts & { readonly random: Random }) {
    super(parts);
    this.#random = parts.random;
  }

  /** SAs that this thread works on. */
  get size(): number {
    return this.#byHits.size;
  }

  /**
   * A packet from an application.
   *
   * @param isJudged Whether it comes from the engine, which has found it right in every respect but
   *   its SA: it may be longer than the path carries in one piece.
   * @returns "transmit" when `buffer` has become an ESP packet with its path filled in.
   */
  handleTunPacket(buffer: PacketBuffer, isJudged: boolean): "transmit" | "consumed" {
    const { bytes, start, length } = buffer;
    if (length < IPV6_HEADER || bytes[start]! >>> 4 !== 6) return this.passOn(buffer);
    if (isInnerFragment(bytes, start)) return this.passOn(buffer);
    const source = start + INNER_SOURCE;
    const destination = start + INNER_DESTINATION;
    const lent = this.#byHits.find(bytes, bytes, source, destination);
    if (lent === undefined || !lent.sa.isActive) return this.passOn(buffer);
    const { sa } = lent;
    if (!isJudged) {
      if (length > sa.innerLimit || isTcpSyn(buffer)) return this.passOn(buffer);
      if (isUdpPortUnreachable(bytes, start, buffer.end)) return this.passOn(buffer);
    }
    const reason = encapsulate(sa, buffer);
    if (sa.isRekeyDue && this.tell(lent, "rekey-due")) sa.rekeyLimits = NO_REKEY_LIMITS;
    if (!sa.isWatched && this.tell(lent, "unwatched")) sa.isWatched = true;
    return reason === undefined ? "transmit" : this.#refuse(lent, reason);
  }

  #refuse(lent: LentOutbound, reason: DropReason): "consumed" {
    if (reason === "sequence-exhausted") this.tell(lent, "spent");
    return this.drop(reason);
  }

  protected override make(words: Uint32Array, { suiteId, keys }: TakenSa): OutboundSa {
    const sealer = this.espProvider.sealer(suiteId, keys, this.#random);
    return new OutboundSa({ words, suiteId, sealer });
  }

  protected override file({ sa, slot }: LentSa<OutboundSa>): void {
    // One that went before it may still have to be forgotten.
    const former = this.#byHits.find(sa.localHit, sa.peerHit);
    if (former !== undefined) this.#byHits.remove(former);
    this.#byHits.add(new LentOutbound(sa, slot));
  }

  protected override remove({ sa }: LentSa<OutboundSa>): void {
    const found = this.#byHits.find(sa.localHit, sa.peerHit);
    if (found?.sa === sa) this.#byHits.remove(found);
  }

  protected override wipeCipher(sa: OutboundSa): void {
    sa.sealer.wipe();
  }
}
