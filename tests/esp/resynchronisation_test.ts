import assert from "node:assert/strict";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import type { InboundSa, OutboundSa } from "../../lib/esp/security_association.ts";
import { bufferOf, innerPacket, saPair } from "../support/sa_pair.ts";

const SEQUENCE_HIGH = 2;

/** The next packet of the sender, as the receiver judges it. */
function pass(outbound: OutboundSa, inbound: InboundSa): string {
  const packet = innerPacket(new Uint8Array(20).fill(9));
  const buffer = bufferOf(packet);
  assert.equal(encapsulate(outbound, buffer), undefined);
  const reason = decapsulate(inbound, buffer);
  if (reason === undefined) assert.deepEqual(buffer.contents(), packet);
  return reason ?? "delivered";
}

/** A pair in use, the sender then `rounds` times 2^32 packets further. */
function separated(suite: number, rounds: number) {
  const { outbound, inbound } = saPair(suite);
  assert.equal(pass(outbound, inbound), "delivered");
  outbound.words[SEQUENCE_HIGH]! += rounds;
  let opened = 0;
  const open = inbound.opener.open.bind(inbound.opener);
  inbound.opener.open = (...all) => {
    opened++;
    return open(...all);
  };
  return { outbound, inbound, opened: () => opened };
}

for (const suite of [7, 8, 9, 12, 13]) {
  Deno.test(`ESP-150 suite ${suite}: after 256 failures in a row the lost high word is found, and all is as before`, () => {
    const { outbound, inbound, opened } = separated(suite, 3);
    for (let i = 0; i < 256; i++) assert.equal(pass(outbound, inbound), "esp-icv-failed");
    assert.equal(pass(outbound, inbound), "delivered");
    assert.equal(opened(), 256 + 4);
    assert.equal(inbound.window.highestHigh, 3);
    for (let i = 0; i < 300; i++) assert.equal(pass(outbound, inbound), "delivered");
    assert.equal(opened(), 256 + 4 + 300);
  });
}

Deno.test("ESP-150 no more than eight later words are tried, for one packet of 256", () => {
  const { outbound, inbound, opened } = separated(13, 9);
  for (let i = 0; i < 1024; i++) assert.equal(pass(outbound, inbound), "esp-icv-failed");
  assert.equal(opened(), 1024 + 3 * 8);
  assert.equal(inbound.window.highestHigh, 0);
});

Deno.test("ESP-150 any valid packet clears the run", () => {
  const { outbound, inbound, opened } = separated(13, 0);
  const spoil = () => {
    const buffer = bufferOf(innerPacket(new Uint8Array(20)));
    assert.equal(encapsulate(outbound, buffer), undefined);
    buffer.bytes[buffer.end - 1]! ^= 1;
    assert.equal(decapsulate(inbound, buffer), "esp-icv-failed");
  };
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 255; i++) spoil();
    assert.equal(pass(outbound, inbound), "delivered");
  }
  assert.equal(opened(), 4 * 256);
});
