import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../lib/base/errors.ts";
import { finishSum, sumBytes } from "../../lib/wire/checksum.ts";
import { formatIpAddress, mapIpv4, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { buildIpv4Packet, isIpv4Fragment, parseIpv4Header } from "../../lib/wire/ipv4.ts";
import { CAPTURES } from "../support/captures.ts";
import { readPcap } from "../support/pcap.ts";

const source = parseIpAddress("192.0.2.1");
const destination = parseIpAddress("192.0.2.2");

Deno.test("captured IPv4 headers are built again octet for octet, header checksum included", () => {
  let compared = 0;
  for (const capture of CAPTURES) {
    const file = Deno.readFileSync(new URL(`../vectors/${capture}.pcap`, import.meta.url));
    for (const { ipPacket } of readPcap(file)) {
      const header = parseIpv4Header(ipPacket);
      const payload = ipPacket.subarray(header.headerLength, header.totalLength);
      const rebuilt = buildIpv4Packet({ ...header, payload });
      assert.equal(toHex(rebuilt), toHex(ipPacket.subarray(0, header.totalLength)));
      compared++;
    }
  }
  assert.equal(compared, 28);
});

Deno.test("an IPv4 header comes back as it was built", () => {
  const octet = fc.nat(255);
  fc.assert(fc.property(
    fc.record({
      protocol: octet,
      typeOfService: octet,
      timeToLive: octet,
      identification: fc.nat(0xffff),
      dontFragment: fc.boolean(),
      moreFragments: fc.boolean(),
      fragmentOffset: fc.nat(0x1fff).map((units) => 8 * units),
      source: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((four) => mapIpv4(four)),
      destination: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((four) => mapIpv4(four)),
      payload: fc.uint8Array({ maxLength: 64 }),
    }, { noNullPrototype: true }),
    (packet) => {
      const bytes = buildIpv4Packet(packet);
      const { payload, ...fields } = packet;
      assert.deepEqual(parseIpv4Header(concatBytes(bytes, fromHex("0000"))), {
        ...fields,
        headerLength: 20,
        totalLength: 20 + payload.length,
      });
      assert.equal(finishSum(sumBytes(bytes, 0, 20)), 0);
      assert.equal(isIpv4Fragment(bytes), packet.moreFragments || packet.fragmentOffset > 0);
    },
  ));
});

Deno.test("IPv4 options belong to the header", () => {
  const plain = buildIpv4Packet({ source, destination, protocol: 139, payload: fromHex("aabb") });
  const bytes = concatBytes(plain.subarray(0, 20), fromHex("94040000"), plain.subarray(20));
  bytes[0] = 0x46;
  bytes[3] = bytes.length;
  const header = parseIpv4Header(bytes);
  assert.equal(header.headerLength, 24);
  assert.equal(toHex(bytes.subarray(header.headerLength, header.totalLength)), "aabb");
  assert.equal(formatIpAddress(header.source), "192.0.2.1");
});

Deno.test("an IPv4 header whose lengths do not fit is malformed", () => {
  const good = buildIpv4Packet({ source, destination, protocol: 50, payload: new Uint8Array(4) });
  const altered = (offset: number, value: number) => {
    const bytes = Uint8Array.from(good);
    bytes[offset] = value;
    return bytes;
  };
  const wrong = [
    good.subarray(0, 19),
    good.subarray(0, 23), // Total Length says 24
    altered(0, 0x65), // version 6
    altered(0, 0x44), // IHL 4
    altered(0, 0x4f), // IHL beyond the packet
    altered(3, 19), // Total Length below IHL
  ];
  for (const bytes of wrong) assert.throws(() => parseIpv4Header(bytes), MalformedPacketError);
});

Deno.test("an IPv4 packet that cannot be expressed is not built", () => {
  const packet = { source, destination, protocol: 50, payload: new Uint8Array(8) };
  const v6 = parseIpAddress("2001:db8::1");
  assert.throws(() => buildIpv4Packet({ ...packet, source: v6 }), RangeError);
  assert.throws(() => buildIpv4Packet({ ...packet, fragmentOffset: 4 }), RangeError);
  assert.throws(() => buildIpv4Packet({ ...packet, payload: new Uint8Array(65516) }), RangeError);
});
