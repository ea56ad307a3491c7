import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { finishSum, sumBytes, upperLayerChecksum } from "../../lib/wire/checksum.ts";
import * as icmp from "../../lib/wire/icmp.ts";
import * as icmpv6 from "../../lib/wire/icmpv6.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { buildIpv4Packet, parseIpv4Header } from "../../lib/wire/ipv4.ts";
import { buildIpv6Packet, ipv6Destination, ipv6Source, isIpv6Packet } from "../../lib/wire/ipv6.ts";

const router = parseIpAddress("2001:db8::99");
const a = parseIpAddress("2001:20::1");
const b = parseIpAddress("2001:20::2");
const router4 = parseIpAddress("192.0.2.99");
const a4 = parseIpAddress("192.0.2.1");
const b4 = parseIpAddress("192.0.2.2");

function assertIcmpv6(packet: Uint8Array, header: string, quoted: Uint8Array): void {
  assert.ok(isIpv6Packet(packet, 0, packet.length));
  assert.equal(formatIpAddress(ipv6Source(packet)), "2001:db8::99");
  assert.equal(formatIpAddress(ipv6Destination(packet)), "2001:20::1");
  assert.equal(upperLayerChecksum(router, a, 58, packet, 40), 0);
  assert.equal(toHex(packet.subarray(40, 42)) + toHex(packet.subarray(44, 48)), header);
  assert.equal(toHex(packet.subarray(48)), toHex(quoted));
}

Deno.test("ICMPv6 errors go to the source, quote the packet and have a right checksum", () => {
  const quoted = buildIpv6Packet(a, b, 6, new Uint8Array(60).fill(7));
  const { addressUnreachable } = icmpv6.ICMPV6_UNREACHABLE;
  assertIcmpv6(
    icmpv6.buildIcmpv6Unreachable(quoted, router, addressUnreachable),
    "010300000000",
    quoted,
  );
  assertIcmpv6(icmpv6.buildIcmpv6PacketTooBig(quoted, router, 1400), "020000000578", quoted);
});

Deno.test("ICM-012 Parameter Problem is type 4 in ICMPv6 and type 12 in ICMP, with its pointer", () => {
  const quoted = buildIpv6Packet(a, b, 139, new Uint8Array(48));
  assertIcmpv6(icmpv6.buildIcmpv6ParameterProblem(quoted, router, 43), "04000000002b", quoted);
  const quoted4 = buildIpv4Packet({
    source: a4,
    destination: b4,
    protocol: 139,
    payload: new Uint8Array(48),
  });
  assertIcmp(icmp.buildIcmpParameterProblem(quoted4, router4, 23), "0c0017000000", quoted4);
});

Deno.test("an ICMPv6 error is at most 1280 octets long", () => {
  const quoted = buildIpv6Packet(a, b, 6, new Uint8Array(3000));
  const packet = icmpv6.buildIcmpv6PacketTooBig(quoted, router, 1280);
  assert.equal(packet.length, 1280);
  assertIcmpv6(packet, "020000000500", quoted.subarray(0, 1232));
});

Deno.test("ICMPv6 errors do not answer errors, redirects, multicast or nobody", () => {
  const may = (source: Uint8Array, destination: Uint8Array, next: number, payload: string) =>
    icmpv6.mayAnswerWithIcmpv6Error(buildIpv6Packet(source, destination, next, fromHex(payload)));
  assert.ok(may(a, b, 6, "00"));
  assert.ok(may(a, b, 58, "80"));
  assert.ok(!may(a, b, 58, "01"));
  assert.ok(!may(a, b, 58, "89"));
  assert.ok(!may(a, b, 58, ""));
  assert.ok(!may(a, parseIpAddress("ff02::1"), 17, "00"));
  assert.ok(!may(parseIpAddress("::"), b, 17, "00"));
  assert.ok(!icmpv6.mayAnswerWithIcmpv6Error(new Uint8Array(39)));
});

Deno.test("an ICMPv6 echo comes back as it was built, and altered not at all", () => {
  for (const kind of ["request", "reply"] as const) {
    const echo = { kind, source: a, destination: b, identifier: 0xabcd, sequence: 0xfffe, data: a };
    const packet = icmpv6.buildIcmpv6Echo(echo);
    assert.equal(packet[40], kind === "request" ? 128 : 129);
    assert.deepEqual(icmpv6.parseIcmpv6Echo(packet), echo);
    for (let i = 40; i < packet.length; i++) {
      const altered = Uint8Array.from(packet);
      altered[i]! ^= 1;
      assert.equal(icmpv6.parseIcmpv6Echo(altered), undefined);
    }
    for (let length = 0; length < packet.length; length++) {
      assert.equal(icmpv6.parseIcmpv6Echo(packet.subarray(0, length)), undefined);
    }
  }
  assert.equal(icmpv6.parseIcmpv6Echo(buildIpv6Packet(a, b, 58, new Uint8Array(7))), undefined);
});

function assertIcmp(packet: Uint8Array, header: string, quoted: Uint8Array): void {
  const { source, destination, protocol, totalLength } = parseIpv4Header(packet);
  assert.equal(protocol, 1);
  assert.equal(totalLength, packet.length);
  assert.equal(formatIpAddress(source), "192.0.2.99");
  assert.equal(formatIpAddress(destination), "192.0.2.1");
  assert.equal(finishSum(sumBytes(packet, 20, packet.length)), 0);
  assert.equal(toHex(packet.subarray(20, 22)) + toHex(packet.subarray(24, 28)), header);
  assert.equal(toHex(packet.subarray(28)), toHex(quoted));
}

Deno.test("an ICMP Destination Unreachable quotes the packet, with MTU, in at most 576 octets", () => {
  const packet = { source: a4, destination: b4, protocol: 17 };
  const small = buildIpv4Packet({ ...packet, payload: new Uint8Array(30).fill(3) });
  const { host, fragmentationNeeded } = icmp.ICMP_UNREACHABLE;
  assertIcmp(icmp.buildIcmpUnreachable(small, router4, host), "030100000000", small);
  const large = buildIpv4Packet({ ...packet, payload: new Uint8Array(1480) });
  const error = icmp.buildIcmpUnreachable(large, router4, fragmentationNeeded, 1400);
  assert.equal(error.length, 576);
  assertIcmp(error, "030400000578", large.subarray(0, 548));
});

Deno.test("ICMP errors do not answer errors, multicast, later fragments or nobody", () => {
  const packet = { source: a4, destination: b4, protocol: 17, payload: fromHex("0000") };
  const may = (change: Partial<Parameters<typeof buildIpv4Packet>[0]>) =>
    icmp.mayAnswerWithIcmpError(buildIpv4Packet({ ...packet, ...change }));
  assert.ok(may({}));
  assert.ok(may({ moreFragments: true }));
  assert.ok(may({ protocol: 1, payload: fromHex("08") }));
  assert.ok(!may({ protocol: 1, payload: fromHex("03") }));
  assert.ok(!may({ fragmentOffset: 8 }));
  assert.ok(!may({ destination: parseIpAddress("224.0.0.1") }));
  assert.ok(!may({ source: parseIpAddress("0.0.0.0") }));
});

Deno.test("an ICMP echo comes back as it was built, and altered not at all", () => {
  for (const kind of ["request", "reply"] as const) {
    const echo = { kind, source: a4, destination: b4, identifier: 7, sequence: 0x8001, data: a };
    const packet = icmp.buildIcmpEcho(echo);
    assert.equal(packet[20], kind === "request" ? 8 : 0);
    assert.deepEqual(icmp.parseIcmpEcho(packet), echo);
    for (let i = 20; i < packet.length; i++) {
      const altered = Uint8Array.from(packet);
      altered[i]! ^= 1;
      assert.equal(icmp.parseIcmpEcho(altered), undefined);
    }
  }
});
