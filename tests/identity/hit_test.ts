import { deepEqual, equal, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { cshake128 } from "@noble/hashes/sha3-addons.js";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import {
  dnsKeyToHostIdentity,
  formatHit,
  hitOf,
  hitSuiteId,
  hostIdentityToDnsKey,
  isHit,
  shortHit,
} from "../../lib/identity/hit.ts";
import { generateHostIdentity, IDENTITY_KINDS } from "../../lib/identity/host_identity.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";

/** The RSA key of the sample records in RFC 8005 §7. */
const RFC_8005_KEY = new Uint8Array(Buffer.from(
  "AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gs" +
    "Nrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D",
  "base64",
));

const CONTEXT_ID = fromHex("F0EFF02FBFF43D0FE7930C3C6E6174EA");
const random = new SeededRandom(new Uint8Array(32).fill(2));
const identities = IDENTITY_KINDS.map((kind) =>
  generateHostIdentity(kind, random, { rsaBits: 1024 })
);

Deno.test("DNS-029 HIT-004 HIT-006 HIT-008 HIT-009 hitOf() of the RFC 8005 key is the known HIT", () => {
  const identity = dnsKeyToHostIdentity(2, RFC_8005_KEY)!;
  equal(identity.algorithm, 5);
  equal(formatHit(hitOf(identity)), "2001:21:731f:db71:2bf5:bf3b:f642:72a4");
});

Deno.test("HIT-005 HIT-009 hitOf() keeps the middle 96 bits of each suite's hash", () => {
  const expected = (algorithm: number, hostIdentity: Uint8Array) => {
    const input = concatBytes(CONTEXT_ID, hostIdentity);
    const hash = (name: string) => createHash(name).update(input).digest("hex");
    switch (algorithm) {
      case 3:
      case 5:
        return "20010021" + hash("sha256").slice(20, 44);
      case 7:
        return "20010022" + hash("sha384").slice(36, 60);
      default:
        return "20010023" + hash("sha1").slice(8, 32);
    }
  };
  for (const { algorithm, hostIdentity, hit } of identities) {
    if (algorithm === 13) continue;
    equal(toHex(hitOf({ algorithm, hostIdentity })), expected(algorithm, hostIdentity));
    equal(toHex(hit), expected(algorithm, hostIdentity));
  }
});

Deno.test("DET-018 a HIT of suite 5 is 96 bits of cSHAKE128 without strings over Context ID and key", () => {
  const { algorithm, hostIdentity } = identities.find((identity) => identity.algorithm === 13)!;
  const hash = cshake128(concatBytes(CONTEXT_ID, hostIdentity), { dkLen: 12 });
  equal(toHex(hitOf({ algorithm, hostIdentity })), "20010025" + toHex(hash));
});

Deno.test("hitOf() has no HIT for algorithms without a suite", () => {
  for (const algorithm of [0, 1, 2, 8]) {
    throws(() => hitOf({ algorithm, hostIdentity: new Uint8Array(4) }), RangeError);
  }
});

Deno.test("HIT-023 isHit() takes 2001:20::/28 with a known suite, and no version 1 ORCHID", () => {
  for (const text of ["2001:21::1", "2001:22::1", "2001:23::1", "2001:25::1"]) {
    equal(isHit(parseIpAddress(text)), true, text);
  }
  const others = ["2001:20::1", "2001:24::1", "2001:2f::1", "2001:11::1", "2001:31::1"];
  for (const text of [...others, "2001:121::1", "2002:21::1", "fe80::1", "::", "10.0.0.1"]) {
    equal(isHit(parseIpAddress(text)), false, text);
  }
  equal(isHit(parseIpAddress("2001:21::1").subarray(0, 4)), false);
  equal(hitSuiteId(parseIpAddress("2001:25::1")), 5);
});

Deno.test("shortHit() keeps the first three groups and the last", () => {
  equal(shortHit(parseIpAddress("2001:22:8f31:1:2:3:4:9a04")), "2001:22:8f31:...:9a04");
});

Deno.test("DNS-024 keys go to DNS and back, and the HIT stays the same", () => {
  const algorithms = new Map([[3, 1], [5, 2], [7, 3], [13, 4]]);
  for (const { algorithm, hostIdentity, hit } of identities) {
    const record = hostIdentityToDnsKey({ algorithm, hostIdentity });
    equal(record?.pkAlgorithm, algorithms.get(algorithm));
    if (record === undefined) continue; // ECDSA_LOW has no form in DNS
    const back = dnsKeyToHostIdentity(record.pkAlgorithm, record.key)!;
    deepEqual(back, { algorithm, hostIdentity });
    equal(toHex(hitOf(back)), toHex(hit));
  }
});

Deno.test("ECDSA and EdDSA keys stand in DNS without label, 04 or zeros", () => {
  const lengths = new Map(
    identities.map((identity) => [
      identity.hostIdentity.length,
      hostIdentityToDnsKey(identity)?.key.length,
    ]),
  );
  equal(lengths.get(67), 64);
  equal(lengths.get(99), 96);
  equal(lengths.get(36), 32);
  const p256 = identities.find((identity) => identity.hostIdentity.length === 67)!;
  const bare = concatBytes(p256.hostIdentity.subarray(0, 2), p256.hostIdentity.subarray(3));
  deepEqual(
    hostIdentityToDnsKey({ algorithm: 7, hostIdentity: bare })?.key,
    hostIdentityToDnsKey(p256)!.key,
  );
});

Deno.test("DNS-012 dnsKeyToHostIdentity() refuses unknown algorithms and impossible keys", () => {
  const p256 = hostIdentityToDnsKey(identities.find((i) => i.hostIdentity.length === 67)!)!.key;
  const offCurve = p256.slice();
  offCurve[63]! ^= 1;
  const dsa = hostIdentityToDnsKey(identities.find((i) => i.algorithm === 3)!)!.key;
  const bigT = dsa.slice();
  bigT[0] = 9;
  const modulus = (bits: number) => {
    const octets = new Uint8Array(bits / 8);
    octets[0] = 0x80;
    octets[octets.length - 1] = 1;
    return concatBytes(fromHex("03010001"), octets);
  };
  const bad: [number, Uint8Array][] = [
    [0, p256],
    [5, p256],
    [1, bigT],
    [1, dsa.subarray(1)],
    [2, modulus(1016)],
    [2, modulus(4104)],
    [2, new Uint8Array(0)],
    [3, offCurve],
    [3, p256.subarray(1)],
    [3, new Uint8Array(64)],
    [4, new Uint8Array(31)],
    [4, new Uint8Array(33)],
    [4, new Uint8Array(32).fill(0xff)],
  ];
  for (const [algorithm, key] of bad) equal(dnsKeyToHostIdentity(algorithm, key), undefined);
  equal(dnsKeyToHostIdentity(2, modulus(1024))?.algorithm, 5);
  equal(dnsKeyToHostIdentity(2, modulus(4096))?.algorithm, 5);
});
