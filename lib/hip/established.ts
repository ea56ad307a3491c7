/** ESTABLISHED: what keeps an association alive and what ends it (RFC 7401 §4.4.1, §6.11). */

import { type Duration, earliest, type Instant } from "../base/time.ts";
import { PACKET } from "../wire/hip/code_points.ts";
import type { AnsweredI2 } from "./answered_i2.ts";
import type { AssociationContext } from "./association_context.ts";
import type { ControlSettings } from "./constants.ts";
import type { ControlChannel, RefusedPacket } from "./control_channel.ts";
import { Inactivity } from "./inactivity.ts";
import { Keepalive } from "./keepalive.ts";
import type { Rekeying } from "./rekeying.ts";

export interface EstablishedState {
  readonly kind: "ESTABLISHED";
  /** The SAs, and how they are replaced. */
  readonly rekeying: Rekeying;
  /** At the Responder, as long as the peer may not have heard the R2 (OPEN-22). */
  answered: AnsweredI2 | undefined;
  readonly inactivity: Inactivity;
  /** Where HIP and ESP are in UDP. */
  readonly keepalive: Keepalive | undefined;
}

/** @param period Inactivity after which it ends. */
export function establishedState(
  now: Instant,
  rekeying: Rekeying,
  answered: AnsweredI2 | undefined,
  period: Duration,
  settings: ControlSettings,
): EstablishedState {
  const isInUdp = rekeying.security.outbound.peerPort !== 0;
  return {
    kind: "ESTABLISHED",
    rekeying,
    answered,
    inactivity: new Inactivity(now, period),
    keepalive: isInUdp ? new Keepalive(now, settings) : undefined,
  };
}

/** When `tendEstablished` has work. */
export function establishedTimeout(state: EstablishedState): Instant | undefined {
  const { inactivity, answered, rekeying, keepalive } = state;
  const next = earliest(earliest(inactivity.dueAt, answered?.until), rekeying.nextTimeout());
  return earliest(next, keepalive?.dueAt);
}

/** Does what is due. @returns Why the association is to be closed, if it is. */
export function tendEstablished(
  now: Instant,
  state: EstablishedState,
  context: AssociationContext,
  channel: ControlChannel,
): string | undefined {
  const { rekeying, inactivity, answered, keepalive } = state;
  const broken = rekeying.handleTimeout(now);
  if (broken !== undefined) return broken;
  if (keepalive !== undefined && keepalive.dueAt <= now) {
    const { security, traffic: { packetsOut } } = rekeying;
    keepalive.handleTimeout(now, { context, channel, security, packetsOut });
  }
  if (answered !== undefined && answered.until <= now) state.answered = undefined;
  if (inactivity.dueAt > now) return undefined;
  const activity = inactivity.look(now, rekeying.traffic);
  // The SAs have timed out (RFC 7402 §3.3.7): new ones, or an end if the peer is gone.
  if (activity === "silent") rekeying.start(now, context.settings.rekeyWithDh);
  return activity === "unused" ? "unused" : undefined;
}

/** A packet could not be signed: whoever wants it sent tries again. */
export function noteUnsigned(
  now: Instant,
  { rekeying, keepalive }: EstablishedState,
  job: number,
  { packetType }: RefusedPacket,
): void {
  if (packetType === PACKET.NOTIFY) keepalive?.handleSigned(undefined);
  else rekeying.handleSigned(now, job, undefined);
}
