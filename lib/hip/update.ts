/**
 * UPDATE as a carrier: Update IDs, acknowledgements, retransmission (RFC 7401 §5.3.5, §6.11, §6.12).
 * What an UPDATE means is the business of whoever owns this (`rekeying.ts`).
 *
 * ```
 *   UPDATE(SEQ 0, ...)            ->      sent again until its ACK, then the association is broken
 *                                 <-      UPDATE(SEQ 0, ACK 0, ...)     or UPDATE(ACK 0)
 *   UPDATE(ACK 0)                 ->      never acknowledged, never sent again by itself
 * ```
 *
 * Each end counts its own Update IDs from 0. Every ID is acknowledged by itself; what was processed
 * once is acknowledged again and not processed again.
 */

import { MalformedPacketError } from "../base/errors.ts";
import type { DropReason } from "../base/drop_reason.ts";
import { after, type Duration, elapsed, type Instant, milliseconds } from "../base/time.ts";
import { PACKET, PARAMETER } from "../wire/hip/code_points.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import { HIP_FIELD, type HipPacket } from "../wire/hip/packet.ts";
import { ACK } from "../wire/hip/parameters/ack.ts";
import { DIFFIE_HELLMAN, type DiffieHellman } from "../wire/hip/parameters/diffie_hellman.ts";
import { type Echo, ECHO_REQUEST_SIGNED } from "../wire/hip/parameters/echo.ts";
import { ESP_INFO, type EspInfo } from "../wire/hip/parameters/esp_info.ts";
import { SEQ } from "../wire/hip/parameters/seq.ts";
import type { AddressPair, AssociationContext, AssociationHandle } from "./association_context.ts";
import { backOff } from "./back_off.ts";
import { MAX_KEPT_ANSWERS, UPDATE_REPEAT_INTERVAL, UPDATE_WINDOW } from "./constants.ts";
import type { ControlChannel } from "./control_channel.ts";
import type { ControlKeys } from "./control_keys.ts";
import { UpdateWindow } from "./update_window.ts";

/** What an UPDATE says, as far as we know its parameters. */
export interface UpdateContents {
  readonly updateId: number | undefined;
  readonly acknowledges: readonly number[];
  readonly espInfo: EspInfo | undefined;
  readonly diffieHellman: DiffieHellman | undefined;
  /** What is to be returned (§5.2.20). */
  readonly echoRequest: Echo | undefined;
}

/**
 * Reads an UPDATE, before its MAC is checked.
 *
 * @throws {MalformedPacketError} Without SEQ and ACK, or with more than one of a kind.
 */
export function readUpdate(packet: HipPacket): UpdateContents {
  for (const type of [PARAMETER.SEQ, PARAMETER.ACK, PARAMETER.ESP_INFO, PARAMETER.DIFFIE_HELLMAN]) {
    if (packet.parameters.filter((parameter) => parameter.type === type).length > 1) {
      throw new MalformedPacketError("UPDATE", `parameter ${type} is repeated`);
    }
  }
  const updateId = packet.first(SEQ)?.updateId;
  const acknowledges = packet.first(ACK)?.updateIds;
  if (updateId === undefined && acknowledges === undefined) {
    throw new MalformedPacketError("UPDATE", "neither SEQ nor ACK is present");
  }
  const espInfo = packet.first(ESP_INFO);
  const diffieHellman = packet.first(DIFFIE_HELLMAN);
  const echoRequest = packet.first(ECHO_REQUEST_SIGNED);
  return { updateId, acknowledges: acknowledges ?? [], espInfo, diffieHellman, echoRequest };
}

/** An UPDATE of ours that waits for its ACK. */
interface Outstanding {
  readonly parameters: readonly Uint8Array[];
  /** Update IDs of the peer that it acknowledges as well. */
  readonly acknowledges: readonly number[];
  /** Signed; undefined while its job runs. */
  packet: Uint8Array | undefined;
  transmissions: number;
  sentAt: Instant;
  retryAt: Instant;
}

/** An UPDATE of the peer that was processed, and what answered it. */
interface Answered {
  readonly updateId: number;
  readonly received: Uint8Array;
  /** Whether the owner wants it acknowledged; until then, and if it never does, copies get none. */
  isAcknowledged: boolean;
  packet: Uint8Array | undefined;
  repeatedAt: Instant;
}

export interface UpdatesOptions {
  readonly context: AssociationContext;
  readonly association: AssociationHandle;
  readonly channel: ControlChannel;
  readonly keys: ControlKeys;
  /** Where UPDATEs go to, now. */
  readonly path: () => AddressPair;
  /** Round trip as the base exchange suggests it, if it does. */
  readonly roundTrip: Duration | undefined;
}

export class Updates {
  readonly #options: UpdatesOptions;
  readonly #window = new UpdateWindow(UPDATE_WINDOW);
  #nextId = 0;
  #roundTrip: Duration | undefined;
  readonly #outstanding = new Map<number, Outstanding>();
  /** Oldest first. */
  readonly #answered: Answered[] = [];
  /** Signature jobs: the Update ID of ours, or undefined, and the IDs that they acknowledge. */
  readonly #signing = new Map<
    number,
    { own: number | undefined; acknowledges: readonly number[] }
  >();

  constructor(options: UpdatesOptions) {
    this.#options = options;
    this.#roundTrip = options.roundTrip;
  }

  /** Whether an UPDATE of ours waits for its ACK that others depend on: it says something. */
  get hasDependents(): boolean {
    return [...this.#outstanding.values()].some(({ parameters }) => parameters.length > 0);
  }

  // ---- sending ---------------------------------------------------------------------------------

  /**
   * Sends parameters to the peer until it acknowledges them.
   *
   * @param acknowledges Update IDs of the peer that this answers as well.
   * @returns The Update ID.
   */
  send(now: Instant, parameters: readonly Uint8Array[], acknowledges: readonly number[]): number {
    const updateId = this.#nextId;
    this.#nextId = (updateId + 1) >>> 0;
    this.#markAcknowledged(acknowledges);
    const outstanding = {
      parameters,
      acknowledges,
      packet: undefined,
      transmissions: 0,
      sentAt: now,
      retryAt: after(now, this.#waitAfter(1)),
    };
    this.#outstanding.set(updateId, outstanding);
    this.#sign(updateId, outstanding);
    return updateId;
  }

  /** Sends an UPDATE of ours no more; what it acknowledged is acknowledged without it. */
  cancel(updateId: number): void {
    const outstanding = this.#outstanding.get(updateId);
    this.#outstanding.delete(updateId);
    for (const answered of this.#answered) {
      if (outstanding?.acknowledges.includes(answered.updateId)) answered.packet = undefined;
    }
  }

  /** Sends an UPDATE that only acknowledges (§5.3.5). @param answers Parameters that go with it. */
  acknowledge(updateIds: readonly number[], answers: readonly Uint8Array[] = []): void {
    this.#markAcknowledged(updateIds);
    this.#signAck(updateIds, answers);
  }

  #signAck(updateIds: readonly number[], answers: readonly Uint8Array[] = []): void {
    const { channel, keys, path } = this.#options;
    const parameters = [...answers, encodeParameter(ACK, { updateIds })];
    const job = channel.sign(PACKET.UPDATE, parameters, path(), keys);
    this.#signing.set(job, { own: undefined, acknowledges: updateIds });
  }

  #sign(updateId: number, { parameters, acknowledges }: Outstanding): void {
    const { channel, keys, path } = this.#options;
    const all = [...parameters, encodeParameter(SEQ, { updateId })];
    if (acknowledges.length > 0) all.push(encodeParameter(ACK, { updateIds: acknowledges }));
    const job = channel.sign(PACKET.UPDATE, all, path(), keys);
    this.#signing.set(job, { own: updateId, acknowledges });
  }

  /** A packet that a job has signed, or undefined when the job failed: a timer tries again. */
  handleSigned(now: Instant, job: number, packet: Uint8Array | undefined): void {
    const signed = this.#signing.get(job);
    this.#signing.delete(job);
    if (signed === undefined || packet === undefined) return;
    const outstanding = signed.own === undefined ? undefined : this.#outstanding.get(signed.own);
    if (signed.own !== undefined && outstanding === undefined) return;
    for (const answered of this.#answered) {
      if (signed.acknowledges.includes(answered.updateId)) answered.packet = packet;
    }
    if (outstanding !== undefined) {
      outstanding.packet = packet;
      outstanding.transmissions++;
      outstanding.sentAt = now;
      outstanding.retryAt = after(now, this.#waitAfter(outstanding.transmissions));
    }
    this.#transmit(now, packet);
  }

  #transmit(now: Instant, packet: Uint8Array): void {
    this.#options.context.transmit(now, this.#options.path(), packet);
  }

  /** TMR-011: twice the round trip at first, doubled with each transmission. */
  #waitAfter(transmissions: number): Duration {
    const { updateTimeout, updateTimeoutMin, updateTimeoutMax } = this.#options.context.settings;
    const first = this.#roundTrip === undefined
      ? updateTimeout
      : milliseconds(Math.max(2 * this.#roundTrip, updateTimeoutMin));
    return backOff(first, updateTimeoutMax, transmissions);
  }

  /** When `handleTimeout` has work. */
  nextTimeout(): Instant | undefined {
    let next: Instant | undefined;
    for (const { retryAt } of this.#outstanding.values()) {
      if (next === undefined || retryAt < next) next = retryAt;
    }
    return next;
  }

  /** Sends again what is due. @returns False when an UPDATE was sent too often (§6.11 step 4). */
  handleTimeout(now: Instant): boolean {
    for (const [updateId, outstanding] of this.#outstanding) {
      if (outstanding.retryAt > now) continue;
      const { packet, transmissions } = outstanding;
      if (transmissions > this.#options.context.settings.updateRetriesMax) return false;
      outstanding.transmissions++;
      outstanding.retryAt = after(now, this.#waitAfter(transmissions + 1));
      if (packet === undefined) this.#sign(updateId, outstanding);
      else this.#transmit(now, packet);
    }
    return true;
  }

  // ---- receiving -------------------------------------------------------------------------------

  /**
   * The checks that come before the MAC. An exact copy of a packet that was answered gets the same
   * answer, without any cryptography (§6.12.1 step 2).
   *
   * @returns "handled" when that is all, undefined when MAC and signature are to be checked.
   */
  admit(
    now: Instant,
    packet: HipPacket,
    update: UpdateContents,
  ): DropReason | "handled" | undefined {
    const { updateId, acknowledges } = update;
    if (updateId === undefined) {
      const isAwaited = acknowledges.some((id) => this.#outstanding.has(id));
      return isAwaited ? undefined : "hip-replayed";
    }
    const verdict = this.#window.judge(updateId);
    if (verdict === "beyond") return "hip-outside-window";
    if (verdict === "new") return undefined;
    const answered = this.#answered.find((one) => one.updateId === updateId);
    if (answered === undefined) return "hip-replayed";
    if (!isCopy(answered.received, packet.bytes)) return undefined;
    return this.#repeat(now, answered) ? "handled" : "hip-replayed";
  }

  /**
   * Takes in an UPDATE whose MAC and signature are right: its ACK first.
   *
   * @returns Which of our Update IDs it acknowledges for the first time, and whether its own was
   *   not seen before, so that its parameters count.
   */
  take(
    now: Instant,
    packet: HipPacket,
    { updateId, acknowledges }: UpdateContents,
  ): { readonly acknowledged: readonly number[]; readonly isNew: boolean } {
    const acknowledged = acknowledges.filter((id) => this.#settle(now, id));
    if (updateId === undefined) return { acknowledged, isNew: false };
    const verdict = this.#window.judge(updateId);
    if (verdict === "new") {
      this.#window.record(updateId);
      this.#remember(now, updateId, packet.bytes);
      return { acknowledged, isNew: true };
    }
    const answered = this.#answered.find((one) => one.updateId === updateId);
    if (answered !== undefined) this.#repeat(now, answered);
    return { acknowledged, isNew: false };
  }

  /** An UPDATE taken in cannot be processed now: a later copy counts as new. */
  putBack(updateId: number): void {
    this.#window.forget(updateId);
    const at = this.#answered.findIndex((one) => one.updateId === updateId);
    if (at >= 0) this.#answered.splice(at, 1);
  }

  /** @returns Whether the ID was outstanding. */
  #settle(now: Instant, updateId: number): boolean {
    const outstanding = this.#outstanding.get(updateId);
    if (outstanding === undefined) return false;
    this.#outstanding.delete(updateId);
    // What was sent more than once does not say which copy was acknowledged.
    if (outstanding.transmissions === 1) this.#roundTrip = elapsed(outstanding.sentAt, now);
    return true;
  }

  #remember(now: Instant, updateId: number, received: Uint8Array): void {
    const repeatedAt = after(now, milliseconds(-UPDATE_REPEAT_INTERVAL));
    this.#answered.push({
      updateId,
      received,
      isAcknowledged: false,
      packet: undefined,
      repeatedAt,
    });
    if (this.#answered.length > MAX_KEPT_ANSWERS) this.#answered.shift();
  }

  #markAcknowledged(updateIds: readonly number[]): void {
    for (const answered of this.#answered) {
      if (updateIds.includes(answered.updateId)) answered.isAcknowledged = true;
    }
  }

  /** Acknowledges again what was acknowledged before. @returns Whether there was something to. */
  #repeat(now: Instant, answered: Answered): boolean {
    const { updateId, packet, repeatedAt, isAcknowledged } = answered;
    if (!isAcknowledged || elapsed(repeatedAt, now) < UPDATE_REPEAT_INTERVAL) return false;
    answered.repeatedAt = now;
    if (packet !== undefined) {
      this.#transmit(now, packet);
    } else if (![...this.#signing.values()].some((job) => job.acknowledges.includes(updateId))) {
      this.#signAck([updateId]);
    }
    return true;
  }
}

/** Whether two packets are the same but for the checksum, which belongs to the addresses. */
function isCopy(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const isChecksum = i === HIP_FIELD.checksum || i === HIP_FIELD.checksum + 1;
    if (a[i] !== b[i] && !isChecksum) return false;
  }
  return true;
}
