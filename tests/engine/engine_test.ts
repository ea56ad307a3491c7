import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, parseHipPacket, setChecksum } from "../../lib/wire/hip/packet.ts";
import { hasPrefix, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { parseIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { ESP, makePair, states, typeOf, wireTypes } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

const HIT_PREFIX = parseIpAddress("2001:20::");

Deno.test("FSM-001 FSM-002 FSM-003 FSM-012 FSM-024 FSM-035 HLP-038 ESP-072 ESP-073 the first packet runs a base exchange and then goes through, once", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  //   A -- I1 --> B    UNASSOCIATED stays
  //   A <-- R1 -- B
  //   A -- I2 --> B    I2-SENT, then R2-SENT
  //   A <-- R2 -- B    ESTABLISHED
  //   A -- ESP -> B    ESTABLISHED
  assert.deepEqual(wireTypes(pair), [PACKET.I1, PACKET.R1, PACKET.I2, PACKET.R2, "ESP"]);
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  assert.equal(b.delivered.length, 1);
  assert.equal(parseIcmpv6Echo(b.delivered[0]!)?.sequence, 1);
});

Deno.test("HLP-055 HLP-056 later packets in both directions use the same association", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b, 1);
  pair.ping(a, b, 2);
  pair.ping(b, a, 3);
  assert.deepEqual(wireTypes(pair).slice(5), ["ESP", "ESP"]);
  assert.equal(a.delivered.length, 1);
  assert.equal(b.delivered.length, 2);
});

Deno.test("HLP-005 the SPIs of both ends agree crosswise and only real addresses are on the wire", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const ofA = a.engine.association(b.hit)!;
  const ofB = b.engine.association(a.hit)!;
  assert.equal(ofA.inboundSpi, ofB.outboundSpi);
  assert.equal(ofA.outboundSpi, ofB.inboundSpi);
  for (const packet of pair.wire) {
    assert.ok(!hasPrefix(packet.source, HIT_PREFIX, 28));
    assert.ok(!hasPrefix(packet.destination, HIT_PREFIX, 28));
  }
});

Deno.test("SEC-001 BEX-022 HLP-001 a thousand I1 without an I2 leave no association", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.passes = (packet) => typeOf(packet) !== PACKET.I2;
  pair.ping(a, b);
  const i1 = pair.wire.find((packet) => typeOf(packet) === PACKET.I1)!;
  for (let i = 0; i < 1000; i++) {
    pair.now = (pair.now + 101) as typeof pair.now;
    const source = parseIpAddress(`198.51.${i >> 8}.${i & 0xff}`);
    const bytes = i1.bytes.slice();
    setChecksum(bytes, source, i1.destination);
    pair.inject(b, { ...i1, source, bytes });
  }
  assert.equal(b.sent.length, 1000);
  assert.equal(b.engine.status().associations.length, 0);
});

Deno.test("BEX-020 the same I1 again within a short time is not answered", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const i1 = pair.wire[0]!;
  b.sent.length = 0;
  pair.now = (pair.now + 500) as typeof pair.now;
  pair.inject(b, i1);
  pair.inject(b, i1);
  assert.equal(b.sent.filter((packet) => typeOf(packet) === PACKET.R1).length, 1);
  assert.equal(b.engine.status().drops["hip-rate-limited"], 1);
});

Deno.test("BEX-021 SEC-002 R1s to one address are limited whatever HITs the I1s claim", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const i1 = pair.wire[0]!;
  b.sent.length = 0;
  for (let i = 0; i < 100; i++) {
    const bytes = i1.bytes.slice();
    bytes[HIP_FIELD.senderHit + 15] = i;
    setChecksum(bytes, i1.source, i1.destination);
    pair.inject(b, { ...i1, bytes });
  }
  assert.ok(b.sent.length <= 20, `${b.sent.length} R1s`);
});

Deno.test("FSM-016 TMR-001 a lost I1 is sent again", () => {
  const pair = makePair();
  const { a, b } = pair;
  let lost = 0;
  pair.passes = (packet) => !(typeOf(packet) === PACKET.I1 && lost++ === 0);
  pair.ping(a, b);
  assert.equal(a.engine.association(b.hit)?.state, "I1-SENT");
  pair.advance(seconds(1));
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  assert.equal(b.delivered.length, 1);
});

Deno.test("FSM-029 FSM-032 ESP-071 a lost R2: I2 is sent again octet for octet and gets the stored R2", () => {
  const pair = makePair();
  const { a, b } = pair;
  let lost = 0;
  pair.passes = (packet) => !(typeOf(packet) === PACKET.R2 && lost++ === 0);
  pair.ping(a, b);
  assert.deepEqual(states(pair), ["I2-SENT", "R2-SENT"]);
  const spi = b.engine.association(a.hit)?.inboundSpi;
  pair.advance(seconds(2));
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  const i2s = pair.wire.filter((packet) => typeOf(packet) === PACKET.I2);
  assert.equal(toHex(i2s[0]!.bytes), toHex(i2s[1]!.bytes));
  assert.equal(b.engine.association(a.hit)?.inboundSpi, spi);
  assert.equal(b.jobs.filter(({ kind }) => kind === "accept-i2").length, 1);
});

Deno.test("FSM-017 FSM-056 a peer that never answers: E-FAILED, ICMPv6 unreachable within 5 s, then another try", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.passes = () => false;
  pair.ping(a, b);
  pair.advance(milliseconds(4999));
  assert.equal(a.engine.association(b.hit)?.state, "E-FAILED");
  assert.equal(a.delivered.length, 1);
  // ICMPv6 type 1, code 3, to our own HIT.
  assert.deepEqual([...a.delivered[0]!.subarray(40, 42)], [1, 3]);
  assert.deepEqual(a.delivered[0]!.subarray(24, 40), a.hit);
  // A packet during the wait is answered at once.
  pair.ping(a, b, 2);
  assert.equal(a.delivered.length, 2);
  pair.advance(seconds(6));
  pair.passes = () => true;
  pair.ping(a, b, 3);
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
});

Deno.test("a HIT for which no address is known is answered at once", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(b, a);
  assert.equal(b.delivered.length, 1);
  assert.equal(b.delivered[0]![40], 1);
  assert.equal(pair.wire.length, 0);
});

Deno.test("FSM-036 ESP-081 R2-SENT ends by itself when no data comes", () => {
  const pair = makePair();
  const { a, b } = pair;
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  pair.advance(seconds(14.9));
  assert.deepEqual(states(pair), ["ESTABLISHED", "R2-SENT"]);
  pair.advance(seconds(0.1));
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
});

Deno.test("ESP-082 the Responder holds its own data until the Initiator is known to have R2", () => {
  const pair = makePair();
  const { a, b } = pair;
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  pair.ping(b, a, 9);
  assert.equal(a.delivered.length, 0);
  pair.ping(a, b, 1);
  assert.equal(a.delivered.length, 1);
});

Deno.test("CLS-001 CLS-003 CLS-008 CLS-012 CLS-019 ESP-275 closing tells the peer, and no data passes afterwards", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const before = pair.wire.length;
  assert.equal(a.engine.close(pair.now, b.hit), true);
  pair.settle();
  assert.deepEqual(wireTypes(pair).slice(before), [PACKET.CLOSE, PACKET.CLOSE_ACK]);
  assert.deepEqual(states(pair), [undefined, "CLOSED"]);
  assert.equal(a.engine.openAssociations, 0);
  const esp = pair.wire.find(({ protocol }) => protocol === ESP)!;
  pair.inject(b, esp);
  assert.equal(b.engine.status().drops["esp-unknown-spi"], 1);
});

Deno.test("CLS-014 CLS-015 CLOSE is repeated until the peer answers", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  pair.passes = () => false;
  a.engine.close(pair.now, b.hit);
  pair.settle();
  assert.equal(states(pair)[0], "CLOSING");
  pair.advance(seconds(2));
  pair.passes = () => true;
  pair.advance(seconds(4));
  assert.deepEqual(states(pair), [undefined, "CLOSED"]);
});

Deno.test("FSM-044 FSM-048 FSM-062 new data during CLOSING and in CLOSED makes a new association", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.introduce(b, a);
  pair.ping(a, b);
  a.engine.close(pair.now, b.hit);
  pair.settle();
  assert.deepEqual(states(pair), [undefined, "CLOSED"]);
  pair.ping(b, a, 5);
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  assert.equal(parseIcmpv6Echo(a.delivered.at(-1)!)?.sequence, 5);
});

Deno.test("FSM-060 ESP-277 an association without traffic is closed", () => {
  const pair = makePair({ settings: { unusedAssociationLifetime: seconds(100) } });
  const { a, b } = pair;
  pair.ping(a, b);
  pair.advance(seconds(99));
  assert.equal(states(pair)[0], "ESTABLISHED");
  pair.advance(seconds(200));
  assert.equal(pair.wire.filter((packet) => typeOf(packet) === PACKET.CLOSE).length > 0, true);
  assert.notEqual(states(pair)[0], "ESTABLISHED");
});

Deno.test("LOS-001 LOS-002 FSM-041 ESP-070 a peer that lost its state comes back by a new exchange", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const reborn = new EnginePair(new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 3), b);
  reborn.now = (pair.now + 1000) as typeof pair.now;
  reborn.introduce(reborn.a, b);
  const oldSpi = b.engine.association(a.hit)?.inboundSpi;
  reborn.ping(reborn.a, b, 4);
  assert.deepEqual(states(reborn), ["ESTABLISHED", "ESTABLISHED"]);
  assert.notEqual(b.engine.association(a.hit)?.inboundSpi, oldSpi);
  assert.equal(parseIcmpv6Echo(b.delivered.at(-1)!)?.sequence, 4);
});

Deno.test("LOS-003 BEX-025 an I1 and an I2 that is wrong leave an association as it is", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const before = b.engine.association(a.hit);
  pair.now = (pair.now + 1000) as typeof pair.now;
  pair.inject(b, pair.wire[0]!);
  const i2 = pair.wire[2]!;
  const bytes = i2.bytes.slice();
  bytes[bytes.length - 20]! ^= 1;
  setChecksum(bytes, i2.source, i2.destination);
  pair.inject(b, { ...i2, bytes });
  assert.equal(b.engine.association(a.hit)?.inboundSpi, before?.inboundSpi);
  pair.ping(a, b, 2);
  assert.equal(b.delivered.length, 2);
});

Deno.test("SEC-003 an I2 that failed after its puzzle was right is not worked on again", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.passes = (packet) => typeOf(packet) !== PACKET.I2;
  pair.ping(a, b);
  const i2 = a.jobs.length > 0 ? lostI2(pair) : undefined;
  assert.ok(i2);
  const bytes = i2.bytes.slice();
  bytes[bytes.length - 20]! ^= 1;
  setChecksum(bytes, i2.source, i2.destination);
  pair.inject(b, { ...i2, bytes });
  pair.inject(b, { ...i2, bytes });
  assert.equal(b.jobs.filter(({ kind }) => kind === "accept-i2").length, 1);
  assert.equal(b.engine.status().drops["hip-known-bad-solution"], 1);
});

/** The I2 of an exchange whose I2 the wire swallows. */
function lostI2(pair: EnginePair): OutgoingPacket | undefined {
  let found: OutgoingPacket | undefined;
  pair.passes = (packet) => {
    if (typeOf(packet) === PACKET.I2) found = packet;
    return false;
  };
  pair.advance(milliseconds(1100));
  return found;
}

Deno.test("BEX-029 BEX-030 BEX-071 an R1 or R2 that nobody waits for costs no public-key work", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const jobs = a.jobs.length;
  pair.inject(a, pair.wire[1]!);
  pair.inject(a, pair.wire[3]!);
  assert.equal(a.jobs.length, jobs);
  assert.equal(a.engine.status().drops["hip-wrong-state"], 2);
});

Deno.test("FSM-063 BEX-024 crossing I1s: the greater HIT ends as Responder, one association", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.introduce(b, a);
  a.engine.connect(pair.now, b.hit);
  b.engine.connect(pair.now, a.hit);
  pair.settle();
  pair.ping(a, b);
  pair.ping(b, a);
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  const ofA = a.engine.association(b.hit)!;
  const ofB = b.engine.association(a.hit)!;
  assert.equal(ofA.inboundSpi, ofB.outboundSpi);
  const greater = toHex(a.hit) > toHex(b.hit) ? ofA : ofB;
  assert.equal(greater.role, "responder");
});

Deno.test("HLP-027 HLP-029 a job that is lost loses nothing but itself", () => {
  const pair = makePair();
  const { a, b } = pair;
  let lost = 0;
  pair.tamper = (job, result, at) => {
    if (at === b && job.kind === "accept-i2" && lost++ === 0) {
      return { kind: "failed", reason: "hip-job-failed", detail: "worker died" };
    }
    return result;
  };
  pair.ping(a, b);
  assert.deepEqual(states(pair), ["I2-SENT", undefined]);
  pair.advance(seconds(2));
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
});

Deno.test("NEG-014 NEG-022 HLP-011 opportunistic mode meets whoever answers at an address", () => {
  const pair = makePair();
  const { a, b } = pair;
  a.engine.connectOpportunistic(pair.now, b.address);
  pair.settle();
  const met = a.engine.association(b.hit);
  assert.equal(met?.state, "ESTABLISHED");
  assert.deepEqual(met?.opportunisticAddress, b.address);
  const i1 = parseHipPacket(pair.wire[0]!.bytes);
  assert.equal(toHex(i1.receiverHit), "0".repeat(32));
});

Deno.test("DHG-026 R1M-006 an R1 whose Diffie-Hellman key was used is replaced", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.advance(seconds(2));
  const built = () => b.jobs.filter(({ kind }) => kind === "build-r1").length;
  const before = built();
  pair.ping(a, b);
  assert.equal(built(), before + 1);
});

Deno.test("SEC-007 a wrong checksum, version or critical parameter is dropped under its name, without a HIP packet in answer", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const i1 = pair.wire[0]!;
  b.sent.length = 0;
  const flipped = i1.bytes.slice();
  flipped[HIP_FIELD.checksum]! ^= 1;
  pair.inject(b, { ...i1, bytes: flipped });
  const version = i1.bytes.slice();
  version[HIP_FIELD.version] = 0x11;
  pair.inject(b, { ...i1, bytes: version });
  const short = i1.bytes.slice(0, 30);
  pair.inject(b, { ...i1, bytes: short });
  assert.ok(b.sent.every((packet) => typeOf(packet) === -1));
  const { drops } = b.engine.status();
  assert.equal(drops["hip-bad-checksum"], 1);
  assert.equal(drops["hip-bad-version"], 1);
  assert.equal(drops["hip-malformed"], 1);
});

Deno.test("R1C-016 R1C-018 FSM-019 BEX-044 an old R1, replayed, does not keep the Initiator from the new one", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const oldR1 = pair.wire[1]!;
  // The Responder has long retired that R1 when the Initiator comes back without state.
  pair.advance(seconds(400));
  const reborn = new EnginePair(new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 3), b);
  reborn.now = (pair.now + 1000) as typeof pair.now;
  reborn.introduce(reborn.a, b);
  let isInjected = false;
  reborn.passes = (packet) => {
    if (typeOf(packet) === PACKET.I1 && !isInjected) {
      isInjected = true;
      reborn.inject(reborn.a, oldR1);
    }
    return true;
  };
  reborn.ping(reborn.a, b, 4);
  assert.deepEqual(states(reborn), ["ESTABLISHED", "ESTABLISHED"]);
  assert.equal(parseIcmpv6Echo(b.delivered.at(-1)!)?.sequence, 4);
});
