/** From the HOST_ID parameter to the HIT: what counts, and what does not (RFC 7401 §3.2, §5.2.9). */

import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { toHex } from "../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../lib/base/errors.ts";
import { EC_CURVES } from "../../lib/crypto/ec_curve.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import { signMessage, verifySignature } from "../../lib/crypto/signature.ts";
import { checkIdentity } from "../../lib/hip/initiator.ts";
import { hostIdTlv } from "../../lib/hip/packet_builder.ts";
import { hitOf } from "../../lib/identity/hit.ts";
import { decodeParameter, encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { HOST_ID, type HostId } from "../../lib/wire/hip/parameters/host_id.ts";
import { testIdentity } from "../support/identities.ts";

const IDENTITY = testIdentity("ecdsa-p256", "alice");
const NONE: HostId = {
  algorithm: IDENTITY.algorithm,
  hostIdentity: IDENTITY.hostIdentity,
  domainIdType: 0,
  domainId: new Uint8Array(0),
};
const FQDN = new Uint8Array([4, 104, 111, 115, 116, 2, 99, 111, 0]);
const NAI = new TextEncoder().encode("alice@example.com");

/** What a receiver reads from the parameter. */
function received(value: HostId): HostId {
  const tlv = encodeParameter(HOST_ID, value);
  const length = (tlv[2]! << 8) | tlv[3]!;
  return decodeParameter(HOST_ID, tlv.subarray(4, 4 + length));
}

Deno.test("HIT-007 HID-004 with an FQDN (1), an NAI (2) or nothing (0) beside it a key gives the same HIT", () => {
  const rows: [number, Uint8Array][] = [[0, NONE.domainId], [1, FQDN], [2, NAI]];
  for (const [domainIdType, domainId] of rows) {
    const value = received({ ...NONE, domainIdType, domainId });
    equal(value.domainIdType, domainIdType);
    deepEqual(value.domainId, domainId);
    equal(toHex(hitOf(value)), toHex(IDENTITY.hit));
    equal(checkIdentity(value, IDENTITY.hit, undefined), undefined);
  }
  // DSA and RSA share a suite: the algorithm is not hashed.
  const { hostIdentity } = testIdentity("rsa", "alice");
  equal(toHex(hitOf({ algorithm: 3, hostIdentity })), toHex(hitOf({ algorithm: 5, hostIdentity })));
});

Deno.test("HOST_ID whose lengths do not add up to its own is malformed", () => {
  const tlv = encodeParameter(HOST_ID, { ...NONE, domainIdType: 1, domainId: FQDN });
  const length = (tlv[2]! << 8) | tlv[3]!;
  equal(length, 6 + NONE.hostIdentity.length + FQDN.length);
  const contents = tlv.subarray(4, 4 + length);
  for (const [octet, by] of [[1, 1], [1, -1], [1, 8], [0, 1], [3, 1], [3, -1], [2, 1]] as const) {
    const wrong = contents.slice();
    wrong[octet]! += by;
    throws(() => decodeParameter(HOST_ID, wrong), MalformedPacketError, `${octet} ${by}`);
  }
});

Deno.test("HID-003 HOST_ID calls DSA 3, RSA 5, ECDSA 7 and ECDSA_LOW 9; 0 names no key", () => {
  const numbers = { "dsa": 3, "rsa": 5, "ecdsa-p256": 7, "ecdsa-p384": 7, "ecdsa-low": 9 } as const;
  for (const [kind, number] of Object.entries(numbers) as [keyof typeof numbers, number][]) {
    const tlv = hostIdTlv(testIdentity(kind, "alice"));
    equal((tlv[8]! << 8) | tlv[9]!, number, kind);
  }
  const refusal = checkIdentity(received({ ...NONE, algorithm: 0 }), IDENTITY.hit, undefined);
  equal(refusal?.reason, "hip-invalid-hit");
});

Deno.test("HIT-014 the integers of a Host Identity are in network byte order", () => {
  const jwkOf = ({ privateKey }: { privateKey: Uint8Array }) => {
    const key = { key: Buffer.from(privateKey), format: "der", type: "pkcs8" } as const;
    return createPublicKey(createPrivateKey(key)).export({ format: "jwk" });
  };
  const rsa = testIdentity("rsa", "alice");
  const { e, n } = jwkOf(rsa);
  equal(toHex(rsa.hostIdentity), "03" + hexOf(e) + hexOf(n));
  equal(hexOf(e), "010001");
  for (const [kind, label] of [["ecdsa-p256", "0001"], ["ecdsa-p384", "0002"]] as const) {
    const identity = testIdentity(kind, "alice");
    const { x, y } = jwkOf(identity);
    equal(toHex(identity.hostIdentity), `${label}04${hexOf(x)}${hexOf(y)}`);
  }
});

function hexOf(base64url: string | undefined): string {
  return Buffer.from(base64url ?? "", "base64url").toString("hex");
}

Deno.test("HIT-019 DHG-005 every curve in use has cofactor 1", () => {
  deepEqual(EC_CURVES.map(({ name }) => name), ["P-256", "P-384", "P-521", "SECP160R1"]);
  for (const { arithmetic, name } of EC_CURVES) {
    equal(arithmetic.Point.CURVE().h, 1n, name);
    // Hasse: with |E| = h n within 2 sqrt(p) of p + 1, this n leaves no room for h = 2.
    const { p, n } = arithmetic.Point.CURVE();
    const distance = n > p ? n - p : p - n;
    ok(distance * distance < 5n * p, name);
  }
});

Deno.test("HIT-020 labels 1 and 2 sign and verify on P-256 and P-384", () => {
  const message = new Uint8Array(100).fill(7);
  const random = new SeededRandom(new Uint8Array(32).fill(4));
  for (const [kind, label] of [["ecdsa-p256", 1], ["ecdsa-p384", 2]] as const) {
    const identity = testIdentity(kind, "bob");
    equal((identity.hostIdentity[0]! << 8) | identity.hostIdentity[1]!, label);
    const signature = signMessage(identity, message, random);
    ok(verifySignature(identity, signature, message));
    ok(!verifySignature(identity, signature, message.subarray(1)));
  }
});
