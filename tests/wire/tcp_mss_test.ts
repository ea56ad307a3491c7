import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { isTcpSyn, lowerMss } from "../../lib/wire/tcp_mss.ts";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { arbitraryTcp, tcpPacket } from "../support/tcp_packets.ts";

/** What a Linux kernel sent through a device with an MTU of 1400: MSS 1340 and other options. */
const KERNEL_SYN = fromHex(
  "600cc262002806402001002200000000000000000000000120010022000000000000000000000002" +
    "b4060050f7f01e1700000000a002fb40d98900000204053c0402080a373731cc000000000103030a",
);

/** Where the MSS stands in it, and the checksum. */
const [MSS, CHECKSUM] = [40 + 22, 40 + 16];

const SYN = 0x02;
const SYN_ACK = 0x12;

/** `packet` with its MSS lowered; it lies in a slab full of other octets. */
function lowered(packet: Uint8Array, innerLimit: number): Uint8Array {
  const slab = new PacketBuffer(packet.length + 64);
  slab.bytes.fill(0xa5);
  slab.load(packet);
  const surroundings = slab.bytes.slice();
  lowerMss(slab, innerLimit);
  const result = slab.contents().slice();
  surroundings.set(result, slab.start);
  assert.deepEqual(slab.bytes, surroundings, "octets outside the packet");
  return result;
}

function isChecksumRight(packet: Uint8Array): boolean {
  const [source, destination] = [packet.slice(8, 24), packet.slice(24, 40)];
  return upperLayerChecksum(source, destination, 6, packet, 40) === 0;
}

/** A SYN whose options are these, padded with No-Operation in front or with End behind. */
function syn(options: number[], flags = SYN): Uint8Array {
  const padded = new Uint8Array(Math.ceil(options.length / 4) * 4);
  padded.set(options);
  return tcpPacket({ family: 6, flags, options: padded });
}

function mssOf(packet: Uint8Array, at: number): number {
  return (packet[60 + at]! << 8) | packet[60 + at + 1]!;
}

Deno.test("lowerMss() changes the size and the checksum of a kernel's SYN, nothing else", () => {
  assert.ok(isChecksumRight(KERNEL_SYN));
  const packet = lowered(KERNEL_SYN, 1314);
  assert.ok(isChecksumRight(packet));
  const expected = KERNEL_SYN.slice();
  expected.set([1254 >> 8, 1254 & 0xff], MSS);
  expected.set(packet.subarray(CHECKSUM, CHECKSUM + 2), CHECKSUM);
  assert.equal(toHex(packet), toHex(expected));
});

Deno.test("lowerMss() leaves a SYN as it is that asks for no more than fits", () => {
  for (const limit of [1400, 1401, 9000, 0xffff_ffff]) {
    assert.deepEqual(lowered(KERNEL_SYN, limit), KERNEL_SYN);
  }
  assert.notDeepEqual(lowered(KERNEL_SYN, 1399), KERNEL_SYN);
});

Deno.test("lowerMss() finds the size behind other options, at even and odd octets", () => {
  for (const [options, at] of [[[2, 4, 5, 180], 2], [[1, 2, 4, 5, 180], 3]] as const) {
    for (const flags of [SYN, SYN_ACK]) {
      const packet = lowered(syn([...options], flags), 1300);
      assert.equal(mssOf(packet, at), 1240);
      assert.ok(isChecksumRight(packet));
    }
  }
  const packet = lowered(syn([1, 3, 3, 7, 8, 4, 0, 0, 2, 4, 0xff, 0xff]), 1280);
  assert.equal(mssOf(packet, 10), 1220);
  assert.ok(isChecksumRight(packet));
});

Deno.test("lowerMss() lowers every one of several sizes, since receivers differ in which they take", () => {
  const packet = lowered(syn([2, 4, 5, 180, 2, 4, 4, 0, 2, 4, 6, 0]), 1280);
  assert.deepEqual([2, 6, 10].map((at) => mssOf(packet, at)), [1220, 1024, 1220]);
  assert.ok(isChecksumRight(packet));
});

Deno.test("lowerMss() leaves options alone that are cut, too short, of another length, or beyond the end", () => {
  const strange = [
    [0, 2, 4, 5, 180, 0, 0, 0],
    [3, 0, 2, 4, 5, 180, 0, 0],
    [3, 1, 2, 4, 5, 180, 0, 0],
    [2, 3, 5, 180],
    [2, 6, 5, 180, 0, 0, 0, 0],
    [1, 1, 1, 2],
    [1, 1, 2, 4],
    [8, 200, 2, 4, 5, 180, 0, 0],
    [2, 255, 5, 180],
  ];
  for (const options of strange) {
    const packet = syn(options);
    assert.deepEqual(lowered(packet, 1280), packet, options.join(" "));
  }
  // A data offset that leads out of the packet, or not even over its own header.
  for (const offset of [0x00, 0x40, 0xb0, 0xf0]) {
    const packet = KERNEL_SYN.slice();
    packet[40 + 12] = offset;
    assert.deepEqual(lowered(packet, 1280), packet);
  }
  for (let length = 60; length < KERNEL_SYN.length; length++) {
    const packet = KERNEL_SYN.slice(0, length);
    assert.deepEqual(lowered(packet, 1280), packet);
  }
});

Deno.test("isTcpSyn() knows SYN and SYN-ACK, and neither other segments nor other protocols", () => {
  const isSyn = (packet: Uint8Array) => {
    const slab = new PacketBuffer(packet.length);
    slab.load(packet);
    return isTcpSyn(slab);
  };
  for (let flags = 0; flags < 256; flags++) {
    assert.equal(isSyn(syn([2, 4, 5, 180], flags)), (flags & SYN) !== 0);
  }
  for (let length = 40; length < 60; length++) assert.ok(!isSyn(KERNEL_SYN.slice(0, length)));
  const udp = KERNEL_SYN.slice();
  udp[6] = 17;
  assert.ok(!isSyn(udp));
});

Deno.test("Whatever the options are, the checksum stays as right or as wrong as it was", () => {
  const cases = fc.tuple(
    arbitraryTcp(20, 6),
    fc.integer({ min: 1280, max: 1500 }),
    fc.option(fc.tuple(fc.nat(36), fc.integer({ min: 0, max: 0xffff })), { nil: undefined }),
    fc.boolean(),
  );
  fc.assert(
    fc.property(cases, ([fields, limit, mss, isWrong]) => {
      const options = fields.options.slice();
      if (mss !== undefined) {
        const [at, value] = mss;
        for (const [i, octet] of [2, 4, value >> 8, value & 0xff].entries()) {
          if (at + i < options.length) options[at + i] = octet;
        }
      }
      const packet = tcpPacket({ ...fields, options });
      if (isWrong) packet[41]! ^= 0x10;
      assert.equal(isChecksumRight(lowered(packet, limit)), !isWrong);
    }),
    { numRuns: 2000 },
  );
});
