import assert from "node:assert/strict";
import fc from "fast-check";
import { HEADROOM, PacketBuffer, slabSize } from "../../lib/base/packet_buffer.ts";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { buildIpv6Packet, NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { PacketCutter } from "../../lib/wire/packet_cutter.ts";
import { buildUdpDatagram } from "../../lib/wire/udp.ts";
import { GSO, NEEDS_CHECKSUM, VirtioNetHeader } from "../../lib/wire/virtio_net_header.ts";
import { slowSegments } from "../support/slow_segments.ts";
import {
  arbitraryTcp,
  superSegmentHeader,
  tcpPacket,
  withPartialChecksum,
} from "../support/tcp_packets.ts";
import {
  arbitraryUdp,
  slowDatagrams,
  udpPacket,
  udpSuperSegmentHeader,
  udpWithPartialChecksum,
} from "../support/udp_packets.ts";

const CAPACITY = 65_535;
/** Both slabs in one memory, as in the program; `alone` lies in another. */
const memory = new Uint8Array(2 * slabSize(CAPACITY));
const source = new PacketBuffer(CAPACITY, memory, 0);
const target = new PacketBuffer(CAPACITY, memory, slabSize(CAPACITY));
const alone = new PacketBuffer(CAPACITY);
const cutter = new PacketCutter();

function cut(packet: Uint8Array, header: VirtioNetHeader, into = target): Uint8Array[] | string {
  source.load(packet);
  const reason = cutter.begin(source, header);
  const segments: Uint8Array[] = [];
  while (cutter.hasMore) {
    into.bytes.fill(0xa5, 0, 4096);
    cutter.next(into);
    segments.push(into.contents().slice());
  }
  if (reason !== undefined) assert.equal(segments.length, 0);
  return reason ?? segments;
}

function cutSuper(packet: Uint8Array, gsoSize: number, into = target) {
  return cut(withPartialChecksum(packet), superSegmentHeader(packet, gsoSize), into);
}

Deno.test("a super-segment is cut into what the slow twin builds, octet for octet", () => {
  fc.assert(
    fc.property(
      arbitraryTcp(3000),
      fc.oneof(fc.integer({ min: 8, max: 100 }), fc.integer({ min: 100, max: 1500 })),
      fc.boolean(),
      (fields, gsoSize, isAlone) => {
        const packet = tcpPacket(fields);
        const segments = cutSuper(packet, gsoSize, isAlone ? alone : target);
        assert.deepEqual(segments, slowSegments(packet, gsoSize));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("a UDP super-segment is cut into what the slow twin builds, octet for octet", () => {
  fc.assert(
    fc.property(
      arbitraryUdp(3000),
      fc.oneof(fc.integer({ min: 24, max: 100 }), fc.integer({ min: 100, max: 1500 })),
      fc.boolean(),
      (fields, gsoSize, isAlone) => {
        const packet = udpPacket(fields);
        const [partial, header] = [
          udpWithPartialChecksum(packet),
          udpSuperSegmentHeader(packet, gsoSize),
        ];
        const segments = cut(partial, header, isAlone ? alone : target);
        assert.deepEqual(segments, slowDatagrams(packet, gsoSize));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("a datagram whose checksum is zero gets its other form when it is cut off", () => {
  const rest = udpPacket({ payload: new Uint8Array(2) }).subarray(46, 48);
  const packet = udpPacket({ payload: Uint8Array.of(...rest, ...rest, 1) });
  const segments = cut(udpWithPartialChecksum(packet), udpSuperSegmentHeader(packet, 2));
  assert.deepEqual(segments, slowDatagrams(packet, 2));
  assert.deepEqual([...segments[0] as Uint8Array].slice(46, 48), [0xff, 0xff]);
});

Deno.test("the largest super-segment is cut to its last octet", () => {
  const payload = new Uint8Array(65_535 - 40 - 32).map((_, i) => i * 7);
  const packet = tcpPacket({ payload, flags: 0xff });
  const segments = cutSuper(packet, 1400);
  assert.equal(segments.length, Math.ceil(payload.length / 1400));
  assert.deepEqual(segments, slowSegments(packet, 1400));
});

Deno.test("CWR stays on the first segment, FIN and PSH on the last, the rest on all", () => {
  const packet = tcpPacket({ payload: new Uint8Array(30), flags: 0xd9 });
  const segments = cutSuper(packet, 10) as Uint8Array[];
  assert.deepEqual(segments.map((segment) => segment[40 + 13]), [0xd0, 0x50, 0x59]);
});

Deno.test("destination options before TCP are carried in every segment", () => {
  const plain = tcpPacket({ payload: new Uint8Array(100).fill(9) });
  const options = Uint8Array.of(NEXT_HEADER.tcp, 0, 1, 4, 0, 0, 0, 0);
  const withOptions = (packet: Uint8Array) => {
    const longer = new Uint8Array(packet.length + 8);
    longer.set(packet.subarray(0, 40));
    longer.set(options, 40);
    longer.set(packet.subarray(40), 48);
    longer[6] = NEXT_HEADER.destinationOptions;
    new DataView(longer.buffer).setUint16(4, longer.length - 40);
    return longer;
  };
  const header = superSegmentHeader(plain, 60);
  header.checksumStart = 48;
  const segments = cut(withOptions(withPartialChecksum(plain)), header);
  assert.deepEqual(segments, slowSegments(plain, 60).map(withOptions));
});

Deno.test("a packet with nothing left undone comes out as it was", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (packet) => {
    assert.deepEqual(cut(packet, new VirtioNetHeader()), [packet]);
  }));
});

Deno.test("a partial checksum is completed, and zero is written in its other form", () => {
  const [from, to] = ["fd01::1", "fd02::2"].map(parseIpAddress) as [Uint8Array, Uint8Array];
  const header = new VirtioNetHeader();
  header.flags = NEEDS_CHECKSUM;
  header.checksumStart = 40;
  header.checksumOffset = 6;
  const partial = (datagram: Uint8Array) => {
    const packet = buildIpv6Packet(from, to, NEXT_HEADER.udp, datagram);
    const pseudo = upperLayerChecksum(from, to, NEXT_HEADER.udp, new Uint8Array(datagram.length));
    new DataView(packet.buffer).setUint16(46, ~pseudo & 0xffff);
    return packet;
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300, size: "max" }), (payload) => {
    const datagram = buildUdpDatagram(from, 7, to, 9, payload);
    const whole = buildIpv6Packet(from, to, NEXT_HEADER.udp, datagram);
    assert.deepEqual(cut(partial(datagram), header), [whole]);
  }));
  // A payload that makes the sum come out as zero: the complement of what is there without it.
  const rest = buildUdpDatagram(from, 7, to, 9, new Uint8Array(2)).subarray(6, 8);
  const zero = buildUdpDatagram(from, 7, to, 9, rest);
  assert.deepEqual([...zero.subarray(6, 8)], [0xff, 0xff]);
  assert.deepEqual(cut(partial(zero), header), [
    buildIpv6Packet(from, to, NEXT_HEADER.udp, zero),
  ]);
});

const GOOD = tcpPacket({ payload: new Uint8Array(100) });

/** What is wrong, done to a good header or to a good packet. */
const WRONGS: readonly [string, (header: VirtioNetHeader, packet: Uint8Array) => void][] = [
  ["a GSO type that was not asked for", (header) => header.gsoType = 3],
  ["the other family's GSO type", (header) => header.gsoType = GSO.tcp4],
  ["segments without NEEDS_CSUM", (header) => header.flags = 0],
  ["a segment size of zero", (header) => header.gsoSize = 0],
  ["a segment size below the least", (header) => header.gsoSize = 7],
  ["a checksum that is not TCP's", (header) => header.checksumOffset = 6],
  ["TCP elsewhere than its header says", (header) => header.checksumStart = 44],
  ["TCP inside the IP header", (header) => header.checksumStart = 24],
  ["TCP behind the end", (header) => header.checksumStart = 0xffff],
  ["no room for a TCP header", (header, packet) => header.checksumStart = packet.length - 19],
  ["another upper layer", (_, packet) => packet[6] = NEXT_HEADER.udp],
  ["a fragment", (_, packet) => packet[6] = NEXT_HEADER.fragment],
  ["options that end elsewhere", (_, packet) => packet[6] = NEXT_HEADER.destinationOptions],
  ["a length that is not the packet's", (_, packet) => packet[5] = packet[5]! - 1],
  ["a TCP header that is too short", (_, packet) => packet[52] = 0x40],
  ["a TCP header as long as the packet", (_, packet) => packet[52] = 0xf0],
  ["another IP version", (_, packet) => packet[0] = 0x50],
];

for (const [what, spoil] of WRONGS) {
  Deno.test(`a virtio_net_hdr that does not fit is refused under its name: ${what}`, () => {
    const packet = withPartialChecksum(
      what.includes("as long") ? tcpPacket({ payload: new Uint8Array(28) }) : GOOD,
    );
    const header = superSegmentHeader(packet, 20);
    assert.ok(Array.isArray(cut(packet, header)), "good before");
    spoil(header, packet);
    assert.equal(cut(packet, header), "tun-offload-malformed");
  });
}

const GOOD_UDP = udpPacket({ payload: new Uint8Array(128) });

/** The same of UDP. */
const UDP_WRONGS: readonly [string, (header: VirtioNetHeader, packet: Uint8Array) => void][] = [
  ["datagrams with CWR", (header) => header.gsoType |= GSO.ecn],
  ["pieces of a datagram, UFO", (header) => header.gsoType = 3],
  ["TCP's type", (header) => header.gsoType = GSO.tcp6],
  ["no NEEDS_CSUM", (header) => header.flags = 0],
  ["a segment size of zero", (header) => header.gsoSize = 0],
  ["TCP's checksum", (header) => header.checksumOffset = 16],
  ["UDP elsewhere than its header says", (header) => header.checksumStart = 44],
  ["UDP inside the IP header", (header) => header.checksumStart = 24],
  ["UDP behind the end", (header) => header.checksumStart = 0xffff],
  ["no payload", (header, packet) => header.checksumStart = packet.length - 8],
  ["another upper layer", (_, packet) => packet[6] = NEXT_HEADER.tcp],
  ["a fragment", (_, packet) => packet[6] = NEXT_HEADER.fragment],
  ["a length that is not the packet's", (_, packet) => packet[5] = packet[5]! - 1],
  ["another IP version", (_, packet) => packet[0] = 0x50],
  ["IPv4 with an IPv6 header", (_, packet) => packet[0] = 0x4a],
];

for (const [what, spoil] of UDP_WRONGS) {
  Deno.test(`a virtio_net_hdr that does not fit UDP is refused under its name: ${what}`, () => {
    const packet = udpWithPartialChecksum(GOOD_UDP);
    const header = udpSuperSegmentHeader(packet, 20);
    assert.ok(Array.isArray(cut(packet, header)), "good before");
    spoil(header, packet);
    assert.equal(cut(packet, header), "tun-offload-malformed");
  });
}

Deno.test("a UDP super-segment becomes 128 datagrams at most", () => {
  const [most, tooMany] = [128, 129].map((length) => {
    const packet = udpPacket({ payload: new Uint8Array(length) });
    return cut(udpWithPartialChecksum(packet), udpSuperSegmentHeader(packet, 1));
  });
  assert.equal(most!.length, 128);
  assert.equal(tooMany, "tun-offload-malformed");
});

Deno.test("IPv4 super-segments that are fragments or disagree about lengths are refused", () => {
  const good = tcpPacket({ family: 4, payload: new Uint8Array(100) });
  for (const [at, value] of [[6, 0x20], [7, 0x01], [0, 0x46], [0, 0x65], [3, 7], [9, 17]]) {
    const packet = withPartialChecksum(good);
    const header = superSegmentHeader(good, 20);
    packet[at!] = value!;
    assert.equal(cut(packet, header), "tun-offload-malformed", `octet ${at}`);
  }
});

Deno.test("a checksum that would lie in the IP header or behind the end is refused", () => {
  const header = new VirtioNetHeader();
  header.flags = NEEDS_CHECKSUM;
  for (const [start, offset] of [[39, 16], [0, 0], [GOOD.length - 2, 1], [40, 0xffff]]) {
    header.checksumStart = start!;
    header.checksumOffset = offset!;
    assert.equal(cut(GOOD, header), "tun-offload-malformed", `${start} ${offset}`);
  }
});

Deno.test("whatever the header says, nothing is thrown and nothing written beside the slabs", () => {
  const word = fc.oneof(fc.nat(80), fc.nat(0xffff));
  const headers = fc.record({
    flags: fc.nat(3),
    gsoType: fc.constantFrom(0, 1, 4, 0x81, 0x84, 3, 5),
    gsoSize: word,
    checksumStart: fc.oneof(fc.constantFrom(20, 40), word),
    checksumOffset: fc.oneof(fc.constantFrom(6, 16), word),
  });
  const packets = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    arbitraryTcp(200).map((fields) => withPartialChecksum(tcpPacket(fields))),
    arbitraryUdp(200).map((fields) => udpWithPartialChecksum(udpPacket(fields))),
  );
  fc.assert(
    fc.property(headers, packets, fc.nat(60), fc.nat(255), (fields, packet, at, octet) => {
      if (at < packet.length) packet[at] = octet;
      const header = Object.assign(new VirtioNetHeader(), fields);
      const segments = cut(packet, header);
      if (!Array.isArray(segments)) return;
      const total = segments.reduce((sum, segment) => sum + segment.length, 0);
      // 26 segments of TCP, each with 8 octets at least; datagrams may have one.
      const most = fields.gsoType === GSO.udp ? 128 : 26;
      assert.ok(segments.length <= most && total <= packet.length * most);
      for (const segment of segments) assert.ok(segment.length <= packet.length);
      assert.equal(source.start, HEADROOM);
    }),
    { numRuns: 3000 },
  );
});
