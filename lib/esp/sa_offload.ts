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

import type { InboundSa, OutboundSa } from "./security_association.ts";

/** Data threads, as the engine sees them. */
export interface SaOffload {
  /** Lends an SA to the thread that sends. @returns False when it has no room: it stays here. */
  takeOutbound(sa: OutboundSa): boolean;

  /** The same for the thread that receives; it is known in which form the peer's ICVs are. */
  takeInbound(sa: InboundSa): boolean;
}

/**
 * What became of a packet of an application. "transmit": it is an ESP packet now, its path filled
 * in. "offloaded": its SA is a data thread's, which is to get it as it is: an inner packet, right
 * in every respect but its SA. "consumed": it waits or was dropped.
 */
export type TunOutcome = "transmit" | "offloaded" | "consumed";

/**
 * The same for a packet from outside. "deliver": it is an inner packet now. "offloaded": as above,
 * an ESP packet.
 */
export type DatagramOutcome = "deliver" | "offloaded" | "consumed";

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
