import { strict as assert } from "node:assert";
import type { IdentityKind } from "../../lib/identity/host_identity.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import {
  acceptI2Job,
  buildI2Job,
  type Exchange,
  exchangeToR1,
  INITIATOR_SPI,
  refusal,
  RESPONDER_SPI,
  runExchange,
  seed,
  succeed,
  WIDE_POLICY,
} from "../support/exchange.ts";
import { ALL_IDENTITY_KINDS, testIdentity } from "../support/identities.ts";

/** Both ends hold the same secrets, each in its own direction. */
function assertAgreement({ built, accepted, verified }: Exchange): void {
  assert.deepEqual(built.keymat, accepted.keymat);
  assert.deepEqual(built.hipKeys.encryptionOut, accepted.hipKeys.encryptionIn);
  assert.deepEqual(built.hipKeys.integrityOut, accepted.hipKeys.integrityIn);
  assert.deepEqual(built.hipKeys.encryptionIn, accepted.hipKeys.encryptionOut);
  assert.deepEqual(built.hipKeys.integrityIn, accepted.hipKeys.integrityOut);
  for (const key of ["keymatIndex", "rhash", "hipCipher", "espSuite", "dhGroup"] as const) {
    assert.equal(built[key], accepted[key]);
  }
  assert.equal(accepted.outboundSpi, INITIATOR_SPI);
  assert.equal(verified.outboundSpi, RESPONDER_SPI);
}

for (const kind of ALL_IDENTITY_KINDS) {
  Deno.test(`runJob() completes the exchange between two ${kind} identities`, () => {
    const exchange = runExchange({
      initiator: testIdentity(kind, "alice"),
      responder: testIdentity(kind, "bob"),
    });
    assertAgreement(exchange);
    const { accepted, built, initiator, responder } = exchange;
    assert.deepEqual(accepted.peerIdentity.hostIdentity, initiator.hostIdentity);
    assert.deepEqual(built.peerIdentity.hostIdentity, responder.hostIdentity);
  });
}

Deno.test(
  "PUZ-002 MAC-002 runJob() takes RHASH from the Responder's suite, whichever suites meet",
  () => {
    const pairs: [IdentityKind, IdentityKind, string][] = [
      ["rsa", "ecdsa-p384", "sha384"],
      ["ecdsa-p256", "rsa", "sha256"],
      ["ed25519", "ecdsa-low", "sha1"],
      ["dsa", "ed25519", "cshake128"],
    ];
    for (const [ofInitiator, ofResponder, rhash] of pairs) {
      const exchange = runExchange({
        initiator: testIdentity(ofInitiator, "alice"),
        responder: testIdentity(ofResponder, "bob"),
      });
      assertAgreement(exchange);
      assert.equal(exchange.built.rhash, rhash);
      assert.equal(exchange.built.keymat.rhash, rhash);
    }
  },
);

for (const dhGroup of WIDE_POLICY.dhGroups) {
  Deno.test(`runJob() completes the exchange in Diffie-Hellman group ${dhGroup}`, () => {
    const policy = { ...WIDE_POLICY, dhGroups: [dhGroup] };
    const exchange = runExchange({ initiatorPolicy: policy, responderPolicy: policy });
    assertAgreement(exchange);
    assert.equal(exchange.accepted.dhGroup, dhGroup);
  });
}

Deno.test("KEY-010 ESP-031 runJob() begins ESP keys behind the HIP keys, for every cipher", () => {
  const expected = new Map([
    ["ecdsa-p256 1", 96],
    ["ecdsa-p256 2", 128],
    ["ecdsa-p256 4", 160],
    ["rsa 1", 64],
    ["rsa 2", 96],
    ["rsa 4", 128],
  ]);
  for (const [name, index] of expected) {
    const [kind, cipher] = name.split(" ") as [IdentityKind, string];
    const policy = { ...WIDE_POLICY, hipCiphers: [Number(cipher)] };
    const exchange = runExchange({
      responder: testIdentity(kind, "bob"),
      initiatorPolicy: policy,
      responderPolicy: policy,
    });
    assertAgreement(exchange);
    assert.equal(exchange.built.keymatIndex, index, name);
  }
});

Deno.test("runJob() settles on each ESP suite that both ends accept", () => {
  for (const espSuite of [1, 7, 8, 9, 12, 13]) {
    const policy = { ...WIDE_POLICY, espSuites: [espSuite] };
    const exchange = runExchange({ initiatorPolicy: policy, responderPolicy: policy });
    assertAgreement(exchange);
    assert.equal(exchange.accepted.espSuite, espSuite);
  }
});

Deno.test("runJob() gives the same answer to the same job", () => {
  const to = exchangeToR1({ initiator: testIdentity("rsa", "alice") });
  const job = buildI2Job(to);
  assert.deepEqual(succeed(job), succeed(structuredClone(job)));
});

Deno.test("runJob() leaves its job unchanged, so that it can be given again", () => {
  const to = exchangeToR1();
  const i2 = succeed(buildI2Job(to)).i2;
  const job = acceptI2Job(to, i2);
  const before = structuredClone(job);
  succeed(job);
  assert.deepEqual(job, before);
});

Deno.test("runJob() answers a malformed packet with a reason and throws nothing", () => {
  const { r1 } = exchangeToR1();
  for (const length of [0, 1, 39, 40, r1.length - 8, r1.length - 1]) {
    const result = runJob({
      kind: "verify-r1",
      r1: r1.slice(0, length),
      expectedIdentity: undefined,
    });
    assert.equal(result.kind, "failed");
  }
});

Deno.test("TLV-007 runJob() names parameters out of order as such", () => {
  const { r1 } = exchangeToR1();
  const packet = parseHipPacket(r1);
  const [first, second] = packet.parameters;
  const swapped = r1.slice();
  swapped.set(r1.subarray(second!.offset, second!.offset + second!.size), first!.offset);
  swapped.set(
    r1.subarray(first!.offset, first!.offset + first!.size),
    first!.offset + second!.size,
  );
  const reason = refusal({ kind: "verify-r1", r1: swapped, expectedIdentity: undefined });
  assert.equal(reason, "hip-parameter-order");
});

Deno.test("runJob() signs a control packet that the peer's job finds right", () => {
  const identity = testIdentity("ed25519", "alice");
  const { hit: receiverHit } = testIdentity("rsa", "bob");
  const { packet } = succeed({
    kind: "sign-packet",
    seed: seed(4),
    identity,
    packetType: PACKET.CLOSE,
    senderHit: identity.hit,
    receiverHit,
    parameters: [],
    mac: { rhash: "sha256", key: seed(5) },
  });
  succeed({ kind: "verify-signature", packet, peerIdentity: identity });
  const wrong = testIdentity("ed25519", "bob");
  const reason = refusal({ kind: "verify-signature", packet, peerIdentity: wrong });
  assert.equal(reason, "hip-signature-failed");
});
