import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import {
  emitEspHeader,
  emitEspTrailer,
  espPadLength,
  espSequence,
  espSpi,
  espTrailerNextHeader,
  espTrailerPadLength,
  isEspPaddingRight,
} from "../../lib/wire/esp.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import {
  buildIpv6Packet,
  emitIpv6Header,
  ipv6Destination,
  ipv6FlowLabel,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Source,
  ipv6TrafficClass,
  ipVersion,
  isIpv6Packet,
} from "../../lib/wire/ipv6.ts";
import {
  TCP_FLAG,
  tcpChecksum,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSourcePort,
} from "../../lib/wire/tcp.ts";
import {
  buildUdpDatagram,
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
} from "../../lib/wire/udp.ts";
import appendixC from "../vectors/rfc7401_appendix_c.json" with { type: "json" };

const source = parseIpAddress("2001:db8::1");
const destination = parseIpAddress("2001:db8::2");

Deno.test("the IPv6 header stands where RFC 8200 §3 draws it, and nothing else is touched", () => {
  const bytes = new Uint8Array(50).fill(0xa5);
  emitIpv6Header(bytes, 5, 0x1234, 139, source, destination, 63, 0xb9);
  assert.equal(
    toHex(bytes),
    `a5a5a5a5a5 6b900000 1234 8b 3f ${toHex(source)} ${toHex(destination)} a5a5a5a5a5`
      .replaceAll(" ", ""),
  );
  assert.equal(ipVersion(bytes, 5), 6);
  assert.equal(ipv6TrafficClass(bytes, 5), 0xb9);
  assert.equal(ipv6FlowLabel(bytes, 5), 0);
  assert.equal(ipv6PayloadLength(bytes, 5), 0x1234);
  assert.equal(ipv6NextHeader(bytes, 5), 139);
  assert.equal(ipv6HopLimit(bytes, 5), 63);
  assert.equal(formatIpAddress(ipv6Source(bytes, 5)), "2001:db8::1");
  assert.equal(formatIpAddress(ipv6Destination(bytes, 5)), "2001:db8::2");
});

Deno.test("the flow label has 20 bits", () => {
  assert.equal(ipv6FlowLabel(fromHex("6fffabcd")), 0xfabcd);
  assert.equal(ipv6TrafficClass(fromHex("6fffabcd")), 0xff);
});

Deno.test("isIpv6Packet() demands version 6 and a Payload Length that fits exactly", () => {
  const packet = buildIpv6Packet(source, destination, 17, new Uint8Array(9));
  assert.ok(isIpv6Packet(packet, 0, packet.length));
  assert.ok(!isIpv6Packet(packet, 0, packet.length - 1));
  assert.ok(!isIpv6Packet(new Uint8Array([...packet, 0]), 0, packet.length + 1));
  assert.ok(!isIpv6Packet(packet, 0, 39));
  packet[0] = 0x40;
  assert.ok(!isIpv6Packet(packet, 0, packet.length));
});

Deno.test("a UDP datagram has its fields in place and a checksum that verifies", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 50 }),
    fc.nat(0xffff),
    fc.nat(0xffff),
    (payload, from, to) => {
      const datagram = buildUdpDatagram(source, from, destination, to, payload);
      assert.equal(udpSourcePort(datagram), from);
      assert.equal(udpDestinationPort(datagram), to);
      assert.equal(udpLength(datagram), 8 + payload.length);
      assert.notEqual(udpChecksum(datagram), 0);
      assert.equal(upperLayerChecksum(source, destination, 17, datagram), 0);
    },
  ));
});

Deno.test("a UDP checksum that comes to zero is sent as all ones", () => {
  const first = buildUdpDatagram(source, 1, destination, 2, fromHex("0000"));
  const payload = Uint8Array.of(udpChecksum(first) >>> 8, udpChecksum(first) & 0xff);
  assert.equal(udpChecksum(buildUdpDatagram(source, 1, destination, 2, payload)), 0xffff);
});

Deno.test("TCP fields are found in the segment of RFC 7401 appendix C.3", () => {
  const segment = fromHex(appendixC.tcp.segment);
  assert.equal(tcpSourcePort(segment), 65500);
  assert.equal(tcpDestinationPort(segment), 22);
  assert.equal(tcpHeaderLength(segment), 20);
  assert.equal(tcpFlags(segment), TCP_FLAG.syn);
  assert.equal(tcpChecksum(segment), 28586);
});

Deno.test("ESP header and trailer stand where RFC 4303 §2 draws them", () => {
  const bytes = new Uint8Array(24).fill(0xa5);
  emitEspHeader(bytes, 3, 0xfffffffe, 0x80000001);
  assert.equal(espSpi(bytes, 3), 0xfffffffe);
  assert.equal(espSequence(bytes, 3), 0x80000001);
  const end = emitEspTrailer(bytes, 14, 5, 6);
  assert.equal(end, 21);
  assert.equal(toHex(bytes), "a5a5a5fffffffe80000001a5a5a5010203040505" + "06a5a5a5");
  assert.equal(espTrailerPadLength(bytes, end), 5);
  assert.equal(espTrailerNextHeader(bytes, end), 6);
  assert.ok(isEspPaddingRight(bytes, 5, end));
  bytes[16] = 0;
  assert.ok(!isEspPaddingRight(bytes, 5, end));
  assert.ok(isEspPaddingRight(bytes, 2, end) === false);
});

Deno.test("ESP padding is the least that fills the modulus", () => {
  for (const modulus of [4, 16]) {
    for (let length = 0; length < 64; length++) {
      const padLength = espPadLength(length, modulus);
      assert.ok(padLength >= 0 && padLength < modulus);
      assert.equal((length + padLength + 2) % modulus, 0);
    }
  }
});
