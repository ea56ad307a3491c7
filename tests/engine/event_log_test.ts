/** Events that wait for a reader. */

import assert from "node:assert/strict";
import { instant } from "../../lib/base/time.ts";
import { EventLog, MAX_EVENTS } from "../../lib/engine/event_log.ts";
import { emitHipPacket } from "../../lib/wire/hip/packet.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";

const SENDER = new Uint8Array(16).fill(1);
const RECEIVER = new Uint8Array(16).fill(2);
const ADDRESSES = { local: new Uint8Array(16).fill(3), peer: new Uint8Array(16).fill(4) };

function i1(parameters: Uint8Array[]): Uint8Array {
  const header = { packetType: PACKET.I1, senderHit: SENDER, receiverHit: RECEIVER };
  return emitHipPacket(header, parameters);
}

Deno.test("the log keeps so many events, and the oldest go first", () => {
  const log = new EventLog();
  for (let at = 0; at < MAX_EVENTS + 10; at++) {
    log.add({ kind: "drop", at: instant(at), reason: "hip-busy", detail: "" });
  }
  assert.equal(log.take()?.at, 10);
  let kept = 1;
  while (log.take() !== undefined) kept++;
  assert.equal(kept, MAX_EVENTS);
});

Deno.test("a packet in the log says what it is when it is asked, from both ends", () => {
  const octets = i1([encodeParameter(DH_GROUP_LIST, { groupIds: [7] })]);
  for (const direction of ["in", "out"] as const) {
    const log = new EventLog();
    log.addPacket(instant(5), direction, octets, ADDRESSES);
    const event = log.take();
    assert.ok(event?.kind === "packet");
    const { packet, at, lengthOctets, parameters, detail } = event;
    assert.deepEqual([packet, at, lengthOctets, detail], ["I1", 5, 48, ""]);
    assert.deepEqual(parameters, ["DH_GROUP_LIST"]);
    const isOut = direction === "out";
    assert.deepEqual(event.localHit, isOut ? SENDER : RECEIVER);
    assert.deepEqual(event.peerHit, isOut ? RECEIVER : SENDER);
    assert.deepEqual(event.source, isOut ? ADDRESSES.local : ADDRESSES.peer);
    assert.deepEqual(event.destination, isOut ? ADDRESSES.peer : ADDRESSES.local);
  }
});

Deno.test("a packet whose parameter is malformed can be read of all the same", () => {
  // DIFFIE_HELLMAN (513) of one octet.
  const log = new EventLog();
  const malformed = Uint8Array.of(2, 1, 0, 1, 7, 0, 0, 0);
  log.addPacket(instant(5), "in", i1([malformed]), ADDRESSES);
  const event = log.take();
  assert.ok(event?.kind === "packet");
  assert.deepEqual(event.parameters, ["DIFFIE_HELLMAN"]);
  assert.equal(event.detail, "malformed");
});
