/**
 * Peers that leave the high half of the sequence number out of the ICV: found out from their first
 * packet, answered in kind, and fixed by configuration.
 */

import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { ESP_SUITES, type EspProvider } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { type EsnMode, InboundSa, OutboundSa } from "../../lib/esp/security_association.ts";
import { openLibcrypto } from "../../ffi/libcrypto.ts";
import {
  bufferOf,
  CountingRandom,
  innerPacket,
  keysFor,
  LOCAL_ADDRESS,
  LOCAL_HIT,
  PEER_ADDRESS,
  PEER_HIT,
  SPI,
} from "../support/sa_pair.ts";

const PROVIDERS = [PORTABLE_PROVIDER, openLibcrypto()]
  .filter((provider): provider is EspProvider => provider !== undefined);

function outboundSa(suiteId: number, provider = PORTABLE_PROVIDER): OutboundSa {
  return new OutboundSa({
    spi: SPI,
    suiteId,
    localHit: LOCAL_HIT,
    peerHit: PEER_HIT,
    sealer: provider.sealer(suiteId, keysFor(suiteId), new CountingRandom()),
    localAddress: LOCAL_ADDRESS,
    peerAddress: PEER_ADDRESS,
    isActive: true,
  });
}

function inboundSa(suiteId: number, esn: EsnMode, provider = PORTABLE_PROVIDER): InboundSa {
  return new InboundSa({
    spi: SPI,
    suiteId,
    localHit: PEER_HIT,
    peerHit: LOCAL_HIT,
    opener: provider.opener(suiteId, keysFor(suiteId)),
    isActive: true,
    esn,
  });
}

/** What such a peer sends: `seal` without the high word. */
function shortSealed(sa: OutboundSa, text: string) {
  sa.omitsHigh = true;
  const buffer = bufferOf(innerPacket(new TextEncoder().encode(text)));
  assert.equal(encapsulate(sa, buffer), undefined);
  return buffer;
}

for (const provider of PROVIDERS) {
  for (const suiteId of ESP_SUITES.keys()) {
    Deno.test(`${provider.name}, suite ${suiteId}: the first packet tells the form, and what is sent follows`, () => {
      for (const isShort of [true, false]) {
        const peer = outboundSa(suiteId, provider);
        peer.omitsHigh = isShort;
        const inbound = inboundSa(suiteId, "auto", provider);
        const outbound = outboundSa(suiteId, provider);
        inbound.pairWith(outbound);
        assert.deepEqual([inbound.isFormKnown, outbound.omitsHigh], [false, false]);
        const packet = innerPacket(new TextEncoder().encode("the first packet"));
        const buffer = bufferOf(packet);
        assert.equal(encapsulate(peer, buffer), undefined);
        // One that is altered tells nothing.
        const altered = bufferOf(buffer.contents().slice());
        altered.bytes[altered.end - 1]! ^= 1;
        assert.equal(decapsulate(inbound, altered), "esp-icv-failed");
        assert.deepEqual([inbound.isFormKnown, inbound.omitsHigh], [false, false]);
        assert.equal(decapsulate(inbound, buffer), undefined);
        assert.equal(toHex(buffer.contents().subarray(40)), toHex(packet.subarray(40)));
        assert.deepEqual([inbound.isFormKnown, inbound.omitsHigh], [true, isShort]);
        assert.equal(outbound.omitsHigh, isShort);
        // From now on the other form is an error.
        peer.omitsHigh = !isShort;
        const other = bufferOf(packet);
        assert.equal(encapsulate(peer, other), undefined);
        assert.equal(decapsulate(inbound, other), "esp-icv-failed");
      }
    });
  }
}

Deno.test("what is sealed without the high word is the same in all providers", () => {
  for (const suiteId of [12, 13, 10, 11, 15, 14, 7]) {
    const packets = PROVIDERS.map((provider) => {
      const buffer = shortSealed(outboundSa(suiteId, provider), "the same");
      return toHex(buffer.contents());
    });
    assert.equal(new Set(packets).size, 1, `suite ${suiteId}`);
  }
});

Deno.test("ESP-129 with esn = on a packet whose ICV leaves out the high word is refused, with esn = off any other", () => {
  const short = shortSealed(outboundSa(8), "short");
  assert.equal(decapsulate(inboundSa(8, "on"), bufferOf(short.contents())), "esp-icv-failed");
  assert.equal(decapsulate(inboundSa(8, "off"), bufferOf(short.contents())), undefined);
  const long = bufferOf(innerPacket(new Uint8Array(8)));
  assert.equal(encapsulate(outboundSa(8), long), undefined);
  assert.equal(decapsulate(inboundSa(8, "off"), bufferOf(long.contents())), "esp-icv-failed");
  assert.equal(decapsulate(inboundSa(8, "on"), bufferOf(long.contents())), undefined);
});

Deno.test("with 32-bit numbers the outbound SA wants a rekey before they run out, and stops when they have", () => {
  const sa = outboundSa(8);
  sa.omitsHigh = true;
  const SEQUENCE_LOW = 3;
  sa.words[SEQUENCE_LOW] = 0xefffffff;
  assert.equal(sa.isRekeyDue, false);
  assert.equal(sa.advanceSequence(), true);
  assert.equal(sa.isRekeyDue, true);
  sa.words[SEQUENCE_LOW] = 0xffffffff;
  assert.equal(sa.advanceSequence(), false);
});

Deno.test("with 32-bit numbers a packet of the first round is not taken for one of the second", () => {
  const inbound = inboundSa(8, "off");
  const peer = outboundSa(8);
  const early = shortSealed(peer, "early").contents().slice();
  const SEQUENCE_LOW = 3;
  for (const low of [0x40000000, 0x80000000, 0xc0000000, 0xfffffffe]) {
    peer.words[SEQUENCE_LOW] = low;
    assert.equal(decapsulate(inbound, shortSealed(peer, "late")), undefined);
  }
  // Number 1 now lies right of the window, one round later.
  assert.equal(decapsulate(inbound, bufferOf(early)), "esp-icv-failed");
});

/** Packets that did not come from us: hipv2-rsa2048-dh7-esp8-ipv4.pcap, ESP packets 1 and 6. */
const CAPTURED = [
  {
    suiteId: 8,
    encryption: "c6b503ce0af6c901274b9ac4cbac6f43",
    authentication: "e8f2216154a5299e82bebf9507c1c2cc72967864fd796df7b6cda1b3f3f22b25",
    packet: "551a0b0f00000001d62dcb614704981c3a9c6c2c8a3052b3b83dec8119d758b9f6fb4d9312692d87" +
      "45de6b2a3fa0ad88265f3a029d48a7147ef7fbbf68e7131d6da87967d3504e79b7355be1d8d6ff3c" +
      "9525ccf89030096235f5980e87e7b946050f9aed05777c22b7c746dfac08e88c9b66f31fe02e57da",
    payload: "080043d05c470001ae4f026b00000000e759010000000000101112131415161718191a1b1c1d1e1f" +
      "202122232425262728292a2b2c2d2e2f3031323334353637",
  },
  {
    suiteId: 8,
    encryption: "461e601c3ab8a104b0d6fb347df73711",
    authentication: "399ee8f50a85ec7a7502842fd028f1971544988dbc452dd2269d7c6d865d48b6",
    packet: "698c639f000000034b119bd9cd90bd6bbfe21346ee045d8966969c8f1599989a0e5eadf2039f90ff" +
      "5c37bffba4950745a9634556c7b8544eec46168c4a7fcb5ce9aff7405bf0e8e8afe12113c951becd" +
      "2926321b225d258f130a60fec1c8d911ffd8bbb0d6b7fb238dc8f99e4d4cc588a6f3e7457f67328d",
    payload: "8100f7335c5a0001ae4f026b00000000f314090000000000101112131415161718191a1b1c1d1e1f" +
      "202122232425262728292a2b2c2d2e2f3031323334353637",
  },
] as const;

for (const provider of PROVIDERS) {
  Deno.test(`${provider.name}: captured packets of another implementation open as they stand`, () => {
    for (const { suiteId, encryption, authentication, packet, payload } of CAPTURED) {
      const bytes = fromHex(packet);
      const keys = { encryption: fromHex(encryption), authentication: fromHex(authentication) };
      const sa = (esn: EsnMode) =>
        new InboundSa({
          spi: new DataView(bytes.buffer).getUint32(0),
          suiteId,
          localHit: PEER_HIT,
          peerHit: LOCAL_HIT,
          opener: provider.opener(suiteId, keys),
          isActive: true,
          esn,
        });
      const buffer = bufferOf(bytes);
      const inbound = sa("auto");
      assert.equal(decapsulate(inbound, buffer), undefined);
      assert.equal(toHex(buffer.contents().subarray(40)), payload);
      assert.equal(inbound.omitsHigh, true);
      assert.equal(decapsulate(sa("on"), bufferOf(bytes)), "esp-icv-failed");
    }
  });
}
