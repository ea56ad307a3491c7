/**
 * Whether the peer is still there. ESP tells nobody that the other end has lost its state: whoever
 * sends on would send into nowhere (RFC 7401 §4.3). So an end that sends and hears nothing asks for
 * a sign of life with an UPDATE that says nothing else; the peer must acknowledge it, and when it
 * does not the association is broken (§6.11 step 4). Nothing here believes an unauthenticated
 * packet, an association that nobody uses costs nothing, and the last packet of a conversation,
 * which nobody answers, does not make it ask.
 */

import { after, type Duration, type Instant, milliseconds } from "../base/time.ts";
import type { ControlSettings } from "./constants.ts";

/** Packets that must go out unanswered before the peer is asked: as TCP sends them again. */
const FEWEST_UNANSWERED = 3n;

/** What it needs to know and do. */
export interface LivenessOwner {
  readonly settings: ControlSettings;
  /** Data packets that were sent, and authenticated ones that came in. */
  traffic(): { readonly packetsIn: bigint; readonly packetsOut: bigint };
  /** Sends an UPDATE that the peer must acknowledge. @returns False when none may be sent now. */
  ask(now: Instant): boolean;
  /** Nothing is watched any more: `watch` is to be called with the next packet that goes out. */
  release(): void;
}

export class Liveness {
  readonly #owner: LivenessOwner;
  #dueAt: Instant | undefined;
  /** When the watch began. */
  #packetsIn = 0n;
  #packetsOut = 0n;
  #isAsked = false;
  /** An authenticated UPDATE has come since then. */
  #isAcknowledged = false;
  #wait: Duration;

  constructor(owner: LivenessOwner) {
    this.#owner = owner;
    this.#wait = owner.settings.peerSilence;
  }

  /** Data goes out and is not watched yet; the first packet is counted already. */
  watch(now: Instant): void {
    if (this.#dueAt !== undefined) return;
    const { packetsIn, packetsOut } = this.#owner.traffic();
    this.#packetsIn = packetsIn;
    this.#packetsOut = packetsOut - 1n;
    this.#isAsked = false;
    this.#isAcknowledged = false;
    this.#dueAt = after(now, this.#wait);
  }

  /** The peer has sent an UPDATE that is authentic. */
  heard(): void {
    this.#isAcknowledged = true;
  }

  /** When `handleTimeout` has work. */
  get dueAt(): Instant | undefined {
    return this.#dueAt;
  }

  /** @returns False when the peer has given no sign of life. */
  handleTimeout(now: Instant): boolean {
    if (this.#dueAt === undefined || this.#dueAt > now) return true;
    const { settings } = this.#owner;
    const { packetsIn, packetsOut } = this.#owner.traffic();
    const hasData = packetsIn !== this.#packetsIn;
    const isQuiet = !this.#isAsked && packetsOut - this.#packetsOut < FEWEST_UNANSWERED;
    if (hasData || isQuiet || this.#isAcknowledged) {
      this.#wait = this.#isAsked && !hasData
        ? milliseconds(Math.min(2 * this.#wait, settings.peerSilenceMax))
        : settings.peerSilence;
      this.#dueAt = undefined;
      this.#owner.release();
      return true;
    }
    if (this.#isAsked) return false;
    this.#isAsked = this.#owner.ask(now);
    this.#dueAt = after(now, this.#isAsked ? settings.peerPatience : settings.peerSilence);
    return true;
  }
}
