import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { toHex } from "../../lib/base/bytes.ts";
import {
  addressKey,
  commonPrefixLength,
  formatIpAddress,
  hasPrefix,
  isIpv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  mapIpv4,
  parseIpAddress,
} from "../../lib/wire/ip_address.ts";

const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** Addresses with many zero octets, where "::" matters. */
const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 0x20), { minLength: 16, maxLength: 16 })
  .map((octets) => Uint8Array.from(octets));

Deno.test("addresses print as RFC 5952 demands", () => {
  // Text given, text expected: RFC 5952 §1, §2, §4 and §5.
  const cases = [
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:aaaa:bbbb:cccc:dddd:0:1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:DB8::00AA", "2001:db8::aa"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["192.0.2.1", "192.0.2.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["2001:20::1", "2001:20::1"],
  ] as const;
  for (const [given, expected] of cases) {
    assert.equal(formatIpAddress(parseIpAddress(given)), expected);
  }
});

Deno.test("parsing an address inverts printing it", () => {
  fc.assert(fc.property(fc.oneof(address, sparse), (octets) => {
    const text = formatIpAddress(octets);
    assert.equal(toHex(parseIpAddress(text)), toHex(octets));
    assert.equal(isIP(text), isIpv4(octets) ? 4 : 6);
  }));
});

Deno.test("what is not an address is refused, as by the system's own parser", () => {
  const wrong = [
    "",
    ":",
    ":::",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.-4",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "1::2::3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "12345::",
    "g::",
    "::1.2.3",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "fe80::1%eth0 ",
    " ::1",
  ];
  for (const text of wrong) {
    assert.throws(() => parseIpAddress(text), SyntaxError, text);
    assert.equal(isIP(text), 0, text);
  }
  assert.throws(() => parseIpAddress("fe80::1%eth0"), SyntaxError);
});

Deno.test("random text is an address to us exactly when it is one to the system", () => {
  const piece = fc.constantFrom("0", "1", "ff", "2001", "12345", ":", "::", ":", ".", "255", "g");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 17, size: "max" }), (pieces) => {
      const text = pieces.join("");
      let isAddress = true;
      try {
        parseIpAddress(text);
      } catch (error) {
        assert.ok(error instanceof SyntaxError);
        isAddress = false;
      }
      assert.equal(isAddress, isIP(text) !== 0, text);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("the ranges are told apart in both families, at their edges", () => {
  const members: [(a: Uint8Array) => boolean, string[], string[]][] = [
    [isIpv4, ["0.0.0.0", "255.255.255.255"], ["::", "::1.2.3.4", "::fffe:1.2.3.4"]],
    [isLinkLocal, ["169.254.0.1", "fe80::1", "febf::1"], ["169.253.0.1", "fec0::1", "fe00::1"]],
    [isLoopback, ["127.0.0.1", "127.255.0.1", "::1"], ["128.0.0.1", "::2", "1::1", "0.0.0.1"]],
    [isMulticast, ["224.0.0.1", "239.0.0.1", "ff02::1"], ["223.0.0.1", "240.0.0.1", "fe80::1"]],
    [isUnspecified, ["::", "0.0.0.0"], ["::1", "0.0.0.1", "1::"]],
  ];
  for (const [predicate, inside, outside] of members) {
    for (const text of inside) assert.ok(predicate(parseIpAddress(text)), text);
    for (const text of outside) assert.ok(!predicate(parseIpAddress(text)), text);
  }
});

Deno.test("commonPrefixLength() agrees with comparing bit by bit, hasPrefix() with it", () => {
  const bits = (a: Uint8Array) => Array.from(a, (x) => x.toString(2).padStart(8, "0")).join("");
  fc.assert(fc.property(address, fc.nat(128), (a, flip) => {
    const b = Uint8Array.from(a);
    if (flip < 128) b[flip >>> 3]! ^= 0x80 >>> (flip & 7);
    const different = [...bits(a)].findIndex((bit, i) => bit !== bits(b)[i]);
    const expected = different < 0 ? 128 : different;
    assert.equal(commonPrefixLength(a, b), expected);
    assert.ok(hasPrefix(a, b, expected));
    assert.equal(hasPrefix(a, b, expected + 1), false);
  }));
});

Deno.test("addresses have the same key exactly when they are equal", () => {
  fc.assert(fc.property(address, address, (a, b) => {
    assert.equal(addressKey(a) === addressKey(b), toHex(a) === toHex(b));
    assert.equal(addressKey(a), addressKey(Uint8Array.from(a)));
  }));
});

Deno.test("mapIpv4() maps the four octets at an offset", () => {
  const bytes = Uint8Array.of(9, 192, 0, 2, 7, 9);
  assert.equal(formatIpAddress(mapIpv4(bytes, 1)), "192.0.2.7");
});
