import assert from "node:assert/strict";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { InboundSa, OutboundSa, REKEY_AT_SEQUENCE } from "../../lib/esp/security_association.ts";
import { DEFAULT_CONTROL_SETTINGS } from "../../lib/hip/constants.ts";
import { backOff } from "../../lib/hip/back_off.ts";
import {
  bufferOf,
  CountingRandom,
  innerPacket,
  keysFor,
  LOCAL_ADDRESS,
  LOCAL_HIT,
  PEER_ADDRESS,
  PEER_HIT,
  saPair,
  SPI,
} from "../support/sa_pair.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";

const COMMON = { spi: SPI, suiteId: 13, isActive: true };

function limitedOutbound(hardOctets: number): OutboundSa {
  return new OutboundSa({
    ...COMMON,
    localHit: LOCAL_HIT,
    peerHit: PEER_HIT,
    localAddress: LOCAL_ADDRESS,
    peerAddress: PEER_ADDRESS,
    sealer: PORTABLE_PROVIDER.sealer(13, keysFor(13), new CountingRandom()),
    hardOctets,
  });
}

function limitedInbound(hardOctets: number): InboundSa {
  return new InboundSa({
    ...COMMON,
    localHit: PEER_HIT,
    peerHit: LOCAL_HIT,
    opener: PORTABLE_PROVIDER.opener(13, keysFor(13)),
    hardOctets,
  });
}

Deno.test("ESP-274 an outbound SA sends until its octets are used up, and never again", () => {
  const sa = limitedOutbound(1000);
  let sent = 0;
  while (encapsulate(sa, bufferOf(innerPacket(new Uint8Array(98)))) === undefined) sent++;
  assert.equal(sent, 10);
  assert.equal(sa.octets, 1000n);
  sa.isActive = true;
  const packet = innerPacket(new Uint8Array(8));
  const buffer = bufferOf(packet);
  assert.equal(encapsulate(sa, buffer), "esp-hard-limit");
  assert.deepEqual(buffer.contents(), packet);
  assert.equal(sa.sequenceLow, 10);
});

Deno.test("ESP-274 an inbound SA receives until its octets are used up, and never again", () => {
  const { outbound } = saPair(13);
  const sa = limitedInbound(1000);
  const next = () => {
    const buffer = bufferOf(innerPacket(new Uint8Array(98)));
    assert.equal(encapsulate(outbound, buffer), undefined);
    return decapsulate(sa, buffer);
  };
  for (let i = 0; i < 10; i++) assert.equal(next(), undefined);
  sa.isActive = true;
  assert.equal(next(), "esp-hard-limit");
  assert.deepEqual([sa.window.highestLow, sa.octets], [10, 1000n]);
});

Deno.test("ESP-120 the default limits are far below 2^64 blocks of AES", () => {
  const { rekeyOctets, hardOctets } = DEFAULT_CONTROL_SETTINGS;
  assert.ok(rekeyOctets < hardOctets);
  assert.ok(hardOctets / 16 <= 2 ** 40);
});

Deno.test("ESP-232 ESP-273 a rekey with all its retransmissions ends before any limit at 10 Gbit/s", () => {
  const settings = DEFAULT_CONTROL_SETTINGS;
  let milliseconds = 0;
  for (let attempt = 1; attempt <= settings.updateRetriesMax + 1; attempt++) {
    milliseconds += backOff(settings.updateTimeout, settings.updateTimeoutMax, attempt);
  }
  assert.ok(milliseconds <= settings.rekeyTimeout);
  const span = (settings.rekeyTimeout + settings.rekeyRetryWait) / 1000;
  const octetsPerSecond = 10e9 / 8;
  assert.ok(settings.hardOctets - settings.rekeyOctets > span * octetsPerSecond);
  // Packets without any payload, at the same rate.
  assert.ok(2 ** 64 - REKEY_AT_SEQUENCE > span * octetsPerSecond / 40);
});
