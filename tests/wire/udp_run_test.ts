import assert from "node:assert/strict";
import fc from "fast-check";
import { UdpRun } from "../../lib/wire/udp_run.ts";
import { deliver as deliverRuns, slabOf, type SlowWays } from "../support/run_delivery.ts";
import {
  joinedDatagrams,
  slowDatagrams,
  slowUdpRuns,
  udpPacket,
  udpSuperSegmentHeader,
  udpWithPartialChecksum,
} from "../support/udp_packets.ts";

const WAYS: SlowWays = {
  cut: slowDatagrams,
  join: (packets) => udpWithPartialChecksum(joinedDatagrams(packets)),
  header: udpSuperSegmentHeader,
};

function deliver(packets: readonly Uint8Array[], capacity = 64) {
  return deliverRuns(packets, new UdpRun(capacity), WAYS);
}

function datagrams(count: number, size = 100): Uint8Array[] {
  return Array.from(
    { length: count },
    (_, i) => udpPacket({ payload: new Uint8Array(size).fill(i + 1) }),
  );
}

Deno.test("datagrams of one flow and size become one super-segment, a shorter one its last", () => {
  const packets = [...datagrams(3), ...datagrams(1, 40), ...datagrams(2, 40), ...datagrams(2, 41)];
  assert.deepEqual(deliver(packets), { seen: packets, counts: [4, 2, 2] });
});

Deno.test("a run ends where the longest packet or the room for packets does", () => {
  const packets = datagrams(70, 1400);
  assert.deepEqual(deliver(packets), { seen: packets, counts: [46, 24] });
  assert.deepEqual(deliver(datagrams(7), 3).counts, [3, 3, 1]);
  // 48 octets of headers and 16 times 4093 make 65,536; one octet less fits.
  assert.deepEqual(deliver(datagrams(16, 4093)).counts, [15, 1]);
  assert.deepEqual(deliver([...datagrams(15, 4093), ...datagrams(1, 4092)]).counts, [16]);
});

/** What can be different about the second of three datagrams, each a reason not to join. */
const DIFFERENCES: readonly [string, (packet: Uint8Array) => void][] = [
  ["flow label", (packet) => packet[3] = 1],
  ["traffic class (an ECN mark)", (packet) => packet[1] = 0x30],
  ["hop limit", (packet) => packet[7] = 63],
  ["source", (packet) => packet[23] = 9],
  ["destination", (packet) => packet[24] = 0xfe],
  ["source port", (packet) => packet[41]! ^= 1],
  ["destination port", (packet) => packet[42]! ^= 1],
  ["a UDP length that is not the packet's", (packet) => packet[45]! -= 1],
  ["a UDP length that only the checksum knows of", (packet) => {
    packet[45]! -= 1;
    new DataView(packet.buffer).setUint16(46, new DataView(packet.buffer).getUint16(46) + 1);
  }],
  ["no checksum", (packet) => packet.fill(0, 46, 48)],
  ["a wrong checksum", (packet) => packet[47]! ^= 1],
  ["an altered payload", (packet) => packet[100]! ^= 1],
  ["an IPv6 length that is not the packet's", (packet) => packet[5]! -= 1],
];

for (const [what, change] of DIFFERENCES) {
  for (const at of [0, 1]) {
    Deno.test(`datagrams that differ do not join: ${what}, of the ${at === 0 ? "first" : "second"}`, () => {
      const packets = datagrams(3);
      change(packets[at]!);
      const { seen, counts } = deliver(packets);
      assert.deepEqual(seen, packets);
      assert.deepEqual(counts, at === 0 ? [1, 2] : [1, 1, 1]);
    });
  }
}

Deno.test("a checksum that is zero in the form that says none stays as it is", () => {
  const rest = udpPacket({ payload: new Uint8Array(2) }).slice(46, 48);
  const packets = [1, 2, 3].map(() => udpPacket({ payload: rest }));
  assert.deepEqual([...packets[1]!.subarray(46, 48)], [0xff, 0xff]);
  assert.deepEqual(deliver(packets), { seen: packets, counts: [3] });
  packets[1]!.fill(0, 46, 48);
  assert.deepEqual(deliver(packets), { seen: packets, counts: [1, 1, 1] });
});

Deno.test("what is not whole UDP with a payload begins no run, and nothing is thrown", () => {
  const good = datagrams(1)[0]!;
  const others = [
    new Uint8Array(0),
    Uint8Array.of(0x60),
    good.slice(0, 44),
    udpPacket({}),
    udpPacket({ family: 4, payload: new Uint8Array(50) }),
    Object.assign(good.slice(), { 6: 6 }),
    Object.assign(good.slice(), { 5: 1 }),
    good.slice(0, 99),
  ];
  for (const packet of others) {
    assert.equal(new UdpRun(4).begin(slabOf(packet)), false);
    const run = new UdpRun(4);
    assert.ok(run.begin(slabOf(good)));
    assert.equal(run.append(slabOf(packet)), false);
  }
});

Deno.test("runs are those of the slow twin, and the kernel gets what came in", () => {
  const steps = fc.array(
    fc.record({
      size: fc.constantFrom(1, 30, 30, 30, 31, 0),
      port: fc.constantFrom(1, 1, 1, 1, 2),
      isSpoilt: fc.constantFrom(false, false, false, false, false, true),
      fill: fc.nat(255),
    }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 10 }), (list, capacity) => {
      const packets = list.map(({ size, port, isSpoilt, fill }) => {
        const packet = udpPacket({ sourcePort: port, payload: new Uint8Array(size).fill(fill) });
        if (isSpoilt) packet[47]! ^= 4;
        return packet;
      });
      const { seen, counts } = deliver(packets, capacity);
      assert.deepEqual(seen, packets);
      assert.deepEqual(counts, slowUdpRuns(packets, capacity).map((run) => run.length));
    }),
    { numRuns: 500 },
  );
});
