/** UDP datagrams in IPv6 and IPv4, with right checksums, made the slow and obvious way. */

import fc from "fast-check";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { buildIpv4Packet } from "../../lib/wire/ipv4.ts";
import { buildIpv6Packet, NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { buildUdpDatagram, UDP_FIELD, UDP_HEADER_LENGTH } from "../../lib/wire/udp.ts";
import { GSO, NEEDS_CHECKSUM, VirtioNetHeader } from "../../lib/wire/virtio_net_header.ts";
import { ipAddresses, ipHeaderLength } from "./tcp_packets.ts";

/** What a test may choose. */
export interface UdpFields {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
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

/** Fields of all kinds; of `family` only when it is given. */
export function arbitraryUdp(maxPayload: number, family?: 4 | 6): fc.Arbitrary<Partial<UdpFields>> {
  const octet = fc.integer({ min: 0, max: 255 });
  const word = fc.integer({ min: 0, max: 0xffff });
  return fc.record({
    family: family === undefined ? fc.constantFrom(4, 6) : fc.constant(family),
    sourcePort: word,
    destinationPort: word,
    trafficClass: octet,
    hopLimit: octet,
    identification: word,
    payload: fc.integer({ min: 1, max: maxPayload }).chain((length) =>
      fc.uint8Array({ minLength: length, maxLength: length, size: "max" })
    ),
  });
}

/** The IP packet. */
export function udpPacket(fields: Partial<UdpFields>): Uint8Array {
  const { family = 6, sourcePort = 4000, destinationPort = 53, trafficClass = 0 } = fields;
  const { source = ADDRESSES[family][0], destination = ADDRESSES[family][1] } = fields;
  const { hopLimit = 64, identification = 0xfffe, payload = new Uint8Array(0) } = fields;
  const datagram = buildUdpDatagram(source, sourcePort, destination, destinationPort, payload);
  if (family === 4) {
    return buildIpv4Packet({
      ...{ source, destination, protocol: NEXT_HEADER.udp, payload: datagram, identification },
      ...{ typeOfService: trafficClass, timeToLive: hopLimit, dontFragment: true },
    });
  }
  const packet = buildIpv6Packet(source, destination, NEXT_HEADER.udp, datagram, hopLimit);
  packet[0] = 0x60 | (trafficClass >>> 4);
  packet[1] = (trafficClass & 15) << 4;
  return packet;
}

/** What `udpPacket` made a packet from. */
function fieldsOf(packet: Uint8Array): UdpFields {
  const at = ipHeaderLength(packet);
  const view = new DataView(packet.buffer, packet.byteOffset);
  const isIpv6 = at === 40;
  return {
    family: isIpv6 ? 6 : 4,
    ...ipAddresses(packet),
    sourcePort: view.getUint16(at),
    destinationPort: view.getUint16(at + UDP_FIELD.destinationPort),
    trafficClass: isIpv6 ? (view.getUint16(0) >>> 4) & 0xff : packet[1]!,
    hopLimit: packet[isIpv6 ? 7 : 8]!,
    identification: isIpv6 ? 0 : view.getUint16(4),
    payload: packet.slice(at + UDP_HEADER_LENGTH),
  };
}

/** The packet as the kernel hands it to its device: only the pseudo-header in the checksum. */
export function udpWithPartialChecksum(packet: Uint8Array): Uint8Array {
  const partial = packet.slice();
  const at = ipHeaderLength(packet);
  const { source, destination } = ipAddresses(packet);
  const zeros = new Uint8Array(packet.length - at);
  const sum = upperLayerChecksum(source, destination, NEXT_HEADER.udp, zeros);
  new DataView(partial.buffer).setUint16(at + UDP_FIELD.checksum, ~sum & 0xffff);
  return partial;
}

/** The virtio_net_hdr that comes with a super-segment. */
export function udpSuperSegmentHeader(packet: Uint8Array, gsoSize: number): VirtioNetHeader {
  const header = new VirtioNetHeader();
  header.flags = NEEDS_CHECKSUM;
  header.gsoType = GSO.udp;
  header.headerLength = ipHeaderLength(packet) + UDP_HEADER_LENGTH;
  header.gsoSize = gsoSize;
  header.checksumStart = ipHeaderLength(packet);
  header.checksumOffset = UDP_FIELD.checksum;
  return header;
}

/** The slow twin of `PacketCutter` for UDP: the datagrams of `gsoSize` that a packet stands for. */
export function slowDatagrams(packet: Uint8Array, gsoSize: number): Uint8Array[] {
  const { payload, identification, ...fields } = fieldsOf(packet);
  return Array.from({ length: Math.ceil(payload.length / gsoSize) }, (_, i) =>
    udpPacket({
      ...fields,
      identification: (identification + i) & 0xffff,
      payload: payload.slice(i * gsoSize, (i + 1) * gsoSize),
    }));
}

/** The one packet that a list of datagrams would be. */
export function joinedDatagrams(packets: readonly Uint8Array[]): Uint8Array {
  const payload = Uint8Array.from(packets.flatMap((packet) => [...fieldsOf(packet).payload]));
  return udpPacket({ ...fieldsOf(packets[0]!), payload });
}

/** The slow twin of `UdpRun`: splits a list into runs that, cut up again, give the same packets. */
export function slowUdpRuns(packets: readonly Uint8Array[], capacity: number): Uint8Array[][] {
  const isRun = (run: readonly Uint8Array[]) => {
    const isUdp = run.every((packet) => packet[0]! >>> 4 === 6 && packet[6] === 17);
    if (!isUdp || run.some((packet) => fieldsOf(packet).payload.length === 0)) return false;
    const whole = joinedDatagrams(run);
    if (whole.length > 65_535) return false;
    const cut = slowDatagrams(whole, fieldsOf(run[0]!).payload.length);
    return cut.length === run.length && cut.every((packet, i) => `${packet}` === `${run[i]}`);
  };
  const runs: Uint8Array[][] = [];
  for (const packet of packets) {
    const run = runs.at(-1);
    if (run !== undefined && run.length < capacity && isRun([...run, packet])) run.push(packet);
    else runs.push([packet]);
  }
  return runs;
}
