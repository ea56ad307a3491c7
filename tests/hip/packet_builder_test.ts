import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { sha384 } from "@noble/hashes/sha2.js";
import { concatBytes } from "../../lib/base/bytes.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import {
  hostIdTlv,
  withHipMac,
  withHipMac2,
  withParameters,
  withSignature,
} from "../../lib/hip/packet_builder.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { emitHipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { ECHO_REQUEST_SIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import { ECHO_RESPONSE_UNSIGNED } from "../../lib/wire/hip/parameters/echo.ts";
import { HIP_MAC, HIP_MAC_2 } from "../../lib/wire/hip/parameters/hip_mac.ts";
import { HIP_SIGNATURE } from "../../lib/wire/hip/parameters/hip_signature.ts";
import { HOST_ID } from "../../lib/wire/hip/parameters/host_id.ts";
import { seed } from "../support/exchange.ts";
import { testIdentity } from "../support/identities.ts";

const KEY = seed(8);
const SIGNER = testIdentity("ecdsa-p256", "alice");

function plainPacket(): Uint8Array {
  return emitHipPacket({
    packetType: PACKET.CLOSE,
    senderHit: SIGNER.hit,
    receiverHit: testIdentity("rsa", "bob").hit,
  }, [encodeParameter(ECHO_REQUEST_SIGNED, { opaque: new Uint8Array([1, 2, 3]) })]);
}

Deno.test("MAC-001 MAC-003 MAC-004 MAC-005 withHipMac() is HMAC over the packet so far", () => {
  const plain = plainPacket();
  assert.equal(plain[1], plain.length / 8 - 1);
  const packet = parseHipPacket(withHipMac(plain, "sha256", KEY));
  const expected = createHmac("sha256", KEY).update(plain).digest();
  assert.deepEqual(packet.require(HIP_MAC).mac, new Uint8Array(expected));
  assert.equal(packet.bytes.length, plain.length + 40);
  assert.equal(packet.checksum, 0);
});

Deno.test(
  "MAC-006 MAC-007 MAC-008 MAC-009 withHipMac2() adds the HOST_ID last, counts it, and does not " +
    "send it",
  () => {
    const plain = plainPacket();
    const hostId = hostIdTlv(SIGNER);
    const packet = parseHipPacket(withHipMac2(plain, "sha384", KEY, hostId));
    const covered = concatBytes(plain, hostId);
    covered[1] = covered.length / 8 - 1;
    const expected = createHmac("sha384", KEY).update(covered).digest();
    assert.deepEqual(packet.require(HIP_MAC_2).mac, new Uint8Array(expected));
    assert.ok(!packet.has(PARAMETER.HOST_ID));
  },
);

Deno.test(
  "SIG-003 SIG-004 SIG-006 SIG-007 withSignature() signs all before it, MAC included, with the " +
    "hash of the signer's suite",
  () => {
    const macked = withHipMac(plainPacket(), "sha256", KEY);
    const packet = parseHipPacket(withSignature(macked, SIGNER, new SeededRandom(seed(1))));
    const { algorithm, signature } = packet.require(HIP_SIGNATURE);
    assert.equal(algorithm, SIGNER.algorithm);
    assert.equal(signature.length, 64);
    const point = SIGNER.hostIdentity.subarray(2);
    assert.ok(p256.verify(signature, sha384(macked), point, { prehash: false, lowS: false }));
  },
);

Deno.test("MAC-011 withParameters() counts what it appends in Header Length", () => {
  const signed = withSignature(plainPacket(), SIGNER, new SeededRandom(seed(1)));
  const echo = encodeParameter(ECHO_RESPONSE_UNSIGNED, { opaque: new Uint8Array(9) });
  const packet = parseHipPacket(withParameters(signed, echo, echo));
  assert.equal(packet.bytes.length, signed.length + 2 * echo.length);
  assert.equal(packet.all(ECHO_RESPONSE_UNSIGNED).length, 2);
});

Deno.test("HID-005 hostIdTlv() carries the Host Identity and no domain identifier", () => {
  const packet = parseHipPacket(withParameters(
    emitHipPacket({
      packetType: PACKET.R1,
      senderHit: SIGNER.hit,
      receiverHit: SIGNER.hit,
    }, []),
    hostIdTlv(SIGNER),
  ));
  const { domainIdType, domainId, hostIdentity } = packet.require(HOST_ID);
  assert.equal(domainIdType, 0);
  assert.equal(domainId.length, 0);
  assert.deepEqual(hostIdentity, SIGNER.hostIdentity);
});
