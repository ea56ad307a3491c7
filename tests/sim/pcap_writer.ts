/**
 * Writes a run as a classic capture of raw IP packets, for a packet analyser. The outer header is
 * made here: engines and links do without one.
 */

import type { CarriedPacket } from "../support/datagrams.ts";
import { concatBytes } from "../../lib/base/bytes.ts";
import type { Instant } from "../../lib/base/time.ts";
import { isIpv4 } from "../../lib/wire/ip_address.ts";
import { buildIpv4Packet } from "../../lib/wire/ipv4.ts";
import { buildIpv6Packet, NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { buildUdpDatagram } from "../../lib/wire/udp.ts";
import { HIP_UDP_PORT } from "../../lib/wire/udp_encapsulation.ts";

const MAGIC = 0xa1b2c3d4;
const SNAP_LENGTH = 65_535;
/** Packets begin with their IPv4 or IPv6 header. */
const LINKTYPE_RAW = 101;

/** Takes packets in order of time and gives one file. */
export class PcapWriter {
  readonly #records: Uint8Array[] = [fileHeader()];

  add(at: Instant, packet: CarriedPacket): void {
    const octets = ipPacketOf(packet);
    const record = new DataView(new ArrayBuffer(16));
    const microseconds = Math.round(at * 1000);
    record.setUint32(0, Math.floor(microseconds / 1_000_000));
    record.setUint32(4, microseconds % 1_000_000);
    record.setUint32(8, octets.length);
    record.setUint32(12, octets.length);
    this.#records.push(new Uint8Array(record.buffer), octets);
  }

  /** The whole file so far. */
  contents(): Uint8Array {
    return concatBytes(...this.#records);
  }
}

/** The packet behind the IP header that it travels under. */
export function ipPacketOf(packet: CarriedPacket): Uint8Array {
  const { source, destination, protocol, bytes, hopLimit, peerPort = HIP_UDP_PORT } = packet;
  const payload = protocol === NEXT_HEADER.udp
    ? buildUdpDatagram(source, packet.sourcePort ?? HIP_UDP_PORT, destination, peerPort, bytes)
    : bytes;
  return isIpv4(source)
    ? buildIpv4Packet({ source, destination, protocol, payload, timeToLive: hopLimit })
    : buildIpv6Packet(source, destination, protocol, payload, hopLimit);
}

function fileHeader(): Uint8Array {
  const header = new DataView(new ArrayBuffer(24));
  header.setUint32(0, MAGIC);
  header.setUint16(4, 2);
  header.setUint16(6, 4);
  header.setUint32(16, SNAP_LENGTH);
  header.setUint32(20, LINKTYPE_RAW);
  return new Uint8Array(header.buffer);
}
