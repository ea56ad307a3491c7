/** The tables of RFC 7401 §4.4.3, state by state: what each does with packets that come. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import {
  ESP,
  forged,
  type Scene,
  sceneIn,
  spoilt,
  STATES,
  swallowing,
  typeOf,
} from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

type State = (typeof STATES)[number];

const SENDS_NOTHING = { sent: [], jobs: [] };

function i1From({ host, peer }: Scene): OutgoingPacket {
  return forged(peer, host, PACKET.I1, [encodeParameter(DH_GROUP_LIST, { groupIds: [7] })]);
}

/** An I2 of the peer as it would be after losing all its state; it has not reached the host. */
function i2From({ pair, host, peer }: Scene): OutgoingPacket {
  // Its I1 has the octets of the one before: the host would take it for a repetition.
  pair.advance(milliseconds(200));
  const owner = peer === pair.a ? "alice" : "bob";
  const address = peer === pair.a ? "192.0.2.1" : "192.0.2.2";
  const reborn = new EnginePair(new End(testIdentity("ecdsa-p256", owner), address, 9), host);
  reborn.now = pair.now;
  reborn.introduce(reborn.a, host);
  const connect = () => reborn.a.engine.connect(reborn.now, host.hit);
  return swallowing(reborn, PACKET.I2, connect)[0]!;
}

const I1_ROWS: Readonly<Partial<Record<State, string>>> = {
  "I2-SENT": "FSM-018",
  "R2-SENT": "FSM-031",
  "ESTABLISHED": "FSM-040",
  "CLOSING": "FSM-047",
  "CLOSED": "FSM-052",
};

for (const [state, row] of Object.entries(I1_ROWS) as [State, string][]) {
  Deno.test(`${row} an I1 in ${state} is answered by R1 and changes nothing`, () => {
    const scene = sceneIn(state);
    assert.equal(scene.state(), state);
    const before = scene.host.engine.association(scene.peer.hit);
    const { sent, jobs } = scene.meet(i1From(scene));
    assert.deepEqual(sent.map(typeOf), [PACKET.R1]);
    assert.deepEqual(jobs, []);
    assert.equal(scene.state(), state);
    assert.equal(scene.host.engine.association(scene.peer.hit)?.inboundSpi, before?.inboundSpi);
  });
}

const FAILING_I2_ROWS: Readonly<Record<State, string>> = {
  "UNASSOCIATED": "FSM-004",
  "I1-SENT": "FSM-011",
  "I2-SENT": "FSM-023",
  "R2-SENT": "FSM-033",
  "ESTABLISHED": "FSM-042",
  "CLOSING": "FSM-049",
  "CLOSED": "FSM-053",
};

for (const state of STATES) {
  const row = FAILING_I2_ROWS[state];
  Deno.test(`${row} an I2 whose signature or MAC is wrong leaves ${state} as it is`, () => {
    for (const parameter of ["HIP_SIGNATURE", "HIP_MAC"] as const) {
      const scene = sceneIn(state);
      const bad = spoilt(i2From(scene), parameter);
      const before = scene.host.engine.association(scene.peer.hit);
      assert.deepEqual(scene.meet(bad), { sent: [], jobs: ["accept-i2"] });
      assert.equal(scene.state(), state);
      const now = scene.host.engine.association(scene.peer.hit);
      assert.deepEqual([now?.inboundSpi, now?.outboundSpi], [
        before?.inboundSpi,
        before?.outboundSpi,
      ]);
      const { drops } = scene.host.engine.status();
      const reason = parameter === "HIP_MAC" ? "hip-mac-failed" : "hip-signature-failed";
      assert.equal(drops[reason], 1);
    }
  });
}

const GOOD_I2_ROWS: Readonly<Partial<Record<State, string>>> = {
  "I1-SENT": "FSM-010 BEX-055 BEX-062",
  "CLOSED": "FSM-053",
};

for (const [state, rows] of Object.entries(GOOD_I2_ROWS) as [State, string][]) {
  Deno.test(`${rows} a good I2 in ${state} is answered by R2 and leads to R2-SENT, and no I1 follows`, () => {
    const scene = sceneIn(state);
    const { sent } = scene.meet(i2From(scene));
    assert.deepEqual(sent.map(typeOf), [PACKET.R2]);
    assert.equal(scene.state(), "R2-SENT");
    const late = swallowing(scene.pair, PACKET.I1, () => scene.pair.advance(seconds(30)));
    assert.deepEqual(late, []);
    assert.equal(scene.state(), "ESTABLISHED");
  });
}

/** Packets for which a state has no row of its own. */
const OTHERS: Readonly<Record<State, readonly [string, readonly (keyof typeof PACKET)[]]>> = {
  "UNASSOCIATED": ["FSM-007", ["R1", "R2", "UPDATE", "NOTIFY", "CLOSE_ACK", "HIP_DATA"]],
  "I1-SENT": ["FSM-015", ["R2", "UPDATE", "NOTIFY", "CLOSE", "CLOSE_ACK", "HIP_DATA"]],
  "I2-SENT": ["FSM-028", ["UPDATE", "CLOSE_ACK", "HIP_DATA"]],
  "R2-SENT": ["FSM-034", ["R1", "R2", "CLOSE_ACK"]],
  "ESTABLISHED": ["FSM-043", ["R1", "R2", "CLOSE_ACK"]],
  "CLOSING": ["FSM-050", ["R2", "UPDATE", "HIP_DATA"]],
  "CLOSED": ["FSM-055", ["R1", "R2", "UPDATE", "HIP_DATA"]],
};

for (const state of STATES) {
  const [row, types] = OTHERS[state];
  Deno.test(`${row} ${types.join(", ")} in ${state} are dropped, counted, and change nothing`, () => {
    for (const type of types) {
      const scene = sceneIn(state);
      const before = total(scene);
      assert.deepEqual(
        scene.meet(forged(scene.peer, scene.host, PACKET[type])),
        SENDS_NOTHING,
        type,
      );
      assert.equal(scene.state(), state, type);
      assert.equal(total(scene), before + 1, type);
    }
  });
}

/** Packets that the host has dropped. */
function total({ host }: Scene): number {
  return Object.values(host.engine.status().drops).reduce((sum, count) => sum + count, 0);
}

Deno.test("FSM-005 ICM-009 user data that fits no association is discarded, and nothing comes of it", () => {
  const scene = sceneIn("UNASSOCIATED");
  const other = sceneIn("ESTABLISHED").pair.wire.find(({ protocol }) => protocol === ESP)!;
  assert.deepEqual(scene.meet(other), SENDS_NOTHING);
  assert.equal(scene.state(), "UNASSOCIATED");
  assert.deepEqual(scene.host.delivered, []);
  assert.equal(scene.host.engine.status().drops["esp-unknown-spi"], 1);
});

Deno.test("FSM-014 BEX-033 BEX-032 BEX-045 in I1-SENT an R1 with a bad signature, other HITs or a parameter missing is dropped without a word, and a good one still helps", () => {
  const scene = sceneIn("I1-SENT", { settings: { r1CollectionTime: milliseconds(0) } });
  const { pair, host, peer } = scene;
  const [r1] = swallowing(pair, PACKET.R1, () => pair.advance(seconds(1)));
  const badSignature = scene.meet(spoilt(r1!, "HIP_SIGNATURE_2"));
  assert.deepEqual(badSignature, { sent: [], jobs: ["verify-r1"] });
  assert.deepEqual(scene.meet(forged(peer, host, PACKET.R1)).sent, []);
  const stranger = Object.assign(Object.create(host), { hit: testIdentity("rsa", "bob").hit });
  assert.deepEqual(scene.meet(forged(stranger, host, PACKET.R1)), SENDS_NOTHING);
  assert.deepEqual(scene.meet(forged(peer, stranger, PACKET.R1)), SENDS_NOTHING);
  assert.equal(host.engine.status().drops["hip-no-association"], 2);
  assert.equal(scene.state(), "I1-SENT");
  assert.deepEqual(scene.meet(r1!).sent.map(typeOf), [PACKET.I2]);
  assert.equal(scene.state(), "I2-SENT");
});

Deno.test("FSM-020 in I2-SENT an R1 that fails changes nothing, even one that claims a later generation", () => {
  const scene = sceneIn("I2-SENT");
  const r1 = scene.pair.wire.find((packet) => typeOf(packet) === PACKET.R1)!;
  const { sent } = scene.meet(spoilt(r1, "R1_COUNTER"));
  assert.deepEqual(sent, []);
  assert.equal(scene.state(), "I2-SENT");
  scene.pair.advance(seconds(2));
  assert.equal(scene.state(), "ESTABLISHED");
});

Deno.test("FSM-025 BEX-070 BEX-076 in I2-SENT an R2 that fails changes nothing, and the true one leads to ESTABLISHED", () => {
  for (const parameter of ["HIP_SIGNATURE", "HIP_MAC_2", "ESP_INFO"] as const) {
    const scene = sceneIn("I2-SENT");
    const [r2] = swallowing(scene.pair, PACKET.R2, () => scene.pair.advance(seconds(2)));
    assert.deepEqual(scene.meet(spoilt(r2!, parameter)), { sent: [], jobs: ["verify-r2"] });
    assert.equal(scene.state(), "I2-SENT");
    scene.meet(r2!);
    assert.equal(scene.state(), "ESTABLISHED");
  }
});

Deno.test("FSM-030 BEX-041 I2 is sent I2_RETRIES_MAX times, then the state is E-FAILED", () => {
  const scene = sceneIn("UNASSOCIATED", { settings: { i2RetriesMax: 3 } });
  const { pair, host, peer } = scene;
  const i2s = swallowing(pair, PACKET.I2, () => {
    host.engine.connect(pair.now, peer.hit);
    pair.settle();
    while (scene.state() === "I2-SENT") pair.advance(seconds(1));
  });
  assert.equal(scene.state(), "E-FAILED");
  assert.equal(i2s.length, 3);
});

Deno.test("TMR-010 E-FAILED ends by itself", () => {
  const scene = sceneIn("I1-SENT");
  const { pair } = scene;
  swallowing(pair, PACKET.I1, () => pair.advance(seconds(5)));
  assert.equal(scene.state(), "E-FAILED");
  pair.advance(seconds(5));
  assert.equal(scene.state(), "UNASSOCIATED");
});

Deno.test("FSM-057 in ESTABLISHED data of the association is processed, both ways", () => {
  const { pair, host, peer, state } = sceneIn("ESTABLISHED");
  pair.ping(peer, host, 5);
  pair.ping(host, peer, 6);
  assert.equal(host.delivered.length, 1);
  assert.equal(peer.delivered.length, 2);
  assert.equal(state(), "ESTABLISHED");
});

Deno.test("FSM-051 FSM-054 data in CLOSED: I1 goes out while the state stays, R1 leads to I2-SENT", () => {
  const scene = sceneIn("CLOSED");
  const { pair, host, peer } = scene;
  pair.advance(seconds(1));
  const r1s = swallowing(pair, PACKET.R1, () => pair.ping(host, peer, 7));
  assert.equal(scene.state(), "CLOSED");
  assert.deepEqual(scene.meet(spoilt(r1s[0]!, "HIP_SIGNATURE_2")).sent, []);
  assert.equal(scene.state(), "CLOSED");
  const { sent } = scene.meet(r1s[0]!);
  assert.deepEqual(sent.map(typeOf), [PACKET.I2]);
  assert.equal(scene.state(), "I2-SENT");
});
