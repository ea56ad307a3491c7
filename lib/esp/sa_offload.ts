/**
 * How SAs come to be worked on by a data thread, and what such a thread has to say of them.
 *
 * The engine is the authority: it makes SAs, activates and removes them, and every packet that a
 * data thread cannot place comes to it. A data thread keeps those SAs that carry data. What both
 * must see at once lies in the SA's block, in shared memory: with one store there the engine stops
 * an SA, and the thread's next packet on it comes to the engine again. So nothing has to wait for
 * the other thread, and no lock is on a packet's way.
 *
 * An SA has one thread that seals or opens: from `take…` on it is not the engine's, until the SA is
 * wiped or given back.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { InboundSa, OutboundSa } from "./security_association.ts";

/** Data threads, as the engine sees them. There may be several pairs, each with SAs of its own. */
export interface SaOffload {
  /**
   * Lends an SA to a thread that sends.
   *
   * @param beside Of the same association, the other way: both are better in one pair.
   * @returns False when there is no room: it stays here.
   */
  takeOutbound(sa: OutboundSa, beside?: InboundSa): boolean;

  /** The same for a thread that receives; it is known in which form the peer's ICVs are. */
  takeInbound(sa: InboundSa, beside?: OutboundSa): boolean;

  /** Gives an inner packet to the thread that has its SA: right in every respect but that. */
  passOutbound(sa: OutboundSa, buffer: PacketBuffer): void;

  /** The same with an ESP packet. */
  passInbound(sa: InboundSa, buffer: PacketBuffer): void;
}

/** What a thread says of an SA that it works on. */
export type SaNews =
  /** It sends, and nobody looks after answers. */
  | "unwatched"
  /** It has reached a limit from which on it must be replaced. */
  | "rekey-due"
  /** It carries nothing any more. */
  | "spent"
  /** The first packet has come, for which somebody waits. */
  | "arrived";
