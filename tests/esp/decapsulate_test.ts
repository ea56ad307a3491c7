import assert from "node:assert/strict";
import fc from "fast-check";
import { toHex } from "../../lib/base/bytes.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { ESP_SUITES, espSuite } from "../../lib/crypto/esp_suite.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import type { OutboundSa } from "../../lib/esp/security_association.ts";
import {
  bufferOf,
  CountingRandom,
  innerPacket,
  keysFor,
  LOCAL_HIT,
  PEER_HIT,
  saPair,
  SPI,
} from "../support/sa_pair.ts";

/** The packet that the outbound SA makes of a small payload. */
function nextPacket(outbound: OutboundSa): Uint8Array {
  const buffer = bufferOf(innerPacket(new Uint8Array(20).fill(7)));
  assert.equal(encapsulate(outbound, buffer), undefined);
  return buffer.contents().slice();
}

/** A packet whose plaintext, trailer included, is given octet for octet. */
function packetWith(suiteId: number, plaintext: Uint8Array, low = 1): Uint8Array {
  const suite = espSuite(suiteId);
  const end = 8 + suite.ivLength + plaintext.length;
  const packet = new Uint8Array(end + suite.icvLength);
  new DataView(packet.buffer).setUint32(0, SPI);
  new DataView(packet.buffer).setUint32(4, low);
  packet.set(plaintext, end - plaintext.length);
  const sealer = PORTABLE_PROVIDER.sealer(suiteId, keysFor(suiteId), new CountingRandom());
  assert.equal(sealer.seal(packet, 0, end, 0, low), true);
  return packet;
}

Deno.test("ESP-139 ESP-149 a packet with a wrong ICV or another number leaves the SA as it was", () => {
  for (const suiteId of ESP_SUITES.keys()) {
    const { outbound, inbound } = saPair(suiteId);
    assert.equal(decapsulate(inbound, bufferOf(nextPacket(outbound))), undefined);
    const before = inbound.words.slice();
    const packet = nextPacket(outbound);
    for (const low of [3, 500, 0x7fffffff, 0xf0000000]) {
      const forged = packet.slice();
      new DataView(forged.buffer).setUint32(4, low);
      assert.equal(decapsulate(inbound, bufferOf(forged)), "esp-icv-failed");
    }
    const forged = packet.slice();
    forged[forged.length - 1]! ^= 1;
    assert.equal(decapsulate(inbound, bufferOf(forged)), "esp-icv-failed");
    assert.deepEqual(inbound.words, before);
    assert.equal(decapsulate(inbound, bufferOf(packet)), undefined);
  }
});

Deno.test("ESP-128 ESP-137 ESP-138 a replayed packet is dropped before the opener is asked", () => {
  const { outbound, inbound } = saPair(13);
  const packet = nextPacket(outbound);
  assert.equal(decapsulate(inbound, bufferOf(packet)), undefined);
  inbound.opener.open = () => assert.fail("the opener was asked");
  assert.equal(decapsulate(inbound, bufferOf(packet)), "esp-replayed");
});

Deno.test("ESP-140 a packet left of the window is not delivered", () => {
  const { outbound, inbound } = saPair(13, { replayWindow: 64 });
  const packets = Array.from({ length: 100 }, () => nextPacket(outbound));
  assert.equal(decapsulate(inbound, bufferOf(packets[99]!)), undefined);
  for (let i = 0; i < 100; i++) {
    const reason = decapsulate(inbound, bufferOf(packets[i]!));
    if (i < 36) assert.equal(reason, "esp-icv-failed"); // taken for a number far ahead
    else assert.equal(reason, i === 99 ? "esp-replayed" : undefined);
  }
});

Deno.test("ESP-129 ESP-132 ESP-144 ESP-147 packets go on across the turn of the low word, in any order, on every suite", () => {
  for (const suiteId of ESP_SUITES.keys()) {
    const { outbound, inbound } = saPair(suiteId);
    outbound.words[3] = 0xffffffef;
    inbound.window.commit(0, 0xffffffef);
    const packets = Array.from({ length: 40 }, () => nextPacket(outbound));
    for (const i of [30, 2, 39, 0, 17, 16, 15, 1]) {
      assert.equal(decapsulate(inbound, bufferOf(packets[i]!)), undefined, `packet ${i}`);
    }
    assert.equal(inbound.window.highestHigh, 1);
  }
});

Deno.test("ESP-090 padding that is not 1, 2, 3 is refused after the ICV was found right", () => {
  const good = [9, 9, 1, 2, 3, 4, 4, 17];
  assert.equal(
    decapsulate(saPair(7).inbound, bufferOf(packetWith(7, Uint8Array.from(good)))),
    undefined,
  );
  for (const octet of [2, 3, 4, 5]) {
    const { inbound } = saPair(7);
    const plaintext = Uint8Array.from(good);
    plaintext[octet]! ^= 0x10;
    assert.equal(decapsulate(inbound, bufferOf(packetWith(7, plaintext))), "esp-bad-padding");
    assert.equal(inbound.window.highestLow, 1);
  }
});

Deno.test("ESP-091 a Pad Length beyond the plaintext is refused", () => {
  for (
    const [padLength, reason] of [[2, undefined], [3, "esp-bad-padding"], [
      255,
      "esp-bad-padding",
    ]] as const
  ) {
    const packet = packetWith(7, Uint8Array.from([1, 2, padLength, 17]));
    assert.equal(decapsulate(saPair(7).inbound, bufferOf(packet)), reason);
  }
  // Sequence number 1 before it makes the padding look right: the length alone is wrong.
  const packet = packetWith(7, Uint8Array.from([2, 3, 3, 17]));
  assert.equal(decapsulate(saPair(7).inbound, bufferOf(packet)), "esp-bad-padding");
});

Deno.test("ESP-086 255 octets of padding are taken off", () => {
  const plaintext = new Uint8Array(260);
  plaintext.set([7, 8, 9]);
  for (let i = 0; i < 255; i++) plaintext[3 + i] = i + 1;
  plaintext.set([255, 17], 258);
  const buffer = bufferOf(packetWith(7, plaintext));
  assert.equal(decapsulate(saPair(7).inbound, buffer), undefined);
  assert.equal(buffer.length, 43);
});

Deno.test("ESP-104 ESP-194 ESP-200 next headers that have no place in an SA are dropped", () => {
  for (const nextHeader of [0, 4, 41, 43, 94, 139]) {
    const { inbound } = saPair(13);
    const packet = packetWith(13, Uint8Array.from([1, 2, 3, 4, 1, 2, 2, nextHeader]));
    assert.equal(decapsulate(inbound, bufferOf(packet)), "esp-forbidden-next-header");
  }
});

Deno.test("ESP-099 a packet too short for its suite is dropped before the opener is asked", () => {
  for (const suite of ESP_SUITES.values()) {
    const { inbound } = saPair(suite.id);
    inbound.opener.open = () => assert.fail("the opener was asked");
    const least = 8 + suite.ivLength + suite.padModulus + suite.icvLength;
    for (let length = 0; length < least; length++) {
      assert.equal(decapsulate(inbound, bufferOf(new Uint8Array(length))), "esp-too-short");
    }
    for (let length = least + 1; length < least + suite.padModulus; length++) {
      assert.equal(decapsulate(inbound, bufferOf(new Uint8Array(length))), "esp-misaligned");
    }
  }
});

Deno.test("ESP-078 what arrives before the SA is active is dropped and may come again", () => {
  const { outbound, inbound } = saPair(13);
  inbound.isActive = false;
  const packet = nextPacket(outbound);
  assert.equal(decapsulate(inbound, bufferOf(packet)), "esp-not-established");
  inbound.isActive = true;
  assert.equal(decapsulate(inbound, bufferOf(packet)), undefined);
  inbound.wipe();
  assert.equal(decapsulate(inbound, bufferOf(nextPacket(outbound))), "esp-not-established");
});

Deno.test("ESP-060 ESP-176 the outer addresses do not matter", () => {
  const { outbound, inbound } = saPair(13);
  const buffer = bufferOf(nextPacket(outbound));
  new CountingRandom().fill(buffer.path.localAddress);
  new CountingRandom().fill(buffer.path.peerAddress);
  assert.equal(decapsulate(inbound, buffer), undefined);
});

Deno.test("ESP-063 ESP-177 ESP-178 ESP-179 ESP-180 ESP-182 the inner header is rebuilt from SA and outer header", () => {
  const { outbound, inbound } = saPair(8);
  const buffer = bufferOf(nextPacket(outbound));
  buffer.path.trafficClass = 0xbb; // DSCP 46, CE
  buffer.path.hopLimit = 61;
  assert.equal(decapsulate(inbound, buffer), undefined);
  assert.equal(
    toHex(buffer.contents().subarray(0, 40)),
    "6bb00000" + "0014" + "11" + "3d" + toHex(LOCAL_HIT) + toHex(PEER_HIT),
  );
});

Deno.test("ESP-272 counters count packets and octets given to the cipher, across 32 bits", () => {
  const { outbound, inbound } = saPair(8);
  outbound.words[7] = 0xfffffff0; // octets, low word
  assert.equal(decapsulate(inbound, bufferOf(nextPacket(outbound))), undefined);
  assert.equal(outbound.packets, 1n);
  assert.equal(outbound.octets, 0xfffffff0n + 32n);
  assert.equal(inbound.octets, 32n);
});

Deno.test("any octets at all give a reason, never an exception", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ESP_SUITES.keys()),
      fc.uint8Array({ maxLength: 200, size: "max" }),
      (suiteId, octets) => {
        const { inbound } = saPair(suiteId);
        const reason = decapsulate(inbound, bufferOf(octets));
        assert.equal(typeof reason, "string");
        assert.equal(inbound.packets, 0n);
      },
    ),
    { numRuns: 300 },
  );
});
