import assert from "node:assert/strict";
import fc from "fast-check";
import { openLibcrypto } from "../../ffi/libcrypto.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { ESP_SUITES, type EspProvider } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate, encapsulateDummy } from "../../lib/esp/encapsulate.ts";
import {
  bufferOf,
  CountingRandom,
  innerPacket,
  LOCAL_ADDRESS,
  PEER_ADDRESS,
  saPair,
  SPI,
} from "../support/sa_pair.ts";

const PROVIDERS: EspProvider[] = [PORTABLE_PROVIDER];
const libcrypto = openLibcrypto();
if (libcrypto !== undefined) PROVIDERS.push(libcrypto);

const payloadOf = (length: number) => new Uint8Array(length).map((_, i) => i * 3 + 1);

Deno.test("ESP-086 ESP-177 ESP-179 an inner packet of any length comes out as it went in, for every suite and provider", () => {
  for (const provider of PROVIDERS) {
    for (const suiteId of ESP_SUITES.keys()) {
      const { outbound, inbound } = saPair(suiteId, { provider });
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 1500 }), fc.nat(255), fc.nat(255), (n, tc, hops) => {
          const packet = innerPacket(payloadOf(n), { trafficClass: tc, hopLimit: hops });
          const buffer = bufferOf(packet);
          assert.equal(encapsulate(outbound, buffer), undefined);
          assert.equal(decapsulate(inbound, buffer), undefined);
          assert.equal(toHex(buffer.contents()), toHex(packet));
        }),
        { numRuns: 20 },
      );
    }
  }
});

Deno.test("ESP-085 ESP-087 ESP-089 ESP-103 ESP-119 ESP-127 ESP-130 the octets on the wire, read from suite 7", () => {
  const { outbound } = saPair(7);
  const buffer = bufferOf(innerPacket(payloadOf(9), { nextHeader: 6 }));
  assert.equal(encapsulate(outbound, buffer), undefined);
  const packet = buffer.contents();
  // SPI, sequence 1, nine octets, padding 1, Pad Length 1, Next Header 6, ICV.
  assert.equal(
    toHex(packet.subarray(0, 20)),
    "c0ffee01" + "00000001" + toHex(payloadOf(9)) + "010106",
  );
  assert.equal(packet.length, 20 + 16);
});

Deno.test("ESP-087 ESP-088 ESP-119 the least padding reaches the suite's boundary", () => {
  for (const suite of ESP_SUITES.values()) {
    const { outbound } = saPair(suite.id);
    for (let n = 0; n < 40; n++) {
      const buffer = bufferOf(innerPacket(payloadOf(n)));
      assert.equal(encapsulate(outbound, buffer), undefined);
      const ciphertext = buffer.length - 8 - suite.ivLength - suite.icvLength;
      assert.equal(ciphertext, Math.ceil((n + 2) / suite.padModulus) * suite.padModulus);
    }
  }
});

Deno.test("ESP-161 ESP-162 ESP-164 ESP-165 ESP-166 ESP-168 the path has the SA's addresses and the inner traffic class and hop limit", () => {
  const { outbound } = saPair(13);
  const buffer = bufferOf(innerPacket(payloadOf(20), { trafficClass: 0xb9, hopLimit: 3 }));
  assert.equal(encapsulate(outbound, buffer), undefined);
  assert.equal(buffer.path.protocol, 50);
  assert.equal(buffer.path.trafficClass, 0xb9);
  assert.equal(buffer.path.hopLimit, 3);
  assert.deepEqual(buffer.path.localAddress, LOCAL_ADDRESS);
  assert.deepEqual(buffer.path.peerAddress, PEER_ADDRESS);
});

Deno.test("ESP-167 ESP-168 a pinned DSCP replaces the inner one and leaves ECN alone", () => {
  for (const dscp of [0, 46, 63]) {
    const { outbound } = saPair(13, { dscp });
    const buffer = bufferOf(innerPacket(payloadOf(20), { trafficClass: 0b101010_11 }));
    assert.equal(encapsulate(outbound, buffer), undefined);
    assert.equal(buffer.path.trafficClass, (dscp << 2) | 3);
  }
  assert.throws(() => saPair(13, { dscp: 64 }), RangeError);
});

Deno.test("ESP-111 ESP-131 ESP-132 the counter grows by one a packet, and its low word alone is sent", () => {
  const { outbound } = saPair(13);
  outbound.words[2] = 9; // sequence, high word
  outbound.words[3] = 0xfffffffe;
  const sent = [];
  for (let i = 0; i < 4; i++) {
    const buffer = bufferOf(innerPacket(payloadOf(4)));
    assert.equal(encapsulate(outbound, buffer), undefined);
    sent.push(toHex(buffer.contents().subarray(4, 16)));
  }
  assert.deepEqual(sent, [
    "ffffffff" + "00000009ffffffff",
    "00000000" + "0000000a00000000",
    "00000001" + "0000000a00000001",
    "00000002" + "0000000a00000002",
  ]);
});

Deno.test("ESP-133 ESP-136 nothing is sent once the 64-bit counter is used up, and a rekey was due long before", () => {
  const { outbound } = saPair(13);
  assert.equal(outbound.isRekeyDue, false);
  outbound.words[2] = 0xffffffff;
  outbound.words[3] = 0xfffffffe;
  assert.equal(outbound.isRekeyDue, true);
  assert.equal(encapsulate(outbound, bufferOf(innerPacket(payloadOf(4)))), undefined);
  for (let i = 0; i < 3; i++) {
    const packet = innerPacket(payloadOf(4));
    const buffer = bufferOf(packet);
    assert.equal(encapsulate(outbound, buffer), "sequence-exhausted");
    assert.deepEqual(buffer.contents(), packet);
  }
  assert.equal(encapsulateDummy(outbound, bufferOf(new Uint8Array(0)), 8), "sequence-exhausted");
});

Deno.test("ESP-112 ESP-114 a number whose packet could not be sealed is not used again", () => {
  const { outbound } = saPair(13);
  const { sealer } = outbound;
  const seal = sealer.seal;
  sealer.seal = () => false;
  assert.equal(encapsulate(outbound, bufferOf(innerPacket(payloadOf(4)))), "seal-failed");
  assert.equal(outbound.packets, 0n);
  sealer.seal = seal;
  const buffer = bufferOf(innerPacket(payloadOf(4)));
  assert.equal(encapsulate(outbound, buffer), undefined);
  assert.equal(toHex(buffer.contents().subarray(4, 8)), "00000002");
});

Deno.test("ESP-159 ESP-160 ESP-171 a packet between other addresses than the SA's HITs is dropped as it is", () => {
  const { outbound } = saPair(13);
  for (const octet of [8, 15, 23, 24, 30, 39]) {
    const packet = innerPacket(payloadOf(4));
    packet[octet]! ^= 0x40;
    const buffer = bufferOf(packet);
    assert.equal(encapsulate(outbound, buffer), "esp-wrong-inner-address");
    assert.deepEqual(buffer.contents(), packet);
  }
  assert.equal(outbound.sequenceLow, 0);
});

Deno.test("ESP-172 ESP-194 HIP, tunnels, hop-by-hop and routing headers do not go into an SA", () => {
  const { outbound } = saPair(13);
  for (const nextHeader of [0, 4, 41, 43, 94, 139]) {
    const buffer = bufferOf(innerPacket(payloadOf(16), { nextHeader }));
    assert.equal(encapsulate(outbound, buffer), "esp-forbidden-next-header", `${nextHeader}`);
  }
});

Deno.test("ESP-170 ESP-193 destination options travel inside, first in the payload", () => {
  const { outbound, inbound } = saPair(13);
  for (const nextHeader of [60, 58, 17, 6, 132]) {
    const packet = innerPacket(payloadOf(24), { nextHeader });
    const buffer = bufferOf(packet);
    assert.equal(encapsulate(outbound, buffer), undefined);
    assert.equal(decapsulate(inbound, buffer), undefined);
    assert.deepEqual(buffer.contents(), packet);
  }
});

Deno.test("inner packets that are not whole IPv6 packets are dropped", () => {
  const { outbound } = saPair(13);
  const cases: [string, (packet: Uint8Array) => Uint8Array][] = [
    ["tun-not-ipv6", (packet) => packet.subarray(0, 39)],
    ["tun-not-ipv6", () => new Uint8Array(0)],
    ["tun-not-ipv6", (packet) => packet.fill(0x45, 0, 1)],
    ["tun-malformed", (packet) => packet.subarray(0, packet.length - 1)],
    ["tun-malformed", (packet) => packet.fill(9, 5, 6)],
  ];
  for (const [reason, spoil] of cases) {
    assert.equal(encapsulate(outbound, bufferOf(spoil(innerPacket(payloadOf(8))))), reason);
  }
});

Deno.test("nothing is sealed on an SA that is not active or whose keys are gone", () => {
  const { outbound } = saPair(13);
  outbound.isActive = false;
  const packet = innerPacket(payloadOf(8));
  const buffer = bufferOf(packet);
  assert.equal(encapsulate(outbound, buffer), "esp-not-established");
  assert.equal(encapsulateDummy(outbound, bufferOf(packet), 8), "esp-not-established");
  assert.deepEqual(buffer.contents(), packet);
  outbound.isActive = true;
  outbound.wipe();
  outbound.isActive = true;
  assert.equal(encapsulate(outbound, buffer), "esp-not-established");
});

Deno.test("ESP-100 ESP-101 ESP-131 a dummy packet is made, passes the checks, moves the window and is discarded", () => {
  const { outbound, inbound } = saPair(8);
  const buffer = bufferOf(new Uint8Array(0));
  assert.equal(encapsulateDummy(outbound, buffer, 100), undefined);
  assert.equal(buffer.path.protocol, 50);
  const copy = bufferOf(buffer.contents().slice());
  assert.equal(decapsulate(inbound, buffer), "esp-dummy");
  assert.equal(inbound.window.highestLow, 1);
  assert.equal(decapsulate(inbound, copy), "esp-replayed");
  assert.equal(outbound.sequenceLow, 1);
});

Deno.test("ESP-154 setAddresses() readdresses packets and leaves the rest of the SA", () => {
  const { outbound } = saPair(13);
  assert.equal(encapsulate(outbound, bufferOf(innerPacket(payloadOf(8)))), undefined);
  const address = new Uint8Array(16);
  new CountingRandom().fill(address);
  outbound.setAddresses(address, LOCAL_ADDRESS);
  const buffer = bufferOf(innerPacket(payloadOf(8)));
  assert.equal(encapsulate(outbound, buffer), undefined);
  assert.deepEqual(buffer.path.localAddress, address);
  assert.deepEqual(buffer.path.peerAddress, LOCAL_ADDRESS);
  assert.equal(outbound.spi, SPI);
  assert.equal(outbound.sequenceLow, 2);
});
