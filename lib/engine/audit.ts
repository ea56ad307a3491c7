/**
 * The audit log of ESP (RFC 4303 §4): which packets were refused, one line each, so that the time
 * stands before it. Which events are logged is the administrator's choice; strangers can cause
 * most of them, so there are few lines a second, and a line that says how many were left out.
 */

import type { Logger } from "../base/logger.ts";
import { PerSecond } from "../base/per_second.ts";
import type { Instant } from "../base/time.ts";
import type { AuditEvent } from "../esp/audit_event.ts";
import { formatIpAddress } from "../wire/ip_address.ts";

/** Lines per second. */
const MOST = 10;

const MEANINGS: Readonly<Record<AuditEvent, string>> = {
  "overflow": "sequence number would overflow",
  "fragment": "fragment offered to ESP",
  "no-sa": "no SA",
  "replay": "replayed packet",
  "icv-failed": "ICV failed",
};

/** Outer addresses, 16 octets each. */
interface AuditedPath {
  readonly localAddress: Uint8Array;
  readonly peerAddress: Uint8Array;
}

export class Audit {
  readonly #logger: Logger;
  readonly #events: ReadonlySet<AuditEvent>;
  readonly #budget = new PerSecond(MOST);
  #leftOut = 0;

  /** @param events What is logged. */
  constructor(logger: Logger, events: readonly AuditEvent[]) {
    this.#logger = logger;
    this.#events = new Set(events);
  }

  /** A packet that came from `path.peerAddress`; `sequence` is what it carries, 32 bits. */
  noteReceived(
    now: Instant,
    event: AuditEvent,
    spi: number,
    sequence: number,
    path: AuditedPath,
  ): void {
    this.#note(now, event, spi, sequence, path.peerAddress, path.localAddress);
  }

  /** A packet that did not leave for `path.peerAddress`. */
  noteSent(
    now: Instant,
    event: AuditEvent,
    spi: number,
    sequence: number,
    path: AuditedPath,
  ): void {
    this.#note(now, event, spi, sequence, path.localAddress, path.peerAddress);
  }

  #note(
    now: Instant,
    event: AuditEvent,
    spi: number,
    sequence: number,
    source: Uint8Array,
    destination: Uint8Array,
  ): void {
    if (!this.#events.has(event)) return;
    if (!this.#budget.allow(now)) {
      this.#leftOut++;
      return;
    }
    if (this.#leftOut > 0) {
      this.#logger.log("warning", `ESP audit: ${this.#leftOut} events were left out`);
      this.#leftOut = 0;
    }
    const name = `SPI ${spi.toString(16).padStart(8, "0")}, sequence number ${sequence}`;
    const way = `from ${formatIpAddress(source)} to ${formatIpAddress(destination)}`;
    this.#logger.log("warning", `ESP audit: ${MEANINGS[event]}, ${name}, ${way}`);
  }
}
