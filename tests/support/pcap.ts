/** Reads classic capture files, for tests that start from what other software sent. */

/** One captured IP packet. */
export interface CapturedPacket {
  /** Seconds since the epoch. */
  readonly time: number;
  /** From the first octet of the IP header to the end of the frame; link padding included. */
  readonly ipPacket: Uint8Array;
}

const MICROSECOND_MAGIC = 0xa1b2c3d4;
const NANOSECOND_MAGIC = 0xa1b23c4d;
const FILE_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 16;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;

/** Link type to where the ethertype (if any) and the IP header stand. */
const LINKS: Readonly<Record<number, { ethertype?: number; header: number }>> = {
  1: { ethertype: 12, header: 14 }, // Ethernet
  101: { header: 0 }, // raw IP
  113: { ethertype: 14, header: 16 }, // Linux cooked
  276: { ethertype: 0, header: 20 }, // Linux cooked, version 2
};

/**
 * The IP packets of a capture, in file order; frames that hold anything else are passed over.
 *
 * @throws {SyntaxError} When this is no classic capture file or its link type is not known.
 */
export function* readPcap(file: Uint8Array): Generator<CapturedPacket> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const isLittleEndian = [MICROSECOND_MAGIC, NANOSECOND_MAGIC].includes(view.getUint32(0, true));
  const magic = view.getUint32(0, isLittleEndian);
  if (magic !== MICROSECOND_MAGIC && magic !== NANOSECOND_MAGIC) {
    throw new SyntaxError("Cannot read capture: not in the classic pcap format");
  }
  const fraction = magic === NANOSECOND_MAGIC ? 1e9 : 1e6;
  const linkType = view.getUint32(20, isLittleEndian) & 0xffff;
  const link = LINKS[linkType];
  if (link === undefined) throw new SyntaxError(`Cannot read capture: link type ${linkType}`);
  let offset = FILE_HEADER_LENGTH;
  while (offset + RECORD_HEADER_LENGTH <= file.length) {
    const time = view.getUint32(offset, isLittleEndian) +
      view.getUint32(offset + 4, isLittleEndian) / fraction;
    const length = view.getUint32(offset + 8, isLittleEndian);
    const start = offset + RECORD_HEADER_LENGTH;
    if (start + length > file.length) {
      throw new SyntaxError(`Cannot read capture: record at ${offset} is cut short`);
    }
    const frame = file.subarray(start, start + length);
    if (holdsIp(frame, link.ethertype)) yield { time, ipPacket: frame.subarray(link.header) };
    offset = start + length;
  }
}

function holdsIp(frame: Uint8Array, ethertypeAt: number | undefined): boolean {
  if (ethertypeAt === undefined) return true;
  const ethertype = (frame[ethertypeAt]! << 8) | frame[ethertypeAt + 1]!;
  return ethertype === ETHERTYPE_IPV4 || ethertype === ETHERTYPE_IPV6;
}
