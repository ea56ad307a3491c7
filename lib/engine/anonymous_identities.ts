/**
 * Anonymous Host Identities, made for one peer and gone after use (RFC 7401 §5.1.2, §7). Making a
 * key is a job. When the association has ended and no job needs the key any more, whoever signs is
 * told to forget it, and it is wiped. They have no R1: nobody can start an exchange with them.
 *
 * A peer has one at a time. Bounded in number.
 */

import { toHex, wipe } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import { type Random, randomBytes } from "../base/random.ts";
import type { Instant } from "../base/time.ts";
import type { ForgetKeyJob, GenerateIdentityJob, JobResult } from "../hip/jobs.ts";
import type { IdentityKind } from "../identity/host_identity.ts";
import type { LocalIdentity } from "./engine_options.ts";
import type { IdentityTable } from "./identity_table.ts";

/** Identities at once, those that are being made or forgotten included. */
export const MAX_ANONYMOUS = 64;

/** The most common kind: a rare one would tell its owner from others. */
const ANONYMOUS_KIND: IdentityKind = "ecdsa-p256";

/** Whom an anonymous identity is to meet: a HIT, or whoever is at an address (§4.1.8). */
export type AnonymousPeer = { readonly hit: Uint8Array } | { readonly address: Uint8Array };

/** What it asks of the engine. */
export interface AnonymousContext {
  readonly random: Random;
  readonly identities: IdentityTable;
  submitGenerate(peer: AnonymousPeer, job: GenerateIdentityJob): void;
  submitForget(job: ForgetKeyJob): void;
  /** Whether a job under way needs an identity, or its association waits for one. */
  isNeeded(localHit: Uint8Array): boolean;
  /** Starts an exchange. @returns Whether there is room for its association. */
  begin(now: Instant, localHit: Uint8Array, peer: AnonymousPeer): boolean;
  /** An identity has come, or is gone. */
  changed(now: Instant, localHit: Uint8Array, isGone: boolean): void;
  drop(now: Instant, reason: DropReason, detail: string): void;
}

interface Meeting {
  readonly peer: AnonymousPeer;
  /** Whether the next identity is made when this one has been used. */
  isStanding: boolean;
  /** Whether an exchange is to begin as soon as the key is there. */
  isAwaited: boolean;
  /** Whether the peer has accepted it, so that it is used up. */
  isUsed: boolean;
  /** Absent while it is being made. */
  local?: LocalIdentity;
}

export class AnonymousIdentities {
  readonly #context: AnonymousContext;
  readonly #meetings = new Map<string, Meeting>();
  /** Used up, and needed by a job; or being forgotten. */
  readonly #leaving = new Map<string, { readonly local: LocalIdentity; isForgetting: boolean }>();

  constructor(context: AnonymousContext) {
    this.#context = context;
  }

  /** Whether no key is being made. */
  get isSettled(): boolean {
    return [...this.#meetings.values()].every(({ local }) => local !== undefined);
  }

  /** Meets a peer under an identity of its own. @returns False at the limit. */
  connect(now: Instant, peer: AnonymousPeer): boolean {
    const meeting = this.#meetings.get(keyOf(peer)) ?? this.#make(peer, false);
    if (meeting === undefined) return false;
    if (meeting.local === undefined) meeting.isAwaited = true;
    else this.#begin(now, meeting.local.identity.hit, meeting);
    return true;
  }

  /** Keeps an identity ready for a peer, another one after each use. */
  keep(peerHit: Uint8Array): void {
    const peer = { hit: peerHit };
    const meeting = this.#meetings.get(keyOf(peer)) ?? this.#make(peer, true);
    if (meeting !== undefined) meeting.isStanding = true;
  }

  /** The identity that stands ready for a peer, or is in use with it. */
  hitFor(peerHit: Uint8Array): Uint8Array | undefined {
    return this.#meetings.get(keyOf({ hit: peerHit }))?.local?.identity.hit;
  }

  /** Pairs of HITs between which traffic is to go: the peers for which an identity is kept. */
  get standing(): { readonly localHit: Uint8Array; readonly peerHit: Uint8Array }[] {
    return [...this.#meetings.values()].flatMap(({ isStanding, local, peer }) =>
      isStanding && local !== undefined && "hit" in peer
        ? [{ localHit: local.identity.hit, peerHit: peer.hit }]
        : []
    );
  }

  /** A key was made, or could not be. */
  handleMade(now: Instant, peer: AnonymousPeer, result: JobResult): void {
    const key = keyOf(peer);
    const meeting = this.#meetings.get(key);
    if (meeting === undefined) return;
    if (result.kind !== "generate-identity") {
      this.#meetings.delete(key);
      this.#context.drop(now, "hip-job-failed", "no anonymous identity could be made");
      return;
    }
    meeting.local = { identity: result.identity, name: "anonymous", isAnonymous: true };
    const { hit } = result.identity;
    this.#context.identities.add(meeting.local);
    this.#context.changed(now, hit, false);
    if (meeting.isAwaited) this.#begin(now, hit, meeting);
  }

  /** An association under `localHit` was accepted by its peer. */
  noteUsed(localHit: Uint8Array): void {
    const meeting = this.#meetingOf(localHit);
    if (meeting !== undefined) meeting.isUsed = true;
  }

  /** The association under `localHit` is no more. */
  noteEnded(localHit: Uint8Array): void {
    const meeting = this.#meetingOf(localHit);
    // One that is kept, and that nobody has accepted, is as good as new.
    if (meeting?.local === undefined || (meeting.isStanding && !meeting.isUsed)) return;
    this.#meetings.delete(keyOf(meeting.peer));
    this.#leaving.set(toHex(localHit), { local: meeting.local, isForgetting: false });
    this.reap();
    if (meeting.isStanding) this.#make(meeting.peer, true);
  }

  /** Forgets what no job needs any more; to be called when jobs end. */
  reap(): void {
    for (const leaving of this.#leaving.values()) {
      const { identity } = leaving.local;
      if (leaving.isForgetting || this.#context.isNeeded(identity.hit)) continue;
      leaving.isForgetting = true;
      this.#context.submitForget({ kind: "forget-key", identity });
    }
  }

  /** The signer has forgotten a key, or was lost with it. */
  handleForgotten(now: Instant, localHit: Uint8Array): void {
    const leaving = this.#leaving.get(toHex(localHit));
    if (leaving === undefined) return;
    this.#leaving.delete(toHex(localHit));
    this.#context.identities.remove(localHit);
    wipe(leaving.local.identity.privateKey);
    this.#context.changed(now, localHit, true);
  }

  #begin(now: Instant, localHit: Uint8Array, meeting: Meeting): void {
    meeting.isAwaited = false;
    if (!this.#context.begin(now, localHit, meeting.peer)) this.noteEnded(localHit);
  }

  #make(peer: AnonymousPeer, isStanding: boolean): Meeting | undefined {
    if (this.#meetings.size + this.#leaving.size >= MAX_ANONYMOUS) return undefined;
    const meeting = { peer, isStanding, isAwaited: false, isUsed: false };
    this.#meetings.set(keyOf(peer), meeting);
    this.#context.submitGenerate(peer, {
      kind: "generate-identity",
      seed: randomBytes(this.#context.random, 32),
      identityKind: ANONYMOUS_KIND,
    });
    return meeting;
  }

  #meetingOf(localHit: Uint8Array): Meeting | undefined {
    if (!this.#context.identities.isPassing(localHit)) return undefined;
    const { identity } = this.#context.identities.require(localHit);
    return [...this.#meetings.values()].find(({ local }) => local?.identity === identity);
  }
}

function keyOf(peer: AnonymousPeer): string {
  return "hit" in peer ? `hit ${toHex(peer.hit)}` : `at ${toHex(peer.address)}`;
}
