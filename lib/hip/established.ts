/** ESTABLISHED: what keeps an association alive and what ends it (RFC 7401 §4.4.1, §6.11). */

import { earliest, type Instant } from "../base/time.ts";
import type { AnsweredI2 } from "./answered_i2.ts";
import type { ControlSettings } from "./constants.ts";
import type { Inactivity } from "./inactivity.ts";
import type { Rekeying } from "./rekeying.ts";

export interface EstablishedState {
  readonly kind: "ESTABLISHED";
  /** The SAs, and how they are replaced. */
  readonly rekeying: Rekeying;
  /** At the Responder, as long as the peer may not have heard the R2 (OPEN-22). */
  answered: AnsweredI2 | undefined;
  readonly inactivity: Inactivity;
}

/** When `tendEstablished` has work. */
export function establishedTimeout(state: EstablishedState): Instant | undefined {
  const { inactivity, answered, rekeying } = state;
  return earliest(earliest(inactivity.dueAt, answered?.until), rekeying.nextTimeout());
}

/** Does what is due. @returns Why the association is to be closed, if it is. */
export function tendEstablished(
  now: Instant,
  state: EstablishedState,
  { rekeyWithDh }: ControlSettings,
): string | undefined {
  const { rekeying, inactivity, answered } = state;
  const broken = rekeying.handleTimeout(now);
  if (broken !== undefined) return broken;
  if (answered !== undefined && answered.until <= now) state.answered = undefined;
  if (inactivity.dueAt > now) return undefined;
  const activity = inactivity.look(now, rekeying.traffic);
  // The SAs have timed out (RFC 7402 §3.3.7): new ones, or an end if the peer is gone.
  if (activity === "silent") rekeying.start(now, rekeyWithDh);
  return activity === "unused" ? "unused" : undefined;
}
