/** CLOSE and CLOSE_ACK: what they hold, who believes them, and how long their states last. */

import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import { after, type Duration, milliseconds, seconds } from "../../lib/base/time.ts";
import { PACKET, parameterTypeName } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { ECHO_REQUEST_SIGNED, ECHO_RESPONSE_SIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { type Scene, sceneIn, spoilt, swallowing, typeOf } from "../support/engine_story.ts";

const UAL = seconds(10);
const MSL = seconds(120);
const SHORT = { settings: { unusedAssociationLifetime: UAL } };

function names(packet: OutgoingPacket): string[] {
  return parseHipPacket(packet.bytes).parameters.map(({ type }) => parameterTypeName(type));
}

/** A CLOSE of the peer that has not reached the host. */
function closeFrom({ pair, host, peer }: Scene): OutgoingPacket {
  return swallowing(pair, PACKET.CLOSE, () => peer.engine.close(pair.now, host.hit))[0]!;
}

/** Lets a span pass while the wire loses everything. */
function advanceAlone({ pair }: Scene, span: Duration): void {
  const { passes } = pair;
  pair.passes = () => false;
  pair.advance(span);
  pair.passes = passes;
}

Deno.test("PKT-007 PKT-008 CLS-002 CLS-004 ECH-004 CLOSE and CLOSE_ACK hold the echo, HIP_MAC and HIP_SIGNATURE, and nothing else", () => {
  const scene = sceneIn("ESTABLISHED");
  const close = closeFrom(scene);
  const [acknowledgement] = scene.meet(close).sent;
  assert.deepEqual(names(close), ["ECHO_REQUEST_SIGNED", "HIP_MAC", "HIP_SIGNATURE"]);
  assert.equal(typeOf(acknowledgement!), PACKET.CLOSE_ACK);
  assert.deepEqual(names(acknowledgement!), ["ECHO_RESPONSE_SIGNED", "HIP_MAC", "HIP_SIGNATURE"]);
  assert.deepEqual(
    parseHipPacket(acknowledgement!.bytes).require(ECHO_RESPONSE_SIGNED),
    parseHipPacket(close.bytes).require(ECHO_REQUEST_SIGNED),
  );
});

const FAILING: readonly ["I2-SENT" | "R2-SENT" | "ESTABLISHED" | "CLOSING", string][] = [
  ["I2-SENT", "FSM-027"],
  ["R2-SENT", "FSM-038"],
  ["ESTABLISHED", "CLS-009"],
  ["CLOSING", "CLS-011"],
];

for (const [state, row] of FAILING) {
  Deno.test(`${row} CLS-007 in ${state} a CLOSE whose MAC or signature is wrong changes nothing`, () => {
    const scene = sceneIn(state);
    const close = closeFrom(scene);
    assert.deepEqual(scene.meet(spoilt(close, "HIP_MAC")), { sent: [], jobs: [] });
    assert.deepEqual(scene.meet(spoilt(close, "HIP_SIGNATURE")), {
      sent: [],
      jobs: ["verify-signature"],
    });
    assert.equal(scene.state(), state);
    const { drops } = scene.host.engine.status();
    assert.equal(drops["hip-mac-failed"], 1);
    assert.equal(drops["hip-signature-failed"], 1);
  });
}

const CLOSED_FROM: readonly ["I2-SENT" | "R2-SENT", string][] = [
  ["I2-SENT", "FSM-026"],
  ["R2-SENT", "FSM-037"],
];

for (const [state, row] of CLOSED_FROM) {
  Deno.test(`${row} a CLOSE in ${state} is answered and leads to CLOSED`, () => {
    const scene = sceneIn(state);
    const { sent } = scene.meet(closeFrom(scene));
    assert.deepEqual(sent.map(typeOf), [PACKET.CLOSE_ACK]);
    assert.equal(scene.state(), "CLOSED");
  });
}

Deno.test("FSM-006 CLS-021 a CLOSE without an association is dropped, and no work is spent on it", () => {
  const close = closeFrom(sceneIn("ESTABLISHED"));
  const scene = sceneIn("UNASSOCIATED");
  assert.deepEqual(scene.meet(close), { sent: [], jobs: [] });
  assert.equal(scene.state(), "UNASSOCIATED");
  assert.equal(scene.host.engine.status().drops["hip-no-association"], 1);
});

Deno.test("CLS-005 CLS-006 CLS-013 a CLOSE_ACK with a wrong echo, MAC or signature leaves CLOSING as it is; the true one ends it", () => {
  const scene = sceneIn("CLOSING");
  const { pair } = scene;
  const [acknowledgement] = swallowing(pair, PACKET.CLOSE_ACK, () => pair.advance(seconds(1)));
  for (const parameter of ["ECHO_RESPONSE_SIGNED", "HIP_MAC", "HIP_SIGNATURE"] as const) {
    assert.deepEqual(scene.meet(spoilt(acknowledgement!, parameter)).sent, []);
    assert.equal(scene.state(), "CLOSING", parameter);
  }
  const { drops } = scene.host.engine.status();
  assert.equal(drops["hip-echo-mismatch"], 1);
  assert.equal(drops["hip-mac-failed"], 1);
  assert.equal(drops["hip-signature-failed"], 1);
  scene.meet(acknowledgement!);
  assert.equal(scene.state(), "UNASSOCIATED");
});

Deno.test("TMR-007 TMR-008 CLOSING without an answer ends after UAL + MSL, not before", () => {
  const scene = sceneIn("CLOSING", SHORT);
  advanceAlone(scene, milliseconds(UAL + MSL - 1000));
  assert.equal(scene.state(), "CLOSING");
  advanceAlone(scene, seconds(35));
  assert.equal(scene.state(), "UNASSOCIATED");
});

Deno.test("TMR-009 CLS-018 CLOSED ends after UAL + 2 MSL, not before", () => {
  const scene = sceneIn("CLOSED", SHORT);
  advanceAlone(scene, milliseconds(UAL + 2 * MSL - 1));
  assert.equal(scene.state(), "CLOSED");
  advanceAlone(scene, milliseconds(1));
  assert.equal(scene.state(), "UNASSOCIATED");
});

Deno.test("CLS-020 a CLOSE that comes again in CLOSED is answered again, with keys that were kept", () => {
  const scene = sceneIn("ESTABLISHED");
  const close = closeFrom(scene);
  const first = scene.meet(close).sent[0]!;
  assert.equal(scene.state(), "CLOSED");
  scene.pair.now = after(scene.pair.now, seconds(60));
  const second = scene.meet(close).sent[0]!;
  assert.equal(typeOf(second), PACKET.CLOSE_ACK);
  const mac = (packet: OutgoingPacket) => {
    const parsed = parseHipPacket(packet.bytes);
    return toHex(parsed.parameters[1]!.contents);
  };
  assert.equal(mac(second), mac(first));
});

Deno.test("CLS-017 when CLOSEs have crossed, a CLOSE_ACK that is right ends CLOSED, and one that is wrong does not", () => {
  const scene = sceneIn("ESTABLISHED");
  const { pair, host, peer } = scene;
  const [own] = swallowing(pair, PACKET.CLOSE, () => host.engine.close(pair.now, peer.hit));
  scene.meet(closeFrom(scene));
  assert.equal(scene.state(), "CLOSED");
  pair.inject(peer, own!);
  const acknowledgement = peer.sent.splice(0).find((p) => typeOf(p) === PACKET.CLOSE_ACK)!;
  for (const parameter of ["ECHO_RESPONSE_SIGNED", "HIP_MAC", "HIP_SIGNATURE"] as const) {
    scene.meet(spoilt(acknowledgement, parameter));
    assert.equal(scene.state(), "CLOSED", parameter);
  }
  scene.meet(acknowledgement);
  assert.equal(scene.state(), "UNASSOCIATED");
});

Deno.test("who is going down answers no I1: its R1 would be worth nothing to the peer", () => {
  const scene = sceneIn("ESTABLISHED");
  const { pair, host, peer } = scene;
  host.engine.closeAll(pair.now);
  pair.settle();
  assert.equal(host.engine.openAssociations, 0);
  peer.engine.connect(pair.now, host.hit);
  pair.settle();
  // It has sent an I1, and no I2 (RFC 7401 §4.4.2).
  assert.equal(peer.engine.association(host.hit)?.state, "CLOSED");
  assert.ok(host.engine.status().drops["hip-refused"]! > 0);
});
