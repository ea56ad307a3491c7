/** Whom a host serves: the access list, anonymous peers, and peers that know only its address. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import type { EngineOptions } from "../../lib/engine/engine.ts";
import { NOTIFY, PACKET } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { ESP_TRANSFORM } from "../../lib/wire/hip/parameters/esp_transform.ts";
import { NOTIFICATION } from "../../lib/wire/hip/parameters/notification.ts";
import type { EnginePair } from "../support/engine_pair.ts";
import { states, swallowing, typeOf, wireTypes } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { accessOf, ALICE, BOB, hosted, REFUSED, rule, unlikePair } from "../support/policy_pair.ts";

const ICMP = 1;
const ICMPV6 = 58;

function connect({ a, b, now }: EnginePair): void {
  a.engine.connect(now, b.hit);
}

function accepting({ b }: EnginePair): number {
  return b.jobs.filter(({ kind }) => kind === "accept-i2").length;
}

/** Protocol, type and code of what is no HIP packet. */
function icmpOf(packets: readonly OutgoingPacket[]): number[][] {
  return packets.filter(({ protocol }) => protocol === ICMP || protocol === ICMPV6)
    .map(({ protocol, bytes }) => [protocol, bytes[0]!, bytes[1]!]);
}

Deno.test("POL-005 a Responder with an access list serves those it names, with their ESP suites, and nobody else", () => {
  const access = accessOf(rule("*", REFUSED), rule(ALICE.hit, { espSuites: [8] }));
  const pair = unlikePair({}, access);
  connect(pair);
  pair.settle();
  assert.deepEqual(states(pair), ["ESTABLISHED", "R2-SENT"]);
  const r1 = pair.wire.find((packet) => typeOf(packet) === PACKET.R1)!;
  assert.deepEqual(parseHipPacket(r1.bytes).require(ESP_TRANSFORM).suiteIds, [8]);
  assert.match(pair.b.engine.association(ALICE.hit)!.espSuite!, /AES-128-CBC/);

  const stranger = unlikePair({ identities: hosted([testIdentity("rsa", "alice")]) }, access);
  connect(stranger);
  stranger.settle();
  assert.ok(!wireTypes(stranger).includes(PACKET.R1));
  assert.equal(stranger.b.engine.status().drops["hip-refused"], 1);
});

Deno.test("A peer with ESP suites of its own can be rekeyed, closed and met again", () => {
  const pair = unlikePair({}, {
    ...accessOf(rule(ALICE.hit, { espSuites: [9] })),
    settings: { puzzleDifficultyK: 3, r1MinimumUse: milliseconds(0) },
  });
  for (let round = 0; round < 3; round++) {
    pair.ping(pair.a, pair.b, round + 1);
    assert.equal(pair.b.delivered.length, round + 1);
    pair.a.engine.rekey(pair.now, pair.b.hit, { withDh: true });
    pair.settle();
    pair.a.engine.close(pair.now, pair.b.hit);
    pair.settle();
    pair.advance(seconds(1));
  }
});

Deno.test("As Initiator a host takes of the R1 the ESP suite that its list has for the peer", () => {
  const pair = unlikePair(accessOf(rule(BOB.hit, { espSuites: [9] })), {});
  pair.ping(pair.a, pair.b);
  assert.match(pair.a.engine.association(BOB.hit)!.espSuite!, /AES-256-CBC/);
  assert.equal(pair.b.delivered.length, 1);
});

Deno.test("POL-007 whom policy forbids the exchange hears ICMP administratively prohibited, and no NOTIFY", () => {
  for (
    const [addresses, expected] of [
      [["192.0.2.1", "192.0.2.2"], [ICMP, 3, 13]],
      [["2001:db8::1", "2001:db8::2"], [ICMPV6, 1, 1]],
    ] as const
  ) {
    const pair = unlikePair({}, accessOf(rule("*", REFUSED)), addresses);
    connect(pair);
    pair.settle();
    assert.deepEqual(icmpOf(pair.wire), [expected]);
    assert.ok(!wireTypes(pair).includes(PACKET.NOTIFY));
  }
});

Deno.test("Who hears ICMP administratively prohibited says so, as a hint, when it gives up", () => {
  for (
    const [settings, words] of [
      [{}, /^the peer did not answer I1 \(ICMP says that it is prohibited: the peer or a packet/],
      [{ acceptedIcmp: [] }, /^the peer did not answer I1$/],
    ] as const
  ) {
    const pair = unlikePair({ settings }, accessOf(rule("*", REFUSED)));
    connect(pair);
    pair.settle();
    for (let waited = 0; waited < 20 && states(pair)[0] !== "E-FAILED"; waited++) {
      pair.advance(seconds(1));
    }
    assert.match(pair.a.engine.association(pair.b.hit)!.failure!, words);
  }
});

Deno.test("NEG-024 where the switch says so, an I1 for the all-zero HIT is refused, and one for our HIT is not", () => {
  const pair = unlikePair({}, { settings: { answersOpportunistic: false } });
  pair.a.engine.connectOpportunistic(pair.now, pair.b.address);
  pair.settle();
  assert.ok(!wireTypes(pair).includes(PACKET.R1));
  assert.deepEqual(icmpOf(pair.wire), [[ICMP, 3, 13]]);
  assert.equal(pair.b.engine.status().drops["hip-refused"], 1);
  connect(pair);
  pair.settle();
  assert.equal(pair.a.engine.association(pair.b.hit)?.state, "ESTABLISHED");
});

Deno.test("HDR-016 BEX-066 an anonymous Initiator that is refused costs no public-key work, leaves no state, and hears BLOCKED_BY_POLICY", () => {
  const anonymous = { identities: hosted([ALICE], true) };
  const pair = unlikePair(anonymous, accessOf(rule("anonymous", REFUSED)));
  connect(pair);
  pair.settle();
  assert.ok(wireTypes(pair).includes(PACKET.I2));
  assert.deepEqual(states(pair), ["I2-SENT", undefined]);
  assert.equal(accepting(pair), 0);
  assert.equal(pair.b.engine.status().drops["hip-refused"], 1);
  const notifications = pair.wire.filter((packet) => typeOf(packet) === PACKET.NOTIFY)
    .map(({ bytes }) => parseHipPacket(bytes).require(NOTIFICATION).messageType);
  assert.deepEqual(notifications, [NOTIFY.BLOCKED_BY_POLICY]);

  const named = unlikePair({}, accessOf(rule("anonymous", REFUSED)));
  named.ping(named.a, named.b);
  assert.deepEqual(states(named), ["ESTABLISHED", "ESTABLISHED"]);
});

Deno.test("BEX-037 an R1 is dropped for its A bit when its I1 was opportunistic, and never when it named the HIT", () => {
  const anonymousBob = { identities: hosted([BOB, testIdentity("rsa", "bob")], true) };
  const refusing = accessOf(rule("anonymous", REFUSED));
  const pair = unlikePair(refusing, anonymousBob);
  connect(pair);
  pair.settle();
  assert.equal(states(pair)[0], "ESTABLISHED");

  // What an anonymous Responder would say to an I1 without its HIT: the R1 is the same.
  const source = unlikePair({}, anonymousBob);
  const [r1] = swallowing(source, PACKET.R1, () => connect(source));
  for (const [options, state] of [[refusing, "I1-SENT"], [{}, "I2-SENT"]] as const) {
    const met = unlikePair(options, {});
    met.passes = () => false;
    met.a.engine.connectOpportunistic(met.now, met.b.address);
    met.settle();
    met.inject(met.a, r1!);
    const { associations, drops } = met.a.engine.status();
    assert.equal(associations[0]!.state, state);
    assert.equal(drops["hip-refused"], state === "I1-SENT" ? 1 : undefined);
  }
});

Deno.test("An exchange that the host starts itself goes through, though the peer's own I1 would be refused", () => {
  const pair = unlikePair(accessOf(rule("*", REFUSED)), {});
  pair.introduce(pair.b, pair.a);
  swallowing(pair, PACKET.R1, () => {
    connect(pair);
    pair.b.engine.connect(pair.now, pair.a.hit);
  });
  pair.advance(seconds(20));
  assert.deepEqual(states(pair).sort(), ["ESTABLISHED", "ESTABLISHED"]);
});

Deno.test("POL-005 ESP-268 ESP-269 TMR-006 the inactivity that ends an association can be set for all, and for one HIT up to days", () => {
  const day = 86_400;
  const settings = {
    unusedAssociationLifetime: seconds(60),
    rekeyAge: seconds(Infinity),
    r1Lifetime: seconds(9 * day),
  };
  const lasting = accessOf(rule(BOB.hit, { idleTimeout: seconds(9 * day) }));
  const stateAtBob = (ofBob: Partial<EngineOptions>) => {
    const pair = unlikePair({ settings, ...lasting }, { settings, ...ofBob });
    pair.ping(pair.a, pair.b);
    pair.advance(seconds(2 * day));
    return pair.b.engine.association(ALICE.hit)?.state;
  };
  assert.equal(stateAtBob({}), undefined);
  const forAlice = accessOf(rule(ALICE.hit, { idleTimeout: seconds(3 * day) }));
  assert.equal(stateAtBob(forAlice), "ESTABLISHED");
});

Deno.test("ESP-267 an SA on which nothing was received for the inactivity period is replaced, or ends with its association", () => {
  const settings = { unusedAssociationLifetime: seconds(60), rekeyAge: seconds(Infinity) };
  for (const isPeerThere of [true, false]) {
    const pair = unlikePair({ settings }, { settings });
    pair.ping(pair.a, pair.b);
    const before = pair.a.engine.association(BOB.hit)!.inboundSpi;
    // Bob still hears, and says nothing; or is gone.
    pair.passes = (packet, from) =>
      typeOf(packet) !== -1 ? isPeerThere : from === pair.a && isPeerThere;
    for (let i = 0; i < 40; i++) {
      pair.ping(pair.a, pair.b, i);
      pair.advance(seconds(5));
    }
    const after = pair.a.engine.association(BOB.hit);
    if (isPeerThere) {
      assert.equal(after?.state, "ESTABLISHED");
      assert.notEqual(after.inboundSpi, before);
    } else {
      assert.notEqual(after?.state, "ESTABLISHED");
    }
  }
});
