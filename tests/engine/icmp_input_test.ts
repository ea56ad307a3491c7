/** ICMP errors about what an engine sent: what follows from them, and for whom nothing does. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { DropReason } from "../../lib/base/drop_reason.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD } from "../../lib/wire/hip/packet.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { udpPayload } from "../../lib/wire/udp_encapsulation.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { ESP, swallowing, typeOf } from "../support/engine_story.ts";
import { noRoute, tooBig, unreachable } from "../support/icmp_errors.ts";
import { testIdentity } from "../support/identities.ts";

const VERSIONS = [4, 6] as const;

function makePair(version: 4 | 6 = 4, settings: Partial<ControlSettings> = {}): EnginePair {
  const prefix = version === 4 ? "192.0.2." : "2001:db8::";
  const end = (owner: "alice" | "bob", host: number) =>
    new End(testIdentity("ecdsa-p256", owner), `${prefix}${host}`, host, { settings });
  const pair = new EnginePair(end("alice", 1), end("bob", 2));
  pair.introduce(pair.a, pair.b);
  return pair;
}

function stateOf({ a, b }: EnginePair): string {
  return a.engine.association(b.hit)?.state ?? "UNASSOCIATED";
}

/** What became of ICMP errors. */
function drops(end: End): Partial<Record<DropReason, number>> {
  const all = Object.entries(end.engine.status().drops);
  return Object.fromEntries(all.filter(([reason]) => reason.startsWith("icmp-")));
}

/** A has sent I1 after I1 in vain for so long; every one was answered with ICMP if asked for. */
function unanswered(
  pair: EnginePair,
  span: number,
  icmp?: (i1: OutgoingPacket) => OutgoingPacket,
): OutgoingPacket[] {
  const i1s: OutgoingPacket[] = [];
  pair.passes = (packet) => {
    if (typeOf(packet) !== PACKET.I1) return true;
    i1s.push(packet);
    return false;
  };
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  let answered = 0;
  for (let waited = 0; waited < span; waited += 100) {
    if (icmp !== undefined) {
      for (const i1 of i1s.slice(answered)) pair.inject(pair.a, icmp(i1));
    }
    answered = i1s.length;
    pair.advance(milliseconds(100));
  }
  return i1s;
}

for (const [version, icmp] of [4, 6].flatMap((v) => [[v, unreachable], [v, noRoute]] as const)) {
  Deno.test(`BEX-009 BEX-011 SEC-009 an I1 of which ICMP for IPv${version} says "${icmp.name}" still waits more than two seconds for its R1`, () => {
    const pair = makePair(version === 4 ? 4 : 6);
    const i1s = unanswered(pair, 2400, icmp);
    assert.equal(stateOf(pair), "I1-SENT");
    assert.equal(i1s.length, 3);
    pair.passes = () => true;
    pair.inject(pair.b, i1s.at(-1)!);
    pair.settle();
    // After several I1s it waits for further R1s.
    pair.advance(milliseconds(200));
    assert.equal(stateOf(pair), "ESTABLISHED");
    assert.deepEqual(drops(pair.a), {});
  });
}

Deno.test("BEX-010 where ICMP says that nobody is there the wait is shorter, else it is not", () => {
  const hinted = makePair();
  unanswered(hinted, 3000, unreachable);
  assert.equal(stateOf(hinted), "E-FAILED");
  assert.match(
    hinted.a.engine.association(hinted.b.hit)!.failure!,
    /ICMP says that it cannot be reached/,
  );
  const silent = makePair();
  unanswered(silent, 3000);
  assert.equal(stateOf(silent), "I1-SENT");
});

Deno.test("BEX-010 the same holds of the peer's UDP port", () => {
  const pair = makePair(6, { transport: "udp" });
  const [i1] = unanswered(pair, 3000, noRoute);
  assert.deepEqual([i1!.protocol, i1!.peerPort], [17, 10500]);
  assert.equal(stateOf(pair), "E-FAILED");
  assert.deepEqual(drops(pair.a), {});
});

Deno.test("BEX-010 one way that leads nowhere does not shorten the wait for the other one", () => {
  const pair = makePair();
  const other = parseIpAddress("192.0.2.3");
  pair.a.engine.learnPeer(pair.now, {
    hit: pair.b.hit,
    identity: undefined,
    locators: [pair.b.address, other],
    rendezvous: [],
    name: "",
    source: "static",
    expires: undefined,
  });
  const i1s = unanswered(pair, 700);
  pair.inject(pair.a, unreachable(i1s[0]!));
  pair.advance(seconds(3));
  assert.equal(stateOf(pair), "I1-SENT");
});

for (const version of VERSIONS) {
  Deno.test(`BEX-012 while R2 is awaited errors of ICMP for IPv${version} change nothing; only time ends the wait`, () => {
    const story = (withIcmp: boolean) => {
      const pair = makePair(version);
      const i2s: OutgoingPacket[] = [];
      pair.passes = (packet) => {
        if (typeOf(packet) === PACKET.I2) i2s.push(packet);
        return typeOf(packet) !== PACKET.I2;
      };
      pair.a.engine.connect(pair.now, pair.b.hit);
      pair.settle();
      const states: string[] = [];
      for (let waited = 0; waited < 20; waited++) {
        if (withIcmp) {
          for (const i2 of i2s) {
            pair.inject(pair.a, unreachable(i2));
            pair.inject(pair.a, tooBig(i2, 1300));
          }
        }
        pair.advance(seconds(1));
        states.push(stateOf(pair));
      }
      return { states, sent: i2s.length, ignored: drops(pair.a)["icmp-no-use"] ?? 0 };
    };
    const [plain, pestered] = [story(false), story(true)];
    assert.deepEqual(pestered.states, plain.states);
    assert.equal(pestered.sent, plain.sent);
    assert.ok(plain.states.includes("I2-SENT") && plain.states.includes("E-FAILED"));
    assert.ok(pestered.ignored > 0);
  });
}

Deno.test("BEX-069 a Responder that ICMP tells of its R1 and R2 goes on with the exchange", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [r1] = swallowing(pair, PACKET.R1, () => a.engine.connect(pair.now, b.hit));
  pair.inject(b, unreachable(r1!));
  pair.inject(a, r1!);
  const [r2] = swallowing(pair, PACKET.R2, () => pair.settle());
  assert.equal(b.engine.association(a.hit)!.state, "R2-SENT");
  pair.inject(b, unreachable(r2!));
  assert.equal(b.engine.association(a.hit)!.state, "R2-SENT");
  pair.inject(a, r2!);
  pair.ping(a, b);
  assert.deepEqual([stateOf(pair), b.delivered.length], ["ESTABLISHED", 1]);
  assert.deepEqual(drops(b), { "icmp-not-ours": 1, "icmp-no-use": 1 });
});

Deno.test("ESP-210 errors that quote what this host did not send are refused, each under its name", () => {
  const pair = makePair();
  const { a, b } = pair;
  const [i1] = swallowing(pair, PACKET.I1, () => a.engine.connect(pair.now, b.hit));
  const strange = (at: number) => {
    const bytes = i1!.bytes.slice();
    bytes[at]! ^= 1;
    return { ...i1!, bytes };
  };
  const refusals: [OutgoingPacket, DropReason][] = [
    [unreachable(strange(HIP_FIELD.senderHit + 9)), "icmp-not-ours"],
    [unreachable(strange(HIP_FIELD.receiverHit + 9)), "icmp-not-ours"],
    // Ours, but no I1 went there.
    [unreachable({ ...i1!, destination: parseIpAddress("192.0.2.77") }), "icmp-no-use"],
    [unreachable({ ...i1!, protocol: 17, peerPort: 10500 }), "icmp-not-ours"],
    // None went there in UDP.
    [
      unreachable({ ...i1!, protocol: 17, peerPort: 10500, bytes: udpPayload(i1!.bytes) }),
      "icmp-no-use",
    ],
    [unreachable({ ...i1!, bytes: i1!.bytes.subarray(0, 8) }), "icmp-malformed"],
  ];
  const good = unreachable(i1!);
  const spoilt = good.bytes.slice();
  spoilt[20]! ^= 1;
  refusals.push([{ ...good, bytes: spoilt }, "icmp-malformed"]);
  for (const cut of [0, 7, 20, 27]) {
    refusals.push([{ ...good, bytes: good.bytes.slice(0, cut) }, "icmp-malformed"]);
  }
  for (const [packet, reason] of refusals) {
    const before = drops(a)[reason] ?? 0;
    pair.inject(a, packet);
    assert.equal(drops(a)[reason], before + 1, reason);
  }
});

Deno.test("ESP-215 each kind of ICMP error is believed only where the settings say so", () => {
  const kinds = ["too-big", "unreachable"] as const;
  for (const accepted of kinds) {
    const pair = makePair(4, { acceptedIcmp: [accepted] });
    const { a } = pair;
    const [i1] = unanswered(pair, 100);
    pair.inject(a, unreachable(i1!));
    pair.inject(a, tooBig(i1!, 1000));
    assert.equal(drops(a)["icmp-not-accepted"], 1);
    // What is too big of HIP the system cuts up.
    assert.equal(drops(a)["icmp-no-use"] ?? 0, accepted === "too-big" ? 1 : 0);
    pair.advance(seconds(3));
    assert.equal(stateOf(pair), accepted === "too-big" ? "I1-SENT" : "E-FAILED");
  }
});

Deno.test("A flood of ICMP errors is not looked at beyond a thousand a second", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const esp = pair.wire.find(({ protocol }) => protocol === ESP)!;
  const forged = tooBig({ ...esp, bytes: esp.bytes.slice().fill(7) }, 1000);
  for (let i = 0; i < 3000; i++) pair.inject(a, forged);
  assert.deepEqual(drops(a), { "icmp-not-ours": 1000, "icmp-rate-limited": 2000 });
  pair.advance(seconds(1));
  pair.inject(a, forged);
  assert.equal(drops(a)["icmp-not-ours"], 1001);
});
