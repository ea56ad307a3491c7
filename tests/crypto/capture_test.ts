/**
 * Everything cryptographic in the captures of another implementation, computed anew from Kij: HITs,
 * puzzle, KEYMAT, HIP_MAC, HIP_MAC_2, ENCRYPTED, signatures, ESP keys, ICVs and payloads.
 */

import { equal, notEqual } from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import { bytesEqual, toHex } from "../../lib/base/bytes.ts";
import { ESP_SUITES } from "../../lib/crypto/esp_suite.ts";
import { decryptParameterContents } from "../../lib/crypto/hip_cipher.ts";
import { drawEspKeys, type EspKeys } from "../../lib/crypto/keymat.ts";
import { hipMac } from "../../lib/crypto/mac.ts";
import {
  verifyHipMac,
  verifyHipMac2,
  verifyHipSignature,
  verifyHipSignature2,
} from "../../lib/hip/packet_verifier.ts";
import { solves } from "../../lib/hip/puzzle.ts";
import { hitOf, isHit } from "../../lib/identity/hit.ts";
import { finishSum, pseudoHeaderSum, sumBytes } from "../../lib/wire/checksum.ts";
import { PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { decodeParameter, parseParameters } from "../../lib/wire/hip/parameter.ts";
import { ENCRYPTED } from "../../lib/wire/hip/parameters/encrypted.ts";
import { ESP_INFO } from "../../lib/wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../../lib/wire/hip/parameters/esp_transform.ts";
import { HOST_ID, type HostId } from "../../lib/wire/hip/parameters/host_id.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { type CapturedExchange, openCapture } from "../support/captured_exchange.ts";
import { CAPTURES, readCapture } from "../support/captures.ts";

/** The Initiator's HOST_ID: in the clear, or inside ENCRYPTED. */
function initiatorHostId({ i2, keys, hipCipher }: CapturedExchange): HostId {
  const plain = i2.first(HOST_ID);
  if (plain !== undefined) return plain;
  const { data } = i2.require(ENCRYPTED);
  const contents = decryptParameterContents(hipCipher, keys.encryptionOut, data)!;
  const [hostId] = parseParameters(contents, 0, contents.length, { allowFiller: true });
  equal(hostId!.type, PARAMETER.HOST_ID);
  return decodeParameter(HOST_ID, hostId!.contents);
}

for (const name of CAPTURES) {
  Deno.test(`${name}: KEY-006 KEY-007 ENC-007 the encrypted or plain HOST_ID gives the sender's HIT`, () => {
    const exchange = openCapture(name);
    const hostId = initiatorHostId(exchange);
    equal(toHex(hitOf(hostId)), toHex(exchange.initiatorHit));
    equal(toHex(hitOf(exchange.r1.require(HOST_ID))), toHex(exchange.responderHit));
    equal(isHit(exchange.initiatorHit), true);
    equal(exchange.i2.has(PARAMETER.ENCRYPTED), true);
  });

  Deno.test(`${name}: SIG-002 SIG-003 every signature is right, and wrong under the other key`, () => {
    const exchange = openCapture(name);
    const initiator = initiatorHostId(exchange);
    const responder = exchange.r1.require(HOST_ID);
    equal(verifyHipSignature2(exchange.r1, responder), true);
    equal(verifyHipSignature(exchange.i2, initiator), true);
    equal(verifyHipSignature(exchange.r2, responder), true);
    equal(verifyHipSignature(exchange.close, initiator), true);
    equal(verifyHipSignature(exchange.closeAck, responder), true);
    equal(verifyHipSignature2(exchange.r1, initiator), false);
    equal(verifyHipSignature(exchange.i2, responder), false);
  });

  Deno.test(`${name}: the puzzle's solution holds`, () => {
    const { i2, rhash, initiatorHit, responderHit } = openCapture(name);
    const { difficultyK, randomI, solutionJ } = i2.require(SOLUTION);
    notEqual(difficultyK, 0);
    equal(solves(rhash, difficultyK, randomI, initiatorHit, responderHit, solutionJ), true);
    equal(solves(rhash, difficultyK, randomI, responderHit, initiatorHit, solutionJ), false);
  });

  Deno.test(`${name}: MAC-001 MAC-002 KEY-001 the MACs of I2, R2, CLOSE and CLOSE_ACK follow from Kij`, () => {
    const { r1, i2, r2, close, closeAck, rhash, keys } = openCapture(name);
    equal(verifyHipMac(i2, rhash, keys.integrityOut), true);
    equal(verifyHipMac(i2, rhash, keys.integrityIn), false);
    const hostId = r1.raw(PARAMETER.HOST_ID)!;
    const tlv = r1.bytes.slice(hostId.offset, hostId.offset + hostId.size);
    equal(verifyHipMac2(r2, rhash, keys.integrityIn, tlv), true);
    equal(verifyHipMac2(r2, rhash, keys.integrityOut, tlv), false);
    equal(verifyHipMac(close, rhash, keys.integrityOut), true);
    equal(verifyHipMac(closeAck, rhash, keys.integrityIn), true);
  });

  Deno.test(`${name}: KEY-010 the KEYMAT index in ESP_INFO is the first octet that we did not draw`, () => {
    const { i2, r2, nextIndex } = openCapture(name);
    equal(i2.require(ESP_INFO).keymatIndex, nextIndex);
    equal(r2.require(ESP_INFO).keymatIndex, nextIndex);
  });

  Deno.test(`${name}: the data packets open under the drawn ESP keys and hold whole payloads`, () => {
    const { i2, r2, keymat, nextIndex, initiatorHit, responderHit } = openCapture(name);
    const suite = ESP_SUITES.get(i2.require(ESP_TRANSFORM).suiteIds[0]!)!;
    const sizes = {
      encryptionLength: suite.encryptionKeyLength,
      authenticationLength: suite.authenticationKeyLength,
    };
    const drawn = drawEspKeys(keymat, nextIndex, sizes, initiatorHit, responderHit);
    const spiToInitiator = i2.require(ESP_INFO).newSpi;
    const spiToResponder = r2.require(ESP_INFO).newSpi;
    const packets = readCapture(name).esp;
    equal(packets.length, 8);
    const senders = new Set<number>();
    for (const packet of packets) {
      const spi = new DataView(packet.buffer).getUint32(0);
      senders.add(spi);
      equal(spi === spiToInitiator || spi === spiToResponder, true);
      const keys = spi === spiToResponder ? drawn.outbound : drawn.inbound;
      const { nextHeader, payload } = open(packet, keys, suite);
      // The inner checksum covers the HITs as addresses (RFC 7402 appendix B); that of ICMPv4,
      // which that implementation sent between LSIs, covers none.
      const pseudo = nextHeader === 1
        ? 0
        : pseudoHeaderSum(initiatorHit, responderHit, nextHeader, payload.length);
      equal(finishSum(sumBytes(payload, 0, payload.length, pseudo)), 0, `header ${nextHeader}`);
    }
    equal(senders.size, 2);
  });
}

/** AES-CBC with HMAC-SHA-256, the ICV over the 32-bit sequence number as that implementation has it. */
function open(
  packet: Uint8Array,
  keys: EspKeys,
  suite: { encryptionKeyLength: number; ivLength: number; icvLength: number },
): { nextHeader: number; payload: Uint8Array } {
  const end = packet.length - suite.icvLength;
  const icv = hipMac("sha256", keys.authentication, packet.subarray(0, end));
  equal(bytesEqual(icv.subarray(0, suite.icvLength), packet.subarray(end)), true, "ICV");
  const name = suite.encryptionKeyLength === 16 ? "aes-128-cbc" : "aes-256-cbc";
  const iv = packet.subarray(8, 8 + suite.ivLength);
  const decipher = createDecipheriv(name, keys.encryption, iv);
  decipher.setAutoPadding(false);
  const plain = new Uint8Array(decipher.update(packet.subarray(8 + suite.ivLength, end)));
  decipher.final();
  const padLength = plain.at(-2)!;
  const padding = plain.subarray(plain.length - 2 - padLength, plain.length - 2);
  equal(padding.every((octet, i) => octet === i + 1), true, "padding is 1, 2, 3 ...");
  return { nextHeader: plain.at(-1)!, payload: plain.subarray(0, plain.length - 2 - padLength) };
}
