import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import fc from "fast-check";
import { fromHex } from "../../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../../lib/base/errors.ts";
import { A } from "../../../lib/wire/dns/a.ts";
import { AAAA } from "../../../lib/wire/dns/aaaa.ts";
import { CLASS_IN, FLAG, TYPE } from "../../../lib/wire/dns/code_points.ts";
import { HIP } from "../../../lib/wire/dns/hip.ts";
import { parseMessage, rdataOf, truncateMessage } from "../../../lib/wire/dns/message.ts";
import { emitQuestion, MessageBuilder } from "../../../lib/wire/dns/message_builder.ts";
import {
  formatName,
  isUnder,
  nameKey,
  parseName,
  readName,
  sameName,
} from "../../../lib/wire/dns/name.ts";
import { encodeRdata, type RecordCodec } from "../../../lib/wire/dns/record.ts";
import { parseIpAddress } from "../../../lib/wire/ip_address.ts";
import { Reader } from "../../../lib/wire/reader.ts";
import { Writer } from "../../../lib/wire/writer.ts";

Deno.test("A and AAAA keep the laws of a record codec", () => {
  const check = (codec: RecordCodec<{ address: Uint8Array }>, text: string) => {
    const value = { address: parseIpAddress(text) };
    const bytes = encodeRdata(codec, value);
    assert.equal(bytes.length, codec.length(value));
    assert.deepEqual(codec.parse(new Reader(bytes, codec.name)), value);
    const dirty = new Uint8Array(bytes.length + 5).fill(0xa5);
    codec.emit(new Writer(dirty, 3), value);
    assert.deepEqual([...dirty], [0xa5, 0xa5, 0xa5, ...bytes, 0xa5, 0xa5]);
    for (const wrong of [bytes.subarray(1), Uint8Array.of(...bytes, 0)]) {
      assert.throws(() => codec.parse(new Reader(wrong, codec.name)), MalformedPacketError);
    }
  };
  check(A, "192.0.2.7");
  check(AAAA, "2001:db8::1");
  assert.throws(() => encodeRdata(A, { address: parseIpAddress("::1") }), RangeError);
});

Deno.test("DNS-006 compression pointers that lead forward, to themselves or too often are refused", () => {
  assert.throws(() => readName(fromHex("c000"), 0), MalformedPacketError);
  assert.throws(() => readName(fromHex("0161c004c00000"), 0), MalformedPacketError);
  assert.throws(() => readName(fromHex("0161c000"), 0), MalformedPacketError);
  const chain = (hops: number) => {
    const octets = [0];
    for (let i = 0; i < hops; i++) octets.push(0xc0, i === 0 ? 0 : 1 + 2 * (i - 1));
    return Uint8Array.from(octets);
  };
  // 63 hops stay below offset 128 here; more need two-octet targets.
  assert.equal(readName(chain(63), 1 + 2 * 62).next, 1 + 2 * 63);
  const long = [0];
  for (let i = 0; i < 128; i++) {
    const target = i === 0 ? 0 : 1 + 2 * (i - 1);
    long.push(0xc0 | (target >> 8), target & 0xff);
  }
  const bytes = Uint8Array.from(long);
  assert.equal(readName(bytes, 1 + 2 * 126).name.length, 1);
  assert.throws(() => readName(bytes, 1 + 2 * 127), /127/);
});

Deno.test("DNS-193 names are opaque octets that compare without regard to ASCII case", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 5 }),
    (labels) => {
      const name = Uint8Array.from([...labels.flatMap((l) => [l.length, ...l]), 0]);
      assert.deepEqual(parseName(formatName(name)), name);
      assert.deepEqual(readName(name, 0), { name, next: name.length });
    },
  ));
  assert.equal(nameKey(parseName("WWW.Example")), nameKey(parseName("www.eXAMPLE.")));
  assert.ok(!sameName(parseName("é.example"), parseName("É.example")));
  assert.ok(isUnder(parseName("a.B.c"), parseName("b.C")));
  assert.ok(!isUnder(parseName("ab.c"), parseName("b.c")));
  for (const bad of ["", "a..b", "a b", `${"a".repeat(64)}.b`, "a.".repeat(128), "\\999"]) {
    assert.throws(() => parseName(bad), SyntaxError, bad);
  }
});

const SAMPLE = new Uint8Array(dnsPacket.encode({
  type: "response",
  id: 0x1234,
  flags: dnsPacket.RECURSION_DESIRED,
  questions: [{ type: "AAAA", name: "www.example.com", class: "IN" }],
  answers: [
    { type: "CNAME", name: "www.example.com", ttl: 60, data: "a.example.net" },
    { type: "AAAA", name: "a.example.net", ttl: 300, data: "2001:db8::1" },
    { type: "AAAA", name: "a.example.net", ttl: 300, data: "2001:db8::2" },
  ],
  authorities: [{ type: "NS", name: "example.net", ttl: 1, data: "ns.example.net" }],
  additionals: [
    { type: "A", name: "ns.example.net", ttl: 1, data: "192.0.2.1" },
    // deno-lint-ignore no-explicit-any
    { type: "OPT", name: ".", udpPayloadSize: 4096, flags: 0x8000, options: [] } as any,
  ],
}));

Deno.test("parseMessage() finds what dns-packet wrote", () => {
  const message = parseMessage(SAMPLE);
  assert.equal(message.id, 0x1234);
  assert.equal(formatName(message.question!.name), "www.example.com.");
  assert.deepEqual(
    message.records.map((r) => [r.section, formatName(r.name), r.type, r.ttl]).slice(0, 5),
    [
      ["answer", "www.example.com.", 5, 60],
      ["answer", "a.example.net.", 28, 300],
      ["answer", "a.example.net.", 28, 300],
      ["authority", "example.net.", 2, 1],
      ["additional", "ns.example.net.", 1, 1],
    ],
  );
  assert.deepEqual(message.edns, { udpSize: 4096, version: 0, isDnssecOk: true });
  assert.equal(message.records.at(-1)!.end, SAMPLE.length);
});

Deno.test("every truncation and every changed octet of a message is read or refused, never more", () => {
  for (let length = 0; length < SAMPLE.length; length++) {
    assert.throws(() => parseMessage(SAMPLE.subarray(0, length)), MalformedPacketError);
  }
  for (let i = 0; i < SAMPLE.length; i++) {
    for (let value = 0; value < 256; value += 3) {
      const changed = SAMPLE.slice();
      changed[i] = value;
      try {
        for (const record of parseMessage(changed).records) assert.ok(record.end <= SAMPLE.length);
      } catch (error) {
        assert.ok(error instanceof MalformedPacketError, String(error));
      }
    }
  }
});

Deno.test("DNS-141 DNS-143 a message too long loses its additional section first, then whole records, with TC", () => {
  assert.equal(truncateMessage(SAMPLE, SAMPLE.length), SAMPLE);
  for (let limit = 60; limit < SAMPLE.length; limit++) {
    const cut = truncateMessage(SAMPLE, limit);
    assert.ok(cut.length <= limit);
    // deno-lint-ignore no-explicit-any
    const decoded: any = dnsPacket.decode(Buffer.from(cut));
    const kept = decoded.answers.length + decoded.authorities.length;
    assert.equal(decoded.flag_tc, kept < 4);
    assert.ok(decoded.additionals.every((r: { type: string }) => r.type === "OPT"));
    assert.equal(decoded.additionals.length, 1);
  }
});

Deno.test("MessageBuilder writes what dns-packet reads, owner names compressed and spelled as given", () => {
  const question = emitQuestion(parseName("WwW.example.com"), 28, 1);
  const builder = new MessageBuilder({ id: 7, flags: 0x8180, question });
  for (const owner of ["WwW.example.com", "www.example.com", "a.b.example.com", "b.example.com"]) {
    const record = { name: parseName(owner), type: 28, class: 1, ttlSeconds: 3000000 };
    builder.add("answer", record, parseIpAddress("2001:db8::5"));
  }
  builder.addOpt(1232, true);
  const bytes = builder.finish();
  // deno-lint-ignore no-explicit-any
  const decoded: any = dnsPacket.decode(Buffer.from(bytes));
  assert.deepEqual(decoded.answers.map((a: { name: string }) => a.name), [
    "WwW.example.com",
    "www.example.com",
    "a.b.example.com",
    "b.example.com",
  ]);
  assert.ok(decoded.answers.every((a: { ttl: number }) => a.ttl === 3000000));
  assert.equal(decoded.additionals[0].udpPayloadSize, 1232);
  assert.equal(decoded.additionals[0].flag_do, true);
  assert.ok(bytes.length < 12 + 21 + 2 * 28 + 4 + 2 * 32 + 4 + 11 + 10);
});

Deno.test("DNS-005 a rendezvous name is written whole, and no later name points into HIP RDATA", () => {
  const owner = parseName("www.example.");
  const rendezvous = parseName("rvs.other.");
  const question = emitQuestion(owner, TYPE.HIP, CLASS_IN);
  const builder = new MessageBuilder({ id: 1, flags: FLAG.QR, question });
  const rdata = encodeRdata(HIP, {
    pkAlgorithm: 2,
    hit: new Uint8Array(16).fill(1),
    publicKey: new Uint8Array(20).fill(2),
    rendezvousNames: [owner, rendezvous],
  });
  const record = { name: owner, type: TYPE.HIP, class: CLASS_IN, ttlSeconds: 60 };
  builder.add("answer", record, rdata);
  builder.add(
    "additional",
    { ...record, name: rendezvous, type: TYPE.A },
    Uint8Array.of(1, 2, 3, 4),
  );
  const message = parseMessage(builder.finish());
  const [hip, address] = message.records;
  assert.deepEqual(rdataOf(message, hip!), rdata);
  assert.deepEqual(HIP.parse(new Reader(rdataOf(message, hip!), "")).rendezvousNames, [
    owner,
    rendezvous,
  ]);
  // Its own letters, not a pointer: 11 octets of name, 10 of head, 4 of address.
  assert.equal(address!.end - address!.start, rendezvous.length + 14);
  assert.deepEqual(address!.name, rendezvous);
});
