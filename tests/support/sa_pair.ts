/** Two ends of one SA, and inner packets to send through it. */

import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import type { Random } from "../../lib/base/random.ts";
import { type EspKeys, type EspProvider, espSuite } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { InboundSa, OutboundSa } from "../../lib/esp/security_association.ts";
import { fromHex } from "../../lib/base/bytes.ts";

export const LOCAL_HIT = fromHex("2001:0021:0000:0000:0000:0000:0000:0001".replaceAll(":", ""));
export const PEER_HIT = fromHex("2001:0021:ffff:ffff:ffff:ffff:ffff:fffe".replaceAll(":", ""));
export const LOCAL_ADDRESS = fromHex("20010db8000000000000000000000001");
export const PEER_ADDRESS = fromHex("00000000000000000000ffffc0000201");
export const SPI = 0xc0ffee01;

/** Octets that differ, the same in every run. Not random. */
export class CountingRandom implements Random {
  #next = 1;

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      this.#next = (Math.imul(this.#next, 1664525) + 1013904223) >>> 0;
      bytes[i] = this.#next >>> 24;
    }
  }
}

/** Keys of the right lengths for a suite. */
export function keysFor(suiteId: number): EspKeys {
  const suite = espSuite(suiteId);
  const encryption = new Uint8Array(suite.encryptionKeyLength + suite.saltLength);
  const authentication = new Uint8Array(suite.authenticationKeyLength);
  encryption.forEach((_, i) => encryption[i] = 0x10 + i);
  authentication.forEach((_, i) => authentication[i] = 0x80 + i);
  return { encryption, authentication };
}

/** The sending host's and the receiving host's SA, both active; HITs as each host sees them. */
export function saPair(
  suiteId: number,
  options: { provider?: EspProvider; replayWindow?: number; dscp?: number } = {},
): { outbound: OutboundSa; inbound: InboundSa } {
  const provider = options.provider ?? PORTABLE_PROVIDER;
  const keys = keysFor(suiteId);
  return {
    outbound: new OutboundSa({
      spi: SPI,
      suiteId,
      localHit: LOCAL_HIT,
      peerHit: PEER_HIT,
      sealer: provider.sealer(suiteId, keys, new CountingRandom()),
      localAddress: LOCAL_ADDRESS,
      peerAddress: PEER_ADDRESS,
      isActive: true,
      ...(options.dscp === undefined ? {} : { dscp: options.dscp }),
    }),
    inbound: new InboundSa({
      spi: SPI,
      suiteId,
      localHit: PEER_HIT,
      peerHit: LOCAL_HIT,
      opener: provider.opener(suiteId, keys),
      isActive: true,
      ...(options.replayWindow === undefined ? {} : { replayWindow: options.replayWindow }),
    }),
  };
}

/** An inner IPv6 packet from `LOCAL_HIT` to `PEER_HIT`. */
export function innerPacket(
  payload: Uint8Array,
  fields: { nextHeader?: number; trafficClass?: number; hopLimit?: number } = {},
): Uint8Array {
  const packet = new Uint8Array(40 + payload.length);
  const trafficClass = fields.trafficClass ?? 0;
  packet[0] = 0x60 | (trafficClass >>> 4);
  packet[1] = (trafficClass & 15) << 4;
  packet[4] = payload.length >>> 8;
  packet[5] = payload.length & 0xff;
  packet[6] = fields.nextHeader ?? 17;
  packet[7] = fields.hopLimit ?? 64;
  packet.set(LOCAL_HIT, 8);
  packet.set(PEER_HIT, 24);
  packet.set(payload, 40);
  return packet;
}

/** A buffer that holds `packet`, with dirty room round it. */
export function bufferOf(packet: Uint8Array): PacketBuffer {
  const buffer = new PacketBuffer(2048);
  buffer.bytes.fill(0xa5);
  buffer.load(packet);
  return buffer;
}
