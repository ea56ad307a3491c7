/** What each side says of its choices on the wire: lists in R1, single entries in I2. */

import { strict as assert } from "node:assert";
import fc from "fast-check";
import { toHex } from "../../lib/base/bytes.ts";
import { decryptParameterContents } from "../../lib/crypto/hip_cipher.ts";
import { puzzleLifetime } from "../../lib/hip/constants.ts";
import { chooseDhGroup, chooseEspSuite, chooseHipCipher } from "../../lib/hip/negotiation.ts";
import { hostIdTlv } from "../../lib/hip/packet_builder.ts";
import { checkI2Form } from "../../lib/hip/responder.ts";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { emitHipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { ENCRYPTED } from "../../lib/wire/hip/parameters/encrypted.ts";
import { ESP_TRANSFORM } from "../../lib/wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import { R1_COUNTER } from "../../lib/wire/hip/parameters/r1_counter.ts";
import { TRANSPORT_FORMAT_LIST } from "../../lib/wire/hip/parameters/transport_format_list.ts";
import {
  buildI2Job,
  exchangeToR1,
  runExchange,
  succeed,
  WIDE_POLICY,
} from "../support/exchange.ts";
import { testIdentity } from "../support/identities.ts";

/** Reserved field of ESP_TRANSFORM, behind Type and Length. */
const ESP_TRANSFORM_RESERVED = 4;

Deno.test("CIP-008 ESP-018 I2 names exactly one HIP cipher and one ESP suite, each out of the R1's list", () => {
  for (const [hipCiphers, espSuites] of [[[2, 4], [8, 9, 13]], [[4], [13]], [[2], [9]]] as const) {
    const { built, r1 } = runExchange({
      initiatorPolicy: { ...WIDE_POLICY, hipCiphers, espSuites },
    });
    const i2 = parseHipPacket(built.i2);
    const offer = parseHipPacket(r1);
    const { cipherIds } = i2.require(HIP_CIPHER);
    const { suiteIds } = i2.require(ESP_TRANSFORM);
    assert.deepEqual(cipherIds, [hipCiphers[0]]);
    assert.deepEqual(suiteIds, [espSuites[0]]);
    assert.ok(offer.require(HIP_CIPHER).cipherIds.includes(cipherIds[0]!));
    assert.ok(offer.require(ESP_TRANSFORM).suiteIds.includes(suiteIds[0]!));
  }
});

Deno.test("ESP-004 ESP_TRANSFORM in R1 keeps the Responder's order; its Reserved field is zero and not looked at", () => {
  for (const espSuites of [[13, 8], [8, 13]]) {
    const to = exchangeToR1({ responderPolicy: { ...WIDE_POLICY, espSuites } });
    const { offset } = parseHipPacket(to.r1).raw(PARAMETER.ESP_TRANSFORM)!;
    const reserved = to.r1.subarray(offset + ESP_TRANSFORM_RESERVED).subarray(0, 2);
    assert.deepEqual([...reserved], [0, 0]);
    assert.deepEqual(parseHipPacket(to.r1).require(ESP_TRANSFORM).suiteIds, espSuites);
    const r1 = to.r1.slice();
    r1.fill(0xff, offset + ESP_TRANSFORM_RESERVED, offset + ESP_TRANSFORM_RESERVED + 2);
    assert.equal(succeed({ ...buildI2Job(to), r1 }).espSuite, espSuites[0]);
  }
});

Deno.test("TFL-002 TFL-003 R1 and I2 list a transport format, and hold the parameter of every format listed", () => {
  const { built, r1 } = runExchange();
  for (const packet of [parseHipPacket(r1), parseHipPacket(built.i2)]) {
    const { formats } = packet.require(TRANSPORT_FORMAT_LIST);
    assert.ok(formats.length >= 1);
    for (const format of formats) assert.ok(packet.has(format), `parameter ${format}`);
  }
});

Deno.test("CIP-006 AES-128-CBC is offered unless configured otherwise", () => {
  const { dhGroups, hipCiphers, espSuites, hitSuites } = DEFAULT_CONFIG;
  const policy = { dhGroups, hipCiphers, espSuites, hitSuites };
  const { r1 } = exchangeToR1({ responderPolicy: policy });
  assert.ok(parseHipPacket(r1).require(HIP_CIPHER).cipherIds.includes(2));
});

Deno.test("PRM-025 the first entry in the Responder's order wins, and repeating an entry changes nothing", () => {
  const lists = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 6 });
  fc.assert(fc.property(lists, lists, (responders, initiators) => {
    const once = (list: readonly number[]) => [...new Set(list)];
    const expected = once(responders).filter((id) => initiators.includes(id))[0];
    for (const choose of [chooseDhGroup, chooseHipCipher, chooseEspSuite]) {
      assert.equal(choose(responders, initiators), expected);
      assert.equal(choose(once(responders), once(initiators)), expected);
    }
  }));
});

Deno.test("NEG-001 HIT-020 RSA, DSA, P-256 and P-384 meet each other as Initiator and Responder by default", () => {
  const kinds = ["rsa", "dsa", "ecdsa-p256", "ecdsa-p384"] as const;
  const { dhGroups, hipCiphers, espSuites, hitSuites } = DEFAULT_CONFIG;
  const policy = { dhGroups, hipCiphers, espSuites, hitSuites };
  for (const [i, kind] of kinds.entries()) {
    const initiator = testIdentity(kind, "alice");
    const responder = testIdentity(kinds[(i + 1) % kinds.length]!, "bob");
    assert.equal(hitSuiteId(initiator.hit), kind === "rsa" || kind === "dsa" ? 1 : 2);
    const { accepted, built } = runExchange({
      initiator,
      responder,
      initiatorPolicy: policy,
      responderPolicy: policy,
    });
    assert.equal(toHex(accepted.peerIdentity.hostIdentity), toHex(initiator.hostIdentity));
    assert.equal(toHex(built.peerIdentity.hostIdentity), toHex(responder.hostIdentity));
  }
});

Deno.test("DHG-018 R1 and I2 hold one DIFFIE_HELLMAN, whose lengths agree", () => {
  for (const dhGroup of [7, 8, 3]) {
    const policy = { ...WIDE_POLICY, dhGroups: [dhGroup] };
    const { built, r1 } = runExchange({ initiatorPolicy: policy, responderPolicy: policy });
    for (const packet of [parseHipPacket(r1), parseHipPacket(built.i2)]) {
      const values = packet.all(DIFFIE_HELLMAN);
      assert.equal(values.length, 1);
      const { contents } = packet.raw(PARAMETER.DIFFIE_HELLMAN)!;
      const said = (contents[1]! << 8) | contents[2]!;
      assert.equal(said + 3, contents.length);
      assert.equal(said, values[0]!.publicValue.length);
    }
  }
});

Deno.test("ENC-001 CIP-011 ENCRYPTED holds whole padded TLVs under the cipher that was chosen", () => {
  for (const cipher of [2, 4]) {
    for (const kind of ["ecdsa-p256", "rsa", "ed25519"] as const) {
      const initiator = testIdentity(kind, "alice");
      const policy = { ...WIDE_POLICY, hipCiphers: [cipher] };
      const { built } = runExchange({ initiator, initiatorPolicy: policy });
      const { data } = parseHipPacket(built.i2).require(ENCRYPTED);
      const plaintext = decryptParameterContents(cipher, built.hipKeys.encryptionOut, data)!;
      assert.equal(plaintext.length % 8, 0);
      assert.equal(toHex(plaintext), toHex(hostIdTlv(initiator)));
      assert.equal(built.hipKeys.encryptionOut.length, cipher === 2 ? 16 : 32);
    }
  }
});

Deno.test("PUZ-008 the Lifetime octet v stands for 2^(v - 32) seconds", () => {
  for (const [v, ms] of [[32, 1000], [33, 2000], [31, 500], [38, 64_000], [0, 1000 * 2 ** -32]]) {
    assert.equal(puzzleLifetime(v!), ms);
  }
});

/** The verdict of the Responder's cheap checks on an I2 with one parameter replaced. */
function verdictWith(type: number, tlv: Uint8Array | undefined): string | undefined {
  const to = exchangeToR1();
  const { i2 } = succeed(buildI2Job(to));
  const { parameters, senderHit, receiverHit } = parseHipPacket(i2);
  const others = parameters.filter((parameter) => parameter.type !== type)
    .map(({ offset, size }) => i2.slice(offset, offset + size));
  const tlvs = tlv === undefined ? others : [...others, tlv];
  const changed = emitHipPacket({ packetType: PACKET.I2, senderHit, receiverHit }, tlvs);
  return checkI2Form(parseHipPacket(changed), to.prepared.template, WIDE_POLICY)?.reason;
}

Deno.test("TFL-007 the Responder looks at the transport format of I2: it is the one that R1 offered", () => {
  const formatsOf = (...formats: number[]) =>
    verdictWith(
      PARAMETER.TRANSPORT_FORMAT_LIST,
      encodeParameter(TRANSPORT_FORMAT_LIST, { formats }),
    );
  assert.equal(formatsOf(4095), undefined);
  for (const formats of [[4094], [4095, 4094], [2050, 4095]]) {
    assert.equal(formatsOf(...formats), "hip-no-transport-format");
  }
});

Deno.test("R1C-001 R1_COUNTER of R1 is understood and comes back in I2, where it must be the one of the R1", () => {
  const { built, r1 } = runExchange();
  const { generation } = parseHipPacket(r1).require(R1_COUNTER);
  assert.equal(parseHipPacket(built.i2).require(R1_COUNTER).generation, generation);
  const withCounter = (counter: bigint) =>
    verdictWith(
      PARAMETER.R1_COUNTER,
      encodeParameter(R1_COUNTER, { reserved: 0, generation: counter }),
    );
  assert.equal(withCounter(generation), undefined);
  assert.equal(withCounter(generation + 1n), "hip-old-generation");
  assert.equal(withCounter(generation - 1n), "hip-old-generation");
  assert.equal(verdictWith(PARAMETER.R1_COUNTER, undefined), "hip-old-generation");
});
