import { deepEqual, equal, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { UserError } from "../../lib/base/errors.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import {
  decodeIdentityPem,
  describeAlgorithm,
  encodeIdentityPem,
  generateHostIdentity,
  hitSuiteOf,
  IDENTITY_KINDS,
} from "../../lib/identity/host_identity.ts";
import { algorithmName, hitSuiteForAlgorithm } from "../../lib/crypto/hit_suite.ts";

const seeded = () => new SeededRandom(new Uint8Array(32).fill(6));

/** One of each, made once: RSA and DSA take their time. */
const identities = new Map(
  IDENTITY_KINDS.map((kind) => [kind, generateHostIdentity(kind, seeded())]),
);

Deno.test("generateHostIdentity() makes every kind, named and of the right suite", () => {
  const expected = new Map([
    ["rsa", ["RSA 2048", 1, 5]],
    ["ecdsa-p256", ["ECDSA P-256", 2, 7]],
    ["ecdsa-p384", ["ECDSA P-384", 2, 7]],
    ["ed25519", ["EdDSA25519", 5, 13]],
    ["dsa", ["DSA 1024", 1, 3]],
    ["ecdsa-low", ["ECDSA_LOW SECP160R1", 3, 9]],
  ]);
  for (const kind of IDENTITY_KINDS) {
    const identity = identities.get(kind)!;
    const { algorithm } = identity;
    deepEqual(
      [describeAlgorithm(identity), hitSuiteOf(identity), algorithm],
      expected.get(kind),
    );
    equal(identity.hit[3]! & 0x0f, hitSuiteForAlgorithm(algorithm));
    deepEqual(decodeIdentityPem(encodeIdentityPem(identity)), identity);
  }
});

Deno.test("identities on curves follow from the generator alone", () => {
  for (const kind of ["ecdsa-p256", "ecdsa-p384", "ed25519", "ecdsa-low"] as const) {
    deepEqual(generateHostIdentity(kind, seeded()), generateHostIdentity(kind, seeded()));
  }
});

Deno.test("HIT-013 DET-019 Host Identities hold label, then the runtime's own idea of the public key", () => {
  const heads = new Map([["ecdsa-p256", "000104"], ["ecdsa-p384", "000204"], [
    "ed25519",
    "00010000",
  ]]);
  for (const kind of ["ecdsa-p256", "ecdsa-p384", "ed25519"] as const) {
    const identity = generateHostIdentity(kind, seeded());
    const key = createPrivateKey({
      key: Buffer.from(identity.privateKey),
      format: "der",
      type: "pkcs8",
    });
    const { x, y } = createPublicKey(key).export({ format: "jwk" });
    const coordinates = [x, y].map((part) => Buffer.from(part ?? "", "base64url").toString("hex"));
    equal(toHex(identity.hostIdentity), heads.get(kind) + coordinates.join(""));
  }
});

Deno.test("HIT-011 HIT-012 a DSA Host Identity has T = 8 for 1024 bits, and 213 + 24 T octets", () => {
  const { hostIdentity } = identities.get("dsa")!;
  equal(hostIdentity[0], 8);
  equal(hostIdentity.length, 213 + 24 * 8);
});

Deno.test("encodeIdentityPem() writes lines of at most 64 characters between the usual marks", () => {
  const lines = encodeIdentityPem(generateHostIdentity("ecdsa-p256", seeded())).split("\n");
  equal(lines[0], "-----BEGIN PRIVATE KEY-----");
  equal(lines.at(-2), "-----END PRIVATE KEY-----");
  equal(lines.at(-1), "");
  equal(lines.every((line) => line.length <= 64), true);
});

Deno.test("decodeIdentityPem() reads what other tools write, with text around it and CR LF", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const identity = decodeIdentityPem("my key\r\n" + pem.replaceAll("\n", "\r\n"));
  equal(describeAlgorithm(identity), "ECDSA P-384");
});

Deno.test("decodeIdentityPem() says in one sentence what is wrong and repeats nothing of the key", () => {
  const pem = encodeIdentityPem(generateHostIdentity("ecdsa-p256", seeded()));
  const body = pem.split("\n").slice(1, -2).join("");
  const wrap = (base64: string) =>
    `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
  const { privateKey: p521 } = generateKeyPairSync("ed25519");
  const damaged = [
    "",
    "garbage",
    body,
    wrap(""),
    wrap("AAAA"),
    wrap(body.slice(0, 60)),
    wrap(body.slice(4)),
    wrap("MIIB" + body),
    wrap("!!" + body),
    pem.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE"),
    wrap(p521.export({ format: "der", type: "pkcs8" }).subarray(0, 47).toString("base64")),
  ];
  for (const text of damaged) {
    throws(() => decodeIdentityPem(text), (error: Error) => {
      equal(error instanceof UserError, true, error.message);
      equal(/^[A-Z][^\n]*\.$/.test(error.message), true, error.message);
      equal(error.message.includes(body.slice(8, 24)), false);
      return true;
    });
  }
});

Deno.test("a damaged private key never yields an identity with numbers out of range", () => {
  const pem = (octets: Uint8Array) =>
    `-----BEGIN PRIVATE KEY-----\n${Buffer.from(octets).toString("base64")}\n` +
    "-----END PRIVATE KEY-----\n";
  for (const kind of ["rsa", "ecdsa-p256", "dsa"] as const) {
    const { privateKey } = identities.get(kind)!;
    for (let length = 0; length < privateKey.length; length += 7) {
      throws(() => decodeIdentityPem(pem(privateKey.subarray(0, length))), UserError);
    }
  }
});

Deno.test("generateHostIdentity() refuses RSA sizes that peers would refuse", () => {
  for (const rsaBits of [512, 1000, 4104, 8192]) {
    throws(() => generateHostIdentity("rsa", seeded(), { rsaBits }), RangeError);
  }
});

Deno.test("algorithmName() gives the RFC's names, and a number to what has none", () => {
  deepEqual([3, 5, 7, 9, 13, 99].map(algorithmName), [
    "DSA",
    "RSA",
    "ECDSA",
    "ECDSA_LOW",
    "EdDSA",
    "algorithm 99",
  ]);
  equal(describeAlgorithm({ algorithm: 99, hostIdentity: new Uint8Array(0) }), "algorithm 99");
});
