/**
 * The states of an association with what each of them holds (RFC 7401 §4.4).
 *
 * ```
 *                    data to send: I1
 *   UNASSOCIATED ------------------------> I1-SENT ---+  timeout: I1 again
 *     |      ^                               |        |  too often: E-FAILED
 *     |      |                       R1: I2  |        |
 *     |      |                               v        |
 *     |      |   R2                       I2-SENT ----+  timeout: I2 again
 *     |      |   +---------------------------+           too often: E-FAILED
 *     |      |   v
 *     |   ESTABLISHED <------------- R2-SENT <---- I2 accepted: R2, from every state but
 *     |      |    first ESP packet or               E-FAILED; in I2-SENT only if our HIT
 *     |      |    Exchange Complete timeout         is the greater one
 *     |      |
 *     |      +--- close, or unused for UAL: CLOSE ---> CLOSING --- CLOSE_ACK ---> UNASSOCIATED
 *     |      |
 *     |      +--- CLOSE: CLOSE_ACK ---> CLOSED --- UAL + 2 MSL ---> UNASSOCIATED
 *     v
 *   E-FAILED --- wait ---> UNASSOCIATED
 * ```
 *
 * Leaving a state drops its data; keys are wiped when no later state takes them over.
 */

import { after, earliest, type Instant, milliseconds } from "../base/time.ts";
import type { StateName } from "./association_context.ts";
import type { AwaitingCompletion } from "./awaiting_completion.ts";
import type { AwaitingR2 } from "./awaiting_r2.ts";
import type { Closing } from "./closing.ts";
import { type ControlSettings, MAXIMUM_SEGMENT_LIFETIME } from "./constants.ts";
import type { ControlKeys, Security } from "./control_keys.ts";
import { type EstablishedState, establishedTimeout } from "./established.ts";
import type { Initiation } from "./initiation.ts";

export type AssociationState =
  | { readonly kind: "UNASSOCIATED" }
  | { readonly kind: "I1-SENT"; readonly initiation: Initiation }
  | { readonly kind: "I2-SENT"; readonly awaiting: AwaitingR2 }
  | { readonly kind: "R2-SENT"; readonly awaiting: AwaitingCompletion }
  | EstablishedState
  | { readonly kind: "CLOSING"; readonly closing: Closing }
  | {
    readonly kind: "CLOSED";
    readonly keys: ControlKeys;
    /** Opaque data of our own CLOSE, when CLOSEs have crossed. */
    readonly echo: Uint8Array | undefined;
    readonly until: Instant;
    /** New data wants a new association: I1 was sent while this one still answers CLOSE. */
    initiation: Initiation | undefined;
  }
  | { readonly kind: "E-FAILED"; readonly until: Instant; readonly why: string };

/** Which state may follow which (RFC 7401 §4.4.3); anything else is a mistake of ours. */
export const ALLOWED_TRANSITIONS: Readonly<Record<StateName, readonly StateName[]>> = {
  "UNASSOCIATED": ["I1-SENT", "R2-SENT"],
  "I1-SENT": ["I2-SENT", "R2-SENT", "E-FAILED", "UNASSOCIATED"],
  "I2-SENT": ["I2-SENT", "ESTABLISHED", "R2-SENT", "E-FAILED", "CLOSED", "UNASSOCIATED"],
  "R2-SENT": ["ESTABLISHED", "R2-SENT", "CLOSING", "CLOSED"],
  "ESTABLISHED": ["R2-SENT", "CLOSING", "CLOSED"],
  "CLOSING": ["I1-SENT", "I2-SENT", "R2-SENT", "CLOSED", "UNASSOCIATED"],
  "CLOSED": ["I1-SENT", "I2-SENT", "R2-SENT", "UNASSOCIATED"],
  "E-FAILED": ["UNASSOCIATED", "R2-SENT"],
};

/** The SAs that a state holds, if any. */
export function securityOf(state: AssociationState): Security | undefined {
  switch (state.kind) {
    case "R2-SENT":
      return state.awaiting.security;
    case "ESTABLISHED":
      return state.rekeying.security;
    default:
      return undefined;
  }
}

/** What a CLOSE_ACK must return, when a CLOSE of ours was sent. */
export function echoOf(state: AssociationState): Uint8Array | undefined {
  if (state.kind === "CLOSING") return state.closing.echo;
  return state.kind === "CLOSED" ? state.echo : undefined;
}

/** The keys that a state holds, if any. */
export function keysOf(state: AssociationState): ControlKeys | undefined {
  switch (state.kind) {
    case "R2-SENT":
    case "ESTABLISHED":
      return securityOf(state)!.keys;
    case "I2-SENT":
      return state.awaiting.sent.keys;
    case "CLOSING":
      return state.closing.keys;
    case "CLOSED":
      return state.keys;
    default:
      return undefined;
  }
}

/** When the next timer of a state runs out. */
export function timeoutOf(state: AssociationState): Instant | undefined {
  switch (state.kind) {
    case "UNASSOCIATED":
      return undefined;
    case "I1-SENT":
      return state.initiation.retryAt;
    case "I2-SENT":
      return state.awaiting.retryAt;
    case "CLOSING":
      return state.closing.retryAt;
    case "R2-SENT":
      return state.awaiting.nextTimeout();
    case "ESTABLISHED":
      return establishedTimeout(state);
    case "CLOSED":
      return earliest(state.until, state.initiation?.retryAt);
    case "E-FAILED":
      return state.until;
  }
}

/** What follows a state with keys after the peer's CLOSE: it lasts UAL + 2 MSL (§4.4.3). */
export function closedState(
  now: Instant,
  state: AssociationState,
  { unusedAssociationLifetime }: ControlSettings,
): AssociationState {
  const lifetime = milliseconds(unusedAssociationLifetime + 2 * MAXIMUM_SEGMENT_LIFETIME);
  const until = after(now, lifetime);
  const keys = keysOf(state)!;
  return { kind: "CLOSED", keys, echo: echoOf(state), until, initiation: undefined };
}
