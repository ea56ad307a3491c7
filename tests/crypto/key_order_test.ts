/** Which octets of KEYMAT become which key (RFC 7401 §6.5; RFC 7402 §7). */

import { strict as assert } from "node:assert";
import { hkdfSync } from "node:crypto";
import fc from "fast-check";
import { compareBytes, concatBytes, toHex } from "../../lib/base/bytes.ts";
import { agree, DH_GROUPS } from "../../lib/crypto/dh_group.ts";
import { checkEspKeys, ESP_SUITES, espSuite } from "../../lib/crypto/esp_suite.ts";
import { decryptParameterContents, encryptParameterContents } from "../../lib/crypto/hip_cipher.ts";
import { drawEspKeys, drawHipKeys, drawKeymat, extractKeymat } from "../../lib/crypto/keymat.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { runExchange, WIDE_POLICY } from "../support/exchange.ts";

const hits = fc.uint8Array({ minLength: 16, maxLength: 16 });

function keymatOf(hitA: Uint8Array, hitB: Uint8Array) {
  const n = new Uint8Array(32);
  return extractKeymat("sha256", new Uint8Array(32).fill(5), n, n, hitA, hitB);
}

Deno.test("HIT-016 ESP-042 HITs are ordered as unsigned big-endian integers, in KEYMAT and for both kinds of keys", () => {
  const integer = (hit: Uint8Array) => BigInt(`0x${toHex(hit)}`);
  fc.assert(fc.property(hits, hits, fc.nat(15), (a, other, shared) => {
    // Equal up to some octet, so that every octet decides once in a while.
    const b = concatBytes(a.subarray(0, shared), other.subarray(shared));
    fc.pre(toHex(a) !== toHex(b));
    const isGreater = integer(a) > integer(b);
    assert.equal(compareBytes(a, b) > 0, isGreater);
    const keymat = keymatOf(a, b);
    assert.equal(toHex(keymat.info), isGreater ? toHex(b) + toHex(a) : toHex(a) + toHex(b));
    const { keys } = drawHipKeys(keymat, 2, a, b);
    const first = toHex(drawKeymat(keymat, 0, 16));
    assert.equal(toHex(isGreater ? keys.encryptionOut : keys.encryptionIn), first);
    const sizes = { encryptionLength: 16, authenticationLength: 32 };
    const esp = drawEspKeys(keymat, 0, sizes, a, b);
    assert.equal(toHex((isGreater ? esp.outbound : esp.inbound).encryption), first);
  }));
});

Deno.test("ESP-043 ESP keys have the natural size of their suite, and no key takes no octets", () => {
  // Cipher key with salt, authentication key: RFC 7402 §5.1.2 and what it refers to.
  const sizes: Readonly<Record<number, readonly [number, number]>> = {
    1: [16, 20],
    7: [0, 32],
    8: [16, 32],
    9: [32, 32],
    10: [19, 0],
    11: [19, 0],
    12: [20, 0],
    13: [20, 0],
    14: [0, 16],
    15: [20, 0],
  };
  const [low, high] = [new Uint8Array(16), new Uint8Array(16).fill(1)];
  const keymat = keymatOf(low, high);
  assert.deepEqual([...ESP_SUITES.keys()], Object.keys(sizes).map(Number));
  for (const [id, [encryption, authentication]] of Object.entries(sizes)) {
    const suite = espSuite(Number(id));
    const drawn = drawEspKeys(
      keymat,
      96,
      {
        encryptionLength: suite.encryptionKeyLength + suite.saltLength,
        authenticationLength: suite.authenticationKeyLength,
      },
      high,
      low,
    );
    assert.equal(drawn.outbound.encryption.length, encryption);
    assert.equal(drawn.outbound.authentication.length, authentication);
    assert.equal(drawn.nextIndex, 96 + 2 * (encryption + authentication));
    // SA-lg begins where SA-gl ends.
    const second = drawKeymat(keymat, 96 + encryption + authentication, encryption);
    assert.equal(toHex(drawn.inbound.encryption), toHex(second));
  }
});

Deno.test("KEY-009 an ID stands for one key size, and keys of another are refused", () => {
  const iv = new Uint8Array(16);
  for (const [cipher, wrong] of [[2, 32], [2, 24], [4, 16], [4, 24]] as const) {
    const key = new Uint8Array(wrong);
    assert.throws(() => encryptParameterContents(cipher, key, iv, new Uint8Array(8)));
    assert.throws(() => decryptParameterContents(cipher, key, new Uint8Array(32)));
  }
  for (const suite of ESP_SUITES.values()) {
    const encryption = new Uint8Array(suite.encryptionKeyLength + suite.saltLength);
    const authentication = new Uint8Array(suite.authenticationKeyLength);
    checkEspKeys(suite, { encryption, authentication });
    const longer = (key: Uint8Array) => new Uint8Array(key.length + 8);
    assert.throws(() => checkEspKeys(suite, { encryption: longer(encryption), authentication }));
    assert.throws(() =>
      checkEspKeys(suite, { encryption, authentication: longer(authentication) })
    );
  }
});

for (const dhGroup of DH_GROUPS) {
  Deno.test(`KEY-005 KEY-012 KEYMAT of an exchange in group ${dhGroup} is HKDF, the same at both ends from I2 on`, () => {
    const policy = { ...WIDE_POLICY, dhGroups: [dhGroup] };
    const { built, accepted, prepared, initiator, responder } = runExchange({
      initiatorPolicy: policy,
      responderPolicy: policy,
    });
    const i2 = parseHipPacket(built.i2);
    const { publicValue } = i2.require(DIFFIE_HELLMAN);
    const { randomI, solutionJ } = i2.require(SOLUTION);
    const pair = {
      groupId: dhGroup,
      privateKey: prepared.dhPrivateKey,
      publicValue: prepared.dhPublicValue,
    };
    const kij = agree(pair, publicValue)!;
    const [lower, greater] = [initiator.hit, responder.hit].sort(compareBytes);
    const info = concatBytes(lower!, greater!);
    const expected = hkdfSync(built.rhash, kij, concatBytes(randomI, solutionJ), info, 200);
    for (const { keymat } of [built, accepted]) {
      assert.equal(toHex(drawKeymat(keymat, 0, 200)), toHex(new Uint8Array(expected)));
    }
    assert.deepEqual(built.hipKeys, {
      encryptionOut: accepted.hipKeys.encryptionIn,
      integrityOut: accepted.hipKeys.integrityIn,
      encryptionIn: accepted.hipKeys.encryptionOut,
      integrityIn: accepted.hipKeys.integrityOut,
    });
  });
}
