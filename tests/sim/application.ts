/**
 * What runs on a simulated host above HIP: asks for an echo, answers those of others, and notes
 * what came of its own.
 */

import { bytesEqual } from "../../lib/base/bytes.ts";
import type { Instant } from "../../lib/base/time.ts";
import {
  buildIcmpv6Echo,
  ICMPV6_HEADER_LENGTH,
  ICMPV6_TYPE,
  parseIcmpv6Echo,
} from "../../lib/wire/icmpv6.ts";
import { IPV6_HEADER_LENGTH } from "../../lib/wire/ipv6.ts";
import type { InnerHost } from "./roles.ts";

const IDENTIFIER = 0x4850;
const DATA = new Uint8Array(56).map((_, index) => index);

/** An answer to one echo request. */
export interface Answer {
  readonly sequence: number;
  readonly at: Instant;
}

export class Application {
  /** Echo replies, in order of arrival, repetitions included. */
  readonly replies: Answer[] = [];
  /** ICMPv6 unreachable messages that quote one of our requests. */
  readonly unreachable: Answer[] = [];
  /** Echo requests of others that were answered. */
  answered = 0;
  readonly #host: InnerHost;
  #sequence = 0;

  constructor(host: InnerHost) {
    this.#host = host;
  }

  /** Asks `peer` for an echo. @returns The sequence number. */
  ping(peer: Pick<InnerHost, "hit">): number {
    const sequence = ++this.#sequence;
    this.#host.world.trace.add(this.#host.world.now, this.#host.name, `ping ${sequence}`);
    this.#host.sendInner(buildIcmpv6Echo({
      kind: "request",
      source: this.#host.hit,
      destination: peer.hit,
      identifier: IDENTIFIER,
      sequence,
      data: DATA,
    }));
    return sequence;
  }

  /** Whether the request with this number was answered. */
  hasReply(sequence: number): boolean {
    return this.replies.some((reply) => reply.sequence === sequence);
  }

  /** An inner packet has come out of the engine. */
  receive(packet: Uint8Array): void {
    const { world, name } = this.#host;
    const echo = parseIcmpv6Echo(packet);
    if (echo?.kind === "request") {
      this.answered++;
      const reply = { source: echo.destination, destination: echo.source };
      this.#host.sendInner(buildIcmpv6Echo({ ...echo, ...reply, kind: "reply" }));
    } else if (echo !== undefined && bytesEqual(echo.data, DATA)) {
      world.trace.add(world.now, name, `reply ${echo.sequence}`);
      this.replies.push({ sequence: echo.sequence, at: world.now });
    } else if (packet[IPV6_HEADER_LENGTH] === ICMPV6_TYPE.destinationUnreachable) {
      const quoted = parseIcmpv6Echo(packet.subarray(IPV6_HEADER_LENGTH + ICMPV6_HEADER_LENGTH));
      const sequence = quoted?.sequence ?? 0;
      world.trace.add(world.now, name, `unreachable ${sequence}`);
      this.unreachable.push({ sequence, at: world.now });
    }
  }
}
