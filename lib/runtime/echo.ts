/**
 * ICMPv6 echo through HIP (RFC 4443 §4.1, §4.2): requests that the agent itself puts in where the
 * packets of applications come in, and replies that it takes out before they reach the system. No
 * socket and no privilege beside those the agent has; the peer's kernel answers.
 */

import { bytesEqual } from "../base/bytes.ts";
import { buildIcmpv6Echo, type Icmpv6Echo, parseIcmpv6Echo } from "../wire/icmpv6.ts";

/** Octets of data in a request, as ping(8) sends. */
const DATA_OCTETS = 56;

interface Waiting {
  readonly peerHit: Uint8Array;
  readonly sequence: number;
  readonly sentAt: number;
  readonly answer: (rttMs: number | undefined) => void;
}

/** What echo needs of its surroundings. */
export interface EchoPorts {
  /** Milliseconds. */
  now(): number;
  /** Puts an inner IPv6 packet in as if an application had sent it. */
  inject(packet: Uint8Array): void;
  /** Whether replies are awaited has changed. */
  awaits(isWaiting: boolean): void;
}

/** Sends requests and recognises their replies. */
export class EchoClient {
  readonly #ports: EchoPorts;
  /** Echo identifier: tells our replies from those of a ping(8) on this host. */
  readonly #identifier: number;
  readonly #waiting = new Set<Waiting>();

  /** @param identifier 0 to 65535. */
  constructor(ports: EchoPorts, identifier: number) {
    this.#ports = ports;
    this.#identifier = identifier;
  }

  /**
   * Sends one request.
   *
   * @returns Milliseconds to the reply; undefined when none came in time.
   */
  async ask(
    localHit: Uint8Array,
    peerHit: Uint8Array,
    sequence: number,
    timeoutMs: number,
  ): Promise<number | undefined> {
    let waiting: Waiting | undefined;
    let timer: number | undefined;
    try {
      return await new Promise<number | undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), timeoutMs);
        waiting = { peerHit, sequence, sentAt: this.#ports.now(), answer: resolve };
        this.#waiting.add(waiting);
        this.#ports.awaits(true);
        this.#ports.inject(buildIcmpv6Echo({
          kind: "request",
          source: localHit,
          destination: peerHit,
          identifier: this.#identifier,
          sequence,
          data: new Uint8Array(DATA_OCTETS),
        }));
      });
    } finally {
      clearTimeout(timer);
      if (waiting !== undefined) this.#waiting.delete(waiting);
      this.#ports.awaits(this.isWaiting);
    }
  }

  /** Whether a request is under way. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /**
   * Looks at an inner packet on its way to the system.
   *
   * @param packet IPv6 packet; borrowed.
   * @returns Whether it was a reply to us, so that the system does not get it.
   */
  takeReply(packet: Uint8Array): boolean {
    if (!this.isWaiting) return false;
    const echo: Icmpv6Echo | undefined = parseIcmpv6Echo(packet);
    if (echo === undefined || echo.kind !== "reply" || echo.identifier !== this.#identifier) {
      return false;
    }
    for (const waiting of this.#waiting) {
      if (waiting.sequence !== echo.sequence || !bytesEqual(waiting.peerHit, echo.source)) continue;
      waiting.answer(this.#ports.now() - waiting.sentAt);
    }
    return true;
  }
}
