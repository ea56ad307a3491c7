/** Control keys in one piece. */

import assert from "node:assert/strict";
import { isAllZero } from "../../lib/base/bytes.ts";
import { type ControlKeys, StoredKeys, wipeSecrets } from "../../lib/hip/control_keys.ts";

function madeUp(): ControlKeys {
  let next = 1;
  const octets = (length: number) => new Uint8Array(length).fill(next++);
  return {
    keymat: { rhash: "sha384", prk: octets(48), info: octets(32) },
    hipKeys: {
      encryptionOut: octets(16),
      integrityOut: octets(48),
      encryptionIn: octets(16),
      integrityIn: octets(48),
    },
    keymatIndex: 128,
    rhash: "sha384",
    hipCipher: 2,
    espSuite: 13,
    dhGroup: 7,
    dhKeyPair: { groupId: 7, privateKey: octets(32), publicValue: octets(64) },
    peerPublicValue: octets(64),
    randomI: octets(48),
    solutionJ: octets(48),
    peerIdentity: { algorithm: 7, hostIdentity: octets(66) },
  };
}

/** What it holds, as plain values. */
function plain(keys: ControlKeys): ControlKeys {
  const { keymat, hipKeys, keymatIndex, rhash, hipCipher, espSuite, dhGroup } = keys;
  const { dhKeyPair, peerPublicValue, randomI, solutionJ, peerIdentity } = keys;
  const numbers = { keymatIndex, rhash, hipCipher, espSuite, dhGroup };
  const octets = { keymat, hipKeys, dhKeyPair, peerPublicValue, randomI, solutionJ, peerIdentity };
  return structuredClone({ ...numbers, ...octets });
}

Deno.test("stored keys are what was stored, the originals are overwritten, and wiping leaves no secret", () => {
  const originals = madeUp();
  const peerHit = new Uint8Array(16).fill(0x77);
  const stored = new StoredKeys(originals, peerHit);
  assert.deepEqual(plain(stored), plain(madeUp()));
  assert.deepEqual(stored.peerHit, peerHit);
  const secrets = (keys: ControlKeys) => [
    keys.keymat.prk,
    ...Object.values(keys.hipKeys),
    keys.dhKeyPair.privateKey,
  ];
  assert.equal(secrets(originals).length, 6);
  assert.ok(secrets(originals).every(isAllZero));
  wipeSecrets(stored);
  assert.ok(secrets(stored).every(isAllZero));
  assert.deepEqual(stored.randomI, madeUp().randomI);
});
