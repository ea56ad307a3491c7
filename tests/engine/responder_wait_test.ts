/** R2-SENT: how long a Responder waits, and what becomes of its data meanwhile. */

import assert from "node:assert/strict";
import type { Logger } from "../../lib/base/logger.ts";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { NOTIFY, PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { HIP_PROTOCOL, parseHipPacket, setChecksum } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { NOTIFICATION } from "../../lib/wire/hip/parameters/notification.ts";
import type { EnginePair } from "../support/engine_pair.ts";
import { makePair, states, swallowing, typeOf } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { summaryOf, UpdateStory } from "../support/update_story.ts";

/** Alice has ESTABLISHED and says nothing; Bob is in R2-SENT. */
function connected(): EnginePair {
  const pair = makePair();
  pair.a.engine.connect(pair.now, pair.b.hit);
  pair.settle();
  assert.deepEqual(states(pair), ["ESTABLISHED", "R2-SENT"]);
  return pair;
}

Deno.test("TMR-005 BEX-064 R2-SENT lasts until the last I2 that may come has come, whichever of them are lost", () => {
  // I2 leaves at 0, 1, 3, 7 and 11 s, and Alice gives up at 15 s.
  for (const [lost, i2RetriesMax] of [[0, 5], [3, 5], [0, 3], [1, 3]] as const) {
    const pair = makePair({ settings: { i2RetriesMax } });
    const { a, b } = pair;
    let i2s = 0;
    const seen: (string | undefined)[] = [];
    pair.passes = (packet) => {
      if (typeOf(packet) === PACKET.R2) return false;
      if (typeOf(packet) !== PACKET.I2) return true;
      i2s++;
      if (i2s > 1) seen.push(states(pair)[1]);
      return i2s === 1 || i2s > 1 + lost;
    };
    a.engine.connect(pair.now, b.hit);
    pair.settle();
    while (states(pair)[0] === "I2-SENT") pair.advance(milliseconds(100));
    assert.equal(i2s, i2RetriesMax);
    assert.deepEqual(seen, Array(i2RetriesMax - 1).fill("R2-SENT"), `${lost} lost`);
    pair.advance(seconds(16));
    assert.equal(states(pair)[1], "ESTABLISHED");
  }
});

Deno.test("data of the Responder waits in R2-SENT for 1.5 s, not for the end of that state, and goes out in order", () => {
  const pair = connected();
  const { a, b } = pair;
  pair.ping(b, a, 1);
  pair.ping(b, a, 2);
  pair.advance(milliseconds(1499));
  assert.equal(a.delivered.length, 0);
  pair.advance(milliseconds(1));
  assert.equal(a.delivered.length, 2);
  assert.deepEqual(a.delivered.map((packet) => packet[47]), [1, 2]);
  // What comes later does not wait, though the state is the same.
  assert.equal(states(pair)[1], "R2-SENT");
  pair.ping(b, a, 3);
  assert.equal(a.delivered.length, 3);
  assert.equal(b.engine.status().drops["staged-expired"], undefined);
});

Deno.test("when I2 comes again R2 was lost, and the data of the Responder waits anew", () => {
  const pair = makePair();
  const { a, b } = pair;
  swallowing(pair, PACKET.R2, () => a.engine.connect(pair.now, b.hit));
  const [early, late] = [milliseconds(2490), milliseconds(10)];
  pair.ping(b, a, 1);
  // I2 and R2 come again after a second; from then on it is 1.5 s.
  pair.advance(early);
  assert.equal(a.delivered.length, 0);
  pair.advance(late);
  assert.equal(a.delivered.length, 1);
  assert.equal(states(pair)[0], "ESTABLISHED");
});

Deno.test("FSM-039 in R2-SENT a NOTIFY is information: it is logged, and the state stays", () => {
  const lines: string[] = [];
  const logger: Logger = { log: (_level, text) => lines.push(text) };
  const pair = makePair({ logger });
  const { a, b } = pair;
  a.engine.connect(pair.now, b.hit);
  pair.settle();
  const result = runJob({
    kind: "sign-packet",
    seed: new Uint8Array(32),
    identity: testIdentity("ecdsa-p256", "alice"),
    packetType: PACKET.NOTIFY,
    senderHit: a.hit,
    receiverHit: b.hit,
    parameters: [
      encodeParameter(NOTIFICATION, {
        messageType: NOTIFY.INVALID_SYNTAX,
        data: new Uint8Array(0),
      }),
    ],
    mac: undefined,
  });
  assert.ok(result.kind === "sign-packet");
  setChecksum(result.packet, a.address, b.address);
  const path = { source: a.address, destination: b.address };
  const more = { bytes: result.packet, trafficClass: 0, hopLimit: 64 };
  lines.length = 0;
  pair.inject(b, { protocol: HIP_PROTOCOL, ...path, ...more });
  assert.equal(lines.filter((line) => line.includes("error INVALID_SYNTAX")).length, 1);
  assert.equal(states(pair)[1], "R2-SENT");
  assert.deepEqual(b.sent, []);
});

Deno.test("NTF-002 a NOTIFICATION in an UPDATE is no NOTIFY: nothing is logged, and the UPDATE is acknowledged", () => {
  const lines: string[] = [];
  const logger: Logger = { log: (_level, text) => lines.push(text) };
  const story = new UpdateStory({ logger });
  story.rekey(story.a);
  lines.length = 0;
  const notification = { messageType: NOTIFY.INVALID_SYNTAX, data: new Uint8Array(0) };
  assert.equal(story.give(story.forge({ seq: 1, notification })).length, 1);
  assert.deepEqual(lines, []);
  // Nor does one of ours stand in another packet.
  const others = story.pair.wire.filter((packet) => typeOf(packet) !== PACKET.NOTIFY);
  const carries = others.filter(({ bytes, protocol }) =>
    protocol === HIP_PROTOCOL && parseHipPacket(bytes).has(PARAMETER.NOTIFICATION)
  );
  assert.deepEqual(carries, []);
});

Deno.test("an UPDATE that repeats SEQ and ESP_INFO beside the ACK that ends a rekey ends it, and makes no other", () => {
  for (const seq of [1, 2]) {
    const story = new UpdateStory();
    story.rekey(story.a);
    const { a, b } = story;
    const outbound = () => b.engine.association(a.hit)!.outboundSpi!;
    const espInfo = { keymatIndex: 0, oldSpi: outbound(), newSpi: 0x1001 };
    const [answer] = story.give(story.forge({ seq: 1, espInfo }));
    const ack = [summaryOf(answer!).seq!];
    story.wait(1000);
    const said = story.give(story.forge({ seq, ack, espInfo }));
    assert.equal(outbound(), 0x1001);
    // Acknowledged, once more if it is the same SEQ.
    assert.equal(said.length, 1);
    assert.ok(summaryOf(said[0]!).ack?.includes(seq));
    assert.equal(b.engine.status().drops["hip-spi-invalid"], undefined);
    const inbound = b.engine.association(a.hit)!.inboundSpi;
    assert.equal(inbound, summaryOf(answer!).espInfo!.newSpi);
  }
});
