/**
 * Something is sent over UDP every 15 seconds, so that NATs between two hosts keep their mappings
 * (RFC 9028 §4.7.1, §4.10): a NOTIFY, unless data went out meanwhile. It says nothing and gets no
 * answer (§5.3). It is signed once and sent as it is each time; its receiver passes it over, so that
 * neither end has public-key work from it.
 */

import { after, type Instant } from "../base/time.ts";
import { NOTIFY, PACKET } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import { NOTIFICATION } from "../wire/hip/parameters/notification.ts";
import type { AssociationContext } from "./association_context.ts";
import type { ControlSettings } from "./constants.ts";
import type { ControlChannel } from "./control_channel.ts";
import { pathOf, type Security } from "./control_keys.ts";

/** What it needs to know and use. */
export interface KeepaliveOwner {
  readonly context: AssociationContext;
  readonly channel: ControlChannel;
  /** The SAs in force. */
  readonly security: Security;
  /** Data packets that were sent so far. */
  readonly packetsOut: bigint;
}

export class Keepalive {
  #packet: Uint8Array | undefined;
  #isSigning = false;
  #packetsOut = 0n;
  #dueAt: Instant;

  constructor(now: Instant, { keepaliveInterval }: ControlSettings) {
    this.#dueAt = after(now, keepaliveInterval);
  }

  /** When `handleTimeout` has work. */
  get dueAt(): Instant {
    return this.#dueAt;
  }

  /** Sends one, unless it is not needed. */
  handleTimeout(now: Instant, owner: KeepaliveOwner): void {
    if (this.#dueAt > now) return;
    const { context, channel, security, packetsOut } = owner;
    const isIdle = packetsOut === this.#packetsOut;
    this.#packetsOut = packetsOut;
    this.#dueAt = after(now, context.settings.keepaliveInterval);
    if (!isIdle) return;
    if (this.#packet !== undefined) {
      context.transmit(now, pathOf(security), this.#packet);
    } else if (!this.#isSigning) {
      this.#isSigning = true;
      const messageType = NOTIFY.NAT_KEEPALIVE;
      const notification = encodeParameter(NOTIFICATION, { messageType, data: new Uint8Array(0) });
      channel.sign(PACKET.NOTIFY, [notification], pathOf(security), security.keys);
    }
  }

  /** The packet is signed, and goes out now; undefined when that came to nothing. */
  handleSigned(packet: Uint8Array | undefined): void {
    this.#isSigning = false;
    this.#packet = packet;
  }
}

/**
 * Whether a packet is a keepalive. The older kind is a NOTIFY that says nothing at all (RFC 5770
 * §5.3).
 */
export function isKeepalive(packet: HipPacket): boolean {
  if (packet.packetType !== PACKET.NOTIFY) return false;
  return packet.all(NOTIFICATION).every(({ messageType }) => messageType === NOTIFY.NAT_KEEPALIVE);
}
