/**
 * CLOSING: a CLOSE of ours waits for its CLOSE_ACK (RFC 7401 §4.4.3, §6.14).
 *
 * Data has stopped; the keys stay, to sign the CLOSE and to check the answer. The CLOSE is sent
 * again, ever more seldom, until UAL + MSL have passed.
 */

import { randomBytes } from "../base/random.ts";
import { after, elapsed, type Instant, milliseconds } from "../base/time.ts";
import { PACKET } from "../wire/hip/code_points.ts";
import { encodeParameter } from "../wire/hip/parameter.ts";
import { ECHO_REQUEST_SIGNED } from "../wire/hip/parameters/echo.ts";
import type { AddressPair, AssociationContext } from "./association_context.ts";
import { backOff } from "./back_off.ts";
import { MAXIMUM_SEGMENT_LIFETIME } from "./constants.ts";
import type { ControlChannel } from "./control_channel.ts";
import type { ControlKeys } from "./control_keys.ts";

export class Closing {
  readonly keys: ControlKeys;
  /** Opaque data of our CLOSE, which the CLOSE_ACK must return. */
  readonly echo: Uint8Array;
  readonly #context: AssociationContext;
  readonly #addresses: AddressPair;
  readonly #startedAt: Instant;
  /** The signed packet, once its job is done. */
  #close: Uint8Array | undefined;
  #attempts = 0;
  #retryAt: Instant;

  constructor(
    now: Instant,
    context: AssociationContext,
    keys: ControlKeys,
    addresses: AddressPair,
  ) {
    this.#context = context;
    this.keys = keys;
    this.#addresses = addresses;
    this.echo = randomBytes(context.random, 16);
    this.#startedAt = now;
    this.#retryAt = after(now, context.settings.closeTimeout);
  }

  /** Has the CLOSE signed. */
  start(channel: ControlChannel): void {
    const request = encodeParameter(ECHO_REQUEST_SIGNED, { opaque: this.echo });
    channel.sign(PACKET.CLOSE, [request], this.#addresses, this.keys);
  }

  /** The CLOSE is signed and goes out. */
  handleSigned(close: Uint8Array): void {
    this.#close = close;
    this.#attempts++;
  }

  /** When `handleTimeout` has work. */
  get retryAt(): Instant {
    return this.#retryAt;
  }

  /** Sends CLOSE again. @returns False when UAL + MSL are over (§4.4.3). */
  handleTimeout(now: Instant): boolean {
    const { unusedAssociationLifetime, closeTimeout, closeTimeoutMax } = this.#context.settings;
    const lifetime = milliseconds(unusedAssociationLifetime + MAXIMUM_SEGMENT_LIFETIME);
    if (elapsed(this.#startedAt, now) >= lifetime) return false;
    this.#attempts++;
    if (this.#close !== undefined) this.#context.transmit(now, this.#addresses, this.#close);
    this.#retryAt = after(now, backOff(closeTimeout, closeTimeoutMax, this.#attempts));
    return true;
  }
}
