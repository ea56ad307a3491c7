/** Netlink codecs: layouts as the kernel's tools print them, laws, and mutilated input. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../../lib/base/errors.ts";
import { formatIpAddress, parseIpAddress } from "../../../lib/wire/ip_address.ts";
import {
  emitAddress,
  emitAddressLabel,
  parseAddress,
  parseAddressLabel,
} from "../../../lib/wire/netlink/address.ts";
import { parseAttributes } from "../../../lib/wire/netlink/attribute.ts";
import {
  emitLink,
  emitLinkChange,
  emitNoLinkLocal,
  parseLink,
} from "../../../lib/wire/netlink/link.ts";
import { emitMessage, parseErrno, parseMessages } from "../../../lib/wire/netlink/message.ts";
import {
  emitRoute,
  isDefaultRoute,
  parseRoute,
  type Route,
} from "../../../lib/wire/netlink/route.ts";
import { emitRule, parseRule } from "../../../lib/wire/netlink/rule.ts";

const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
const uint32 = fc.nat({ max: 2 ** 32 - 1 });
const index = fc.nat({ max: 2 ** 31 - 1 });

Deno.test("Messages survive being written and read, several in one datagram", () => {
  const message = fc.record({
    type: fc.nat({ max: 65535 }),
    flags: fc.nat({ max: 65535 }),
    sequence: uint32,
    portId: uint32,
    payload: fc.uint8Array({ maxLength: 40 }),
  }, { noNullPrototype: true });
  fc.assert(fc.property(fc.array(message), (messages) => {
    const datagram = messages.map(emitMessage).reduce(
      (all, one) => Uint8Array.of(...all, ...one),
      new Uint8Array(0),
    );
    assert.deepEqual(parseMessages(datagram), messages);
  }));
});

Deno.test("The errno of an answer is read as a positive number", () => {
  assert.equal(parseErrno(fromHex("ffffffff")), 1);
  assert.equal(parseErrno(fromHex("00000000 14000000")), 0);
  assert.throws(() => parseErrno(new Uint8Array(3)), MalformedPacketError);
});

Deno.test("An address request has the layout of struct ifaddrmsg and IFA attributes", () => {
  const payload = emitAddress({
    interfaceIndex: 0x0102,
    address: parseIpAddress("192.0.2.1"),
    prefixLength: 96 + 24,
    flags: 0x80,
  });
  assert.equal(
    toHex(payload),
    "02188000" + "02010000" + "08000200c0000201" + "08000100c0000201" + "0800080080000000",
  );
});

Deno.test("A label request has the layout of struct ifaddrlblmsg and IFAL attributes", () => {
  const payload = emitAddressLabel({
    prefix: parseIpAddress("2001:20::"),
    prefixLength: 28,
    label: 139,
  });
  assert.equal(
    toHex(payload),
    "0a001c00" + "00000000" + "00000000" +
      "14000100" + "20010020000000000000000000000000" + "080002008b000000",
  );
});

Deno.test("A link request changes the UP flag alone, and MTU and queue when given", () => {
  assert.equal(
    toHex(emitLinkChange({ index: 7, isUp: true, mtu: 1400 })),
    "00000000" + "07000000" + "01000000" + "01000000" + "0800040078050000",
  );
  assert.equal(
    toHex(emitLinkChange({ index: 7, isUp: true, queueLength: 2000 })),
    "00000000" + "07000000" + "01000000" + "01000000" + "08000d00d0070000",
  );
  assert.equal(
    toHex(emitLinkChange({ index: 7, isUp: false })),
    "00000000" + "07000000" + "00000000" + "01000000",
  );
  // AF_SPEC (26) holds AF_INET6 (10) holds IFLA_INET6_ADDR_GEN_MODE (8) = 1, none.
  assert.equal(
    toHex(emitNoLinkLocal(7)),
    "00000000" + "07000000" + "00000000" + "00000000" + "10001a00" + "0c000a00" +
      "0500080001000000",
  );
});

Deno.test("Addresses, labels, links and rules are read back as they were written", () => {
  const prefix = fc.option(
    fc.record({ address: octets, length: fc.integer({ min: 1, max: 128 }) }, {
      noNullPrototype: true,
    }),
    { nil: undefined },
  );
  fc.assert(fc.property(index, octets, uint32, (interfaceIndex, address, flags) => {
    const value = { interfaceIndex, address, prefixLength: 128, flags };
    assert.deepEqual(parseAddress(emitAddress(value)), value);
  }));
  fc.assert(fc.property(octets, fc.nat({ max: 128 }), uint32, (bytes, prefixLength, label) => {
    const value = { prefix: bytes, prefixLength, label };
    assert.deepEqual(parseAddressLabel(emitAddressLabel(value)), value);
  }));
  fc.assert(fc.property(index, uint32, uint32, fc.stringMatching(/^[a-z0-9]{1,15}$/), (...all) => {
    const [linkIndex, flags, mtu, name] = all;
    const value = { index: linkIndex, flags, mtu, name };
    assert.deepEqual(parseLink(emitLink(value)), value);
  }));
  const suppress = fc.option(fc.nat({ max: 128 }), { nil: undefined });
  fc.assert(fc.property(
    ...[uint32, prefix, prefix, uint32, suppress] as const,
    (priority, source, destination, table, suppressPrefixLength) => {
      const common = { action: 1, table, suppressPrefixLength, protocol: 139 };
      const value = { priority, source, destination, ...common };
      assert.deepEqual(parseRule(emitRule(value)), value);
    },
  ));
});

Deno.test("Routes of both families are read back as they were written", () => {
  const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((tail) =>
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...tail)
  );
  const route = fc.oneof(
    fc.record({ destination: octets, prefixLength: fc.integer({ min: 1, max: 128 }) }),
    fc.record({ destination: ipv4, prefixLength: fc.integer({ min: 97, max: 128 }) }),
  );
  fc.assert(fc.property(route, index, uint32, uint32, (prefix, interfaceIndex, table, metric) => {
    const preferredSource = prefix.destination;
    const value: Route = {
      ...prefix,
      interfaceIndex,
      table,
      type: 1,
      protocol: 4,
      metric,
      preferredSource,
    };
    assert.deepEqual(parseRoute(emitRoute(value)), value);
  }));
});

Deno.test("A default route is known in both families, also over several next hops", () => {
  const base = { interfaceIndex: 3, table: 254, type: 1, protocol: 4, metric: 0 };
  const preferredSource = undefined;
  for (const [any, prefixLength] of [["::", 0], ["0.0.0.0", 96]] as const) {
    const destination = parseIpAddress(any);
    const route = parseRoute(emitRoute({ ...base, destination, prefixLength, preferredSource }));
    assert.equal(route && formatIpAddress(route.destination), any);
    assert.ok(route && isDefaultRoute(route));
  }
  const multipath = fromHex("02000000fe000001 00000000" + "0c000900" + "0800000005000000");
  assert.equal(parseRoute(multipath)?.interfaceIndex, 5);
});

Deno.test("Mutilated messages are refused by name or read, never anything else", () => {
  const whole = emitMessage({
    type: 20,
    flags: 0,
    sequence: 1,
    portId: 0,
    payload: emitAddress({
      interfaceIndex: 3,
      address: parseIpAddress("fd00::1"),
      prefixLength: 64,
      flags: 0,
    }),
  });
  const parsers = [parseAddress, parseAddressLabel, parseLink, parseRoute, parseRule];
  const place = fc.nat({ max: whole.length - 1 });
  fc.assert(fc.property(place, fc.nat({ max: 255 }), place, (position, octet, cut) => {
    const damaged = whole.slice(0, whole.length - (cut % 8));
    if (position < damaged.length) damaged[position] = octet;
    for (const parse of parsers) {
      try {
        for (const { payload } of parseMessages(damaged)) parse(payload);
      } catch (error) {
        assert.ok(error instanceof MalformedPacketError, String(error));
      }
    }
  }));
});

Deno.test("An attribute longer than its message is refused", () => {
  assert.throws(() => parseAttributes(fromHex("0900010001020304"), 0), MalformedPacketError);
  assert.throws(() => parseAttributes(fromHex("0300010001020304"), 0), MalformedPacketError);
});
