/**
 * Which UPDATE, CLOSE, CLOSE_ACK and NOTIFY a state has a use for: what can be told before any
 * cryptography (RFC 7401 §4.4.3).
 */

import { constantTimeEqual } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import type { Instant } from "../base/time.ts";
import { PACKET } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { ECHO_RESPONSE_SIGNED } from "../wire/hip/parameters/echo.ts";
import { type AssociationState, echoOf } from "./association_state.ts";
import { isKeepalive } from "./keepalive.ts";
import { readUpdate } from "./update.ts";

/**
 * @returns Why to drop the packet, "handled" when nothing is left to do, undefined when MAC and
 *   signature are to be checked.
 * @throws {MalformedPacketError}
 */
export function admitControl(
  now: Instant,
  state: AssociationState,
  packet: HipPacket,
): DropReason | "handled" | undefined {
  switch (packet.packetType) {
    case PACKET.NOTIFY:
      // It proves nothing, and moves nothing (RFC 3948 §4, RFC 7401 §6.13).
      return isKeepalive(packet) ? "handled" : undefined;
    case PACKET.CLOSE:
      // That it has its ECHO_REQUEST is looked at when it is known to be authentic.
      return undefined;
    case PACKET.CLOSE_ACK: {
      const echo = echoOf(state);
      if (echo === undefined) return "hip-wrong-state";
      const { opaque } = packet.require(ECHO_RESPONSE_SIGNED);
      return constantTimeEqual(opaque, echo) ? undefined : "hip-echo-mismatch";
    }
    case PACKET.UPDATE:
      if (state.kind === "ESTABLISHED") return state.rekeying.admit(now, packet);
      if (state.kind !== "R2-SENT") return "hip-wrong-state";
      readUpdate(packet);
      return undefined;
    default:
      return "hip-wrong-state";
  }
}
