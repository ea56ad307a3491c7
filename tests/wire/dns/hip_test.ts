import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../../lib/base/errors.ts";
import { dnsKeyToHostIdentity, formatHit, hitOf } from "../../../lib/identity/hit.ts";
import { HIP, type HipRecord, publicKeyProblem } from "../../../lib/wire/dns/hip.ts";
import {
  formatGenericHipRdata,
  formatHipRdata,
  formatHipRecord,
  parseHipRdata,
} from "../../../lib/wire/dns/hip_presentation.ts";
import { formatName, parseName } from "../../../lib/wire/dns/name.ts";
import { encodeRdata } from "../../../lib/wire/dns/record.ts";
import { Reader } from "../../../lib/wire/reader.ts";

/** RFC 8005 §7: the key stands on four lines there, which are one token. */
const KEY = "AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cI" +
  "vM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gsNrut79ry" +
  "ra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXd" +
  "XF5D";
const SAMPLES = [[], ["rvs.example.com."], ["rvs1.example.com.", "rvs2.example.com."]].map((rvs) =>
  `( 2 200100107B1A74DF365639CC39F1D578 ${[KEY, ...rvs].join(" ")} )`
);

function parse(bytes: Uint8Array): HipRecord {
  return HIP.parse(new Reader(bytes, "HIP record"));
}

Deno.test("DNS-022 DNS-015 the three sample records of RFC 8005 parse and print back equal", () => {
  for (const [i, sample] of SAMPLES.entries()) {
    const record = parseHipRdata(sample);
    assert.equal(toHex(record.hit), "200100107b1a74df365639cc39f1d578");
    assert.equal(record.pkAlgorithm, 2);
    assert.equal(record.publicKey.length, 132);
    assert.deepEqual([...record.publicKey.subarray(0, 4)], [3, 1, 0, 1]);
    assert.equal(record.rendezvousNames.length, i);
    assert.equal(formatHipRdata(record), sample);
  }
});

Deno.test("DNS-029 the RFC 8005 sample key gives HIT 2001:21:731f:...:72a4", () => {
  const record = parseHipRdata(SAMPLES[0]!);
  const identity = dnsKeyToHostIdentity(record.pkAlgorithm, record.publicKey)!;
  assert.equal(formatHit(hitOf(identity)), "2001:21:731f:db71:2bf5:bf3b:f642:72a4");
});

Deno.test("DNS-002 DNS-013 HIP RDATA with 0, 1 and 2 rendezvous names survives decoding and encoding", () => {
  for (const [i, sample] of SAMPLES.entries()) {
    const bytes = encodeRdata(HIP, parseHipRdata(sample));
    assert.equal(toHex(bytes.subarray(0, 4)), "10020084");
    assert.equal(toHex(bytes.subarray(4, 20)), "200100107b1a74df365639cc39f1d578");
    assert.equal(bytes.length, 4 + 16 + 132 + [0, 17, 36][i]!);
    const again = parse(bytes);
    assert.deepEqual(encodeRdata(HIP, again), bytes);
    assert.deepEqual(
      again.rendezvousNames.map(formatName),
      [[], ["rvs.example.com."], ["rvs1.example.com.", "rvs2.example.com."]][i],
    );
  }
});

Deno.test("HIP records of any content survive encoding and decoding", () => {
  const name = fc.array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { maxLength: 3 })
    .map((labels) => Uint8Array.from([...labels.flatMap((l) => [l.length, ...l]), 0]));
  fc.assert(fc.property(
    fc.nat(255),
    fc.uint8Array({ maxLength: 255 }),
    fc.uint8Array({ maxLength: 600 }),
    fc.array(name, { maxLength: 4 }),
    (pkAlgorithm, hit, publicKey, rendezvousNames) => {
      const record = { pkAlgorithm, hit, publicKey, rendezvousNames };
      const bytes = encodeRdata(HIP, record);
      assert.deepEqual(parse(bytes), record);
      assert.deepEqual(parseHipRdata(formatGenericHipRdata(record)), record);
    },
  ));
});

Deno.test("DNS-003 a HIP record whose lengths exceed RDLENGTH is refused", () => {
  const bytes = encodeRdata(HIP, parseHipRdata(SAMPLES[0]!));
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => parse(bytes.subarray(0, length)), MalformedPacketError);
  }
});

Deno.test("DNS-004 rendezvous names with pointers, long labels, long names or leftovers are refused", () => {
  const bad = [
    "c00c",
    "03727673c000",
    "40" + "61".repeat(64) + "00",
    ("3f" + "61".repeat(63)).repeat(4) + "00",
    "0372767300" + "05",
    "03727673",
  ];
  for (const tail of bad) {
    assert.throws(() => parse(fromHex(`0003000161${tail}`)), MalformedPacketError, tail);
  }
  assert.equal(parse(fromHex("00030001610372767300")).rendezvousNames.length, 1);
});

Deno.test("DNS-016 the HIT prints in upper case and is read in either", () => {
  const lower = SAMPLES[0]!.replace("200100107B1A74DF365639CC39F1D578", (hit) => hit.toLowerCase());
  assert.equal(formatHipRdata(parseHipRdata(lower)), SAMPLES[0]);
  assert.throws(() => parseHipRdata(SAMPLES[0]!.replace("7B1A", "7B 1A")), SyntaxError);
});

Deno.test("DNS-017 a key split by white space is refused", () => {
  const printed = formatHipRdata(parseHipRdata(SAMPLES[1]!));
  assert.ok(printed.split(" ").includes(KEY));
  for (let cut = 1; cut < KEY.length; cut++) {
    const split = `2 200100107B1A74DF365639CC39F1D578 ${KEY.slice(0, cut)} ${KEY.slice(cut)}`;
    if (cut === KEY.length - 4) continue; // "XF5D" alone could be a name, the rest a key
    assert.throws(() => parseHipRdata(split), SyntaxError, `cut at ${cut}`);
  }
});

Deno.test("DNS-018 rendezvous names without a last dot belong to the origin", () => {
  const relative = SAMPLES[1]!.replace("rvs.example.com.", "rvs");
  const record = parseHipRdata(relative, parseName("example.com."));
  assert.deepEqual(record.rendezvousNames.map(formatName), ["rvs.example.com."]);
  const multiline = SAMPLES[2]!.replaceAll(" ", "\n\t").replace("(", "( ; comment\n");
  assert.equal(formatHipRdata(parseHipRdata(multiline)), SAMPLES[2]);
});

Deno.test("DNS-019 the generic form of unknown records is read and written", () => {
  const record = parseHipRdata(SAMPLES[1]!);
  const generic = formatGenericHipRdata(record);
  assert.ok(generic.startsWith("\\# 169 10020084200100107B1A"));
  assert.deepEqual(parseHipRdata(generic), record);
  assert.throws(() => parseHipRdata("\\# 5 00030001"), SyntaxError);
  assert.equal(
    formatHipRecord(parseName("www.example.com"), parseHipRdata(SAMPLES[0]!)),
    `www.example.com. IN HIP ${SAMPLES[0]}`,
  );
});

Deno.test("keys of impossible size are named as such", () => {
  assert.equal(publicKeyProblem(3, new Uint8Array(64)), undefined);
  assert.match(publicKeyProblem(3, new Uint8Array(65))!, /65 octets/);
  assert.match(publicKeyProblem(4, new Uint8Array(31))!, /31 octets/);
  assert.match(publicKeyProblem(2, Uint8Array.of(3, 1, 0, 1, 255))!, /8 bits/);
  assert.match(publicKeyProblem(1, Uint8Array.of(9))!, /at most 8/);
  assert.match(publicKeyProblem(0, new Uint8Array(0))!, /unknown/);
});
