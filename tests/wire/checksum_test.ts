import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import {
  finishSum,
  pseudoHeaderSum,
  sumBytes,
  upperLayerChecksum,
} from "../../lib/wire/checksum.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import appendixC from "../vectors/rfc7401_appendix_c.json" with { type: "json" };

/** RFC 1071 by the letter: one word at a time, carry added at once. */
function slowChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

Deno.test("the checksum of the example in RFC 1071 §3 is right", () => {
  assert.equal(finishSum(sumBytes(fromHex("0001f203f4f5f6f7"), 0, 8)), 0xffff - 0xddf2);
});

Deno.test("the checksum agrees with its slow twin, in one part or in two", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 3000, size: "max" }),
    fc.nat(1500),
    (bytes, half) => {
      const middle = Math.min(2 * half, bytes.length & ~1);
      const whole = finishSum(sumBytes(bytes, 0, bytes.length));
      const parts = finishSum(sumBytes(bytes, middle, bytes.length, sumBytes(bytes, 0, middle)));
      assert.equal(whole, slowChecksum(bytes));
      assert.equal(parts, whole);
    },
  ));
});

Deno.test("the largest packet of all ones does not overflow the running sum", () => {
  const bytes = new Uint8Array(65534).fill(0xff);
  assert.equal(finishSum(sumBytes(bytes, 0, bytes.length)), 0);
});

for (const vector of appendixC.hip) {
  Deno.test(`the pseudo-header sum is that of the octets printed for RFC 7401 ${vector.name}`, () => {
    const printed = fromHex(vector.pseudoHeader);
    const [source, destination] = [vector.source, vector.destination].map(parseIpAddress);
    assert.equal(
      finishSum(pseudoHeaderSum(source!, destination!, 139, 48)),
      finishSum(sumBytes(printed, 0, printed.length)),
    );
  });
}

Deno.test(`CKS-010 CKS-011 RFC 7401 appendix ${appendixC.tcp.name}`, () => {
  const segment = fromHex(appendixC.tcp.segment);
  const source = parseIpAddress(appendixC.tcp.source);
  const destination = parseIpAddress(appendixC.tcp.destination);
  assert.equal(upperLayerChecksum(source, destination, 6, segment), 0);
  const field = segment.slice(16, 18);
  segment.fill(0, 16, 18);
  assert.equal(upperLayerChecksum(source, destination, 6, segment), 0x6faa);
  assert.deepEqual(field, fromHex("6faa"));
});

Deno.test("a pseudo-header of one mapped and one IPv6 address takes the IPv6 form", () => {
  const mapped = parseIpAddress("192.0.2.1");
  const other = parseIpAddress("2001:db8::1");
  const octets = concatBytes(mapped, other, fromHex("00012345 00000011"));
  assert.equal(
    finishSum(pseudoHeaderSum(mapped, other, 17, 0x12345)),
    finishSum(sumBytes(octets, 0, octets.length)),
  );
});
