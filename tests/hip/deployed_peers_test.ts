/** What other implementations send that ours does not, and where tolerance ends. */

import assert from "node:assert/strict";
import { encryptParameterContents } from "../../lib/crypto/hip_cipher.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { BuildI2Result } from "../../lib/hip/jobs.ts";
import { chooseFromR1, ESP_TRANSPORT_FORMAT } from "../../lib/hip/negotiation.ts";
import {
  hostIdTlv,
  withHipMac,
  withParameters,
  withSignature,
  withSignature2,
} from "../../lib/hip/packet_builder.ts";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { emitHipPacket, type HipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { decodeParameter, encodeParameter, parseParameters } from "../../lib/wire/hip/parameter.ts";
import { ECHO_RESPONSE_UNSIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import { ENCRYPTED } from "../../lib/wire/hip/parameters/encrypted.ts";
import { HOST_ID } from "../../lib/wire/hip/parameters/host_id.ts";
import { TRANSPORT_FORMAT_LIST } from "../../lib/wire/hip/parameters/transport_format_list.ts";
import {
  acceptI2Job,
  buildI2Job,
  exchangeToR1,
  refusal,
  seed,
  succeed,
  type ToR1,
  WIDE_POLICY,
} from "../support/exchange.ts";

function tlvsOf(packet: HipPacket, below: number): Uint8Array[] {
  return packet.parameters
    .filter(({ type }) => type < below)
    .map(({ offset, size }) => packet.bytes.slice(offset, offset + size));
}

function typeOf(tlv: Uint8Array): number {
  return (tlv[0]! << 8) | tlv[1]!;
}

/** The I2 with its HOST_ID or ENCRYPTED replaced, and changed further, MAC and signature made anew. */
function i2With(
  to: ToR1,
  { i2, rhash, hipKeys }: BuildI2Result,
  carrier: Uint8Array,
  change: (tlv: Uint8Array) => void = () => {},
): Uint8Array {
  const packet = parseHipPacket(i2);
  const kept = tlvsOf(packet, PARAMETER.HIP_MAC)
    .filter((tlv) => typeOf(tlv) !== PARAMETER.ENCRYPTED);
  const tlvs = [...kept, carrier].sort((a, b) => typeOf(a) - typeOf(b));
  tlvs.forEach(change);
  const { senderHit, receiverHit } = packet;
  const plain = emitHipPacket({ packetType: PACKET.I2, senderHit, receiverHit }, tlvs);
  const macked = withHipMac(plain, rhash, hipKeys.integrityOut);
  return withSignature(macked, to.initiator, new SeededRandom(seed(5)));
}

/** The R1 with other parameters, signed anew. */
function r1With(to: ToR1, replace: Uint8Array): Uint8Array {
  const packet = parseHipPacket(to.prepared.template);
  const tlvs = tlvsOf(packet, PARAMETER.HIP_SIGNATURE_2)
    .map((tlv) => typeOf(tlv) === typeOf(replace) ? replace : tlv);
  const { senderHit, receiverHit } = packet;
  const plain = emitHipPacket({ packetType: PACKET.R1, senderHit, receiverHit }, tlvs);
  return withSignature2(plain, to.responder, new SeededRandom(seed(6)));
}

function started() {
  const to = exchangeToR1();
  return { to, built: succeed(buildI2Job(to)) };
}

/** HOST_ID whose HI Length counts the two octets of Algorithm as well, as some peers do. */
function countingAlgorithm(hostId: Uint8Array): Uint8Array {
  const tlv = hostId.slice();
  new DataView(tlv.buffer).setUint16(4, new DataView(tlv.buffer).getUint16(4) + 2);
  return tlv;
}

function encrypted({ hipCipher, hipKeys }: BuildI2Result, plaintext: Uint8Array): Uint8Array {
  const iv = seed(4).slice(0, 16);
  const key = hipKeys.encryptionOut;
  const data = encryptParameterContents(hipCipher, key, iv, plaintext);
  return encodeParameter(ENCRYPTED, { data });
}

// ---- HOST_ID -------------------------------------------------------------------------------------

Deno.test("an R1 and an I2 whose HI Length counts the Algorithm octets are taken, in the clear and encrypted", () => {
  const { to, built } = started();
  const r1 = r1With(to, countingAlgorithm(hostIdTlv(to.responder)));
  succeed({ kind: "verify-r1", r1, expectedIdentity: to.responder });
  const hostId = countingAlgorithm(hostIdTlv(to.initiator));
  const { hostIdentity, algorithm } = to.initiator;
  for (const carrier of [hostId, encrypted(built, hostId)]) {
    const { peerIdentity } = succeed(acceptI2Job(to, i2With(to, built, carrier)));
    assert.deepEqual(peerIdentity, { algorithm, hostIdentity });
  }
});

Deno.test("HID-002 HI Length and DI Length make up Length, or Length and the Algorithm octets; all else is malformed", () => {
  const contents = hostIdTlv(exchangeToR1().initiator).slice(4, 4 + 6 + 67);
  const length = new DataView(contents.slice().buffer).getUint16(0);
  for (let change = -8; change <= 8; change++) {
    const altered = contents.slice();
    new DataView(altered.buffer).setUint16(0, length + change);
    const read = () => decodeParameter(HOST_ID, altered);
    if (change === 0 || change === 2) assert.equal(read().hostIdentity.length, length);
    else assert.throws(read, { name: "MalformedPacketError" }, `${change}`);
  }
  for (const diLength of [1, 5, 0xfff]) {
    const altered = contents.slice();
    new DataView(altered.buffer).setUint16(2, 0x1000 | diLength);
    assert.throws(() => decodeParameter(HOST_ID, altered), { name: "MalformedPacketError" });
  }
});

Deno.test("HID-006 a HOST_ID is taken with a domain identifier as without, for the same key", () => {
  const { to, built } = started();
  const { algorithm, hostIdentity } = to.initiator;
  const name = new TextEncoder().encode("\x05alice\x07example\x00");
  for (const [domainIdType, domainId] of [[0, new Uint8Array(0)], [1, name]] as const) {
    const hostId = encodeParameter(HOST_ID, { algorithm, hostIdentity, domainIdType, domainId });
    const { peerIdentity } = succeed(acceptI2Job(to, i2With(to, built, encrypted(built, hostId))));
    assert.deepEqual(peerIdentity, { algorithm, hostIdentity });
  }
});

// ---- ENCRYPTED -----------------------------------------------------------------------------------

Deno.test("octets that fill up ENCRYPTED behind the HOST_ID are passed over, whatever they are", () => {
  const { to, built } = started();
  const hostId = hostIdTlv(to.initiator);
  for (const octet of [0, 1, 0xff]) {
    const filler = new Uint8Array(16).fill(octet);
    const carrier = encrypted(built, new Uint8Array([...hostId, ...filler]));
    succeed(acceptI2Job(to, i2With(to, built, carrier)));
  }
});

Deno.test("ENC-010 in ENCRYPTED a parameter that runs past the end is malformed, and one out of order is not taken", () => {
  const { to, built } = started();
  const hostId = hostIdTlv(to.initiator);
  const over = hostId.slice();
  // Longer than all that was encrypted, padding of the cipher included.
  new DataView(over.buffer).setUint16(2, hostId.length + 32);
  assert.equal(
    refusal(acceptI2Job(to, i2With(to, built, encrypted(built, over)))),
    "hip-malformed",
  );
  const short = hostId.slice(0, 3);
  assert.equal(
    refusal(acceptI2Job(to, i2With(to, built, encrypted(built, short)))),
    "hip-malformed",
  );
  // A HOST_ID behind a parameter of a higher type is none.
  const higher = encodeParameter(ECHO_RESPONSE_UNSIGNED, { opaque: new Uint8Array(4) });
  const late = encrypted(built, new Uint8Array([...higher, ...hostId]));
  assert.equal(refusal(acceptI2Job(to, i2With(to, built, late))), "hip-decryption-failed");
  const octets = new Uint8Array([...higher, ...hostId]);
  const read = parseParameters(octets, 0, octets.length, { allowFiller: true });
  assert.deepEqual(read.map(({ type }) => type), [PARAMETER.ECHO_RESPONSE_UNSIGNED]);
});

// ---- padding, ranges, lists ------------------------------------------------------------------------

Deno.test("an I2 whose parameters are padded with other octets than zeros is taken", () => {
  const { to, built } = started();
  let padded = 0;
  const i2 = i2With(to, built, hostIdTlv(to.initiator), (tlv) => {
    const end = 4 + new DataView(tlv.buffer, tlv.byteOffset).getUint16(2);
    padded += tlv.length - end;
    tlv.fill(0xa5, end);
  });
  assert.ok(padded >= 4, `${padded}`);
  succeed(acceptI2Job(to, i2));
});

/** A parameter of four octets. */
function plainTlv(type: number): Uint8Array {
  return new Uint8Array([type >> 8, type & 0xff, 0, 4, 1, 2, 3, 4]);
}

Deno.test("TLV-015 parameters from 62464 on are under neither MAC nor signature; those of transport formats, 2048 to 4095, are under both", () => {
  const { to, built } = started();
  for (const type of [62464, 63488, 64510, 65534]) {
    succeed(acceptI2Job(to, withParameters(built.i2, plainTlv(type))));
    succeed({
      kind: "verify-r1",
      r1: withParameters(to.prepared.template, plainTlv(type)),
      expectedIdentity: undefined,
    });
  }
  for (const type of [2048, 2050, 4094]) {
    const insert = (packet: HipPacket): Uint8Array => {
      const tlvs = [...tlvsOf(packet, 0x10000), plainTlv(type)].sort((a, b) =>
        typeOf(a) - typeOf(b)
      );
      const { packetType, senderHit, receiverHit } = packet;
      return emitHipPacket({ packetType, senderHit, receiverHit }, tlvs);
    };
    assert.equal(
      refusal(acceptI2Job(to, insert(parseHipPacket(built.i2)))),
      "hip-mac-failed",
    );
    const r1 = insert(parseHipPacket(to.prepared.template));
    const verify = { kind: "verify-r1", r1, expectedIdentity: undefined } as const;
    assert.equal(refusal(verify), "hip-signature-failed");
  }
});

Deno.test("TFL-005 the transport format of ESP is the number of its parameter, in 2050 to 4095; numbers outside name none", () => {
  assert.equal(ESP_TRANSPORT_FORMAT, PARAMETER.ESP_TRANSFORM);
  assert.ok(ESP_TRANSPORT_FORMAT >= 2050 && ESP_TRANSPORT_FORMAT <= 4095);
  const to = exchangeToR1();
  const choiceOf = (formats: number[]) => {
    const r1 = r1With(to, encodeParameter(TRANSPORT_FORMAT_LIST, { formats }));
    return chooseFromR1(parseHipPacket(r1), WIDE_POLICY, hitSuiteId(to.initiator.hit));
  };
  assert.ok("espSuite" in choiceOf([1, 2049, 4096, 65535, ESP_TRANSPORT_FORMAT]));
  for (const formats of [[1], [2049], [4096], [0x4fff]]) {
    const choice = choiceOf(formats);
    assert.ok("reason" in choice && choice.reason === "hip-no-transport-format", `${formats}`);
  }
});

Deno.test("ECH-005 an R1 may ask for several unsigned echoes, and an I2 is taken with all, some or none of the answers", () => {
  const asked = [new Uint8Array([1]), new Uint8Array([2, 2]), new Uint8Array([3, 3, 3])];
  const to = exchangeToR1({ unsignedEchoRequests: asked });
  succeed({ kind: "verify-r1", r1: to.r1, expectedIdentity: undefined });
  const { i2 } = succeed(buildI2Job(to));
  const answered = parseHipPacket(i2).all(ECHO_RESPONSE_UNSIGNED).map(({ opaque }) => opaque);
  assert.deepEqual(answered, asked);
  const own = tlvsOf(parseHipPacket(i2), PARAMETER.ECHO_RESPONSE_UNSIGNED);
  const { senderHit, receiverHit } = parseHipPacket(i2);
  // A middlebox that has asked takes its own answer out (§5.2.21).
  for (const kept of [[], [asked[1]!], asked]) {
    const answers = kept.map((opaque) => encodeParameter(ECHO_RESPONSE_UNSIGNED, { opaque }));
    const header = { packetType: PACKET.I2, senderHit, receiverHit };
    succeed(acceptI2Job(to, emitHipPacket(header, [...own, ...answers])));
  }
});
