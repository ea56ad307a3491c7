import { strict as assert } from "node:assert";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import { encryptParameterContents } from "../../lib/crypto/hip_cipher.ts";
import type { BuildI2Result } from "../../lib/hip/jobs.ts";
import { hostIdTlv, withHipMac, withSignature } from "../../lib/hip/packet_builder.ts";
import { checkI2Form, fillR1 } from "../../lib/hip/responder.ts";
import { PACKET, PARAMETER, parameterTypeName } from "../../lib/wire/hip/code_points.ts";
import {
  CONTROL_ANONYMOUS,
  emitHipPacket,
  HIP_FIELD,
  parseHipPacket,
} from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { ECHO_REQUEST_SIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import { ECHO_REQUEST_UNSIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import { ENCRYPTED } from "../../lib/wire/hip/parameters/encrypted.ts";
import { ESP_INFO } from "../../lib/wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../../lib/wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import { HIT_SUITE_LIST } from "../../lib/wire/hip/parameters/hit_suite_list.ts";
import { PUZZLE } from "../../lib/wire/hip/parameters/puzzle.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import {
  acceptI2Job,
  buildI2Job,
  exchangeToR1,
  flip,
  refusal,
  RESPONDER_SPI,
  runExchange,
  seed,
  succeed,
  type ToR1,
  WIDE_POLICY,
} from "../support/exchange.ts";
import { testIdentity } from "../support/identities.ts";

/** An I2 with other parameters in the place of its own, MAC and signature made anew. */
function rebuilt(to: ToR1, { i2, rhash, hipKeys }: BuildI2Result, tlvs: Uint8Array[]): Uint8Array {
  const packet = parseHipPacket(i2);
  const types = tlvs.map((tlv) => (tlv[0]! << 8) | tlv[1]!);
  const kept = packet.parameters
    .filter(({ type }) => type < PARAMETER.HIP_MAC && !types.includes(type))
    .map(({ offset, size }) => i2.slice(offset, offset + size));
  const { senderHit, receiverHit } = packet;
  const header = { packetType: PACKET.I2, senderHit, receiverHit };
  const plain = emitHipPacket(header, [...kept, ...tlvs]);
  const macked = withHipMac(plain, rhash, hipKeys.integrityOut);
  return withSignature(macked, to.initiator, new SeededRandom(seed(5)));
}

/** ENCRYPTED around these octets, as the Initiator would make it, padding of the cipher added. */
function encryptedWith(built: BuildI2Result, plaintext: Uint8Array): Uint8Array {
  const iv = seed(4).slice(0, 16);
  const { hipCipher, hipKeys } = built;
  const data = encryptParameterContents(hipCipher, hipKeys.encryptionOut, iv, plaintext);
  return encodeParameter(ENCRYPTED, { data });
}

Deno.test("PKT-002 R1C-002 NEG-006 DHG-007 buildR1() offers the whole policy in order", () => {
  const to = exchangeToR1({ difficultyK: 5 });
  const r1 = parseHipPacket(to.prepared.template);
  assert.deepEqual(r1.parameters.map(({ type }) => parameterTypeName(type)), [
    "R1_COUNTER",
    "PUZZLE",
    "DH_GROUP_LIST",
    "DIFFIE_HELLMAN",
    "HIP_CIPHER",
    "HOST_ID",
    "HIT_SUITE_LIST",
    "TRANSPORT_FORMAT_LIST",
    "ESP_TRANSFORM",
    "HIP_SIGNATURE_2",
  ]);
  assert.equal(r1.packetType, PACKET.R1);
  assert.deepEqual(r1.require(R1_COUNTER), { reserved: 0, generation: 77n });
  const { difficultyK, lifetime } = r1.require(PUZZLE);
  assert.deepEqual({ difficultyK, lifetime }, { difficultyK: 5, lifetime: 38 });
  assert.deepEqual(r1.require(DH_GROUP_LIST).groupIds, [...WIDE_POLICY.dhGroups]);
  assert.deepEqual(r1.require(HIP_CIPHER).cipherIds, [...WIDE_POLICY.hipCiphers]);
  assert.deepEqual(r1.require(HIT_SUITE_LIST).suiteIds, [...WIDE_POLICY.hitSuites]);
  assert.deepEqual(r1.require(ESP_TRANSFORM).suiteIds, [...WIDE_POLICY.espSuites]);
  assert.deepEqual(r1.require(DIFFIE_HELLMAN).publicValue, to.prepared.dhPublicValue);
});

Deno.test("CIP-004 ESP-005 buildR1() puts at most six entries into a list", () => {
  const many = [1, 2, 3, 4, 5, 6, 7, 8];
  const policy = { ...WIDE_POLICY, hipCiphers: many, espSuites: many };
  const r1 = parseHipPacket(exchangeToR1({ responderPolicy: policy }).r1);
  assert.equal(r1.require(HIP_CIPHER).cipherIds.length, 6);
  assert.equal(r1.require(ESP_TRANSFORM).suiteIds.length, 6);
});

Deno.test("HDR-014 buildR1() sets the A bit for an anonymous identity", () => {
  assert.equal(parseHipPacket(exchangeToR1().r1).controls, 0);
  const anonymous = parseHipPacket(exchangeToR1({ isAnonymous: true }).r1);
  assert.equal(anonymous.controls, CONTROL_ANONYMOUS);
});

Deno.test("R1M-003 fillR1() changes receiver HIT, Opaque and #I and adds unsigned echoes", () => {
  const { template } = exchangeToR1().prepared;
  const before = template.slice();
  const puzzle = parseHipPacket(template).raw(PARAMETER.PUZZLE)!;
  const receiverHit = new Uint8Array(16).fill(0xa1);
  const opaque = new Uint8Array([0xa2, 0xa3]);
  const randomI = new Uint8Array(48).fill(0xa4);
  const r1 = fillR1(template, receiverHit, opaque, randomI, [new Uint8Array([1])]);
  assert.deepEqual(template, before);
  const packet = parseHipPacket(r1);
  assert.deepEqual(packet.receiverHit, receiverHit);
  assert.deepEqual(packet.require(PUZZLE).opaque, opaque);
  assert.deepEqual(packet.require(PUZZLE).randomI, randomI);
  assert.deepEqual(packet.all(ECHO_REQUEST_UNSIGNED), [{ opaque: new Uint8Array([1]) }]);
  const expected = template.slice();
  expected[HIP_FIELD.headerLength] = r1.length / 8 - 1;
  expected.set(receiverHit, HIP_FIELD.receiverHit);
  expected.set(opaque, puzzle.offset + 6);
  expected.set(randomI, puzzle.offset + 8);
  assert.deepEqual(r1.slice(0, template.length), expected);
});

Deno.test("PKT-004 HDR-017 acceptI2() answers with ESP_INFO, HIP_MAC_2 and HIP_SIGNATURE", () => {
  const { accepted, initiator, responder } = runExchange({ isAnonymous: true });
  const r2 = parseHipPacket(accepted.r2);
  assert.deepEqual(
    r2.parameters.map(({ type }) => parameterTypeName(type)),
    ["ESP_INFO", "HIP_MAC_2", "HIP_SIGNATURE"],
  );
  assert.equal(r2.packetType, PACKET.R2);
  assert.equal(r2.controls, 0);
  assert.deepEqual(r2.senderHit, responder.hit);
  assert.deepEqual(r2.receiverHit, initiator.hit);
  const { keymatIndex } = accepted;
  assert.deepEqual(r2.require(ESP_INFO), { keymatIndex, oldSpi: 0, newSpi: RESPONDER_SPI });
});

Deno.test("ENC-008 acceptI2() takes a HOST_ID in the clear and one in ENCRYPTED", () => {
  for (const encryptHostId of [true, false]) {
    const { accepted, initiator } = runExchange({ encryptHostId });
    assert.deepEqual(accepted.peerIdentity.hostIdentity, initiator.hostIdentity);
  }
});

Deno.test(
  "BEX-057 BEX-058 BEX-060 acceptI2() refuses an I2 with any octet changed, but for the checksum " +
    "and the padding of the signature",
  () => {
    for (const encryptHostId of [true, false]) {
      const to = exchangeToR1({ encryptHostId });
      const { i2 } = succeed(buildI2Job(to));
      const signature = parseHipPacket(i2).raw(PARAMETER.HIP_SIGNATURE)!;
      const end = signature.offset + 4 + signature.contents.length;
      for (let offset = 0; offset < end; offset++) {
        if (offset === 4 || offset === 5) continue;
        refusal(acceptI2Job(to, flip(i2, offset)));
      }
      for (const offset of [4, 5]) succeed(acceptI2Job(to, flip(i2, offset)));
    }
  },
);

Deno.test("MAC-014 SEC-007 acceptI2() asks the MAC before it decrypts or verifies", () => {
  const to = exchangeToR1();
  const { i2 } = succeed(buildI2Job(to));
  const packet = parseHipPacket(i2);
  const encrypted = packet.raw(PARAMETER.ENCRYPTED)!;
  assert.equal(refusal(acceptI2Job(to, flip(i2, encrypted.offset + 30))), "hip-mac-failed");
  const signature = packet.raw(PARAMETER.HIP_SIGNATURE)!;
  const changed = flip(i2, signature.offset + 12);
  assert.equal(refusal(acceptI2Job(to, changed)), "hip-signature-failed");
});

Deno.test("BEX-059 acceptI2() refuses a key that does not give the sender HIT", () => {
  const to = exchangeToR1({ encryptHostId: false });
  const built = succeed(buildI2Job(to));
  succeed(acceptI2Job(to, rebuilt(to, built, [])));
  const other = testIdentity("ecdsa-p256", "bob");
  const i2 = rebuilt({ ...to, initiator: other }, built, [hostIdTlv(other)]);
  assert.equal(refusal(acceptI2Job(to, i2)), "hip-invalid-hit");
});

Deno.test("SIG-012 acceptI2() refuses a signature by another key than the HIT's", () => {
  const to = exchangeToR1();
  const built = succeed(buildI2Job(to));
  const i2 = rebuilt({ ...to, initiator: testIdentity("ecdsa-p256", "bob") }, built, []);
  assert.equal(refusal(acceptI2Job(to, i2)), "hip-signature-failed");
});

Deno.test("acceptI2() refuses a key other than the one that was expected", () => {
  const to = exchangeToR1();
  const job = acceptI2Job(to, succeed(buildI2Job(to)).i2);
  succeed({ ...job, expectedIdentity: to.initiator });
  const expectedIdentity = testIdentity("ecdsa-p256", "bob");
  assert.equal(refusal({ ...job, expectedIdentity }), "hip-unexpected-identity");
});

Deno.test("ENC-009 acceptI2() refuses an ENCRYPTED that holds no HOST_ID", () => {
  const to = exchangeToR1();
  const built = succeed(buildI2Job(to));
  const echo = encodeParameter(ECHO_REQUEST_SIGNED, { opaque: new Uint8Array(4) });
  const i2 = rebuilt(to, built, [encryptedWith(built, echo)]);
  assert.equal(refusal(acceptI2Job(to, i2)), "hip-decryption-failed");
  const noise = rebuilt(to, built, [encryptedWith(built, new Uint8Array(64).fill(0xee))]);
  assert.equal(refusal(acceptI2Job(to, noise)), "hip-malformed");
});

Deno.test("ENC-003 acceptI2() passes over a peer's filler behind the HOST_ID", () => {
  const to = exchangeToR1();
  const built = succeed(buildI2Job(to));
  const hostId = hostIdTlv(to.initiator);
  for (const filler of [new Uint8Array(16), new Uint8Array(24).fill(0xff)]) {
    const plaintext = new Uint8Array([...hostId, ...filler]);
    const i2 = rebuilt(to, built, [encryptedWith(built, plaintext)]);
    succeed(acceptI2Job(to, i2));
  }
});

Deno.test("DHG-021 DHG-022 DHG-023 DHG-024 acceptI2() refuses invalid public values", () => {
  const invalid: [number, Uint8Array][] = [
    [7, new Uint8Array(64)],
    [7, new Uint8Array(64).fill(0xff)],
    [3, new Uint8Array(192)],
    [3, new Uint8Array([...new Uint8Array(191), 1])],
    [3, new Uint8Array(192).fill(0xff)],
  ];
  for (const [dhGroup, publicValue] of invalid) {
    const policy = { ...WIDE_POLICY, dhGroups: [dhGroup] };
    const to = exchangeToR1({ initiatorPolicy: policy, responderPolicy: policy });
    const built = succeed(buildI2Job(to));
    const parameter = encodeParameter(DIFFIE_HELLMAN, { groupId: dhGroup, publicValue });
    const i2 = rebuilt(to, built, [parameter]);
    assert.equal(refusal(acceptI2Job(to, i2)), "hip-bad-public-value");
  }
});

Deno.test("ESP-028 ESP-029 ESP-032 acceptI2() refuses SPIs and indices that cannot be", () => {
  const to = exchangeToR1();
  const built = succeed(buildI2Job(to));
  const { keymatIndex } = built;
  const rows = [
    [{ keymatIndex, oldSpi: 1, newSpi: 4096 }, "hip-spi-invalid"],
    [{ keymatIndex, oldSpi: 0, newSpi: 255 }, "hip-spi-invalid"],
    [{ keymatIndex: 0, oldSpi: 0, newSpi: 4096 }, "hip-keymat-index"],
  ] as const;
  for (const [espInfo, reason] of rows) {
    const i2 = rebuilt(to, built, [encodeParameter(ESP_INFO, espInfo)]);
    assert.equal(refusal(acceptI2Job(to, i2)), reason);
  }
});

Deno.test("PKT-010 checkI2Form() refuses an I2 without any one of its parameters", () => {
  const to = exchangeToR1();
  const { i2 } = succeed(buildI2Job(to));
  const packet = parseHipPacket(i2);
  assert.equal(checkI2Form(packet, to.prepared.template, WIDE_POLICY), undefined);
  for (const { type } of packet.parameters) {
    if (type === PARAMETER.R1_COUNTER) continue;
    const rest = packet.parameters.filter((other) => other.type !== type)
      .map(({ offset, size }) => i2.slice(offset, offset + size));
    const { senderHit, receiverHit } = packet;
    const without = emitHipPacket({ packetType: PACKET.I2, senderHit, receiverHit }, rest);
    assert.throws(
      () => checkI2Form(parseHipPacket(without), to.prepared.template, WIDE_POLICY),
      { name: "MalformedPacketError" },
      parameterTypeName(type),
    );
    assert.equal(refusal(acceptI2Job(to, without)), "hip-malformed");
  }
});
