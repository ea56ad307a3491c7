import assert from "node:assert/strict";
import fc from "fast-check";
import { TcpRun } from "../../lib/wire/tcp_run.ts";
import { deliver as deliverRuns, slabOf, type SlowWays } from "../support/run_delivery.ts";
import { joined, slowRuns } from "../support/slow_runs.ts";
import { slowSegments } from "../support/slow_segments.ts";
import {
  superSegmentHeader,
  tcpPacket,
  USUAL_TCP,
  withPartialChecksum,
} from "../support/tcp_packets.ts";

const WAYS: SlowWays = {
  cut: slowSegments,
  join: (packets) => withPartialChecksum(joined(packets)),
  header: superSegmentHeader,
};

function deliver(packets: readonly Uint8Array[], capacity = 64) {
  return deliverRuns(packets, new TcpRun(capacity), WAYS);
}

/** Segments in order, then what the changes make of them. */
function segments(count: number, size = 100): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    tcpPacket({
      sequence: USUAL_TCP.sequence + i * size,
      payload: new Uint8Array(size).fill(i + 1),
    }));
}

Deno.test("consecutive segments of one flow become one super-segment, the short one its last", () => {
  const packets = [
    ...segments(3),
    tcpPacket({ sequence: USUAL_TCP.sequence + 300, payload: new Uint8Array(40) }),
    tcpPacket({ sequence: USUAL_TCP.sequence + 340, payload: new Uint8Array(40) }),
  ];
  assert.deepEqual(deliver(packets), { seen: packets, counts: [4, 1] });
});

Deno.test("PSH ends a super-segment, and a segment with PSH begins none", () => {
  const packets = segments(4);
  const pushed = tcpPacket({
    sequence: USUAL_TCP.sequence + 100,
    payload: new Uint8Array(100).fill(2),
    flags: 0x18,
  });
  packets[1] = pushed;
  assert.deepEqual(deliver(packets), { seen: packets, counts: [2, 2] });
  assert.deepEqual(deliver(packets.slice(1)), { seen: packets.slice(1), counts: [1, 2] });
});

Deno.test("a sequence number that begins anew at zero ends no run", () => {
  const at = (sequence: number) => tcpPacket({ sequence, payload: new Uint8Array(100) });
  const packets = [at(0xffff_ff9c), at(0), at(100)];
  assert.deepEqual(deliver(packets), { seen: packets, counts: [3] });
  const beyond = [at(0xffff_ff9d), at(1), at(101)];
  assert.deepEqual(deliver(beyond), { seen: beyond, counts: [3] });
});

Deno.test("a run ends where the longest packet or the room for packets does", () => {
  const packets = segments(70, 1400);
  assert.deepEqual(deliver(packets), { seen: packets, counts: [46, 24] });
  assert.deepEqual(deliver(segments(7), 3).counts, [3, 3, 1]);
});

/** What can be different about the second of three segments, each a reason not to join. */
const DIFFERENCES: readonly [string, (packet: Uint8Array) => void][] = [
  ["flow label", (packet) => packet[3] = 1],
  ["traffic class (an ECN mark)", (packet) => packet[1] = 0x30],
  ["hop limit", (packet) => packet[7] = 63],
  ["source", (packet) => packet[23] = 9],
  ["destination", (packet) => packet[24] = 0xfe],
  ["source port", (packet) => packet[41]! ^= 1],
  ["destination port", (packet) => packet[42]! ^= 1],
  ["sequence number", (packet) => packet[47]! ^= 1],
  ["acknowledgment", (packet) => packet[51]! ^= 1],
  ["reserved bits", (packet) => packet[52]! ^= 1],
  ["CWR", (packet) => packet[53]! |= 0x80],
  ["ECE", (packet) => packet[53]! |= 0x40],
  ["URG", (packet) => packet[53]! |= 0x20],
  ["no ACK", (packet) => packet[53]! &= ~0x10],
  ["RST", (packet) => packet[53]! |= 0x04],
  ["SYN", (packet) => packet[53]! |= 0x02],
  ["FIN", (packet) => packet[53]! |= 0x01],
  ["window", (packet) => packet[54]! ^= 1],
  ["urgent pointer", (packet) => packet[59]! ^= 1],
  ["first octet of options", (packet) => packet[60]! ^= 1],
  ["last octet of options", (packet) => packet[71]! ^= 1],
];

/** Makes the checksum right again, as the sender of such a segment would have it. */
function mend(packet: Uint8Array): Uint8Array {
  const zero = packet.slice();
  zero.fill(0, 56, 58);
  const sum = withPartialChecksum(zero);
  const view = new DataView(sum.buffer);
  let total = 0;
  for (let at = 40; at + 1 < sum.length; at += 2) total += view.getUint16(at);
  if (sum.length % 2 === 1) total += sum.at(-1)! << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  view.setUint16(56, ~total & 0xffff);
  return sum;
}

for (const [what, change] of DIFFERENCES) {
  Deno.test(`segments that differ do not join: ${what}`, () => {
    const packets = segments(3);
    assert.deepEqual(deliver(packets.map(mend)), { seen: packets, counts: [3] }, "good before");
    change(packets[1]!);
    packets[1] = mend(packets[1]!);
    const { seen, counts } = deliver(packets);
    assert.deepEqual(seen, packets);
    assert.notEqual(counts[0], 3);
    assert.notEqual(counts[0], 2);
  });
}

Deno.test("a segment with a wrong checksum stays by itself, and the kernel judges it", () => {
  for (const spoilt of [0, 1, 2]) {
    const packets = segments(3);
    packets[spoilt]![100]! ^= 0x20;
    const { seen, counts } = deliver(packets);
    assert.deepEqual(seen, packets);
    assert.ok(counts.length > 1, `${spoilt}`);
  }
});

Deno.test("a checksum in its other form of zero stays as it is", () => {
  const zero = (sequence: number) => {
    const payload = new Uint8Array(100);
    payload.set(tcpPacket({ sequence, payload }).subarray(56, 58));
    return tcpPacket({ sequence, payload });
  };
  const packets = [zero(0), zero(100), zero(200)];
  assert.deepEqual([...packets[1]!.subarray(56, 58)], [0, 0]);
  assert.deepEqual(deliver(packets), { seen: packets, counts: [3] });
  packets[1]!.fill(0xff, 56, 58);
  assert.deepEqual(deliver(packets), { seen: packets, counts: [1, 1, 1] });
});

Deno.test("what is not whole TCP with data begins no run, and nothing is thrown", () => {
  const good = segments(2);
  const others = [
    new Uint8Array(0),
    Uint8Array.of(0x60),
    good[0]!.slice(0, 60),
    tcpPacket({ payload: new Uint8Array(0) }),
    tcpPacket({ family: 4, payload: new Uint8Array(50) }),
    Object.assign(good[0]!.slice(), { 6: 17 }),
    Object.assign(good[0]!.slice(), { 52: 0x40 }),
    Object.assign(good[0]!.slice(), { 52: 0xf0 }).slice(0, 99),
    Object.assign(good[0]!.slice(), { 5: 1 }),
  ];
  for (const packet of others) {
    assert.equal(new TcpRun(4).begin(slabOf(packet)), false);
    const run = new TcpRun(4);
    assert.ok(run.begin(slabOf(good[0]!)));
    assert.equal(run.append(slabOf(packet)), false);
  }
});

/** A step of a stream: the next segment, or something that may end a run. */
type Step = { readonly size: number; readonly change: string; readonly flow: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    size: fc.oneof(
      { weight: 6, arbitrary: fc.constant(64) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 80 }) },
    ),
    change: fc.oneof(
      { weight: 20, arbitrary: fc.constant("") },
      {
        weight: 6,
        arbitrary: fc.constantFrom(
          "psh",
          "gap",
          "again",
          "window",
          "fin",
          "spoilt",
          "ece",
          "class",
        ),
      },
    ),
    flow: fc.oneof(
      { weight: 12, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constant(1) },
    ),
  }),
  { minLength: 1, maxLength: 40, size: "max" },
);

function stream(steps: readonly Step[]): Uint8Array[] {
  const next = [0xffff_ff00, 5];
  let ece = 0;
  let window = 500;
  return steps.map(({ size, change, flow }, i) => {
    if (change === "gap") next[flow]! += 64;
    if (change === "again") next[flow]! -= 64;
    if (change === "ece") ece ^= 0x40;
    if (change === "window") window++;
    const flags = 0x10 | ece | (change === "psh" ? 8 : change === "fin" ? 1 : 0);
    const packet = tcpPacket({
      sourcePort: 1000 + flow,
      sequence: next[flow]! >>> 0,
      flags,
      window,
      trafficClass: change === "class" ? 3 : 2,
      payload: new Uint8Array(size).fill(i),
    });
    if (change === "spoilt" && size > 0) packet[packet.length - 1]! ^= 1;
    next[flow]! += size;
    return packet;
  });
}

Deno.test("whatever comes in, the kernel sees just that; runs are those of the slow twin", () => {
  let together = 0;
  fc.assert(
    fc.property(steps, fc.constantFrom(2, 5, 64), (steps, capacity) => {
      const packets = stream(steps);
      const { seen, counts } = deliver(packets, capacity);
      assert.deepEqual(seen, packets);
      assert.deepEqual(counts, slowRuns(packets, capacity).map((run) => run.length));
      together += packets.length - counts.length;
    }),
    { numRuns: 300 },
  );
  assert.ok(together > 500, `${together} packets joined others`);
});
