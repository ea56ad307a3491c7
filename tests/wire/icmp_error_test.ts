import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { finishSum, pseudoHeaderSum, sumBytes } from "../../lib/wire/checksum.ts";
import { parseIcmpError } from "../../lib/wire/icmp_error.ts";
import { translateIcmpError, translateIcmpv6Error } from "../../lib/wire/icmp_translation.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";

const ROUTER_4 = parseIpAddress("203.0.113.9");
const OURS_4 = parseIpAddress("192.0.2.1");
const ROUTER_6 = parseIpAddress("2001:db8::9");
const OURS_6 = parseIpAddress("2001:db8::1");

/** Fragmentation needed, next-hop MTU 1400, about ESP (RFC 792, RFC 1191 §4), octet by octet. */
const TOO_BIG_4 = "0304 0000 0000 0578" +
  "4500 05dc 0000 4000 4032 0000 c0000201 c0000202" + "deadbeef 00000007";

/** Packet Too Big, MTU 1300, about ESP in a fragment header (RFC 4443 §3.2, RFC 8200 §4.5). */
const TOO_BIG_6 = "0200 0000 0000 0514" +
  "60000000 0528 2c 40 20010db8000000000000000000000001 20010db8000000000000000000000002" +
  "32 00 0001 00000009" + "deadbeef 00000007";

/** The same about ESP in UDP, to port 10500; the quotation ends in the ESP header. */
const IN_UDP_4 = TOO_BIG_4.replace("4032", "4011")
  .replace("deadbeef", "2904 2904 05c8 1234 deadbeef");
/** About HIP in UDP, to port 443, behind its marker. */
const IN_UDP_6 = TOO_BIG_6.replace("32 00 0001", "11 00 0001")
  .replace("deadbeef 00000007", "2904 01bb 0064 1234 00000000 3b041122");

function messageOf(hex: string, version: 4 | 6): Uint8Array {
  const bytes = fromHex(hex.replaceAll(" ", ""));
  const pseudo = version === 4 ? 0 : pseudoHeaderSum(ROUTER_6, OURS_6, 58, bytes.length);
  const sum = finishSum(sumBytes(bytes, 0, bytes.length, pseudo));
  bytes.set([sum >>> 8, sum & 0xff], 2);
  return bytes;
}

function parse(bytes: Uint8Array, version: 4 | 6) {
  return version === 4
    ? parseIcmpError(bytes, 1, ROUTER_4, OURS_4)
    : parseIcmpError(bytes, 58, ROUTER_6, OURS_6);
}

Deno.test("parseIcmpError() reads MTU, addresses, protocol and payload of the quoted packet", () => {
  const four = parse(messageOf(TOO_BIG_4, 4), 4)!;
  assert.deepEqual([four.kind, four.kind === "too-big" && four.mtu], ["too-big", 1400]);
  assert.deepEqual(four.quoted.source, OURS_4);
  assert.deepEqual(four.quoted.destination, parseIpAddress("192.0.2.2"));
  assert.deepEqual([four.quoted.protocol, toHex(four.quoted.payload)], [50, "deadbeef00000007"]);
  const six = parse(messageOf(TOO_BIG_6, 6), 6)!;
  assert.deepEqual([six.kind, six.kind === "too-big" && six.mtu], ["too-big", 1300]);
  assert.deepEqual(six.quoted.source, OURS_6);
  assert.deepEqual([six.quoted.protocol, toHex(six.quoted.payload)], [50, "deadbeef00000007"]);
});

Deno.test("parseIcmpError() looks into UDP for ESP and HIP, and says to which port they went", () => {
  const four = parse(messageOf(IN_UDP_4, 4), 4)!.quoted;
  assert.deepEqual([four.protocol, four.peerPort], [50, 10500]);
  assert.equal(toHex(four.payload), "deadbeef00000007");
  const six = parse(messageOf(IN_UDP_6, 6), 6)!.quoted;
  assert.deepEqual([six.protocol, six.peerPort, toHex(six.payload)], [139, 443, "3b041122"]);
  assert.equal(parse(messageOf(TOO_BIG_4, 4), 4)!.quoted.peerPort, 0);
  // Cut off in the UDP header, or before it is told what is inside.
  const upTo = (text: string) => IN_UDP_4.slice(0, IN_UDP_4.indexOf(text));
  for (const cut of [upTo("1234"), upTo("beef"), upTo("2904 2904")]) {
    assert.equal(parse(messageOf(cut, 4), 4), undefined);
  }
});

Deno.test("parseIcmpError() tells unreachable by type and code, and nothing else", () => {
  const kinds = (hex: string, version: 4 | 6, types: number, codes: number[]) => {
    const found: string[] = [];
    for (let type = 0; type < types; type++) {
      for (const code of codes) {
        const head = type.toString(16).padStart(2, "0") + code.toString(16).padStart(2, "0");
        const error = parse(messageOf(head + hex.slice(4), version), version);
        if (error === undefined) continue;
        const isProhibited = error.kind === "unreachable" && error.isProhibited;
        found.push(`${type}/${code} ${isProhibited ? "prohibited" : error.kind}`);
      }
    }
    return found;
  };
  assert.deepEqual(kinds(TOO_BIG_4, 4, 256, [0, 2, 4, 9, 10, 11, 13]), [
    "3/0 unreachable",
    "3/2 unreachable",
    "3/4 too-big",
    ...["3/9 prohibited", "3/10 prohibited", "3/11 unreachable", "3/13 prohibited"],
  ]);
  assert.deepEqual(kinds(TOO_BIG_6, 6, 256, [0, 1, 4]), [
    ...["1/0 unreachable", "1/1 prohibited", "1/4 unreachable"],
    ...["2/0 too-big", "2/1 too-big", "2/4 too-big"],
    "4/1 unreachable",
  ]);
});

Deno.test("parseIcmpError() refuses later fragments, which quote no beginning", () => {
  const later4 = TOO_BIG_4.replace("0000 4000", "0000 2003");
  const later6 = TOO_BIG_6.replace("32 00 0001", "32 00 0009");
  assert.equal(parse(messageOf(later4, 4), 4), undefined);
  assert.equal(parse(messageOf(later6, 6), 6), undefined);
});

Deno.test("parseIcmpError() and the translations take any octets without an exception", () => {
  const cases = fc.tuple(
    fc.constantFrom([TOO_BIG_4, 4], [TOO_BIG_6, 6], [IN_UDP_4, 4], [IN_UDP_6, 6] as const),
    fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 6 }),
    fc.nat(80),
  );
  fc.assert(fc.property(cases, ([[hex, version], changes, length]) => {
    const bytes = messageOf(hex as string, version as 4 | 6);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    const cut = bytes.slice(0, length);
    const again = messageOf(toHex(cut.length >= 4 ? cut : bytes), version as 4 | 6);
    parse(cut, version as 4 | 6);
    parse(again, version as 4 | 6);
    if (again.length < 8) return;
    translateIcmpError(again, OURS_6, ROUTER_6);
    translateIcmpv6Error(again, OURS_4, ROUTER_4);
  }));
});
