/** HIP and ESP in UDP as one engine sees them: what it takes, what it refuses, whom it answers. */

import assert from "node:assert/strict";
import type { DropReason } from "../../lib/base/drop_reason.ts";
import { instant, milliseconds, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import type { Transport } from "../../lib/hip/transport.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import { withSignature2 } from "../../lib/hip/packet_builder.ts";
import { verifyHipSignature } from "../../lib/hip/packet_verifier.ts";
import { NOTIFY, PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { parameterType } from "../../lib/wire/hip/parameter.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { emitHipPacket, HIP_FIELD, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { NOTIFICATION } from "../../lib/wire/hip/parameters/notification.ts";
import { NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { udpPayload } from "../../lib/wire/udp_encapsulation.ts";
import { type CarriedPacket, hipOctets, isEsp } from "../support/datagrams.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { makePair as makeRawPair, states, swallowing, typeOf } from "../support/engine_story.ts";
import { unreachable } from "../support/icmp_errors.ts";
import { accessOf, ALICE, BOB, rule, unlikePair } from "../support/policy_pair.ts";

/** A NAT has put it in place of Alice's. */
const MAPPED_PORT = 40_321;

function makePair(settings: Partial<ControlSettings> = {}): EnginePair {
  return makeRawPair({ settings: { transport: "udp", ...settings } });
}

/** Both ESTABLISHED, Alice as Initiator. */
function established(settings: Partial<ControlSettings> = {}): EnginePair {
  const pair = makePair(settings);
  pair.ping(pair.a, pair.b);
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  pair.wire.length = 0;
  return pair;
}

function datagram({ a, b }: EnginePair, bytes: Uint8Array, more: Partial<CarriedPacket> = {}) {
  const [source, destination] = [a.address, b.address];
  const packet = { protocol: NEXT_HEADER.udp, peerPort: 10500, source, destination, bytes };
  return { ...packet, trafficClass: 0, hopLimit: 64, ...more };
}

function drops(end: End): Partial<Record<DropReason, number>> {
  return end.engine.status().drops;
}

/** The packet of a type that Alice sends when she begins, swallowed. */
function firstOf(pair: EnginePair, type: number): OutgoingPacket {
  return swallowing(pair, type, () => pair.a.engine.connect(pair.now, pair.b.hit))[0]!;
}

Deno.test("NAT-003 the checksum field of HIP in UDP is not looked at, in no packet of an exchange", () => {
  const pair = makePair();
  const { passes } = pair;
  pair.passes = (packet, from) => {
    const octets = hipOctets(packet);
    octets?.fill(0x5a, HIP_FIELD.checksum, HIP_FIELD.checksum + 2);
    return passes(packet, from);
  };
  pair.ping(pair.a, pair.b);
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  pair.a.engine.close(pair.now, pair.b.hit);
  pair.settle();
  assert.deepEqual(states(pair), [undefined, "CLOSED"]);
  assert.deepEqual([drops(pair.a), drops(pair.b)], [{}, {}]);
});

Deno.test("NAT-006 NAT-027 on the UDP port keepalives are passed over, and what is neither HIP nor ESP is counted", () => {
  const pair = established();
  const { b } = pair;
  const before = b.engine.status().tables;
  const send = (octets: number[]) => pair.inject(b, datagram(pair, Uint8Array.from(octets)));
  send([0xff]);
  assert.deepEqual(drops(b), {});
  for (const short of [[0xfe], [0, 0], [0, 0, 0]]) send(short);
  for (const spi of [1, 128, 255]) send([0, 0, 0, spi, ...Array(60).fill(7)]);
  send([0, 0, 0, 0]);
  send([0, 0, 0, 0, 1, 2, 3]);
  send([0, 0, 1, 0]);
  send([0, 0, 1, 0, ...Array(60).fill(7)]);
  assert.deepEqual(drops(b), {
    "udp-too-short": 3,
    "udp-reserved-spi": 3,
    "hip-malformed": 2,
    "esp-too-short": 1,
    "esp-unknown-spi": 1,
  });
  assert.deepEqual(b.engine.status().tables, before);
  assert.deepEqual(b.sent, [], "nobody is answered");
});

Deno.test("NAT-021 NAT-020 each answer goes to the port and address that its question came from", () => {
  const pair = makePair();
  const { a, b } = pair;
  const { inject } = pair;
  // What Alice sends comes from another port.
  pair.inject = (to, packet) =>
    inject.call(pair, to, to === b ? { ...packet, sourcePort: MAPPED_PORT } : packet);
  pair.ping(a, b);
  pair.ping(b, a, 2);
  a.engine.rekey(pair.now, b.hit, { withDh: false });
  pair.settle();
  a.engine.close(pair.now, b.hit);
  pair.settle();
  assert.deepEqual(states(pair), [undefined, "CLOSED"]);
  const fromBob = pair.wire.filter(({ source }) => sameAs(source, b));
  const kinds = new Set(fromBob.map((packet) => isEsp(packet) ? "ESP" : typeOf(packet)));
  for (const kind of [PACKET.R1, PACKET.R2, PACKET.UPDATE, PACKET.CLOSE_ACK, "ESP"] as const) {
    assert.ok(kinds.has(kind), `${kind}`);
  }
  assert.ok(fromBob.every(({ peerPort }) => peerPort === MAPPED_PORT));
});

function sameAs(address: Uint8Array, { address: own }: End): boolean {
  return address.every((octet, i) => octet === own[i]);
}

Deno.test("NAT-054 I2 goes to the port and address that R1 came from", () => {
  const pair = makePair();
  const [r1] = swallowing(pair, PACKET.R1, () => pair.a.engine.connect(pair.now, pair.b.hit));
  const [i2] = swallowing(pair, PACKET.I2, () => {
    pair.inject(pair.a, { ...r1!, sourcePort: MAPPED_PORT } as CarriedPacket);
  });
  assert.equal(i2!.peerPort, MAPPED_PORT);
});

Deno.test("NAT-035 NAT-059 a Responder without relay and its Initiator agree on UDP without naming a mode", () => {
  const pair = established();
  assert.equal(pair.b.delivered.length, 1);
  const whole = makePair();
  whole.ping(whole.a, whole.b);
  for (const packet of whole.wire) {
    const octets = hipOctets(packet);
    if (octets === undefined) continue;
    assert.ok(!parseHipPacket(octets).has(PARAMETER.NAT_TRAVERSAL_MODE));
  }
});

/** Modes ICE-HIP-UDP and UDP-ENCAPSULATION (RFC 9028 §5.4). */
const MODES = Uint8Array.of(2, 96, 0, 6, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0);

for (const transport of ["raw", "udp"] as const) {
  Deno.test(`NAT-032 NAT-045 an R1 that offers modes of NAT traversal (${transport}) is answered without one`, () => {
    const settings = { transport };
    const a = new End(ALICE, "192.0.2.1", 1, { settings });
    const b = new End(BOB, "192.0.2.2", 2, { settings });
    const random = new SeededRandom(new Uint8Array(32));
    // Bob's R1s have the parameter, and a signature over it.
    b.engine.start();
    for (let request = b.engine.pollJob(); request; request = b.engine.pollJob()) {
      const result = runJob(request.job);
      assert.ok(result.kind === "build-r1");
      const { parameters } = parseHipPacket(result.template);
      const tlvs = parameters
        .filter(({ type }) => type !== PARAMETER.HIP_SIGNATURE_2)
        .map(({ offset, size }) => result.template.slice(offset, offset + size));
      const header = { packetType: PACKET.R1, senderHit: b.hit, receiverHit: new Uint8Array(16) };
      const template = withSignature2(emitHipPacket(header, [...tlvs, MODES]), BOB, random);
      b.engine.handleJobDone(instant(0), request.id, { ...result, template });
    }
    const pair = new EnginePair(a, b);
    pair.introduce(a, b);
    pair.ping(a, b);
    assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
    const of = (type: number) =>
      parseHipPacket(hipOctets(pair.wire.find((packet) => typeOf(packet) === type)!)!);
    assert.ok(of(PACKET.R1).has(PARAMETER.NAT_TRAVERSAL_MODE));
    assert.ok(!of(PACKET.I2).has(PARAMETER.NAT_TRAVERSAL_MODE));
    const protocols = new Set(pair.wire.map(({ protocol }) => protocol));
    assert.deepEqual(protocols, new Set(transport === "raw" ? [139, 50] : [17]));
  });
}

// ---- who may use what --------------------------------------------------------------------------

Deno.test("HIP that begins an exchange over what the configuration excludes is refused and counted, later HIP is not", () => {
  const transports: readonly [Transport, number][] = [["raw", 17], ["udp", 139]];
  for (const [transport, refused] of transports) {
    const pair = unlikePair({ settings: { transport: "auto" } }, { settings: { transport } });
    const { a, b } = pair;
    const i1s = swallowing(pair, PACKET.I1, () => {
      a.engine.connect(pair.now, b.hit);
      pair.settle();
      pair.advance(milliseconds(100));
    });
    assert.deepEqual(i1s.map(({ protocol }) => protocol), [17, 139]);
    for (const i1 of i1s) pair.inject(b, i1);
    assert.deepEqual(drops(b), { "hip-wrong-transport": 1 });
    assert.ok(b.sent.every(({ protocol }) => protocol !== refused));
    assert.ok(b.sent.every((packet) => typeOf(packet) === PACKET.R1), "and nothing else is said");
  }
});

Deno.test("a rule for a peer goes before the setting, for what we begin and for what we answer", () => {
  const raw = accessOf(rule(BOB.hit, { transport: "raw" }));
  const pair = unlikePair({ settings: { transport: "udp" }, ...raw }, {
    settings: { transport: "auto" },
  });
  pair.ping(pair.a, pair.b);
  assert.ok(pair.wire.length > 0 && pair.wire.every(({ protocol }) => protocol !== 17));
  const others = unlikePair({ settings: { transport: "udp" } }, {
    settings: { transport: "auto" },
    ...accessOf(rule("2001:20::/28", { transport: "raw" })),
  });
  others.ping(others.a, others.b);
  assert.deepEqual(drops(others.b), { "hip-wrong-transport": 1 });
});

Deno.test("without a UDP port peers are met over IP alone, at once", () => {
  const pair = unlikePair({ settings: { transport: "auto" } }, { settings: { transport: "auto" } });
  pair.a.engine.withdrawUdp();
  pair.ping(pair.a, pair.b);
  assert.equal(pair.b.delivered.length, 1);
  assert.ok(pair.wire.every(({ protocol }) => protocol !== 17));
});

Deno.test("ICMP that says that an I1 in UDP did not get there has the other transport tried at once", () => {
  const pair = unlikePair({ settings: { transport: "auto" } }, { settings: { transport: "auto" } });
  const i1s = swallowing(pair, PACKET.I1, () => {
    pair.a.engine.connect(pair.now, pair.b.hit);
  });
  assert.equal(i1s.length, 1);
  const others = swallowing(pair, PACKET.I1, () => {
    pair.inject(pair.a, unreachable(i1s[0]!));
    pair.a.engine.handleTimeout(pair.now);
  });
  assert.deepEqual(others.map(({ protocol }) => protocol), [139]);
});

Deno.test("NAT-031 R1s in UDP that lead nowhere keep an exchange without UDP back once, and no longer", () => {
  const pair = unlikePair({ settings: { transport: "auto" } }, { settings: { transport: "auto" } });
  const { a, b } = pair;
  const r1s = swallowing(pair, PACKET.R1, () => {
    const i1s = swallowing(pair, PACKET.I1, () => {
      a.engine.connect(pair.now, b.hit);
      pair.settle();
      pair.advance(milliseconds(100));
    });
    for (const i1 of i1s) pair.inject(b, i1);
  });
  const raw = r1s.find(({ protocol }) => protocol === 139)!;
  const inUdp = r1s.find(({ protocol }) => protocol === 17)!;
  const forged = { ...inUdp, bytes: inUdp.bytes.slice() };
  // Within the signature, before its padding.
  forged.bytes[forged.bytes.length - 20]! ^= 1;
  // Whenever the one without UDP has become an I2, another forgery is there.
  let forgeries = 0;
  pair.tamper = (job, result) => {
    if (job.kind === "build-i2" && forgeries++ < 5) pair.inject(a, forged);
    return result;
  };
  const [i2] = swallowing(pair, PACKET.I2, () => pair.inject(a, raw));
  assert.equal(i2?.protocol, 139);
  assert.equal(forgeries, 2);
});

/** Alice has begun, and her I1s, in UDP first, have not arrived. */
function begun(pair: EnginePair): readonly [inUdp: OutgoingPacket, raw: OutgoingPacket] {
  const i1s = swallowing(pair, PACKET.I1, () => {
    pair.a.engine.connect(pair.now, pair.b.hit);
    pair.settle();
    pair.advance(milliseconds(100));
  });
  assert.deepEqual(i1s.map(({ protocol }) => protocol), [17, 139]);
  return [i1s[0]!, i1s[1]!];
}

/** What Bob says to a packet, which does not arrive. */
function answerTo(pair: EnginePair, packet: OutgoingPacket): OutgoingPacket {
  const [answer] = swallowing(pair, PACKET.R1, () => pair.inject(pair.b, packet));
  return answer!;
}

Deno.test("NAT-030 while R2 is awaited a newer R1 over the other transport counts for nothing", () => {
  const pair = unlikePair({ settings: { transport: "auto" } }, { settings: { transport: "auto" } });
  const { a } = pair;
  const older = answerTo(pair, begun(pair)[0]);
  // The R1s are renewed, and Alice tries again.
  pair.passes = () => false;
  pair.advance(seconds(700));
  pair.passes = () => true;
  const newer = answerTo(pair, begun(pair)[1]);
  const i2s = swallowing(pair, PACKET.I2, () => {
    pair.inject(a, older);
    pair.settle();
    const { "hip-wrong-state": before = 0 } = drops(a);
    pair.inject(a, newer);
    pair.settle();
    assert.equal(drops(a)["hip-wrong-state"], before + 1);
  });
  assert.deepEqual(i2s.map(({ protocol }) => protocol), [17]);
});

Deno.test("NAT-031 of R1s that wait for each other the one in UDP is looked at first", () => {
  const pair = unlikePair({ settings: { transport: "auto" } }, { settings: { transport: "auto" } });
  const { a } = pair;
  const [inUdp, raw] = begun(pair).map((i1) => answerTo(pair, i1));
  // After several I1s R1s are collected.
  swallowing(pair, PACKET.I1, () => pair.advance(milliseconds(600)));
  const jobs = a.jobs.length;
  pair.inject(a, raw!);
  pair.inject(a, inUdp!);
  pair.advance(milliseconds(300));
  assert.equal(states(pair)[0], "ESTABLISHED");
  const looked = a.jobs.slice(jobs).flatMap((job) => job.kind === "verify-r1" ? [job.r1] : []);
  assert.deepEqual(looked, [hipOctets(inUdp!)!]);
});

Deno.test("strangers in UDP hear nothing by ICMP, whatever the switch says", () => {
  const pair = makePair({ icmpToStrangers: true });
  const { b } = pair;
  const update = emitHipPacket({
    packetType: PACKET.UPDATE,
    senderHit: ALICE.hit,
    receiverHit: BOB.hit,
  }, []);
  pair.inject(b, datagram(pair, udpPayload(update)));
  pair.inject(b, datagram(pair, new Uint8Array(80).fill(7)));
  assert.deepEqual(drops(b), { "hip-no-association": 1, "esp-unknown-spi": 1 });
  assert.deepEqual(b.sent, []);
});

// ---- floods ------------------------------------------------------------------------------------

Deno.test("SEC-001 a flood of I1s over UDP from many ports is answered at the rate of one address, with R1s no larger than without UDP, and leaves nothing", () => {
  const answers = (transport: Transport) => {
    const pair = makeRawPair({ settings: { transport } });
    const { b } = pair;
    const i1 = firstOf(pair, PACKET.I1);
    const before = b.engine.status().tables;
    for (let i = 0; i < 200; i++) {
      // Not the same octets each time, which would count as a repetition.
      const bytes = i1.bytes.slice();
      bytes[bytes.length - 1] = i;
      if (transport === "raw") continue;
      pair.inject(b, { ...i1, bytes, sourcePort: 1024 + i } as CarriedPacket);
    }
    if (transport === "raw") pair.inject(b, i1);
    assert.deepEqual(b.engine.status().tables, before);
    return { i1, r1s: b.sent.slice(), drops: drops(b) };
  };
  const inUdp = answers("udp");
  const [raw] = answers("raw").r1s;
  assert.equal(inUdp.r1s.length, 20);
  assert.equal(inUdp.drops["hip-rate-limited"], 180);
  const ports = inUdp.r1s.map(({ peerPort }) => peerPort);
  assert.deepEqual(ports, Array.from({ length: 20 }, (_, i) => 1024 + i));
  assert.ok(inUdp.r1s.every(({ bytes }) => bytes.length === 4 + raw!.bytes.length));
});

Deno.test("a flood of garbage on the UDP port makes no state, no job and no answer", () => {
  const pair = established();
  const { b } = pair;
  const before = { ...b.engine.status().tables };
  let seed = 1;
  const octet = () => (seed = seed * 1_103_515_245 + 12_345 & 0x7fffffff) >>> 16 & 0xff;
  for (let i = 0; i < 5000; i++) {
    const bytes = Uint8Array.from({ length: i % 97 }, octet);
    // Every other one passes for HIP.
    if (i % 2 === 0) bytes.fill(0, 0, 4);
    pair.inject(b, datagram(pair, bytes, { sourcePort: 1024 + i }));
  }
  assert.deepEqual(b.engine.status().tables, before);
  assert.deepEqual(b.sent, []);
  const counted = Object.values(drops(b)).reduce((sum, count) => sum + count, 0);
  // But for keepalives, which no chance has made here.
  assert.equal(counted, 5000);
});

// ---- keepalives --------------------------------------------------------------------------------

/** The keepalives on the wire. */
function keepalives(pair: EnginePair): OutgoingPacket[] {
  return pair.wire.filter((packet) => typeOf(packet) === PACKET.NOTIFY);
}

Deno.test("NAT-036 NAT-198 NAT-199 NAT-200 NAT-201 an idle association in UDP has a signed NOTIFY NAT_KEEPALIVE every 15 seconds, each way, without answer", () => {
  const pair = established();
  const { a, b } = pair;
  const times: number[] = [];
  pair.passes = (packet, from) => {
    if (from === a && typeOf(packet) === PACKET.NOTIFY) times.push(pair.now);
    return true;
  };
  const start = pair.now;
  pair.advance(seconds(64));
  // Data went out in the first interval.
  assert.deepEqual(times.map((at) => at - start), [30_000, 45_000, 60_000]);
  assert.equal(pair.wire.length, keepalives(pair).length, "nothing else is sent");
  const ofBoth = keepalives(pair).map(({ source }) => sameAs(source, a));
  assert.ok(ofBoth.includes(true) && ofBoth.includes(false));
  for (const packet of keepalives(pair)) {
    const notify = parseHipPacket(hipOctets(packet)!);
    const [notification, ...others] = notify.all(NOTIFICATION);
    assert.deepEqual(others, []);
    assert.equal(notification!.messageType, NOTIFY.NAT_KEEPALIVE);
    assert.equal(notification!.data.length, 0);
    const sender = sameAs(packet.source, a) ? ALICE : BOB;
    assert.ok(verifyHipSignature(notify, sender));
    assert.equal(packet.peerPort, 10500);
  }
  for (const { jobs } of [a, b]) {
    const { length } = jobs.filter(({ kind }) => kind === "sign-packet");
    assert.equal(length, 1, "it is signed once");
    assert.ok(!jobs.some(({ kind }) => kind === "verify-signature"), "and never checked");
  }
  assert.deepEqual([drops(a), drops(b)], [{}, {}]);
});

Deno.test("NAT-202 no keepalive is sent while data goes out", () => {
  const pair = established();
  for (let i = 0; i < 12; i++) {
    pair.advance(seconds(10));
    pair.ping(pair.a, pair.b, i);
  }
  assert.deepEqual(keepalives(pair).filter(({ source }) => sameAs(source, pair.a)), []);
});

Deno.test("an association without UDP sends no keepalive, and an end without associations does not wake up", () => {
  const pair = makeRawPair();
  pair.ping(pair.a, pair.b);
  pair.advance(seconds(100));
  assert.deepEqual(keepalives(pair), []);
  const inUdp = established({ unusedAssociationLifetime: seconds(60) });
  inUdp.a.engine.close(inUdp.now, inUdp.b.hit);
  inUdp.settle();
  inUdp.wire.length = 0;
  inUdp.advance(seconds(50));
  assert.deepEqual(inUdp.wire, []);
});

Deno.test("an idle association in UDP wakes its engine for keepalives and for nothing else", () => {
  const pair = established();
  const { a } = pair;
  const start = pair.now;
  pair.advance(seconds(31));
  const wakes: number[] = [];
  for (let next = a.engine.nextTimeout()!; next - start < 200_000; next = a.engine.nextTimeout()!) {
    wakes.push((next - start) / 1000);
    pair.advance(milliseconds(next - pair.now));
  }
  assert.deepEqual(wakes, [45, 60, 75, 90, 105, 120, 135, 150, 165, 180, 195]);
});

Deno.test("NAT-028 keepalives are no sign of life: a silent peer is found out, and an unused association ends", () => {
  const silent = established();
  silent.advance(seconds(31));
  const [keepalive] = keepalives(silent).filter(({ source }) => sameAs(source, silent.b));
  silent.passes = (_packet, from) => from !== silent.b;
  for (let i = 0; i < 20; i++) {
    silent.ping(silent.a, silent.b, i);
    silent.inject(silent.a, keepalive!);
    silent.advance(seconds(1));
  }
  assert.notEqual(states(silent)[0], "ESTABLISHED");
  const unused = established({ unusedAssociationLifetime: seconds(60) });
  unused.advance(seconds(130));
  assert.ok(keepalives(unused).length > 4);
  assert.notEqual(states(unused)[0], "ESTABLISHED");
});

Deno.test("NAT-208 NAT-209 a keepalive from elsewhere, or of the older kind, is accepted and changes nothing", () => {
  const pair = established();
  const { a, b } = pair;
  const jobs = b.jobs.length;
  const empty = emitHipPacket({
    packetType: PACKET.NOTIFY,
    senderHit: a.hit,
    receiverHit: b.hit,
  }, []);
  pair.advance(seconds(31));
  const [keepalive] = keepalives(pair).filter(({ source }) => sameAs(source, a));
  const elsewhere = { ...keepalive!, source: ALICE.hit, sourcePort: MAPPED_PORT };
  pair.inject(b, elsewhere as CarriedPacket);
  pair.inject(b, datagram(pair, udpPayload(empty), { sourcePort: MAPPED_PORT }));
  const { peerPort, peerAddress } = b.engine.association(a.hit)!;
  assert.equal(peerPort, 10500);
  assert.deepEqual(peerAddress, a.address);
  assert.deepEqual(drops(b), {});
  assert.equal(b.jobs.length - jobs, 1, "but for its own keepalive's signature");
  pair.wire.length = 0;
  pair.ping(b, a, 9);
  assert.ok(pair.wire.every(({ peerPort }) => peerPort === 10500));
});

Deno.test("a keepalive whose signature could not be made is tried again", () => {
  const pair = established();
  let isBroken = true;
  pair.tamper = (job, result) =>
    job.kind === "sign-packet" && isBroken
      ? { kind: "failed", reason: "hip-job-failed", detail: "lost" }
      : result;
  pair.advance(seconds(31));
  assert.deepEqual(keepalives(pair), []);
  isBroken = false;
  pair.advance(seconds(15));
  assert.equal(keepalives(pair).length, 2);
});

// ---- another path ------------------------------------------------------------------------------

/** Established; from now on what Alice sends comes from another port, and she asks for a sign of life. */
function elsewhere(): EnginePair {
  const pair = established();
  const { inject } = pair;
  pair.inject = (to, packet) =>
    inject.call(pair, to, to === pair.b ? { ...packet, sourcePort: MAPPED_PORT } : packet);
  return pair;
}

function portAtBob({ a, b }: EnginePair): number | undefined {
  return b.engine.association(a.hit)?.peerPort;
}

Deno.test("NAT-253 data goes to another port when the peer has returned what was asked there", () => {
  const pair = elsewhere();
  const { a, b } = pair;
  pair.ping(a, b);
  assert.equal(portAtBob(pair), 10500);
  a.engine.rekey(pair.now, b.hit, { withDh: false });
  pair.settle();
  assert.equal(portAtBob(pair), MAPPED_PORT);
  // Ours and theirs, each once, and none of them left open.
  pair.wire.length = 0;
  pair.advance(seconds(9));
  assert.deepEqual(pair.wire, []);
});

const FLAWS: Readonly<Record<string, (tlv: Uint8Array) => Uint8Array[]>> = {
  "no answer": () => [],
  "another answer": (tlv) => [tlv.with(4, tlv[4]! ^ 1)],
};

for (const [what, change] of Object.entries(FLAWS)) {
  Deno.test(`NAT-253 an UPDATE from another port that acknowledges the question with ${what} moves nothing`, () => {
    const pair = elsewhere();
    const { a, b } = pair;
    let changed = 0;
    pair.tamper = (job, result, at) => {
      if (at !== a || job.kind !== "sign-packet") return result;
      const isAnswer = (tlv: Uint8Array) => parameterType(tlv) === PARAMETER.ECHO_RESPONSE_SIGNED;
      if (!job.parameters.some(isAnswer)) return result;
      changed++;
      const parameters = job.parameters.flatMap((tlv) => isAnswer(tlv) ? change(tlv) : [tlv]);
      return runJob({ ...job, parameters });
    };
    a.engine.rekey(pair.now, b.hit, { withDh: false });
    pair.settle();
    assert.equal(changed, 1);
    assert.equal(portAtBob(pair), 10500);
    assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
  });
}

Deno.test("NAT-253 an answer that comes from a third place moves nothing", () => {
  const pair = elsewhere();
  const { a, b } = pair;
  let updates = 0;
  pair.inject = (to, packet) => {
    const isLater = to === b && typeOf(packet) === PACKET.UPDATE && updates++ > 0;
    EnginePair.prototype.inject.call(
      pair,
      to,
      to === b ? { ...packet, sourcePort: isLater ? 5 : MAPPED_PORT } as CarriedPacket : packet,
    );
  };
  a.engine.rekey(pair.now, b.hit, { withDh: false });
  pair.settle();
  assert.ok(updates > 1);
  assert.equal(portAtBob(pair), 10500);
});
