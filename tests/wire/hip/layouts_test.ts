import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../../lib/base/errors.ts";
import {
  decodeParameter,
  encodeParameter,
  type ParameterCodec,
} from "../../../lib/wire/hip/parameter.ts";
import { ACK } from "../../../lib/wire/hip/parameters/ack.ts";
import { CERT } from "../../../lib/wire/hip/parameters/cert.ts";
import { DH_GROUP_LIST } from "../../../lib/wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../../../lib/wire/hip/parameters/diffie_hellman.ts";
import {
  ECHO_REQUEST_SIGNED,
  ECHO_REQUEST_UNSIGNED,
  ECHO_RESPONSE_SIGNED,
  ECHO_RESPONSE_UNSIGNED,
} from "../../../lib/wire/hip/parameters/echo.ts";
import { ENCRYPTED } from "../../../lib/wire/hip/parameters/encrypted.ts";
import { ESP_INFO } from "../../../lib/wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../../../lib/wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../../../lib/wire/hip/parameters/hip_cipher.ts";
import { HIP_MAC, HIP_MAC_2 } from "../../../lib/wire/hip/parameters/hip_mac.ts";
import { HIP_SIGNATURE, HIP_SIGNATURE_2 } from "../../../lib/wire/hip/parameters/hip_signature.ts";
import { HIT_SUITE_LIST } from "../../../lib/wire/hip/parameters/hit_suite_list.ts";
import { HOST_ID } from "../../../lib/wire/hip/parameters/host_id.ts";
import { NOTIFICATION } from "../../../lib/wire/hip/parameters/notification.ts";
import { PUZZLE } from "../../../lib/wire/hip/parameters/puzzle.ts";
import { R1_COUNTER } from "../../../lib/wire/hip/parameters/r1_counter.ts";
import { SEQ } from "../../../lib/wire/hip/parameters/seq.ts";
import { SOLUTION } from "../../../lib/wire/hip/parameters/solution.ts";
import { TRANSPORT_FORMAT_LIST } from "../../../lib/wire/hip/parameters/transport_format_list.ts";

/** Type, Length, Contents and Padding written out from the RFC's figure. */
function testLayout<T>(title: string, codec: ParameterCodec<T>, value: T, hex: string): void {
  Deno.test(title, () => {
    const tlv = encodeParameter(codec, value);
    assert.equal(toHex(tlv), hex.replaceAll(" ", ""));
    const length = (tlv[2]! << 8) | tlv[3]!;
    assert.deepEqual(decodeParameter(codec, tlv.subarray(4, 4 + length)), value);
  });
}

const twenty = fromHex("000102030405060708090a0b0c0d0e0f10111213");
const opaque = fromHex("cafe");

testLayout(
  "PRM-001 R1_COUNTER: Reserved, then a counter of 64 bits",
  R1_COUNTER,
  { reserved: 0, generation: 0x0102030405060708n },
  "0081 000c 00000000 0102030405060708",
);
testLayout(
  "PRM-002 PUZZLE: #K, Lifetime, Opaque, #I",
  PUZZLE,
  { difficultyK: 10, lifetime: 37, opaque, randomI: twenty },
  `0101 0018 0a 25 cafe ${toHex(twenty)} 00000000`,
);
testLayout(
  "PRM-003 SOLUTION: #K, Reserved, Opaque, #I, #J",
  SOLUTION,
  { difficultyK: 10, reserved: 0, opaque, randomI: twenty, solutionJ: twenty.toReversed() },
  `0141 002c 0a 00 cafe ${toHex(twenty)} ${toHex(twenty.toReversed())}`,
);
testLayout("PRM-004 SEQ: Update ID", SEQ, { updateId: 0x80000001 }, "0181 0004 80000001");
testLayout(
  "PRM-005 ACK: one or more peer Update IDs",
  ACK,
  { updateIds: [7, 0xfffffffe] },
  "01c1 0008 00000007 fffffffe 00000000",
);
testLayout(
  "PRM-006 DH_GROUP_LIST: one octet for each group",
  DH_GROUP_LIST,
  { groupIds: [3, 4, 8] },
  "01ff 0003 03 04 08 00",
);
testLayout(
  "PRM-007 DIFFIE_HELLMAN: Group ID, Public Value Length, Public Value",
  DIFFIE_HELLMAN,
  { groupId: 7, publicValue: fromHex("aabbccdd") },
  "0201 0007 07 0004 aabbccdd 0000000000",
);
testLayout(
  "PRM-008 HIP_CIPHER: two octets for each cipher",
  HIP_CIPHER,
  { cipherIds: [4, 2] },
  "0243 0004 0004 0002",
);
testLayout(
  "PRM-009 ENC-006 ENCRYPTED: Reserved, then IV and ciphertext",
  ENCRYPTED,
  { data: fromHex("0102030405") },
  "0281 0009 00000000 0102030405 000000",
);
testLayout(
  "PRM-010 HID-001 HOST_ID: HI Length, DI-Type, DI Length, Algorithm, HI, Domain Identifier",
  HOST_ID,
  {
    algorithm: 7,
    hostIdentity: fromHex("0001aabbcc"),
    domainIdType: 1,
    domainId: fromHex("016100"),
  },
  "02c1 000e 0005 1003 0007 0001aabbcc 016100 000000000000",
);
testLayout(
  "PRM-011 NEG-003 HIT_SUITE_LIST: the ID in the high half of each octet",
  HIT_SUITE_LIST,
  { suiteIds: [1, 2, 5] },
  "02cb 0003 10 20 50 00",
);
testLayout(
  "PRM-012 CERT: group, count, ID, type, certificate",
  CERT,
  { group: 1, count: 2, id: 1, certType: 3, certificate: fromHex("3082") },
  "0300 0006 01 02 01 03 3082 000000000000",
);
testLayout(
  "PRM-013 NOTIFICATION: Reserved, Notify Message Type, data",
  NOTIFICATION,
  { messageType: 16384, data: fromHex("0257") },
  "0340 0006 0000 4000 0257 000000000000",
);
testLayout(
  "PRM-014 ECHO_REQUEST_SIGNED: opaque",
  ECHO_REQUEST_SIGNED,
  { opaque },
  "0381 0002 cafe 0000",
);
testLayout(
  "PRM-015 ECHO_RESPONSE_SIGNED: opaque",
  ECHO_RESPONSE_SIGNED,
  { opaque },
  "03c1 0002 cafe 0000",
);
testLayout(
  "PRM-016 ESP-001 TRANSPORT_FORMAT_LIST: two octets for each format, ESP is 4095",
  TRANSPORT_FORMAT_LIST,
  { formats: [ESP_TRANSFORM.type] },
  "0801 0002 0fff 0000",
);
testLayout(
  "PRM-017 HIP_MAC: the whole HMAC",
  HIP_MAC,
  { mac: twenty },
  `f041 0014 ${toHex(twenty)}`,
);
testLayout(
  "PRM-018 HIP_MAC_2: the whole HMAC",
  HIP_MAC_2,
  { mac: twenty },
  `f081 0014 ${toHex(twenty)}`,
);
testLayout(
  "PRM-019 HIP_SIGNATURE_2: SIG alg of two octets, signature",
  HIP_SIGNATURE_2,
  { algorithm: 5, signature: fromHex("0a0b0c") },
  "f0c1 0005 0005 0a0b0c 00000000000000",
);
testLayout(
  "PRM-020 HIP_SIGNATURE: SIG alg of two octets, signature",
  HIP_SIGNATURE,
  { algorithm: 13, signature: fromHex("0a0b0c") },
  "f101 0005 000d 0a0b0c 00000000000000",
);
testLayout(
  "PRM-021 ECHO_RESPONSE_UNSIGNED: opaque",
  ECHO_RESPONSE_UNSIGNED,
  { opaque },
  "f7c1 0002 cafe 0000",
);
testLayout(
  "PRM-022 ECHO_REQUEST_UNSIGNED: opaque",
  ECHO_REQUEST_UNSIGNED,
  { opaque },
  "f8ad 0002 cafe 0000",
);
testLayout(
  "ESP-037 ESP_INFO: Reserved, KEYMAT Index, OLD SPI, NEW SPI",
  ESP_INFO,
  { keymatIndex: 160, oldSpi: 0, newSpi: 0xdeadbeef },
  "0041 000c 0000 00a0 00000000 deadbeef",
);
testLayout(
  "ESP_TRANSFORM: Reserved, then two octets for each suite",
  ESP_TRANSFORM,
  { suiteIds: [13, 8, 9] },
  "0fff 0008 0000 000d 0008 0009 00000000",
);

Deno.test("TLV-020 PUZZLE is 4 + n long and SOLUTION 4 + 2n, n being the output of RHASH", () => {
  for (const n of [20, 32, 48]) {
    const randomI = new Uint8Array(n);
    const puzzle = { difficultyK: 1, lifetime: 1, opaque, randomI };
    const solution = { difficultyK: 1, reserved: 0, opaque, randomI, solutionJ: randomI };
    assert.equal(PUZZLE.length(puzzle), 4 + n);
    assert.equal(SOLUTION.length(solution), 4 + 2 * n);
    assert.equal(decodeParameter(PUZZLE, new Uint8Array(4 + n)).randomI.length, n);
    assert.equal(decodeParameter(SOLUTION, new Uint8Array(4 + 2 * n)).solutionJ.length, n);
  }
});

Deno.test("PRM-024 a Length that disagrees with the layout is malformed", () => {
  const wrong: [ParameterCodec<unknown>, string][] = [
    [R1_COUNTER, "00".repeat(11)],
    [R1_COUNTER, "00".repeat(13)],
    [PUZZLE, "00000000"],
    [SOLUTION, "00".repeat(4 + 41)],
    [SEQ, "000000"],
    [ACK, "0000000000"],
    [ACK, ""],
    [DIFFIE_HELLMAN, "07 0004 aabbcc"],
    [DIFFIE_HELLMAN, "07 0004 aabbccddee"],
    [HIP_CIPHER, "000200"],
    [TRANSPORT_FORMAT_LIST, "0fff0f"],
    [HOST_ID, "0005 0000 0007 0001aabb 01 02"],
    [HOST_ID, "0005 1003 0007 0001aabbcc 0161"],
    [NOTIFICATION, "0000 40"],
    [HIP_SIGNATURE, "05"],
    [ESP_INFO, "00".repeat(16)],
  ];
  for (const [codec, hex] of wrong) {
    const contents = fromHex(hex);
    assert.throws(() => decodeParameter(codec, contents), MalformedPacketError, codec.name);
  }
});

Deno.test("HOST_ID is read alike whether or not HI Length counts the Algorithm octets", () => {
  const expected = {
    algorithm: 7,
    hostIdentity: fromHex("0001aabbcc"),
    domainIdType: 1,
    domainId: fromHex("016100"),
  };
  const pure = fromHex("0005 1003 0007 0001aabbcc 016100");
  const counting = fromHex("0007 1003 0007 0001aabbcc 016100");
  assert.deepEqual(decodeParameter(HOST_ID, pure), expected);
  assert.deepEqual(decodeParameter(HOST_ID, counting), expected);
});

Deno.test("ESP-037 Reserved fields of ENCRYPTED, NOTIFICATION, ESP_INFO and ESP_TRANSFORM are not looked at", () => {
  assert.equal(decodeParameter(ENCRYPTED, fromHex("ffffffff 01")).data.length, 1);
  assert.equal(decodeParameter(NOTIFICATION, fromHex("ffff 0007")).messageType, 7);
  assert.equal(decodeParameter(ESP_INFO, fromHex("ffff 0001 00000000 00000100")).keymatIndex, 1);
  assert.deepEqual(decodeParameter(ESP_TRANSFORM, fromHex("ffff 0008")).suiteIds, [8]);
});

Deno.test("ESP-006 ESP_TRANSFORM with more than six suites is read", () => {
  const suiteIds = [1, 7, 8, 9, 10, 11, 12, 13];
  const tlv = encodeParameter(ESP_TRANSFORM, { suiteIds });
  const transform = decodeParameter(ESP_TRANSFORM, tlv.subarray(4, 4 + 18));
  assert.deepEqual(transform.suiteIds, suiteIds);
});

Deno.test("HIP_CIPHER with more than six ciphers is read", () => {
  const list = decodeParameter(HIP_CIPHER, fromHex("0001 0002 0003 0004 0005 0006 0007"));
  assert.deepEqual(list.cipherIds, [1, 2, 3, 4, 5, 6, 7]);
});

Deno.test("ESP-007 ESP_TRANSFORM of odd length or below four octets is malformed", () => {
  for (const hex of ["", "00", "0000", "000000", "0000 0008 00"]) {
    assert.throws(() => decodeParameter(ESP_TRANSFORM, fromHex(hex)), MalformedPacketError, hex);
  }
});

Deno.test("HOST_ID cannot be emitted with a Domain Identifier beyond its 12-bit length", () => {
  const value = { algorithm: 5, hostIdentity: opaque, domainIdType: 1 };
  const domainId = new Uint8Array(0x1000);
  assert.throws(() => encodeParameter(HOST_ID, { ...value, domainId }), RangeError);
});
