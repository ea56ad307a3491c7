/**
 * `struct virtio_net_hdr` (linux/virtio_net.h; Virtual I/O Device 1.2 §5.1.6): what stands before
 * every packet of a TUN device with IFF_VNET_HDR, and says which work on it was left undone: the
 * checksum (NEEDS_CSUM), the cut into segments (GSO).
 *
 * ```text
 * | flags | gso_type |    hdr_len    |   gso_size    |
 * |   csum_start     |  csum_offset  |
 * ```
 *
 * Numbers are little-endian on every system that the program is built for.
 */

/** Octets of the header. */
export const VIRTIO_NET_HEADER_LENGTH = 10;

/** Where the fields stand. */
export const VIRTIO_NET_FIELD = {
  flags: 0,
  gsoType: 1,
  headerLength: 2,
  gsoSize: 4,
  checksumStart: 6,
  checksumOffset: 8,
} as const;

/** The checksum field holds the sum of the pseudo-header; the rest is to be added. */
export const NEEDS_CHECKSUM = 1;

/**
 * Values of gso_type; `ecn` is a bit beside those of TCP: CWR belongs to the first segment only.
 * `udp` is VIRTIO_NET_HDR_GSO_UDP_L4: datagrams of either family, not pieces of one.
 */
export const GSO = { none: 0, tcp4: 1, tcp6: 4, udp: 5, ecn: 0x80 } as const;

/** The header as numbers; one object serves for every packet. */
export class VirtioNetHeader {
  flags = 0;
  gsoType: number = GSO.none;
  /** Octets of all headers of a super-segment, a hint of the kernel. */
  headerLength = 0;
  /** Octets of payload in each segment or datagram. */
  gsoSize = 0;
  /** Where the checksum's sum begins, from the packet's first octet. */
  checksumStart = 0;
  /** Where the checksum stands, from there. */
  checksumOffset = 0;

  /** A packet with nothing left undone. */
  clear(): void {
    this.flags = 0;
    this.gsoType = GSO.none;
    this.headerLength = 0;
    this.gsoSize = 0;
    this.checksumStart = 0;
    this.checksumOffset = 0;
  }

  /** Reads the ten octets at `offset`, which must exist; their meaning is not judged. */
  read(view: DataView, offset: number): void {
    this.flags = view.getUint8(offset + VIRTIO_NET_FIELD.flags);
    this.gsoType = view.getUint8(offset + VIRTIO_NET_FIELD.gsoType);
    this.headerLength = view.getUint16(offset + VIRTIO_NET_FIELD.headerLength, true);
    this.gsoSize = view.getUint16(offset + VIRTIO_NET_FIELD.gsoSize, true);
    this.checksumStart = view.getUint16(offset + VIRTIO_NET_FIELD.checksumStart, true);
    this.checksumOffset = view.getUint16(offset + VIRTIO_NET_FIELD.checksumOffset, true);
  }

  /** Writes the ten octets at `offset`. */
  write(view: DataView, offset: number): void {
    view.setUint8(offset + VIRTIO_NET_FIELD.flags, this.flags);
    view.setUint8(offset + VIRTIO_NET_FIELD.gsoType, this.gsoType);
    view.setUint16(offset + VIRTIO_NET_FIELD.headerLength, this.headerLength, true);
    view.setUint16(offset + VIRTIO_NET_FIELD.gsoSize, this.gsoSize, true);
    view.setUint16(offset + VIRTIO_NET_FIELD.checksumStart, this.checksumStart, true);
    view.setUint16(offset + VIRTIO_NET_FIELD.checksumOffset, this.checksumOffset, true);
  }
}
