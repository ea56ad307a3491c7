import assert from "node:assert/strict";
import fc from "fast-check";
import {
  chooseSource,
  type LocalLocator,
  localLocators,
  sameLocators,
} from "../../lib/host/local_locators.ts";
import { formatIpAddress, isIpv4, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { ADDRESS_FLAG, type InterfaceAddress } from "../../lib/wire/netlink/address.ts";
import { type Link, LINK_FLAG } from "../../lib/wire/netlink/link.ts";
import type { Route } from "../../lib/wire/netlink/route.ts";

const HIP0 = 9;

const LINKS: Link[] = [
  { index: 1, name: "lo", flags: LINK_FLAG.UP | LINK_FLAG.LOOPBACK, mtu: 65536 },
  { index: 2, name: "eth0", flags: LINK_FLAG.UP, mtu: 1500 },
  { index: 3, name: "eth1", flags: LINK_FLAG.UP, mtu: 1500 },
  { index: 4, name: "eth2", flags: 0, mtu: 1500 },
  { index: HIP0, name: "hip0", flags: LINK_FLAG.UP, mtu: 1400 },
];

function address(text: string, interfaceIndex: number, flags = 0): InterfaceAddress {
  const [host, length] = text.split("/");
  const bytes = parseIpAddress(host!);
  const prefixLength = Number(length) + (isIpv4(bytes) ? 96 : 0);
  return { interfaceIndex, address: bytes, prefixLength, flags };
}

function defaultRoute(any: string, interfaceIndex: number, type = 1): Route {
  const destination = parseIpAddress(any);
  const prefixLength = isIpv4(destination) ? 96 : 0;
  const preferredSource = undefined;
  return {
    destination,
    prefixLength,
    interfaceIndex,
    table: 254,
    type,
    protocol: 4,
    metric: 0,
    preferredSource,
  };
}

function list(addresses: InterfaceAddress[], routes: Route[] = []): string[] {
  return localLocators({ links: LINKS, addresses, routes }, HIP0).map((locator) =>
    `${formatIpAddress(locator.address)}${locator.isDefault ? " default" : ""}`
  );
}

Deno.test("Loopback, HITs, addresses of our device and of links that are down are no locators", () => {
  const found = list([
    address("127.0.0.1/8", 1),
    address("::1/128", 1),
    address("2001:22::1/128", HIP0),
    address("fe80::9/64", HIP0),
    address("2001:22::2/128", 2),
    address("10.9.0.1/24", 4),
    address("127.0.0.5/8", 2),
    address("10.1.0.1/24", 2),
  ]);
  assert.deepEqual(found, ["10.1.0.1"]);
});

Deno.test("Tentative, duplicate and deprecated addresses are no locators", () => {
  const found = list([
    address("fd00::1/64", 2, ADDRESS_FLAG.TENTATIVE),
    address("fd00::2/64", 2, ADDRESS_FLAG.DAD_FAILED),
    address("fd00::3/64", 2, ADDRESS_FLAG.DEPRECATED),
    address("fd00::4/64", 2, ADDRESS_FLAG.PERMANENT),
  ]);
  assert.deepEqual(found, ["fd00::4"]);
});

Deno.test("Locators with the default route of their own family come first, link-local ones last", () => {
  const found = list([
    address("fe80::2/64", 2),
    address("10.2.0.1/24", 2),
    address("fd00:3::1/64", 3),
    address("fd00:2::7/64", 2, ADDRESS_FLAG.TEMPORARY),
    address("fd00:2::1/64", 2),
    address("10.3.0.1/24", 3),
  ], [defaultRoute("::", 2), defaultRoute("0.0.0.0", 3)]);
  assert.deepEqual(found, [
    "fd00:2::1 default",
    "fd00:2::7 default",
    "10.3.0.1 default",
    "fd00:3::1",
    "10.2.0.1",
    "fe80::2",
  ]);
});

Deno.test("A default route that only forbids makes no interface the default", () => {
  assert.deepEqual(list([address("fd00:2::1/64", 2)], [defaultRoute("::", 2, 7)]), ["fd00:2::1"]);
});

function locator(text: string, options: { dev?: number; isDefault?: boolean } = {}): LocalLocator {
  const { address: bytes, prefixLength } = address(text, 0);
  const { dev = 2, isDefault = false } = options;
  return { address: bytes, prefixLength, interfaceIndex: dev, isDefault };
}

/** One line of RFC 6724 §5 each: sources, destination, the one to be chosen. */
const CHOICES: [string, LocalLocator[], string, string | undefined][] = [
  ["same family", [locator("10.0.0.1/8"), locator("fd00::1/64")], "fd00:9::1", "fd00::1"],
  ["same family, IPv4", [locator("fd00::1/64"), locator("10.0.0.1/8")], "192.0.2.1", "10.0.0.1"],
  ["none of the family", [locator("10.0.0.1/8")], "fd00:9::1", undefined],
  ["rule 1: same address", [locator("fd00::1/64"), locator("fd00::2/64")], "fd00::2", "fd00::2"],
  [
    "rule 2: scope",
    [locator("fe80::1/64"), locator("2001:db8::1/64")],
    "2001:db8:7::1",
    "2001:db8::1",
  ],
  ["rule 2: link-local", [locator("2001:db8::1/64"), locator("fe80::1/64")], "fe80::9", "fe80::1"],
  ["no link-local source to a wide scope", [locator("fe80::1/64")], "2001:db8::9", undefined],
  ["no wide source to a link-local peer", [locator("fd00::1/64")], "fe80::9", undefined],
  [
    "on the link, not by default",
    [
      locator("10.1.0.1/24", { isDefault: true }),
      locator("10.2.0.1/24"),
    ],
    "10.2.0.9",
    "10.2.0.1",
  ],
  [
    "default for what is far",
    [
      locator("10.2.0.1/24"),
      locator("192.0.2.1/24", { isDefault: true }),
    ],
    "10.3.0.9",
    "192.0.2.1",
  ],
  [
    "rule 6: unique local for unique local",
    [
      locator("2001:db8::1/64", { isDefault: true }),
      locator("fd00:1::1/64"),
    ],
    "fd00:2::1",
    "fd00:1::1",
  ],
  [
    "rule 8: longest prefix",
    [locator("2001:db8:1::1/64"), locator("2001:db8:2::1/64")],
    "2001:db8:2:5::1",
    "2001:db8:2::1",
  ],
];

for (const [name, sources, destination, expected] of CHOICES) {
  Deno.test(`Choice of the source address: ${name}`, () => {
    for (const order of [sources, [...sources].reverse()]) {
      const chosen = chooseSource(order, parseIpAddress(destination));
      assert.equal(chosen && formatIpAddress(chosen), expected);
    }
  });
}

Deno.test("The source chosen is always one of the locators and of the destination's family", () => {
  const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((tail) =>
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...tail)
  );
  const any = fc.oneof(octets, ipv4);
  fc.assert(fc.property(fc.array(any), any, (addresses, destination) => {
    const locators = addresses.map((bytes): LocalLocator => ({
      address: bytes,
      prefixLength: 100,
      interfaceIndex: 1,
      isDefault: false,
    }));
    const chosen = chooseSource(locators, destination);
    if (chosen === undefined) return;
    assert.ok(locators.some((locator) => locator.address === chosen));
    assert.equal(isIpv4(chosen), isIpv4(destination));
  }));
});

Deno.test("Two lists of locators are the same only in the same order", () => {
  const a = locator("10.1.0.1/24");
  const b = locator("10.2.0.1/24");
  assert.ok(sameLocators([a, b], [{ ...a }, { ...b }]));
  assert.ok(!sameLocators([a, b], [b, a]));
  assert.ok(!sameLocators([a], [{ ...a, isDefault: true }]));
  assert.ok(!sameLocators([a], [a, b]));
});
