/**
 * The thread that receives: ESP packets become inner packets (see `Lane`). Packets of SAs that it
 * does not work on are the engine's, as is everything that is not ESP. Nothing here allocates or
 * throws for a packet that is delivered.
 *
 * Work for a packet that nobody vouches for: a look at its SPI and at a filter; when the SPI is
 * that of an SA, the replay window and one ICV.
 */

import type { DropReason } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { PerSecond } from "../base/per_second.ts";
import type { Instant } from "../base/time.ts";
import { ESP_HEADER_LENGTH, espSequence, espSpi } from "../wire/esp.ts";
import { ICMPV6_TYPE } from "../wire/icmpv6.ts";
import { IPV6_FIELD, IPV6_HEADER_LENGTH, NEXT_HEADER } from "../wire/ipv6.ts";
import { isTcpSyn } from "../wire/tcp_mss.ts";
import { classifyUdp } from "../wire/udp_encapsulation.ts";
import { auditEventOf } from "./audit_event.ts";
import { decapsulate } from "./decapsulate.ts";
import { Lane, type LaneParts, type LentSa } from "./lane.ts";
import { RECORD, type TakenSa, writePacket, writeRefusal } from "./lane_records.ts";
import { InboundSa, NO_REKEY_LIMITS } from "./security_association.ts";
import { SpiFilter } from "./spi_filter.ts";

/** Packets without an SA that the engine is shown per second: it may have to meet a peer again. */
const STRANGERS_PER_SECOND = 100;

/** Refused packets that the engine hears of per second, for the audit log. */
const REFUSALS_PER_SECOND = 20;

export class InboundLane extends Lane<InboundSa> {
  /** By SPI as a signed integer, which is what a `Map` finds fastest. */
  readonly #bySpi = new Map<number, LentSa<InboundSa>>();
  readonly #knownSpis: SpiFilter;
  readonly #strangers = new PerSecond(STRANGERS_PER_SECOND);
  readonly #refusals = new PerSecond(REFUSALS_PER_SECOND);
  readonly #isReplyAwaited: () => boolean;

  /**
   * @param parts.knownSpis Memory of the filter of the engine's `SaDatabase`.
   * @param parts.isReplyAwaited Whether the agent waits for an echo reply.
   */
  constructor(
    parts: LaneParts & {
      readonly knownSpis: SharedArrayBuffer;
      readonly isReplyAwaited: () => boolean;
    },
  ) {
    super(parts);
    this.#knownSpis = new SpiFilter(parts.knownSpis);
    this.#isReplyAwaited = parts.isReplyAwaited;
  }

  /** SAs that this thread works on. */
  get size(): number {
    return this.#bySpi.size;
  }

  /**
   * A packet from outside: ESP, by itself or in UDP, or anything else in UDP.
   *
   * @returns "deliver" when `buffer` has become an inner packet for the applications.
   */
  handleDatagram(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    const { bytes, start, end, path } = buffer;
    switch (path.protocol === NEXT_HEADER.udp ? classifyUdp(bytes, start, end) : "esp") {
      case "esp":
        return this.#handleEsp(now, buffer);
      case "hip":
        return this.passOn(buffer);
      case "keepalive":
        return "consumed";
      case "short":
        return this.drop("udp-too-short");
      case "reserved":
        return this.drop("udp-reserved-spi");
    }
  }

  #handleEsp(now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    if (buffer.length < ESP_HEADER_LENGTH) return this.drop("esp-too-short");
    const spi = espSpi(buffer.bytes, buffer.start);
    const lent = this.#bySpi.get(spi | 0);
    if (lent === undefined) return this.#handleStranger(now, spi, buffer);
    const { sa } = lent;
    if (!sa.isActive || buffer.path.isFragment) return this.passOn(buffer);
    const reason = decapsulate(sa, buffer);
    if (reason !== undefined) return this.#refuse(now, lent, reason, buffer);
    this.#noteRight(lent);
    if (
      isTcpSyn(buffer) || sa.mayBeForIpv4 || (this.#isReplyAwaited() && isEchoReply(buffer))
    ) {
      this.report(writePacket(this.reports, RECORD.inner, buffer));
      return "consumed";
    }
    return "deliver";
  }

  #handleStranger(now: Instant, spi: number, buffer: PacketBuffer): "consumed" {
    if (this.#knownSpis.mayHave(spi) || this.#strangers.allow(now)) return this.passOn(buffer);
    return this.drop("esp-unknown-spi");
  }

  #refuse(
    now: Instant,
    lent: LentSa<InboundSa>,
    reason: DropReason,
    { bytes, start, path }: PacketBuffer,
  ): "consumed" {
    if (reason === "esp-dummy") this.#noteRight(lent);
    if (auditEventOf(reason) !== undefined && this.#refusals.allow(now)) {
      const [spi, sequence] = [espSpi(bytes, start), espSequence(bytes, start)];
      this.report(writeRefusal(this.reports, reason, spi, sequence, path));
    }
    return this.drop(reason);
  }

  /** What the engine wants to know of a packet that was right. */
  #noteRight(lent: LentSa<InboundSa>): void {
    const { sa } = lent;
    if (sa.isAwaited && this.tell(lent, "arrived")) sa.isAwaited = false;
    if (sa.isRekeyDue && this.tell(lent, "rekey-due")) sa.rekeyLimits = NO_REKEY_LIMITS;
  }

  protected override make(words: Uint32Array, { suiteId, keys }: TakenSa): InboundSa {
    return new InboundSa({ words, suiteId, opener: this.espProvider.opener(suiteId, keys) });
  }

  protected override file(lent: LentSa<InboundSa>): void {
    this.#bySpi.set(lent.sa.spi | 0, lent);
  }

  protected override remove({ sa }: LentSa<InboundSa>): void {
    if (this.#bySpi.get(sa.spi | 0)?.sa === sa) this.#bySpi.delete(sa.spi | 0);
  }

  protected override wipeCipher(sa: InboundSa): void {
    sa.opener.wipe();
  }
}

function isEchoReply({ bytes, start, length }: PacketBuffer): boolean {
  return length > IPV6_HEADER_LENGTH &&
    bytes[start + IPV6_FIELD.nextHeader] === NEXT_HEADER.icmpv6 &&
    bytes[start + IPV6_HEADER_LENGTH] === ICMPV6_TYPE.echoReply;
}
