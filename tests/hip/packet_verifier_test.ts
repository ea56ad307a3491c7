import { strict as assert } from "node:assert";
import { decryptParameterContents } from "../../lib/crypto/hip_cipher.ts";
import {
  verifyHipMac,
  verifyHipMac2,
  verifyHipSignature,
  verifyHipSignature2,
} from "../../lib/hip/packet_verifier.ts";
import { PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { type HipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { decodeParameter, parseParameters } from "../../lib/wire/hip/parameter.ts";
import { ENCRYPTED } from "../../lib/wire/hip/parameters/encrypted.ts";
import { HOST_ID } from "../../lib/wire/hip/parameters/host_id.ts";
import { openCapture } from "../support/captured_exchange.ts";
import { CAPTURES } from "../support/captures.ts";
import { flip, runExchange } from "../support/exchange.ts";

function tlvOf(packet: HipPacket, type: number): Uint8Array {
  const { offset, size } = packet.raw(type)!;
  return packet.bytes.slice(offset, offset + size);
}

for (const name of CAPTURES) {
  Deno.test(
    `SIG-008 SIG-009 SIG-010 SIG-011 verifyHipSignature2() accepts R1 of ${name}`,
    () => {
      const { r1 } = openCapture(name);
      assert.ok(verifyHipSignature2(r1, r1.require(HOST_ID)));
    },
  );

  Deno.test(`MAC-003 MAC-010 MAC-012 verifyHipMac() accepts I2 of ${name}`, () => {
    const { i2, rhash, keys } = openCapture(name);
    assert.ok(verifyHipMac(i2, rhash, keys.integrityOut));
    assert.ok(!verifyHipMac(i2, rhash, keys.integrityIn));
  });

  Deno.test(`SIG-006 SIG-007 verifyHipSignature() accepts I2, R2 and CLOSE of ${name}`, () => {
    const { r1, i2, r2, close, rhash, hipCipher, keys } = openCapture(name);
    const encrypted = i2.first(ENCRYPTED);
    const tlvs = encrypted === undefined
      ? tlvOf(i2, PARAMETER.HOST_ID)
      : decryptParameterContents(hipCipher, keys.encryptionOut, encrypted.data)!;
    const [hostId] = parseParameters(tlvs, 0, tlvs.length, { allowFiller: true });
    const initiator = decodeParameter(HOST_ID, hostId!.contents);
    assert.ok(verifyHipSignature(i2, initiator));
    assert.ok(verifyHipSignature(r2, r1.require(HOST_ID)));
    assert.ok(verifyHipMac(close, rhash, keys.integrityOut));
    assert.ok(verifyHipSignature(close, initiator));
  });

  Deno.test(`MAC-006 MAC-007 MAC-008 verifyHipMac2() accepts R2 of ${name}`, () => {
    const { r1, r2, rhash, keys } = openCapture(name);
    const hostId = tlvOf(r1, PARAMETER.HOST_ID);
    assert.ok(verifyHipMac2(r2, rhash, keys.integrityIn, hostId));
    const lastOfPadding = flip(hostId, hostId.length - 1);
    assert.ok(!verifyHipMac2(r2, rhash, keys.integrityIn, lastOfPadding));
  });

  Deno.test(`MAC-002 verifyHipMac() accepts CLOSE_ACK of ${name} from the other side`, () => {
    const { r1, closeAck, rhash, keys } = openCapture(name);
    assert.ok(verifyHipMac(closeAck, rhash, keys.integrityIn));
    assert.ok(verifyHipSignature(closeAck, r1.require(HOST_ID)));
  });
}

Deno.test("SIG-014 MAC-012 the verifiers leave the packet as it came", () => {
  const { r1, accepted, built, responder } = runExchange();
  for (const bytes of [r1, accepted.r2, built.i2]) {
    bytes[4] = 0xab;
    const before = bytes.slice();
    const packet = parseHipPacket(bytes);
    if (packet.has(PARAMETER.HIP_SIGNATURE_2)) {
      assert.ok(verifyHipSignature2(packet, responder));
    }
    if (packet.has(PARAMETER.HIP_MAC)) {
      assert.ok(verifyHipMac(packet, built.rhash, built.hipKeys.integrityOut));
    }
    if (packet.has(PARAMETER.HIP_SIGNATURE)) verifyHipSignature(packet, responder);
    assert.deepEqual(bytes, before);
  }
});

Deno.test("SIG-001 a signature with another SIG alg than the key's is refused", () => {
  const { accepted, responder } = runExchange();
  const { offset } = parseHipPacket(accepted.r2).raw(PARAMETER.HIP_SIGNATURE)!;
  const relabelled = accepted.r2.slice();
  relabelled[offset + 5] = 9;
  assert.ok(verifyHipSignature(parseHipPacket(accepted.r2), responder));
  assert.ok(!verifyHipSignature(parseHipPacket(relabelled), responder));
});

Deno.test("TLV-013 changed padding below the signature is noticed", () => {
  const { r1, responder } = runExchange();
  const packet = parseHipPacket(r1);
  const padded = packet.parameters.find(({ contents, size, type }) =>
    size > contents.length + 4 && type < PARAMETER.HIP_SIGNATURE_2
  );
  const changed = flip(r1, padded!.offset + padded!.size - 1);
  assert.ok(!verifyHipSignature2(parseHipPacket(changed), responder));
});
