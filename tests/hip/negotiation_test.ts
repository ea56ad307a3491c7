import { strict as assert } from "node:assert";
import fc from "fast-check";
import type { ExchangePolicy, JobFailure } from "../../lib/hip/jobs.ts";
import {
  checkEspInfo,
  chooseDhGroup,
  chooseEspSuite,
  chooseFromI2,
  chooseFromR1,
  chooseHipCipher,
  theOneChosen,
} from "../../lib/hip/negotiation.ts";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { emitHipPacket, type HipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { ESP_INFO } from "../../lib/wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../../lib/wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import { HIT_SUITE_LIST } from "../../lib/wire/hip/parameters/hit_suite_list.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { TRANSPORT_FORMAT_LIST } from "../../lib/wire/hip/parameters/transport_format_list.ts";
import { buildI2Job, exchangeToR1, succeed, WIDE_POLICY } from "../support/exchange.ts";

/** The packet with parameters replaced by type, or removed; nothing is signed again. */
function edited(
  packet: HipPacket,
  replace: Uint8Array[],
  remove: number[] = [],
): HipPacket {
  const types = replace.map((tlv) => (tlv[0]! << 8) | tlv[1]!);
  const kept = packet.parameters
    .filter(({ type }) => !types.includes(type) && !remove.includes(type))
    .map(({ offset, size }) => packet.bytes.slice(offset, offset + size));
  const { packetType, senderHit, receiverHit } = packet;
  return parseHipPacket(
    emitHipPacket({ packetType, senderHit, receiverHit }, [...kept, ...replace]),
  );
}

const TO_R1 = exchangeToR1();
const R1 = parseHipPacket(TO_R1.r1);
const I2 = parseHipPacket(succeed(buildI2Job(TO_R1)).i2);
const OWN_SUITE = hitSuiteId(TO_R1.initiator.hit);

function refusalOfR1(packet: HipPacket, policy: ExchangePolicy = WIDE_POLICY): string | undefined {
  const choice = chooseFromR1(packet, policy, OWN_SUITE);
  return "reason" in choice ? choice.reason : undefined;
}

function refusalOfI2(packet: HipPacket, hitSuites = WIDE_POLICY.hitSuites): string | undefined {
  const choice = chooseFromI2(packet, R1, hitSuites);
  return "reason" in choice ? (choice as JobFailure).reason : undefined;
}

Deno.test("DHG-008 DHG-009 chooseDhGroup() takes the first of the Responder's that is shared", () => {
  const rows: [number[], number[], number | undefined][] = [
    [[7, 8, 9], [9, 8, 7], 7],
    [[8, 7], [7, 8], 8],
    [[4, 3], [3], 3],
    [[7], [8], undefined],
    [[], [8], undefined],
  ];
  for (const [responder, initiator, expected] of rows) {
    assert.equal(chooseDhGroup(responder, initiator), expected);
  }
});

Deno.test("DHG-011 both ends arrive at one group whatever their lists", () => {
  const list = fc.uniqueArray(fc.constantFrom(3, 4, 7, 8, 9, 10, 11));
  fc.assert(fc.property(list, list, (responder, initiator) => {
    const group = chooseDhGroup(responder, initiator);
    const shared = responder.filter((id) => initiator.includes(id));
    assert.equal(group, shared[0]);
  }));
});

Deno.test("CIP-005 chooseHipCipher() looks at the first six entries and no more", () => {
  assert.equal(chooseHipCipher([90, 91, 92, 93, 94, 2], [2]), 2);
  assert.equal(chooseHipCipher([90, 91, 92, 93, 94, 95, 2], [2]), undefined);
});

Deno.test("ESP-006 ESP-016 chooseEspSuite() passes over unknown suites, however many", () => {
  assert.equal(chooseEspSuite([90, 91, 92, 93, 94, 95, 96, 9, 8], [8, 9]), 9);
  assert.equal(chooseEspSuite([90], [8, 9]), undefined);
});

Deno.test("CIP-009 ESP-019 theOneChosen() wants exactly one, and one that was offered", () => {
  assert.equal(theOneChosen([2], [4, 2]), 2);
  assert.equal(theOneChosen([2, 4], [4, 2]), undefined);
  assert.equal(theOneChosen([], [4, 2]), undefined);
  assert.equal(theOneChosen([1], [4, 2]), undefined);
});

Deno.test("chooseFromR1() reads an ordinary R1", () => {
  const choice = chooseFromR1(R1, WIDE_POLICY, OWN_SUITE);
  assert.ok(!("reason" in choice));
  const { rhash, dhGroup, hipCipher, espSuite } = choice;
  assert.deepEqual({ rhash, dhGroup, hipCipher, espSuite }, {
    rhash: "sha384",
    dhGroup: 7,
    hipCipher: 2,
    espSuite: 8,
  });
});

Deno.test("NEG-007 chooseFromR1() refuses a Responder that cannot verify our suite", () => {
  const packet = edited(R1, [encodeParameter(HIT_SUITE_LIST, { suiteIds: [1, 5] })]);
  assert.equal(refusalOfR1(packet), "hip-unsupported-suite");
});

Deno.test("NEG-017 chooseFromR1() refuses a Responder whose suite we cannot verify", () => {
  const policy = { ...WIDE_POLICY, hitSuites: [1, 5] };
  assert.equal(refusalOfR1(R1, policy), "hip-unsupported-suite");
});

Deno.test("DHG-011 DHG-012 chooseFromR1() refuses any other group than the lists demand", () => {
  const listed = (groupIds: number[]) => edited(R1, [encodeParameter(DH_GROUP_LIST, { groupIds })]);
  assert.equal(refusalOfR1(listed([8, 7])), "hip-wrong-group");
  assert.equal(refusalOfR1(listed([7, 8])), undefined);
  const only8 = { ...WIDE_POLICY, dhGroups: [8] };
  assert.equal(refusalOfR1(listed([7, 8]), only8), "hip-wrong-group");
  assert.equal(refusalOfR1(listed([7]), only8), "hip-no-common-group");
});

Deno.test("CIP-003 chooseFromR1() refuses an R1 whose ciphers we do not accept", () => {
  const packet = edited(R1, [encodeParameter(HIP_CIPHER, { cipherIds: [1, 77] })]);
  assert.equal(refusalOfR1(packet), "hip-no-common-cipher");
});

Deno.test("TFL-004 ESP-002 chooseFromR1() wants ESP listed and its parameter present", () => {
  assert.equal(refusalOfR1(edited(R1, [], [PARAMETER.ESP_TRANSFORM])), "hip-no-transport-format");
  const unlisted = edited(R1, [encodeParameter(TRANSPORT_FORMAT_LIST, { formats: [2050] })]);
  assert.equal(refusalOfR1(unlisted), "hip-no-transport-format");
  const both = edited(R1, [encodeParameter(TRANSPORT_FORMAT_LIST, { formats: [2050, 4095] })]);
  assert.equal(refusalOfR1(both), undefined);
});

Deno.test("ESP-013 ESP-015 chooseFromR1() refuses suites that policy does not name", () => {
  const packet = edited(R1, [encodeParameter(ESP_TRANSFORM, { suiteIds: [7, 0, 3, 14, 15] })]);
  assert.equal(refusalOfR1(packet), "hip-no-common-esp-suite");
});

Deno.test("NEG-012 chooseFromI2() refuses an Initiator whose suite we cannot verify", () => {
  assert.equal(refusalOfI2(I2), undefined);
  assert.equal(refusalOfI2(I2, [1, 5]), "hip-unsupported-suite");
});

Deno.test("R1C-003 R1C-014 chooseFromI2() wants R1_COUNTER back as it was sent", () => {
  assert.equal(refusalOfI2(edited(I2, [], [PARAMETER.R1_COUNTER])), "hip-old-generation");
  const other = encodeParameter(R1_COUNTER, { reserved: 0, generation: 78n });
  assert.equal(refusalOfI2(edited(I2, [other])), "hip-old-generation");
});

Deno.test("CIP-009 chooseFromI2() refuses two ciphers and one that was not offered", () => {
  for (const cipherIds of [[2, 4], [1]]) {
    const packet = edited(I2, [encodeParameter(HIP_CIPHER, { cipherIds })]);
    assert.equal(refusalOfI2(packet), "hip-no-common-cipher");
  }
});

Deno.test("DHG-020 chooseFromI2() refuses a group other than that of its R1", () => {
  const parameter = { groupId: 8, publicValue: new Uint8Array(96) };
  const packet = edited(I2, [encodeParameter(DIFFIE_HELLMAN, parameter)]);
  assert.equal(refusalOfI2(packet), "hip-wrong-group");
});

Deno.test("TFL-006 ESP-003 chooseFromI2() wants ESP as the one transport format", () => {
  for (const formats of [[4095, 2050], [2050]]) {
    const packet = edited(I2, [encodeParameter(TRANSPORT_FORMAT_LIST, { formats })]);
    assert.equal(refusalOfI2(packet), "hip-no-transport-format");
  }
});

Deno.test("ESP-019 chooseFromI2() refuses two ESP suites and one that was not offered", () => {
  for (const suiteIds of [[8, 9], [7]]) {
    const packet = edited(I2, [encodeParameter(ESP_TRANSFORM, { suiteIds })]);
    assert.equal(refusalOfI2(packet), "hip-no-common-esp-suite");
  }
});

Deno.test("ESP-028 ESP-029 chooseFromI2() refuses an old SPI and a reserved new one", () => {
  for (const [oldSpi, newSpi] of [[1, 256], [0, 255], [0, 0]] as const) {
    const packet = edited(I2, [encodeParameter(ESP_INFO, { keymatIndex: 128, oldSpi, newSpi })]);
    assert.equal(refusalOfI2(packet), "hip-spi-invalid");
  }
});

Deno.test("ESP-032 checkEspInfo() compares the KEYMAT index when ours is known", () => {
  const info = { keymatIndex: 96, oldSpi: 0, newSpi: 256 };
  assert.equal(checkEspInfo(info), undefined);
  assert.equal(checkEspInfo(info, 96), undefined);
  assert.equal(checkEspInfo(info, 128)?.reason, "hip-keymat-index");
});
