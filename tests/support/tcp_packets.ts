/** TCP segments in IPv6 and IPv4, with right checksums, made the slow and obvious way. */

import fc from "fast-check";
import { finishSum, sumBytes, upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { mapIpv4, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { buildIpv4Packet } from "../../lib/wire/ipv4.ts";
import { buildIpv6Packet, NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import type { PacketRun } from "../../lib/wire/packet_run.ts";
import { TCP_FIELD } from "../../lib/wire/tcp.ts";
import {
  GSO,
  NEEDS_CHECKSUM,
  VIRTIO_NET_HEADER_LENGTH,
  VirtioNetHeader,
} from "../../lib/wire/virtio_net_header.ts";

/** What a test may choose; the rest is the same in every packet. */
export interface TcpFields {
  readonly family: 4 | 6;
  /** 16 octets; two that are always the same when absent. */
  readonly source?: Uint8Array;
  readonly destination?: Uint8Array;
  readonly sourcePort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly urgentPointer: number;
  /** Octets, a multiple of 4, up to 40. */
  readonly options: Uint8Array;
  readonly trafficClass: number;
  readonly hopLimit: number;
  /** IPv4 only. */
  readonly identification: number;
  readonly payload: Uint8Array;
}

const ADDRESSES = {
  4: [parseIpAddress("10.1.0.1"), parseIpAddress("10.2.0.2")],
  6: [parseIpAddress("fd01::1"), parseIpAddress("fd02::2")],
} as const;

export const USUAL_TCP: TcpFields = {
  family: 6,
  sourcePort: 40_000,
  sequence: 1_000_000,
  acknowledgment: 77,
  flags: 0x10,
  window: 502,
  urgentPointer: 0,
  options: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6),
  trafficClass: 0,
  hopLimit: 64,
  identification: 0xfffe,
  payload: new Uint8Array(0),
};

/** Fields of all kinds; of `family` only when it is given. */
export function arbitraryTcp(
  maxPayload: number,
  family?: 4 | 6,
): fc.Arbitrary<TcpFields> {
  const octet = fc.integer({ min: 0, max: 255 });
  const word = fc.integer({ min: 0, max: 0xffff });
  const double = fc.integer({ min: 0, max: 0xffff_ffff });
  return fc.record({
    family: family === undefined ? fc.constantFrom(4, 6) : fc.constant(family),
    sourcePort: word,
    // Near the end of the space too, where it begins anew.
    sequence: fc.oneof(double, fc.integer({ min: 0xffff_0000, max: 0xffff_ffff })),
    acknowledgment: double,
    flags: octet,
    window: word,
    urgentPointer: word,
    options: fc.integer({ min: 0, max: 10 }).chain((words) =>
      fc.uint8Array({ minLength: words * 4, maxLength: words * 4 })
    ),
    trafficClass: octet,
    hopLimit: octet,
    identification: word,
    payload: fc.integer({ min: 1, max: maxPayload }).chain((length) =>
      fc.uint8Array({ minLength: length, maxLength: length, size: "max" })
    ),
  });
}

/** The IP packet. */
export function tcpPacket(fields: Partial<TcpFields>): Uint8Array {
  const all = { ...USUAL_TCP, ...fields };
  const [source, destination] = [
    all.source ?? ADDRESSES[all.family][0],
    all.destination ?? ADDRESSES[all.family][1],
  ];
  const headerLength = 20 + all.options.length;
  const segment = new Uint8Array(headerLength + all.payload.length);
  const view = new DataView(segment.buffer);
  view.setUint16(TCP_FIELD.sourcePort, all.sourcePort);
  view.setUint16(TCP_FIELD.destinationPort, 443);
  view.setUint32(TCP_FIELD.sequenceNumber, all.sequence);
  view.setUint32(TCP_FIELD.acknowledgmentNumber, all.acknowledgment);
  view.setUint8(TCP_FIELD.dataOffset, (headerLength / 4) << 4);
  view.setUint8(TCP_FIELD.flags, all.flags);
  view.setUint16(TCP_FIELD.window, all.window);
  view.setUint16(TCP_FIELD.urgentPointer, all.urgentPointer);
  segment.set(all.options, 20);
  segment.set(all.payload, headerLength);
  const checksum = upperLayerChecksum(source, destination, NEXT_HEADER.tcp, segment);
  view.setUint16(TCP_FIELD.checksum, checksum);
  if (all.family === 4) {
    return buildIpv4Packet({
      source,
      destination,
      protocol: NEXT_HEADER.tcp,
      payload: segment,
      typeOfService: all.trafficClass,
      timeToLive: all.hopLimit,
      identification: all.identification,
      dontFragment: true,
    });
  }
  const packet = buildIpv6Packet(source, destination, NEXT_HEADER.tcp, segment, all.hopLimit);
  packet[0] = 0x60 | (all.trafficClass >>> 4);
  packet[1] = (all.trafficClass & 15) << 4;
  return packet;
}

/** Octets of the IP header of a packet made here. */
export function ipHeaderLength(packet: Uint8Array): number {
  return packet[0]! >>> 4 === 6 ? 40 : 20;
}

/** Both addresses of a packet, 16 octets each. */
export function ipAddresses(
  packet: Uint8Array,
): { source: Uint8Array; destination: Uint8Array } {
  return packet[0]! >>> 4 === 6
    ? { source: packet.slice(8, 24), destination: packet.slice(24, 40) }
    : { source: mapIpv4(packet, 12), destination: mapIpv4(packet, 16) };
}

/** The packet as the kernel hands it to its device: only the pseudo-header in the checksum. */
export function withPartialChecksum(packet: Uint8Array): Uint8Array {
  const partial = packet.slice();
  const at = ipHeaderLength(packet);
  const isIpv6 = at === 40;
  const address = (from: number) => isIpv6 ? packet.slice(from, from + 16) : mapIpv4(packet, from);
  const source = address(isIpv6 ? 8 : 12);
  const destination = address(isIpv6 ? 24 : 16);
  const length = packet.length - at;
  // A segment of zeros adds nothing, so that what is left is the pseudo-header; the field has the
  // sum itself, not its complement.
  const sum = upperLayerChecksum(source, destination, NEXT_HEADER.tcp, new Uint8Array(length));
  new DataView(partial.buffer).setUint16(at + TCP_FIELD.checksum, ~sum & 0xffff);
  return partial;
}

/** The virtio_net_hdr that comes with a super-segment. */
export function superSegmentHeader(packet: Uint8Array, gsoSize: number): VirtioNetHeader {
  const header = new VirtioNetHeader();
  const at = ipHeaderLength(packet);
  header.flags = NEEDS_CHECKSUM;
  header.gsoType = at === 40 ? GSO.tcp6 : GSO.tcp4;
  header.headerLength = at + (packet[at + TCP_FIELD.dataOffset]! >>> 4) * 4;
  header.gsoSize = gsoSize;
  header.checksumStart = at;
  header.checksumOffset = TCP_FIELD.checksum;
  return header;
}

/** Header and packet as one write to the device. */
export function withVirtioHeader(header: VirtioNetHeader, packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(VIRTIO_NET_HEADER_LENGTH + packet.length);
  header.write(new DataView(bytes.buffer), 0);
  bytes.set(packet, VIRTIO_NET_HEADER_LENGTH);
  return bytes;
}

/** A copy of the packet as a router sends it on: one hop less. */
export function forwarded(packet: Uint8Array): Uint8Array {
  const copy = packet.slice();
  if (copy[0]! >>> 4 === 6) {
    copy[7]!--;
    return copy;
  }
  copy[8]!--;
  copy.fill(0, 10, 12);
  new DataView(copy.buffer).setUint16(10, finishSum(sumBytes(copy, 0, 20)));
  return copy;
}

/** A finished run as the one packet that its pieces make. */
export function runOctets(run: PacketRun): Uint8Array {
  const pieces: number[] = [];
  for (let i = 0; i < run.count; i++) {
    pieces.push(...run.packet(i).contents().subarray(i === 0 ? 0 : run.headerLength));
  }
  return Uint8Array.from(pieces);
}
