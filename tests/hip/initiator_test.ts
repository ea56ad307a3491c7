import { strict as assert } from "node:assert";
import { CONTROL_ANONYMOUS, HIP_FIELD, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { PACKET, PARAMETER, parameterTypeName } from "../../lib/wire/hip/code_points.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import {
  ECHO_REQUEST_SIGNED,
  ECHO_RESPONSE_SIGNED,
  ECHO_RESPONSE_UNSIGNED,
} from "../../lib/wire/hip/parameters/echo.ts";
import { emitHipPacket } from "../../lib/wire/hip/packet.ts";
import { ENCRYPTED } from "../../lib/wire/hip/parameters/encrypted.ts";
import { ESP_INFO } from "../../lib/wire/hip/parameters/esp_info.ts";
import { HOST_ID } from "../../lib/wire/hip/parameters/host_id.ts";
import { PUZZLE } from "../../lib/wire/hip/parameters/puzzle.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { withSignature, withSignature2 } from "../../lib/hip/packet_builder.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { PrivateHostIdentity } from "../../lib/crypto/host_key.ts";
import {
  buildI2Job,
  exchangeToR1,
  flip,
  INITIATOR_SPI,
  refusal,
  runExchange,
  seed,
  succeed,
  type ToR1,
  verifyR2Job,
} from "../support/exchange.ts";
import { CAPTURES, readCapture } from "../support/captures.ts";
import { testIdentity } from "../support/identities.ts";

function names(packet: Uint8Array): string[] {
  return parseHipPacket(packet).parameters.map(({ type }) => parameterTypeName(type));
}

/** The R1 with TLVs added or replaced, signed anew by `signer`. */
function resigned(to: ToR1, tlvs: Uint8Array[], signer: PrivateHostIdentity = to.responder) {
  const r1 = parseHipPacket(to.r1);
  const types = tlvs.map((tlv) => (tlv[0]! << 8) | tlv[1]!);
  const kept = r1.parameters
    .filter(({ type }) => type < PARAMETER.HIP_SIGNATURE_2 && !types.includes(type))
    .map(({ offset, size }) => r1.bytes.slice(offset, offset + size));
  const puzzle = r1.require(PUZZLE);
  const zeroed = encodeParameter(PUZZLE, {
    ...puzzle,
    opaque: new Uint8Array(2),
    randomI: new Uint8Array(puzzle.randomI.length),
  });
  const build = (puzzleTlv: Uint8Array, receiverHit: Uint8Array) =>
    emitHipPacket({ packetType: PACKET.R1, senderHit: r1.senderHit, receiverHit }, [
      ...kept.filter((tlv) => ((tlv[0]! << 8) | tlv[1]!) !== PARAMETER.PUZZLE),
      puzzleTlv,
      ...tlvs,
    ]);
  const blank = build(zeroed, new Uint8Array(16));
  const template = withSignature2(blank, signer, new SeededRandom(seed(6)));
  const filled = template.slice();
  filled.set(build(encodeParameter(PUZZLE, puzzle), r1.receiverHit).subarray(8), 8);
  filled.set(template.subarray(blank.length), blank.length);
  return filled;
}

/** The R1 with an ECHO_REQUEST_SIGNED, its signature left as it was. */
function withSignedRequest({ r1 }: ToR1, opaque: Uint8Array): Uint8Array {
  const { senderHit, receiverHit, parameters } = parseHipPacket(r1);
  const tlvs = parameters.map(({ offset, size }) => r1.slice(offset, offset + size));
  const request = encodeParameter(ECHO_REQUEST_SIGNED, { opaque });
  return emitHipPacket({ packetType: PACKET.R1, senderHit, receiverHit }, [...tlvs, request]);
}

const verifyR1 = (r1: Uint8Array) =>
  ({ kind: "verify-r1", r1, expectedIdentity: undefined }) as const;

for (const name of CAPTURES) {
  Deno.test(`BEX-034 BEX-036 verifyR1() accepts R1 of ${name}`, () => {
    const [, r1] = readCapture(name).hip;
    succeed(verifyR1(r1!.bytes));
  });
}

Deno.test(
  "BEX-034 verifyR1() refuses an R1 with any octet changed, but for the checksum, the receiver " +
    "HIT, Opaque and #I of PUZZLE, and the padding of the signature",
  () => {
    const to = exchangeToR1();
    const packet = parseHipPacket(to.r1);
    const puzzle = packet.raw(PARAMETER.PUZZLE)!;
    const signature = packet.raw(PARAMETER.HIP_SIGNATURE_2)!;
    const isUncovered = (offset: number) =>
      (offset >= HIP_FIELD.checksum && offset < HIP_FIELD.checksum + 2) ||
      (offset >= HIP_FIELD.receiverHit && offset < HIP_FIELD.receiverHit + 16) ||
      (offset >= puzzle.offset + 6 && offset < puzzle.offset + 4 + puzzle.contents.length) ||
      offset >= signature.offset + 4 + signature.contents.length;
    let uncovered = 0;
    for (let offset = 0; offset < to.r1.length; offset++) {
      const changed = flip(to.r1, offset);
      if (isUncovered(offset)) {
        uncovered++;
        continue;
      }
      refusal(verifyR1(changed));
    }
    assert.ok(uncovered <= 2 + 16 + 50 + 7, `${uncovered} octets are left out`);
    for (const offset of [4, 24, puzzle.offset + 6, puzzle.offset + 9]) {
      succeed(verifyR1(flip(to.r1, offset)));
    }
  },
);

Deno.test("BEX-035 verifyR1() refuses a key other than the one expected", () => {
  const { r1, responder } = exchangeToR1();
  succeed({ kind: "verify-r1", r1, expectedIdentity: responder });
  const expectedIdentity = testIdentity("ecdsa-p256", "alice");
  const reason = refusal({ kind: "verify-r1", r1, expectedIdentity });
  assert.equal(reason, "hip-unexpected-identity");
});

Deno.test("BEX-036 verifyR1() refuses a key that does not give the sender HIT", () => {
  const to = exchangeToR1();
  const other = testIdentity("ecdsa-p256", "alice");
  const hostId = encodeParameter(HOST_ID, {
    algorithm: other.algorithm,
    hostIdentity: other.hostIdentity,
    domainIdType: 0,
    domainId: new Uint8Array(0),
  });
  succeed(verifyR1(resigned(to, [])));
  assert.equal(refusal(verifyR1(resigned(to, [hostId], other))), "hip-invalid-hit");
});

Deno.test("HIT-015 verifyR1() refuses a HIT of another suite than the key's algorithm", () => {
  const { r1 } = exchangeToR1();
  for (const suite of [0, 1, 3, 5, 9]) {
    const changed = r1.slice();
    changed[HIP_FIELD.senderHit + 3] = 0x20 | suite;
    assert.equal(refusal(verifyR1(changed)), "hip-invalid-hit");
  }
});

Deno.test("verifyR1() refuses a HOST_ID with an algorithm or key that nobody knows", () => {
  const to = exchangeToR1();
  const { offset } = parseHipPacket(to.r1).raw(PARAMETER.HOST_ID)!;
  for (const algorithm of [0, 1, 3, 5, 9, 13, 99]) {
    const changed = to.r1.slice();
    changed[offset + 9] = algorithm;
    assert.equal(refusal(verifyR1(changed)), "hip-invalid-hit");
  }
});

Deno.test("PKT-010 verifyR1() refuses an R1 without any one of its parameters", () => {
  const { r1 } = exchangeToR1();
  const packet = parseHipPacket(r1);
  const required = packet.parameters.filter(({ type }) =>
    type !== PARAMETER.R1_COUNTER && type !== PARAMETER.ESP_TRANSFORM
  );
  for (const { type } of required) {
    const rest = packet.parameters.filter((other) => other.type !== type)
      .map(({ offset, size }) => r1.slice(offset, offset + size));
    const { senderHit, receiverHit } = packet;
    const without = emitHipPacket({ packetType: PACKET.R1, senderHit, receiverHit }, rest);
    assert.equal(refusal(verifyR1(without)), "hip-malformed", parameterTypeName(type));
  }
});

Deno.test("PKT-003 TLV-005 TLV-021 buildI2() puts the parameters in order of type", () => {
  const head = ["ESP_INFO", "R1_COUNTER", "SOLUTION", "DIFFIE_HELLMAN", "HIP_CIPHER"];
  const tail = ["TRANSPORT_FORMAT_LIST", "ESP_TRANSFORM", "HIP_MAC", "HIP_SIGNATURE"];
  const hidden = succeed(buildI2Job(exchangeToR1({ encryptHostId: true }))).i2;
  assert.deepEqual(names(hidden), [...head, "ENCRYPTED", ...tail]);
  const plain = succeed(buildI2Job(exchangeToR1({ encryptHostId: false }))).i2;
  assert.deepEqual(names(plain), [...head, "HOST_ID", ...tail]);
  assert.equal(parseHipPacket(plain).packetType, PACKET.I2);
});

Deno.test("ESP-027 ESP-029 ESP-031 buildI2() names its SPI and where ESP keys begin", () => {
  const { i2, keymatIndex } = succeed(buildI2Job(exchangeToR1()));
  const espInfo = parseHipPacket(i2).require(ESP_INFO);
  assert.deepEqual(espInfo, { keymatIndex, oldSpi: 0, newSpi: INITIATOR_SPI });
  assert.equal(keymatIndex, 128);
});

Deno.test("PUZ-011 PKT-013 buildI2() repeats #K, Opaque, #I and the pair of HITs", () => {
  const to = exchangeToR1({ difficultyK: 3 });
  const r1 = parseHipPacket(to.r1);
  const i2 = parseHipPacket(succeed(buildI2Job(to)).i2);
  const { difficultyK, opaque, randomI } = r1.require(PUZZLE);
  const solution = i2.require(SOLUTION);
  assert.equal(solution.difficultyK, difficultyK);
  assert.equal(solution.reserved, 0);
  assert.deepEqual(solution.opaque, opaque);
  assert.deepEqual(solution.randomI, randomI);
  assert.deepEqual(i2.senderHit, r1.receiverHit);
  assert.deepEqual(i2.receiverHit, r1.senderHit);
});

Deno.test("R1C-003 PRM-023 buildI2() echoes R1_COUNTER with its Reserved field", () => {
  const to = exchangeToR1();
  const { offset, size } = parseHipPacket(to.r1).raw(PARAMETER.R1_COUNTER)!;
  const r1 = to.r1.slice();
  r1.set([1, 2, 3, 4], offset + 4);
  const i2 = parseHipPacket(succeed({ ...buildI2Job(to), r1 }).i2);
  const copy = i2.raw(PARAMETER.R1_COUNTER)!;
  assert.deepEqual(
    i2.bytes.slice(copy.offset, copy.offset + copy.size),
    r1.slice(offset, offset + size),
  );
});

Deno.test("ECH-001 ECH-002 ECH-003 buildI2() answers signed and unsigned echo requests", () => {
  const unsigned = [new Uint8Array(0), new Uint8Array([1, 2, 3]), new Uint8Array(20).fill(9)];
  const to = exchangeToR1({ unsignedEchoRequests: unsigned });
  const opaque = new Uint8Array(11).fill(0x5a);
  const r1 = withSignedRequest(to, opaque);
  const i2 = parseHipPacket(succeed({ ...buildI2Job(to), r1 }).i2);
  assert.deepEqual(i2.all(ECHO_RESPONSE_SIGNED), [{ opaque }]);
  assert.deepEqual(i2.all(ECHO_RESPONSE_UNSIGNED).map((echo) => echo.opaque), unsigned);
});

Deno.test("ECH-006 HDR-007 buildI2() gives up rather than exceed 2048 octets", () => {
  const fits = exchangeToR1({ unsignedEchoRequests: [new Uint8Array(1000)] });
  assert.ok(succeed(buildI2Job(fits)).i2.length <= 2048);
  const big = exchangeToR1({
    initiator: testIdentity("rsa", "alice"),
    unsignedEchoRequests: [new Uint8Array(1400)],
  });
  assert.equal(refusal(buildI2Job(big)), "hip-too-long");
  const initiator = testIdentity("rsa", "alice");
  const to = exchangeToR1({ initiator });
  const r1 = withSignedRequest(to, new Uint8Array(1560));
  assert.equal(refusal({ ...buildI2Job(to), r1 }), "hip-too-long");
});

Deno.test("HDR-014 buildI2() sets the A bit for an anonymous identity", () => {
  const plain = succeed(buildI2Job(exchangeToR1())).i2;
  assert.equal(parseHipPacket(plain).controls, 0);
  const anonymous = succeed(buildI2Job(exchangeToR1({ isAnonymous: true }))).i2;
  assert.equal(parseHipPacket(anonymous).controls, CONTROL_ANONYMOUS);
});

Deno.test("ENC-005 ENC-008 buildI2() hides the HOST_ID under an IV of its own", () => {
  const to = exchangeToR1();
  const job = buildI2Job(to);
  const first = parseHipPacket(succeed(job).i2);
  const second = parseHipPacket(succeed({ ...job, seed: seed(77) }).i2);
  const iv = (packet: typeof first) => packet.require(ENCRYPTED).data.slice(0, 16);
  assert.notDeepEqual(iv(first), iv(second));
  assert.ok(!first.has(PARAMETER.HOST_ID));
});

Deno.test("DHG-025 buildI2() makes a new Diffie-Hellman value for each I2", () => {
  const job = buildI2Job(exchangeToR1());
  const valueOf = (i2: Uint8Array) => parseHipPacket(i2).require(DIFFIE_HELLMAN).publicValue;
  assert.notDeepEqual(valueOf(succeed(job).i2), valueOf(succeed({ ...job, seed: seed(78) }).i2));
});

Deno.test("DHG-024 buildI2() derives nothing from an invalid public value in R1", () => {
  const invalid: [number, Uint8Array][] = [
    [7, new Uint8Array(64)],
    [7, new Uint8Array(64).fill(0xff)],
    [7, new Uint8Array(63).fill(1)],
    [3, new Uint8Array(192)],
    [3, new Uint8Array([...new Uint8Array(191), 1])],
    [3, new Uint8Array(192).fill(0xff)],
  ];
  for (const [dhGroup, publicValue] of invalid) {
    const policy = { ...exchangeToR1().initiatorPolicy, dhGroups: [dhGroup] };
    const to = exchangeToR1({ initiatorPolicy: policy, responderPolicy: policy });
    const r1 = resigned(to, [encodeParameter(DIFFIE_HELLMAN, { groupId: dhGroup, publicValue })]);
    succeed(verifyR1(r1));
    assert.equal(refusal({ ...buildI2Job(to), r1 }), "hip-bad-public-value");
  }
});

Deno.test(
  "BEX-073 BEX-074 verifyR2() refuses an R2 with any octet changed, but for the checksum and the " +
    "padding of the signature",
  () => {
    const exchange = runExchange({ responder: testIdentity("ed25519", "bob") });
    const { r2 } = exchange.accepted;
    const signature = parseHipPacket(r2).raw(PARAMETER.HIP_SIGNATURE)!;
    const end = signature.offset + 4 + signature.contents.length;
    for (let offset = 0; offset < end; offset++) {
      if (offset === 4 || offset === 5) continue;
      refusal(verifyR2Job(exchange, exchange.built, flip(r2, offset)));
    }
    for (const offset of [4, 5]) {
      succeed(verifyR2Job(exchange, exchange.built, flip(r2, offset)));
    }
  },
);

Deno.test("BEX-073 SEC-008 verifyR2() asks the MAC before the signature", () => {
  const exchange = runExchange();
  const job = verifyR2Job(exchange, exchange.built, exchange.accepted.r2);
  assert.equal(refusal({ ...job, integrityKey: seed(1) }), "hip-mac-failed");
  const { offset } = parseHipPacket(job.r2).raw(PARAMETER.HIP_SIGNATURE)!;
  assert.equal(refusal({ ...job, r2: flip(job.r2, offset + 20) }), "hip-signature-failed");
});

Deno.test("ESP-032 verifyR2() refuses an R2 with another KEYMAT index", () => {
  const exchange = runExchange();
  const job = verifyR2Job(exchange, exchange.built, exchange.accepted.r2);
  assert.equal(refusal({ ...job, keymatIndex: 96 }), "hip-keymat-index");
});

Deno.test("HID-008 MAC-008 verifyR2() needs the HOST_ID of R1 octet for octet", () => {
  const exchange = runExchange();
  const job = verifyR2Job(exchange, exchange.built, exchange.accepted.r2);
  const { offset, size } = parseHipPacket(exchange.r1).raw(PARAMETER.HOST_ID)!;
  assert.equal(refusal({ ...job, r1: flip(exchange.r1, offset + size - 1) }), "hip-mac-failed");
});

Deno.test("BEX-072 PKT-014 verifyR2() refuses another pair of HITs than that of R1", () => {
  const exchange = runExchange();
  const job = verifyR2Job(exchange, exchange.built, exchange.accepted.r2);
  assert.equal(refusal({ ...job, r1: flip(exchange.r1, 30) }), "hip-no-association");
});

Deno.test("verifyR2() refuses an R2 without ESP_INFO although MAC and signature are right", () => {
  const exchange = runExchange();
  const { built, accepted, responder } = exchange;
  const r2 = parseHipPacket(accepted.r2);
  const { senderHit, receiverHit } = r2;
  const bare = emitHipPacket({ packetType: PACKET.R2, senderHit, receiverHit }, []);
  const signed = withSignature(bare, responder, new SeededRandom(seed(1)));
  assert.equal(refusal(verifyR2Job(exchange, built, signed)), "hip-malformed");
});
