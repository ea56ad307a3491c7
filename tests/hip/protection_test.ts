/** What MAC and signature cover: parameters by their number, ciphertext as sent (RFC 7401 §5.2, §6.4). */

import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import { toHex } from "../../lib/base/bytes.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import {
  hostIdTlv,
  withHipMac,
  withHipMac2,
  withParameters,
  withSignature,
  withSignature2,
} from "../../lib/hip/packet_builder.ts";
import {
  verifyHipMac,
  verifyHipMac2,
  verifyHipSignature,
  verifyHipSignature2,
} from "../../lib/hip/packet_verifier.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import {
  checksumOk,
  emitHipPacket,
  HIP_FIELD,
  parseHipPacket,
  setHeaderLength,
} from "../../lib/wire/hip/packet.ts";
import { HIP_MAC } from "../../lib/wire/hip/parameters/hip_mac.ts";
import { makePair, typeOf } from "../support/engine_story.ts";
import { flip, runExchange, seed } from "../support/exchange.ts";
import { testIdentity } from "../support/identities.ts";

const SIGNER = testIdentity("ecdsa-p256", "alice");
const KEY = new Uint8Array(48).fill(3);
const random = () => new SeededRandom(seed(1));

/** A parameter of some type with eight octets of contents, and padding. */
function tlvOf(type: number): Uint8Array {
  const tlv = new Uint8Array(16).fill(0x5a, 4, 12);
  tlv.set([type >>> 8, type & 0xff, 0, 8]);
  return tlv;
}

function plain(packetType: number, ...types: number[]): Uint8Array {
  const header = { packetType, senderHit: SIGNER.hit, receiverHit: SIGNER.hit };
  return emitHipPacket(header, types.map(tlvOf));
}

/** The packet with the contents of one parameter changed. */
function changedAt(packet: Uint8Array, type: number) {
  return parseHipPacket(flip(packet, parseHipPacket(packet).raw(type)!.offset + 4));
}

Deno.test("TLV-014 HIP_MAC covers types below 61505, HIP_SIGNATURE those below 61697, nothing what is above", () => {
  const macked = withHipMac(plain(PACKET.CLOSE, 4096, 61504), "sha384", KEY);
  const signed = withSignature(withParameters(macked, tlvOf(61506)), SIGNER, random());
  const packet = withParameters(signed, tlvOf(61698), tlvOf(65534));
  const verdicts = (type: number) => {
    const changed = changedAt(packet, type);
    return [verifyHipMac(changed, "sha384", KEY), verifyHipSignature(changed, SIGNER)];
  };
  assert.deepEqual(verdicts(4096), [false, false]);
  assert.deepEqual(verdicts(61504), [false, false]);
  assert.deepEqual(verdicts(61506), [true, false]);
  assert.deepEqual(verdicts(61698), [true, true]);
  assert.deepEqual(verdicts(65534), [true, true]);
});

Deno.test("TLV-014 HIP_MAC_2 covers types below 61569 and HIP_SIGNATURE_2 those below 61633", () => {
  const hostId = hostIdTlv(SIGNER);
  const macked = withHipMac2(plain(PACKET.R2, 4096, 61568), "sha384", KEY, hostId);
  const r2 = withSignature(withParameters(macked, tlvOf(61570)), SIGNER, random());
  const isMacRight = (type: number) => verifyHipMac2(changedAt(r2, type), "sha384", KEY, hostId);
  assert.deepEqual([4096, 61568, 61570].map(isMacRight), [false, false, true]);
  // The signature wants the receiver HIT as zeros, so it is made over such a packet.
  const blank = plain(PACKET.R1, 4096, 61632);
  blank.fill(0, HIP_FIELD.receiverHit, HIP_FIELD.receiverHit + 16);
  const r1 = withParameters(withSignature2(blank, SIGNER, random()), tlvOf(61634));
  const isSigned = (type: number) => verifyHipSignature2(changedAt(r1, type), SIGNER);
  assert.deepEqual([4096, 61632, 61634].map(isSigned), [false, false, true]);
});

Deno.test("ENC-011 MAC and signature cover the ciphertext", () => {
  const { built, initiator } = runExchange();
  const i2 = parseHipPacket(built.i2);
  const { hipKeys, rhash } = built;
  assert.ok(verifyHipMac(i2, rhash, hipKeys.integrityOut));
  assert.ok(verifyHipSignature(i2, initiator));
  const encrypted = i2.raw(PARAMETER.ENCRYPTED)!;
  for (let at = 8; at < 4 + encrypted.contents.length; at += 16) {
    const changed = parseHipPacket(flip(built.i2, encrypted.offset + at));
    assert.ok(!verifyHipMac(changed, rhash, hipKeys.integrityOut));
    assert.ok(!verifyHipSignature(changed, initiator));
  }
});

Deno.test("ESP-024 ESP_INFO and ESP_TRANSFORM are under the MAC and the signature of their packet", () => {
  const { built, accepted, initiator, responder, r1 } = runExchange();
  const { hipKeys, rhash } = built;
  for (const type of [PARAMETER.ESP_INFO, PARAMETER.ESP_TRANSFORM]) {
    const i2 = changedAt(built.i2, type);
    assert.ok(!verifyHipMac(i2, rhash, hipKeys.integrityOut));
    assert.ok(!verifyHipSignature(i2, initiator));
  }
  const hostId = hostIdTlv(responder);
  assert.ok(verifyHipMac2(parseHipPacket(accepted.r2), rhash, hipKeys.integrityIn, hostId));
  const r2 = changedAt(accepted.r2, PARAMETER.ESP_INFO);
  assert.ok(!verifyHipMac2(r2, rhash, hipKeys.integrityIn, hostId));
  assert.ok(!verifyHipSignature(r2, responder));
  assert.ok(verifyHipSignature2(parseHipPacket(r1), responder));
  assert.ok(!verifyHipSignature2(changedAt(r1, PARAMETER.ESP_TRANSFORM), responder));
});

Deno.test("CKS-007 the checksum is right on the wire, and MAC and signature are over a field of zeros", () => {
  const pair = makePair();
  let key: Uint8Array | undefined;
  pair.tamper = (_, result) => {
    if (result.kind === "build-i2") key = result.hipKeys.integrityOut.slice();
    return result;
  };
  pair.ping(pair.a, pair.b);
  const sent = pair.wire.find((packet) => typeOf(packet) === PACKET.I2)!;
  assert.ok(checksumOk(sent.bytes, sent.source, sent.destination));
  const { checksum } = HIP_FIELD;
  assert.ok(sent.bytes[checksum] !== 0 || sent.bytes[checksum + 1] !== 0);
  const i2 = parseHipPacket(sent.bytes);
  const covered = sent.bytes.slice(0, i2.raw(PARAMETER.HIP_MAC)!.offset);
  covered.fill(0, checksum, checksum + 2);
  setHeaderLength(covered, covered.length);
  const expected = createHmac("sha384", key!).update(covered).digest("hex");
  assert.equal(toHex(i2.require(HIP_MAC).mac), expected);
  assert.ok(verifyHipSignature(i2, SIGNER));
});

Deno.test("MAC-013 MACs are compared without an early end", async () => {
  const text = await Deno.readTextFile(
    new URL("../../lib/hip/packet_verifier.ts", import.meta.url),
  );
  assert.equal(text.match(/return constantTimeEqual\(mac, hipMac\(/g)?.length, 2);
  assert.ok(!/\bbytesEqual\b/.test(text));
  const bytes = await import("../../lib/base/bytes.ts");
  const reads: number[] = [];
  const watched = (octets: Uint8Array) =>
    new Proxy(octets, {
      get(target, name) {
        if (typeof name === "string" && /^\d+$/.test(name)) reads.push(Number(name));
        return Reflect.get(target, name, target);
      },
    });
  for (const wrong of [0, 15, 31]) {
    reads.length = 0;
    const mac = new Uint8Array(32);
    mac[wrong] = 1;
    assert.ok(!bytes.constantTimeEqual(watched(mac), new Uint8Array(32)));
    assert.equal(reads.length, 32);
  }
});
